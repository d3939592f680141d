using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>What entering a function costs a metered run.</summary>
internal static class CallCost
{
    /// <summary>
    /// The most instructions on a way through a function without jumps backwards. With such jumps, its length: a jump pays for the slots
    /// that it goes back, so what is left to pay for is the way from the start to the end.
    /// </summary>
    public static int Of(ImmutableArray<Instruction> instructions, Subprogram function)
    {
        var rows = new OpcodeRow?[function.Length];
        for (var at = 0; at < rows.Length; at += rows[at]!.Slots)
        {
            var slot = function.Start + at;
            var row = rows[at] = OpcodeTable.Find(instructions[slot])!;
            if (row.IsJump && Target(row, instructions[slot], at) <= at) return function.Length;
        }
        // From the end: every instruction leads to later ones only.
        var longest = new int[function.Length + 1];
        for (var at = rows.Length - 1; at >= 0; at--)
        {
            if (rows[at] is not { } row) continue;
            var after = row.Operation is Operation.Exit or Operation.Jump ? 0 : longest[at + row.Slots];
            if (row.IsJump) after = Math.Max(after, longest[Target(row, instructions[function.Start + at], at)]);
            longest[at] = after + 1;
        }
        return Math.Max(1, longest[0]);
    }

    private static int Target(OpcodeRow row, in Instruction jump, int at) => at + 1 + (row.IsLongJump ? jump.Immediate : jump.Offset);
}
