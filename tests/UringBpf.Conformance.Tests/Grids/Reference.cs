using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>
/// What instructions compute, written from RFC 9669 section 4 on integers of unlimited size: slow, and independent of the
/// engines.
/// </summary>
internal static class Reference
{
    /// <summary>Arithmetic, byte swaps and moves.</summary>
    /// <param name="row">The instruction.</param>
    /// <param name="left">The destination register before.</param>
    /// <param name="right">The second operand, an immediate sign-extended to 64 bits.</param>
    /// <returns>The destination register after.</returns>
    public static ulong Arithmetic(OpcodeRow row, ulong left, ulong right)
    {
        var width = row.Width;
        var (a, b) = (Unsigned(left, width), Unsigned(right, width));
        var (sa, sb) = (Signed(left, width), Signed(right, width));
        var count = (int)(b & (width - 1));
        var result = row.Operation switch
        {
            Operation.Add => a + b,
            Operation.Subtract => a - b,
            Operation.Multiply => a * b,
            Operation.Divide => b.IsZero ? 0 : BigInteger.Divide(a, b),
            Operation.SignedDivide => sb.IsZero ? 0 : BigInteger.Divide(sa, sb),
            Operation.Modulo => b.IsZero ? a : BigInteger.Remainder(a, b),
            Operation.SignedModulo => sb.IsZero ? a : BigInteger.Remainder(sa, sb),
            Operation.Or => a | b,
            Operation.And => a & b,
            Operation.Xor => a ^ b,
            Operation.ShiftLeft => a << count,
            Operation.ShiftRight => a >> count,
            Operation.ShiftRightArithmetic => sa >> count,
            Operation.Negate => -a,
            Operation.Move => b,
            Operation.MoveSignExtend => Signed(right, row.Bits),
            // The hosts are little-endian, so that conversion truncates.
            Operation.ToLittleEndian => Unsigned(left, row.Bits),
            Operation.ToBigEndian or Operation.ByteSwap => Swapped(left, row.Bits / 8),
            _ => throw new ArgumentOutOfRangeException(nameof(row), row.Operation, null),
        };
        return (ulong)Unsigned(result, width);
    }

    /// <summary>Whether a conditional jump is taken.</summary>
    public static bool IsTaken(OpcodeRow row, ulong left, ulong right)
    {
        var (a, b) = (Unsigned(left, row.Width), Unsigned(right, row.Width));
        var (sa, sb) = (Signed(left, row.Width), Signed(right, row.Width));
        return row.Operation switch
        {
            Operation.JumpEqual => a == b,
            Operation.JumpNotEqual => a != b,
            Operation.JumpGreater => a > b,
            Operation.JumpGreaterOrEqual => a >= b,
            Operation.JumpLess => a < b,
            Operation.JumpLessOrEqual => a <= b,
            Operation.JumpSignedGreater => sa > sb,
            Operation.JumpSignedGreaterOrEqual => sa >= sb,
            Operation.JumpSignedLess => sa < sb,
            Operation.JumpSignedLessOrEqual => sa <= sb,
            Operation.JumpSet => !(a & b).IsZero,
            _ => throw new ArgumentOutOfRangeException(nameof(row), row.Operation, null),
        };
    }

    /// <summary>Atomic operations (section 5.3): what memory, the source register and r0 hold afterwards.</summary>
    public static (ulong Memory, ulong Source, ulong R0) Atomic(OpcodeRow row, ulong memory, ulong source, ulong r0)
    {
        var (old, operand) = (Unsigned(memory, row.Bits), Unsigned(source, row.Bits));
        var updated = row.Operation switch
        {
            Operation.AtomicAdd or Operation.AtomicFetchAdd => old + operand,
            Operation.AtomicOr or Operation.AtomicFetchOr => old | operand,
            Operation.AtomicAnd or Operation.AtomicFetchAnd => old & operand,
            Operation.AtomicXor or Operation.AtomicFetchXor => old ^ operand,
            Operation.AtomicExchange => operand,
            Operation.AtomicCompareExchange => old == Unsigned(r0, row.Bits) ? operand : old,
            _ => throw new ArgumentOutOfRangeException(nameof(row), row.Operation, null),
        };
        var fetches = row.Operation is >= Operation.AtomicFetchAdd and <= Operation.AtomicExchange;
        return ((ulong)Unsigned(updated, row.Bits), fetches ? (ulong)old : source, row.Operation == Operation.AtomicCompareExchange ? (ulong)old : r0);
    }

    public static BigInteger Unsigned(BigInteger value, int bits) => value & ((BigInteger.One << bits) - 1);

    public static BigInteger Signed(BigInteger value, int bits)
    {
        var low = Unsigned(value, bits);
        return low >> (bits - 1) == 1 ? low - (BigInteger.One << bits) : low;
    }

    private static BigInteger Swapped(ulong value, int bytes)
    {
        BigInteger result = 0;
        for (var i = 0; i < bytes; i++) result = (result << 8) | ((value >> (8 * i)) & 0xff);
        return result;
    }
}
