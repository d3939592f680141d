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
        var known = command.Subcommands.Select(verb => verb.Name).Concat(command.Options.Select(option => option.Name)).ToArray();
        var misspelt = parsed.UnmatchedTokens.Concat(parsed.Tokens.Select(token => token.Value).Where(LooksLikeOption)).Distinct()
            .Where(word => !known.Contains(word)).Select(word => (Word: word, Near: Nearest(word, known))).Where(word => word.Near != null).ToArray();
        // One misspelt word makes what follows it strange too, and makes a command missing: the word is what matters.
        var errors = misspelt.Length > 0 && parsed.UnmatchedTokens.Contains(misspelt[0].Word)
            ? [$"Unrecognized command or argument '{misspelt[0].Word}'."]
            : parsed.Errors.Select(error => Describe(error, command)).Distinct();
        foreach (var message in errors) Console.Error.WriteLine($"uringbpf: {message}");
        foreach (var (_, near) in misspelt) Console.Error.WriteLine($"Did you mean '{near}'?");
        Console.Error.WriteLine($"Try '{string.Join(' ', Path(command).Append("--help"))}'.");
        return ExitCode.Usage;
    }

    // The parser's words where they say it all, better ones where they do not name what is meant.
    private static string Describe(ParseError error, Command command)
    {
        var missing = command.Arguments.FirstOrDefault(argument => argument.Arity.MinimumNumberOfValues > 0);
        var named = string.Join(' ', Path(command).Skip(1));
        return error.SymbolResult switch
        {
            CommandResult when command.Subcommands.Count > 0 && command.Action == null => $"'{named}' needs one of: {string.Join(", ", command.Subcommands.Select(verb => verb.Name))}.",
            ArgumentResult { Tokens.Count: 0, Argument: var argument } => $"'{named}' needs {argument.Name}: {argument.Description}",
            CommandResult when missing != null && error.Message.StartsWith("Required argument", StringComparison.Ordinal) => $"'{named}' needs {missing.Name}: {missing.Description}",
            OptionResult { Tokens: [{ Value: var value }], Option: { ValueType: var type } option } when NumberName(type) is { } number && error.Message.StartsWith("Cannot parse", StringComparison.Ordinal) =>
                $"{option.Name} {value}: {number}.",
            _ => error.Message,
        };
    }

    private static string? NumberName(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var number when number == typeof(int) => $"a number is needed, at most {int.MaxValue}",
        var number when number == typeof(ulong) => $"a number is needed, 0 to {ulong.MaxValue}",
        var number when number == typeof(double) => "a number is needed, such as 0.1",
        _ => null,
    };

    /// <summary>Limits an option to some words, and offers them for completion.</summary>
    public static void OneOf(Option<string> option, params string[] words)
    {
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => !words.Contains(token.Value)))
            {
                var near = Nearest(token.Value, words);
                result.AddError($"{option.Name} {token.Value}: one of {string.Join(", ", words)}{(near == null ? "" : $"; did you mean '{near}'?")}");
            }
        });
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

    // Edits (insert, delete, replace, swap neighbours) between two words.
    private static int Distance(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) table[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) table[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var least = Math.Min(Math.Min(table[i - 1, j] + 1, table[i, j - 1] + 1), table[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) least = Math.Min(least, table[i - 2, j - 2] + 1);
                table[i, j] = least;
            }
        }
        return table[a.Length, b.Length];
    }
}
