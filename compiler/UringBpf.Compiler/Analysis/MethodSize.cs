using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// How much code goes into one method. Beyond some 2,000 blocks, 2,000 locals, 8,000 references to locals, 20,000 IL
/// instructions or 60,000 IL bytes RyuJIT compiles without optimising, and it keeps at most 1,024 locals in registers.
/// </summary>
/// <param name="Slots">Slots of BPF.</param>
/// <param name="Blocks">Basic blocks; a conditional jump makes the runtime's compiler a block or two more.</param>
/// <param name="Definitions">Instructions that write a register: each may get a local of its own.</param>
/// <param name="References">Reads and writes of registers.</param>
internal readonly record struct MethodSize(int Slots, int Blocks, int Definitions, int References)
{
    /// <summary>Slots of the longest block: one always fits.</summary>
    public const int MaxBlockSlots = 1_000;

    private const int MaxBlocks = 600, MaxDefinitions = 1_000, MaxReferences = 7_000;

    // For each helper that a call by number in a register tries.
    private const int BlocksPerCallee = 2, ReferencesPerCallee = 7;

    /// <summary>True when RyuJIT optimises a method of this size fully.</summary>
    /// <param name="maxSlots"><see cref="CompilerOptions.RegionInstructions"/>.</param>
    public bool Fits(int maxSlots) => Slots <= maxSlots && Blocks <= MaxBlocks && Definitions <= MaxDefinitions && References <= MaxReferences;

    /// <summary>The size of one block.</summary>
    public static MethodSize Of(ProgramGraph program, BasicBlock block)
    {
        var (blocks, definitions, references) = (1, 0, 0);
        for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
        {
            var (reads, writes) = (program.Reads(slot), program.Writes(slot));
            definitions += writes == 0 ? 0 : 1;
            references += BitOperations.PopCount((uint)reads) + BitOperations.PopCount((uint)writes);
            if (program.Row(slot).Operation != Operation.CallRegister) continue;
            var callees = program.RegisterCallees(slot).Count;
            blocks += callees * BlocksPerCallee;
            references += callees * ReferencesPerCallee;
        }
        return new MethodSize(block.End - block.Start, blocks, definitions, references);
    }

    /// <summary>The size of a function's own blocks.</summary>
    public static MethodSize Of(ProgramGraph program, FunctionGraph function)
    {
        var size = new MethodSize();
        foreach (var block in function.Blocks) size += Of(program, block);
        return size;
    }

    public static MethodSize operator +(MethodSize a, MethodSize b) =>
        new(a.Slots + b.Slots, a.Blocks + b.Blocks, a.Definitions + b.Definitions, a.References + b.References);
}
