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

    internal CompiledProgram(VerifiedProgram verified, MapSet maps, DynamicCode code)
        : base(verified, maps)
    {
        _code = code;
        EntryPoint = (delegate*<nint, byte*, ulong, ExecutionState*, ulong>)code.EntryPoint;
    }

    /// <inheritdoc />
    public override string Engine => "jit";

    /// <inheritdoc />
    public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint { get; }

    /// <inheritdoc />
    public override nint Self => 0;

    internal DynamicCode Code => _code;
}
