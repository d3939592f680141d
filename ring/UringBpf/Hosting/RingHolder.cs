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
        var ring = UringBpf.Ring.Ring.Create(options.Value.Ring);
        return (ring, Measure(ring, services.GetService<IMeterFactory>()));
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

    // The ring counts anyway: reading costs it nothing.
    private static Meter Measure(UringBpf.Ring.Ring ring, IMeterFactory? factory)
    {
        var meter = factory?.Create("UringBpf") ?? new Meter("UringBpf");
        meter.CreateObservableCounter("uringbpf.ring.completions", () => ring.Completions, description: "Completions taken from the completion queue.");
        meter.CreateObservableCounter("uringbpf.ring.hook_runs", () => ring.HookRuns, description: "Runs of completion hooks.");
        meter.CreateObservableCounter("uringbpf.ring.late_completions", () => ring.LateCompletions, description: "Completions that came after their chain had ended.");
        meter.CreateObservableCounter("uringbpf.ring.host_wakeups", () => ring.HostWakeUps, description: "Results handed to the host.");
        meter.CreateObservableGauge("uringbpf.ring.in_flight", () => (long)ring.OperationsInFlight, description: "Operations in flight.");
        meter.CreateObservableCounter("uringbpf.ring.chains_ended", () => ring.ChainsEnded, description: "Chains that ended.");
        meter.CreateObservableCounter("uringbpf.ring.chains_failed", () => ring.ChainsFailed, description: "Chains that ended with an errno.");
        meter.CreateObservableCounter("uringbpf.ring.enters", () => ring.Enters, description: "System calls to submit and wait.");
        meter.CreateObservableGauge("uringbpf.maps.bytes", () => BpfMap.LiveBytes, "By", "Native memory that maps hold.");
        return meter;
    }
}
