using UringBpf.Bytecode;

namespace UringBpf.Compiler.Tests;

/// <summary>Every arithmetic row against a plain C# model of RFC 9669, at values where widths, signs and zero matter.</summary>
public sealed class ArithmeticTests
{
    private static readonly ulong[] s_values =
    [
        0, 1, 2, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
        0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, ulong.MaxValue, 0x0123_4567_89ab_cdef, 0xffff_ffff_8000_0000,
    ];

    public static TheoryData<int, string> Rows()
    {
        var rows = new TheoryData<int, string>();
        foreach (var row in OpcodeTable.Rows)
        {
            if (row.IsArithmetic) rows.Add(row.Index, $"{row.Operation}{row.Width}/{row.Bits} {row.Source}");
        }
        return rows;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void ArithmeticFollowsTheRfc(int index, string name)
    {
        var row = OpcodeTable.Rows[index];
        var offset = row.Selector == RowSelector.Offset ? (short)row.SelectorValue : (short)0;
        foreach (var options in new[] { CompilerOptions.Straight, CompilerOptions.Default })
        {
            if (row.Source == OperandSource.Immediate)
            {
                foreach (var immediate in new[] { 0, 1, -1, 5, 31, 33, 64, int.MinValue, int.MaxValue })
                    Check(row, new Instruction(row.Opcode, 3, 0, offset, immediate), options, (ulong)(long)immediate, [0], name);
            }
            else
            {
                var selector = row.Selector == RowSelector.Immediate ? row.SelectorValue : 0;
                Check(row, new Instruction(row.Opcode, 3, row.Source == OperandSource.Register ? 4 : 0, offset, selector), options, null, s_values, name);
            }
        }
    }

    // Runs dst = context[0], src = context[8], the instruction, r0 = dst.
    private static unsafe void Check(OpcodeRow row, Instruction instruction, CompilerOptions options, ulong? immediate, ulong[] sources, string name)
    {
        var program = TestPrograms.Trusted(
            new Instruction(0x79, 3, 1, 0), new Instruction(0x79, 4, 1, 8), instruction, new Instruction(0xbf, 0, 3), new Instruction(0x95));
        using var compiled = ProgramCompiler.Compile(program, Runtime.MapSet.Empty, options);
        var context = new byte[16];
        foreach (var destination in s_values)
        {
            foreach (var source in sources)
            {
                BitConverter.TryWriteBytes(context, destination);
                BitConverter.TryWriteBytes(context.AsSpan(8), source);
                var expected = Model(row, destination, immediate ?? source);
                Assert.True(expected == compiled.Run(context), $"{name}: {destination:x}, {immediate ?? source:x}: expected {expected:x}, got {compiled.Run(context):x}");
            }
        }
    }

    private static ulong Model(OpcodeRow row, ulong a, ulong b)
    {
        if (row.Operation is Operation.ToLittleEndian or Operation.ToBigEndian or Operation.ByteSwap)
        {
            var bytes = BitConverter.GetBytes(a)[..(row.Bits / 8)];
            if (row.Operation != Operation.ToLittleEndian) Array.Reverse(bytes);
            Array.Resize(ref bytes, 8);
            return BitConverter.ToUInt64(bytes);
        }
        if (row.Operation == Operation.MoveSignExtend)
        {
            var extended = (ulong)((long)(b << (64 - row.Bits)) >> (64 - row.Bits));
            return row.Width == 32 ? (uint)extended : extended;
        }
        if (row.Width == 32)
        {
            uint x = (uint)a, y = (uint)b;
            return row.Operation switch
            {
                Operation.Add => x + y,
                Operation.Subtract => x - y,
                Operation.Multiply => x * y,
                Operation.Divide => y == 0 ? 0 : x / y,
                Operation.Modulo => y == 0 ? x : x % y,
                Operation.SignedDivide => y == 0 ? 0 : x == 0x8000_0000 && y == uint.MaxValue ? x : (uint)((int)x / (int)y),
                Operation.SignedModulo => y == 0 ? x : y == uint.MaxValue ? 0 : (uint)((int)x % (int)y),
                Operation.Or => x | y,
                Operation.And => x & y,
                Operation.Xor => x ^ y,
                Operation.ShiftLeft => x << (int)(y % 32),
                Operation.ShiftRight => x >> (int)(y % 32),
                Operation.ShiftRightArithmetic => (uint)((int)x >> (int)(y % 32)),
                Operation.Negate => 0 - x,
                Operation.Move => y,
                _ => throw new InvalidOperationException(row.ToString()),
            };
        }
        return row.Operation switch
        {
            Operation.Add => a + b,
            Operation.Subtract => a - b,
            Operation.Multiply => a * b,
            Operation.Divide => b == 0 ? 0 : a / b,
            Operation.Modulo => b == 0 ? a : a % b,
            Operation.SignedDivide => b == 0 ? 0 : a == 1ul << 63 && b == ulong.MaxValue ? a : (ulong)((long)a / (long)b),
            Operation.SignedModulo => b == 0 ? a : b == ulong.MaxValue ? 0 : (ulong)((long)a % (long)b),
            Operation.Or => a | b,
            Operation.And => a & b,
            Operation.Xor => a ^ b,
            Operation.ShiftLeft => a << (int)(b % 64),
            Operation.ShiftRight => a >> (int)(b % 64),
            Operation.ShiftRightArithmetic => (ulong)((long)a >> (int)(b % 64)),
            Operation.Negate => 0 - a,
            Operation.Move => b,
            _ => throw new InvalidOperationException(row.ToString()),
        };
    }
}
