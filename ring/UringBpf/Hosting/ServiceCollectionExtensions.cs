using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using UringBpf;
using UringBpf.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the engine and a ring into a host.</summary>
public static class UringBpfServiceCollectionExtensions
{
    /// <summary>
    /// Adds <see cref="BpfEngine"/> and <see cref="UringBpf.Ring.Ring"/> as singletons, and a hosted service that creates the
    /// ring when the host starts and ends it, drained, when the host stops. Calling it again only adds
    /// <paramref name="configure"/>. A container outside a host must be disposed with <c>await using</c>: ending a ring waits.
    /// </summary>
    /// <param name="services">The host's services.</param>
    /// <param name="configure">Sets options; null for the defaults.</param>
    public static IServiceCollection AddUringBpf(this IServiceCollection services, Action<UringBpfOptions>? configure = null)
    {
        services.AddOptions<UringBpfOptions>();
        if (configure != null) services.Configure(configure);
        services.TryAddSingleton(provider => new BpfEngine(provider.GetRequiredService<IOptions<UringBpfOptions>>().Value.Engine));
        if (services.Any(service => service.ServiceType == typeof(RingHolder))) return services;
        services.AddSingleton<RingHolder>();
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<RingHolder>());
        services.AddSingleton(provider => provider.GetRequiredService<RingHolder>().Ring);
        return services;
    }

    /// <summary>Adds a check that the ring completes operations; <see cref="AddUringBpf(IServiceCollection, Action{UringBpfOptions})"/> must have been called.</summary>
    /// <param name="builder">From <c>services.AddHealthChecks()</c>.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="failureStatus">What it reports when the ring does not answer; null: unhealthy.</param>
    /// <param name="tags">Tags to select it by.</param>
    public static IHealthChecksBuilder AddUringBpf(this IHealthChecksBuilder builder, string name = "uringbpf", HealthStatus? failureStatus = null, IEnumerable<string>? tags = null) =>
        builder.Add(new HealthCheckRegistration(name, provider => ActivatorUtilities.CreateInstance<RingHealthCheck>(provider), failureStatus, tags));
}
