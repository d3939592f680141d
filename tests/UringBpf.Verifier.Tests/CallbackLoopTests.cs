using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>Loops inside callbacks, and callbacks inside loops: the rounds of the one are not those of the other.</summary>
public sealed class CallbackLoopTests
{
    // r1 is the round, r2 the address of 16 bytes of the caller's stack.
    private static VerificationResult Verify(string callback, string rounds = "50")
    {
        var code = Assembler.Assemble($"""
                *(u64 *)(r10 - 16) = 0
                r5 = *(u8 *)(r1 + 0)
                r5 &= 63
                *(u64 *)(r10 - 8) = r5
                r1 = {rounds}
                r2 = code_addr(body) ll
                r3 = r10
                r3 += -16
                r4 = 0
                call bpf_loop
                r0 = 0
                exit
            body:
            {callback}
            """);
        return ProgramVerifier.Verify(new ProgramSpec { Name = "loop", Type = ProgramTypes.Raw, Instructions = code }, new() { ContextSize = 8 });
    }

    private const string Inner = "\n r3 = *(u64 *)(r2 + 0)\n r3 += 1\n *(u64 *)(r2 + 0) = r3\n r0 = 0\n exit";

    /// <summary>Proved in a few rounds of each loop, with a bound that is at least what a run takes and not many times as much.</summary>
    [Theory]
    [InlineData("a loop in a callback", 50 * 100 * 4, "r3 = 0\n r4 = 0\nnext:\n r4 ^= r1\n r4 += r3\n r3 += 1\n if r3 != 100 goto next\n *(u64 *)(r2 + 0) = r4\n r0 = 0\n exit")]
    [InlineData("up to the callback's round", 50 * 49 / 2 * 3, "r3 = 0\n r4 = 0\nnext:\n r4 ^= r3\n r3 += 1\n if r3 < r1 goto next\n *(u64 *)(r2 + 0) = r4\n r0 = 0\n exit")]
    [InlineData("up to a number of the caller's, which the loop can't change", 50 * 63 * 4, "r5 = *(u64 *)(r2 + 8)\n r3 = 0\nnext:\n if r3 >= 100 goto done\n if r3 >= r5 goto done\n r4 = *(u64 *)(r2 + 0)\n r4 += r3\n *(u64 *)(r2 + 0) = r4\n r3 += 1\n goto next\ndone:\n r0 = 0\n exit")]
    [InlineData("two loops, one after the other", 50 * (20 + 30) * 3, "r3 = 0\n r4 = r1\none:\n r4 ^= r3\n r3 += 1\n if r3 != 20 goto one\n r3 = 0\ntwo:\n r4 += r3\n r3 += 1\n if r3 != 30 goto two\n *(u64 *)(r2 + 0) = r4\n r0 = 0\n exit")]
    [InlineData("a loop in a loop", 50 * 20 * 10 * 3, "r3 = 0\n r5 = r1\nouter:\n r4 = 0\ninner:\n r5 ^= r4\n r4 += 1\n if r4 != 10 goto inner\n r3 += 1\n if r3 != 20 goto outer\n *(u64 *)(r2 + 0) = r5\n r0 = 0\n exit")]
    [InlineData("a callback in a callback", 50 * 20 * 5, "r3 = r2\n r1 = 20\n r2 = code_addr(inner) ll\n r4 = 0\n call bpf_loop\n r0 = 0\n exit\ninner:" + Inner)]
    [InlineData("a function with a loop, called by a callback", 50 * 30 * 3, "r6 = r2\n call f\n *(u64 *)(r6 + 0) = r0\n r0 = 0\n exit\nf:\n r0 = 0\n r3 = 0\nnext:\n r0 ^= r1\n r3 += 1\n if r3 < 30 goto next\n exit")]
    public void FewRoundsProveIt(string name, long taken, string callback)
    {
        var result = Verify(callback);
        Assert.True(result.Accepted, $"{name}: {result.Rejection}");
        Assert.Equal(Termination.Proved, result.Program!.Termination);
        Assert.InRange(result.Processed, 1, 500);
        Assert.InRange(result.Program.WorstCaseInstructions, taken, 6 * taken);
    }

    /// <summary>A callback that may be asked for more rounds than a run may take, or whose loop has no end of its own, is metered.</summary>
    [Theory]
    [InlineData("too many rounds", "1000000", "r3 = 0\nnext:\n r3 += 1\n if r3 != 100 goto next\n r0 = 0\n exit")]
    [InlineData("a loop until a random number comes up", "50", "r3 = 0\nnext:\n call bpf_get_prandom_u32\n if r0 != 5 goto next\n r0 = 0\n exit")]
    [InlineData("a loop that starts again at times", "50", "r6 = 0\nnext:\n call bpf_get_prandom_u32\n r6 += 1\n if r0 != 5 goto same\n r6 = 0\nsame:\n if r6 != 20 goto next\n r0 = 0\n exit")]
    public void WhatIsNotBoundedIsMetered(string name, string rounds, string callback)
    {
        var result = Verify(callback, rounds);
        Assert.True(result.Accepted, $"{name}: {result.Rejection}");
        Assert.Equal(Termination.Metered, result.Program!.Termination);
    }
}
