using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>What a state knows beside its frames: most states of a program know the same. Immutable, shared.</summary>
internal sealed record Holdings
{
    public static readonly Holdings None = new();

    /// <summary>References that must be released before the program ends, in the order they were acquired. Never written in place.</summary>
    public int[] References { get; init; } = [];

    /// <summary>Identity of the map value whose lock is held, or 0.</summary>
    public int LockId { get; init; }

    public MapSpec? LockMap { get; init; }

    /// <summary>True while a lock or a reference is held.</summary>
    public bool HoldsResource => LockId != 0 || References.Length > 0;

    /// <summary>Bytes from data that are known to lie before data_end.</summary>
    public long BufferRange { get; init; }
}
