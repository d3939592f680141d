using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>The limits of size, at the limit and one past it.</summary>
public sealed class SizeLimitTests
{
    private static Instruction[] Code(int slots)
    {
        var code = new Instruction[slots];
        Array.Fill(code, new Instruction(0xb7));
        code[^1] = new Instruction(0x95);
        return code;
    }

    private static void Refused(string code, ElfWriter object_) => Assert.Equal(code, Assert.Throws<BpfException>(() => ObjectSpec.Load(object_.Bytes())).Code);

    private static ElfWriter OneFunction(int slots)
    {
        var writer = new ElfWriter();
        return writer.Function("program", writer.Code("raw", Code(slots)), 0, slots);
    }

    /// <summary>Programs of two slots, each of which calls the subprogram at the section's start.</summary>
    private static ElfWriter CallersOf(int slots, int callers)
    {
        var writer = new ElfWriter();
        var code = Code(slots + 2 * callers);
        for (var i = 0; i < callers; i++) code[slots + 2 * i] = new Instruction(0x85, source: 1, immediate: -(slots + 2 * i) - 1);
        var section = writer.Code("raw", code);
        writer.Function("subprogram", section, 0, slots, isGlobal: false);
        for (var i = 0; i < callers; i++) writer.Function($"caller{i}", section, slots + 2 * i, 2);
        return writer;
    }

    [Fact]
    public void InstructionsOfAFunction()
    {
        Assert.Single(ObjectSpec.Load(OneFunction(Limits.InstructionsPerProgram).Bytes()).Programs);
        Refused("UB1024", OneFunction(Limits.InstructionsPerProgram + 1));
    }

    [Fact]
    public void InstructionsOfAProgramWithItsSubprograms()
    {
        var program = Assert.Single(ObjectSpec.Load(CallersOf(Limits.InstructionsPerProgram - 2, 1).Bytes()).Programs);
        Assert.Equal(Limits.InstructionsPerProgram, program.Instructions.Length);
        Refused("UB1040", CallersOf(Limits.InstructionsPerProgram - 1, 1));
    }

    [Fact]
    public void InstructionsOfAllProgramsTogether()
    {
        const int each = Limits.InstructionsPerObject / 4;
        Assert.Equal(Limits.InstructionsPerObject, ObjectSpec.Load(CallersOf(each - 2, 4).Bytes()).Programs.Sum(program => program.Instructions.Length));
        Refused("UB1043", CallersOf(each - 1, 4));
    }

    [Fact]
    public void AFileThatClaimsMuchAllocatesLittle()
    {
        // A .bss of a gigabyte, in a file of a few kilobytes.
        var patch = new ObjectPatch(Corpus.Bytes("globals"));
        patch.Set64(patch.Header(".bss") + ObjectPatch.SectionSize, 1 << 30);
        patch.Load();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(1 << 30, patch.Load().Map(".bss").ValueSize);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256 * 1024);
    }

    [Fact]
    public void LongNamesAreNotRepeatedForEveryInstruction()
    {
        var code = Code(20_000);
        code.AsSpan(0, 19_999).Fill(new Instruction(0x85, source: 1, immediate: -1));
        var writer = new ElfWriter();
        var section = writer.Code("raw", code);
        var bytes = writer.Function(new string('f', 500_000), section, 0, code.Length).CallExtern(new string('e', 500_000), section).Bytes();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var program = Assert.Single(ObjectSpec.Load(bytes).Programs);
        Assert.Equal(19_999, program.Poisoned.Count);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256 * 1024 + 64L * bytes.Length);
    }
}
