using System.Diagnostics;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>A line that clang printed about a place in a source.</summary>
internal sealed record ClangMessage(string File, int Line, int Column, string Kind, string Text);

/// <summary>The C compiler found on this machine.</summary>
internal static partial class Clang
{
    private const int Newest = 24, Oldest = 11;

    [GeneratedRegex(@"^(?<file>.+?):(?<line>\d+):(?<column>\d+): (?<kind>fatal error|error|warning): (?<text>.*)$")]
    private static partial Regex Message { get; }

    /// <summary>Where uring_bpf.h is: beside the tool.</summary>
    public static string HeaderFolder { get; } = Path.Combine(AppContext.BaseDirectory, "include");

    /// <summary>The compiler: what was asked for, else $CLANG, else clang or clang-N, the newest, on the PATH.</summary>
    /// <exception cref="BpfException">UB5001 when there is none.</exception>
    public static string Find(string? asked)
    {
        foreach (var (name, source) in new[] { (asked, "--clang"), (Environment.GetEnvironmentVariable("CLANG"), "the environment variable CLANG") })
        {
            if (!string.IsNullOrEmpty(name)) return OnPath(name) ?? throw new BpfException("UB5001", $"no program '{name}', which {source} asks for.");
        }
        var names = Enumerable.Range(Oldest, Newest - Oldest + 1).Reverse().Select(version => $"clang-{version}").Prepend("clang");
        return names.Select(OnPath).FirstOrDefault(path => path != null) ?? throw new BpfException("UB5001",
            "no clang was found on this machine, which compiles C to BPF. Install it: 'apt install clang' (Debian, Ubuntu), 'dnf install clang' (Fedora), 'apk add clang' (Alpine), 'pacman -S clang' (Arch); or name one with --clang or the environment variable CLANG. An object that was compiled elsewhere (hook.bpf.o) needs none.");
    }

    /// <summary>Compiles a source to an object for BPF.</summary>
    /// <returns>Warnings, and errors if it failed; the text that is about no place.</returns>
    public static async Task<(int Exit, IReadOnlyList<ClangMessage> Messages, string Text)> Compile(string clang, string source, string output, IEnumerable<string> includes, IEnumerable<string> flags, CancellationToken cancellation)
    {
        // In the source's folder and by its name alone, so that no path of this machine is recorded in the object.
        var folder = Path.GetDirectoryName(Path.GetFullPath(source))!;
        var start = new ProcessStartInfo(clang,
            ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-fno-color-diagnostics", "-fno-caret-diagnostics", "-fdebug-compilation-dir=.",
                .. includes.Append(HeaderFolder).Select(path => "-I" + Path.GetFullPath(path)), .. flags, "-c", Path.GetFileName(source), "-o", Path.GetFullPath(output)])
        {
            WorkingDirectory = folder,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var text = await process.StandardError.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        var messages = new List<ClangMessage>();
        var rest = new List<string>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var match = Message.Match(line);
            if (!match.Success) rest.Add(line);
            else
                messages.Add(new ClangMessage(Path.GetFullPath(match.Groups["file"].Value, folder), int.Parse(match.Groups["line"].Value), int.Parse(match.Groups["column"].Value),
                    match.Groups["kind"].Value == "warning" ? "warning" : "error", match.Groups["text"].Value));
        }
        return (process.ExitCode, messages, string.Join('\n', rest));
    }

    private static string? OnPath(string name)
    {
        if (name.Contains('/') || name.Contains('\\')) return File.Exists(name) ? Path.GetFullPath(name) : null;
        string[] suffixes = OperatingSystem.IsWindows() ? [".exe", ""] : [""];
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(folder => suffixes.Select(suffix => Path.Combine(folder, name + suffix)))
            .FirstOrDefault(File.Exists);
    }
}
