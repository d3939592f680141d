using System.Collections.Immutable;
using CsCheck;
using Xunit;

namespace UringBpf.Bytecode.Tests.Instructions;

public sealed class BytecodeCheckerTests
{
    [Theory]
    [InlineData("r0 = 0\nexit")]
    [InlineData("goto +1\nexit\ngoto -2")]
    [InlineData("r0 = 1 ll\nif r0 == 0 goto -3\nexit")]
    [InlineData("call f\nexit\nf: r0 = 0\nexit")]
    [InlineData("r1 = code_addr(f) ll\nexit\nf: r0 = 0\nexit")]
    public void Accepts(string text) => Assert.NotEmpty(BytecodeChecker.Check(Spec(Assembler.Assemble(text))));

    [Theory]
    [InlineData("r0 = 0\n.quad 0x00000000000000ff\nexit", "UB1102", 1)]
    [InlineData(".quad 0x0000000000020037\nexit", "UB1102", 0)]
    [InlineData(".quad 0x0000000000030095", "UB1103", 0)]
    [InlineData(".quad 0x0000000000001007\nexit", "UB1103", 0)]
    [InlineData("r0 = r11\nexit", "UB1104", 0)]
    [InlineData("r0 = 0\nr11 = 0\nexit", "UB1104", 1)]
    [InlineData("r10 = 0\nexit", "UB1104", 0)]
    [InlineData("r10 = atomic_fetch_add((u64 *)(r1 + 0), r10)\nexit", "UB1104", 0)]
    [InlineData("if r0 == 0 goto +1\nexit", "UB1105", 0)]
    [InlineData("goto -2\nexit", "UB1105", 0)]
    [InlineData("gotol +100000\nexit", "UB1105", 0)]
    [InlineData("may_goto +1\nexit", "UB1105", 0)]
    [InlineData("call f\ngoto f\nf: exit", "UB1105", 1)]
    [InlineData("goto +1\nr0 = 1 ll\nexit", "UB1106", 0)]
    [InlineData("r0 = 0", "UB1107", 0)]
    [InlineData("exit\nif r0 == 0 goto -2", "UB1107", 1)]
    [InlineData("r0 = 1 ll", "UB1107", 0)]
    [InlineData("call f\nr0 = 0\nf: exit", "UB1107", 1)]
    [InlineData(".quad 0x0000000000000018", "UB1108", 0)]
    [InlineData(".quad 0x0000000000000018\nexit", "UB1108", 0)]
    [InlineData("call pc+5\nexit", "UB1109", 0)]
    [InlineData("call pc-2\nexit", "UB1109", 0)]
    [InlineData("call pc+0x7fffffff\nexit", "UB1109", 0)]
    [InlineData("r0 = 1 ll\ncall pc-2\nexit", "UB1109", 2)]
    [InlineData("r0 = code_addr(+9) ll\nexit", "UB1109", 0)]
    [InlineData("", "UB1110", -1)]
    public void Refuses(string text, string code, int slot)
    {
        var error = Assert.Throws<BpfException>(() => BytecodeChecker.Check(Spec(Assembler.Assemble(text))));
        Assert.Equal((code, slot), (error.Code, error.Instruction));
    }

    [Fact]
    public void OddLengths()
    {
        Assert.Equal("UB1101", Assert.Throws<BpfException>(() => ProgramSpec.FromBytes("x", new byte[12])).Code);
        Assert.Equal("UB1101", Assert.Throws<BpfException>(() => ProgramSpec.FromBytes("x", [])).Code);
    }

    [Fact]
    public void SizeLimit()
    {
        var code = Enumerable.Repeat(new Instruction(0xb7), Limits.InstructionsPerProgram - 1).Append(new Instruction(0x95)).ToImmutableArray();
        Assert.True(BytecodeChecker.TryCheck(Spec(code), out _, out _));
        Assert.False(BytecodeChecker.TryCheck(Spec(code.Insert(0, new Instruction(0xb7))), out var functions, out var error));
        Assert.Equal(("UB1110", 0), (error!.Code, functions.Length));
    }

    [Fact]
    public void FunctionsHaveNoGaps()
    {
        var functions = BytecodeChecker.Check(Spec(Assembler.Assemble("call a\ncall b\nexit\na: exit\nb: exit\nexit")));
        Assert.Equal([(0, 3), (3, 1), (4, 2)], functions.Select(f => (f.Start, f.Length)));
    }

    // What passes can be followed step by step without leaving the program.
    [Fact]
    public void WhatPassesStaysInside() => Gen.Select(Gen.Int[0, OpcodeTable.Rows.Length - 1], Gen.Int[0, 10], Gen.Int[0, 10], Gen.Int[-6, 6]).Array[1, 12].Sample(parts =>
    {
        var code = ImmutableArray.CreateBuilder<Instruction>();
        foreach (var (index, destination, source, distance) in parts)
        {
            var row = OpcodeTable.Rows[index];
            code.Add(row.Encode((row.Uses & OperandFields.Destination) != 0 ? destination : 0, (row.Uses & OperandFields.Source) != 0 ? source : 0,
                (row.Uses & OperandFields.Offset) != 0 ? (short)distance : (short)0, (row.Uses & OperandFields.Immediate) != 0 ? distance : 0));
            if (row.Slots == 2) code.Add(default);
        }
        code.Add(new Instruction(0x95));
        var spec = Spec(code.ToImmutable());
        if (!BytecodeChecker.TryCheck(spec, out var functions, out _)) return;
        Assert.Equal(spec.Instructions.Length, functions.Sum(f => f.Length));
        var seen = new HashSet<int>();
        var open = new Stack<int>([0]);
        while (open.TryPop(out var slot))
        {
            if (!seen.Add(slot)) continue;
            var instruction = spec.Instructions[slot];
            var row = OpcodeTable.Find(instruction);
            Assert.NotNull(row);
            if (row.IsJump) open.Push(slot + 1 + (row.IsLongJump ? instruction.Immediate : instruction.Offset));
            if (row.Operation == Operation.CallSubprogram) open.Push(slot + 1 + instruction.Immediate);
            if (row.Operation is not (Operation.Exit or Operation.Jump)) open.Push(slot + row.Slots);
        }
    }, iter: 5_000);

    private static ProgramSpec Spec(ImmutableArray<Instruction> code) => new() { Name = "test", Instructions = code };
}
