using CsCheck;
using UringBpf.Bytecode;
using Xunit;
using Scalar = UringBpf.Verifier.ScalarOf<UringBpf.Verifier.Bits64, UringBpf.Verifier.Bits32>;

namespace UringBpf.Verifier.Tests;

/// <summary>Loops in which a pointer moves beside what bounds it, each by its own step.</summary>
public sealed class LinkedLoopTests
{
    private static readonly MapSpec s_map = new() { Name = "values", Type = MapType.Array, KeySize = 4, ValueSize = 256, MaxEntries = 1 };

    // r6 walks 'values'; r7 is a byte of the context, for what the verifier can't foresee.
    private static VerificationResult Verify(string body, bool widening = true)
    {
        var code = Assembler.Assemble("""
                r7 = *(u8 *)(r1 + 0)
                *(u32 *)(r10 - 4) = 0
                r1 = values ll
                r2 = r10
                r2 += -4
                call bpf_map_lookup_elem
                if r0 == 0 goto out
                r6 = r0
                r1 = 0

            """ + body + """

            out:
                r0 = 0
                exit
            """, [s_map]);
        var spec = new ProgramSpec { Name = "loop", Type = ProgramTypes.Raw, Instructions = code, Maps = [s_map] };
        return ProgramVerifier.Verify(spec, new() { ContextSize = 8, Widening = widening });
    }

    /// <summary>Proved in a few rounds, whatever the loop's length.</summary>
    [Theory]
    [InlineData("index by 1, pointer by 4", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n if r1 != 64 goto next")]
    [InlineData("index by 7, pointer by 4", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 7\n if r1 != 448 goto next")]
    [InlineData("index by 3, pointer by 2, unequal end", "next:\n *(u16 *)(r6 + 0) = r1\n r6 += 2\n r1 += 3\n if r1 < 380 goto next")]
    [InlineData("index downwards", "r1 = 64\nnext:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += -1\n if r1 != 0 goto next")]
    [InlineData("pointer downwards", "r6 += 252\nnext:\n *(u32 *)(r6 + 0) = r1\n r6 += -4\n r1 += 1\n if r1 != 64 goto next")]
    [InlineData("32-bit index downwards", "w1 = 64\nnext:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n w1 += -1\n if w1 != 0 goto next")]
    [InlineData("two pointers, one index", "r2 = r6\nnext:\n *(u32 *)(r6 + 0) = r1\n *(u8 *)(r2 + 0) = r1\n r6 += 4\n r2 += 1\n r1 += 1\n if r1 < 64 goto next")]
    [InlineData("the check before the access", "next:\n if r1 > 63 goto out\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n goto next")]
    [InlineData("nested, as a sort is", "r2 = 63\nouter:\n r3 = r6\n r4 = 0\ninner:\n r5 = *(u32 *)(r3 + 4)\n *(u32 *)(r3 + 0) = r5\n r3 += 4\n r4 += 1\n if r4 < r2 goto inner\n r2 += -1\n if r2 != 0 goto outer")]
    public void FewRoundsProveIt(string name, string body)
    {
        var result = Verify(body);
        Assert.True(result.Accepted, $"{name}: {result.Rejection}");
        Assert.Equal(Termination.Proved, result.Termination);
        Assert.InRange(result.Processed, 1, 200);
        Assert.True(Verify(body, widening: false).Accepted, name);
    }

    /// <summary>One round too many, or a pointer that does not keep step: refused, with and without widening.</summary>
    [Theory]
    [InlineData("one round too many", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n if r1 != 65 goto next")]
    [InlineData("one round too many by 7", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 7\n if r1 != 455 goto next")]
    [InlineData("an end that the index steps over", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 7\n if r1 != 449 goto next")]
    [InlineData("starts one element late", "r6 += 4\nnext:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n if r1 != 64 goto next")]
    [InlineData("a longer step at times", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n if r7 != 5 goto same\n r6 += 4\nsame:\n r7 = *(u8 *)(r6 + 0)\n if r1 < 64 goto next")]
    [InlineData("a shorter step of the index at times", "next:\n *(u32 *)(r6 + 0) = r1\n r7 = *(u8 *)(r6 + 0)\n r6 += 4\n if r7 == 5 goto same\n r1 += 1\nsame:\n if r1 < 64 goto next")]
    [InlineData("the index starts again at times", "next:\n *(u32 *)(r6 + 0) = r1\n r7 = *(u8 *)(r6 + 0)\n r6 += 4\n r1 += 1\n if r7 != 5 goto same\n r1 = 0\nsame:\n if r1 < 64 goto next")]
    [InlineData("the step changes after two rounds", "next:\n *(u32 *)(r6 + 0) = r1\n r6 += 4\n r1 += 1\n if r1 < 3 goto same\n r6 += 4\nsame:\n if r1 < 64 goto next")]
    [InlineData("pointer downwards, one too many", "r6 += 248\nnext:\n *(u32 *)(r6 + 0) = r1\n r6 += -4\n r1 += 1\n if r1 != 64 goto next")]
    public void WhatLeavesTheMemoryIsRefused(string name, string body)
    {
        foreach (var widening in new[] { true, false })
        {
            var result = Verify(body, widening);
            Assert.False(result.Accepted, name);
            Assert.True(result.Rejection!.Code is "UB2103" or "UB2104" or "UB2105" or "UB2106" or "UB2111" or "UB2112", $"{name}: {result.Rejection}");
        }
    }

    /// <summary>Whatever an unknown is, what one number on it is implies what the other is.</summary>
    [Fact]
    public void ALinkImpliesTheOtherNumber()
    {
        var scale = Gen.Int[-40, 40].Where(value => value != 0);
        var offset = Gen.OneOf(Gen.Long[-50, 50], Gen.Long[-Link.OffsetLimit, Link.OffsetLimit]);
        var unknown = Gen.OneOf(Gen.Long[-60, 60], Gen.Long[-(Link.NumberLimit / 64), Link.NumberLimit / 64]);
        Gen.Select(scale, offset, scale, offset, unknown, Gen.ULong[0, 1000], Gen.ULong[0, 1000]).Sample((a, b, c, d, x, below, above) =>
        {
            var (one, other) = (a * x + b, c * x + d);
            var known = Scalar.FromSigned(one - (long)below, one + (long)above);
            var implied = new Link(1, a, b).Implies(known, new Link(1, c, d));
            Assert.True(implied.Contains((ulong)other), $"{known} = {a} * {x} + {b} implies {implied} for {c} * {x} + {d}");
            if (below == 0 && above == 0) Assert.True(implied.IsConstant);
        }, iter: 100_000);
    }
}
