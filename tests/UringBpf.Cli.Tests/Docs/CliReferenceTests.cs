using System.CommandLine;
using System.Text;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/cli.md is made from the commands: UPDATE_DOCS=1 in the environment writes it anew.</summary>
public sealed class CliReferenceTests
{
    [Fact]
    public void The_page_says_what_the_commands_say() => GeneratedPage.Check("docs/cli.md", Write(CommandLine.Create()));

    private static string Write(RootCommand root)
    {
        var text = new StringBuilder("""
            # The command line

            Generated from the commands by a test; `uringbpf VERB --help` says the same.

            Results go to standard output, everything else to standard error; `NO_COLOR` is respected. With `--json` a verb prints one
            object a line. Exit codes: 0 fine, 1 rejected or failed, 2 wrong usage, 3 bad input file, 70 a bug of ours.

            | verb | does |
            |---|---|

            """);
        foreach (var verb in root.Subcommands.Where(verb => !verb.Hidden)) text.Append($"| [{verb.Name}](#uringbpf-{verb.Name}) | {Cell(verb.Description)} |\n");
        foreach (var verb in root.Subcommands.Where(verb => !verb.Hidden)) Section(text, verb, $"uringbpf {verb.Name}");
        return text.ToString();
    }

    private static void Section(StringBuilder text, Command command, string path)
    {
        text.Append($"\n## {path}\n\n{command.Description}\n\n```console\n");
        if (command is Verb verb) foreach (var example in verb.Examples) text.Append($"$ uringbpf {example}\n");
        text.Append("```\n");
        var arguments = command.Arguments.Where(argument => !argument.Hidden).Select(argument => (Name: argument.Name, argument.Description));
        var options = command.Options.Where(option => !option.Hidden && !option.Aliases.Contains("-h"))
            .Select(option => (Name: string.Join(", ", option.Aliases.Where(alias => alias.Length == 2).Append(option.Name)) + (option.ValueType == typeof(bool) ? "" : $" {option.HelpName ?? "VALUE"}"), option.Description));
        var rows = arguments.Concat(options).ToArray();
        if (rows.Length > 0)
        {
            text.Append("\n| argument, option | |\n|---|---|\n");
            foreach (var (name, description) in rows) text.Append($"| `{Cell(name)}` | {Cell(description)} |\n");
        }
        foreach (var inner in command.Subcommands) Section(text, inner, $"{path} {inner.Name}");
    }

    private static string Cell(string? text) => (text ?? "").Replace("|", "\\|");
}
