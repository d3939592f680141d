using System.Collections.Immutable;
using CsCheck;
using UringBpf.Bytecode.Tests.Objects;
using Xunit;

namespace UringBpf.Bytecode.Tests.Text;

/// <summary>assemble(disassemble(x)) == x, for every instruction there is and for what compilers emit.</summary>
public sealed class RoundTripTests
{
    public static TheoryData<int> Rows => new(Enumerable.Range(0, OpcodeTable.Rows.Length));

    public static TheoryData<string, int> Objects => LlvmAgreementTests.Objects;

    [Theory]
    [MemberData(nameof(Rows))]
    public void EveryRowWithRandomOperands(int index)
    {
        var row = OpcodeTable.Rows[index];
        Gen.Select(Gen.Int[0, 15], Gen.Int[0, 15], Gen.Short, Gen.Int, Gen.Int).Sample((destination, source, offset, immediate, high) =>
        {
            var first = row.Encode(
                Used(OperandFields.Destination) ? destination : 0, Used(OperandFields.Source) ? source : 0,
                Used(OperandFields.Offset) ? offset : (short)0, Used(OperandFields.Immediate) ? immediate : 0);
            Instruction[] slots = row.Slots == 1 ? [first] : [first, new Instruction(0, immediate: row.Wide is WideKind.Number or WideKind.MapValueFd or WideKind.MapValueIndex ? high : 0)];
            Assert.Same(row, OpcodeTable.Find(first));
            var text = Disassembler.Format(slots[0], slots[^1]);
            Assert.DoesNotContain(".quad", text);
            Assert.Equal(slots, Assembler.Assemble(text));

            bool Used(OperandFields field) => (row.Uses & field) != 0;
        }, iter: 200);
    }

    [Fact]
    public void RandomSlots() => Gen.ULong.Array[1, 12].Sample(words =>
    {
        var slots = words.Select(Slot).ToImmutableArray();
        Assert.Equal(slots, Assembler.Assemble(Disassembler.Format(Spec(slots), bytes: true)));
    }, iter: 4_000);

    [Fact]
    public void AWideLoadWithAReservedFieldKeepsItsSecondSlot()
    {
        ImmutableArray<Instruction> slots = [new(0x18, 8, 0, -15860, 113945), new(0, immediate: 7)];
        Assert.Equal(slots, Assembler.Assemble(Disassembler.Format(Spec(slots))));
    }

    // Random bytes are hardly ever instructions; wide loads with damaged second halves are the hard case.
    [Fact]
    public void RandomWideLoads() => Gen.Select(Gen.Int[0, 15], Gen.Int[0, 7], Gen.Short[-1, 1], Gen.Int, Gen.OneOf(Gen.Const(0UL), Gen.UInt.Select(high => (ulong)high << 32), Gen.ULong), Gen.Bool)
        .Sample((destination, kind, offset, immediate, second, truncated) =>
        {
            var first = new Instruction(0x18, destination, kind, offset, immediate);
            ImmutableArray<Instruction> slots = truncated ? [first] : [first, Slot(second), new Instruction(0x95)];
            Assert.Equal(slots, Assembler.Assemble(Disassembler.Format(Spec(slots))));
        }, iter: 4_000);

    [Theory]
    [MemberData(nameof(Objects))]
    public void CommittedObjects(string name, int clang)
    {
        foreach (var program in Corpus.Load(name, clang).Programs)
        {
            Assert.Equal(program.Instructions, Assembler.Assemble(Disassembler.Format(program, source: true), program.Maps, program.Functions));
            Assert.Equal(program.Instructions, Assembler.Assemble(Disassembler.Format(program, bytes: true), program.Maps, program.Functions));
        }
    }

    private static ProgramSpec Spec(ImmutableArray<Instruction> slots) => new() { Name = "test", Instructions = slots };

    private static Instruction Slot(ulong word) => System.Runtime.InteropServices.MemoryMarshal.Cast<ulong, Instruction>([word])[0];
}
