using Xunit;

namespace UringBpf.Verifier.Tests.Domain;

/// <summary>Every arc operator on every pair of arcs at 4 and 5 bits, against every pair of numbers in them.</summary>
public sealed class ArcTests
{
    /// <inheritdoc/>
    [Fact]
    public void Set_operations_at_4_bits() => SetOperations<Bits4>(checkShortest: true);

    /// <inheritdoc/>
    [Fact]
    public void Set_operations_at_5_bits() => SetOperations<Bits5>(checkShortest: false);

    /// <summary>What is calculated in 64 bits, so that it is compiled ahead of time, is what 128 bits give.</summary>
    [Fact]
    public void Arithmetic_in_64_bits_is_that_in_128()
    {
        foreach (var a in All<Bits5>())
        {
            foreach (var b in All<Bits5>()) Compare(a, b);
        }
        var random = new Random(7);
        for (var i = 0; i < 20_000; i++)
        {
            Compare(new Arc<Bits32>(Number(32), Number(32)), new Arc<Bits32>(Number(32), Number(32)));
            Compare(new Arc<Bits64>(Number(64), Number(64)), new Arc<Bits64>(Number(64), Number(64)));
            var (offset, more) = ((long)Number(64), (long)Number(64));
            Assert.Equal((long)Int128.Clamp((Int128)offset + more, -Value.OffsetBound, Value.OffsetBound), Value.Bounded(offset, more));
        }

        // Of every length, and many near the ends.
        ulong Number(int bits)
        {
            var number = (ulong)random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64 - bits, 64);
            if (random.Next(3) == 0) number = (1UL << random.Next(bits)) + (ulong)random.Next(-2, 3);
            return (random.Next(4) == 0 ? 0 - number : number) & (ulong.MaxValue >> (64 - bits));
        }
    }

    private static void Compare<TWidth>(Arc<TWidth> a, Arc<TWidth> b) where TWidth : struct, IWidth
    {
        Assert.Equal(Make(a.First + b.First, (UInt128)a.Span + b.Span), a + b);
        Assert.Equal(Make(a.First - b.Last, (UInt128)a.Span + b.Span), a - b);
        var full = a.CrossesSign && a.CrossesZero || b.CrossesSign && b.CrossesZero;
        Assert.Equal(full ? Arc<TWidth>.Full : Arc<TWidth>.Product(a, b), a * b);
        for (var least = 0; least < TWidth.Bits; least++)
        {
            Assert.Equal(Make(a.First << least, (UInt128)a.Span << least), a.ShiftLeft(least, least));
            for (var most = least + 1; most < TWidth.Bits; most += 5)
            {
                var wide = (UInt128)a.UMax << most <= Arc<TWidth>.Top ? Arc<TWidth>.Unsigned(a.UMin << least, a.UMax << most) : Arc<TWidth>.Full;
                Assert.Equal(wide, a.ShiftLeft(least, most));
            }
        }

        static Arc<TWidth> Make(ulong first, UInt128 span) => span >= Arc<TWidth>.Top ? Arc<TWidth>.Full : new(first, (ulong)span);
    }

    private static Arc<TWidth>[] All<TWidth>() where TWidth : struct, IWidth =>
        [.. from first in Enumerable.Range(0, 1 << TWidth.Bits)
            from span in Enumerable.Range(0, 1 << TWidth.Bits)
            select new Arc<TWidth>((ulong)first, (ulong)span)];

    private static void SetOperations<TWidth>(bool checkShortest) where TWidth : struct, IWidth
    {
        var all = All<TWidth>().Distinct().ToArray();
        var top = Arc<TWidth>.Top;
        foreach (var a in all)
        {
            ulong setA = 0;
            for (ulong n = 0; n <= top; n++)
            {
                if (a.Contains(n)) setA |= 1UL << (int)n;
            }
            Assert.Equal(a.Span + 1, (ulong)System.Numerics.BitOperations.PopCount(setA));
            Assert.Equal(a.UMin, Enumerable.Range(0, (int)top + 1).Select(n => (ulong)n).Where(a.Contains).Min());
            Assert.Equal(a.UMax, Enumerable.Range(0, (int)top + 1).Select(n => (ulong)n).Where(a.Contains).Max());
            Assert.Equal(a.SMin, Enumerable.Range(0, (int)top + 1).Select(n => (ulong)n).Where(a.Contains).Min(Arc<TWidth>.SignExtend));
            Assert.Equal(a.SMax, Enumerable.Range(0, (int)top + 1).Select(n => (ulong)n).Where(a.Contains).Max(Arc<TWidth>.SignExtend));
            foreach (var b in all)
            {
                var includes = true;
                ulong both = 0;
                var join = Arc<TWidth>.Join(a, b);
                var meet = Arc<TWidth>.Intersect(a, b);
                for (ulong n = 0; n <= top; n++)
                {
                    bool inA = a.Contains(n), inB = b.Contains(n);
                    if (inB && !inA) includes = false;
                    if (inA && inB) both |= 1UL << (int)n;
                    if ((inA || inB) && !join.Contains(n)) Assert.Fail($"{a} join {b}");
                    if (inA && inB && !(meet is { } m && m.Contains(n))) Assert.Fail($"{a} meet {b}");
                }
                Assert.Equal(includes, a.Includes(b));
                Assert.Equal(both == 0, meet is null);
                // The meet is no longer than either.
                if (meet is { } narrowed) Assert.True(narrowed.Span <= Math.Min(a.Span, b.Span));
                Assert.Equal(meet?.Span, Arc<TWidth>.Intersect(b, a)?.Span);
                // The join is the shortest arc: no shorter one covers both.
                if (checkShortest && !join.IsFull)
                    Assert.DoesNotContain(all, arc => arc.Span < join.Span && arc.Includes(a) && arc.Includes(b));
            }
            for (ulong n = 0; n <= top; n++)
            {
                var without = a.Without(n);
                for (ulong m = 0; m <= top; m++)
                {
                    if (a.Contains(m) && m != n) Assert.True(without is { } rest && rest.Contains(m));
                }
            }
        }
    }
}
