using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Cli;

// The verbs, in the order a newcomer meets them.
var root = new RootCommand("Loads, verifies, compiles and runs eBPF programs in .NET, and drives io_uring with them.")
{
    ListVerb.Create(),
    VerifyVerb.Create(),
    DumpVerb.Create(),
    RunVerb.Create(),
    RingVerb.Create(),
    FeaturesVerb.Create(),
};

try
{
    var parsed = root.Parse(args);
    if (parsed.Errors.Count > 0) return Usage.Report(root, parsed, args);
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
    return 130;
}
catch (Exception error)
{
    Console.Error.WriteLine($"uringbpf: internal error, please report it: {error}");
    return ExitCode.Bug;
}
