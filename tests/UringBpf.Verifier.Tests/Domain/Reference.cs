using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests.Domain;

internal readonly struct Bits2 : IWidth
{
    public static int Bits => 2;
}

internal readonly struct Bits3 : IWidth
{
    public static int Bits => 3;
}

internal readonly struct Bits4 : IWidth
{
    public static int Bits => 4;
}

internal readonly struct Bits5 : IWidth
{
    public static int Bits => 5;
}

internal readonly struct Bits6 : IWidth
{
    public static int Bits => 6;
}

/// <summary>What the instructions do to plain numbers of any width: RFC 9669 section 4 in big integers.</summary>
internal static class Reference
{
    public static readonly Operation[] Binary =
    [
        Operation.Add, Operation.Subtract, Operation.Multiply, Operation.Divide, Operation.SignedDivide, Operation.Or, Operation.And,
        Operation.ShiftLeft, Operation.ShiftRight, Operation.Modulo, Operation.SignedModulo, Operation.Xor, Operation.ShiftRightArithmetic,
    ];

    public static readonly Operation[] Jumps =
    [
        Operation.JumpEqual, Operation.JumpGreater, Operation.JumpGreaterOrEqual, Operation.JumpSet, Operation.JumpNotEqual,
        Operation.JumpSignedGreater, Operation.JumpSignedGreaterOrEqual, Operation.JumpLess, Operation.JumpLessOrEqual,
        Operation.JumpSignedLess, Operation.JumpSignedLessOrEqual,
    ];

    public static ulong Mask(int width) => ulong.MaxValue >> (64 - width);

    public static ulong Evaluate(Operation operation, int width, ulong dst, ulong src)
    {
        var mask = Mask(width);
        dst &= mask;
        src &= mask;
        BigInteger a = dst, b = src, signedA = Signed(dst, width), signedB = Signed(src, width);
        // The mask of shift counts is only defined for powers of two; other widths are of these tests alone.
        var count = (int)(src & (ulong)(width - 1));
        var result = operation switch
        {
            Operation.Add => a + b,
            Operation.Subtract => a - b,
            Operation.Multiply => a * b,
            Operation.Divide => b == 0 ? 0 : a / b,
            Operation.SignedDivide => signedB == 0 ? 0 : BigInteger.Divide(signedA, signedB),
            Operation.Or => a | b,
            Operation.And => a & b,
            Operation.ShiftLeft => a << count,
            Operation.ShiftRight => a >> count,
            Operation.Modulo => b == 0 ? a : a % b,
            Operation.SignedModulo => signedB == 0 ? signedA : BigInteger.Remainder(signedA, signedB),
            Operation.Xor => a ^ b,
            Operation.ShiftRightArithmetic => signedA >> count,
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
        return (ulong)(result & mask);
    }

    public static bool Holds(Operation jump, int width, ulong dst, ulong src)
    {
        var mask = Mask(width);
        dst &= mask;
        src &= mask;
        BigInteger signedA = Signed(dst, width), signedB = Signed(src, width);
        return jump switch
        {
            Operation.JumpEqual => dst == src,
            Operation.JumpNotEqual => dst != src,
            Operation.JumpGreater => dst > src,
            Operation.JumpGreaterOrEqual => dst >= src,
            Operation.JumpLess => dst < src,
            Operation.JumpLessOrEqual => dst <= src,
            Operation.JumpSet => (dst & src) != 0,
            Operation.JumpSignedGreater => signedA > signedB,
            Operation.JumpSignedGreaterOrEqual => signedA >= signedB,
            Operation.JumpSignedLess => signedA < signedB,
            Operation.JumpSignedLessOrEqual => signedA <= signedB,
            _ => throw new ArgumentOutOfRangeException(nameof(jump)),
        };
    }

    public static BigInteger Signed(ulong value, int width) =>
        (value >> (width - 1) & 1) != 0 ? (BigInteger)value - (BigInteger.One << width) : value;
}
