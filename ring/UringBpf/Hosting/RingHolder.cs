using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using UringBpf.Runtime;

namespace UringBpf.Hosting;

/// <summary>The host's ring and its metrics: made once, ended when the host stops or the container is disposed.</summary>
internal sealed class RingHolder(IOptions<UringBpfOptions> options, IServiceProvider services) : IHostedService, IAsyncDisposable
{
    private readonly Lazy<(UringBpf.Ring.Ring Ring, Meter Meter)> _ring = new(() =>
    {
        var meters = services.GetService<IMeterFactory>();
        var ring = UringBpf.Ring.Ring.Create(options.Value.Ring is { MeterFactory: null } plain ? plain with { MeterFactory = meters } : options.Value.Ring);
        return (ring, MeasureMaps(meters));
    });

    public UringBpf.Ring.Ring Ring => _ring.Value.Ring;

    public bool IsCreated => _ring.IsValueCreated;

    public Task StartAsync(CancellationToken cancellationToken) =>
        options.Value.StartRing ? Task.Run(() => _ = Ring, cancellationToken) : Task.CompletedTask;

    /// <summary>Cancels what is in flight and waits for it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (IsCreated) await DisposeAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (!IsCreated) return;
        await Ring.DisposeAsync().ConfigureAwait(false);
        _ring.Value.Meter.Dispose();
    }

    private static Meter MeasureMaps(IMeterFactory? factory)
    {
        var meter = factory?.Create("UringBpf") ?? new Meter("UringBpf");
        meter.CreateObservableGauge("uringbpf.maps.bytes", () => BpfMap.LiveBytes, "By", "Native memory that maps hold.");
        return meter;
    }
}
