using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Compiler.Tests;

/// <summary>Programs that are harmless to verify and to run, and were made to be compiled for ever.</summary>
public sealed class WorkTests
{
    // What a loop adds to what is followed as a sum of registers, each of which was twice as long as the one before.
    [Fact]
    public void A_register_that_is_doubled_in_a_loop_is_no_sum_to_follow()
    {
        var doublings = string.Concat(Enumerable.Repeat("r1 += r1\n", 24));
        var program = Verified($"r1 = 3\nr6 = 0\nloop: r6 += 1\n{doublings}if r6 < 2 goto loop\nr0 = r1\nexit");
        var before = GC.GetAllocatedBytesForCurrentThread();
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
        Assert.Equal(3UL << 48, compiled.Run([]));
    }

    // What is live goes from each block to the one before it in the text: a pass over all blocks for each of them.
    [Fact]
    public void Blocks_in_the_reverse_of_the_order_they_run_in()
    {
        const int blocks = 30_000;
        var text = new StringBuilder("r7 = 5\nr0 = 0\ngotol b29999\nb0: r0 += r7\nexit\n");
        for (var block = 1; block < blocks; block++) text.AppendLine($"b{block}: r0 += 1\ngotol b{block - 1}");
        using var compiled = ProgramCompiler.Compile(Verified(text.ToString()), MapSet.Empty);
        Assert.Equal((ulong)blocks + 4, compiled.Run([]));
    }

    private static VerifiedProgram Verified(string text)
    {
        var code = Assembler.Assemble(text);
        return ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "work", Type = ProgramTypes.Raw, Instructions = code, OwnInstructions = code.Length });
    }
}
