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
