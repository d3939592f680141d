using System.Collections.Immutable;
using System.Globalization;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>Reads the corpus files; README.md describes the format.</summary>
internal static class CaseFile
{
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
            var end = section.IndexOf('\n');
            var head = (end < 0 ? section : section[..end]).Trim();
            // A value may follow on the same line.
            var words = head.Split(' ', 2);
            if (!sections.TryAdd(words[0], (words.Length == 2 ? words[1] : "") + (end < 0 ? "" : section[end..])))
                throw new FormatException($"{name}: section '{words[0]}' is there twice.");
        }
        if (sections.Keys.Except(["asm", "memory", "packet", "result", "after", "fault", "refused"]).FirstOrDefault() is { } unknown)
            throw new FormatException($"{name}: section '{unknown}' is unknown.");
        var outcome = sections.ContainsKey("fault") ? Outcome.Fault : sections.ContainsKey("refused") ? Outcome.Refused : Outcome.Result;
        if ((outcome == Outcome.Result) != sections.ContainsKey("result")) throw new FormatException($"{name}: needs one of result, fault and refused.");
        ImmutableArray<Instruction> code;
        try
        {
            code = Assembler.Assemble(sections["asm"]);
        }
        catch (AssemblerException error)
        {
            throw new FormatException($"{name}: {error.Message}", error);
        }
        var memory = Bytes(sections.GetValueOrDefault("memory", ""));
        return new ConformanceCase
        {
            Name = name,
            Code = code,
            Outcome = outcome,
            Packet = sections.TryGetValue("packet", out var packet) ? Bytes(packet) : null,
            Runs = [new CaseRun(memory, outcome == Outcome.Result ? Number(sections["result"].Trim()) : 0, sections.TryGetValue("after", out var after) ? Bytes(after) : null)],
        };
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(string.Concat(hex.Where(c => !char.IsWhiteSpace(c))));

    private static ulong Number(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : (ulong)long.Parse(text, CultureInfo.InvariantCulture);
}
