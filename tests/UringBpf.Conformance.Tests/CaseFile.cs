using System.Collections.Immutable;
using System.Globalization;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>Reads the corpus files; README.md describes the format.</summary>
internal static class CaseFile
{
    private static readonly string[] s_sections = ["asm", "memory", "packet", "map", "result", "after", "fault", "refused"];

    public static IEnumerable<ConformanceCase> ReadAll() =>
        Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Corpus"), "*.txt").Order(StringComparer.Ordinal)
            .SelectMany(file => Read(Path.GetFileNameWithoutExtension(file), File.ReadAllText(file)));

    public static IEnumerable<ConformanceCase> Read(string file, string text)
    {
        foreach (var part in text.ReplaceLineEndings("\n").Split("\n== ").Skip(1))
        {
            var title = part[..part.IndexOf('\n')].Trim();
            yield return ReadCase($"{file}: {title}", part[part.IndexOf('\n')..]);
        }
    }

    private static ConformanceCase ReadCase(string name, string text)
    {
        var sections = new Dictionary<string, string>();
        foreach (var section in text.Split("\n-- ").Skip(1))
        {
            // A value may follow on the same line.
            var end = section.IndexOfAny([' ', '\n']);
            var head = end < 0 ? section : section[..end];
            if (!s_sections.Contains(head)) throw new FormatException($"{name}: section '{head}' is unknown.");
            if (!sections.TryAdd(head, end < 0 ? "" : section[end..].Trim())) throw new FormatException($"{name}: section '{head}' is there twice.");
        }
        var ends = sections.Keys.Intersect(["result", "fault", "refused"]).ToArray();
        if (ends.Length != 1) throw new FormatException($"{name}: needs one of result, fault and refused.");
        var outcome = ends[0] switch { "fault" => Outcome.Fault, "refused" => Outcome.Refused, _ => Outcome.Result };
        ImmutableArray<MapSpec> maps = [.. sections.GetValueOrDefault("map", "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Map)];
        ImmutableArray<Instruction> code;
        try
        {
            code = Assembler.Assemble(sections["asm"], maps);
        }
        catch (AssemblerException error)
        {
            throw new FormatException($"{name}: {error.Message}", error);
        }
        return new ConformanceCase
        {
            Name = name,
            Code = code,
            Maps = maps,
            Outcome = outcome,
            FaultCode = sections.GetValueOrDefault("fault"),
            Packet = sections.TryGetValue("packet", out var packet) ? Bytes(packet) : null,
            Runs =
            [
                new CaseRun(Bytes(sections.GetValueOrDefault("memory", "")), outcome == Outcome.Result ? Number(sections["result"]) : 0,
                    sections.TryGetValue("after", out var after) ? Bytes(after) : null),
            ],
        };
    }

    // name type key-bytes value-bytes entries
    private static MapSpec Map(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int Size(int word) => int.Parse(words[word], CultureInfo.InvariantCulture);
        return new MapSpec { Name = words[0], Type = Enum.Parse<MapType>(words[1]), KeySize = Size(2), ValueSize = Size(3), MaxEntries = Size(4) };
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(string.Concat(hex.Where(c => !char.IsWhiteSpace(c))));

    private static ulong Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : (ulong)long.Parse(text, CultureInfo.InvariantCulture);
}
