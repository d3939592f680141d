using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A verified program on the fast interpreter: decoded once into native memory, no checks, no allocation per run. For hosts
/// without dynamic code, and for programs that run too seldom to be compiled.
/// </summary>
public sealed unsafe class InterpretedProgram : BpfProgram
{
    private readonly DecodedInstruction* _code;
    private readonly DecodedCallback* _callbacks;
    private readonly GCHandle _functions;

    private InterpretedProgram(VerifiedProgram verified, MapSet maps, DecodedInstruction* code, DecodedCallback* callbacks, GCHandle functions)
        : base(verified, maps)
    {
        _code = code;
        _callbacks = callbacks;
        _functions = functions;
        EntryPoint = verified.Termination == Termination.Metered ? &EnterMetered : &EnterProved;
    }

    /// <summary>Decodes a program for one set of maps.</summary>
    /// <param name="verified">What the verifier accepted.</param>
    /// <param name="maps">The maps its instructions name.</param>
    /// <param name="functions">The code of helpers and kfuncs; null for <see cref="FunctionRegistry.BuiltIn"/>.</param>
    /// <exception cref="BpfException">UB4005 when a function the program calls has no code in the registry.</exception>
    /// <exception cref="KeyNotFoundException"><paramref name="maps"/> lacks one of the program's maps.</exception>
    /// <exception cref="ObjectDisposedException"><paramref name="maps"/> was disposed.</exception>
    public static InterpretedProgram Create(VerifiedProgram verified, MapSet maps, FunctionRegistry? functions = null)
    {
        functions ??= FunctionRegistry.BuiltIn;
        // Decoding reads where the maps are.
        maps.Retain();
        var slots = verified.Spec.Instructions.Length;
        var code = (DecodedInstruction*)NativeMemory.AllocZeroed((nuint)(slots + 1), (nuint)sizeof(DecodedInstruction));
        var callbacks = (DecodedCallback*)NativeMemory.AllocZeroed((nuint)Math.Max(1, verified.Subprograms.Length), (nuint)sizeof(DecodedCallback));
        // callx finds its function by number when it runs.
        var registry = GCHandle.Alloc(functions);
        try
        {
            new Decoder(verified, maps, functions, registry, code, callbacks).Decode();
            return new InterpretedProgram(verified, maps, code, callbacks, registry);
        }
        catch
        {
            registry.Free();
            NativeMemory.Free(code);
            NativeMemory.Free(callbacks);
            throw;
        }
        finally
        {
            maps.Release();
        }
    }

    /// <inheritdoc />
    public override string Engine => "interpreter";

    /// <inheritdoc />
    public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint { get; }

    /// <inheritdoc />
    public override nint Self => (nint)_code;

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        NativeMemory.Free(_code);
        NativeMemory.Free(_callbacks);
        _functions.Free();
    }

    internal static ulong InvokeProved(nint self, ulong r1, ulong r2, ulong r3, ulong r4, byte* callerFrame, ExecutionState* state) =>
        InterpreterLoop<Proved>.Run(((DecodedCallback*)self)->Start, r1, r2, r3, r4, callerFrame - Limits.StackBytesPerFrame, state);

    internal static ulong InvokeMetered(nint self, ulong r1, ulong r2, ulong r3, ulong r4, byte* callerFrame, ExecutionState* state) =>
        InterpreterLoop<Metered>.Expired(state, ((DecodedCallback*)self)->Cost) ? 0
            : InterpreterLoop<Metered>.Run(((DecodedCallback*)self)->Start, r1, r2, r3, r4, callerFrame - Limits.StackBytesPerFrame, state);

    /// <summary>callx: the helper whose number is in a register. The verifier lets through numbers it knows.</summary>
    internal static ulong CallByNumber(DecodedInstruction* instruction, ulong* r, ExecutionState* state)
    {
        var registry = (FunctionRegistry)GCHandle.FromIntPtr((nint)instruction->Immediate).Target!;
        if (registry.Prototypes.Helper((int)r[instruction->Dst]) is not { } prototype || registry.Find(prototype) is not { } function) return 0;
        return Call(function.Pointer, function.Arity, function.TakesState, r, state);
    }

    /// <summary>What a call of a function that acquires or releases does to <see cref="ExecutionState.Held"/>.</summary>
    [Flags]
    internal enum Holding
    {
        TakesState = 1,
        Acquires = 2,
        OnlyUnlessNull = 4,
        Releases = 8,
    }

    internal static ulong CallHolding(DecodedInstruction* instruction, ulong* r, ExecutionState* state)
    {
        var holding = (Holding)instruction->Charge;
        var result = Call((nint)instruction->Immediate, instruction->Target, (holding & Holding.TakesState) != 0, r, state);
        if ((holding & Holding.Releases) != 0) state->Held--;
        if ((holding & Holding.Acquires) != 0 && ((holding & Holding.OnlyUnlessNull) == 0 || result != 0)) state->Held++;
        return result;
    }

    private static ulong Call(nint pointer, int arity, bool takesState, ulong* r, ExecutionState* state) =>
        (arity, takesState) switch
        {
            (0, false) => ((delegate*<ulong>)pointer)(),
            (1, false) => ((delegate*<ulong, ulong>)pointer)(r[1]),
            (2, false) => ((delegate*<ulong, ulong, ulong>)pointer)(r[1], r[2]),
            (3, false) => ((delegate*<ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3]),
            (4, false) => ((delegate*<ulong, ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3], r[4]),
            (5, false) => ((delegate*<ulong, ulong, ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3], r[4], r[5]),
            (0, true) => ((delegate*<ExecutionState*, ulong>)pointer)(state),
            (1, true) => ((delegate*<ulong, ExecutionState*, ulong>)pointer)(r[1], state),
            (2, true) => ((delegate*<ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], state),
            (3, true) => ((delegate*<ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], state),
            (4, true) => ((delegate*<ulong, ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], r[4], state),
            _ => ((delegate*<ulong, ulong, ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], r[4], r[5], state),
        };

    private static ulong EnterProved(nint self, byte* context, ulong length, ExecutionState* state) =>
        InterpreterLoop<Proved>.Run((DecodedInstruction*)self, (ulong)context, length, 0, 0, state->StackTop, state);

    private static ulong EnterMetered(nint self, byte* context, ulong length, ExecutionState* state) =>
        InterpreterLoop<Metered>.Run((DecodedInstruction*)self, (ulong)context, length, 0, 0, state->StackTop, state);
}
