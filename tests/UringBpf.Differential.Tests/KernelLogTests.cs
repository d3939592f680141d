using UringBpf.Bytecode;
using UringBpf.Fuzz;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>Which of the kernel's refusals are of paths that no run can take.</summary>
public sealed class KernelLogTests
{
    [Theory]
    [InlineData("a loop over the stack that goes on at its end", """
        145: (07) r8 += 1                     ; frame1: R8=fp[0]-8 cb
        146: (5d) if r8 != r6 goto pc-4       ; frame1: R6=fp[0]-8 R8=fp[0]-8 cb
        143: (91) r2 = *(s8 *)(r8 +0)         ; frame1: R2=scalar() R8=fp[0]-8
        """, true)]
    [InlineData("one that goes on before its end", """
        145: (07) r8 += 1                     ; frame1: R8=fp[0]-9 cb
        146: (5d) if r8 != r6 goto pc-4       ; frame1: R6=fp[0]-8 R8=fp[0]-9 cb
        143: (91) r2 = *(s8 *)(r8 +0)         ; frame1: R2=scalar() R8=fp[0]-9
        """, false)]
    [InlineData("the state that follows on the same line is that of the next instruction", """
        546: (5d) if r6 != r9 goto pc-3 544: frame1: R6=fp[0]-8 R9=fp[0]-8 R10=fp0
        544: (89) r4 = *(s16 *)(r6 +0)        ; frame1: R4=scalar() R6=fp[0]-8
        """, true)]
    [InlineData("pointers of two frames", """
        146: (5d) if r8 != r6 goto pc-4       ; frame1: R6=fp[0]-8 R8=fp-8
        143: (91) r2 = *(s8 *)(r8 +0)         ; frame1: R2=scalar() R8=fp-8
        """, false)]
    [InlineData("a register that does not equal itself", """
        248: (1d) if r0 == r0 goto pc+23      ; frame1: R0=scalar()
        249: (95) exit
        """, true)]
    [InlineData("a register that equals itself", """
        248: (1d) if r0 == r0 goto pc+1       ; frame1: R0=scalar()
        250: (95) exit
        """, false)]
    [InlineData("the other way of a register that is less than itself", """
        180: (ce) if w9 s< w9 goto pc+7       ; R9=scalar()
        181: (95) exit
        from 180 to 188: R9=scalar() R10=fp0
        188: (c3) r1 = atomic_fetch_add((u32 *)(r10 +0), r1)
        """, true)]
    [InlineData("numbers, and bits of one number", """
        1: (5d) if r1 != r2 goto pc+1         ; R1=scalar() R2=scalar()
        3: (4d) if r1 & r1 goto pc+1          ; R1=scalar()
        4: (95) exit
        """, false)]
    [InlineData("the other way of a jump on such a path", """
        1: (1d) if r0 == r0 goto pc+3         ; R0=scalar()
        2: (15) if r1 == 0x0 goto pc+1        ; R1=scalar()
        3: (1d) if r1 == r2 goto pc+3         ; R1=scalar() R2=scalar()
        4: (95) exit
        from 3 to 7: R0=scalar() R1=scalar() R2=scalar() R10=fp0
        7: (79) r0 = *(u64 *)(r10 +0)
        """, true)]
    [InlineData("the other way of a jump before it", """
        1: (1d) if r1 == r2 goto pc+7         ; R1=scalar() R2=scalar()
        2: (1d) if r0 == r0 goto pc+3         ; R0=scalar()
        3: (95) exit
        from 1 to 9: R0=scalar() R1=scalar() R2=scalar() R10=fp0
        9: (79) r0 = *(u64 *)(r10 +0)
        """, false)]
    [InlineData("data pointers with one variable part", """
        42: (ad) if r8 < r9 goto pc-3 40: R8=pkt(off=20,r=18) R9=pkt(off=16,r=18)
        40: (72) *(u8 *)(r8 +0) = 53
        """, true)]
    [InlineData("data pointers with two", """
        42: (ad) if r8 < r9 goto pc-3 40: R8=pkt(id=1,off=20,r=18) R9=pkt(id=2,off=16,r=18)
        40: (72) *(u8 *)(r8 +0) = 53
        """, false)]
    [InlineData("a number of the caller's is not the callee's", """
        1: (85) call pc+3
        caller:
         R6=fp-8 R10=fp0
        callee:
         frame1: R1=ctx() R8=fp[0]-8 R10=fp0
        5: (5d) if r8 != r6 goto pc+1         ; frame1: R8=fp[0]-8
        7: (95) exit
        """, false)]
    public void Paths_that_can_not_be_taken_are_told(string what, string log, bool expected) =>
        Assert.True(KernelLog.EndOf(log, []) == (expected ? KernelLog.Ending.Impossible : KernelLog.Ending.Possible), what);

    [Theory]
    [InlineData(true, true, true, false)]
    [InlineData(false, true, true, true)]
    [InlineData(true, false, true, true)]
    [InlineData(true, true, false, true)]
    public void What_is_shown_here_tells_them_too(bool mayJump, bool firstReached, bool secondReached, bool expected)
    {
        InstructionFacts[] facts =
        [
            new() { Reached = true, MayJump = mayJump, MayFallThrough = true },
            new() { Reached = firstReached },
            new() { Reached = secondReached },
        ];
        var log = """
            0: (35) if r7 >= 0xb goto pc+1        ; R7=scalar()
            1: (95) exit
            from 0 to 2: R7=scalar() R10=fp0
            2: (79) r0 = *(u64 *)(r10 +0)
            """;
        // The last path goes by instruction 2 alone.
        Assert.Equal(expected && (!mayJump || !secondReached), KernelLog.EndOf(log, [.. facts]) == KernelLog.Ending.Impossible);
    }

    // r7 counts to a number that the kernel knows as 14 or 15; it is 14.
    private const string Program = """
        r4 = 0x3e
        r4 %= -2
        r7 = r4
        r7 &= 0xf
        r9 = 0
        if r9 == r7 goto +6
        r0 = r10
        r0 += r9
        r0 += -15
        *(u8 *)(r0 + 0) = 1
        r9 += 1
        goto -7
        r0 = 0
        exit
        """;

    [Theory]
    [InlineData("R7=14 R9=13", "R0=fp-2", "invalid read from stack R0 off=0 size=1", "Possible")]
    [InlineData("R7=15 R9=14", "R0=fp-1", "invalid read from stack R0 off=0 size=1", "Impossible")]
    [InlineData("R7=scalar() R9=13", "R0=fp(off=-15,smin=smin32=0,smax=umax=smax32=umax32=14,var_off=(0x0; 0xf))", "invalid read from stack R0 off=0 size=1", "Wider")]
    // What the instruction does not work on explains nothing.
    [InlineData("R7=scalar() R9=13", "R0=fp-2", "invalid read from stack R0 off=0 size=1", "Possible")]
    [InlineData("R7=14 R9=13", "R0=map_value(ks=4,vs=64,off=8,smin=smin32=-7,smax=smax32=0)", "R0 unbounded memory access, make sure to bounds check any such access", "NegativePart")]
    [InlineData("R7=14 R9=13", "R0=map_value(ks=4,vs=64,off=8,smin=smin32=0,smax=smax32=7)", "R0 unbounded memory access, make sure to bounds check any such access", "Possible")]
    public void The_states_that_are_walked_here_tell_the_rest(string before, string pointer, string words, string expected)
    {
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = [.. Assembler.Assemble(Program)] };
        var walked = new WalkedStates();
        // Round by round, so that the states are as the kernel's.
        var result = ProgramVerifier.Verify(spec, new VerifierOptions { Observer = walked, Widening = false });
        Assert.True(result.Accepted, result.Rejection?.Message);
        var log = $"""
            5: (1d) if r9 == r7 goto pc+5         ; {before}
            6: (bf) r0 = r10                      ; R0=fp0 R10=fp0
            7: (0f) r0 += r9                      ; R0=what
            8: (07) r0 += -15                     ; {pointer}
            9: (72) *(u8 *)(r0 +0) = 1
            {words}
            """;
        Assert.Equal(expected, KernelLog.EndOf(log, result.Program!.Facts, walked).ToString());
    }

    [Fact]
    public void Bounds_that_know_less_than_the_bits_are_wider()
    {
        var ours = new Value { Kind = ValueKind.Stack, Detail = 0, Offset = -15, Number = ScalarOf<Bits64, Bits32>.FromBits(new Tnum(0, 0xe)) };
        Assert.True(KernelValue.Parse("fp(off=-15,smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xe))")!.IsWiderThan(ours, 0));
        Assert.False(KernelValue.Parse("fp(off=-15,smin=smin32=0,smax=umax=smax32=umax32=14,var_off=(0x0; 0xe))")!.IsWiderThan(ours, 0));
    }

    [Theory]
    [InlineData("5", null, 5UL, 5UL)]
    [InlineData("P-1", null, ulong.MaxValue, ulong.MaxValue)]
    [InlineData("0x1afc1d5a", null, 0x1afc1d5aUL, 0x1afc1d5aUL)]
    [InlineData("scalar()", null, 0UL, ulong.MaxValue)]
    [InlineData("scalar(id=3,smin=umin=smin32=umin32=14,smax=umax=smax32=umax32=15,var_off=(0xe; 0x1))", null, 14UL, 15UL)]
    [InlineData("scalar(var_off=(0x0; 0xff))", null, 0UL, 255UL)]
    [InlineData("fp-8", "fp", ulong.MaxValue - 7, ulong.MaxValue - 7)]
    [InlineData("fp[1](off=-64,smin=smin32=0,smax=umax=smax32=umax32=28,var_off=(0x0; 0x1c))", "fp", ulong.MaxValue - 63, ulong.MaxValue - 35)]
    [InlineData("map_value(map=cells,ks=4,vs=64,off=8)", "map_value", 8UL, 8UL)]
    public void The_kernel_s_values_are_read(string text, string? pointer, ulong least, ulong most)
    {
        var value = KernelValue.Parse(text)!;
        Assert.Equal((pointer, least, most), (value.Pointer, value.Number.UMin, value.Number.UMax));
    }
}
