using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf;

/// <summary>How an engine treats the objects it is given. Immutable.</summary>
public sealed record BpfEngineOptions
{
    /// <summary>The defaults: built-in functions and program types, machine code before <c>Load</c> returns.</summary>
    public static BpfEngineOptions Default { get; } = new();

    /// <summary>What objects are loaded against: functions, program types, the kernel configuration they ask for.</summary>
    public LoadOptions Loading { get; init; } = LoadOptions.Default;

    /// <summary>Limits of the verifier, and the context size of programs with a flat context.</summary>
    public VerifierOptions Verifier { get; init; } = VerifierOptions.Default;

    /// <summary>When and how programs are compiled. Without dynamic code (NativeAOT) they run on the interpreter.</summary>
    public CompilerOptions Compiler { get; init; } = CompilerOptions.Default;

    /// <summary>These options with functions of the host's own, for the loader and the engines alike.</summary>
    /// <param name="functions">The built-in functions and the host's: <c>FunctionRegistry.BuiltIn.With(typeof(MyFunctions))</c>.</param>
    public BpfEngineOptions WithFunctions(FunctionRegistry functions) => this with
    {
        Loading = Loading with { Functions = functions.Prototypes },
        Compiler = Compiler with { Functions = functions },
    };
}
