using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Compiler.Tests;

/// <summary>Tests whether a byte lies between two others, and of flags that are 0 or 1: written by what the verifier knows of them.</summary>
public sealed class ByteTestTests
{
    private static readonly List<string> s_comparisons = ["<", "<=", ">", ">="];
    private static readonly int[] s_limits = [0, 1, 2, 9, 10, 25, 26, 127, 128, 129, 245, 246, 247, 254, 255, 256];

    /// <summary>What is added, which bits of a byte count, and which are set.</summary>
    public static MatrixTheoryData<int, int, int> Sums => new([-300, -256, -255, -254, -128, -97, -65, -58, -48, -1, 0, 1, 48, 128, 254, 255, 256, 300], [255, 127, 15], [0, 64]);

    // One program asks everything: a bit of its result for each comparison with each limit.
    [Theory]
    [MemberData(nameof(Sums))]
    public void TheyAskTheSameWithoutTheMask(int sum, int bits, int set)
    {
        var text = new StringBuilder("r0 = 0\nr7 = *(u8 *)(r1 + 0)\n");
        foreach (var (limit, comparison) in from limit in s_limits from comparison in s_comparisons select (limit, comparison))
        {
            var width = (limit & 1) == 0 ? "w" : "r";
            text.Append($"r0 <<= 1\nr2 = r7\n{width}2 &= {bits}\n{width}2 |= {set}\n{width}2 += {sum}\n{width}2 &= 255\nif {width}2 {comparison} {limit} goto next{limit}{s_comparisons.IndexOf(comparison)}\n");
            // With a jump, and without one.
            text.Append(comparison.Length == 1 ? "r0 |= 1\n" : "r0 += 1\n").Append($"next{limit}{s_comparisons.IndexOf(comparison)}:\n");
        }
        Instruction[] code = [.. Assembler.Assemble(text.Append("exit\n").ToString())];
        var program = TestPrograms.Trusted(code, facts =>
        {
            for (var slot = 0; slot < code.Length; slot++)
            {
                if (OpcodeTable.Find(code[slot])!.Operation == Operation.Add && code[slot].Destination == 2) (facts[slot].DestinationMin, facts[slot].DestinationMax) = ((ulong)set, (ulong)(bits | set));
            }
        });
        using var compiled = ProgramCompiler.Compile(program, Runtime.MapSet.Empty);
        for (var value = 0; value < 256; value++)
        {
            var expected = 0UL;
            var masked = (value & bits | set) + sum & 255;
            foreach (var limit in s_limits)
            {
                foreach (var jumps in (bool[])[masked < limit, masked <= limit, masked > limit, masked >= limit]) expected = expected << 1 | (jumps ? 0UL : 1);
            }
            Assert.Equal(expected, compiled.Run([(byte)value, 0, 0, 0, 0, 0, 0, 0]));
        }
    }

    [Fact]
    public void TheyAreWrittenWithoutTheMask()
    {
        const string digit = "r0 = 1\nr2 = *(u8 *)(r1 + 0)\nw2 += -58\nw2 &= 255\nif w2 < 246 goto end\nr0 = 0\n*(u8 *)(r1 + 1) = r0\nend: exit";
        Assert.Contains("bge.un", ProgramDump.Il(Verified(digit)), StringComparison.Ordinal);
        // Of any number, the mask decides.
        Assert.DoesNotContain("bge.un", ProgramDump.Il(Verified(digit.Replace("u8 *)(r1 + 0)", "u16 *)(r1 + 0)", StringComparison.Ordinal))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("== 0")]
    [InlineData("!= 0")]
    [InlineData("== 1")]
    [InlineData("!= 1")]
    [InlineData("== 2")]
    [InlineData("> 0")]
    public void FlagsSayThemselvesWhichWayAJumpGoes(string test)
    {
        foreach (var width in (string[])["r", "w"])
        {
            // A sum, a new value, a constant and the opposite of the flag.
            foreach (var skipped in (string[])["r0 += r4", "r3 = r4", "r3 = 7", "r5 = 0", "r5 = 1", "r0 -= 1", "w0 += 1"])
            {
                foreach (var most in (int[])[1, 3])
                {
                    var program = Verified($"r2 = *(u8 *)(r1 + 0)\nr2 &= {most}\nr4 = *(u8 *)(r1 + 1)\nr0 = 5\nr3 = 0\nr5 = {(skipped.EndsWith('0') ? 1 : 0)}\nif {width}2 {test} goto end\n{skipped}\nend: r0 += r3\nr5 *= 1000\nr0 += r5\nr2 <<= 20\nr0 += r2\nexit");
                    for (byte value = 0; value < 4; value++)
                    {
                        byte[] context = [value, 99, 0, 0, 0, 0, 0, 0];
                        Assert.Equal(TestPrograms.Run(program, CompilerOptions.Straight, context), TestPrograms.Run(program, CompilerOptions.Default, context));
                    }
                }
            }
        }
    }

    [Fact]
    public void FlagsAreNotComparedAgain()
    {
        const string text = "r2 = *(u8 *)(r1 + 0)\nr2 &= 1\nr4 = *(u8 *)(r1 + 1)\nr0 = 5\nif r2 == 0 goto end\nr0 += r4\nend: exit";
        Assert.DoesNotContain("ceq", ProgramDump.Il(Verified(text)), StringComparison.Ordinal);
        Assert.Contains("ceq", ProgramDump.Il(Verified(text.Replace("r2 &= 1", "r2 &= 3", StringComparison.Ordinal))), StringComparison.Ordinal);
    }

    private static VerifiedProgram Verified(string text) =>
        Verifier.ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = [.. Assembler.Assemble(text)] }, new() { ContextSize = 8 });
}
