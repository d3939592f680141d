using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Conformance.Tests;

/// <summary>Every case on every engine, and every row of the opcode table in some case.</summary>
public sealed class ConformanceTests
{
    private static readonly Lazy<ConformanceCase[]> s_cases = new(() => [.. CaseFile.ReadAll(), .. ArithmeticGrid.Cases(), .. MemoryGrid.Cases()]);

    public static TheoryData<string, string> Files => Pairs(CaseFile.ReadAll().Select(test => test.Name));

    public static TheoryData<string, string> Grids => Pairs(OpcodeTable.Rows.Where(row => row.IsArithmetic || row.IsConditionalJump || row.IsMemory).Select(GridName).Distinct());

    [Theory]
    [MemberData(nameof(Files))]
    public void Corpus(string name, string engine) => Engines.Check(s_cases.Value.Single(test => test.Name == name), engine);

    [Theory]
    [MemberData(nameof(Grids))]
    public void Grid(string name, string engine)
    {
        var cases = s_cases.Value.Where(test => test.Name == name || test.Name.StartsWith(name + " ", StringComparison.Ordinal) || test.Name.StartsWith(name + ",", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(cases);
        foreach (var test in cases) Engines.Check(test, engine);
    }

    [Fact]
    public void EveryRowHasCases()
    {
        var cases = new int[OpcodeTable.Rows.Length];
        var runs = new long[OpcodeTable.Rows.Length];
        foreach (var test in s_cases.Value)
        {
            foreach (var row in test.Rows().Select(row => row.Index).Distinct())
            {
                cases[row]++;
                runs[row] += test.Runs.Length;
            }
        }
        var output = TestContext.Current.TestOutputHelper!;
        foreach (var row in OpcodeTable.Rows)
            output.WriteLine($"0x{row.Opcode:x2} {row.Operation,-24} {row.Width}/{row.Bits,-2} {row.Source,-9} {cases[row.Index],6} cases {runs[row.Index],8} runs");
        output.WriteLine($"{OpcodeTable.Rows.Length} rows x {Engines.Names.Length} engines, {s_cases.Value.Length} cases, {s_cases.Value.Sum(test => (long)test.Runs.Length) * Engines.Names.Length} runs");
        Assert.Empty(OpcodeTable.Rows.Where(row => cases[row.Index] == 0));
    }

    [Fact]
    public void NamesAreUnique() => Assert.Empty(s_cases.Value.GroupBy(test => test.Name).Where(group => group.Count() > 1).Select(group => group.Key));

    private static string GridName(OpcodeRow row) => row.IsMemory ? $"grid: {row.Operation} {row.Bits} {row.Source}" : $"grid: {row.Operation} {row.Width}/{row.Bits} {row.Source}";

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
