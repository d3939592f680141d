using System.Buffers.Binary;
using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>Every arithmetic row and every conditional jump, over all pairs of <see cref="Values"/>.</summary>
internal static class ArithmeticGrid
{
    public static IEnumerable<(OpcodeRow Row, ConformanceCase Case)> Cases()
    {
        foreach (var row in OpcodeTable.Rows)
        {
            if (row.IsArithmetic)
            {
                foreach (var test in Row(row, Arithmetic, (left, right) => Reference.Arithmetic(row, left, right))) yield return (row, test);
            }
            else if (row.IsConditionalJump)
            {
                foreach (var test in Row(row, Jump, (left, right) => Reference.IsTaken(row, left, right) ? 1UL : 2)) yield return (row, test);
            }
        }
    }

    private static IEnumerable<ConformanceCase> Row(OpcodeRow row, Func<Instruction, int, string> program, Func<ulong, ulong, ulong> expected)
    {
        var name = Corpus.GridName(row);
        if (row.Source == OperandSource.Immediate)
        {
            foreach (var immediate in Values.Immediates)
            {
                yield return Case($"{name} {immediate}", Load + program(row.Encode(3, immediate: immediate), 3),
                    Values.Registers.Select(left => (left, 0UL, expected(left, (ulong)(long)immediate))));
            }
            yield break;
        }
        var unary = row.Source == OperandSource.None;
        var pairs = (from left in Values.Registers from right in unary ? [0UL] : Values.Registers select (left, right, expected(left, right))).ToArray();
        yield return Case(name, Load + program(row.Encode(3, unary ? 0 : 4), 3), pairs);
        yield return Case($"{name}, in r0", Load + "r0 = r3\n" + program(row.Encode(0, unary ? 0 : 4), 0), pairs.Where((_, index) => unary || index % 7 == 0));
        if (!unary) yield return Case($"{name}, one register", Load + program(row.Encode(3, 3), 3), Values.Registers.Select(value => (value, 0UL, expected(value, value))));
        // Operands that a compiler sees.
        foreach (var (left, right, result) in pairs.Where((_, index) => index % (unary ? 4 : 97) == 0))
        {
            yield return Case($"{name}, constants 0x{left:x} 0x{right:x}", $"r3 = 0x{left:x} ll\nr4 = 0x{right:x} ll\n" + program(row.Encode(3, unary ? 0 : 4), 3), [(0, 0, result)]);
        }
    }

    private const string Load = "r3 = *(u64 *)(r1 + 0)\nr4 = *(u64 *)(r1 + 8)\n";

    private static string Arithmetic(Instruction instruction, int register) => $"{Disassembler.Format(instruction)}\nr0 = r{register}\nexit";

    private static string Jump(Instruction instruction, int register) => $"{Disassembler.Format(instruction.WithOffset(2))}\nr0 = 2\nexit\nr0 = 1\nexit";

    private static ConformanceCase Case(string name, string text, IEnumerable<(ulong Left, ulong Right, ulong Result)> operands) => new()
    {
        Name = name,
        Code = Assembler.Assemble(text),
        Runs = [.. operands.Select(operand => new CaseRun(Memory(operand.Left, operand.Right), operand.Result))],
    };

    private static byte[] Memory(params ReadOnlySpan<ulong> words)
    {
        var memory = new byte[words.Length * 8];
        for (var i = 0; i < words.Length; i++) BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(i * 8), words[i]);
        return memory;
    }
}
