using System.Diagnostics;
using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>What the flight recorder costs: the ring's NOPs with an empty hook, with it and without, in turn.</summary>
internal static class RecorderComparison
{
    // A submission, a completion and a hook.
    private const int EventsPerOperation = 3, OperationsPerSample = 1 << 13;

    public static int Run(string folder, int rounds)
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "hooks", "empty.bpf.o")), "empty.bpf.o");
        using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Empty);
        var variants = new RecorderOptions?[] { null, new(), new() { HookDurations = true } };
        var rings = variants.Select(recorder => Ring.Ring.Create(new RingOptions { Recorder = recorder })).ToArray();
        var links = rings.Select(ring => ring.Attach(program, new Grants(), new ChainLimits { MaxInFlight = 1024, MaxSteps = uint.MaxValue })).ToArray();
        var chains = links.Select(link => link.StartAsync(UringOp.Timeout(TimeSpan.FromHours(1))).AsTask()).ToArray();

        var text = new StringBuilder("# The flight recorder\n\n");
        text.Append(CultureInfo.InvariantCulture, $"Nanoseconds per NOP with an empty hook, median of {rounds} interleaved rounds of {OperationsPerSample} operations; each leaves {EventsPerOperation} events (submission, completion, hook). Clock reads are included: one for each batch and turn, two for each timed hook; one takes {ClockRead():F1} ns here.\n\n");
        text.Append("| batch | off | on | on, hooks timed | an event takes | an event takes, hooks timed |\n|---:|---:|---:|---:|---:|---:|\n");
        foreach (var batch in (int[])[1, 8, 32, 128])
        {
            var samples = rings.Select(_ => new List<double>()).ToArray();
            for (var round = 0; round <= rounds; round++)
            {
                for (var i = 0; i < rings.Length; i++)
                {
                    var time = RingComparison.Measure(rings[i], links[i], batch, OperationsPerSample / batch, hook: true);
                    if (round > 0) samples[i].Add(time);
                }
            }
            var medians = samples.Select(RingComparison.Median).ToArray();
            text.Append(CultureInfo.InvariantCulture, $"| {batch} | {medians[0]:F1} | {medians[1]:F1} | {medians[2]:F1} | {(medians[1] - medians[0]) / EventsPerOperation:F1} | {(medians[2] - medians[0]) / EventsPerOperation:F1} |\n");
        }
        foreach (var ring in rings) ring.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Task.WhenAll(chains).GetAwaiter().GetResult();
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "recorder.md"), text.ToString());
        Console.Write(text.ToString());
        return 0;
    }

    private static double ClockRead()
    {
        const int reads = 1 << 20;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < reads; i++) Stopwatch.GetTimestamp();
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / reads;
    }
}
