using Xunit;

namespace UringBpf.Bytecode.Tests.Text;

public sealed class AssemblerTests
{
    [Fact]
    public void LabelsCommentsAndNumbers()
    {
        var slots = Assembler.Assemble("""
            ; a loop
            entry:  r0 = 0          # decimal
                    w1 = 0xffffffff // all bits
            loop:
                    r0 += -0x1
                    if r0 s< -10 goto done
                    goto loop
            done:   call square
                    exit
            square: r0 *= r0
                    exit
            """);
        Assert.Equal(
        [
            new(0xb7), new(0xb4, 1, immediate: -1), new(0x07, immediate: -1), new(0xc5, offset: 1, immediate: -10), new(0x05, offset: -3),
            new(0x85, source: 1, immediate: 1), new(0x95), new(0x2f), new(0x95),
        ], slots);
    }

    [Fact]
    public void MapsAndFunctionsByName()
    {
        MapSpec[] maps = [new() { Name = "first", Type = MapType.Array }, new() { Name = "counts", Type = MapType.Hash }];
        var slots = Assembler.Assemble("""
            r1 = counts ll
            r2 = map_val(counts) + 8 ll
            r3 = map_by_idx(first) ll
            call bpf_ktime_get_ns
            call uring_emit
            r4 = code_addr(callback) ll
            callback: exit
            """, maps);
        Assert.Equal(new Instruction(0x18, 1, (int)WideKind.MapIndex, immediate: 1), slots[0]);
        Assert.Equal(new Instruction(0x18, 2, (int)WideKind.MapValueIndex, immediate: 1), slots[2]);
        Assert.Equal(8, slots[3].Immediate);
        Assert.Equal(new Instruction(0x18, 3, (int)WideKind.MapIndex), slots[4]);
        Assert.Equal(new Instruction(0x85, immediate: 5), slots[6]);
        Assert.Equal(new Instruction(0x85, source: 2, immediate: KfuncPrototypes.All.Single(f => f.Name == "uring_emit").Id), slots[7]);
        Assert.Equal(new Instruction(0x18, 4, (int)WideKind.Function, immediate: 1), slots[8]);
    }

    [Fact]
    public void BothSpellingsOfNarrowMemoryOperands()
    {
        Assert.Equal(Assembler.Assemble("r1 = *(u8 *)(r2 + 3)"), Assembler.Assemble("w1 = *(u8 *)(r2 + 3)"));
        Assert.Equal(Assembler.Assemble("*(u32 *)(r1 - 4) = r2"), Assembler.Assemble("*(u32 *)(r1 - 4) = w2"));
        Assert.Equal(Assembler.Assemble("lock *(u32 *)(r1 + 4) += r2"), Assembler.Assemble("lock *(u32 *)(r1 + 4) += w2"));
    }

    [Theory]
    [InlineData("r0 = ", "UB1120", 6)]
    [InlineData("frobnicate", "UB1120", 1)]
    [InlineData("r0 = 1 2", "UB1120", 8)]
    [InlineData("r0 ? 1", "UB1120", 4)]
    [InlineData("*(u32 *)(r1 + r2) = r3", "UB1120", 15)]
    [InlineData("r0 = *(u24 *)(r1 + 0)", "UB1120", 8)]
    [InlineData("if r1 ~ 3 goto +1", "UB1120", 7)]
    [InlineData("r0 = 0x80000000", "UB1121", 6)]
    [InlineData("w0 = 0x100000000", "UB1121", 6)]
    [InlineData("r0 = 0x11111111111111111 ll", "UB1121", 6)]
    [InlineData("r0 = *(u8 *)(r1 + 32768)", "UB1121", 17)]
    [InlineData("goto +40000", "UB1121", 6)]
    [InlineData("r0 = 0x1g", "UB1121", 6)]
    [InlineData("goto nowhere", "UB1122", 6)]
    [InlineData("call no_such_function", "UB1122", 6)]
    [InlineData("r1 = no_such_map ll", "UB1122", 6)]
    [InlineData("a: a: exit", "UB1123", 4)]
    [InlineData("r0 += w1", "UB1124", 7)]
    [InlineData("w0 = (s32)w1", "UB1124", 1)]
    [InlineData("lock *(u8 *)(r1 + 0) += r2", "UB1124", 6)]
    [InlineData("w0 = *(u64 *)(r1 + 0)", "UB1124", 1)]
    [InlineData("r0 = be16 r1", "UB1124", 11)]
    [InlineData("r1 = cmpxchg_64(r2 + 0, r0, r3)", "UB1124", 1)]
    [InlineData("r1 = *(u32 *)skb[4]", "UB1124", 1)]
    public void ErrorsHaveCodesAndColumns(string text, string code, int column)
    {
        var error = Assert.Throws<AssemblerException>(() => Assembler.Assemble("exit\n" + text));
        Assert.Equal((code, 2, column), (error.Code, error.Errors[0].Line, error.Errors[0].Column));
        Assert.Contains($"line 2, column {column}", error.Message);
    }

    [Fact]
    public void LinesEndAsOnAnySystem()
    {
        var expected = Assembler.Assemble("r0 = 1\nexit\n");
        Assert.Equal(expected, Assembler.Assemble("\ufeffr0 = 1\r\nexit\r\n"));
        Assert.Equal(expected, Assembler.Assemble("\r\n  r0 = 1 ; ünïcode\n\n\texit"));
        Assert.Equal((2, 3), (Error("exit\r\n  fly\r\n").Line, Error("exit\r\n  fly\r\n").Column));

        static AssemblerError Error(string text) => Assert.Throws<AssemblerException>(() => Assembler.Assemble(text)).Errors[0];
    }

    [Fact]
    public void EveryErrorIsReported()
    {
        var error = Assert.Throws<AssemblerException>(() => Assembler.Assemble("goto nowhere\nr0 = \nexit\nr0 = 5000000000"));
        Assert.Equal(["UB1122", "UB1120", "UB1121"], error.Errors.Select(e => e.Code));
        Assert.Equal([1, 2, 4], error.Errors.Select(e => e.Line));
        Assert.Equal(Assembler.MaxErrors, Assert.Throws<AssemblerException>(() => Assembler.Assemble(string.Concat(Enumerable.Repeat("?\n", 50)))).Errors.Length);
    }

    /// <summary>What nests in the text must not nest on the stack: a stack overflow ends the process.</summary>
    [Theory]
    [InlineData("r1 = ", "map_by_idx(", "1", ")", " ll")]
    [InlineData("r1 = map_val(", "map_by_fd(", "1", ")", ") ll")]
    [InlineData("r1 = ", "map_val(", "1", ")", " ll")]
    [InlineData("r1 = ", "code_addr(", "1", ")", " ll")]
    [InlineData("r1 = ", "(", "1", ")", "")]
    [InlineData("r1 = ", "-", "1", "", "")]
    [InlineData("r1 = ", "*(u32 *)", "(r1 + 0)", "", "")]
    [InlineData("*(u32 *)", "(", "r1 + 0", ")", " = 1")]
    [InlineData("lock ", "*(u32 *)(", "r1 + 0", ")", " += r1")]
    [InlineData("", "if r1 > 1 ", "goto +1", "", "")]
    [InlineData("call ", "kfunc ", "f", "", "")]
    public void DeepNestingIsAnError(string start, string open, string inner, string close, string end)
    {
        const int depth = 200_000;
        var text = new System.Text.StringBuilder(start).Insert(start.Length, open, depth).Append(inner).Append(string.Concat(Enumerable.Repeat(close, depth))).Append(end).ToString();
        var error = Assert.Throws<AssemblerException>(() => Assembler.Assemble(text)).Errors[0];
        Assert.True(error.Code is "UB1120" or "UB1122", error.ToString());
    }

    [Fact]
    public void LabelTooFarForAJump()
    {
        var far = "goto end\n" + string.Concat(Enumerable.Repeat("r0 = 0\n", 32768)) + "end: exit";
        Assert.Equal("UB1125", Assert.Throws<AssemblerException>(() => Assembler.Assemble(far)).Code);
        Assert.Equal(32768, Assembler.Assemble("gotol" + far[4..])[0].Immediate);
        Assert.Equal(32767, Assembler.Assemble(far.Replace("goto end\nr0 = 0\n", "goto end\n"))[0].Offset);
    }
}
