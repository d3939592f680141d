using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// `verifier`: the thirteen kernels, verified warm, beside the running kernel's own load of the same program; and time per
/// instruction as programs grow. Exits 1 when a stated limit is passed.
/// </summary>
internal static class VerifierComparison
{
    // What this verifier promises: see docs/verifier.md.
    private const double MostMilliseconds = 10, LeastAllowanceMicroseconds = 100, GrowthFactor = 3;

    public static int Run(string folder, int rounds)
    {
        var text = new StringBuilder("# Verifier\n\n`dotnet run -c Release --project perf/UringBpf.Perf -- verifier`\n\n"
            + "Microseconds per program, warm: median (minimum), interleaved. The kernel's is BPF_PROG_LOAD of the same bytecode, which verifies it\nand compiles it.\n\n"
            + "| program | instructions | steps | worst case of a run | verifier | kernel | ratio |\n|---|---:|---:|---:|---:|---:|---:|\n");
        var failed = false;
        foreach (var kernel in Kernel.All) failed |= !Compare(text, kernel, rounds);
        text.Append(CultureInfo.InvariantCulture, $"\nLimits: termination proved, {MostMilliseconds:0} ms, and the kernel's time or {LeastAllowanceMicroseconds:0} µs, whichever is more.\n");
        failed |= !Growth(text, Math.Max(3, rounds / 5));
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "verifier.md"), text.ToString());
        Console.Write(text);
        return failed ? 1 : 0;
    }

    private static bool Compare(StringBuilder text, Kernel kernel, int rounds)
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(kernel.ObjectFile), kernel.ObjectFile).Programs.Single();
        using var load = KernelLoad.TryCreate(spec);
        var result = ProgramVerifier.Verify(spec);
        if (!result.Accepted) throw new InvalidOperationException($"{kernel.Name}: {result.Rejection}");
        Warm(spec);
        var candidates = new List<Candidate> { Verifier(spec) };
        if (load != null) candidates.Add(new("kernel", runs => { for (var i = 0; i < runs; i++) load.Run(); }));
        var timings = Interleaved.Measure(candidates, rounds);
        var ours = timings[0].MedianNs / 1000;
        var theirs = timings.Count > 1 ? timings[1].MedianNs / 1000 : double.NaN;
        text.Append(CultureInfo.InvariantCulture, $"| {kernel.Title} | {spec.Instructions.Length} | {result.Processed} | {result.WorstCaseInstructions?.ToString(CultureInfo.InvariantCulture) ?? "metered"} "
            + $"| {ours:0.0} ({timings[0].MinNs / 1000:0.0}) | {(timings.Count > 1 ? $"{theirs:0.0} ({timings[1].MinNs / 1000:0.0})" : "–")} | {(timings.Count > 1 ? $"{ours / theirs:0.00}" : "–")} |\n");
        return result.Termination == Termination.Proved && ours <= 1000 * MostMilliseconds
            && (double.IsNaN(theirs) || ours <= Math.Max(theirs, LeastAllowanceMicroseconds));
    }

    private static bool Growth(StringBuilder text, int rounds)
    {
        text.Append("\n## Growth\n\nGenerated programs: blocks of arithmetic, bounds checks, map values, spills and branches.\n\n| instructions | steps | µs | ns per instruction | relative |\n|---:|---:|---:|---:|---:|\n");
        double least = double.MaxValue, most = 0, first = 0;
        foreach (var size in new[] { 100, 1_000, 10_000, 50_000 })
        {
            var spec = GeneratedProgram.Of(size);
            var result = ProgramVerifier.Verify(spec);
            if (!result.Accepted) throw new InvalidOperationException($"{size} instructions: {result.Rejection}");
            Warm(spec);
            var timing = Interleaved.Measure([Verifier(spec)], rounds)[0];
            var each = timing.MedianNs / spec.Instructions.Length;
            (least, most) = (Math.Min(least, each), Math.Max(most, each));
            if (first == 0) first = each;
            text.Append(CultureInfo.InvariantCulture, $"| {spec.Instructions.Length} | {result.Processed} | {timing.MedianNs / 1000:0.0} | {each:0} | {each / first:0.00} |\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"\nLargest to smallest: {most / least:0.00} (limit {GrowthFactor:0}).\n");
        return most <= GrowthFactor * least;
    }

    private static Candidate Verifier(ProgramSpec spec) => new("verifier", runs =>
    {
        for (var i = 0; i < runs; i++)
        {
            if (!ProgramVerifier.Verify(spec).Accepted) throw new InvalidOperationException("the verdict changed");
        }
    });

    // Until the machine code is the final one.
    private static void Warm(ProgramSpec spec)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        for (var i = 0; i < 200 && watch.ElapsedMilliseconds < 1500; i++) ProgramVerifier.Verify(spec);
        Thread.Sleep(150);
    }
}
