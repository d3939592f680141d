using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Jumps (RFC 9669 section 4.3) and may_goto. Metered programs pay at every jump backwards.</summary>
internal sealed partial class FunctionEmitter
{
    private void EmitJump(OpcodeRow row, in Instruction instruction)
    {
        var target = Target(_block, _program.JumpTarget(_slot));
        if (row.Operation == Operation.Jump)
        {
            EmitChargedBranch(target);
            return;
        }
        if (!_program.MayJump(_slot)) return;
        if (!_program.FallsThrough(_slot))
        {
            EmitChargedBranch(target);
            return;
        }
        if (row.Operation == Operation.MayGoto)
        {
            EmitMayGoto(target);
            return;
        }

        var operation = EmitOperands(row, instruction);
        if (_metered && _program.IsBackEdge(_slot))
        {
            var stay = _il.DefineLabel();
            _il.Emit(Branch(operation, inverted: true), stay);
            EmitChargedBranch(target);
            _il.MarkLabel(stay);
        }
        else
        {
            _il.Emit(Branch(operation, inverted: false), target);
        }
    }

    // Pushes what a conditional jump compares; gives how to compare it.
    private Operation EmitOperands(OpcodeRow row, in Instruction instruction)
    {
        var halves = ComparesLowHalves(row, instruction);
        var width = halves ? 32 : row.Width;
        Load(instruction.Destination, width);
        LoadOperand(row, instruction, width);
        if (row.Operation == Operation.JumpSet)
        {
            _il.Emit(OpCodes.And);
            LoadConstant(0, width);
        }
        return !halves ? row.Operation : row.Operation switch
        {
            // Neither has a sign bit.
            Operation.JumpSignedGreater => Operation.JumpGreater,
            Operation.JumpSignedGreaterOrEqual => Operation.JumpGreaterOrEqual,
            Operation.JumpSignedLess => Operation.JumpLess,
            Operation.JumpSignedLessOrEqual => Operation.JumpLessOrEqual,
            _ => row.Operation,
        };
    }

    // True for 64-bit comparisons of what has zero in both upper halves: at 32 bits their code is shorter.
    private bool ComparesLowHalves(OpcodeRow row, in Instruction instruction)
    {
        if (row.Width != 64) return false;
        var second = row.Source == OperandSource.Immediate ? instruction.Immediate >= 0 : HasZeroUpper(instruction.Source);
        // Of a test of bits, one upper half that is zero is enough.
        return row.Operation == Operation.JumpSet ? second || HasZeroUpper(instruction.Destination) : second && HasZeroUpper(instruction.Destination);
    }

    private bool HasZeroUpper(int register) => register != FrameRegister && _registers.ZeroUpper[_registers.Use(_slot, register)];

    // Pays for a round when the jump goes backwards in a metered program.
    private void EmitChargedBranch(Label target)
    {
        if (_metered && _program.IsBackEdge(_slot)) Charge(_slot - _program.JumpTarget(_slot) + 1);
        _il.Emit(OpCodes.Br, target);
    }

    // Falls through while rounds are left. Rounds are counted whether the program is metered or not: they bound the loop.
    private void EmitMayGoto(Label target)
    {
        LoadState(nameof(ExecutionState.LoopRounds));
        LoadConstant(0, 32);
        _il.Emit(OpCodes.Ble, target);
        _frame.LoadState(this);
        LoadState(nameof(ExecutionState.LoopRounds));
        LoadConstant(1, 32);
        _il.Emit(OpCodes.Sub);
        _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.LoopRounds)));
    }

    private static OpCode Branch(Operation operation, bool inverted) => (operation, inverted) switch
    {
        (Operation.JumpEqual, false) or (Operation.JumpNotEqual or Operation.JumpSet, true) => OpCodes.Beq,
        (Operation.JumpNotEqual or Operation.JumpSet, false) or (Operation.JumpEqual, true) => OpCodes.Bne_Un,
        (Operation.JumpGreater, false) or (Operation.JumpLessOrEqual, true) => OpCodes.Bgt_Un,
        (Operation.JumpGreaterOrEqual, false) or (Operation.JumpLess, true) => OpCodes.Bge_Un,
        (Operation.JumpLess, false) or (Operation.JumpGreaterOrEqual, true) => OpCodes.Blt_Un,
        (Operation.JumpLessOrEqual, false) or (Operation.JumpGreater, true) => OpCodes.Ble_Un,
        (Operation.JumpSignedGreater, false) or (Operation.JumpSignedLessOrEqual, true) => OpCodes.Bgt,
        (Operation.JumpSignedGreaterOrEqual, false) or (Operation.JumpSignedLess, true) => OpCodes.Bge,
        (Operation.JumpSignedLess, false) or (Operation.JumpSignedGreaterOrEqual, true) => OpCodes.Blt,
        _ => OpCodes.Ble,
    };

    /// <summary>Pays for a callback.</summary>
    public void ChargeEntry()
    {
        if (_metered) Charge(_program.Verified.CallCosts[_function.Index]);
    }

    // Takes from the budget; ends the run when it is used up.
    private void Charge(long instructions)
    {
        var left = _il.DeclareLocal(typeof(long));
        var enough = _il.DefineLabel();
        LoadState(nameof(ExecutionState.Budget));
        LoadConstant(instructions, 64);
        _il.Emit(OpCodes.Sub);
        _il.Emit(OpCodes.Stloc, left);
        _frame.LoadState(this);
        _il.Emit(OpCodes.Ldloc, left);
        _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.Budget)));
        _il.Emit(OpCodes.Ldloc, left);
        LoadConstant(0, 64);
        _il.Emit(OpCodes.Bge, enough);
        // What holds something goes on: the verifier proved that it soon holds nothing.
        LoadState(nameof(ExecutionState.Held));
        _il.Emit(OpCodes.Brtrue, enough);
        _frame.LoadState(this);
        LoadConstant((int)RunFault.BudgetExhausted, 32);
        _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.Fault)));
        _frame.EmitUnwind(this);
        _il.MarkLabel(enough);
    }

    // After a call that may have ended the run.
    private void UnwindOnFault()
    {
        if (!_metered) return;
        var fine = _il.DefineLabel();
        LoadState(nameof(ExecutionState.Fault));
        LoadConstant(0, 32);
        _il.Emit(OpCodes.Beq, fine);
        _frame.EmitUnwind(this);
        _il.MarkLabel(fine);
    }
}
