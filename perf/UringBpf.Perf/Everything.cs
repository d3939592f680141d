using System.Diagnostics;

namespace UringBpf.Perf;

/// <summary>`all`: every measurement, each in a process of its own, so that none runs on what another has left behind.</summary>
internal static class Everything
{
    private static readonly string[] s_verbs =
        ["engines", "calls", "compile", "interpreters", "maps", "verifier", "ring", "recorder", "blockwalk", "fileseries", "echo", "benchmarks"];

    public static int Run(bool quick)
    {
        var failed = new List<string>();
        foreach (var verb in s_verbs)
        {
            var start = Stopwatch.GetTimestamp();
            Console.WriteLine($"== {verb}");
            string[] arguments = quick ? [verb, "--quick"] : [verb];
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, arguments))!;
            process.WaitForExit();
            Console.WriteLine($"== {verb}: exit {process.ExitCode}, {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s");
            if (process.ExitCode != 0) failed.Add(verb);
        }
        Console.WriteLine(failed.Count == 0 ? "all measured: see perf/results" : $"failed: {string.Join(", ", failed)}");
        return failed.Count == 0 ? 0 : 1;
    }
}
