using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Perfolizer.Horology;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Perf;

/// <summary>The JIT against both interpreters, in BenchmarkDotNet's own table: every kernel, nanoseconds and bytes allocated per run.</summary>
[MemoryDiagnoser]
public class EngineBenchmarks
{
    private BpfProgram _jit = null!;
    private BpfProgram _interpreter = null!;
    private CheckedInterpreter _checked = null!;

    /// <summary>The kernels by name.</summary>
    public static IEnumerable<string> Names => UringBpf.Perf.Kernel.All.Select(kernel => kernel.Name);

    /// <summary>The kernel to run.</summary>
    [ParamsSource(nameof(Names))]
    public string Kernel { get; set; } = "";

    /// <summary>Loads, verifies and compiles the kernel for each engine.</summary>
    [GlobalSetup]
    public void Setup()
    {
        var kernel = UringBpf.Perf.Kernel.All.Single(candidate => candidate.Name == Kernel);
        var (verified, jitMaps) = kernel.Load();
        _jit = ProgramCompiler.Compile(verified, jitMaps);
        var (sameVerified, interpreterMaps) = kernel.Load();
        _interpreter = InterpretedProgram.Create(sameVerified, interpreterMaps);
        _checked = new CheckedInterpreter(sameVerified.Spec, interpreterMaps);
    }

    /// <summary>Compiled.</summary>
    [Benchmark(Baseline = true)]
    public ulong Jit() => _jit.Run([]);

    /// <summary>Interpreted.</summary>
    [Benchmark]
    public ulong Interpreter() => _interpreter.Run([]);

    /// <summary>Interpreted with every access checked.</summary>
    [Benchmark]
    public ulong CheckedInterpreter() => _checked.Run([]).Result;

    /// <summary>Frees all.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _jit.Dispose();
        _interpreter.Dispose();
        _checked.Dispose();
        _jit.Maps.Dispose();
        _interpreter.Maps.Dispose();
    }

    /// <summary>`benchmarks`: runs them all and keeps the table and a chart.</summary>
    public static int Run(string folder, bool quick)
    {
        var job = Job.Default.WithLaunchCount(1).WithWarmupCount(quick ? 1 : 3).WithIterationCount(quick ? 2 : 6)
            .WithIterationTime(TimeInterval.FromMilliseconds(quick ? 20 : 60)).WithMinIterationCount(1);
        var artifacts = Directory.CreateTempSubdirectory("uringbpf-benchmarks").FullName;
        var config = ManualConfig.CreateEmpty().AddJob(job).AddColumnProvider(DefaultColumnProviders.Instance).AddExporter(MarkdownExporter.GitHub)
            .AddLogger(ConsoleLogger.Default).WithArtifactsPath(artifacts).WithSummaryStyle(SummaryStyle.Default.WithRatioStyle(RatioStyle.Value)).WithOptions(ConfigOptions.JoinSummary);
        var summary = BenchmarkRunner.Run<EngineBenchmarks>(config);
        if (summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success)) return 1;
        Directory.CreateDirectory(folder);
        var table = File.ReadAllLines(Directory.GetFiles(artifacts, "*-report-github.md", SearchOption.AllDirectories).Single());
        // Which machine it was is the reader's business; its name is not.
        File.WriteAllLines(Path.Combine(folder, "benchmarkdotnet.md"), [
            "# JIT and interpreters, measured by BenchmarkDotNet", "",
            "`dotnet run -c Release --project perf/UringBpf.Perf -- benchmarks`. A run enters the program as a host does, with `Run`.", "",
            .. table]);
        Chart(Path.Combine(folder, "benchmarkdotnet.svg"), summary);
        Directory.Delete(artifacts, recursive: true);
        Console.WriteLine($"wrote {Path.Combine(folder, "benchmarkdotnet.md")}, .svg");
        return 0;
    }

    private static void Chart(string file, Summary summary)
    {
        using var plot = new ScottPlot.Plot();
        var engines = new[] { nameof(Jit), nameof(Interpreter), nameof(CheckedInterpreter) };
        var colours = new[] { "#1f77b4", "#ff7f0e", "#8c564b" };
        var kernels = UringBpf.Perf.Kernel.All;
        for (var e = 0; e < engines.Length; e++)
        {
            var bars = kernels.Select((kernel, k) => new ScottPlot.Bar
            {
                Position = k + e * 0.27,
                Size = 0.25,
                Value = Math.Log10(Median(engines[e], kernel.Name)),
                FillColor = ScottPlot.Color.FromHex(colours[e]),
                LineWidth = 0,
            }).ToList();
            plot.Add.Bars(bars).LegendText = engines[e];
        }
        plot.Axes.Bottom.SetTicks([.. kernels.Select((_, k) => k + 0.27)], [.. kernels.Select(kernel => kernel.Name)]);
        plot.Axes.Left.SetTicks([0, 1, 2, 3, 4, 5, 6], ["1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]);
        plot.Axes.SetLimitsY(0, 6);
        plot.Title("time per run (logarithmic; lower is better)");
        plot.ShowLegend(ScottPlot.Edge.Bottom);
        plot.SaveSvg(file, 1000, 500);

        double Median(string engine, string kernel) => summary.Reports.Single(report =>
            report.BenchmarkCase.Descriptor.WorkloadMethod.Name == engine && (string)report.BenchmarkCase.Parameters[nameof(Kernel)] == kernel).ResultStatistics!.Median;
    }
}
