using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Turns verified programs into machine code: BPF → IL → RyuJIT.</summary>
public static class ProgramCompiler
{
    /// <summary>Compiles a program for one set of maps.</summary>
    /// <param name="verified">What the verifier accepted.</param>
    /// <param name="maps">The maps its instructions name; they must outlive the program's last run, which the program sees to.</param>
    /// <param name="options">null for <see cref="CompilerOptions.Default"/>.</param>
    /// <returns>A <see cref="CompiledProgram"/>, or what <see cref="CompilerOptions.Mode"/> asks for.</returns>
    /// <exception cref="BpfException">UB3001 on a bug of this compiler; UB3002 when a function the program calls has no code in the registry.</exception>
    /// <exception cref="KeyNotFoundException"><paramref name="maps"/> lacks one of the program's maps.</exception>
    [RequiresDynamicCode("Compiles at run time.")]
    public static BpfProgram Compile(VerifiedProgram verified, MapSet maps, CompilerOptions? options = null)
    {
        options ??= CompilerOptions.Default;
        var registry = options.Functions ?? FunctionRegistry.BuiltIn;
        var program = new ProgramGraph(verified, registry, options);
        return new CompiledProgram(verified, maps, DynamicCode.Create(program, maps, options));
    }
}
