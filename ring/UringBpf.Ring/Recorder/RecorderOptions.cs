namespace UringBpf.Ring;

/// <summary>
/// Turns a ring's flight recorder on: a fixed-size record, in native memory, of what the ring last did. Older events give
/// way to newer ones; recording allocates nothing. Without these options the ring pays one predictable branch for each
/// thing that would be recorded.
/// </summary>
public sealed record RecorderOptions
{
    /// <summary>Events kept, 1,024..16,777,216, rounded up to a power of two; 64 bytes each. Default 65,536.</summary>
    public int Events { get; init; } = 65_536;

    /// <summary>True to measure how long each hook takes: two clock reads a hook. Default false.</summary>
    public bool HookDurations { get; init; }

    /// <summary>Called on the thread pool with the record as it was when a chain ended with an errno other than -ECANCELED. Not
    /// called again for chains that fail while it still runs.</summary>
    public Action<RingTrace>? ChainFailed { get; init; }

    /// <summary>Called on the ring's thread when the ring has come to rest, before <see cref="Ring.DisposeAsync"/> completes; what it
    /// throws, that throws.</summary>
    public Action<RingTrace>? Exiting { get; init; }
}
