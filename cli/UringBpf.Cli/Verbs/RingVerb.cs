using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>uringbpf ring: attaches a completion hook to a real ring and lets it do its I/O.</summary>
internal static class RingVerb
{
    public static Command Create()
    {
        var file = ProgramInput.File();
        var input = new ProgramInput();
        var engine = Engines.Option(Engines.Unchecked);
        var files = new Option<string[]>("--files", "-f") { Description = "Files the hook may use: they fill the path table; with --start read they are opened into slots 0, 1, ….", HelpName = "PATH", AllowMultipleArgumentsPerToken = true };
        var directory = new Option<string[]>("--directory", "-d") { Description = "A directory the hook may open files beneath.", HelpName = "DIR" };
        var buffers = new Option<string>("--buffers") { Description = "Buffers of each chain.", HelpName = "COUNTxBYTES", DefaultValueFactory = _ => "8x65536" };
        var start = new Option<string>("--start") { Description = "The operation each chain starts with.", DefaultValueFactory = _ => "nop" };
        Usage.OneOf(start, "nop", "read", "openat");
        var depth = new Option<int>("--depth") { Description = "Chains at once.", HelpName = "N", DefaultValueFactory = _ => 1 };
        var write = new Option<bool>("--allow-write") { Description = "Let the hook open files for writing and write to them." };
        var trace = new Option<string?>("--trace") { Description = "Record what the ring does and write it to a file: .html, a timeline; .json, Chrome's trace format, which Perfetto opens.", HelpName = "FILE" };
        var simulation = new SimulationInput();
        var json = new Option<bool>("--json") { Description = "Print one JSON object for each event." };
        var command = new Verb("ring", "Attaches a completion hook to io_uring, starts its chains, and prints what it emitted and how each chain ended.",
            "ring walk.bpf.o --files index.db --start read", "ring series.bpf.o --files a.log b.log --backend simulated --seed 7 --faults 0.1")
        { file, engine, files, directory, buffers, start, depth, write, trace, json };
        simulation.AddTo(command);
        files.Validators.Add(Usage.RefuseOptions);
        input.AddTo(command, withContext: false);
        command.SetAction(async (parsed, cancellation) =>
        {
            var (count, bytes) = ParseBuffers(parsed.GetValue(buffers)!);
            var chains = parsed.GetValue(depth);
            if (chains is < 1 or > 4096) throw new UsageException($"--depth {chains}: between 1 and 4096 chains.");
            var path = parsed.GetRequiredValue(file);
            var (programs, mapSpecs) = input.Load(parsed, path);
            var verified = ProgramInput.Verify(input.Pick(parsed, programs, path), 0);
            using var maps = MapSet.Create(mapSpecs);
            var traceFile = parsed.GetValue(trace);
            if (traceFile != null) CheckTraceFile(traceFile);
            using var program = Engines.Create(parsed.GetValue(engine)!, verified, maps, recordSites: traceFile != null);

            var paths = parsed.GetValue(files) ?? [];
            var reads = parsed.GetValue(start) == "read";
            if (reads && paths.Length == 0) throw new UsageException("--start read needs --files.");
            if (parsed.GetValue(start) == "openat" && paths.Length == 0) throw new UsageException("--start openat needs --files.");
            var handles = reads ? paths.Select(OpenFile).ToArray() : [];
            try
            {
                RingTrace? recorded = null;
                // How long a hook took differs from run to run; a simulation's record does not.
                var options = simulation.Options(parsed) with
                {
                    Recorder = traceFile == null ? null : new RecorderOptions { HookDurations = !simulation.IsSimulated(parsed), Exiting = last => recorded = last },
                };
                int exit;
                await using (var ring = options.Backend == RingBackendKind.Simulated ? UringBpf.Ring.Ring.CreateSimulated(options) : UringBpf.Ring.Ring.Create(options))
                {
                    if (ring.Features.FallbackReason is { } reason) Console.Error.WriteLine($"on the portable back end: {reason}");
                    await using var hook = ring.Attach(program,
                        new Grants { Files = [.. handles], Paths = [.. paths], Directories = [.. parsed.GetValue(directory) ?? []], AllowWrite = parsed.GetValue(write) },
                        new ChainLimits { OwnFiles = 8, OwnBuffers = count, OwnBufferBytes = bytes },
                        emissionCapacity: 1 << 16);
                    exit = await RunChains(ring, hook, First, chains, parsed.GetValue(json), cancellation);
                }
                if (recorded != null) SaveTrace(recorded, traceFile!);
                return exit;
            }
            finally
            {
                foreach (var handle in handles) handle.Dispose();
            }

            UringOp First(int chain) => parsed.GetValue(start) switch
            {
                "read" => UringOp.Read(chain % paths.Length, 0, (uint)bytes, 0),
                "openat" => UringOp.OpenAt(UringOp.NoDirectory, (uint)(chain % paths.Length), 0),
                _ => UringOp.Nop(),
            };
        });
        return command;
    }

    private static async Task<int> RunChains(UringBpf.Ring.Ring ring, HookLink hook, Func<int, UringOp> first, int chains, bool json, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var running = Enumerable.Range(0, chains).Select(chain => hook.StartAsync(first(chain), cancellation).AsTask()).ToList();
        var results = new List<ChainResult>();
        var simulated = ring.Features.Backend == "simulated";
        while (running.Count > 0)
        {
            // A simulated ring goes on where it is driven, and its chains end in the order that the seed says.
            while (simulated && !running.Any(chain => chain.IsCompleted))
            {
                // Nothing that the tool grants can wait for somebody else.
                if (!ring.Step() && !running.Any(chain => chain.IsCompleted)) throw new InvalidOperationException($"{Names.Count(running.Count, "chain")} in flight, and nothing is left to happen in the simulation.");
            }
            var ended = simulated ? running.First(chain => chain.IsCompleted) : await Task.WhenAny(running);
            running.Remove(ended);
            // What a chain emitted comes before its end.
            PrintEmissions(hook, json);
            var result = await ended;
            results.Add(result);
            if (json) JsonLine.Write(("event", "end"), ("chain", result.Chain), ("result", result.Result), ("verdict", result.Verdict), ("steps", result.Steps), ("bytes", result.Bytes));
            else Console.Out.WriteLine($"chain {result.Chain}: {(result.Verdict < 0 ? $"ended with errno {-result.Verdict} ({Marshal.GetPInvokeErrorMessage(-result.Verdict)})" : $"passed {result.Result}")} after {Names.Count(result.Steps, "step")}, {result.Bytes} bytes");
        }
        var elapsed = simulated ? ring.SimulatedTime : clock.Elapsed;
        var failed = results.Count(result => result.Verdict < 0);
        if (json)
        {
            JsonLine.Write(("event", "summary"), ("chains", results.Count), ("failed", failed), ("steps", results.Sum(result => (long)result.Steps)),
                ("bytes", (ulong)results.Sum(result => (decimal)result.Bytes)), ("completions", ring.Completions), ("hook_runs", ring.HookRuns),
                ("late_completions", ring.LateCompletions), ("emissions_lost", hook.EmissionsLost), ("host_wakeups", ring.HostWakeUps),
                ("backend", ring.Features.Backend), ("seconds", elapsed.TotalSeconds));
        }
        else
        {
            Console.Error.WriteLine($"{Names.Count(results.Count, "chain")}, {failed} failed; {Names.Count(ring.HookRuns, "hook run")}, {Names.Count(hook.EmissionsLost, "emission")} lost, {elapsed.TotalMilliseconds:F1} ms on {ring.Features.Backend}");
        }
        return failed > 0 ? ExitCode.Failed : ExitCode.Fine;
    }

    private static void PrintEmissions(HookLink hook, bool json)
    {
        while (hook.TryReadEmission(out var emission))
        {
            if (json) JsonLine.Write(("event", "emit"), ("chain", emission.Chain), ("step", emission.Step), ("user_data", emission.UserData), ("value", emission.Value));
            else Console.Out.WriteLine($"chain {emission.Chain} step {emission.Step}: emit {emission.UserData} 0x{emission.Value:x}");
        }
    }

    private static void CheckTraceFile(string path)
    {
        try
        {
            RingTrace.CheckPath(path);
        }
        catch (ArgumentException)
        {
            throw new UsageException($"--trace {path}: its extension says what to write, .html or .json.");
        }
    }

    private static void SaveTrace(RingTrace trace, string path)
    {
        try
        {
            trace.Save(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"--trace {path}: {error.Message}");
        }
        if (trace.Lost > 0) Console.Error.WriteLine($"{path}: the first {trace.Lost} of {trace.Recorded} events gave way to later ones");
    }

    private static (int Count, int Bytes) ParseBuffers(string text)
    {
        var parts = text.Split('x');
        if (parts.Length == 2 && int.TryParse(parts[0], out var count) && int.TryParse(parts[1], out var bytes) && count is > 0 and <= 4096 && bytes > 0 && (long)count * bytes <= 1 << 30)
            return (count, bytes);
        throw new UsageException($"--buffers {text}: COUNTxBYTES, such as 8x65536, at most 4096 buffers and 1 GiB for each chain.");
    }

    private static SafeFileHandle OpenFile(string path)
    {
        try
        {
            return File.OpenHandle(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException(Directory.Exists(path) ? $"{path} is a directory; --directory grants one." : error.Message);
        }
    }
}
