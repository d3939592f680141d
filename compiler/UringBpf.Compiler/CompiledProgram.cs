using System.Diagnostics.CodeAnalysis;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// A program compiled to machine code. Its code is collected when neither this object nor a running call needs it.
/// </summary>
[RequiresDynamicCode("Compiles at run time; hosts without dynamic code get an interpreter from ProgramCompiler.Compile.")]
public sealed unsafe class CompiledProgram : BpfProgram
{
    private readonly DynamicCode _code;

    // The base holds the maps before the compiler reads where they are.
    internal CompiledProgram(VerifiedProgram verified, MapSet maps, CompilerOptions options, string tag = "")
        : base(verified, maps)
    {
        try
        {
            _code = DynamicCode.Create(new ProgramGraph(verified, options.Functions ?? FunctionRegistry.BuiltIn, options), maps, options, tag);
        }
        catch
        {
            Dispose();
            throw;
        }
        EntryPoint = (delegate*<nint, byte*, ulong, ExecutionState*, ulong>)_code.EntryPoint;
    }

    /// <inheritdoc />
    public override string Engine => "jit";

    /// <inheritdoc />
    public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint { get; }

    /// <inheritdoc />
    public override nint Self => 0;

    internal DynamicCode Code => _code;
}
