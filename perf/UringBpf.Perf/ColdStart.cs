using System.Diagnostics;
using System.Globalization;
using UringBpf.Compiler;

namespace UringBpf.Perf;

/// <summary>perf/UringBpf.Cold, published to a folder of its own: a host whose process is new each time.</summary>
internal sealed class ColdStart : IDisposable
{
    private const string Project = "perf/UringBpf.Cold";

    private readonly string _folder = Directory.CreateTempSubdirectory("uringbpf-cold").FullName;

    private ColdStart(params string[] options)
    {
        // What an earlier publish compiled ahead is taken again, and parts of a composite image by themselves end the process.
        var compiled = Path.Combine(Project, "obj", "Release", "net10.0", "linux-x64", "R2R");
        if (Directory.Exists(compiled)) Directory.Delete(compiled, recursive: true);
        using var publish = Process.Start(new ProcessStartInfo("dotnet", ["publish", Project, "-c", "Release", "-v", "q", "-nologo", "-o", _folder, .. options]) { RedirectStandardOutput = true })!;
        var output = publish.StandardOutput.ReadToEnd();
        publish.WaitForExit();
        if (publish.ExitCode != 0) throw new InvalidOperationException(output);
    }

    /// <summary>The ways a host is published, each made when it is asked for.</summary>
    /// <param name="all">False for the one of the packages as they are: publishing takes longer than measuring.</param>
    public static IEnumerable<(string Name, ColdStart Program)> Programs(bool all)
    {
        if (all) yield return ("nothing compiled ahead", new ColdStart("-p:PublishReadyToRun=false"));
        yield return ("ReadyToRun", new ColdStart("-r", "linux-x64"));
        if (all) yield return ("ReadyToRun, self-contained", new ColdStart("-r", "linux-x64", "--self-contained", "-p:PublishReadyToRunComposite=true"));
    }

    /// <summary>Microseconds from the object's bytes on disk to the end of the first run; the process's own start is not in them.</summary>
    public (double Median, double Minimum) Measure(string objectFile, CompilationMode mode, int times)
    {
        var results = new List<double>();
        var silent = 0;
        while (results.Count < times)
        {
            using var process = Process.Start(new ProcessStartInfo(Path.Combine(_folder, "UringBpf.Cold"), [objectFile, mode.ToString()]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = process.StandardError.ReadToEndAsync();
            var line = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0) throw new InvalidOperationException($"{Project} on {objectFile} ended with {process.ExitCode}: {errors.Result}");
            var figures = line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (figures.Length > 0 && double.TryParse(figures[^1], CultureInfo.InvariantCulture, out var microseconds)) results.Add(microseconds);
            // Seen once in thousands, on a machine that was stopped and continued: one start less is no reason to lose the rest.
            else if (++silent > 3) throw new InvalidOperationException($"{Project} on {objectFile} ended well {silent} times and printed '{line}'. {errors.Result}");
        }
        results.Sort();
        return (results[results.Count / 2], results[0]);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
