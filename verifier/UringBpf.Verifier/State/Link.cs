using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// How a number hangs on an unknown that others hang on too: it is <see cref="Scale"/> × unknown + <see cref="Offset"/>.
/// A pointer that moves by 4 while an index moves by 1 is one, so that a check of the index is a check of the pointer.
/// </summary>
/// <remarks>
/// Between links of one scale it is the difference that is known, modulo 2^64. Links of different scales hold in whole
/// numbers, without going round: numbers with a scale, read as signed, are at most <see cref="NumberLimit"/>, so the
/// unknown is too. A link that is the only one of its unknown says nothing.
/// </remarks>
/// <param name="Id">Names the unknown; 0 for none.</param>
/// <param name="Scale">Not 0.</param>
/// <param name="Offset">What is added.</param>
internal readonly record struct Link(int Id, int Scale, long Offset)
{
    /// <summary>Offsets beyond this are not followed.</summary>
    public const long OffsetLimit = 1L << 32;

    /// <summary>Scales beyond this are not followed.</summary>
    public const long ScaleLimit = 1L << 20;

    /// <summary>Numbers beyond this have no scale.</summary>
    public const long NumberLimit = 1L << 40;

    public static Link None => new(0, 1, 0);

    /// <summary>True when a number is one that a link of this scale may be given to.</summary>
    public bool Bears(in Scalar number) => Scale == 1 || number.SMin >= -NumberLimit && number.SMax <= NumberLimit;

    /// <summary>What another number on the same unknown is, when the number of this link is among these.</summary>
    public Scalar Implies(in Scalar number, Link other)
    {
        if (other.Scale == Scale)
            return other.Offset == Offset ? number : Scalar.Binary(Operation.Add, 64, number, Scalar.Constant((ulong)(other.Offset - Offset)));
        return ByUnknown(number, other);
    }

    // Apart, as code with 128-bit numbers is not compiled ahead of time.
    private Scalar ByUnknown(in Scalar number, Link other)
    {
        var low = (Int128)number.SMin - Offset;
        var high = (Int128)number.SMax - Offset;
        if (Scale < 0) (low, high) = (-high, -low);
        var scale = Math.Abs((long)Scale);
        // The unknown is a whole number within bounds of its own (twice what is needed: numbers move on from their limit).
        low = Int128.Max(-2 * NumberLimit, -FloorDivide(-low, scale));
        high = Int128.Min(2 * NumberLimit, FloorDivide(high, scale));
        if (low > high) return Scalar.Empty;
        var unknown = Scalar.FromSigned((long)low, (long)high);
        if (other.Scale != 1) unknown = Scalar.Binary(Operation.Multiply, 64, unknown, Scalar.Constant((ulong)(long)other.Scale));
        return Scalar.Binary(Operation.Add, 64, unknown, Scalar.Constant((ulong)other.Offset));
    }

    /// <summary>How far the unknown of <paramref name="later"/> is from this one's when the numbers are the same, or null when no whole distance fits.</summary>
    public long? DistanceTo(Link later)
    {
        if (later.Scale != Scale) return null;
        var distance = later.Offset - Offset;
        return distance % Scale == 0 ? distance / Scale : null;
    }

    private static Int128 FloorDivide(Int128 value, long by) => value >= 0 ? value / by : -((by - 1 - value) / by);
}
