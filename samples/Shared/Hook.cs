using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Samples;

/// <summary>The sample's own hook: loaded, verified, compiled.</summary>
internal static class Hook
{
    /// <summary>The object embedded in the sample, as clang wrote it.</summary>
    public static ObjectSpec Load()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("hook.bpf.o")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ObjectSpec.Load(bytes, "hook.bpf.o");
    }

    /// <summary>Proves the first program safe, creates its maps and compiles it.</summary>
    /// <exception cref="BpfException">The verifier rejected it.</exception>
    public static BpfProgram Compile(ObjectSpec spec) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Create(spec.Maps));
}
