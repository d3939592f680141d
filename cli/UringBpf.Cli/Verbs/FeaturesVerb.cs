using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Ring;

namespace UringBpf.Cli;

/// <summary>uringbpf features: what this machine offers.</summary>
internal static class FeaturesVerb
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Verb("features", "Says what this machine offers (io_uring, dynamic code, the kernel's BPF) and what programs may use (types, maps, helpers, kfuncs).", "features", "features --json") { json };
        command.SetAction(async (parsed, _) =>
        {
            var (ring, refusal) = await Probe();
            var dynamicCode = RuntimeFeature.IsDynamicCodeCompiled;
            var kernelRefusal = KernelVerifier.Refusal();
            var helpers = HelperPrototypes.All.OrderBy(helper => helper.Id).Select(helper => helper.Name).ToArray();
            var kfuncs = KfuncPrototypes.All.OrderBy(kfunc => kfunc.Id).Select(kfunc => kfunc.Name).ToArray();
            var types = ProgramTypes.All.Select(type => type.Name).ToArray();
            var maps = Enum.GetValues<MapType>().Where(type => type != MapType.Unspecified).Select(Names.Of).ToArray();
            if (parsed.GetValue(json))
            {
                JsonLine.Write(
                    ("system", RuntimeInformation.OSDescription),
                    ("architecture", RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()),
                    ("runtime", RuntimeInformation.FrameworkDescription),
                    ("dynamic_code", dynamicCode),
                    ("io_uring", ring != null),
                    ("io_uring_refusal", refusal),
                    ("setup_flags", ring?.Setup.ToString().Split(", ")),
                    ("registered_ring", ring?.RegisteredRing),
                    ("operations", ring?.Operations.Select(operation => (object?)operation.ToString())),
                    ("kernel_bpf", kernelRefusal == null),
                    ("kernel_bpf_refusal", kernelRefusal),
                    ("program_types", types),
                    ("map_types", maps),
                    ("helpers", helpers),
                    ("kfuncs", kfuncs));
            }
            else
            {
                Tables.PrintFacts(
                [
                    ("system", $"{RuntimeInformation.OSDescription} ({RuntimeInformation.ProcessArchitecture})"),
                    ("runtime", RuntimeInformation.FrameworkDescription),
                    ("engine", dynamicCode ? "jit and interpreter" : "interpreter: this host has no dynamic code"),
                    ("io_uring", ring == null ? $"no: {refusal}" : $"yes: {ring.Setup}{(ring.RegisteredRing ? ", registered ring" : "")}"),
                    .. ring == null ? [] : new[] { List("operations", ring.Operations.Select(operation => operation.ToString())) },
                    ("kernel BPF", kernelRefusal == null ? "yes: bpf(2) takes programs" : $"no: {kernelRefusal}"),
                    List("types", types),
                    List("maps", maps),
                    List("helpers", helpers),
                    List("kfuncs", kfuncs),
                ]);
            }
            return ExitCode.Fine;
        });
        return command;
    }

    private static (string Name, string Text) List(string name, IEnumerable<string> of)
    {
        var all = of.ToArray();
        return (name, $"{all.Length}: {string.Join(", ", all)}");
    }

    private static async Task<(RingFeatures? Ring, string? Refusal)> Probe()
    {
        try
        {
            await using var ring = UringBpf.Ring.Ring.Create(new RingOptions { Backend = RingBackendKind.Kernel, QueueEntries = 8, CompletionEntries = 16, MaxOperations = 8, FileSlots = 8 });
            return (ring.Features, null);
        }
        catch (BpfException error)
        {
            return (null, error.Reason);
        }
    }
}
