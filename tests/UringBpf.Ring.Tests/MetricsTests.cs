using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Diagnostics.Tracing;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What monitoring sees of a ring.</summary>
public abstract class MetricsTests(RingBackendKind backend) : OnBackend(backend)
{
    // The counters of one ring, as a collector would read them.
    private static Dictionary<string, long> Read(Ring ring)
    {
        var values = new Dictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == "UringBpf") self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            var known = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value);
            if (!known.TryGetValue("ring", out var number) || (long)number! != ring.Number) return;
            Assert.Equal(ring.Features.Backend, known["backend"]);
            values.Add(instrument.Name["uringbpf.ring.".Length..] + (known.TryGetValue("verdict", out var verdict) ? "." + verdict : ""), value);
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return values;
    }

    [Fact]
    public async Task Every_counter_is_read_from_the_meter()
    {
        await using var ring = CreateRing();
        await using var rearm = ring.Attach(Compile("rearm"), new Grants());
        await using var result = ring.Attach(Compile("result"), new Grants());
        await rearm.StartAsync(UringOp.Nop(), BitConverter.GetBytes(9UL)).AsTask().WaitAsync(s_patience);
        await result.StartAsync(UringOp.Nop(-5, 0)).AsTask().WaitAsync(s_patience);
        await result.StartAsync(UringOp.Nop(7, 0)).AsTask().WaitAsync(s_patience);
        using var cancellation = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), cancellation.Token).AsTask();
        await ring.NopAsync();
        var values = Read(ring);
        Assert.Equal(["chains_ended", "chains_failed", "completions", "enters", "hook_runs", "host_wakeups", "in_flight", "late_completions", "overflows", "submissions", "verdicts.abort", "verdicts.continue", "verdicts.pass"], values.Keys.Order());
        Assert.Equal((12L, 3L, 1L, 1L), (values["hook_runs"], values["chains_ended"], values["chains_failed"], values["verdicts.abort"]));
        Assert.Equal(12L, values["verdicts.abort"] + values["verdicts.continue"] + values["verdicts.pass"]);
        Assert.True(values["verdicts.pass"] >= 1);
        Assert.Equal((1L, 0L, 0L), (values["in_flight"], values["late_completions"], values["overflows"]));
        // 12 steps, the NOP, the timer.
        Assert.Equal(13L, values["completions"]);
        Assert.True(values["submissions"] >= 14, $"{values["submissions"]} submissions");
        await cancellation.CancelAsync();
        await timer.WaitAsync(s_patience);
    }

    [Fact]
    public async Task A_full_completion_queue_loses_nothing_and_is_counted()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 64, CompletionEntries = 64, MaxOperations = 1024 });
        await using var burst = ring.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        // 128 operations at once for each of seven chains, which start together as the owner is held up: more completions than the queue has
        // room for.
        using var gate = new ManualResetEventSlim();
        ring.Post(new DelegateCommand(_ => gate.Wait(s_patience), null));
        var chains = Enumerable.Range(0, 7).Select(_ => burst.StartAsync(UringOp.Nop()).AsTask()).ToArray();
        gate.Set();
        var results = await Task.WhenAll(chains).WaitAsync(s_patience);
        Assert.All(results, result => Assert.Equal((Verdict.Pass, 129UL), (result.Verdict, result.Steps)));
        Assert.Equal((0, 0L), (ring.OperationsInFlight, ring.LateCompletions));
        Assert.True(ring.Overflows > 0);
        Assert.Equal(ring.Overflows, Read(ring)["overflows"]);
    }

    [Fact]
    public async Task A_ring_s_meter_ends_with_it()
    {
        var ring = CreateRing();
        Assert.NotEmpty(Read(ring));
        await ring.DisposeAsync();
        Assert.Empty(Read(ring));
    }

    [Fact]
    public async Task Events_tell_of_rings_hooks_and_failed_chains()
    {
        using var listener = new Listener();
        var ring = CreateRing();
        using var program = Compile("result");
        var hook = ring.Attach(program, new Grants());
        using var replacement = Compile("result");
        await hook.UpdateAsync(replacement);
        var failed = await hook.StartAsync(UringOp.Nop(-5, 0)).AsTask().WaitAsync(s_patience);
        await hook.StartAsync(UringOp.Nop(5, 0)).AsTask().WaitAsync(s_patience);
        await hook.DisposeAsync();
        await ring.DisposeAsync();
        string[] expected =
        [
            $"RingCreated {ring.Number} {ring.Features.Backend}", $"HookAttached {ring.Number} result", $"HookReplaced {ring.Number} result",
            $"ChainFailed {ring.Number} {failed.Chain} 5", $"HookDetached {ring.Number} result", $"RingClosed {ring.Number}",
        ];
        Assert.Equal(expected, listener.Of(ring.Number));
    }

    // What the source writes of all rings of the process.
    private sealed class Listener : EventListener
    {
        private readonly ConcurrentQueue<(long Ring, string Text)> _events = [];

        public IEnumerable<string> Of(long ring) => _events.Where(one => one.Ring == ring).Select(one => one.Text);

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name == "UringBpf") EnableEvents(eventSource, EventLevel.Informational);
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (eventData.EventSource.Name != "UringBpf") return;
            // What a ring got is in the last part of the first event, for people.
            var parts = eventData.EventName == "RingCreated" ? eventData.Payload!.Take(2) : eventData.Payload!;
            _events.Enqueue(((long)eventData.Payload![0]!, $"{eventData.EventName} {string.Join(" ", parts)}"));
        }
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelMetricsTests() : MetricsTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableMetricsTests() : MetricsTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
public sealed class SimulatedMetricsTests() : MetricsTests(RingBackendKind.Simulated);
