using System.Globalization;
using System.Numerics;
using System.Text;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests.Domain;

/// <summary>
/// Every operator on every pair of 6-bit tnums and of 5-bit intervals, against all numbers in them: none may be lost, and how
/// many are added is the precision, which docs/verifier.md shows (UPDATE_DOCS=1 writes it anew).
/// </summary>
public sealed class PrecisionTests(ITestOutputHelper output)
{
    private const string Begin = "<!-- precision -->\n", End = "<!-- /precision -->\n";

    private static readonly Operation[] s_shifts = [Operation.ShiftLeft, Operation.ShiftRight, Operation.ShiftRightArithmetic];

    private static readonly Operation[] s_operators = [.. Reference.Binary.Except(s_shifts)];

    private sealed record Figure(string Name, long Pairs, long Best, long Possible, long Kept)
    {
        public string Row => string.Create(CultureInfo.InvariantCulture, $"| {Name} | {Pairs:N0} | {100.0 * Best / Pairs:F1} % | {(double)Kept / Possible:F3} |\n");
    }

    /// <inheritdoc/>
    [Fact]
    public void Nothing_is_lost_and_the_page_shows_how_much_is_added()
    {
        var text = new StringBuilder();
        Table(text, "Tnums at 6 bits, all pairs:", [.. TnumFigures()]);
        Table(text, "Intervals at 5 bits (as numbers of the verifier: bits, interval and low half together), all pairs:", [.. s_operators.Select(Intervals<Bits5, Bits3>.Operator)]);
        Table(text, "Shifts of intervals at 4 bits (counts are masked, which is defined for powers of two):", [.. s_shifts.Select(Intervals<Bits4, Bits2>.Operator)]);
        Table(text, "What a comparison teaches, intervals at 5 bits, all pairs, both outcomes:", [.. Reference.Jumps.Select(Intervals<Bits5, Bits3>.Comparison)]);
        text.Append('\n');
        output.WriteLine(text.ToString());

        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs/verifier.md"));
        GeneratedPage.Check("docs/verifier.md", GeneratedPage.With(page, Begin, End, text.ToString()));
    }

    private static void Table(StringBuilder text, string title, IReadOnlyList<Figure> figures)
    {
        text.Append($"\n{title}\n\n| | pairs | best possible | numbers kept / possible |\n|---|---:|---:|---:|\n");
        foreach (var figure in figures) text.Append(figure.Row);
    }

    // Results as sets of bits: one ulong holds 64 of 6 bits.
    private static IEnumerable<Figure> TnumFigures()
    {
        const int width = 6;
        var all = new List<Tnum>();
        for (ulong mask = 0; mask < 1 << width; mask++)
        {
            for (ulong value = 0; value < 1 << width; value++)
            {
                if ((value & mask) == 0) all.Add(new Tnum(value, mask));
            }
        }
        var sets = all.Select(tnum => Set(1 << width, tnum.Contains)).ToArray();
        (string, Func<Tnum, Tnum, Tnum>, Func<ulong, ulong, ulong>)[] binary =
        [
            ("`+`", (a, b) => a + b, (a, b) => a + b),
            ("`-`", (a, b) => a - b, (a, b) => a - b),
            ("`*`", (a, b) => a * b, (a, b) => a * b),
            ("`&`", (a, b) => a & b, (a, b) => a & b),
            ("`\\|`", (a, b) => a | b, (a, b) => a | b),
            ("`^`", (a, b) => a ^ b, (a, b) => a ^ b),
            // The second operand as a count: constants only, as the verifier uses them.
            ("`<<` by a constant", (a, b) => b.IsConstant ? a.ShiftLeft((int)b.Value) : Tnum.Unknown, (a, b) => a << (int)b),
            ("`>>` by a constant", (a, b) => b.IsConstant ? a.ShiftRight((int)b.Value) : Tnum.Unknown, (a, b) => a >> (int)b),
            ("sign extension of n bits", (a, b) => b is { IsConstant: true, Value: >= 1 and <= width } ? a.SignExtend((int)b.Value) : Tnum.Unknown,
                (a, b) => b is >= 1 and <= width ? (ulong)((long)(a << (int)(64 - b)) >> (int)(64 - b)) : 0),
        ];
        const ulong top = (1UL << width) - 1;
        foreach (var (name, apply, compute) in binary)
        {
            var counts = name[0] != '`' || name.Length > 5;
            long pairs = 0, best = 0, possible = 0, kept = 0;
            var images = new ulong[1 << width];
            for (var j = 0; j < all.Count; j++)
            {
                if (counts && (!all[j].IsConstant || all[j].Value >= width || name[0] == 's' && all[j].Value == 0)) continue;
                for (ulong a = 0; a < 1 << width; a++)
                {
                    images[a] = 0;
                    for (var rest = sets[j]; rest != 0; rest &= rest - 1) images[a] |= 1UL << (int)(compute(a, (ulong)BitOperations.TrailingZeroCount(rest)) & top);
                }
                for (var i = 0; i < all.Count; i++)
                {
                    ulong results = 0;
                    for (var rest = sets[i]; rest != 0; rest &= rest - 1) results |= images[BitOperations.TrailingZeroCount(rest)];
                    var set = sets[Index(all, apply(all[i], all[j]).Truncate(width))];
                    if ((results & ~set) != 0) Assert.Fail($"{all[i]} {name} {all[j]} loses a number");
                    pairs++;
                    // The best tnum: the one of the bits that all results agree on.
                    ulong ones = top, any = 0;
                    for (var rest = results; rest != 0; rest &= rest - 1)
                    {
                        var value = (ulong)BitOperations.TrailingZeroCount(rest);
                        ones &= value;
                        any |= value;
                    }
                    if (BitOperations.PopCount(set) == 1 << BitOperations.PopCount(ones ^ any)) best++;
                    possible += BitOperations.PopCount(results);
                    kept += BitOperations.PopCount(set);
                }
            }
            yield return new(name, pairs, best, possible, kept);
        }

        static int Index(List<Tnum> all, Tnum tnum)
        {
            // Ordered by mask, then by value: the values of a mask are the subsets of what it leaves.
            int low = 0, high = all.Count - 1;
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (all[middle].Mask < tnum.Mask || all[middle].Mask == tnum.Mask && all[middle].Value < tnum.Value) low = middle + 1;
                else high = middle;
            }
            return all[low] == tnum ? low : throw new InvalidOperationException($"{tnum} is no tnum of 6 bits");
        }
    }

    private static ulong Set(int count, Func<ulong, bool> contains)
    {
        ulong set = 0;
        for (ulong n = 0; n < (ulong)count; n++)
        {
            if (contains(n)) set |= 1UL << (int)n;
        }
        return set;
    }

    // All intervals of a width of at most 5 bits, so that a set of its numbers is half a ulong.
    private static class Intervals<TFull, THalf>
        where TFull : struct, IWidth
        where THalf : struct, IWidth
    {
        private static readonly int s_width = TFull.Bits;
        private static readonly int s_count = 1 << TFull.Bits;

        private static readonly ScalarOf<TFull, THalf>[] s_all =
            [.. (from first in Enumerable.Range(0, s_count) from span in Enumerable.Range(0, s_count) select ScalarOf<TFull, THalf>.FromWide(new((ulong)first, (ulong)span))).Distinct()];

        private static readonly ulong[] s_sets = [.. s_all.Select(Members)];

        private static ulong Members(ScalarOf<TFull, THalf> scalar)
        {
            ulong set = 0;
            for (var n = 0; n < s_count; n++)
            {
                if (scalar.Contains((ulong)n)) set |= 1UL << n;
            }
            return set;
        }

        public static Figure Operator(Operation operation)
        {
            long pairs = 0, best = 0, possible = 0, kept = 0;
            var table = new byte[s_count * s_count];
            for (var at = 0; at < table.Length; at++) table[at] = (byte)Reference.Evaluate(operation, s_width, (ulong)(at / s_count), (ulong)(at % s_count));
            var images = new ulong[s_count];
            for (var j = 0; j < s_all.Length; j++)
            {
                for (var a = 0; a < s_count; a++)
                {
                    images[a] = 0;
                    for (var rest = s_sets[j]; rest != 0; rest &= rest - 1) images[a] |= 1UL << table[a * s_count + BitOperations.TrailingZeroCount(rest)];
                }
                for (var i = 0; i < s_all.Length; i++)
                {
                    ulong results = 0;
                    for (var rest = s_sets[i]; rest != 0; rest &= rest - 1) results |= images[BitOperations.TrailingZeroCount(rest)];
                    var set = Members(ScalarOf<TFull, THalf>.Binary(operation, s_width, s_all[i], s_all[j]));
                    if ((results & ~set) != 0) Assert.Fail($"{operation} loses a result: {s_all[i]} {s_all[j]}");
                    Count(results, set, ref pairs, ref best, ref possible, ref kept);
                }
            }
            return new(operation.ToString(), pairs, best, possible, kept);
        }

        public static Figure Comparison(Operation jump)
        {
            long pairs = 0, best = 0, possible = 0, kept = 0;
            var holds = new ulong[s_count]; // for each left number, the right ones
            var mirrored = new ulong[s_count];
            for (var a = 0; a < s_count; a++)
            {
                for (var b = 0; b < s_count; b++)
                {
                    if (!Reference.Holds(jump, s_width, (ulong)a, (ulong)b)) continue;
                    holds[a] |= 1UL << b;
                    mirrored[b] |= 1UL << a;
                }
            }
            for (var i = 0; i < s_all.Length; i++)
            {
                for (var j = 0; j < s_all.Length; j++)
                {
                    for (var outcome = 0; outcome < 2; outcome++)
                    {
                        var taken = outcome == 0;
                        ulong left = 0, right = 0;
                        for (var rest = s_sets[i]; rest != 0; rest &= rest - 1)
                        {
                            var a = BitOperations.TrailingZeroCount(rest);
                            if (((taken ? holds[a] : ~holds[a]) & s_sets[j]) != 0) left |= 1UL << a;
                        }
                        for (var rest = s_sets[j]; rest != 0; rest &= rest - 1)
                        {
                            var b = BitOperations.TrailingZeroCount(rest);
                            if (((taken ? mirrored[b] : ~mirrored[b]) & s_sets[i]) != 0) right |= 1UL << b;
                        }
                        ScalarOf<TFull, THalf> dst = s_all[i], src = s_all[j];
                        var feasible = ScalarOf<TFull, THalf>.Refine(jump, s_width, taken, ref dst, ref src);
                        if (!feasible && left != 0) Assert.Fail($"{jump} {taken} calls a possible outcome impossible: {s_all[i]} {s_all[j]}");
                        ulong setDst = feasible ? Members(dst) : 0, setSrc = feasible ? Members(src) : 0;
                        if (((left & ~setDst) | (right & ~setSrc)) != 0) Assert.Fail($"{jump} {taken} loses a number: {s_all[i]} {s_all[j]}");
                        // The right set beside the left one, as one set of 64.
                        Count(left | right << 32, setDst | setSrc << 32, ref pairs, ref best, ref possible, ref kept);
                    }
                }
            }
            return new(jump.ToString(), pairs, best, possible, kept);
        }
    }

    private static void Count(ulong results, ulong set, ref long pairs, ref long best, ref long possible, ref long kept)
    {
        pairs++;
        if (set == results) best++;
        possible += BitOperations.PopCount(results);
        kept += BitOperations.PopCount(set);
    }
}
