using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>How often a row of the opcode table is executed.</summary>
/// <param name="Row">The row.</param>
/// <param name="Cases">Cases whose program has such an instruction.</param>
/// <param name="Runs">Runs of these cases: a grid's case runs on many operands.</param>
internal sealed record RowCount(OpcodeRow Row, int Cases, int Runs);

/// <summary>All cases: those of the files, and those of the grids by the row they are about.</summary>
internal static class Corpus
{
    public static ConformanceCase[] Files { get; } = [.. CaseFile.ReadAll()];

    public static IReadOnlyDictionary<string, ConformanceCase[]> Grids { get; } =
        ArithmeticGrid.Cases().Concat(MemoryGrid.Cases()).GroupBy(grid => grid.Row).ToDictionary(group => GridName(group.Key), group => group.Select(grid => grid.Case).ToArray());

    public static ConformanceCase[] All { get; } = [.. Files, .. Grids.Values.SelectMany(cases => cases)];

    public static string Summary
    {
        get
        {
            var runs = All.Sum(test => test.Runs.Length);
            return $"{OpcodeTable.Rows.Length} opcode rows, {All.Length} cases, {runs} runs on each of {Engines.Names.Length} engines ({string.Join(", ", Engines.Names)}): {runs * Engines.Names.Length} in all";
        }
    }

    public static string GridName(OpcodeRow row) => $"grid: 0x{row.Opcode:x2} {row.Operation} {(row.IsMemory ? row.Bits : row.Width)}{(row.IsArithmetic && row.Bits > 0 ? $"/{row.Bits}" : "")} {row.Source}";

    public static RowCount[] CountByRow()
    {
        var cases = new int[OpcodeTable.Rows.Length];
        var runs = new int[OpcodeTable.Rows.Length];
        foreach (var test in All)
        {
            foreach (var row in test.Rows().Select(row => row.Index).Distinct())
            {
                cases[row]++;
                runs[row] += test.Runs.Length;
            }
        }
        return [.. OpcodeTable.Rows.Select(row => new RowCount(row, cases[row.Index], runs[row.Index]))];
    }
}
