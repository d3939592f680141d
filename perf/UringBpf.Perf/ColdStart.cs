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
        using var publish = Process.Start(new ProcessStartInfo("dotnet", ["publish", Project, "-c", "Release", "-v", "q", "-nologo", "-o", _folder, .. options]) { RedirectStandardOutput = true })!;
        var output = publish.StandardOutput.ReadToEnd();
        publish.WaitForExit();
        if (publish.ExitCode != 0) throw new InvalidOperationException(output);
    }

    /// <summary>The ways a host is published, each made when it is asked for.</summary>
    public static IEnumerable<(string Name, ColdStart Program)> Programs()
    {
        yield return ("nothing compiled ahead", new ColdStart("-p:PublishReadyToRun=false"));
        yield return ("ReadyToRun", new ColdStart("-r", "linux-x64"));
        yield return ("ReadyToRun, self-contained", new ColdStart("-r", "linux-x64", "--self-contained", "-p:PublishReadyToRunComposite=true"));
    }

    /// <summary>Microseconds from the object's bytes on disk to the end of the first run; the process's own start is not in them.</summary>
    public (double Median, double Minimum) Measure(string objectFile, CompilationMode mode, int times)
    {
        var results = new List<double>();
        for (var i = 0; i < times; i++)
        {
            using var process = Process.Start(new ProcessStartInfo(Path.Combine(_folder, "UringBpf.Cold"), [objectFile, mode.ToString()]) { RedirectStandardOutput = true })!;
            var line = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0) throw new InvalidOperationException($"{Project} on {objectFile} ended with {process.ExitCode}.");
            results.Add(double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^1], CultureInfo.InvariantCulture));
        }
        results.Sort();
        return (results[results.Count / 2], results[0]);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
