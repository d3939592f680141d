using UringBpf.Bytecode;
using Xunit;
using Scalar = UringBpf.Verifier.ScalarOf<UringBpf.Verifier.Bits64, UringBpf.Verifier.Bits32>;
using SmallScalar = UringBpf.Verifier.ScalarOf<UringBpf.Verifier.Tests.Domain.Bits4, UringBpf.Verifier.Tests.Domain.Bits2>;

namespace UringBpf.Verifier.Tests.Domain;

/// <summary>
/// The product of bits and two arcs: at 4 and 2 bits every operator on every pair of arcs (through the constructor that
/// reduces) and on random members of the product; at 64 and 32 bits random, near the boundaries.
/// </summary>
public sealed class ScalarTests(ITestOutputHelper output)
{
    private const ulong Seed = 20260901;

    private static ulong Members(in SmallScalar scalar)
    {
        ulong set = 0;
        for (ulong n = 0; n < 16; n++)
        {
            if (scalar.Contains(n)) set |= 1UL << (int)n;
        }
        return set;
    }

    // All arcs, and a sample of products with bits and low halves that arcs alone do not make.
    private static SmallScalar[] Samples()
    {
        var found = new HashSet<SmallScalar>();
        for (ulong first = 0; first < 16; first++)
        {
            for (ulong span = 0; span < 16; span++) found.Add(SmallScalar.FromWide(new(first, span)));
        }
        for (ulong mask = 0; mask < 16; mask++)
        {
            for (ulong value = 0; value < 16; value++)
            {
                if ((mask & value) == 0) found.Add(SmallScalar.FromBits(new(value, mask)));
            }
        }
        var random = new Random((int)Seed);
        var list = found.ToList();
        while (list.Count < 1200)
        {
            var meet = SmallScalar.Intersect(list[random.Next(list.Count)], list[random.Next(list.Count)]);
            var mixed = random.Next(2) == 0 ? meet : SmallScalar.Join(meet, list[random.Next(list.Count)]);
            if (!mixed.IsEmpty && found.Add(mixed)) list.Add(mixed);
            else if (random.Next(200) == 0) break;
        }
        return [.. list];
    }

    /// <inheritdoc/>
    [Fact]
    public void Every_binary_operator_is_sound_at_4_bits()
    {
        var samples = Samples();
        foreach (var operation in Reference.Binary)
        {
            foreach (var width in new[] { 4, 2 })
            {
                long best = 0, got = 0;
                var table = new ulong[16, 16];
                for (ulong a = 0; a < 16; a++)
                {
                    for (ulong b = 0; b < 16; b++) table[a, b] = Reference.Evaluate(operation, width, a, b);
                }
                foreach (var x in samples)
                {
                    var setX = Members(x);
                    foreach (var y in samples)
                    {
                        var setY = Members(y);
                        ulong results = 0;
                        for (var a = 0; a < 16; a++)
                        {
                            if ((setX >> a & 1) == 0) continue;
                            for (var b = 0; b < 16; b++)
                            {
                                if ((setY >> b & 1) != 0) results |= 1UL << (int)table[a, b];
                            }
                        }
                        var set = Members(SmallScalar.Binary(operation, width, x, y));
                        if ((results & ~set) != 0) Assert.Fail($"{operation} at {width} bits loses a result: {x} {y}");
                        best += System.Numerics.BitOperations.PopCount(results);
                        got += System.Numerics.BitOperations.PopCount(set);
                    }
                }
                output.WriteLine($"{operation,-22} {width} bits: {(double)got / best:F3} x the numbers that are possible");
            }
        }
    }

    /// <inheritdoc/>
    [Fact]
    public void Every_comparison_refines_soundly_at_4_bits()
    {
        var samples = Samples();
        foreach (var jump in Reference.Jumps)
        {
            foreach (var width in new[] { 4, 2 })
            {
                long best = 0, got = 0;
                foreach (var x in samples)
                {
                    var setX = Members(x);
                    foreach (var y in samples)
                    {
                        var setY = Members(y);
                        foreach (var taken in new[] { true, false })
                        {
                            ulong left = 0, right = 0;
                            for (var a = 0; a < 16; a++)
                            {
                                if ((setX >> a & 1) == 0) continue;
                                for (var b = 0; b < 16; b++)
                                {
                                    if ((setY >> b & 1) == 0 || Reference.Holds(jump, width, (ulong)a, (ulong)b) != taken) continue;
                                    left |= 1UL << a;
                                    right |= 1UL << b;
                                }
                            }
                            SmallScalar dst = x, src = y;
                            var feasible = SmallScalar.Refine(jump, width, taken, ref dst, ref src);
                            if (left != 0 && !feasible) Assert.Fail($"{jump} {taken} at {width} bits calls a possible outcome impossible: {x} {y}");
                            if (!feasible) continue;
                            ulong setDst = Members(dst), setSrc = Members(src);
                            if ((left & ~setDst) != 0 || (right & ~setSrc) != 0) Assert.Fail($"{jump} {taken} at {width} bits loses a number: {x} {y}");
                            // Refinement narrows: never longer than what was known before. It may be another arc of that length, where the
                            // numbers left lie in two pieces.
                            if (dst.Wide.Span > x.Wide.Span || src.Wide.Span > y.Wide.Span || dst.Low.Span > x.Low.Span || src.Low.Span > y.Low.Span)
                                Assert.Fail($"{jump} {taken} at {width} bits widens: {x} {y}");
                            best += System.Numerics.BitOperations.PopCount(left) + System.Numerics.BitOperations.PopCount(right);
                            got += System.Numerics.BitOperations.PopCount(setDst) + System.Numerics.BitOperations.PopCount(setSrc);
                        }
                    }
                }
                output.WriteLine($"{jump,-26} {width} bits: {(double)got / best:F3} x the numbers that are possible");
            }
        }
    }

    /// <inheritdoc/>
    [Fact]
    public void Join_intersect_widen_and_truncate_are_sound_at_4_bits()
    {
        var samples = Samples();
        ulong[] thresholds = [0, 3, 7, 8, 15];
        foreach (var x in samples)
        {
            var setX = Members(x);
            foreach (var y in samples)
            {
                var setY = Members(y);
                Assert.Equal(0UL, (setX | setY) & ~Members(SmallScalar.Join(x, y)));
                Assert.Equal(0UL, (setX | setY) & ~Members(SmallScalar.Widen(x, y, thresholds)));
                Assert.Equal(0UL, setX & setY & ~Members(SmallScalar.Intersect(x, y)));
                if (x.Includes(y)) Assert.Equal(0UL, setY & ~setX);
            }
            foreach (var bits in new[] { 1, 2 })
            {
                ulong cut = 0, extended = 0;
                for (var n = 0; n < 16; n++)
                {
                    if ((setX >> n & 1) == 0) continue;
                    var low = (ulong)n & Reference.Mask(bits);
                    cut |= 1UL << (int)low;
                    extended |= 1UL << (int)((ulong)(long)Reference.Signed(low, bits) & 15);
                }
                Assert.Equal(0UL, cut & ~Members(x.Truncate(bits)));
                Assert.Equal(0UL, extended & ~Members(x.SignExtend(bits, 4)));
            }
        }
    }

    /// <inheritdoc/>
    [Fact]
    public void Widening_ends()
    {
        ulong[] thresholds = [0, 63, 64, 65];
        var value = Scalar.Constant(0);
        var rounds = 0;
        while (true)
        {
            var next = Scalar.Join(value, Scalar.Binary(Operation.Add, 64, value, Scalar.Constant(1)));
            var widened = Scalar.Widen(value, next, thresholds);
            if (widened.Equals(value)) break;
            value = widened;
            Assert.True(++rounds < 12, "widening does not settle");
        }
    }

    /// <inheritdoc/>
    [Fact]
    public void Random_64_bit_operations_are_sound()
    {
        output.WriteLine($"seed {Seed}");
        var random = new Random((int)Seed);
        for (var round = 0; round < 200_000; round++)
        {
            var (x, a) = Draw(random);
            var (y, b) = Draw(random);
            var operation = Reference.Binary[random.Next(Reference.Binary.Length)];
            var width = random.Next(2) == 0 ? 64 : 32;
            var result = Scalar.Binary(operation, width, x, y);
            var expected = Reference.Evaluate(operation, width, a, b);
            Assert.True(result.Contains(expected), $"{operation} {width}: {x} with {a}, {y} with {b}: {expected} not in {result}");

            var bits = width == 64 ? new[] { 8, 16, 32 }[random.Next(3)] : new[] { 8, 16 }[random.Next(2)];
            var low = a & Reference.Mask(bits);
            var signed = (ulong)(long)Reference.Signed(low, bits) & Reference.Mask(width);
            Assert.True(Scalar.Unary(Operation.MoveSignExtend, width, bits, x).Contains(signed), $"movsx {bits} to {width}: {x} with {a}");
            var swap = new[] { 16, 32, 64 }[random.Next(3)];
            var swapped = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(a) >> (64 - swap);
            Assert.True(Scalar.Unary(Operation.ByteSwap, 64, swap, x).Contains(swapped), $"bswap{swap}: {x} with {a}");
            Assert.True(Scalar.Unary(Operation.Negate, width, 0, x).Contains((0 - a) & Reference.Mask(width)), $"neg {width}: {x} with {a}");

            var jump = Reference.Jumps[random.Next(Reference.Jumps.Length)];
            var holds = Reference.Holds(jump, width, a, b);
            var (dst, src) = (x, y);
            Assert.True(Scalar.Refine(jump, width, holds, ref dst, ref src), $"{jump} {width} {holds}: {x} with {a}, {y} with {b}");
            Assert.True(dst.Contains(a) && src.Contains(b), $"{jump} {width} {holds}: {x} with {a}, {y} with {b}");
            if (Scalar.Decide(jump, width, x, y) is { } decided) Assert.Equal(holds, decided);
            Assert.True(Scalar.Join(x, y).Contains(a) && Scalar.Join(x, y).Contains(b));
        }
    }

    // A scalar and a number in it, drawn towards the boundaries.
    private static (Scalar, ulong) Draw(Random random)
    {
        var value = Interesting(random);
        var scalar = random.Next(5) switch
        {
            0 => Scalar.Constant(value),
            1 => Scalar.FromWide(Around(random, value)),
            2 => Scalar.FromBits(Masked(random, value)),
            3 => Scalar.Unknown,
            _ => Scalar.Intersect(Scalar.FromWide(Around(random, value)), Scalar.FromBits(Masked(random, value))),
        };
        return (scalar, value);
    }

    private static Arc<Bits64> Around(Random random, ulong value)
    {
        var before = Interesting(random) >> random.Next(64);
        var after = Interesting(random) >> random.Next(64);
        return before + after < before ? Arc<Bits64>.Full : new(value - before, before + after);
    }

    private static Tnum Masked(Random random, ulong value)
    {
        var mask = (ulong)random.NextInt64(long.MinValue, long.MaxValue) & (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        if (random.Next(2) == 0) mask &= uint.MaxValue;
        return new(value & ~mask, mask);
    }

    private static ulong Interesting(Random random)
    {
        ulong[] corners = [0, 1, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, int.MaxValue, 0x8000_0000, uint.MaxValue, 0x1_0000_0000, long.MaxValue, 0x8000_0000_0000_0000, ulong.MaxValue];
        return random.Next(3) switch
        {
            0 => corners[random.Next(corners.Length)],
            1 => corners[random.Next(corners.Length)] + (ulong)random.Next(-3, 4),
            _ => (ulong)random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64),
        };
    }
}
