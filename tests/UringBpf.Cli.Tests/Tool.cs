using System.Diagnostics;
using Xunit;

[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
// The tool's verbs write to the console of the process.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace UringBpf.Cli.Tests;

/// <summary>What a command line gave.</summary>
internal sealed record Outcome(int Exit, string Out, string Error)
{
    /// <summary>Lines of standard output.</summary>
    public string[] Lines => Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs command lines: in this process where that shows the same, as the real executable where it does not.</summary>
internal static class Tool
{
    /// <summary>The repository's top folder.</summary>
    public static string Root => Repository.Root;

    /// <summary>An object with a program of each kind: bpf/tool.bpf.c.</summary>
    public static string Object { get; } = Path.Combine(Root, "tests/UringBpf.Cli.Tests/bpf/tool.bpf.o");

    /// <summary>A sample's object.</summary>
    public static string Sample(string name) => Path.Combine(Root, "samples", name, "hook.bpf.o");

    /// <summary>uringbpf in this process.</summary>
    public static async Task<Outcome> Run(params string[] args) => await Run("", args);

    /// <summary>uringbpf in this process, with something on standard input.</summary>
    public static async Task<Outcome> Run(string input, string[] args)
    {
        var (output, error, before) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" }, (Console.Out, Console.Error, Console.In));
        Console.SetOut(output);
        Console.SetError(error);
        Console.SetIn(new StringReader(input));
        try
        {
            return new Outcome(await CommandLine.RunAsync(args), output.ToString(), error.ToString());
        }
        finally
        {
            Console.SetOut(before.Out);
            Console.SetError(before.Error);
            Console.SetIn(before.In);
        }
    }

    /// <summary>An executable that was built beside these tests: uringbpf or a sample.</summary>
    public static async Task<Outcome> Start(string assembly, params string[] args) => await StartWith("", assembly, args);

    /// <summary>The same, with something on standard input.</summary>
    public static async Task<Outcome> StartWith(string input, string assembly, params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. args])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NO_COLOR"] = "1";
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return new Outcome(process.ExitCode, await output, await error);
    }

    /// <summary>Starts an executable that goes on running: a server.</summary>
    public static Process Launch(string assembly, params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. args]) { RedirectStandardOutput = true, RedirectStandardError = true };
        return Process.Start(start)!;
    }

    /// <summary>Skips a test where this machine has no io_uring.</summary>
    public static void SkipIfRefused(Outcome outcome) =>
        Assert.SkipWhen(outcome.Error.Contains("UB4501"), outcome.Error);
}

/// <summary>A folder of its own for a test, removed afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("uringbpf").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public string File(string name, byte[] content)
    {
        System.IO.File.WriteAllBytes(this[name], content);
        return this[name];
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
