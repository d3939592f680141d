using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Calls of helpers, kfuncs and subprograms, and tail calls (RFC 9669 section 4.3.1).</summary>
internal sealed unsafe partial class FunctionEmitter
{
    private void EmitCall(OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.CallSubprogram: EmitSubprogramCall(); break;
            case Operation.CallRegister: EmitRegisterCall(instruction); break;
            default:
                if (_program.IsTailCall(_slot)) EmitTailCall();
                else EmitFunctionCall(_program.Implementation(_slot));
                break;
        }
    }

    private void EmitFunctionCall(FunctionImplementation function)
    {
        if (_program.InlinedArray(_slot) is >= 0 and var map)
        {
            EmitArrayLookup(map);
            return;
        }
        if ((function.Prototype.Traits & FunctionTraits.CallsBack) != 0)
        {
            _frame.LoadState(this);
            _frame.LoadStackTop(this);
            _il.Emit(OpCodes.Conv_U);
            _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.CallerFrame)));
        }
        Call(function);
        if (_metered) EmitHolding(function.Prototype);
        Store64(0);
        // A callback may have used up the budget.
        if ((function.Prototype.Traits & FunctionTraits.CallsBack) != 0) UnwindOnFault();
    }

    // Counts what the run holds: while it holds something it does not expire. The result, on the stack, stays there.
    private void EmitHolding(FunctionPrototype function)
    {
        if (!function.Acquires && !function.Releases) return;
        var result = _il.DeclareLocal(typeof(ulong));
        _il.Emit(OpCodes.Stloc, result);
        _frame.LoadState(this);
        LoadState(nameof(ExecutionState.Held));
        if (function.Returns == ReturnKind.RecordOrNull)
        {
            _il.Emit(OpCodes.Ldloc, result);
            LoadConstant(0, 64);
            _il.Emit(OpCodes.Cgt_Un);
        }
        else
        {
            LoadConstant(function.Acquires ? 1 : -1, 32);
        }
        _il.Emit(OpCodes.Add);
        _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.Held)));
        _il.Emit(OpCodes.Ldloc, result);
    }

    // Calls a helper or kfunc with the argument registers; leaves r0 as int64 on the stack.
    private void Call(FunctionImplementation function)
    {
        var parameters = function.Method.GetParameters();
        for (var register = 1; register <= function.Arity; register++)
        {
            Load64(register);
            if (parameters[register - 1].ParameterType.IsPointer) _il.Emit(OpCodes.Conv_U);
        }
        if (function.TakesState) _frame.LoadState(this);
        _target.CallHost(function.Method);
        if (function.Method.ReturnType.IsPointer) _il.Emit(OpCodes.Conv_U8);
    }

    // r0 = index < max_entries ? first + index * stride : 0, with everything but the index constant.
    private void EmitArrayLookup(int map)
    {
        var spec = _program.Verified.Spec.Maps[map];
        var stride = (spec.ValueSize + 7) & ~7;
        var constant = _program.Facts(_slot).ConstantKey;
        if (constant >= 0 && constant < spec.MaxEntries)
        {
            _target.LoadMapValue(map, constant * stride);
            Store64(0);
            return;
        }

        var index = _il.DeclareLocal(typeof(uint));
        var result = _il.DeclareLocal(typeof(ulong));
        var outside = _il.DefineLabel();
        if (StackLocal(4, 2, 0) is { } key)
        {
            _il.Emit(OpCodes.Ldloc, key);
        }
        else
        {
            Load64(2);
            _il.Emit(OpCodes.Conv_U);
            _il.Emit(OpCodes.Ldind_U4);
        }
        _il.Emit(OpCodes.Stloc, index);
        LoadConstant(0, 64);
        _il.Emit(OpCodes.Stloc, result);
        _il.Emit(OpCodes.Ldloc, index);
        LoadConstant(spec.MaxEntries, 32);
        _il.Emit(OpCodes.Bge_Un, outside);
        _target.LoadMapValue(map, 0);
        _il.Emit(OpCodes.Ldloc, index);
        _il.Emit(OpCodes.Conv_U8);
        LoadConstant(stride, 64);
        _il.Emit(OpCodes.Mul);
        _il.Emit(OpCodes.Add);
        _il.Emit(OpCodes.Stloc, result);
        _il.MarkLabel(outside);
        _il.Emit(OpCodes.Ldloc, result);
        Store64(0);
    }

    private void EmitSubprogramCall()
    {
        var callee = _program.Functions[_program.Callee(_slot)];
        if (_metered) Charge(_program.Verified.CallCosts[callee.Index]);
        foreach (var register in callee.ArgumentRegisters) Load64(register);
        if (_program.Inlines(_function.Index, callee.Index))
        {
            var result = _il.DeclareLocal(typeof(ulong));
            var frame = new InlineFrame(this, _frame, callee.ArgumentRegisters, result);
            new FunctionEmitter(_program, callee, _target, _options, frame).Emit();
            _target.BeginInstruction(_slot);
            _il.Emit(OpCodes.Ldloc, result);
            Store64(0);
            return;
        }
        _frame.LoadStackTop(this);
        LoadConstant(Limits.StackBytesPerFrame, 64);
        _il.Emit(OpCodes.Sub);
        _frame.LoadState(this);
        _target.CallFunction(callee.Index);
        Store64(0);
        UnwindOnFault();
    }

    // Goes on in another program on the context this run was started with; falls through when there is none.
    private void EmitTailCall()
    {
        if (_metered) Charge(1);
        var entry = _il.DeclareLocal(typeof(ProgramArrayEntry*));
        var failed = _il.DefineLabel();
        Load64(2);
        Load64(3);
        _frame.LoadState(this);
        _il.EmitCall(OpCodes.Call, typeof(ProgramArrayMap).GetMethod(nameof(ProgramArrayMap.TailCallTarget))!, null);
        _il.Emit(OpCodes.Stloc, entry);
        _il.Emit(OpCodes.Ldloc, entry);
        _il.Emit(OpCodes.Brfalse, failed);

        _il.Emit(OpCodes.Ldloc, entry);
        _il.Emit(OpCodes.Ldfld, typeof(ProgramArrayEntry).GetField(nameof(ProgramArrayEntry.Self))!);
        LoadState(nameof(ExecutionState.Context));
        LoadState(nameof(ExecutionState.ContextLength));
        _frame.LoadState(this);
        _il.Emit(OpCodes.Ldloc, entry);
        _il.Emit(OpCodes.Ldfld, typeof(ProgramArrayEntry).GetField(nameof(ProgramArrayEntry.EntryPoint))!);
        // The entry has the target's signature, so the call can become a jump.
        if (_frame is EntryFrame) _il.Emit(OpCodes.Tailcall);
        _il.EmitCalli(OpCodes.Calli, System.Reflection.CallingConventions.Standard, typeof(ulong),
            [typeof(nint), typeof(byte*), typeof(ulong), typeof(ExecutionState*)], null);
        _frame.EmitReturn(this);

        _il.MarkLabel(failed);
        const int einval = 22;
        LoadConstant(-einval, 64);
        Store64(0);
    }

    // callx: the helper's number is in a register. The verifier only lets a number through that it knows.
    private void EmitRegisterCall(in Instruction instruction)
    {
        var functions = _program.RegisterCallees(_slot);
        if (functions.Count == 1)
        {
            Call(functions[0]);
            Store64(0);
            return;
        }
        var done = _il.DefineLabel();
        var result = _il.DeclareLocal(typeof(ulong));
        foreach (var function in functions)
        {
            var next = _il.DefineLabel();
            Load64(instruction.Destination);
            LoadConstant(function.Prototype.Id, 64);
            _il.Emit(OpCodes.Bne_Un, next);
            Call(function);
            _il.Emit(OpCodes.Stloc, result);
            _il.Emit(OpCodes.Br, done);
            _il.MarkLabel(next);
        }
        LoadConstant(0, 64);
        _il.Emit(OpCodes.Stloc, result);
        _il.MarkLabel(done);
        _il.Emit(OpCodes.Ldloc, result);
        Store64(0);
    }
}
