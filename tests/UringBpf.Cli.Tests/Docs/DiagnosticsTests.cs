using System.Text.RegularExpressions;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>Every code that the product can give has its section in docs/diagnostics.md, and a test that names it.</summary>
public sealed partial class DiagnosticsTests
{
    // What no test can provoke on every machine, and why.
    private static readonly Dictionary<string, string> s_unprovoked = new()
    {
        ["UB3003"] = "needs another processor, or a runtime without event tracing",
        ["UB4103"] = "needs a machine that is out of memory",
        ["UB5003"] = "stands for a tool that failed without a code of its own",
    };

    private static readonly string[] s_product = ["cli", "compiler", "ring", "runtime", "verifier"];

    [Fact]
    public void Every_code_has_one_section()
    {
        var sections = SectionHeading().Matches(File.ReadAllText(Path.Combine(Tool.Root, "docs/diagnostics.md"))).Select(match => match.Groups[1].Value).ToArray();
        Assert.Equal(sections.Distinct(), sections);
        var given = Given().ToHashSet();
        Assert.Equal([], given.Except(sections).Order());
        Assert.Equal([], sections.Except(given).Order());
    }

    [Fact]
    public void Every_code_is_provoked_by_a_test()
    {
        var tests = Sources(["tests"], "*.cs").Where(path => !path.EndsWith("DiagnosticsTests.cs", StringComparison.Ordinal))
            .Concat(Sources(["tests"], "*.txt")).SelectMany(path => CodesIn(File.ReadAllText(path)).Concat(RulesIn(File.ReadAllText(path))))
            // Refused objects are named after their codes.
            .Concat(Sources(["tests"], "UB*.c").SelectMany(path => CodesIn(Path.GetFileName(path)))).ToHashSet();
        Assert.Equal(s_unprovoked.Keys.Order(), Given().Except(tests).Order());
    }

    private static IEnumerable<string> Given() => Sources(s_product, "*.cs").Concat(Sources(s_product, "*.targets")).SelectMany(path => CodesIn(File.ReadAllText(path)))
        .Concat(Enum.GetValues<Rule>().Select(rule => $"UB{(int)rule}")).Distinct();

    private static IEnumerable<string> Sources(string[] folders, string pattern) => folders
        .SelectMany(folder => Directory.GetFiles(Path.Combine(Tool.Root, folder), pattern, SearchOption.AllDirectories))
        .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal));

    private static IEnumerable<string> CodesIn(string text) => Code().Matches(text).Select(match => match.Value);

    private static IEnumerable<string> RulesIn(string text) => RuleName().Matches(text)
        .Select(match => Enum.TryParse<Rule>(match.Groups[1].Value, out var rule) ? $"UB{(int)rule}" : "").Where(code => code.Length > 0);

    [GeneratedRegex(@"^### (UB\d{4})\b", RegexOptions.Multiline)]
    private static partial Regex SectionHeading();

    [GeneratedRegex(@"\bUB\d{4}\b")]
    private static partial Regex Code();

    [GeneratedRegex(@"\bRule\.(\w+)")]
    private static partial Regex RuleName();
}
