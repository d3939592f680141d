using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// What is known of a number in a register: its bits, an arc at full width and an arc for its low half, kept consistent
/// with each other (a reduced product). Instantiated as 64 and 32 bits; tests use 6 and 3. Immutable.
/// </summary>
/// <remarks>
/// Sound means: every number a register can hold on some path is a member. <see cref="IsEmpty"/> means that no number
/// fits, so the path can't be taken. See kernel/bpf/verifier.c (reg_bounds_sync) for the three-way refinement.
/// </remarks>
internal readonly struct ScalarOf<TFull, THalf> : IEquatable<ScalarOf<TFull, THalf>>
    where TFull : struct, IWidth
    where THalf : struct, IWidth
{
    private static ulong Top => Arc<TFull>.Top;
    private static ulong HalfTop => Arc<THalf>.Top;

    // The low half fits in 32 bits: there is one of these in every value.
    private readonly uint _lowFirst;
    private readonly uint _lowSpan;

    private ScalarOf(Tnum bits, Arc<TFull> wide, Arc<THalf> low)
    {
        Bits = bits;
        Wide = wide;
        (_lowFirst, _lowSpan) = ((uint)low.First, (uint)low.Span);
    }

    public Tnum Bits { get; }

    public Arc<TFull> Wide { get; }

    public Arc<THalf> Low => new(_lowFirst, _lowSpan);

    /// <summary>True when no number is left: the path that led here is impossible.</summary>
    public bool IsEmpty => (Bits.Value & Bits.Mask) != 0;

    public static ScalarOf<TFull, THalf> Unknown => new(Tnum.Unknown.Truncate(TFull.Bits), Arc<TFull>.Full, Arc<THalf>.Full);

    // A bit that is known and unknown at once: no other value has that.
    public static ScalarOf<TFull, THalf> Empty => new(new(1, 1), default, default);

    public static ScalarOf<TFull, THalf> Constant(ulong value) =>
        new(Tnum.Constant(value & Top), Arc<TFull>.Constant(value), Arc<THalf>.Constant(value));

    public static ScalarOf<TFull, THalf> FromRange(ulong min, ulong max) => FromWide(Arc<TFull>.Unsigned(min, max));

    public static ScalarOf<TFull, THalf> FromSigned(long min, long max) => FromWide(Arc<TFull>.Signed(min, max));

    public static ScalarOf<TFull, THalf> FromBits(Tnum bits) => Reduce(bits, Arc<TFull>.Full, Arc<THalf>.Full);

    /// <summary>Any zero-extended number of that many bits.</summary>
    public static ScalarOf<TFull, THalf> Unsigned(int bits) => FromRange(0, ulong.MaxValue >> (64 - bits));

    public static ScalarOf<TFull, THalf> FromWide(Arc<TFull> wide) => Reduce(Tnum.Unknown.Truncate(TFull.Bits), wide, Arc<THalf>.Full);

    public ulong UMin => Wide.UMin;
    public ulong UMax => Wide.UMax;
    public long SMin => Wide.SMin;
    public long SMax => Wide.SMax;
    public uint UMin32 => (uint)Low.UMin;
    public uint UMax32 => (uint)Low.UMax;
    public int SMin32 => (int)Low.SMin;
    public int SMax32 => (int)Low.SMax;

    public bool IsConstant => Wide.IsConstant;

    /// <summary>The number, where <see cref="IsConstant"/>.</summary>
    public ulong Value => Wide.First;

    public bool IsUnknown => Wide.IsFull && Low.IsFull && Bits.Mask == Top;

    public bool Contains(ulong value) =>
        !IsEmpty && Bits.Contains(value) && Wide.Contains(value) && Low.Contains(value & HalfTop);

    /// <summary>True when every member of <paramref name="other"/> is known to be one of this.</summary>
    public bool Includes(in ScalarOf<TFull, THalf> other) =>
        other.IsEmpty || (!IsEmpty && Bits.Includes(other.Bits) && Wide.Includes(other.Wide) && Low.Includes(other.Low));

    public static ScalarOf<TFull, THalf> Join(in ScalarOf<TFull, THalf> a, in ScalarOf<TFull, THalf> b)
    {
        if (a.IsEmpty) return b;
        if (b.IsEmpty) return a;
        return Reduce(Tnum.Join(a.Bits, b.Bits), Arc<TFull>.Join(a.Wide, b.Wide), Arc<THalf>.Join(a.Low, b.Low));
    }

    public static ScalarOf<TFull, THalf> Intersect(in ScalarOf<TFull, THalf> a, in ScalarOf<TFull, THalf> b)
    {
        if (a.IsEmpty || b.IsEmpty) return Empty;
        return Tnum.Intersect(a.Bits, b.Bits) is { } bits && Arc<TFull>.Intersect(a.Wide, b.Wide) is { } wide && Arc<THalf>.Intersect(a.Low, b.Low) is { } low
            ? Reduce(bits, wide, low)
            : Empty;
    }

    /// <summary>
    /// A superset of both, such that repeating it ends quickly: a bound that moved goes on to the next threshold.
    /// </summary>
    /// <param name="old">The value at an earlier visit of the loop head.</param>
    /// <param name="next">The value now.</param>
    /// <param name="thresholds">Ascending numbers, as unsigned 64-bit, at which a moving bound may stop.</param>
    public static ScalarOf<TFull, THalf> Widen(in ScalarOf<TFull, THalf> old, in ScalarOf<TFull, THalf> next, ReadOnlySpan<ulong> thresholds)
    {
        if (old.IsEmpty) return next;
        if (next.IsEmpty || old.Includes(next)) return old;
        return Reduce(
            WidenBits(old.Bits, next.Bits),
            WidenArc(old.Wide, next.Wide, thresholds),
            WidenArc(old.Low, next.Low, thresholds));
    }

    /// <summary>dst op src at a width; for the half width the result is zero-extended, as every 32-bit operation's is.</summary>
    public static ScalarOf<TFull, THalf> Binary(Operation operation, int width, in ScalarOf<TFull, THalf> dst, in ScalarOf<TFull, THalf> src)
    {
        if (dst.IsEmpty || src.IsEmpty) return Empty;
        if (operation == Operation.Move) return width == TFull.Bits ? src : src.Truncate(THalf.Bits);
        if (width != TFull.Bits)
        {
            var a = dst.Bits.Truncate(THalf.Bits);
            var b = src.Bits.Truncate(THalf.Bits);
            var half = ArcOperation(operation, dst.Low, src.Low);
            return FromHalf(BitOperation<THalf>(operation, a, b, src.Low), half);
        }
        var bits = BitOperation<TFull>(operation, dst.Bits, src.Bits, src.Wide);
        // The low half of these depends on the low halves alone; of the others it follows from the whole.
        var low = operation is Operation.Add or Operation.Subtract or Operation.Multiply or Operation.And or Operation.Or or Operation.Xor
            ? ArcOperation(operation, dst.Low, src.Low)
            : Arc<THalf>.Full;
        var wide = ArcOperation(operation, dst.Wide, src.Wide);
        // Shifted by so much, only the low half stays: compilers extend a sign by shifting to the left and back.
        if (operation == Operation.ShiftLeft && src.Wide.IsConstant && (int)(src.Wide.First & (ulong)(TFull.Bits - 1)) is var count && count >= THalf.Bits)
            wide = Arc<TFull>.Intersect(wide, new Arc<TFull>(dst.Low.First, dst.Low.Span).ShiftLeft(count, count)) ?? wide;
        return Reduce(bits, wide, low);
    }

    /// <summary>Negation, sign extension from and byte operations on <paramref name="bits"/> bits.</summary>
    public static ScalarOf<TFull, THalf> Unary(Operation operation, int width, int bits, in ScalarOf<TFull, THalf> value)
    {
        if (value.IsEmpty) return Empty;
        switch (operation)
        {
            case Operation.Negate:
                return Binary(Operation.Subtract, width, Constant(0), value);
            case Operation.MoveSignExtend:
                return value.SignExtend(bits, width);
            case Operation.ToLittleEndian:
                return value.Truncate(bits);
            default:
                // Swapping keeps what is known of each bit, and nothing of the order.
                var swapped = value.Bits.Truncate(bits);
                return FromBits(new(Swap(swapped.Value, bits), Swap(swapped.Mask, bits)));
        }
    }

    /// <summary>The low <paramref name="bits"/> bits, zero-extended: the full width, or at most the half.</summary>
    public ScalarOf<TFull, THalf> Truncate(int bits)
    {
        if (bits == TFull.Bits || IsEmpty) return this;
        if (bits == THalf.Bits) return FromHalf(Bits.Truncate(bits), Low);
        var top = ulong.MaxValue >> (64 - bits);
        return Reduce(Bits.Truncate(bits), Cut(Low.First, Low.Span, top), Arc<THalf>.Full);
    }

    /// <summary>The low <paramref name="bits"/> bits, sign-extended to <paramref name="width"/> and zero-extended from there.</summary>
    public ScalarOf<TFull, THalf> SignExtend(int bits, int width)
    {
        if (IsEmpty) return this;
        var cut = Truncate(bits);
        var sign = 1UL << (bits - 1);
        Arc<TFull> wide;
        // In the low bits' own circle an arc that does not pass from the signed maximum to the minimum stays an arc.
        var first = cut.Wide.First;
        var last = cut.Wide.Last;
        if (!cut.Wide.CrossesZero && (first & sign) == (last & sign))
            wide = new((first ^ sign) - sign, cut.Wide.Span);
        else
            wide = Arc<TFull>.Signed(-(long)sign, (long)(sign - 1));
        if (bits == THalf.Bits && !Low.CrossesSign) wide = Arc<TFull>.Signed(Low.SMin, Low.SMax);
        var extended = Reduce(cut.Bits.SignExtend(bits).Truncate(TFull.Bits), wide, Arc<THalf>.Full);
        return width == TFull.Bits ? extended : extended.Truncate(width);
    }

    /// <summary>
    /// Narrows both operands to what a comparison's outcome allows. Returns false when the outcome is impossible; the
    /// operands are then empty.
    /// </summary>
    /// <param name="jump">The comparison.</param>
    /// <param name="width">The width it compares at.</param>
    /// <param name="taken">The outcome.</param>
    /// <param name="dst">Left operand.</param>
    /// <param name="src">Right operand; may not be the same register as <paramref name="dst"/>.</param>
    public static bool Refine(Operation jump, int width, bool taken, ref ScalarOf<TFull, THalf> dst, ref ScalarOf<TFull, THalf> src)
    {
        if (dst.IsEmpty || src.IsEmpty) return false;
        var (operation, holds) = taken ? (jump, true) : Opposite(jump);
        if (width == TFull.Bits)
        {
            if (RefineArcs(operation, holds, dst.Wide, src.Wide, dst.Bits, src.Bits) is { } refined)
            {
                dst = Reduce(refined.DstBits, refined.Dst, dst.Low);
                src = Reduce(refined.SrcBits, refined.Src, src.Low);
            }
            else
            {
                dst = src = Empty;
            }
        }
        else
        {
            if (RefineArcs(operation, holds, dst.Low, src.Low, dst.Bits.Truncate(THalf.Bits), src.Bits.Truncate(THalf.Bits)) is { } refined)
            {
                dst = Reduce(ReplaceLow(dst.Bits, refined.DstBits), dst.Wide, refined.Dst);
                src = Reduce(ReplaceLow(src.Bits, refined.SrcBits), src.Wide, refined.Src);
            }
            else
            {
                dst = src = Empty;
            }
        }
        if (!dst.IsEmpty && !src.IsEmpty) return true;
        dst = src = Empty;
        return false;
    }

    /// <summary>True when the comparison always holds, false when it never does, null when it depends.</summary>
    public static bool? Decide(Operation jump, int width, in ScalarOf<TFull, THalf> dst, in ScalarOf<TFull, THalf> src)
    {
        ScalarOf<TFull, THalf> a = dst, b = src;
        if (!Refine(jump, width, true, ref a, ref b)) return false;
        (a, b) = (dst, src);
        return Refine(jump, width, false, ref a, ref b) ? null : true;
    }

    public bool Equals(ScalarOf<TFull, THalf> other) =>
        Bits == other.Bits && Wide == other.Wide && _lowFirst == other._lowFirst && _lowSpan == other._lowSpan;

    public override bool Equals(object? obj) => obj is ScalarOf<TFull, THalf> other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Bits, Wide, Low);

    /// <summary>The set as a person reads it: <c>7</c>, <c>0..16</c>, <c>-5..7</c>, <c>0..128, multiple of 8</c>, <c>any</c>.</summary>
    public override string ToString()
    {
        if (IsEmpty) return "nothing";
        if (IsConstant) return SMin < 0 && SMin > -4096 ? SMin.ToString() : Value.ToString();
        var range = IsUnknown || Wide.IsFull ? "any number"
            : !Wide.CrossesSign ? $"{SMin}..{SMax}"
            : !Wide.CrossesZero ? $"{UMin}..{UMax}" : $"{UMin}..{UMax} (going round)";
        if (Wide.IsFull && !Low.IsFull) range = $"low 32 bits {Low.UMin}..{Low.UMax}";
        var zeros = BitOperations.TrailingZeroCount(Bits.Value | Bits.Mask);
        return zeros is > 0 and < 32 ? $"{range}, multiple of {1UL << zeros}" : range;
    }

    // Every constructor of a value that is not a constant ends here: the three views sharpen each other until nothing
    // moves (two rounds are enough in nearly all cases; stopping early is sound).
    private static ScalarOf<TFull, THalf> Reduce(Tnum bits, Arc<TFull> wide, Arc<THalf> low)
    {
        if (wide.IsConstant)
            return bits.Contains(wide.First) && low.Contains(wide.First & HalfTop) ? Constant(wide.First) : Empty;
        if (wide.IsFull && low.IsFull && bits.Mask == Top) return new(bits, wide, low);
        for (var round = 0; round < 3; round++)
        {
            var (oldBits, oldWide, oldLow) = (bits, wide, low);

            if (!wide.CrossesZero)
            {
                if (Tnum.Intersect(bits, Tnum.Range(wide.UMin, wide.UMax)) is not { } fromWide) return Empty;
                bits = fromWide;
            }
            if (!low.CrossesZero)
            {
                var half = bits.Truncate(THalf.Bits);
                if (Tnum.Intersect(half, Tnum.Range(low.UMin, low.UMax)) is not { } fromLow) return Empty;
                bits = ReplaceLow(bits, fromLow);
            }
            if (wide.Within(bits) is not { } tightWide) return Empty;
            wide = tightWide;
            if (low.Within(bits.Truncate(THalf.Bits)) is not { } tightLow) return Empty;
            low = tightLow;

            if (wide.Span < HalfTop)
            {
                if (Arc<THalf>.Intersect(low, new(wide.First, wide.Span)) is not { } both) return Empty;
                low = both;
            }
            if (!low.IsFull)
            {
                // Move each end of the wide arc to the nearest number whose low half is possible.
                var up = low.Contains(wide.First & HalfTop) ? 0 : (low.First - wide.First) & HalfTop;
                var down = low.Contains(wide.Last & HalfTop) ? 0 : (wide.Last - low.Last) & HalfTop;
                if (up > wide.Span || down > wide.Span - up) return Empty;
                wide = new(wide.First + up, wide.Span - up - down);
            }
            if (bits == oldBits && wide == oldWide && low == oldLow) break;
        }
        return new(bits, wide, low);
    }

    private static ScalarOf<TFull, THalf> FromHalf(Tnum bits, Arc<THalf> low) => Reduce(bits, Arc<TFull>.Unsigned(low.UMin, low.UMax), low);

    private static Tnum ReplaceLow(Tnum bits, Tnum low) => new((bits.Value & ~HalfTop) | low.Value, (bits.Mask & ~HalfTop) | low.Mask);

    private static Arc<TFull> Cut(ulong first, ulong span, ulong top)
    {
        first &= top;
        return span <= top - first ? new(first, span) : new(0, top);
    }

    private static Arc<TWidth> ArcOperation<TWidth>(Operation operation, Arc<TWidth> dst, Arc<TWidth> src) where TWidth : struct, IWidth
    {
        switch (operation)
        {
            case Operation.Add:
                return dst + src;
            case Operation.Subtract:
                return dst - src;
            case Operation.Multiply:
                return dst * src;
            case Operation.Divide:
                return Arc<TWidth>.Divide(dst, src);
            case Operation.SignedDivide:
                return Arc<TWidth>.SignedDivide(dst, src);
            case Operation.Modulo:
                return Arc<TWidth>.Modulo(dst, src);
            case Operation.SignedModulo:
                return Arc<TWidth>.SignedModulo(dst, src);
            case Operation.And:
                return Arc<TWidth>.Unsigned(0, Math.Min(dst.UMax, src.UMax));
            case Operation.Or:
                return Arc<TWidth>.Unsigned(Math.Max(dst.UMin, src.UMin), Ceiling(dst.UMax | src.UMax));
            case Operation.Xor:
                return Arc<TWidth>.Unsigned(0, Ceiling(dst.UMax | src.UMax));
            case Operation.ShiftLeft:
                {
                    var (least, most) = ShiftCounts(src);
                    return dst.ShiftLeft(least, most);
                }
            case Operation.ShiftRight:
                {
                    var (least, most) = ShiftCounts(src);
                    return dst.ShiftRight(least, most);
                }
            case Operation.ShiftRightArithmetic:
                {
                    var (least, most) = ShiftCounts(src);
                    return dst.ShiftRightArithmetic(least, most);
                }
            default:
                return Arc<TWidth>.Full;
        }
    }

    private static Tnum BitOperation<TWidth>(Operation operation, Tnum dst, Tnum src, Arc<TWidth> srcRange) where TWidth : struct, IWidth
    {
        var width = TWidth.Bits;
        switch (operation)
        {
            case Operation.Add:
                return (dst + src).Truncate(width);
            case Operation.Subtract:
                return (dst - src).Truncate(width);
            case Operation.Multiply:
                return (dst * src).Truncate(width);
            case Operation.And:
                return dst & src;
            case Operation.Or:
                return dst | src;
            case Operation.Xor:
                return dst ^ src;
            case Operation.Divide when src.IsConstant && BitOperations.IsPow2(src.Value):
                return dst.ShiftRight(BitOperations.Log2(src.Value));
            case Operation.Modulo when src.IsConstant && BitOperations.IsPow2(src.Value):
                return dst & Tnum.Constant(src.Value - 1);
            case Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic:
                var (least, most) = ShiftCounts(srcRange);
                var result = Shift(operation, dst, least, width);
                // Few counts: all of them; many: only what the range says.
                if (most - least > 8) return Tnum.Unknown.Truncate(width);
                for (var count = least + 1; count <= most; count++) result = Tnum.Join(result, Shift(operation, dst, count, width));
                return result;
            default:
                return Tnum.Unknown.Truncate(width);
        }
    }

    private static Tnum Shift(Operation operation, Tnum value, int count, int width) => operation switch
    {
        Operation.ShiftLeft => value.ShiftLeft(count).Truncate(width),
        Operation.ShiftRight => value.ShiftRight(count),
        _ => ArithmeticShift(value.SignExtend(width), count).Truncate(width),
    };

    private static Tnum ArithmeticShift(Tnum value, int count) => new((ulong)((long)value.Value >> count), (ulong)((long)value.Mask >> count));

    // The count is masked to the width (RFC 9669 section 4.1).
    private static (int Least, int Most) ShiftCounts<TWidth>(Arc<TWidth> src) where TWidth : struct, IWidth
    {
        var mask = (ulong)(TWidth.Bits - 1);
        return src.IsConstant ? ((int)(src.First & mask), (int)(src.First & mask))
            : src.UMax <= mask ? ((int)src.UMin, (int)src.UMax)
            : (0, (int)mask);
    }

    private static ulong Ceiling(ulong value) => value == 0 ? 0 : ulong.MaxValue >> BitOperations.LeadingZeroCount(value);

    private static ulong Swap(ulong value, int bits) => bits switch
    {
        16 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((ushort)value),
        32 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)value),
        _ => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(value),
    };

    // A comparison that fails is another one that holds; a bit test has no other.
    private static (Operation Operation, bool Holds) Opposite(Operation jump) => jump switch
    {
        Operation.JumpEqual => (Operation.JumpNotEqual, true),
        Operation.JumpNotEqual => (Operation.JumpEqual, true),
        Operation.JumpGreater => (Operation.JumpLessOrEqual, true),
        Operation.JumpGreaterOrEqual => (Operation.JumpLess, true),
        Operation.JumpLess => (Operation.JumpGreaterOrEqual, true),
        Operation.JumpLessOrEqual => (Operation.JumpGreater, true),
        Operation.JumpSignedGreater => (Operation.JumpSignedLessOrEqual, true),
        Operation.JumpSignedGreaterOrEqual => (Operation.JumpSignedLess, true),
        Operation.JumpSignedLess => (Operation.JumpSignedGreaterOrEqual, true),
        Operation.JumpSignedLessOrEqual => (Operation.JumpSignedGreater, true),
        _ => (jump, false),
    };

    private static (Arc<TWidth> Dst, Arc<TWidth> Src, Tnum DstBits, Tnum SrcBits)? RefineArcs<TWidth>(
        Operation operation, bool holds, Arc<TWidth> dst, Arc<TWidth> src, Tnum dstBits, Tnum srcBits) where TWidth : struct, IWidth
    {
        Arc<TWidth>? newDst = dst, newSrc = src;
        switch (operation)
        {
            case Operation.JumpEqual:
                newDst = Arc<TWidth>.Intersect(dst, src);
                newSrc = Arc<TWidth>.Intersect(src, dst);
                if (Tnum.Intersect(dstBits, srcBits) is not { } equalBits) return null;
                dstBits = srcBits = equalBits;
                break;
            case Operation.JumpNotEqual:
                if (src.IsConstant) newDst = dst.Without(src.First);
                if (dst.IsConstant) newSrc = src.Without(dst.First);
                break;
            case Operation.JumpGreater or Operation.JumpGreaterOrEqual:
                (newSrc, newDst) = Order(src, dst, operation == Operation.JumpGreater);
                break;
            case Operation.JumpLess or Operation.JumpLessOrEqual:
                (newDst, newSrc) = Order(dst, src, operation == Operation.JumpLess);
                break;
            case Operation.JumpSignedGreater or Operation.JumpSignedGreaterOrEqual:
                (newSrc, newDst) = SignedOrder(src, dst, operation == Operation.JumpSignedGreater);
                break;
            case Operation.JumpSignedLess or Operation.JumpSignedLessOrEqual:
                (newDst, newSrc) = SignedOrder(dst, src, operation == Operation.JumpSignedLess);
                break;
            case Operation.JumpSet when holds:
                if (((dstBits.Value | dstBits.Mask) & (srcBits.Value | srcBits.Mask)) == 0) return null;
                if (srcBits.IsConstant && BitOperations.IsPow2(srcBits.Value)) dstBits = new(dstBits.Value | srcBits.Value, dstBits.Mask & ~srcBits.Value);
                if (dstBits.IsConstant && BitOperations.IsPow2(dstBits.Value)) srcBits = new(srcBits.Value | dstBits.Value, srcBits.Mask & ~dstBits.Value);
                break;
            case Operation.JumpSet:
                // dst & src == 0: where one has a known 1, the other has a 0.
                if ((dstBits.Value & srcBits.Value) != 0) return null;
                (dstBits, srcBits) = (new(dstBits.Value, dstBits.Mask & ~srcBits.Value), new(srcBits.Value, srcBits.Mask & ~dstBits.Value));
                break;
        }
        return newDst is { } d && newSrc is { } s ? (d, s, dstBits, srcBits) : null;
    }

    private static (Arc<TWidth>? Less, Arc<TWidth>? Greater) Order<TWidth>(Arc<TWidth> less, Arc<TWidth> greater, bool strict) where TWidth : struct, IWidth
    {
        var gap = strict ? 1UL : 0;
        if (greater.UMax < gap || less.UMin > Arc<TWidth>.Top - gap) return (null, null);
        return (Arc<TWidth>.Intersect(less, Arc<TWidth>.Unsigned(0, greater.UMax - gap)),
            Arc<TWidth>.Intersect(greater, Arc<TWidth>.Unsigned(less.UMin + gap, Arc<TWidth>.Top)));
    }

    private static (Arc<TWidth>? Less, Arc<TWidth>? Greater) SignedOrder<TWidth>(Arc<TWidth> less, Arc<TWidth> greater, bool strict) where TWidth : struct, IWidth
    {
        long min = Arc<TWidth>.SignExtend(Arc<TWidth>.Sign), max = Arc<TWidth>.SignExtend(Arc<TWidth>.Sign - 1);
        if (strict && (greater.SMax == min || less.SMin == max)) return (null, null);
        var gap = strict ? 1 : 0;
        return (Arc<TWidth>.Intersect(less, Arc<TWidth>.Signed(min, greater.SMax - gap)),
            Arc<TWidth>.Intersect(greater, Arc<TWidth>.Signed(less.SMin + gap, max)));
    }

    private static Tnum WidenBits(Tnum old, Tnum next)
    {
        var joined = Tnum.Join(old, next);
        var grown = joined.Mask & ~old.Mask;
        if (grown == 0) return joined;
        // A counter's bits become unknown one round at a time: take all from the lowest that moved upwards at once.
        var mask = joined.Mask | (Top & ~((grown & (0 - grown)) - 1));
        return new(joined.Value & ~mask, mask);
    }

    private static Arc<TWidth> WidenArc<TWidth>(Arc<TWidth> old, Arc<TWidth> next, ReadOnlySpan<ulong> thresholds) where TWidth : struct, IWidth
    {
        var joined = Arc<TWidth>.Join(old, next);
        if (joined == old) return old;
        if (!joined.CrossesSign)
        {
            long min = Arc<TWidth>.SignExtend(Arc<TWidth>.Sign), max = Arc<TWidth>.SignExtend(Arc<TWidth>.Sign - 1);
            // Numbers that were never negative stay so while the top of the signed range is not reached.
            var low = joined.SMin >= old.SMin ? joined.SMin : joined.SMin >= 0 ? 0 : min;
            var high = joined.SMax <= old.SMax ? joined.SMax : max;
            foreach (var threshold in thresholds)
            {
                var value = Arc<TWidth>.SignExtend(threshold & Arc<TWidth>.Top);
                if (low < joined.SMin && value <= joined.SMin && value > low) low = value;
                if (high > joined.SMax && value >= joined.SMax && value < high) high = value;
            }
            return Arc<TWidth>.Signed(low, high);
        }
        if (!joined.CrossesZero)
        {
            var low = joined.UMin >= old.UMin ? joined.UMin : 0;
            var high = joined.UMax <= old.UMax ? joined.UMax : Arc<TWidth>.Top;
            foreach (var threshold in thresholds)
            {
                var value = threshold & Arc<TWidth>.Top;
                if (low < joined.UMin && value <= joined.UMin && value > low) low = value;
                if (high > joined.UMax && value >= joined.UMax && value < high) high = value;
            }
            return Arc<TWidth>.Unsigned(low, high);
        }
        return Arc<TWidth>.Full;
    }
}
