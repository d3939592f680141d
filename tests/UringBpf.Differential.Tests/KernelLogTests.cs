using UringBpf.Bytecode;
using UringBpf.Fuzz;
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
    public void Paths_that_can_not_be_taken_are_told(string what, string log, bool expected) =>
        Assert.True(KernelLog.EndsOnImpossiblePath(log, []) == expected, what);

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
        Assert.Equal(expected && (!mayJump || !secondReached), KernelLog.EndsOnImpossiblePath(log, [.. facts]));
    }
}
