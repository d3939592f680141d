using Xunit;

namespace UringBpf.Verifier.Tests.Domain;

/// <summary>Every tnum operator on every pair of 6-bit tnums, against every pair of numbers in them.</summary>
public sealed class TnumTests(ITestOutputHelper output)
{
    private const int Width = 6;

    private static readonly Tnum[] s_all = [.. All()];

    private static IEnumerable<Tnum> All()
    {
        for (ulong mask = 0; mask < 1 << Width; mask++)
        {
            for (ulong value = 0; value < 1 << Width; value++)
            {
                if ((value & mask) == 0) yield return new Tnum(value, mask);
            }
        }
    }

    private static ulong[] Members(Tnum tnum) =>
        [.. Enumerable.Range(0, 1 << Width).Select(n => (ulong)n).Where(tnum.Contains)];

    /// <inheritdoc/>
    public static TheoryData<string> Operators => ["+", "-", "*", "&", "|", "^"];

    /// <inheritdoc/>
    [Theory, MemberData(nameof(Operators))]
    public void Binary_operators_contain_every_result(string name)
    {
        Func<Tnum, Tnum, Tnum> apply = name switch
        {
            "+" => static (a, b) => a + b,
            "-" => static (a, b) => a - b,
            "*" => static (a, b) => a * b,
            "&" => static (a, b) => a & b,
            "|" => static (a, b) => a | b,
            _ => static (a, b) => a ^ b,
        };
        Func<ulong, ulong, ulong> compute = name switch
        {
            "+" => static (a, b) => a + b,
            "-" => static (a, b) => a - b,
            "*" => static (a, b) => a * b,
            "&" => static (a, b) => a & b,
            "|" => static (a, b) => a | b,
            _ => static (a, b) => a ^ b,
        };
        const ulong top = (1 << Width) - 1;
        var members = s_all.Select(Members).ToArray();
        long exact = 0, total = 0;
        for (var i = 0; i < s_all.Length; i++)
        {
            for (var j = 0; j < s_all.Length; j++)
            {
                var result = apply(s_all[i], s_all[j]).Truncate(Width);
                ulong ones = top, any = 0;
                foreach (var a in members[i])
                {
                    foreach (var b in members[j])
                    {
                        var value = compute(a, b) & top;
                        ones &= value;
                        any |= value;
                    }
                }
                // Contained exactly when the known bits agree with all results: ones and any summarise them.
                Assert.True((ones & result.Value) == result.Value && (any & ~(result.Value | result.Mask)) == 0, $"{s_all[i]} {name} {s_all[j]} = {result}");
                total++;
                if (result.Mask == (ones ^ any)) exact++;
            }
        }
        output.WriteLine($"tnum {name}: {100.0 * exact / total:F1} % of {total} pairs are the best tnum");
    }

    /// <inheritdoc/>
    [Fact]
    public void Join_intersect_includes_and_range_are_right()
    {
        foreach (var a in s_all)
        {
            var inA = Members(a);
            foreach (var b in s_all)
            {
                var inB = Members(b);
                var join = Tnum.Join(a, b);
                Assert.All(inA.Concat(inB), n => Assert.True(join.Contains(n)));
                var both = inA.Intersect(inB).ToArray();
                var met = Tnum.Intersect(a, b);
                Assert.Equal(both.Length == 0, met is null);
                if (met is { } m) Assert.Equal(both, Members(m));
                Assert.Equal(inB.All(a.Contains), a.Includes(b));
            }
        }
        for (ulong min = 0; min < 1 << Width; min++)
        {
            for (var max = min; max < 1 << Width; max++)
            {
                var range = Tnum.Range(min, max);
                for (var n = min; n <= max; n++) Assert.True(range.Contains(n));
            }
        }
    }

    /// <inheritdoc/>
    [Fact]
    public void Next_and_previous_member_are_the_nearest_going_round()
    {
        foreach (var tnum in s_all)
        {
            var members = Members(tnum);
            for (ulong from = 0; from < 1 << Width; from++)
            {
                var next = members.Where(n => n >= from).DefaultIfEmpty(members[0]).Min();
                Assert.Equal(next, tnum.NextMember(from));
                var below = members.Where(n => n <= from).ToArray();
                Assert.Equal(below.Length > 0 ? below[^1] : members[^1], tnum.PreviousMember(from));
            }
        }
    }
}
