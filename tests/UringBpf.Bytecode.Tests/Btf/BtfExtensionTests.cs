using UringBpf.Bytecode.Tests.Objects;
using Xunit;

namespace UringBpf.Bytecode.Tests.Btf;

/// <summary>.BTF.ext: source lines, function types and CO-RE records, carried to the linked program or refused.</summary>
public sealed class BtfExtensionTests
{
    // The header: magic, version, flags, length, then offset and length of each table.
    private const int FunctionTable = 8, LineTable = 16, RelocationTable = 24;

    private static ObjectPatch Linking => new(Corpus.Bytes("linking"));
    private static ObjectPatch Core => new(Corpus.Bytes("core"));

    private static int Start => Linking.Contents(".BTF.ext");

    private static void Refused(string code, ObjectPatch patch) => Assert.Equal(code, Assert.Throws<BpfException>(() => patch.Load()).Code);

    /// <summary>Where the records of a table's first section lie: after the header, the record size, the section's name and the count.</summary>
    private static int Records(ObjectPatch patch, int table)
    {
        var start = patch.Contents(".BTF.ext");
        return start + (int)patch.Get32(start + 4) + (int)patch.Get32(start + table) + 12;
    }

    [Fact]
    public void Headers()
    {
        Refused("UB1220", Linking.Set16(Start, 0));
        Refused("UB1220", Linking.Set8(Start + 2, 9));
        Refused("UB1220", Linking.Set32(Start + 4, 8));
        Refused("UB1220", Linking.Set32(Start + 4, uint.MaxValue));
    }

    [Fact]
    public void Tables()
    {
        Refused("UB1221", Linking.Set32(Start + LineTable, 1 << 30));
        Refused("UB1221", Linking.Set32(Start + LineTable + 4, 1 << 30));
        Refused("UB1221", Linking.Set32(Start + LineTable, 2));
        // The record size, and the count of the first section.
        Refused("UB1221", Linking.Set32(Records(Linking, LineTable) - 12, 12));
        Refused("UB1221", Linking.Set32(Records(Linking, LineTable) - 12, 17));
        Refused("UB1221", Linking.Set32(Records(Linking, LineTable) - 4, 0));
        Refused("UB1221", Linking.Set32(Records(Linking, LineTable) - 4, uint.MaxValue));
    }

    [Fact]
    public void LinesAndFunctionsOutOfOrder()
    {
        var (line, function) = (Records(Linking, LineTable), Records(Linking, FunctionTable));
        Refused("UB1222", Linking.Set32(line + 16, Linking.Get32(line)));
        Refused("UB1222", Linking.Set32(line, 4));
        Refused("UB1222", Linking.Set32(LastOf(Linking, LineTable, 16), 1 << 20));
        Refused("UB1223", Linking.Set32(function + 8, Linking.Get32(function)));
        Refused("UB1223", Linking.Set32(function + 4, 1));
        Refused("UB1223", Linking.Set32(function + 4, uint.MaxValue));
        Refused("UB1223", Linking.Set32(LastOf(Linking, FunctionTable, 8), 1 << 20));
        Refused("UB1209", Linking.Set32(line + 4, 1 << 20));

        static int LastOf(ObjectPatch patch, int table, int size) => Records(patch, table) + ((int)patch.Get32(Records(patch, table) - 4) - 1) * size;
    }

    [Fact]
    public void CoreRelocations()
    {
        var record = Records(Core, RelocationTable);
        Refused("UB1224", Core.Set32(record + 12, 99));
        Refused("UB1224", Core.Set32(record + 4, 1 << 20));
        Refused("UB1224", Core.Set32(record, 1 << 20));
        Refused("UB1224", Core.Set32(record, 4));
        // The name of a type is no access string.
        Refused("UB1224", Core.Set32(record + 8, Core.Get32(Core.Contents(".BTF") + 24)));
        // The type's number of members is lower than the access.
        Refused("UB1224", Core.Set32(record + 4, 1));
    }

    [Fact]
    public void CoreRelocationsOfOtherInstructions()
    {
        var code = Core.Contents("raw");
        // field_width: a load at the wrong offset, and one whose opcode is a jump.
        var target = new LoadOptions { TargetBtf = Corpus.Load("core_target").Types };
        Assert.Equal("UB1225", Assert.Throws<BpfException>(() => Core.Set16(code + 2, 4).Load(target)).Code);
        Assert.Equal("UB1225", Assert.Throws<BpfException>(() => Core.Set8(code, 0x05).Load(target)).Code);
    }

    [Theory]
    [InlineData(14)]
    [InlineData(16)]
    [InlineData(19)]
    public void LinesFollowTheirInstructionsIntoTheLinkedProgram(int clang)
    {
        var first = Corpus.Load("linking", clang).Program("first");
        Assert.Equal(first.Lines.Select(line => line.Instruction).Order().Distinct(), first.Lines.Select(line => line.Instruction));
        foreach (var (function, line, text) in new[]
        {
            ("first", 15, "SEC(\"raw\") int first(struct context *ctx)"), ("multiply", 7, "static __noinline __u64 multiply"),
            ("global_add", 9, "__noinline int global_add"), ("count_up", 11, "static int count_up"), ("beside", 13, "static __noinline SEC(\"raw\") __u64 beside"),
        })
        {
            var subprogram = first.Subprograms.Single(s => s.Name == function);
            var at = first.LineOf(subprogram.Start)!;
            Assert.Equal(subprogram.Start, at.Instruction);
            Assert.EndsWith("linking.bpf.c", at.File);
            Assert.Equal(line, at.Line);
            Assert.Contains(text, at.Text);
        }
        // The call of beside, in the body.
        var call = Enumerable.Range(0, first.Instructions.Length).Last(slot => slot < first.Subprograms[0].End && first.Instructions[slot].Opcode == 0x85);
        Assert.Equal(19, first.LineOf(call)!.Line);
        Assert.True(first.LineOf(call)!.Column > 1);
    }

    [Fact]
    public void FunctionsHaveTheirTypes()
    {
        var first = Corpus.Load("linking").Program("first");
        Assert.All(first.Subprograms, subprogram => Assert.Equal(subprogram.Name, first.Types[subprogram.TypeId].Name));
        Assert.Equal(["global_add"], first.Subprograms.Where(subprogram => subprogram.IsGlobal).Select(subprogram => subprogram.Name));
        Assert.All(Corpus.Load("linking.nodebug").Program("first").Subprograms, subprogram => Assert.Equal((0, false), (subprogram.TypeId, subprogram.IsGlobal)));
    }
}
