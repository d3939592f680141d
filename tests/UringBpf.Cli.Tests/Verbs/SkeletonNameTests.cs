using UringBpf.Bytecode;
using UringBpf.Bytecode.Tests.Btf;
using UringBpf.Bytecode.Tests.Objects;
using Xunit;

namespace UringBpf.Cli.Tests.Verbs;

/// <summary>Classes for objects whose names are no identifiers: an object must not write code of its own into the host.</summary>
public sealed class SkeletonNameTests
{
    private const string Evil = "A = 1 } class Evil { int B";

    private static async Task<Outcome> Skeleton(BtfImage btf, int dataBytes, string program = "program", string section = "raw")
    {
        using var folder = new TemporaryFolder();
        var writer = new ElfWriter();
        writer.Object("variable", writer.Section(".data", new byte[dataBytes]), 0, dataBytes);
        writer.Section(".BTF", btf.Bytes());
        var bytes = writer.Function(program, writer.Code(section, [new(0xb7), new(0x95)]), 0, 2).Bytes();
        return await Tool.Run("skeleton", folder.File("evil.bpf.o", bytes));
    }

    private static BtfImage Variable(BtfImage types, int type, int id, int size) => types
        .Type(BtfImage.KindVariable, "variable", (uint)type, rest: [1])
        .Type(BtfImage.KindDataSection, ".data", 0, 1, rest: [(uint)id, 0, (uint)size]);

    [Fact]
    public async Task Enumerators_are_identifiers()
    {
        var btf = new BtfImage();
        var (evil, plain, number, again) = (btf.Text(Evil), btf.Text("int"), btf.Text("9"), btf.Text("A_1"));
        var outcome = await Skeleton(Variable(btf.Type(BtfImage.KindEnum, "e", 4, 5, rest: [evil, 1, plain, 2, number, 3, again, 4, again, 5]), 1, 2, 4), 4);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Contains("    @A___1___class_Evil___int_B = unchecked((uint)(1)),", outcome.Out);
        Assert.Contains("    @int = unchecked((uint)(2)),", outcome.Out);
        Assert.Contains("    @_9 = unchecked((uint)(3)),", outcome.Out);
        Assert.Contains("    @A_1 = unchecked((uint)(4)),", outcome.Out);
        Assert.Contains("    @A_12 = unchecked((uint)(5)),", outcome.Out);
    }

    [Fact]
    public async Task Comments_stay_comments()
    {
        var outcome = await Skeleton(Variable(new BtfImage().Int(), 1, 2, 4), 4, "</summary>" + Evil, "</summary><x>");
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Contains($"SEC(\"&lt;/summary&gt;&lt;x&gt;\") &lt;/summary&gt;{Evil}.</summary>", outcome.Out);
    }

    [Fact]
    public async Task Programs_of_one_name_do_not_fit_one_assembly()
    {
        using var folder = new TemporaryFolder();
        var writer = new ElfWriter();
        for (var i = 0; i < 2; i++) writer.Function("twin", writer.Code("raw", [new(0xb7), new(0x95)]), 0, 2);
        var outcome = await Tool.Run("compile", folder.File("twins.bpf.o", writer.Bytes()), "-o", folder["twins.dll"]);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
        Assert.Contains("2 programs named 'twin'", outcome.Error);
    }

    /// <summary>Thirty unnamed structs, each of which holds the next one twice: 2^30 members.</summary>
    [Fact]
    public async Task Unnamed_structs_that_multiply_are_refused()
    {
        var btf = new BtfImage().Int();
        for (uint i = 0; i < 30; i++) btf.Type(BtfImage.KindStruct, i == 29 ? "outer" : "", 4, 2, rest: [0, i + 1, 0, 0, i + 1, 0]);
        var outcome = await Skeleton(Variable(btf, 31, 32, 4), 4);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
        Assert.Contains("members", outcome.Error);
    }
}
