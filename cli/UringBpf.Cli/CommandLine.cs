using System.CommandLine;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>The command line as a whole: verbs in, exit code out.</summary>
internal static class CommandLine
{
    private const int Interrupted = 130;

    /// <summary>The verbs, in the order a newcomer meets them.</summary>
    public static RootCommand Create()
    {
        var root = new RootCommand("Loads, verifies, compiles and runs eBPF programs in .NET, and drives io_uring with them.")
        {
            ListVerb.Create(),
            VerifyVerb.Create(),
            DumpVerb.Create(),
            RunVerb.Create(),
            BenchVerb.Create(),
            RingVerb.Create(),
            NewVerb.Create(),
            BuildVerb.Create(),
            SkeletonVerb.Create(),
            AsmVerb.Create(),
            CompileVerb.Create(),
            PluginVerb.Create(),
            FeaturesVerb.Create(),
            CompletionVerb.Create(),
        };
        HelpWithExamples.AddTo(root);
        return root;
    }

    /// <summary>Runs a command line; failures go to standard error and become exit codes.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        try
        {
            var root = Create();
            var parsed = root.Parse(args);
            if (args.Length == 0) return Usage.Introduce(root);
            // Asking for help, or for what could come next, is no mistake, whatever is missing.
            var asks = parsed.Action is HelpWithExamples || args[0].StartsWith("[suggest", StringComparison.Ordinal);
            if (parsed.Errors.Count > 0 && !asks) return Usage.Report(parsed);
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (BpfException error)
        {
            Console.Error.WriteLine($"uringbpf: {error.Message}");
            return ExitCode.Of(error);
        }
        catch (BadInputException error)
        {
            Console.Error.WriteLine($"uringbpf: {error.Message}");
            return ExitCode.BadInput;
        }
        catch (UsageException error)
        {
            Console.Error.WriteLine($"uringbpf: {error.Message}");
            return ExitCode.Usage;
        }
        catch (OperationCanceledException)
        {
            return Interrupted;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What is read and written by name is caught where that happens: this is standard output, full, gone or never open.
            Console.Error.WriteLine($"uringbpf: the output can't be written: {error.Message}");
            return ExitCode.Failed;
        }
        catch (Exception error)
        {
            Console.Error.WriteLine($"uringbpf: internal error, please report it: {error}");
            return ExitCode.Bug;
        }
    }
}
