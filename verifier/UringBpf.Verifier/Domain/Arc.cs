using System.Numerics;
using System.Runtime.CompilerServices;

namespace UringBpf.Verifier;

/// <summary>
/// A circular interval: the numbers <see cref="First"/>, First + 1, …, First + <see cref="Span"/>, modulo 2^bits. One arc
/// says what the kernel's four bounds (unsigned and signed minimum and maximum) say, and also holds intervals that pass
/// through 0 or through the signed minimum. Never empty: operations that can leave nothing return null.
/// </summary>
internal readonly record struct Arc<TWidth> where TWidth : struct, IWidth
{
    public readonly ulong First;
    public readonly ulong Span;

    /// <summary>The arc of span + 1 numbers from first on.</summary>
    public Arc(ulong first, ulong span)
    {
        // One name for the full circle.
        First = span == Top ? 0 : first & Top;
        Span = span;
    }

    public static ulong Top
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ulong.MaxValue >> (64 - TWidth.Bits);
    }

    public static ulong Sign => 1UL << (TWidth.Bits - 1);

    public static Arc<TWidth> Full => new(0, Top);

    public static Arc<TWidth> Constant(ulong value) => new(value, 0);

    public static Arc<TWidth> Unsigned(ulong min, ulong max) => new(min, max - min);

    public static Arc<TWidth> Signed(long min, long max) => new((ulong)min, (ulong)(max - min) & Top);

    public ulong Last => (First + Span) & Top;

    public bool IsFull => Span == Top;

    public bool IsConstant => Span == 0;

    public bool CrossesZero => Last < First;

    public bool CrossesSign => Flip(Last) < Flip(First);

    public ulong UMin => CrossesZero ? 0 : First;

    public ulong UMax => CrossesZero ? Top : Last;

    public long SMin => SignExtend(CrossesSign ? Sign : First);

    public long SMax => SignExtend(CrossesSign ? Sign - 1 : Last);

    public bool Contains(ulong value) => ((value - First) & Top) <= Span;

    public bool Includes(Arc<TWidth> other)
    {
        if (IsFull) return true;
        var distance = (other.First - First) & Top;
        return distance <= Span && other.Span <= Span - distance;
    }

    /// <summary>The shortest arc with all numbers of both.</summary>
    public static Arc<TWidth> Join(Arc<TWidth> a, Arc<TWidth> b)
    {
        if (a.Includes(b)) return a;
        if (b.Includes(a)) return b;
        var ab = new Arc<TWidth>(a.First, (b.Last - a.First) & Top);
        var ba = new Arc<TWidth>(b.First, (a.Last - b.First) & Top);
        var abCovers = ab.Includes(a) && ab.Includes(b);
        var baCovers = ba.Includes(a) && ba.Includes(b);
        return abCovers && (!baCovers || ab.Span <= ba.Span) ? ab : baCovers ? ba : Full;
    }

    /// <summary>
    /// The shortest arc with every number that is in both, or null when there is none. Where the numbers lie in two pieces,
    /// no arc is exact, and the shortest is the shorter of the two: which of them was known first must not matter, since a
    /// check that teaches much of an unknown number would else teach nothing of one that is known a little.
    /// </summary>
    public static Arc<TWidth>? Intersect(Arc<TWidth> a, Arc<TWidth> b)
    {
        if (a.IsFull) return b;
        if (b.IsFull) return a;
        Arc<TWidth>? piece = null;
        var distance = (b.First - a.First) & Top;
        if (distance <= a.Span) piece = new(b.First, Math.Min(b.Span, a.Span - distance));
        distance = (a.First - b.First) & Top;
        if (distance <= b.Span && distance != 0)
        {
            // Two pieces: the arcs go round the whole circle together, and each bridges the pieces.
            if (piece is not null) return b.Span < a.Span ? b : a;
            piece = new(a.First, Math.Min(a.Span, b.Span - distance));
        }
        return piece;
    }

    /// <summary>Without one number, where that leaves an arc; null when nothing is left.</summary>
    public Arc<TWidth>? Without(ulong value)
    {
        if (Span == 0) return First == value ? null : this;
        if (IsFull) return new(value + 1, Top - 1);
        if (First == value) return new(First + 1, Span - 1);
        return Last == value ? new(First, Span - 1) : this;
    }

    public static Arc<TWidth> operator +(Arc<TWidth> a, Arc<TWidth> b) => Sum(a.First + b.First, a.Span, b.Span);

    public static Arc<TWidth> operator -(Arc<TWidth> a, Arc<TWidth> b) => Sum(a.First - b.Last, a.Span, b.Span);

    public static Arc<TWidth> operator *(Arc<TWidth> a, Arc<TWidth> b)
    {
        if (a.CrossesSign && a.CrossesZero || b.CrossesSign && b.CrossesZero) return Full;
        // Small numbers are the same read as signed and as unsigned, and so are their products.
        var small = Math.Min(Sign - 1, int.MaxValue);
        if (!a.CrossesZero && !b.CrossesZero && a.Last <= small && b.Last <= small)
            return Sum(a.First * b.First, a.Last * b.Last - a.First * b.First, 0);
        return TWidth.Bits <= 32 ? NarrowProduct(a, b) : Product(a, b);
    }

    // As below, for numbers of up to 32 bits, all of whose products fit in 64 bits.
    private static Arc<TWidth> NarrowProduct(Arc<TWidth> a, Arc<TWidth> b)
    {
        var unsigned = Full;
        if (!a.CrossesZero && !b.CrossesZero)
        {
            var low = a.First * b.First;
            unsigned = Sum(low, a.Last * b.Last - low, 0);
        }
        if (a.CrossesSign && b.CrossesSign) return unsigned;
        var (aLow, aHigh) = a.CrossesSign ? ((long)a.First, (long)a.Last) : (SignExtend(a.First), SignExtend(a.Last));
        var (bLow, bHigh) = b.CrossesSign ? ((long)b.First, (long)b.Last) : (SignExtend(b.First), SignExtend(b.Last));
        long p = aLow * bLow, q = aLow * bHigh, r = aHigh * bLow, s = aHigh * bHigh;
        var least = Math.Min(Math.Min(p, q), Math.Min(r, s));
        var most = Math.Max(Math.Max(p, q), Math.Max(r, s));
        var signed = Sum((ulong)least, (ulong)(most - least), 0);
        return signed.Span < unsigned.Span ? signed : unsigned;
    }

    // Apart, as code with 128-bit numbers is not compiled ahead of time.
    internal static Arc<TWidth> Product(Arc<TWidth> a, Arc<TWidth> b)
    {
        var unsigned = Full;
        if (!a.CrossesZero && !b.CrossesZero)
        {
            var low = (UInt128)a.First * b.First;
            unsigned = Make((ulong)low, (UInt128)a.Last * b.Last - low);
        }
        // Read as signed where that does not tear the arc, else as unsigned: |product| < 2^127 unless both are unsigned,
        // and both unsigned was tried above. The shorter of the two counts: 0xfffff000 times 1..2 is -8192..-4096.
        if (a.CrossesSign && b.CrossesSign) return unsigned;
        var (aLow, aHigh) = a.Integers();
        var (bLow, bHigh) = b.Integers();
        Int128 p = aLow * bLow, q = aLow * bHigh, r = aHigh * bLow, s = aHigh * bHigh;
        var least = Int128.Min(Int128.Min(p, q), Int128.Min(r, s));
        var most = Int128.Max(Int128.Max(p, q), Int128.Max(r, s));
        var signed = Make((ulong)least, (UInt128)(most - least));
        return signed.Span < unsigned.Span ? signed : unsigned;
    }

    public Arc<TWidth> ShiftLeft(int least, int most)
    {
        if (least == most) return Keeps(Span, least) && Span << least < Top ? new(First << least, Span << least) : Full;
        return Keeps(UMax, most) && UMax << most <= Top ? Unsigned(UMin << least, UMax << most) : Full;

        // True when no bit leaves 64 bits.
        static bool Keeps(ulong value, int shift) => value << shift >> shift == value;
    }

    public Arc<TWidth> ShiftRight(int least, int most) => Unsigned(UMin >> most, UMax >> least);

    public Arc<TWidth> ShiftRightArithmetic(int least, int most) =>
        Signed(SMin >> (SMin < 0 ? least : most), SMax >> (SMax < 0 ? most : least));

    /// <summary>dst / src unsigned, 0 where src is 0.</summary>
    public static Arc<TWidth> Divide(Arc<TWidth> dst, Arc<TWidth> src)
    {
        if (src.UMax == 0) return Constant(0);
        var max = dst.UMax / Math.Max(1, src.UMin);
        return Unsigned(src.Contains(0) ? 0 : dst.UMin / src.UMax, max);
    }

    /// <summary>dst % src unsigned, dst where src is 0.</summary>
    public static Arc<TWidth> Modulo(Arc<TWidth> dst, Arc<TWidth> src)
    {
        if (src.UMax == 0 || dst.UMax < src.UMin) return dst;
        return Unsigned(0, src.Contains(0) ? dst.UMax : Math.Min(dst.UMax, src.UMax - 1));
    }

    /// <summary>dst / src signed and truncating, 0 where src is 0, MIN where MIN / -1.</summary>
    public static Arc<TWidth> SignedDivide(Arc<TWidth> dst, Arc<TWidth> src)
    {
        var min = SignExtend(Sign);
        if (src.IsConstant)
        {
            var divisor = SignExtend(src.First);
            if (divisor == 0) return Constant(0);
            if (divisor == -1) return Constant(0) - dst;
            long low = dst.SMin / divisor, high = dst.SMax / divisor;
            return divisor > 0 ? Signed(low, high) : Signed(high, low);
        }
        if (dst.SMin >= 0 && src.SMin >= 0) return Divide(dst, src);
        if (dst.SMin == min) return Full;
        // The quotient is never larger than the dividend, in either direction.
        var bound = Math.Max(Math.Abs(dst.SMin), Math.Abs(dst.SMax));
        return Signed(-bound, bound);
    }

    /// <summary>dst % src with the sign of dst, dst where src is 0, 0 where MIN % -1.</summary>
    public static Arc<TWidth> SignedModulo(Arc<TWidth> dst, Arc<TWidth> src)
    {
        if (src is { IsConstant: true, First: 0 }) return dst;
        // |result| < |src| and |result| <= |dst|; a zero divisor leaves only the second.
        var bound = ulong.MaxValue;
        if (!src.Contains(0)) bound = Math.Max(Magnitude(src.SMin), Magnitude(src.SMax)) - 1;
        var low = dst.SMin < 0 ? (long)(0 - Math.Min(bound, Magnitude(dst.SMin))) : 0;
        var high = dst.SMax > 0 ? (long)Math.Min(bound, (ulong)dst.SMax) : 0;
        return Signed(low, high);
    }

    /// <summary>The numbers of this arc that are the smallest and largest members of <paramref name="bits"/> in it, or null when none is.</summary>
    public Arc<TWidth>? Within(Tnum bits)
    {
        var first = bits.NextMember(First);
        var last = bits.PreviousMember(Last);
        var distance = (first - First) & Top;
        if (distance > Span) return null;
        var cut = (Last - last) & Top;
        return cut > Span - distance ? null : new(first, Span - distance - cut);
    }

    public static long SignExtend(ulong value) => (long)(value << (64 - TWidth.Bits)) >> (64 - TWidth.Bits);

    private static ulong Flip(ulong value) => value ^ Sign;

    private static ulong Magnitude(long value) => value < 0 ? (ulong)-value : (ulong)value;

    private static Arc<TWidth> Sum(ulong first, ulong span, ulong more)
    {
        var sum = unchecked(span + more);
        return sum < span || sum >= Top ? Full : new(first, sum);
    }

    private static Arc<TWidth> Make(ulong first, UInt128 span) => span >= Top ? Full : new(first, (ulong)span);

    private (Int128 Low, Int128 High) Integers() => CrossesSign ? (First, Last) : (SignExtend(First), SignExtend(Last));
}
