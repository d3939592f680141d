using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Conformance.Tests;

/// <summary>Every case on every engine, and every row of the opcode table in several cases.</summary>
public sealed class ConformanceTests
{
    private const int CasesPerRow = 3;

    public static TheoryData<string, string> Files => Pairs(Corpus.Files.Select(test => test.Name));

    public static TheoryData<string, string> Grids => Pairs(Corpus.Grids.Keys);

    [Theory]
    [MemberData(nameof(Files))]
    public void File(string name, string engine) => Engines.Check(Corpus.Files.Single(test => test.Name == name), engine);

    [Theory]
    [MemberData(nameof(Grids))]
    public void Grid(string name, string engine)
    {
        foreach (var test in Corpus.Grids[name]) Engines.Check(test, engine);
    }

    [Fact]
    public void FilesWithEachOptimisationOffAloneAndOnAlone()
    {
        Assert.True(Engines.Switched.Length >= 2 * 14);
        // Switches change something: all but those that read no register.
        var kinds = Corpus.Files.Sum(Engines.CheckSwitched);
        Assert.True(kinds > Corpus.Files.Count(test => test.Outcome == Outcome.Result), $"{kinds} kinds of IL");
    }

    [Theory]
    [MemberData(nameof(GridNames))]
    public void GridWithEachOptimisationOffAloneAndOnAlone(string name)
    {
        foreach (var test in Corpus.Grids[name]) Engines.CheckSwitched(test);
    }

    public static TheoryData<string> GridNames => [.. Corpus.Grids.Keys];

    [Fact]
    public void EveryRowHasCases()
    {
        Console.Out.WriteLine(Corpus.Summary);
        Assert.Empty(Corpus.CountByRow().Where(row => row.Cases < CasesPerRow).Select(row => $"0x{row.Row.Opcode:x2} {row.Row.Operation} {row.Row.Wide}: {row.Cases} cases"));
    }

    [Fact]
    public void NamesAreUnique() => Assert.Empty(Corpus.All.GroupBy(test => test.Name).Where(group => group.Count() > 1).Select(group => group.Key));

    [Theory]
    [InlineData("== a\n-- asm\nexit\n", "needs one of")]
    [InlineData("== a\n-- asm\nexit\n-- result 0\n-- refused\n", "needs one of")]
    [InlineData("== a\n-- asm\nexit\n-- fault UB4012\n-- asm\n", "is there twice")]
    [InlineData("== a\n-- asm\nexit\n-- outcome 0\n", "is unknown")]
    [InlineData("== a\n-- asm\nfly\n-- result 0\n", "UB1120")]
    public void MistakesInAFileAreTold(string text, string message) =>
        Assert.Contains(message, Assert.Throws<FormatException>(() => CaseFile.Read("file", "\n" + text).ToArray()).Message);

    private static TheoryData<string, string> Pairs(IEnumerable<string> names)
    {
        var data = new TheoryData<string, string>();
        foreach (var name in names)
        {
            foreach (var engine in Engines.Names) data.Add(name, engine);
        }
        return data;
    }
}
