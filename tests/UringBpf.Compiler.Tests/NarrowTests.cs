using UringBpf.Bytecode;

namespace UringBpf.Compiler.Tests;

/// <summary>64-bit comparisons and masks of numbers without upper halves, which are written at 32 bits.</summary>
public sealed class NarrowTests
{
    private static readonly ulong[] s_numbers = [0, 1, 100, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    private static readonly int[] s_immediates = [0, 1, 100, int.MaxValue, -1, int.MinValue];

    /// <summary>Conditional jumps by the operation in their opcode: =, >, >=, &amp;, !=, s>, s>=, &lt;, &lt;=, s&lt;, s&lt;=.</summary>
    public static TheoryData<int> Jumps => new(0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0xa, 0xb, 0xc, 0xd);

    [Theory]
    [MemberData(nameof(Jumps))]
    public void ComparisonsAreOfAll64Bits(int operation)
    {
        foreach (var (first, second) in from first in s_numbers from second in s_numbers select (first, second)) Check(first, second, 0, register: true);
        foreach (var (first, immediate) in from first in s_numbers from immediate in s_immediates select (first, immediate)) Check(first, 0, immediate, register: false);

        void Check(ulong first, ulong second, int immediate, bool register)
        {
            var opcode = (byte)(operation << 4 | (register ? 0x0d : 0x05));
            // With a jump: it skips a store, which is not done without one. Without: it skips a move.
            Instruction[] skipped = [new(0x7b, 6, 0, 16), new(0xb7, 0, immediate: 1)];
            foreach (var skips in skipped)
            {
                var program = TestPrograms.Trusted([new(0xbf, 6, 1), new(0x61, 2, 6), new(0x61, 3, 6, 8), new(0xb7, 0), new(opcode, 2, register ? 3 : 0, 1, immediate), skips, new(0x07, 0, immediate: 4),
                    new(0x79, 3, 6, 16), new(0x0f, 0, 3), new(0x95)]);
                Assert.Equal(Run(program, CompilerOptions.Straight), Run(program, CompilerOptions.Default));
            }

            ulong Run(VerifiedProgram program, CompilerOptions options)
            {
                var context = new byte[24];
                BitConverter.TryWriteBytes(context, first | 0xabcd_0000_0000);
                BitConverter.TryWriteBytes(context.AsSpan(8), second | 0xabcd_0000_0000);
                BitConverter.TryWriteBytes(context.AsSpan(16), 77UL);
                return TestPrograms.Run(program, options, context);
            }
        }
    }

    [Fact]
    public void MasksClearUpperHalvesUnlessTheyAreNegative()
    {
        foreach (var immediate in s_immediates)
        {
            var program = TestPrograms.Trusted([new(0x79, 0, 1), new(0x57, 0, immediate: immediate), new(0xbf, 2, 0), new(0x77, 2, immediate: 32), new(0x0f, 0, 2), new(0x95)]);
            foreach (var number in s_numbers.Select(number => number << 32 | ~number & 0xffff_ffff))
            {
                var masked = number & (ulong)(long)immediate;
                Assert.Equal(masked + (masked >> 32), TestPrograms.Run(program, CompilerOptions.Default, BitConverter.GetBytes(number)));
            }
        }
    }

    [Fact]
    public void TheyAreWrittenAt32Bits()
    {
        var program = TestPrograms.Trusted([.. Assembler.Assemble("r0 = 0\nr2 = *(u32 *)(r1 + 0)\nif r2 s> 100 goto end\n*(u64 *)(r1 + 8) = r2\nend: exit")]);
        Assert.Contains("bgt.un", ProgramDump.Il(program));
        Assert.DoesNotContain("bgt.un", ProgramDump.Il(program, CompilerOptions.Default with { NarrowRegisters = false }));
    }
}
