using System.Collections.Immutable;

namespace UringBpf.Ring;

/// <summary>What a ring got from its back end.</summary>
/// <param name="Backend">kernel, portable or simulated.</param>
/// <param name="Setup">The setup flags in force; flags that the kernel lacks were left out one set at a time; none on other back ends.</param>
/// <param name="RegisteredRing">True when the ring's descriptor is registered with the kernel.</param>
/// <param name="QueueEntries">Submission queue entries.</param>
/// <param name="CompletionEntries">Completion queue entries.</param>
/// <param name="Operations">The operations that can be submitted.</param>
public sealed record RingFeatures(
    string Backend, SetupFlags Setup, bool RegisteredRing, uint QueueEntries, uint CompletionEntries, ImmutableArray<IoUringOp> Operations)
{
    /// <summary>Why the portable back end was chosen instead of the kernel's; null where it was asked for, and elsewhere.</summary>
    public string? FallbackReason { get; init; }
}
