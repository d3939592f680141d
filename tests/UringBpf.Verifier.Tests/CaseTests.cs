using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>The table of small programs: every verdict, code and instruction; and that every check matters.</summary>
public sealed class CaseTests
{
    /// <inheritdoc/>
    public static TheoryData<string> Names => [.. All.Select(c => c.Name)];

    private static IEnumerable<Case> All => Cases.All.Concat(Attacks.All).Concat(Meetings.All).Concat(Edges.All).Concat(Holes.All).Concat(Globals.All).Concat(Parts.All);

    private static Case Named(string name) => All.Single(c => c.Name == name);

    /// <inheritdoc/>
    [Theory]
    [MemberData(nameof(Names))]
    public void VerdictIsAsExpected(string name)
    {
        var test = Named(name);
        var result = ProgramVerifier.Verify(test.Spec, test.Options);
        if (test.Code is { } rule)
        {
            Assert.NotNull(result.Rejection);
            Assert.Equal($"UB{(int)rule} at {test.At}", $"{result.Rejection.Code} at {result.Rejection.Instruction}");
        }
        else
        {
            Assert.True(result.Accepted, result.Rejection?.ToString());
            Assert.True(test.Holds?.Invoke(result.Program!) != false, "it is accepted, but what is known of it is not as expected");
        }
    }

    /// <inheritdoc/>
    [Theory]
    [MemberData(nameof(Names))]
    public void PruningAndWideningDoNotChangeTheVerdict(string name)
    {
        var test = Named(name);
        var expected = ProgramVerifier.Verify(test.Spec, test.Options);
        // These loops have no end that walking alone could reach.
        Assert.SkipWhen(expected.Termination == Termination.Metered || test.Code is Rule.EndlessLoop or Rule.ProofRequired or Rule.LoopHoldsResource,
            "walks for ever without pruning");
        foreach (var (pruning, widening) in new[] { (false, false), (true, false) })
        {
            var result = ProgramVerifier.Verify(test.Spec, test.Options with { Pruning = pruning, Widening = widening });
            Assert.Equal((expected.Rejection?.Code, expected.Rejection?.Instruction), (result.Rejection?.Code, result.Rejection?.Instruction));
        }
    }

    /// <inheritdoc/>
    public static TheoryData<int> Rules => [.. Enum.GetValues<Rule>().Select(rule => (int)rule)];

    /// <summary>Without any one check, some verdict of the table changes.</summary>
    [Theory]
    [MemberData(nameof(Rules))]
    public void EveryCheckIsNoticedWhenMissing(int number)
    {
        var rule = (Rule)number;
        Assert.SkipWhen(rule is Rule.MemoryBudget or Rule.Cancelled, "tested on its own");
        var provoking = All.Where(c => c.Code == rule).ToList();
        Assert.NotEmpty(provoking);
        // Checks that nothing can go on without are not switched off: there the verdict itself is the proof.
        Rule[] fatal =
        [
            Rule.UndefinedInstruction, Rule.InvalidRegister, Rule.InvalidJump, Rule.FallsOffEnd, Rule.InvalidCallTarget, Rule.UnknownProgramType,
            Rule.CallbackFunction, Rule.ProgramSize, Rule.Recursion, Rule.CallDepth, Rule.UnknownFunction, Rule.IndirectCall, Rule.StepBudget,
        ];
        if (fatal.Contains(rule)) return;
        Assert.Contains(provoking, test =>
        {
            var result = ProgramVerifier.Verify(test.Spec, test.Options with { DisabledCheck = rule });
            return result.Rejection?.Code != $"UB{number}";
        });
    }

    /// <inheritdoc/>
    [Fact]
    public void CancellationEndsTheWalk()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Instruction[] program = [.. Op.Mov(3, 0), .. Op.Add(3, 1), .. Op.JumpLt(3, 100_000, -2), .. Op.Return(0)];
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = [.. program] };
        var result = ProgramVerifier.Verify(spec, new VerifierOptions { CancellationToken = source.Token, Widening = false });
        Assert.Equal("UB2903", result.Rejection?.Code);
    }

    /// <inheritdoc/>
    [Fact]
    public void MemoryIsBounded()
    {
        Instruction[] program = [.. Op.Mov(3, 0), .. Op.Add(3, 1), .. Op.JumpLt(3, 100_000, -2), .. Op.Return(0)];
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = [.. program] };
        var result = ProgramVerifier.Verify(spec, new VerifierOptions { MaxMemoryMiB = 1, Widening = false });
        Assert.Equal("UB2902", result.Rejection?.Code);
    }

    // Eight stacks full of one number: each comparison of it changes them all, and the state of the other outcome waits.
    [Fact]
    public void WhatWaitsCountsAsMemory()
    {
        var text = new System.Text.StringBuilder("r6 = *(u64 *)(r1 + 0)\ngoto fill0\n");
        for (var frame = 0; frame < Limits.Frames; frame++)
        {
            text.AppendLine(frame == 0 ? "fill0: r0 = 0" : $"f{frame}: r6 = r2");
            for (var slot = 1; slot <= Limits.StackBytesPerFrame / 8; slot++) text.AppendLine($"*(u64 *)(r10 - {8 * slot}) = r6");
            if (frame < Limits.Frames - 1) text.AppendLine($"r2 = r6\ncall f{frame + 1}");
            else for (var number = 1; number <= 6000; number++) text.AppendLine($"if r6 == {number} goto read");
            if (frame == Limits.Frames - 1) text.AppendLine("read: r0 = 0");
            for (var slot = 1; slot <= Limits.StackBytesPerFrame / 8; slot++) text.AppendLine($"r0 = *(u64 *)(r10 - {8 * slot})\nif r0 > 77 goto +0");
            text.AppendLine("r0 = 0\nexit");
        }
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(text.ToString()) };
        var before = GC.GetAllocatedBytesForCurrentThread();
        var result = ProgramVerifier.Verify(spec, new VerifierOptions { ContextSize = 8, MaxMemoryMiB = 64 });
        Assert.Equal("UB2902", result.Rejection?.Code);
        // Little of it is garbage: what was allocated is nearly what was held.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 160L << 20);
    }

    // None of the inner loops' counters limits the loop around them. To look at them all takes their number squared, which was minutes.
    [Fact]
    public void TheSearchForACounterEnds()
    {
        var inner = string.Concat(Enumerable.Range(0, 3000).Select(loop => $"r1 = 0\nl{loop}: r1 += 1\nif r1 < 10 goto l{loop}\n"));
        var code = Assembler.Assemble($"r9 = r1\nouter: r0 = 1\n{inner}r1 = *(u64 *)(r9 + 0)\nif r1 == 5 goto end\ngotol outer\nend: r0 = 0\nexit");
        var result = ProgramVerifier.Verify(new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = code }, new VerifierOptions { ContextSize = 8 });
        Assert.Equal(Termination.Metered, result.Program?.Termination);
    }

    /// <inheritdoc/>
    [Fact]
    public void StepBudgetIsExact()
    {
        Instruction[] program = [.. Op.Mov(3, 0), .. Op.Add(3, 1), .. Op.JumpLt(3, 1000, -2), .. Op.Return(0)];
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = [.. program] };
        const int needed = 1 + 2 * 1000 + 2;
        var exact = ProgramVerifier.Verify(spec, new VerifierOptions { Widening = false, MaxSteps = needed });
        Assert.True(exact.Accepted, exact.Rejection?.ToString());
        Assert.Equal(needed, exact.Processed);
        var less = ProgramVerifier.Verify(spec, new VerifierOptions { Widening = false, MaxSteps = needed - 1 });
        Assert.Equal("UB2901", less.Rejection?.Code);
    }
}
