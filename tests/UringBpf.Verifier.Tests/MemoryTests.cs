using System.Text;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>What verifying takes of the garbage collector, and what it takes from the pool.</summary>
public sealed class MemoryTests
{
    /// <summary>A block is empty when it is taken, whatever was left in it before.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(10_000)]
    public void BlocksAreEmptyWhenTaken(int count)
    {
        for (var round = 0; round < 3; round++)
        {
            using var workspace = new Workspace();
            var block = workspace.Take<long>(count);
            Assert.Equal(count, block.Span.Length);
            Assert.Equal(-1, block.Span.IndexOfAnyExcept(0));
            block.Span.Fill(-1);
            Assert.Equal(-1, block[count - 1]);
        }
    }

    /// <summary>Outside a block there is nothing, not even where the memory behind it is longer.</summary>
    [Fact]
    public void BlocksEndWhereTheyEnd()
    {
        using var workspace = new Workspace();
        var block = workspace.Take<int>(5000);
        Assert.Throws<IndexOutOfRangeException>(() => block[5000]);
        Assert.Throws<IndexOutOfRangeException>(() => block[-1]);
        Assert.Throws<IndexOutOfRangeException>(() => default(Block<int>)[0]);
        Assert.Equal(0, default(Block<int>).Span.Length);
    }

    /// <summary>A long program of branches takes little for each of its instructions.</summary>
    [Fact]
    public void LongProgramsTakeLittle()
    {
        var text = new StringBuilder("r6 = r1\n r7 = 0\n");
        for (var block = 0; block < 1000; block++)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"r1 = *(u32 *)(r6 + 12)\n if r1 s> 100 goto other{block}\n r7 *= 31\n r7 += r1\n goto skip{block}\n other{block}: r7 >>= 3\n w7 -= w1\n skip{block}: *(u64 *)(r10 - 16) = r7\n");
        text.Append("r0 = r7\n exit\n");
        var spec = new ProgramSpec { Name = "long", Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(text.ToString(), [], Cases.Functions) };
        var options = new VerifierOptions { ContextSize = 16 };
        Assert.True(ProgramVerifier.Verify(spec, options).Accepted);
        var before = GC.GetAllocatedBytesForCurrentThread();
        ProgramVerifier.Verify(spec, options);
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / spec.Instructions.Length, 0, 420);
    }
}
