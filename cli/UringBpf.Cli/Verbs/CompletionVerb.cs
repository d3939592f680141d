using System.CommandLine;

namespace UringBpf.Cli;

/// <summary>uringbpf completion: a script that lets a shell complete verbs, options, their values and program names.</summary>
internal static class CompletionVerb
{
    // The tool itself answers: "[suggest:CURSOR]" and the line so far. What it does not know may be a file's name.
    private const string Bash = """
        _uringbpf() {
            local word="${COMP_WORDS[COMP_CWORD]}"
            local IFS=$'\n'
            COMPREPLY=( $(compgen -W "$(uringbpf "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "$word") )
        }
        complete -o default -F _uringbpf uringbpf

        """;

    private const string Zsh = """
        #compdef uringbpf
        _uringbpf() {
            local -a found
            found=( "${(@f)$(uringbpf "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}" )
            compadd -- ${found:#}
            _files
        }
        compdef _uringbpf uringbpf

        """;

    private const string Fish = """
        complete -c uringbpf -a '(set -l line (commandline -cp); uringbpf "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null)'

        """;

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish." };
        shell.CompletionSources.Add("bash", "zsh", "fish");
        var command = new Verb("completion", "Prints a script that makes a shell complete uringbpf's verbs, options and program names.",
            "completion bash > ~/.local/share/bash-completion/completions/uringbpf", "completion fish > ~/.config/fish/completions/uringbpf.fish")
        { shell };
        command.SetAction(parsed =>
        {
            var name = parsed.GetRequiredValue(shell);
            Console.Out.Write(name switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                "fish" => Fish,
                _ => throw new UsageException($"completion {name}: bash, zsh or fish."),
            });
            return ExitCode.Fine;
        });
        return command;
    }
}
