using System.Globalization;
using System.Text;

namespace UringBpf.Perf;

/// <summary>Writes timings as Markdown (ratios first), CSV and a bar chart.</summary>
internal static class Report
{
    public const string InLoop = "jit, in the loop", InLoopMetered = "jit, in the loop, metered", KernelInLoop = "kernel JIT, in the loop";

    public static void Write(string folder, IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows, IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> besideKernel, string baseline)
    {
        Directory.CreateDirectory(folder);
        var engines = rows.SelectMany(row => row.Timings.Select(timing => timing.Name)).Distinct().ToList();
        File.WriteAllText(Path.Combine(folder, "engines.md"), Markdown(rows, engines, baseline) + BesideKernel(besideKernel));
        File.WriteAllText(Path.Combine(folder, "engines.csv"), Csv([.. rows, .. besideKernel]));
        if (engines.Contains(baseline)) Chart(Path.Combine(folder, "engines.svg"), rows, engines, baseline);
        Console.WriteLine($"wrote {Path.Combine(folder, "engines.md")}, .csv, .svg");
    }

    /// <summary>The geometric mean over the kernels of an engine's median to the baseline's.</summary>
    public static double GeometricMean(IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows, string engine, string baseline) =>
        Math.Exp(rows.Select(row => Ratio(row.Timings, engine, baseline)).OfType<double>().Average(Math.Log));

    // Null where an engine is not measured.
    private static double? Ratio(IReadOnlyList<Timing> timings, string engine, string baseline) =>
        timings.FirstOrDefault(t => t.Name == engine) is { } timing ? timing.MedianNs / timings.Single(t => t.Name == baseline).MedianNs : null;

    private static string Markdown(IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows, List<string> engines, string baseline)
    {
        var text = new StringBuilder("# Engines on the thirteen kernels\n\n");
        if (engines.Contains(baseline))
        {
            text.Append(CultureInfo.InvariantCulture, $"Median time per run relative to {baseline}; interleaved rounds.\n\n| kernel | {string.Join(" | ", engines)} |\n|---|{string.Concat(engines.Select(_ => "---:|"))}\n");
            foreach (var (kernel, timings) in rows)
                text.Append(CultureInfo.InvariantCulture, $"| {kernel.Title} | {string.Join(" | ", engines.Select(engine => Ratio(timings, engine, baseline) is { } ratio ? Number(ratio) : "–"))} |\n");
            text.Append(CultureInfo.InvariantCulture, $"| **geometric mean** | {string.Join(" | ", engines.Select(engine => $"**{Number(GeometricMean(rows, engine, baseline))}**"))} |\n\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"Nanoseconds per run: median (minimum).\n\n| kernel | {string.Join(" | ", engines)} |\n|---|{string.Concat(engines.Select(_ => "---:|"))}\n");
        foreach (var (kernel, timings) in rows)
            text.Append(CultureInfo.InvariantCulture, $"| {kernel.Title} | {string.Join(" | ", engines.Select(engine => timings.FirstOrDefault(t => t.Name == engine) is { } t ? $"{Nanoseconds(t.MedianNs)} ({Nanoseconds(t.MinNs)})" : "–"))} |\n");
        return text.ToString();
    }

    private static string BesideKernel(IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows)
    {
        if (!rows.Any(row => row.Timings.Count > 1)) return "";
        var text = new StringBuilder("\n## Beside the running kernel's JIT\n\nThe same program for both compilers: a loop that calls the kernel's program as a function, up to 1,000 times in a run. " +
            "Nanoseconds for one time, the loop's share and the call in them: the first row is what those are. Metered: with this loop around it the program is not proved to end, so the jit's code counts jumps back and leaves loops unvectorised. A dash: the running kernel's verifier gives up (1,000,000 steps).\n\n" +
            "| kernel | jit | kernel JIT | jit relative to kernel JIT |\n|---|---:|---:|---:|\n");
        foreach (var (kernel, timings) in rows)
        {
            var (own, other) = (timings[0], timings.ElementAtOrDefault(1));
            text.Append(CultureInfo.InvariantCulture, $"| {kernel.Title}{(own.Name == InLoopMetered ? " (metered)" : "")} | {Nanoseconds(own.MedianNs)} ({Nanoseconds(own.MinNs)}) | {(other is null ? "–" : $"{Nanoseconds(other.MedianNs)} ({Nanoseconds(other.MinNs)})")} | {(other is null ? "–" : Number(own.MedianNs / other.MedianNs))} |\n");
        }
        var mean = Math.Exp(rows.Where(row => row.Timings.Count > 1).Average(row => Math.Log(row.Timings[0].MedianNs / row.Timings[1].MedianNs)));
        text.Append(CultureInfo.InvariantCulture, $"| **geometric mean** | | | **{Number(mean)}** |\n");
        return text.ToString();
    }

    private static string Csv(IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows)
    {
        var text = new StringBuilder("kernel,engine,median_ns,min_ns\n");
        foreach (var (kernel, timings) in rows)
        {
            foreach (var timing in timings)
                text.Append(CultureInfo.InvariantCulture, $"{kernel.Name},\"{timing.Name}\",{timing.MedianNs:0.00},{timing.MinNs:0.00}\n");
        }
        return text.ToString();
    }

    private static readonly string[] s_colours = ["#1f77b4", "#9ecae1", "#2ca02c", "#ff7f0e", "#8c564b", "#7f7f7f"];

    private static void Chart(string file, IReadOnlyList<(Kernel Kernel, IReadOnlyList<Timing> Timings)> rows, List<string> engines, string baseline)
    {
        // Interpreters are off the scale of native code: one logarithmic axis shows all.
        using var plot = new ScottPlot.Plot();
        // The baseline has no bar: it is the line at 1.
        var shown = engines.Where(engine => engine != baseline).ToList();
        var width = 0.84 / shown.Count;
        for (var e = 0; e < shown.Count; e++)
        {
            var bars = rows.Select((row, k) => new ScottPlot.Bar
            {
                Position = k + (e + 0.5) * width,
                Size = width,
                Value = Ratio(row.Timings, shown[e], baseline) is { } ratio ? Math.Log2(ratio) : 0,
                FillColor = ScottPlot.Color.FromHex(s_colours[e % s_colours.Length]),
                LineWidth = 0,
            }).ToList();
            plot.Add.Bars(bars).LegendText = shown[e];
        }
        plot.Add.HorizontalLine(0, 1, ScottPlot.Colors.Black);
        plot.Axes.Bottom.SetTicks([.. rows.Select((_, k) => k + 0.42)], [.. rows.Select(row => row.Kernel.Name)]);
        var ticks = Enumerable.Range(-5, 16).ToArray();
        plot.Axes.Left.SetTicks([.. ticks.Select(t => (double)t)], [.. ticks.Select(t => t >= 0 ? $"{1 << t}×" : $"1/{1 << -t}×")]);
        plot.Title($"time per run relative to {baseline} (lower is better)");
        plot.ShowLegend(ScottPlot.Edge.Bottom);
        plot.SaveSvg(file, 1200, 560);
    }

    private static string Number(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);

    private static string Nanoseconds(double value) => value.ToString(value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
