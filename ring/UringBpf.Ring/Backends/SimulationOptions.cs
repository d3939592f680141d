using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// A machine that exists in memory alone, with a clock of its own: what <see cref="RingBackendKind.Simulated"/> runs on.
/// The seed decides in which order and how late operations complete and which of them fail. With equal options and equal
/// calls in equal order, two runs are equal to the byte.
/// </summary>
/// <remarks>Rates are probabilities, 0 to 1; all are 0 by default: order and delay vary, nothing fails.</remarks>
public sealed record SimulationOptions
{
    /// <summary>Decides everything that is left to chance.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Files there are at the start, by absolute path. Directories above them exist.</summary>
    public ImmutableDictionary<string, ReadOnlyMemory<byte>> Files { get; init; } = ImmutableDictionary<string, ReadOnlyMemory<byte>>.Empty;

    /// <summary>True: a path that is not in <see cref="Files"/> is looked for on this machine's disk, and read into memory when
    /// it is first opened. The disk is never written to. Default false.</summary>
    public bool ReadsHostFiles { get; init; }

    /// <summary>The shortest time an operation takes, on the simulation's clock. Default 1 µs.</summary>
    public TimeSpan MinDelay { get; init; } = TimeSpan.FromMicroseconds(1);

    /// <summary>The longest time an operation takes, unless it is slow or waits for something. Default 200 µs.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromMicroseconds(200);

    /// <summary>The clock jumps to the next event, but not over a time as long as this: the ring then waits for the host to act,
    /// as if a timer that far ahead were never to fire. Default: no limit.</summary>
    public TimeSpan LongestIdle { get; init; } = TimeSpan.MaxValue;

    /// <summary>How many operations take a hundred times as long.</summary>
    public double SlowRate { get; init; }

    /// <summary>How many transfers move less than they could.</summary>
    public double ShortRate { get; init; }

    /// <summary>How many operations fail with -EINTR, having done nothing.</summary>
    public double InterruptRate { get; init; }

    /// <summary>How many operations fail with -EAGAIN, having done nothing.</summary>
    public double AgainRate { get; init; }

    /// <summary>How many operations fail with -EIO, having done nothing.</summary>
    public double ErrorRate { get; init; }

    /// <summary>How many completions find the completion queue full, however large it is.</summary>
    public double OverflowRate { get; init; }

    /// <summary>True: while completions wait for room in the completion queue, nothing is submitted (-EBUSY), as on Linux 5.5 to 5.12. Default false.</summary>
    public bool BusyOnOverflow { get; init; }

    /// <summary>How many calls to submit and wait fail with -EINTR, -EAGAIN or -EBUSY and must be repeated.</summary>
    public double EnterFailureRate { get; init; }

    /// <summary>How many cancel requests for a file operation come too late: it completes as if not cancelled.</summary>
    public double LateCancelRate { get; init; }

    /// <summary>Called on the ring's thread with a line for each thing that happens: time in nanoseconds, what, result.</summary>
    public Action<string>? Trace { get; init; }

    /// <summary>The same machine with every kind of fault at one rate, 0 to 1.</summary>
    public SimulationOptions WithFaults(double rate) => this with
    {
        SlowRate = rate,
        ShortRate = rate,
        InterruptRate = rate,
        AgainRate = rate,
        ErrorRate = rate,
        OverflowRate = rate,
        EnterFailureRate = rate,
        LateCancelRate = rate,
    };

    internal void Validate()
    {
        foreach (var rate in (ReadOnlySpan<double>)[SlowRate, ShortRate, InterruptRate, AgainRate, ErrorRate, OverflowRate, EnterFailureRate, LateCancelRate])
        {
            if (rate is not (>= 0 and <= 1)) throw new BpfException("UB4511", $"a rate of the simulation is {rate}: a probability is between 0 and 1.");
        }
        if (InterruptRate + AgainRate + ErrorRate > 1) throw new BpfException("UB4511", "the simulation's rates of EINTR, EAGAIN and EIO add up to more than 1.");
        // One of a thousand calls to submit must get through, or nothing ever would.
        if (EnterFailureRate > 0.999) throw new BpfException("UB4511", $"EnterFailureRate is {EnterFailureRate}: at most 0.999, or nothing would ever be submitted.");
        if (MinDelay < TimeSpan.Zero || MaxDelay < MinDelay || MaxDelay > TimeSpan.FromDays(1))
            throw new BpfException("UB4511", $"an operation of the simulation takes {MinDelay} to {MaxDelay}: at least zero, at most a day, and not the longer before the shorter.");
        foreach (var path in Files.Keys)
        {
            if (!path.StartsWith('/')) throw new BpfException("UB4511", $"the simulated file '{path}' has no absolute path.");
        }
    }
}
