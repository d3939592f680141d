using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Why this verifier accepts what the kernel's refuses, on purpose; docs/kernel-agreement.md tells it at length.</summary>
/// <param name="Key">The name of the reason, which docs/kernel-agreement.md has as a heading.</param>
/// <param name="Holds">True for a program that the kernel refuses for this reason.</param>
internal sealed record KnownDifference(string Key, Func<string, VerifiedProgram, bool> Holds)
{
    /// <summary>The reasons. Each one looks at the program, not only at what the kernel says of it.</summary>
    public static readonly ImmutableArray<KnownDifference> All =
    [
        // The tests use `/= 0` as a mark in what must be reached, so it has to be reached here too.
        new("Division by an immediate 0", (why, program) => why == "div by zero" && Reached(program, (row, instruction) =>
            row.Operation is Operation.Divide or Operation.SignedDivide or Operation.Modulo or Operation.SignedModulo
            && row.Source == OperandSource.Immediate && instruction.Immediate == 0)),
        new("Shifts by more than the width", (why, program) => why.EndsWith("max value is outside of the allowed memory range", StringComparison.Ordinal)
            && ReachedAt(program, (row, instruction, facts) => row.Operation is Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic
                && row.Source == OperandSource.Register && facts.SourceMax >= (ulong)row.Width)),
        new("Subtraction from the frame pointer", (why, program) => why.Contains("subtraction from stack pointer prohibited", StringComparison.Ordinal)
            && Reached(program, (row, _) => row is { Operation: Operation.Subtract, Width: 64 })),
        new("Packet memory as a helper's argument", (why, program) => why == "helper access to the packet is not allowed" && program.Type.HasPacket),
        new("The context is never NULL", (why, program) => why == "same insn cannot be used with different pointers" && ReachedAt(program, (row, instruction, facts) =>
            row is { Operation: Operation.JumpEqual or Operation.JumpNotEqual, Source: OperandSource.Immediate } && instruction.Immediate == 0 && facts.MayJump != facts.MayFallThrough)),
        new("Numbers in half a stack slot", (why, program) => why.Contains("pkt pointer", StringComparison.Ordinal) && ReachedHalf(program)
            || why.EndsWith("offset is outside of the packet", StringComparison.Ordinal) && program.Type.Context.StructName == "__sk_buff" && ReachedHalf(program)),
        new("data_meta", (why, program) => (why.Contains("packet", StringComparison.Ordinal) || why.Contains("!read_ok", StringComparison.Ordinal))
            && program.Type.Context.Fields.FirstOrDefault(field => field.Name == "data_meta") is { Size: > 0 } meta
            && ReachedAt(program, (row, _, facts) => row.Operation == Operation.Load && facts.Region == RegionKind.Context && facts.OffsetMin == meta.Offset)),
    ];

    private static bool ReachedHalf(VerifiedProgram program) => ReachedAt(program, (row, _, facts) =>
        row is { Operation: Operation.Store, AccessBytes: 4 } && facts.Region == RegionKind.Stack && facts.OffsetMin % 8 != 0);

    private static bool Reached(VerifiedProgram program, Func<OpcodeRow, Instruction, bool> wanted) => ReachedAt(program, (row, instruction, _) => wanted(row, instruction));

    private static bool ReachedAt(VerifiedProgram program, Func<OpcodeRow, Instruction, InstructionFacts, bool> wanted)
    {
        for (var slot = 0; slot < program.Facts.Length; slot++)
        {
            if (program.Facts[slot].Reached && OpcodeTable.Find(program.Spec.Instructions[slot]) is { } row
                && wanted(row, program.Spec.Instructions[slot], program.Facts[slot]))
            {
                return true;
            }
        }
        return false;
    }
}
