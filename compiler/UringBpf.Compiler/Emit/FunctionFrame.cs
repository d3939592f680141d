using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>
/// How a function is entered and left, and where it finds its stack and its state: as the program's entry, as a
/// subprogram with a method of its own, in place of a call, or as a region of a long function.
/// </summary>
internal abstract class FunctionFrame
{
    /// <summary>Writes what comes before the first instruction: moves arguments to registers.</summary>
    public abstract void EmitEntry(FunctionEmitter emitter);

    /// <summary>Leaves the function with the int64 on the stack as r0.</summary>
    public abstract void EmitReturn(FunctionEmitter emitter);

    /// <summary>Leaves the function because the run has ended (<see cref="Runtime.ExecutionState.Fault"/> is set).</summary>
    public virtual void EmitUnwind(FunctionEmitter emitter)
    {
        emitter.IL.Emit(OpCodes.Ldc_I4_0);
        emitter.IL.Emit(OpCodes.Conv_I8);
        EmitReturn(emitter);
    }

    /// <summary>Writes what comes after the last instruction.</summary>
    public virtual void EmitEnd(FunctionEmitter emitter)
    {
    }

    /// <summary>The label of code that leaves a region for a block outside it.</summary>
    public virtual Label ExitTo(FunctionEmitter emitter, BasicBlock from, BasicBlock to) =>
        throw new Bytecode.BpfException("UB3001", $"a jump from slot {from.Last} to slot {to.Start} leaves its function.", from.Last);

    /// <summary>Pushes the execution state pointer.</summary>
    public abstract void LoadState(FunctionEmitter emitter);

    /// <summary>Pushes r10 as int64.</summary>
    public abstract void LoadStackTop(FunctionEmitter emitter);

    /// <summary>True in the program's main function.</summary>
    public abstract bool IsMain { get; }
}

/// <summary>The program's entry: (nint self, byte* context, ulong length, ExecutionState* state) → ulong.</summary>
internal sealed class EntryFrame : FunctionFrame
{
    public const short ContextArgument = 1, LengthArgument = 2, StateArgument = 3;

    private LocalBuilder? _stackTop;

    public override bool IsMain => true;

    public override void EmitEntry(FunctionEmitter emitter)
    {
        var il = emitter.IL;
        il.Emit(OpCodes.Ldarg, ContextArgument);
        il.Emit(OpCodes.Conv_U8);
        emitter.StoreAtStart(emitter.Blocks[0], 1);
        il.Emit(OpCodes.Ldarg, LengthArgument);
        emitter.StoreAtStart(emitter.Blocks[0], 2);
        if (!emitter.UsesStack) return;
        _stackTop = il.DeclareLocal(typeof(ulong));
        LoadState(emitter);
        il.Emit(OpCodes.Ldfld, typeof(Runtime.ExecutionState).GetField(nameof(Runtime.ExecutionState.StackTop))!);
        il.Emit(OpCodes.Conv_U8);
        il.Emit(OpCodes.Stloc, _stackTop);
    }

    public override void EmitReturn(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ret);

    public override void LoadState(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, StateArgument);

    public override void LoadStackTop(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldloc, _stackTop!);
}

/// <summary>
/// A subprogram's own method: (live registers of r1..r9 as ulong…, ulong stackTop, ExecutionState* state) → ulong.
/// </summary>
internal sealed class SubprogramFrame(IReadOnlyList<int> arguments) : FunctionFrame
{
    public override bool IsMain => false;

    public override void EmitEntry(FunctionEmitter emitter)
    {
        for (var i = 0; i < arguments.Count; i++)
        {
            emitter.IL.Emit(OpCodes.Ldarg, (short)i);
            emitter.StoreAtStart(emitter.Blocks[0], arguments[i]);
        }
    }

    public override void EmitReturn(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ret);

    public override void LoadState(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, (short)(arguments.Count + 1));

    public override void LoadStackTop(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, (short)arguments.Count);
}

/// <summary>A subprogram written in place of its call: its arguments are on the stack, its result goes to a local.</summary>
internal sealed class InlineFrame(FunctionEmitter caller, FunctionFrame outer, IReadOnlyList<int> arguments, LocalBuilder result) : FunctionFrame
{
    private readonly Label _end = caller.IL.DefineLabel();
    private LocalBuilder? _stackTop;

    public override bool IsMain => false;

    public override void EmitEntry(FunctionEmitter emitter)
    {
        for (var i = arguments.Count - 1; i >= 0; i--) emitter.StoreAtStart(emitter.Blocks[0], arguments[i]);
        if (!emitter.UsesStack) return;
        _stackTop = emitter.IL.DeclareLocal(typeof(ulong));
        outer.LoadStackTop(caller);
        emitter.IL.Emit(OpCodes.Ldc_I4, Bytecode.Limits.StackBytesPerFrame);
        emitter.IL.Emit(OpCodes.Conv_I8);
        emitter.IL.Emit(OpCodes.Sub);
        emitter.IL.Emit(OpCodes.Stloc, _stackTop);
    }

    public override void EmitReturn(FunctionEmitter emitter)
    {
        emitter.IL.Emit(OpCodes.Stloc, result);
        emitter.IL.Emit(OpCodes.Br, _end);
    }

    // The run has ended: straight out of the outermost frame.
    public override void EmitUnwind(FunctionEmitter emitter) => outer.EmitUnwind(caller);

    public override void EmitEnd(FunctionEmitter emitter) => emitter.IL.MarkLabel(_end);

    public override void LoadState(FunctionEmitter emitter) => outer.LoadState(caller);

    public override void LoadStackTop(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldloc, _stackTop!);
}

/// <summary>
/// A subprogram as helpers call it back: (nint self, ulong r1, ulong r2, ulong r3, ulong r4, byte* caller's r10,
/// ExecutionState* state) → ulong. See <see cref="Runtime.CallbackTarget"/>.
/// </summary>
internal sealed unsafe class CallbackFrame : FunctionFrame
{
    private const short CallerFrameArgument = 5, StateArgument = 6;

    private LocalBuilder? _stackTop;

    public static readonly Type[] ParameterTypes =
        [typeof(nint), typeof(ulong), typeof(ulong), typeof(ulong), typeof(ulong), typeof(byte*), typeof(Runtime.ExecutionState*)];

    public override bool IsMain => false;

    public override void EmitEntry(FunctionEmitter emitter)
    {
        for (short register = 1; register <= 4; register++)
        {
            emitter.IL.Emit(OpCodes.Ldarg, register);
            emitter.StoreAtStart(emitter.Blocks[0], register);
        }
        if (emitter.UsesStack)
        {
            _stackTop = emitter.IL.DeclareLocal(typeof(ulong));
            LoadCalleeFrame(emitter.IL);
            emitter.IL.Emit(OpCodes.Stloc, _stackTop);
        }
        emitter.ChargeEntry();
    }

    /// <summary>Writes a method that passes its arguments on to the subprogram's own: for subprograms made of regions.</summary>
    public static void EmitForward(FunctionGraph function, CodeTarget target, int cost)
    {
        if (cost > 0)
        {
            var goesOn = target.Generator.DefineLabel();
            target.Generator.Emit(OpCodes.Ldarg, StateArgument);
            target.Generator.Emit(OpCodes.Ldc_I4, cost);
            target.Generator.EmitCall(OpCodes.Call, typeof(CompiledCode).GetMethod(nameof(CompiledCode.HasExpired))!, null);
            target.Generator.Emit(OpCodes.Brfalse, goesOn);
            target.Generator.Emit(OpCodes.Ldc_I8, 0L);
            target.Generator.Emit(OpCodes.Ret);
            target.Generator.MarkLabel(goesOn);
        }
        foreach (var register in function.ArgumentRegisters)
        {
            if (register is >= 1 and <= 4) target.Generator.Emit(OpCodes.Ldarg, (short)register);
            // Nothing is passed in it: only code that is never reached reads it.
            else target.Generator.Emit(OpCodes.Ldc_I8, 0L);
        }
        LoadCalleeFrame(target.Generator);
        target.Generator.Emit(OpCodes.Ldarg, StateArgument);
        target.CallFunction(function.Index);
        target.Generator.Emit(OpCodes.Ret);
    }

    public override void EmitReturn(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ret);

    public override void LoadState(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, StateArgument);

    public override void LoadStackTop(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldloc, _stackTop!);

    private static void LoadCalleeFrame(ILGenerator il)
    {
        il.Emit(OpCodes.Ldarg, CallerFrameArgument);
        il.Emit(OpCodes.Conv_U8);
        il.Emit(OpCodes.Ldc_I4, Bytecode.Limits.StackBytesPerFrame);
        il.Emit(OpCodes.Conv_I8);
        il.Emit(OpCodes.Sub);
    }
}
