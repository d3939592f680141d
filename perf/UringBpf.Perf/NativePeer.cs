using System.Diagnostics;
using System.Runtime.InteropServices;

namespace UringBpf.Perf;

/// <summary>A kernel compiled by clang at run time from the same C source and called through a function pointer.</summary>
internal sealed unsafe class NativePeer : IDisposable
{
    private readonly nint _library;

    private NativePeer(nint library, string name, byte[] input)
    {
        _library = library;
        Function = (delegate* unmanaged[SuppressGCTransition]<byte*, ulong>)NativeLibrary.GetExport(library, name);
        if (NativeLibrary.TryGetExport(library, "input", out var address)) input.CopyTo(new Span<byte>((void*)address, input.Length));
    }

    /// <summary>The kernel. No transition: the call costs what a C caller pays.</summary>
    public delegate* unmanaged[SuppressGCTransition]<byte*, ulong> Function { get; }

    /// <summary>Its bytes of machine code, where the source says with a function of this name and "_end" where it ends; else 0.</summary>
    public long CodeBytes { get; private init; }

    /// <summary>The flags beside -O2.</summary>
    public static string[] Flags(bool vectorize) => vectorize ? [] : ["-fno-vectorize", "-fno-slp-vectorize"];

    /// <summary>Compiles and loads, or null when there is no clang.</summary>
    public static NativePeer? TryCreate(Kernel kernel, bool vectorize)
    {
        var output = Path.Combine(Path.GetTempPath(), $"uringbpf-{Environment.ProcessId}-{kernel.Name}-{(vectorize ? "vec" : "novec")}.so");
        if (!Compile(kernel.Source, Flags(vectorize), output)) return null;
        var library = NativeLibrary.Load(output);
        File.Delete(output);
        return new NativePeer(library, kernel.Name, kernel.Input());
    }

    /// <summary>Compiles C without vectorising and loads one of its functions, or null when there is no clang.</summary>
    public static NativePeer? TryCreate(string text, string name)
    {
        var file = Path.Combine(Path.GetTempPath(), $"uringbpf-{Environment.ProcessId}-{name}-{text.Length}");
        File.WriteAllText(file + ".c", text);
        try
        {
            if (!Compile(file + ".c", Flags(vectorize: false), file + ".so")) return null;
            var library = NativeLibrary.Load(file + ".so");
            return new NativePeer(library, name, []) { CodeBytes = NativeLibrary.GetExport(library, name + "_end") - NativeLibrary.GetExport(library, name) };
        }
        finally
        {
            File.Delete(file + ".c");
            File.Delete(file + ".so");
        }
    }

    public void Dispose() => NativeLibrary.Free(_library);

    private static bool Compile(string source, string[] flags, string output)
    {
        foreach (var compiler in new[] { "clang-19", "clang" })
        {
            var start = new ProcessStartInfo(compiler) { RedirectStandardError = true };
            foreach (var argument in (string[])["-O2", .. flags, "-shared", "-fPIC", "-Wl,-Bsymbolic", "-o", output, source]) start.ArgumentList.Add(argument);
            try
            {
                using var process = Process.Start(start)!;
                var errors = process.StandardError.ReadToEnd();
                process.WaitForExit();
                if (process.ExitCode == 0) return true;
                throw new InvalidOperationException($"{compiler} failed on {source}: {errors}");
            }
            catch (System.ComponentModel.Win32Exception)
            {
                // Not installed: try the next.
            }
        }
        return false;
    }
}
