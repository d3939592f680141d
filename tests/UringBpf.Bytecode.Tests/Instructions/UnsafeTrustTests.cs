using System.Text;
using Xunit;

namespace UringBpf.Bytecode.Tests.Instructions;

public sealed class UnsafeTrustTests
{
    [Fact]
    public void FactsPromiseNothing()
    {
        var program = UnsafeTrust.Verified(Spec("call f\nexit\nf: r0 = 0\nexit"), contextSize: 3);
        Assert.Equal((Termination.Metered, 3, 2, 4), (program.Termination, program.ContextSize, program.Subprograms.Length, program.Facts.Length));
        Assert.All(program.Facts, facts => Assert.True(facts is
        {
            Reached: true, Region: RegionKind.Unknown, Map: -1, MayJump: true, MayFallThrough: true, ConstantKey: -1, DivisorNonZero: false,
            NoDivideOverflow: false, UpperHalfDead: false, DestinationMin: 0, DestinationMax: ulong.MaxValue, SourceMin: 0, SourceMax: ulong.MaxValue,
        }));
    }

    [Fact]
    public void RefusesMalformedPrograms() => Assert.Equal("UB1107", Refusal("r0 = 0"));

    [Fact]
    public void RefusesDepthAndRecursion()
    {
        UnsafeTrust.Verified(Spec(Chain(Limits.Frames)));
        Assert.Equal("UB1111", Refusal(Chain(Limits.Frames + 1)));
        Assert.Equal("UB1111", Refusal("call f\nexit\nf: call f\nexit"));
        Assert.Equal("UB1111", Refusal("r1 = code_addr(-1) ll\nexit"));
    }

    // 'shared' is measured where it is called at depth 2, and again behind the chain, where it is the ninth frame.
    [Fact]
    public void DepthCountsOnEveryPath() =>
        Assert.Equal("UB1111", Refusal("call shared\n" + Chain(Limits.Frames - 1).Replace("f7: exit", "f7: call shared\nexit") + "\nshared: call leaf\nexit\nleaf: exit"));

    private static string Refusal(string text) => Assert.Throws<BpfException>(() => UnsafeTrust.Verified(Spec(text))).Code;

    // The main program and its callees, one calling the next.
    private static string Chain(int frames)
    {
        var text = new StringBuilder("call f2\nexit\n");
        for (var frame = 2; frame < frames; frame++) text.Append($"f{frame}: call f{frame + 1}\nexit\n");
        return text.Append($"f{frames}: exit").ToString();
    }

    private static ProgramSpec Spec(string text) => new() { Name = "test", Instructions = Assembler.Assemble(text) };
}
