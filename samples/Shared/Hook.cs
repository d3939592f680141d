using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Samples;

/// <summary>The sample's own hook: loaded, verified, compiled.</summary>
internal static class Hook
{
    /// <summary>An object embedded in the sample, as clang wrote it.</summary>
    public static ObjectSpec Load(string name = "hook.bpf.o")
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ObjectSpec.Load(bytes, name);
    }

    /// <summary>An errno in words.</summary>
    public static string Describe(int errno) => $"{System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";

    /// <summary>Proves the first program safe, creates its maps and compiles it.</summary>
    /// <exception cref="BpfException">The verifier rejected it.</exception>
    /// <param name="spec">The object, with its settings.</param>
    /// <param name="traced">True when a flight recorder should tell source lines.</param>
    public static BpfProgram Compile(ObjectSpec spec, bool traced = false) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Create(spec.Maps), CompilerOptions.Default with { RecordSites = traced });
}
