using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// What a value has beside a number's members: of most numbers nothing, and of most pointers the same as the one they were
/// made from. Immutable, shared between values. See the members of <see cref="Value"/> of the same names.
/// </summary>
internal sealed record PointerPart
{
    public static readonly PointerPart None = new();

    public MapSpec? Map { get; init; }
    public long Range { get; init; } = -1;
    public long LinkOffset { get; init; }
    public int LinkId { get; init; }
    public int Scale { get; init; } = 1;
    public int Reference { get; init; }
    public int Detail { get; init; }
    public bool IsReadOnly { get; init; }
}
