using System.CommandLine;

namespace UringBpf.Cli;

/// <summary>Help and usage errors.</summary>
internal static class Usage
{
    /// <summary>Says what is wrong with the command line, and the nearest verb or option if one is near.</summary>
    public static int Report(RootCommand root, ParseResult parsed, string[] args)
    {
        foreach (var error in parsed.Errors) Console.Error.WriteLine($"uringbpf: {error.Message}");
        var command = parsed.CommandResult.Command;
        var known = command.Subcommands.Select(verb => verb.Name).Concat(command.Options.Select(option => option.Name));
        foreach (var word in parsed.UnmatchedTokens)
        {
            if (Nearest(word, known) is { } near) Console.Error.WriteLine($"Did you mean '{near}'?");
        }
        Console.Error.WriteLine(command == root || args.Length == 0 ? "Try 'uringbpf --help'." : $"Try 'uringbpf {Path(command)} --help'.");
        return ExitCode.Usage;
    }

    /// <summary>The candidate that differs least from a word, if by no more than a third of it.</summary>
    public static string? Nearest(string word, IEnumerable<string> candidates) => candidates
        .Select(candidate => (Candidate: candidate, Distance: Distance(word, candidate)))
        .Where(pair => pair.Distance <= Math.Max(1, word.Length / 3))
        .OrderBy(pair => pair.Distance)
        .Select(pair => pair.Candidate)
        .FirstOrDefault();

    /// <summary>The examples of a verb, printed under its help.</summary>
    public static string WithExamples(string description, params ReadOnlySpan<string> examples)
    {
        var text = new System.Text.StringBuilder(description).Append("\n\nExamples:");
        foreach (var example in examples) text.Append("\n  uringbpf ").Append(example);
        return text.ToString();
    }

    private static string Path(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent and not RootCommand ? $"{Path(parent)} {command.Name}" : command.Name;

    // Edits (insert, delete, replace) between two words.
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return row[b.Length];
    }
}
