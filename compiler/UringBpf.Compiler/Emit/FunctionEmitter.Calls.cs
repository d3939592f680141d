using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Calls of helpers, kfuncs and subprograms, and tail calls (RFC 9669 section 4.3.1).</summary>
internal sealed partial class FunctionEmitter
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
        for (var register = 1; register <= function.Arity; register++) Load64(register);
        if (function.TakesState) _frame.LoadState(this);
        _il.EmitCall(OpCodes.Call, function.Method, null);
        Store64(0);
        // A callback may have used up the budget.
        if ((function.Prototype.Traits & FunctionTraits.CallsBack) != 0) UnwindOnFault();
    }

    private void EmitSubprogramCall()
    {
        var callee = _program.Functions[_program.Callee(_slot)];
        if (_metered) Charge(1);
        foreach (var register in callee.ArgumentRegisters) Load64(register);
        _frame.LoadStackTop(this);
        LoadConstant(Limits.StackBytesPerFrame, 64);
        _il.Emit(OpCodes.Sub);
        _frame.LoadState(this);
        _target.CallFunction(callee.Index);
        Store64(0);
        UnwindOnFault();
    }

    private void EmitTailCall() => throw new BpfException("UB3001", "tail call");

    // callx: the helper's number is in a register. The verifier only lets a number through that it knows.
    private void EmitRegisterCall(in Instruction instruction)
    {
        var done = _il.DefineLabel();
        var result = _il.DeclareLocal(typeof(ulong));
        foreach (var prototype in _program.Verified.Spec.Functions.All)
        {
            if (prototype.Kind != FunctionKind.Helper || (prototype.Traits & FunctionTraits.TailCall) != 0) continue;
            if (_program.Registry.Find(prototype) is not { } function) continue;
            var next = _il.DefineLabel();
            Load64(instruction.Destination);
            LoadConstant(prototype.Id, 64);
            _il.Emit(OpCodes.Bne_Un, next);
            for (var register = 1; register <= function.Arity; register++) Load64(register);
            if (function.TakesState) _frame.LoadState(this);
            _il.EmitCall(OpCodes.Call, function.Method, null);
            _il.Emit(OpCodes.Stloc, result);
            _il.Emit(OpCodes.Br, done);
            _il.MarkLabel(next);
        }
        LoadConstant(0, 64);
        _il.Emit(OpCodes.Stloc, result);
        _il.MarkLabel(done);
        _il.Emit(OpCodes.Ldloc, result);
        Store64(0);
        UnwindOnFault();
    }
}
