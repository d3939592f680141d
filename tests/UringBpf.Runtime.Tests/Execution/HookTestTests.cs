using UringBpf.Bytecode;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Hooks run without a ring: they see the completion described, and their calls are recorded.</summary>
public sealed class HookTestTests
{
    // Emits the first byte, counts in scratch, submits one zeroed operation, and gives its status.
    private static readonly ProgramSpec s_hook = new()
    {
        Name = "hook",
        Type = ProgramTypes.Completion,
        Instructions = Assembler.Assemble("""
            r6 = r1
            r2 = *(u64 *)(r6 + 40)
            r3 = *(u64 *)(r6 + 48)
            r4 = r2
            r4 += 1
            if r4 > r3 goto none
            r3 = *(u8 *)(r2 + 0)
            *(u8 *)(r2 + 0) = 0
            r4 = *(u64 *)(r6 + 56)
            r4 += 1
            *(u64 *)(r6 + 56) = r4
            r1 = r6
            r2 = *(u64 *)(r6 + 0)
            call uring_emit
            *(u64 *)(r10 - 8) = 0
            *(u64 *)(r10 - 16) = 0
            *(u64 *)(r10 - 24) = 0
            *(u64 *)(r10 - 32) = 0
            *(u64 *)(r10 - 40) = 0
            *(u64 *)(r10 - 48) = 0
            *(u64 *)(r10 - 56) = 0
            *(u64 *)(r10 - 64) = 7
            r1 = r6
            r2 = r10
            r2 += -64
            r3 = 64
            call uring_submit
            exit
            none: r0 = *(u32 *)(r6 + 20)
            r0 = -5
            exit
            """),
    };

    private static void Check(Func<HookTest, int> run)
    {
        var test = new HookTest { Data = [42, 1], UserData = 77, Answer = call => call.Name == "uring_submit" ? -16 : 0 };
        Assert.Equal(-16, run(test));
        Assert.Equal(["uring_emit", "uring_submit"], test.Calls.Select(call => call.Name));
        Assert.Equal([77, 42], test.Calls[0].Arguments);
        Assert.Equal([64], test.Calls[1].Arguments);
        Assert.Equal(64, test.Calls[1].Operation.Length);
        Assert.Equal(7, test.Calls[1].Operation[0]);
        Assert.Equal(0, test.Data[0]);
        Assert.Equal(-16, run(test));
        Assert.Equal(2ul, test.Scratch[0]);
        Assert.Equal(2u, test.Step);
        test.Data = [];
        Assert.Equal(-5, run(test));
        Assert.Equal(4, test.Calls.Count);
    }

    [Fact]
    public void A_verified_hook_runs_as_on_a_ring()
    {
        using var maps = MapSet.Create([]);
        using var hook = InterpretedProgram.Create(ProgramVerifier.VerifyOrThrow(s_hook), maps);
        Check(test => test.Run(hook));
    }

    [Fact]
    public void An_unverified_hook_runs_checked()
    {
        using var hook = new CheckedInterpreter(s_hook);
        Check(test =>
        {
            var result = test.Run(hook);
            Assert.Null(result.Fault);
            return (int)result.Result;
        });
    }

    [Fact]
    public void Other_programs_are_refused()
    {
        using var program = new CheckedInterpreter(s_hook with { Type = ProgramTypes.Raw });
        Assert.Equal("UB4006", Assert.Throws<BpfException>(() => new HookTest().Run(program)).Code);
    }
}
