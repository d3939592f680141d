using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using UringBpf.Bytecode;
using UringBpf.Hosting;
using UringBpf.Ring;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>AddUringBpf in a host.</summary>
public sealed class HostingTests
{
    private static async Task<IHost> Start(Action<UringBpfOptions>? configure = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddUringBpf(configure);
        builder.Services.AddUringBpf(options => options.HealthTimeout = TimeSpan.FromSeconds(30));
        builder.Services.AddHealthChecks().AddUringBpf(tags: ["ring"]);
        var host = builder.Build();
        try
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
        }
        catch (BpfException refused) when (refused.Code == "UB4501")
        {
            Assert.Skip(refused.Reason);
        }
        return host;
    }

    [Fact]
    public async Task The_ring_starts_and_stops_with_the_host()
    {
        using var host = await Start();
        var ring = host.Services.GetRequiredService<Ring.Ring>();
        Assert.Same(ring, host.Services.GetRequiredService<Ring.Ring>());
        Assert.Equal(0, await ring.NopAsync(TestContext.Current.CancellationToken));
        var pending = ring.TimeoutAsync(TimeSpan.FromHours(1), TestContext.Current.CancellationToken).AsTask();
        await host.StopAsync(TestContext.Current.CancellationToken);
        // Drained: cancelled, not forgotten.
        Assert.Equal(-125, await pending);
    }

    [Fact]
    public async Task The_health_check_tells_of_the_ring()
    {
        using var host = await Start();
        var health = host.Services.GetRequiredService<HealthCheckService>();
        var report = await health.CheckHealthAsync(TestContext.Current.CancellationToken);
        var entry = Assert.Single(report.Entries).Value;
        Assert.Equal((HealthStatus.Healthy, "ring"), (entry.Status, Assert.Single(entry.Tags)));
        Assert.True((long)entry.Data["completions"] > 0);
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HealthStatus.Unhealthy, (await health.CheckHealthAsync(TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task The_meter_counts_what_the_ring_does()
    {
        using var host = await Start();
        var ring = host.Services.GetRequiredService<Ring.Ring>();
        for (var i = 0; i < 5; i++) await ring.NopAsync(TestContext.Current.CancellationToken);
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), TestContext.Current.CancellationToken).AsTask();
        await ring.NopAsync(TestContext.Current.CancellationToken);
        var values = new Dictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == "UringBpf") self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => values[instrument.Name] = Math.Max(value, values.GetValueOrDefault(instrument.Name)));
        listener.Start();
        listener.RecordObservableInstruments();
        Assert.True(values["uringbpf.ring.completions"] >= 5);
        Assert.Equal(["uringbpf.maps.bytes", "uringbpf.ring.chains_ended", "uringbpf.ring.chains_failed", "uringbpf.ring.completions", "uringbpf.ring.enters", "uringbpf.ring.hook_runs", "uringbpf.ring.host_wakeups", "uringbpf.ring.in_flight", "uringbpf.ring.late_completions", "uringbpf.ring.overflows", "uringbpf.ring.submissions", "uringbpf.ring.verdicts"], values.Keys.Order());
        Assert.True(values["uringbpf.ring.in_flight"] >= 1);
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(-125, await timer);
    }

    [Fact]
    public async Task A_ring_can_wait_until_it_is_needed()
    {
        using var host = await Start(options => options.StartRing = false);
        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken);
        Assert.Equal("The ring has not been needed yet.", Assert.Single(report.Entries).Value.Description);
    }

    [Fact]
    public async Task Bad_options_stop_the_host_where_it_starts() =>
        Assert.Equal("UB4511", (await Assert.ThrowsAsync<BpfException>(() => Start(options => options.Ring = new RingOptions { QueueEntries = 0 }))).Code);

    [Fact]
    public async Task The_engine_has_the_options()
    {
        using var host = await Start(options =>
        {
            options.StartRing = false;
            options.Engine = options.Engine with { Verifier = VerifierOptions.Default with { ContextSize = 3 } };
        });
        Assert.Equal(3, host.Services.GetRequiredService<BpfEngine>().Options.Verifier.ContextSize);
    }
}
