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
    /// <param name="maps">The maps its instructions name; the program keeps them alive.</param>
    /// <param name="options">null for <see cref="CompilerOptions.Default"/>.</param>
    /// <returns>A <see cref="CompiledProgram"/>; by <see cref="CompilerOptions.Mode"/> a <see cref="TieredProgram"/> or an
    /// <see cref="InterpretedProgram"/>, which is also what hosts without dynamic code get.</returns>
    /// <exception cref="BpfException">UB3001 on a bug of this compiler; UB3002 when a function the program calls has no code in the registry.</exception>
    /// <exception cref="KeyNotFoundException"><paramref name="maps"/> lacks one of the program's maps.</exception>
    /// <exception cref="ObjectDisposedException"><paramref name="maps"/> was disposed.</exception>
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Without dynamic code the interpreter runs the program.")]
    public static BpfProgram Compile(VerifiedProgram verified, MapSet maps, CompilerOptions? options = null)
    {
        options ??= CompilerOptions.Default;
        if (!RuntimeFeature.IsDynamicCodeSupported || options.Mode == CompilationMode.InterpreterOnly)
            return InterpretedProgram.Create(verified, maps, options.Functions);
        return options.Mode == CompilationMode.Tiered
            ? new TieredProgram(InterpretedProgram.Create(verified, maps, options.Functions), () => new CompiledProgram(verified, maps, options))
            : new CompiledProgram(verified, maps, options);
    }
}
