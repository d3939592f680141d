using System.Diagnostics;

namespace UringBpf.Perf;

/// <summary>Builds the C peers of perf/c at run time.</summary>
internal static class CCompiler
{
    /// <summary>Compiles a source of perf/c with cc -O2.</summary>
    /// <param name="source">File name in perf/c.</param>
    /// <param name="flags">Further arguments, libraries last.</param>
    /// <returns>The path of a temporary file, which the caller deletes, or null where there is no compiler or library.</returns>
    public static string? TryCompile(string source, params string[] flags)
    {
        var output = Path.Combine(Path.GetTempPath(), $"uringbpf-{Path.GetFileNameWithoutExtension(source)}-{Environment.ProcessId}");
        var start = new ProcessStartInfo("cc", ["-O2", "-o", output, Path.Combine(AppContext.BaseDirectory, "c", source), .. flags]) { RedirectStandardError = true };
        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0) return output;
            Console.Error.WriteLine(errors);
            return null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
