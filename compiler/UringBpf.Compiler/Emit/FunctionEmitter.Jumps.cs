using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Jumps (RFC 9669 section 4.3) and may_goto. Metered programs pay at every jump backwards.</summary>
internal sealed partial class FunctionEmitter
{
    private void EmitJump(OpcodeRow row, in Instruction instruction)
    {
        if (!_program.MayJump(_slot)) return;
        if (!_program.FallsThrough(_slot))
        {
            EmitJumpAway();
            return;
        }
        var target = Target(_block, _program.JumpTarget(_slot));
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
            ChargeRound();
            _il.Emit(OpCodes.Br, target);
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
        if (TryEmitByteTest(row, instruction) is { } test) return test;
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

    // ((x + a) & 0xff) < k, as compilers ask whether a byte lies between two others. The sum of a byte and a is so near to zero that
    // x + a, or x + a + b, below another limit says the same without the mask, which RyuJIT would make an instruction of.
    private Operation? TryEmitByteTest(OpcodeRow row, in Instruction instruction)
    {
        if (!_options.NarrowRegisters || row.Source != OperandSource.Immediate || instruction.Immediate is < 0 or > 255) return null;
        var below = row.Operation is Operation.JumpLess or Operation.JumpLessOrEqual;
        if (!below && row.Operation is not (Operation.JumpGreater or Operation.JumpGreaterOrEqual)) return null;
        var (register, mask, add) = (instruction.Destination, _slot - 1, _slot - 2);
        if (add < _block.Start || !IsOnConstant(mask, Operation.And) || _program.Instructions[mask].Immediate != 255 || !IsOnConstant(add, Operation.Add)) return null;
        // What is masked must have a local of its own.
        if (_registers.Use(mask, register) == _registers.Definition(mask, register)) return null;
        ref readonly var facts = ref _program.Facts(add);
        if (facts.DestinationMax > 255) return null;
        var least = (long)facts.DestinationMin + _program.Instructions[add].Immediate;
        var most = (long)facts.DestinationMax + _program.Instructions[add].Immediate;
        if (least < -255 || most > 255) return null;

        // The masked sum is below the limit, or it is not: sums from 0 are what they were, others are 256 larger.
        var limit = instruction.Immediate + (row.Operation is Operation.JumpLessOrEqual or Operation.JumpGreater ? 1 : 0);
        var shift = 0;
        if (limit - 256 > least)
        {
            // Some sums below zero are; if all from 0 are too, those that are not lie side by side.
            if (most >= limit) return null;
            shift = limit = 256 - limit;
            below = !below;
        }
        var slot = _slot;
        _slot = mask;
        Load32(register);
        _slot = slot;
        if (shift != 0)
        {
            LoadConstant(shift, 32);
            _il.Emit(OpCodes.Add);
        }
        LoadConstant(limit, 32);
        return below ? Operation.JumpLess : Operation.JumpGreaterOrEqual;

        bool IsOnConstant(int slot, Operation operation) =>
            _program.HasRow(slot) && _program.Row(slot) is { Source: OperandSource.Immediate } row && row.Operation == operation && _program.Instructions[slot].Destination == register;
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

    // A jump that is taken.
    private void EmitJumpAway()
    {
        var slot = _program.JumpTarget(_slot);
        var target = Target(_block, slot);
        ChargeRound();
        if (!TryEmitLoopEnd(slot)) _il.Emit(OpCodes.Br, target);
    }

    // Pays for a round when the jump goes backwards in a metered program.
    private void ChargeRound()
    {
        if (_metered && _program.IsBackEdge(_slot)) Charge(_slot - _program.JumpTarget(_slot) + 1);
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
