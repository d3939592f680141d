using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Conditional jumps over a few register operations, written without a jump (<see cref="BranchPlan"/>).</summary>
internal sealed partial class FunctionEmitter
{
    // Writes the end of a block when there is something better than its jump.
    private bool TryEmitBranch(BasicBlock block)
    {
        if (!_decided.TryGetValue(block, out var jumps)) return TryEmitBranchPlan(block) || TryEmitThreads(block);
        EmitDecided(jumps);
        return true;
    }

    // Writes what follows both ways of a jump, as long as the same is not tested again, for each of them.
    private bool TryEmitThreads(BasicBlock block)
    {
        if (!_options.ThreadJumps || ThreadPlan.Find(_program, _function, block, IsHere) is not { } plan) return false;
        var row = _program.Row(block.Last);
        ref readonly var instruction = ref _program.Instructions.ItemRef(block.Last);
        var stays = _il.DefineLabel();
        _il.Emit(Branch(EmitOperands(row, instruction), inverted: true), stays);
        _decided[plan.Join] = plan.Same;
        EmitBody(plan.Join);
        _decided[plan.Join] = !plan.Same;
        _slot = block.Last;
        _block = block;
        _target.BeginInstruction(_slot);
        _il.MarkLabel(stays);
        GoOn(block, block.End);
        return true;
    }

    // A jump whose test has been made.
    private void EmitDecided(bool jumps)
    {
        if (jumps) EmitJumpAway();
        else GoOn(_block, _block.End);
    }

    // Writes the jump that ends a block, and what it skips, when there is a plan for it.
    private bool TryEmitBranchPlan(BasicBlock block)
    {
        if (!_options.AvoidBranches || BranchPlan.Find(_program, _function, block, _registers, IsHere, _metered) is not { } plan) return false;

        // 1 when the jump is not taken. First of all, as the steps may change what it compares.
        var stays = _il.DeclareLocal(typeof(int));
        _target.NameLocal(stays, "stays");
        EmitComparison(_program.Row(block.Last), _program.Instructions[block.Last]);
        _il.Emit(OpCodes.Stloc, stays);
        LocalBuilder? mask = null;
        foreach (var step in plan.Steps)
        {
            _slot = step.Slot;
            _target.BeginInstruction(step.Slot);
            EmitStep(step, stays, ref mask);
        }
        _slot = block.Last;
        _absorbed.Add(plan.Skipped);
        GoOn(block, plan.Target.Start);
        return true;
    }

    private void EmitStep(BranchStep step, LocalBuilder stays, ref LocalBuilder? mask)
    {
        var row = _program.Row(step.Slot);
        var instruction = _program.Instructions[step.Slot];
        switch (step.Kind)
        {
            case BranchStepKind.Nothing:
                return;
            case BranchStepKind.Plain:
                EmitArithmetic(row, instruction);
                return;
            case BranchStepKind.NewOrZero:
                EmitArithmetic(row, instruction);
                var local = Local(_registers.Definition(step.Slot, instruction.Destination));
                _il.Emit(OpCodes.Ldloc, local);
                LoadMask(stays, ref mask, local.LocalType == typeof(uint) ? 32 : 64);
                _il.Emit(OpCodes.And);
                _il.Emit(OpCodes.Stloc, local);
                return;
            case BranchStepKind.NewOrOldConstant:
                LoadChoice(step.Old, step.New, stays, ref mask);
                Store64(instruction.Destination);
                return;
            default:
                Load(instruction.Destination, row.Width);
                if (row.Source == OperandSource.Immediate && instruction.Immediate is 1 or -1)
                {
                    _il.Emit(OpCodes.Ldloc, stays);
                    if (row.Width == 64) _il.Emit(OpCodes.Conv_U8);
                    var adds = row.Operation == Operation.Add == (instruction.Immediate == 1);
                    _il.Emit(adds ? OpCodes.Add : OpCodes.Sub);
                }
                else
                {
                    LoadOperand(row, instruction, row.Width);
                    LoadMask(stays, ref mask, row.Width);
                    _il.Emit(OpCodes.And);
                    _il.Emit(row.Operation == Operation.Add ? OpCodes.Add : OpCodes.Sub);
                }
                Store(instruction.Destination, row.Width);
                return;
        }
    }

    // Pushes stays ? to : from as int64.
    private void LoadChoice(long from, long to, LocalBuilder stays, ref LocalBuilder? mask)
    {
        if (from == 1 && to == 0)
        {
            // One instruction, where asking whether it is 0 takes three.
            _il.Emit(OpCodes.Ldloc, stays);
            LoadConstant(1, 32);
            _il.Emit(OpCodes.Xor);
            _il.Emit(OpCodes.Conv_U8);
            return;
        }
        var difference = unchecked(to - from);
        if (difference is 1 or -1)
        {
            LoadConstant(from, 64);
            _il.Emit(OpCodes.Ldloc, stays);
            _il.Emit(OpCodes.Conv_U8);
            _il.Emit(difference == 1 ? OpCodes.Add : OpCodes.Sub);
            return;
        }
        LoadConstant(difference, 64);
        LoadMask(stays, ref mask, 64);
        _il.Emit(OpCodes.And);
        LoadConstant(from, 64);
        _il.Emit(OpCodes.Add);
    }

    // Pushes all ones when the jump is not taken, else zero.
    private void LoadMask(LocalBuilder stays, ref LocalBuilder? mask, int width)
    {
        if (mask is null)
        {
            mask = _il.DeclareLocal(typeof(ulong));
            _target.NameLocal(mask, "mask");
            _il.Emit(OpCodes.Ldloc, stays);
            _il.Emit(OpCodes.Conv_U8);
            _il.Emit(OpCodes.Neg);
            _il.Emit(OpCodes.Stloc, mask);
        }
        _il.Emit(OpCodes.Ldloc, mask);
        if (width == 32) _il.Emit(OpCodes.Conv_U4);
    }

    // Pushes 1 when a conditional jump is not taken, else 0.
    private void EmitComparison(OpcodeRow row, in Instruction instruction)
    {
        if (TryEmitFlag(row, instruction)) return;
        var (comparison, inverts) = EmitOperands(row, instruction) switch
        {
            Operation.JumpNotEqual or Operation.JumpSet => (OpCodes.Ceq, false),
            Operation.JumpEqual => (OpCodes.Ceq, true),
            Operation.JumpGreater => (OpCodes.Cgt_Un, true),
            Operation.JumpLessOrEqual => (OpCodes.Cgt_Un, false),
            Operation.JumpLess => (OpCodes.Clt_Un, true),
            Operation.JumpGreaterOrEqual => (OpCodes.Clt_Un, false),
            Operation.JumpSignedGreater => (OpCodes.Cgt, true),
            Operation.JumpSignedLessOrEqual => (OpCodes.Cgt, false),
            Operation.JumpSignedLess => (OpCodes.Clt, true),
            _ => (OpCodes.Clt, false),
        };
        _il.Emit(comparison);
        if (!inverts) return;
        LoadConstant(0, 32);
        _il.Emit(OpCodes.Ceq);
    }

    // A register that the verifier found to hold 0 or 1 says itself whether a jump that asks which is not taken.
    private bool TryEmitFlag(OpcodeRow row, in Instruction instruction)
    {
        if (row.Operation is not (Operation.JumpEqual or Operation.JumpNotEqual) || row.Source != OperandSource.Immediate) return false;
        if (instruction.Immediate is not (0 or 1) || _program.Facts(_slot).DestinationMax > 1) return false;
        Load(instruction.Destination, 32);
        if (row.Operation == Operation.JumpEqual == (instruction.Immediate == 0)) return true;
        LoadConstant(1, 32);
        _il.Emit(OpCodes.Xor);
        return true;
    }
}
