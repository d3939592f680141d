using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>What LLVM's own tools say about an object, where they are installed.</summary>
public sealed partial class LlvmAgreementTests
{
    public static TheoryData<string, int> Objects
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (var (name, clang) in Corpus.All()) data.Add(name, clang);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void ReadelfSeesTheSameProgramsMapsAndVariables(string name, int clang)
    {
        var path = Corpus.PathOf(name, clang);
        var sections = SectionLine().Matches(Run("llvm-readelf-19", "-SW", path)).ToDictionary(m => m.Groups["index"].Value, m => m.Groups["name"].Value);
        var symbols = SymbolLine().Matches(Run("llvm-readelf-19", "-sW", path))
            .Select(m => (Value: int.Parse(m.Groups["value"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture), Size: int.Parse(m.Groups["size"].Value, CultureInfo.InvariantCulture),
                Type: m.Groups["type"].Value, Bind: m.Groups["bind"].Value, Section: sections.GetValueOrDefault(m.Groups["section"].Value, ""), Name: m.Groups["name"].Value))
            .ToArray();
        var spec = Corpus.Load(name, clang);

        var functions = symbols.Where(symbol => symbol.Type == "FUNC").ToArray();
        Assert.Equal(
            functions.Where(symbol => functions.Length == 1 || (symbol.Bind == "GLOBAL" && symbol.Section != ".text" && !symbol.Section.StartsWith(".text.", StringComparison.Ordinal))).Select(symbol => (symbol.Name, symbol.Section, symbol.Size / 8)).Order(),
            spec.Programs.Select(program => (program.Name, program.Section, program.OwnInstructions)).Order());
        Assert.Equal(
            symbols.Where(symbol => symbol.Type == "OBJECT" && symbol.Section is ".maps" or "maps").Select(symbol => symbol.Name).Order(),
            spec.Maps.Where(map => !map.IsGlobalData).Select(map => map.Name).Order());
        Assert.Equal(
            symbols.Where(symbol => symbol.Type == "OBJECT" && DataSection().IsMatch(symbol.Section)).Select(symbol => (symbol.Name, symbol.Section, symbol.Value, symbol.Size)).Order(),
            spec.Globals.Select(global => (global.Name, global.Map.Name, global.Offset, global.Size)).Order());
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void ObjdumpSeesTheSameInstructions(string name, int clang)
    {
        var text = Run("llvm-objdump-19", "-d", "--no-print-imm-hex", Corpus.PathOf(name, clang));
        var code = new Dictionary<string, List<(int Opcode, int Registers)>>();
        string? function = null;
        foreach (var line in text.Split('\n'))
        {
            if (FunctionLine().Match(line) is { Success: true } start) code[function = start.Groups["name"].Value] = [];
            else if (InstructionLine().Match(line) is { Success: true } one && function is not null)
            {
                code[function].Add((Convert.ToInt32(one.Groups["opcode"].Value, 16), Convert.ToInt32(one.Groups["registers"].Value, 16)));
                // Both slots of a 16-byte load are on one line.
                if (code[function][^1].Opcode == 0x18) code[function].Add((0, 0));
            }
        }
        foreach (var program in Corpus.Load(name, clang).Programs)
        {
            foreach (var subprogram in program.Subprograms)
            {
                var expected = code[subprogram.Name];
                var actual = program.Instructions.AsSpan().Slice(subprogram.Start, subprogram.Length).ToArray();
                // Linking may change a load's or call's source selector, and replaces poisoned calls; nothing else.
                Assert.Equal(expected.Select(slot => slot.Opcode), actual.Select((slot, i) => program.Poisoned.ContainsKey(subprogram.Start + i) ? expected[i].Opcode : slot.Opcode));
                Assert.Equal(expected.Select(slot => slot.Registers & 0xf), actual.Select(slot => slot.Destination));
            }
        }
    }

    private static string Run(string tool, params string[] arguments)
    {
        Assert.SkipUnless(File.Exists($"/usr/bin/{tool}"), $"{tool} is not installed");
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }

    [GeneratedRegex(@"^\s*\[\s*(?<index>\d+)\]\s(?<name>\S*)\s+[A-Z_]+\s", RegexOptions.Multiline)]
    private static partial Regex SectionLine();

    [GeneratedRegex(@"^\s*\d+: (?<value>[0-9a-f]+)\s+(?<size>\d+)\s+(?<type>\w+)\s+(?<bind>\w+)\s+\w+\s+(?<section>\w+)\s+(?<name>\S*)$", RegexOptions.Multiline)]
    private static partial Regex SymbolLine();

    [GeneratedRegex(@"^\.(data|bss|rodata)(\.|$)")]
    private static partial Regex DataSection();

    [GeneratedRegex(@"^[0-9a-f]{16} <(?!LBB)(?<name>\S+)>:$")]
    private static partial Regex FunctionLine();

    [GeneratedRegex(@"^\s+\d+:\s(?<opcode>[0-9a-f]{2}) (?<registers>[0-9a-f]{2}) ")]
    private static partial Regex InstructionLine();
}
