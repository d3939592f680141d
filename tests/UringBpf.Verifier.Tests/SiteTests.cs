using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// Every place in the verifier's source that rejects: some program of the table is rejected there, and with that place alone
/// switched off its verdict is another. docs/checks.md lists places and programs (UPDATE_DOCS=1 writes it anew).
/// </summary>
public sealed partial class SiteTests(ITestOutputHelper output)
{
    // Tested on their own: budgets and cancellation need more than a program.
    private static readonly string[] s_apart = ["MemoryBudget", "Cancelled"];

    private sealed record Place(string Site, string File, string Rule, bool IsFatal, string Message);

    /// <inheritdoc/>
    [Fact]
    public void Every_check_is_noticed_when_missing()
    {
        var root = Repository.Root;
        var places = Directory.EnumerateFiles(Path.Combine(root, "verifier/UringBpf.Verifier"), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal)).Order(StringComparer.Ordinal).SelectMany(Places).ToList();
        Assert.True(places.Count > 100, "the checks are not found in the source");
        var cases = Cases.All.Concat(Attacks.All).Concat(Meetings.All).Concat(Edges.All).Concat(Holes.All).Concat(Globals.All).Concat(Parts.All).Select(test => (Test: test, Verdict: ProgramVerifier.Verify(test.Spec, test.Options).Rejection))
            .Where(pair => pair.Verdict is not null).ToLookup(pair => pair.Verdict!.Site);
        var missing = new List<string>();
        var text = new StringBuilder("""
            # Every check, and what notices when it is missing

            Each place in the verifier's source that rejects a program, with the program of the tests' tables (`Cases`, `Attacks`) whose
            verdict changes when that place alone is switched off. Checks after which nothing can go on ("always") are not switched
            off: there the rejection itself is what the test demands. A test writes this page, and fails when a check has no such program.

            ```
            tests/UringBpf.Verifier.Tests/bin/Release/net10.0/UringBpf.Verifier.Tests --filter-class "*SiteTests*"
            ```

            What rejects nothing by itself (what the domain, the state and the termination proof keep and forget) is mutated in the
            source, one expression at a time, by `tests/mutate-verifier.py`; [the verifier](verifier.md#mutation) has its figures.

            | in | rule | check | noticed by |
            |---|---|---|---|

            """);
        foreach (var place in places.Where(place => !s_apart.Contains(place.Rule)))
        {
            var killer = cases[place.Site].FirstOrDefault(pair => place.IsFatal || Changes(pair.Test, pair.Verdict!, place.Site)).Test;
            if (killer is null) missing.Add($"{place.Site} {place.Rule}: {place.Message} ({cases[place.Site].Count()} programs are rejected there)");
            text.Append($"| {place.File} | {place.Rule} | {place.Message.Replace("|", "\\|", StringComparison.Ordinal)} | {(place.IsFatal ? "always: " : "")}{killer?.Name} |\n");
        }
        foreach (var line in missing) output.WriteLine(line);
        Assert.True(missing.Count == 0, $"{missing.Count} of {places.Count} checks could be removed without a test noticing:\n{string.Join('\n', missing)}");

        GeneratedPage.Check("docs/checks.md", text.ToString());
    }

    // Without a check the walk may meet what it can't represent: an exception is another verdict too.
    private static bool Changes(Case test, Rejection verdict, string site)
    {
        try
        {
            var without = ProgramVerifier.Verify(test.Spec, test.Options with { DisabledSite = site }).Rejection;
            return (without?.Code, without?.Instruction) != (verdict.Code, verdict.Instruction);
        }
        catch (Exception error) when (error is InvalidOperationException or NullReferenceException or IndexOutOfRangeException or ArgumentException or OverflowException)
        {
            return true;
        }
    }

    private static IEnumerable<Place> Places(string path)
    {
        var lines = File.ReadAllLines(path);
        for (var index = 0; index < lines.Length; index++)
        {
            if (Check().Match(lines[index]) is not { Success: true } match) continue;
            // The message may stand on the next line.
            var following = lines[index][match.Index..] + (index + 1 < lines.Length ? lines[index + 1].Trim() : "");
            var message = Literal().Match(following) is { Success: true } literal ? Hole().Replace(literal.Groups[1].Value, "…") : "";
            var rule = match.Groups[2].Value == "rule" ? "MemoryBounds" : match.Groups[2].Value["Rule.".Length..];
            yield return new($"{Path.GetFileName(path)}:{index + 1}", Path.GetFileName(path), rule, match.Groups[1].Value == "Fatal", message.TrimEnd('.'));
        }
    }

    [GeneratedRegex(@"\bjudge\.(Reject|Fatal)\((rule|Rule\.\w+)|_judge\.(?<1>Reject|Fatal)\((?<2>rule|Rule\.\w+)")]
    private static partial Regex Check();

    [GeneratedRegex("\\$?\"((?:[^\"\\\\{]|\\\\.|\\{[^{}]*(?:\\{[^{}]*\\}[^{}]*)*\\})*)\"")]
    private static partial Regex Literal();

    [GeneratedRegex(@"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")]
    private static partial Regex Hole();
}
