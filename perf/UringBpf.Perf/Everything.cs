using System.Diagnostics;

namespace UringBpf.Perf;

/// <summary>`all`: every measurement, each in a process of its own, so that none runs on what another has left behind.</summary>
internal static class Everything
{
    // What is measured in haste does not take the place of what was measured with care.
    private static string Results(bool quick) => quick ? Path.Combine("perf", "results", "quick") : Path.Combine("perf", "results");

    /// <summary>Each measurement by its name, in the order of `all`: given its own arguments, and whether a rough one will do.</summary>
    public static IReadOnlyList<(string Name, Func<string[], bool, Task<int>> Measure)> Verbs { get; } =
    [
        ("engines", (arguments, quick) => Task.FromResult(EngineComparison.Run(Results(quick), quick ? 15 : 101, [.. arguments.Where(argument => !argument.StartsWith("--", StringComparison.Ordinal))]))),
        ("calls", (_, quick) => Task.FromResult(CallComparison.Run(Results(quick), quick ? 15 : 101))),
        ("compile", (_, quick) => Task.FromResult(CompileComparison.Run(Results(quick), quick ? 31 : 101))),
        ("interpreters", (_, quick) => Task.FromResult(InterpreterComparison.Run(Results(quick), quick ? 15 : 101))),
        ("maps", (_, quick) => Task.FromResult(MapComparison.Run(Results(quick), quick ? 15 : 101))),
        ("verifier", (_, quick) => Task.FromResult(VerifierComparison.Run(Results(quick), quick ? 15 : 51))),
        ("ring", (_, quick) => Task.FromResult(RingComparison.Run(Results(quick), quick ? 51 : 501))),
        ("recorder", (_, quick) => Task.FromResult(RecorderComparison.Run(Results(quick), quick ? 51 : 201))),
        ("blockwalk", (_, quick) => BlockWalkComparison.Run(Results(quick), quick ? 3 : 15)),
        ("fileseries", (_, quick) => FileSeriesComparison.Run(Results(quick), quick ? 3 : 15)),
        ("echo", (_, quick) => Task.FromResult(EchoComparison.Run(Results(quick), quick ? 1 : 5, quick ? 1 : 2))),
        ("benchmarks", (_, quick) => Task.FromResult(EngineBenchmarks.Run(Results(quick), quick))),
    ];

    public static int Run(bool quick)
    {
        var failed = new List<string>();
        foreach (var (verb, _) in Verbs)
        {
            var start = Stopwatch.GetTimestamp();
            Console.WriteLine($"== {verb}");
            string[] arguments = quick ? [verb, "--quick"] : [verb];
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, arguments))!;
            process.WaitForExit();
            Console.WriteLine($"== {verb}: exit {process.ExitCode}, {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s");
            if (process.ExitCode != 0) failed.Add(verb);
        }
        Console.WriteLine(failed.Count == 0 ? $"all measured: see {Results(quick)}" : $"failed: {string.Join(", ", failed)}");
        return failed.Count == 0 ? 0 : 1;
    }
}
