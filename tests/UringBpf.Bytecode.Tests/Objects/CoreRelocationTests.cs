using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>CO-RE: programs compiled against older types, resolved against newer ones.</summary>
public sealed class CoreRelocationTests
{
    private static ObjectSpec Load(int clang) => Corpus.Load("core", clang, new LoadOptions { TargetBtf = Corpus.Load("core_target", clang).Types });

    public static TheoryData<int> Clangs => [.. Corpus.Clangs];

    [Theory]
    [MemberData(nameof(Clangs))]
    public void FieldsAreAccessedWhereTheTargetHasThem(int clang)
    {
        var spec = Load(clang);
        // shape: added 0, width 8, depth 12, {tag 16, items 20}, bit fields 84, shrunk 88, level 92, points 96, next 128, color 136, tail 140.
        Assert.Equal((8, 4), Access(spec.Program("field_width"), Operation.Load));
        Assert.Equal((20 + 3 * 4, 4), Access(spec.Program("field_in_anonymous"), Operation.Load));
        Assert.Equal((12, 2), Access(spec.Program("field_narrowed"), Operation.Load));
        Assert.Equal((96 + 8, 4), Access(spec.Program("field_in_array"), Operation.Load));
        Assert.Equal((140 + 9, 1), Access(spec.Program("field_flexible"), Operation.Load));
        Assert.Equal((92, 4), Access(spec.Program("field_stored"), Operation.Store));
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void QuestionsAreAnsweredFromTheTarget(int clang)
    {
        var spec = Load(clang);
        void Gives(long expected, string program)
        {
            Assert.Empty(spec.Program(program).Poisoned);
            Assert.True(expected == Constant(spec.Program(program)), $"{program}: {Constant(spec.Program(program))}, not {expected}");
        }

        Gives(92, "byte_offset");
        Gives(2, "byte_size");
        Gives(84, "bit_field_offset");
        Gives(4, "bit_field_size");
        Gives(1, "exists");
        Gives(0, "exists_not");
        Gives(1, "is_signed");
        Gives(0, "is_unsigned");
        Gives(64 - 10, "left_shift");
        Gives(64 - 7, "right_shift");
        Gives(1, "type_exists");
        Gives(0, "type_exists_not");
        Gives(144, "type_size");
        Gives(0, "type_size_missing");
        Gives(spec.Types.Find<BtfStruct>("shape___older")!.Id, "type_id_local");
        Gives(Corpus.Load("core_target", clang).Types.Find<BtfStruct>("shape")!.Id, "type_id_target");
        Gives(1, "enumerator_exists");
        Gives(0, "enumerator_exists_not");
        Gives(20, "enumerator_value");
        if (clang < 15) return;
        Gives(0x123456789ab, "enumerator_value_wide");
        Gives(1, "type_matches");
        Gives(0, "type_matches_not");
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void WhatTheTargetLacksPoisonsTheInstructionOnly(int clang)
    {
        var spec = Load(clang);
        Assert.Contains("the target has no such", Assert.Single(spec.Program("field_gone").Poisoned).Value);
        Assert.Contains("the target has no such", Assert.Single(spec.Program("enumerator_value_missing").Poisoned).Value);
        Assert.Contains("4 bytes here and 2 in the target", Assert.Single(spec.Program("field_signed_narrowed").Poisoned).Value);
        var guarded = spec.Program("guarded");
        var poisoned = Assert.Single(guarded.Poisoned).Key;
        Assert.Equal(Operation.Load, OpcodeTable.Find(guarded.Instructions[poisoned])!.Operation);
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void AHookWrittenForAnOlderContextIsRelocatedToThisOne(int clang)
    {
        var hook = Corpus.Load("core", clang).Program("own_context");
        Assert.Empty(hook.Poisoned);
        var context = ProgramTypes.Completion.Context;
        int Offset(string field) => context.Fields.Single(f => f.Name == field).Offset;
        var accesses = Accesses(hook).ToArray();
        Assert.Contains((Operation.Load, Offset("user_data"), 8), accesses);
        Assert.Contains((Operation.Store, Offset("scratch") + 8, 8), accesses);
        Assert.Contains((Operation.Load, Offset("res"), 4), accesses);
        Assert.Contains((Operation.Load, Offset("opcode"), 4), accesses);
    }

    [Fact]
    public void OwnTypesHideTheGivenOnes()
    {
        // The target here is the object itself, whose uring_completion is the older one.
        var target = Corpus.Load("core").Types;
        var hook = Corpus.Load("core", options: new LoadOptions { TargetBtf = target }).Program("own_context");
        Assert.Contains((Operation.Load, 8, 4), Accesses(hook));
    }

    [Fact]
    public void PublishedStructsAreTheContextLayouts()
    {
        foreach (var context in ProgramTypes.All.Select(type => type.Context).Where(context => context.StructName.Length > 0))
        {
            var type = BtfSpec.BuiltIn.Find<BtfStruct>(context.StructName)!;
            Assert.Equal(context.Size, type.Size);
            var members = type.Members.Select(member => (member.Name, member.BitOffset, BtfSpec.BuiltIn.SizeOf(member.TypeId))).ToArray();
            Assert.All(context.Fields, field => Assert.Contains((field.Name, field.Offset * 8, (long)field.Size), members));
        }
    }

    [Theory]
    [InlineData("task_struct", "task_struct")]
    [InlineData("task_struct___old", "task_struct")]
    [InlineData("a___b___c", "a___b")]
    [InlineData("___x", "___x")]
    [InlineData("a____b", "a____b")]
    [InlineData("a___", "a___")]
    public void AFlavourIsWhatFollowsTheLastTripleUnderscore(string name, string essential) => Assert.Equal(essential, CoreTypes.EssentialName(name));

    private static (int Offset, int Bytes) Access(ProgramSpec program, Operation operation)
    {
        Assert.Empty(program.Poisoned);
        var access = Assert.Single(Accesses(program), access => access.Operation == operation);
        return (access.Offset, access.Bytes);
    }

    private static IEnumerable<(Operation Operation, int Offset, int Bytes)> Accesses(ProgramSpec program) =>
        from instruction in program.Instructions
        let row = OpcodeTable.Find(instruction)
        where row is { IsMemory: true }
        select (row.Operation, (int)instruction.Offset, row.AccessBytes);

    private static long Constant(ProgramSpec program)
    {
        var first = program.Instructions[0];
        return first.IsWide ? first.WideImmediate(program.Instructions[1]) : first.Immediate;
    }
}
