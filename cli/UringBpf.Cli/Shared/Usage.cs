using System.CommandLine;
using System.CommandLine.Parsing;

namespace UringBpf.Cli;

/// <summary>What people get who did not say what they meant.</summary>
internal static class Usage
{
    /// <summary>Without any argument: the help, on standard error, as nothing was asked for.</summary>
    public static int Introduce(RootCommand root)
    {
        root.Parse("--help").Invoke(new InvocationConfiguration { Output = Console.Error });
        return ExitCode.Usage;
    }

    /// <summary>Says what is wrong with the command line, and the nearest verb or option if one is near.</summary>
    public static int Report(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        // The parser also says that a command is missing when it is misspelt.
        var errors = parsed.Errors.Where(error => parsed.UnmatchedTokens.Count == 0 || error.SymbolResult is not CommandResult || error.Message.Contains('\''));
        foreach (var message in errors.Select(error => error.Message).Distinct()) Console.Error.WriteLine($"uringbpf: {message}");
        var known = command.Subcommands.Select(verb => verb.Name).Concat(command.Options.Select(option => option.Name)).ToArray();
        foreach (var word in parsed.UnmatchedTokens.Concat(parsed.Tokens.Select(token => token.Value).Where(LooksLikeOption)).Distinct())
        {
            if (!known.Contains(word) && Nearest(word, known) is { } near) Console.Error.WriteLine($"Did you mean '{near}'?");
        }
        Console.Error.WriteLine($"Try '{string.Join(' ', Path(command).Append("--help"))}'.");
        return ExitCode.Usage;
    }

    /// <summary>Refuses a misspelt option where a file name would be taken: files may start with '-', but then they exist.</summary>
    public static void RefuseOptions(SymbolResult result)
    {
        foreach (var token in result.Tokens)
        {
            if (LooksLikeOption(token.Value) && !File.Exists(token.Value)) result.AddError($"Unrecognized option '{token.Value}'.");
        }
    }

    /// <summary>The candidate that differs least from a word, if by no more than about a third of it.</summary>
    public static string? Nearest(string word, IEnumerable<string> candidates) => candidates
        .Select(candidate => (Candidate: candidate, Distance: Distance(word, candidate)))
        .Where(pair => pair.Distance <= Math.Max(1, (word.Length + 1) / 3))
        .OrderBy(pair => pair.Distance)
        .Select(pair => pair.Candidate)
        .FirstOrDefault();

    private static bool LooksLikeOption(string token) => token.Length > 1 && token[0] == '-' && !char.IsAsciiDigit(token[1]);

    private static IEnumerable<string> Path(Command command) =>
        command is RootCommand ? ["uringbpf"] : Path(command.Parents.OfType<Command>().First()).Append(command.Name);

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
