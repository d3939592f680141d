using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace UringBpf.Ring;

// What a ring counts anyway, for whoever listens: reading costs it nothing.
public sealed unsafe partial class Ring
{
    private const string MeterName = "UringBpf";

    private static long s_rings;

    // In the order of creation, in this process: what events and measurements call the ring.
    internal long Number { get; } = Interlocked.Increment(ref s_rings);
    private Meter? _meter;
    private long _submissions;
    private long _passes;
    private long _aborts;
    private long _programRuns;

    /// <summary>Submission queue entries that the back end has taken so far: operations, requests to cancel them, and the reads by which other threads wake the ring.</summary>
    public long Submissions => Volatile.Read(ref _submissions);

    /// <summary>Times that completions were held back as the completion queue was full. None is lost: they follow when there is room.</summary>
    public long Overflows => _backend.Overflows;

    private void Announce(RingOptions options)
    {
        Measure(options.MeterFactory);
        RingEvents.Log.Created(Number, Features);
    }

    private void Measure(IMeterFactory? factory)
    {
        // What a factory makes is its own to dispose.
        var meter = factory?.Create(new MeterOptions(MeterName));
        meter ??= _meter = new Meter(MeterName);
        KeyValuePair<string, object?>[] tags = [new("ring", Number), new("backend", _backend.Name)];
        Count("submissions", "Submission queue entries taken.", () => Submissions);
        Count("completions", "Completions taken from the completion queue.", () => Completions);
        Count("hook_runs", "Runs of completion hooks, and of programs as operations.", () => HookRuns);
        Count("late_completions", "Completions that came after their chain had ended.", () => LateCompletions);
        Count("overflows", "Times that completions were held back as the completion queue was full.", () => Overflows);
        Count("host_wakeups", "Results handed to the host.", () => HostWakeUps);
        Count("chains_ended", "Chains that ended.", () => ChainsEnded);
        Count("chains_failed", "Chains that ended with an errno.", () => ChainsFailed);
        Count("enters", "System calls to submit and wait.", () => Enters);
        meter.CreateObservableGauge("uringbpf.ring.in_flight", () => new Measurement<long>(OperationsInFlight, tags), description: "Operations in flight.");
        KeyValuePair<string, object?>[] Verdict(string verdict) => [.. tags, new("verdict", verdict)];
        var (goOn, pass, abort) = (Verdict("continue"), Verdict("pass"), Verdict("abort"));
        meter.CreateObservableCounter("uringbpf.ring.verdicts", () =>
        {
            var (passes, aborts) = (Volatile.Read(ref _passes), Volatile.Read(ref _aborts));
            // Each on its own is exact; together they are as of moments that lie close to each other.
            var others = Math.Max(0, HookRuns - Volatile.Read(ref _programRuns) - passes - aborts);
            return new[] { new Measurement<long>(others, goOn), new(passes, pass), new(aborts, abort) };
        }, description: "What hooks answered: continue, pass, abort (an errno).");

        void Count(string name, string description, Func<long> value) =>
            meter.CreateObservableCounter($"uringbpf.ring.{name}", () => new Measurement<long>(value(), tags), description: description);
    }

    private void EndMetrics(Exception? error)
    {
        try
        {
            _meter?.Dispose();
            RingEvents.Log.Closed(Number, error);
            if (error != null && _logger != null) LogFailure(_logger, error);
        }
        catch (Exception) when (error != null)
        {
            // What the host hears of is why the ring failed, not that telling of it failed too.
        }
    }

    [LoggerMessage(EventId = 4505, Level = LogLevel.Error, Message = "The ring has failed.")]
    private static partial void LogFailure(ILogger logger, Exception error);
}
