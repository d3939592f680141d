using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// A number in a loop's body as a sum: the values some registers have when the round starts, a constant, and at most
/// one address of a map value.
/// </summary>
internal sealed record LinearSum(ImmutableSortedRegisters Registers, long Constant, int Map = -1)
{
    public static LinearSum Of(int register) => new(ImmutableSortedRegisters.Of(register), 0);

    public static LinearSum Number(long value) => new(ImmutableSortedRegisters.None, value);

    // Addresses have two or three. A register that is added to itself again and again has twice as many each time.
    private const int MaxRegisters = 8;

    /// <summary>The sum of two, or null when it is not linear in this sense.</summary>
    public LinearSum? Plus(LinearSum other) => (Map >= 0 && other.Map >= 0) || Registers.Items.Count + other.Registers.Items.Count > MaxRegisters
        ? null
        : new LinearSum(Registers.And(other.Registers), unchecked(Constant + other.Constant), Math.Max(Map, other.Map));

    /// <summary>The register when the sum is nothing but its value at the start of the round, else -1.</summary>
    public int PlainRegister => Map < 0 && Registers.Items.Count == 1 ? Registers.Items[0] : -1;
}

/// <summary>Register numbers with repetition, in order, compared by content.</summary>
internal sealed record ImmutableSortedRegisters(IReadOnlyList<int> Items)
{
    public static ImmutableSortedRegisters None { get; } = new([]);

    public static ImmutableSortedRegisters Of(int register) => new([register]);

    public ImmutableSortedRegisters And(ImmutableSortedRegisters other) => new([.. Items.Concat(other.Items).Order()]);

    public bool Equals(ImmutableSortedRegisters? other) => other is not null && Items.SequenceEqual(other.Items);

    public override int GetHashCode() => Items.Count;
}

/// <summary>Bytes a loop reads or writes in each round: <see cref="Size"/> at <see cref="Address"/>, which moves on by as much.</summary>
internal sealed record LoopAccess(LinearSum Address, int Size);

/// <summary>A register that a loop adds what it reads to.</summary>
internal sealed record LoopReduction(int Register, LoopAccess Load, int Width);

/// <summary>What a loop writes: what it reads, or a number or register that does not change in it.</summary>
internal sealed record LoopStore(LoopAccess Target, LoopAccess? Source, int ValueRegister, long Value);

/// <summary>
/// A loop of one straight body that adds up memory, copies it, or fills it, with all its rounds but the last known when
/// it starts: those run on vectors, the last as it stands. The bytes accessed are the ones the loop itself would access,
/// so nothing beyond its proof is relied on.
/// </summary>
/// <param name="Header">The body.</param>
/// <param name="Latch">The block of the jump back when it is not the body itself.</param>
/// <param name="Steps">What each register that counts gains in a round.</param>
/// <param name="Tested">What the loop's condition compares, in terms of values at the start of the round.</param>
/// <param name="TestedStep">What it gains in a round: a power of two.</param>
/// <param name="UntilEqual">True when the loop ends at equality, false when it goes on while below the limit.</param>
/// <param name="LimitRegister">The register compared with, or -1.</param>
/// <param name="Limit">The constant compared with when there is no register.</param>
/// <param name="LimitInclusive">True when the loop goes on at the limit too.</param>
/// <param name="Reductions">What it adds up.</param>
/// <param name="Store">What it writes; a loop that writes adds nothing up.</param>
internal sealed record LoopPlan(
    BasicBlock Header, BasicBlock? Latch, IReadOnlyDictionary<int, long> Steps, LinearSum Tested, long TestedStep,
    bool UntilEqual, int LimitRegister, long Limit, bool LimitInclusive,
    IReadOnlyList<LoopReduction> Reductions, LoopStore? Store)
{
    /// <summary>The plan for the loop a block is the body of, or null.</summary>
    public static LoopPlan? Find(ProgramGraph program, FunctionGraph function, BasicBlock block) =>
        new LoopReader(program, function, block).Read();
}
