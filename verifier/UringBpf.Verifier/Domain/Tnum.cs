using System.Numerics;

namespace UringBpf.Verifier;

/// <summary>
/// A tracked number: what is known of each bit. A bit set in <see cref="Mask"/> is unknown; the others have the value
/// they have in <see cref="Value"/>. See kernel/bpf/tnum.c and Vishwanathan et al., "Sound, Precise, and Fast Abstract
/// Interpretation with Tristate Numbers" (CGO 2022). Word-size independent: callers truncate.
/// </summary>
internal readonly record struct Tnum(ulong Value, ulong Mask)
{
    public static Tnum Unknown => new(0, ulong.MaxValue);

    public static Tnum Constant(ulong value) => new(value, 0);

    public bool IsConstant => Mask == 0;

    /// <summary>The smallest member, unsigned.</summary>
    public ulong Min => Value;

    /// <summary>The largest member, unsigned.</summary>
    public ulong Max => Value | Mask;

    public bool Contains(ulong value) => (value & ~Mask) == Value;

    /// <summary>True when every member of <paramref name="other"/> is one of this.</summary>
    public bool Includes(Tnum other) => (other.Mask & ~Mask) == 0 && (other.Value & ~Mask) == Value;

    /// <summary>The numbers min..max share the bits above the highest one in which min and max differ.</summary>
    public static Tnum Range(ulong min, ulong max)
    {
        var differing = min ^ max;
        var mask = differing == 0 ? 0 : ulong.MaxValue >> BitOperations.LeadingZeroCount(differing);
        return new(min & ~mask, mask);
    }

    public Tnum Truncate(int bits)
    {
        var keep = ulong.MaxValue >> (64 - bits);
        return new(Value & keep, Mask & keep);
    }

    public static Tnum operator +(Tnum a, Tnum b)
    {
        var sum = a.Value + b.Value;
        var carries = (sum + a.Mask + b.Mask) ^ sum;
        var mask = carries | a.Mask | b.Mask;
        return new(sum & ~mask, mask);
    }

    public static Tnum operator -(Tnum a, Tnum b)
    {
        var difference = a.Value - b.Value;
        var borrows = (difference + a.Mask) ^ (difference - b.Mask);
        var mask = borrows | a.Mask | b.Mask;
        return new(difference & ~mask, mask);
    }

    public static Tnum operator &(Tnum a, Tnum b)
    {
        var ones = a.Value & b.Value;
        return new(ones, (a.Value | a.Mask) & (b.Value | b.Mask) & ~ones);
    }

    public static Tnum operator |(Tnum a, Tnum b)
    {
        var ones = a.Value | b.Value;
        return new(ones, (a.Mask | b.Mask) & ~ones);
    }

    public static Tnum operator ^(Tnum a, Tnum b)
    {
        var mask = a.Mask | b.Mask;
        return new((a.Value ^ b.Value) & ~mask, mask);
    }

    /// <summary>Shift and add; an unknown bit of the multiplier leaves both the sum with and without its share possible.</summary>
    public static Tnum operator *(Tnum a, Tnum b)
    {
        if (BitOperations.PopCount(b.Mask | b.Value) < BitOperations.PopCount(a.Mask | a.Value)) (a, b) = (b, a);
        var product = Constant(0);
        for (var rest = a; (rest.Value | rest.Mask) != 0; rest = new(rest.Value >> 1, rest.Mask >> 1), b = new(b.Value << 1, b.Mask << 1))
        {
            if ((rest.Value & 1) != 0) product += b;
            else if ((rest.Mask & 1) != 0) product = Join(product, product + b);
        }
        return product;
    }

    public Tnum ShiftLeft(int count) => new(Value << count, Mask << count);

    public Tnum ShiftRight(int count) => new(Value >> count, Mask >> count);

    /// <summary>Copies what is known of bit <paramref name="bits"/> - 1 into all above; they must be zero or garbage before.</summary>
    public Tnum SignExtend(int bits)
    {
        var up = 64 - bits;
        return new((ulong)((long)(Value << up) >> up), (ulong)((long)(Mask << up) >> up));
    }

    /// <summary>The numbers in both, or null when there is none.</summary>
    public static Tnum? Intersect(Tnum a, Tnum b)
    {
        if (((a.Value ^ b.Value) & ~a.Mask & ~b.Mask) != 0) return null;
        var mask = a.Mask & b.Mask;
        return new((a.Value | b.Value) & ~mask, mask);
    }

    /// <summary>The least tnum with all numbers of both.</summary>
    public static Tnum Join(Tnum a, Tnum b)
    {
        var mask = a.Mask | b.Mask | (a.Value ^ b.Value);
        return new(a.Value & b.Value & ~mask, mask);
    }

    /// <summary>The smallest member &gt;= <paramref name="from"/>, or the smallest of all when there is none (going round).</summary>
    public ulong NextMember(ulong from)
    {
        var wrong = (from ^ Value) & ~Mask;
        if (wrong == 0) return from;
        var top = 63 - BitOperations.LeadingZeroCount(wrong);
        if ((Value >> top & 1) != 0)
        {
            // The first wrong bit must rise to 1: everything below takes its least value.
            return Splice(from, Value, top + 1);
        }
        // It must fall to 0: some free bit above it that is 0 has to rise.
        var free = Mask & ~from & ~LowBits(top + 1);
        if (free == 0) return Value;
        var rising = BitOperations.TrailingZeroCount(free);
        return Splice(from, Value, rising) | (1UL << rising);
    }

    /// <summary>The largest member &lt;= <paramref name="from"/>, or the largest of all when there is none (going round).</summary>
    public ulong PreviousMember(ulong from) => ~new Tnum(~Value & ~Mask, Mask).NextMember(~from);

    private static ulong LowBits(int count) => count >= 64 ? ulong.MaxValue : (1UL << count) - 1;

    private static ulong Splice(ulong high, ulong low, int at) => (high & ~LowBits(at)) | (low & LowBits(at));
}
