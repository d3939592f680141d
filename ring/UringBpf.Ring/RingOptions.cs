using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace UringBpf.Ring;

/// <summary>How a ring is made. Validated by <see cref="Ring.Create"/>.</summary>
public sealed record RingOptions
{
    /// <summary>Submission queue entries, 1..32768, rounded up to a power of two. Default 256.</summary>
    public int QueueEntries { get; init; } = 256;

    /// <summary>Completion queue entries, 1..65536, at least twice <see cref="QueueEntries"/> advised. Default 4096.</summary>
    public int CompletionEntries { get; init; } = 4096;

    /// <summary>Operations in flight at once, host's and hooks' together, 1..1048576. Default 4096.</summary>
    public int MaxOperations { get; init; } = 4096;

    /// <summary>
    /// How many of <see cref="MaxOperations"/> are kept for the host: chains, which may go on for ever, never hold them. A <see cref="RingBatch"/>
    /// of more operations may have to wait for chains. 0..<see cref="MaxOperations"/> - 1. Default null: an eighth, at most 64, at least 1.
    /// </summary>
    public int? HostReserve { get; init; }

    /// <summary>
    /// Completions that are handled, and requests of the host that are taken, in one turn of the ring's loop: after so many the other have their turn,
    /// and what was submitted meanwhile goes out. 1..65536. Default 1024.
    /// </summary>
    public int TurnLimit { get; init; } = 1024;

    /// <summary>
    /// BPF instructions that metered hooks may use up in one turn, above which the other completions wait for the next one. At least 1. Default
    /// 4,194,304, what a single run may use. A hook that was proved to end is not counted: <see cref="TurnLimit"/> bounds those.
    /// </summary>
    public long TurnBudget { get; init; } = 4_194_304;

    /// <summary>Slots in the ring's file table, 1..32768: granted files, the host's direct descriptors, and files that chains open, of which those of one attachment hold
    /// as many as they leave free. Default 1024.</summary>
    public int FileSlots { get; init; } = 1024;

    /// <summary>Keeps a record of what the ring does, for <see cref="Ring.TraceAsync"/>. Default null: nothing is recorded.</summary>
    public RecorderOptions? Recorder { get; init; }

    /// <summary>Name of the owner thread.</summary>
    public string ThreadName { get; init; } = "UringBpf ring";

    /// <summary>Who carries out operations. Default: the kernel, or the portable back end where io_uring is refused.</summary>
    public RingBackendKind Backend { get; init; }

    /// <summary>The simulated machine; null for the defaults. Used by <see cref="RingBackendKind.Simulated"/> alone.</summary>
    public SimulationOptions? Simulation { get; init; }

    /// <summary>Where the ring says what its user should know: that it fell back to another back end, that it failed. Null: nowhere.</summary>
    public ILogger? Logger { get; init; }

    /// <summary>
    /// Makes the meter <c>UringBpf</c> that the ring's counters are read from (instruments <c>uringbpf.ring.*</c>, tags <c>ring</c> and <c>backend</c>), as
    /// a host with dependency injection has one. Null: the ring makes its own, which ends with it.
    /// </summary>
    public IMeterFactory? MeterFactory { get; init; }

    /// <summary>For tests: what the portable back end works on, in place of what this machine has.</summary>
    internal PortableSystem? System { get; init; }
}
