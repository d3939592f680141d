using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>What becomes of an instruction that a branch skipped, once it runs whether or not the branch is taken.</summary>
internal enum BranchStepKind
{
    /// <summary>As it stands: nobody reads its result where the branch goes.</summary>
    Plain,
    /// <summary>Nothing: the register holds that value already.</summary>
    Nothing,
    /// <summary>The register held 0: its new value, or 0.</summary>
    NewOrZero,
    /// <summary>The register held one constant and gets another.</summary>
    NewOrOldConstant,
    /// <summary>An addition or subtraction: of the operand, or of 0.</summary>
    OperandOrZero,
}

/// <summary>One such instruction.</summary>
/// <param name="Slot">The instruction.</param>
/// <param name="Kind">What becomes of it.</param>
/// <param name="Old">The old constant, for <see cref="BranchStepKind.NewOrOldConstant"/>.</param>
/// <param name="New">The new one.</param>
internal readonly record struct BranchStep(int Slot, BranchStepKind Kind, long Old = 0, long New = 0);

/// <summary>
/// A conditional jump over a few register operations, written without a jump: the condition as a number decides which values
/// count. Only where that takes an instruction or two for each value, as then it is no slower than a jump that is
/// predicted well, and much faster than one that is not. (RyuJIT makes no conditional moves inside loops.)
/// </summary>
/// <param name="Skipped">The block that the jump skips; no other block leads to it.</param>
/// <param name="Target">Where both ways lead.</param>
/// <param name="Steps">What lies between.</param>
internal sealed record BranchPlan(BasicBlock Skipped, BasicBlock Target, IReadOnlyList<BranchStep> Steps)
{
    private const int MaxSteps = 4, MaxChosen = 2;

    /// <summary>The plan for the jump a block ends with, or null.</summary>
    /// <param name="program">The program.</param>
    /// <param name="function">The block's function.</param>
    /// <param name="block">The block.</param>
    /// <param name="registers">Says which registers are 32 bits wide.</param>
    /// <param name="isHere">True for the blocks of the method that is written: a region has but some of its function's.</param>
    /// <param name="metered">True when jumps backwards are paid for, which ways of different lengths do differently.</param>
    public static BranchPlan? Find(ProgramGraph program, FunctionGraph function, BasicBlock block, RegisterAssignment registers, Func<BasicBlock, bool> isHere, bool metered)
    {
        var jump = block.Last;
        if (!program.Row(jump).IsConditionalJump || !program.MayJump(jump) || !program.FallsThrough(jump)) return null;
        if (block.End >= function.Function.End || (metered && program.IsBackEdge(jump))) return null;
        var target = function.BlockAt(program.JumpTarget(jump));
        var skipped = function.BlockAt(block.End);
        if (skipped == target || skipped.Predecessors.Count != 1 || !isHere(target)) return null;

        // The way that is not taken: the skipped block, and one that it joins on its way if need be.
        var slots = new List<int>();
        if (Follow(skipped) is not { } next) return null;
        if (next != target && (next == block || Follow(next) != target)) return null;
        return StepsOf(program, block, target, slots, registers) is { } steps ? new BranchPlan(skipped, target, steps) : null;

        // Adds a block's instructions; gives the block it leads to, or null when it does anything but compute.
        BasicBlock? Follow(BasicBlock from)
        {
            if (!isHere(from)) return null;
            for (var slot = from.Start; slot < from.End; slot += program.Slots(slot))
            {
                var row = program.Row(slot);
                if (row.Operation == Operation.Jump)
                    return metered && program.IsBackEdge(slot) ? null : function.BlockAt(program.JumpTarget(slot));
                var computes = row.IsArithmetic && row.Operation is not (Operation.Divide or Operation.Modulo or Operation.SignedDivide or Operation.SignedModulo);
                if (!program.IsReached(slot) || !computes || slots.Count == MaxSteps) return null;
                slots.Add(slot);
            }
            return from.End < function.Function.End ? function.BlockAt(from.End) : null;
        }
    }

    private static List<BranchStep>? StepsOf(ProgramGraph program, BasicBlock block, BasicBlock target, List<int> slots, RegisterAssignment registers)
    {
        if (slots.Count == 0) return null;
        var known = BlockValues.AtEnd(program, block);
        var steps = new List<BranchStep>();
        var written = 0;
        var chosen = 0;
        foreach (var slot in slots)
        {
            ref readonly var instruction = ref program.Instructions.ItemRef(slot);
            var register = instruction.Destination;
            var step = (target.LiveIn >> register & 1) == 0 ? new BranchStep(slot, BranchStepKind.Plain)
                // A second write would find the first one's choice.
                : (written >> register & 1) != 0 ? default(BranchStep?)
                : Choose(program.Row(slot), instruction, slot, known, written, registers.Narrow[registers.Definition(slot, register)]);
            if (step is not { } found) return null;
            if (found.Kind > BranchStepKind.Nothing) chosen++;
            steps.Add(found);
            written |= 1 << register;
        }
        return chosen <= MaxChosen ? steps : null;
    }

    private static BranchStep? Choose(OpcodeRow row, in Instruction instruction, int slot, BlockValues known, int written, bool narrow)
    {
        var register = instruction.Destination;
        if (row.Operation == Operation.Move)
        {
            var fromRegister = row.Source == OperandSource.Register;
            if (fromRegister && row.Width == 64 && (written >> instruction.Source & 1) == 0 && known.AreEqual(register, instruction.Source))
                return new BranchStep(slot, BranchStepKind.Nothing);
            if (!fromRegister && known.Constant(register) is { } old)
                return new BranchStep(slot, BranchStepKind.NewOrOldConstant, old, row.Width == 64 ? instruction.Immediate : (uint)instruction.Immediate);
        }
        if (known.Constant(register) == 0) return new BranchStep(slot, BranchStepKind.NewOrZero);
        var adds = row.Operation is Operation.Add or Operation.Subtract && (row.Source == OperandSource.Immediate || instruction.Source != register);
        // At 32 bits adding 0 clears the upper half: only where the register has none.
        return adds && (row.Width == 64 || narrow) ? new BranchStep(slot, BranchStepKind.OperandOrZero) : null;
    }
}

/// <summary>What is known of registers at the end of a block from its own instructions: constants, and copies of each other.</summary>
internal sealed class BlockValues
{
    private readonly long?[] _constants = new long?[RegisterAssignment.Registers];
    // The value number of each register; equal numbers, equal values.
    private readonly int[] _numbers = [.. Enumerable.Range(0, RegisterAssignment.Registers)];

    /// <summary>The constant a register holds, or null.</summary>
    public long? Constant(int register) => _constants[register];

    /// <summary>True when two registers hold the same value.</summary>
    public bool AreEqual(int a, int b) => _numbers[a] == _numbers[b];

    /// <summary>What is known after a block's last instruction.</summary>
    public static BlockValues AtEnd(ProgramGraph program, BasicBlock block) => Before(program, block, block.End);

    /// <summary>What is known before an instruction of a block.</summary>
    public static BlockValues Before(ProgramGraph program, BasicBlock block, int slot)
    {
        var values = new BlockValues();
        var next = RegisterAssignment.Registers;
        for (var at = block.Start; at < slot; at += program.Slots(at))
        {
            var row = program.Row(at);
            ref readonly var instruction = ref program.Instructions.ItemRef(at);
            var writes = row.IsCall ? 0b111111 : program.Writes(at);
            if (row.Operation == Operation.Move && row.Source == OperandSource.Register && row.Width == 64)
            {
                values._constants[instruction.Destination] = values._constants[instruction.Source];
                values._numbers[instruction.Destination] = values._numbers[instruction.Source];
                continue;
            }
            for (var register = 0; register < RegisterAssignment.Registers; register++)
            {
                if ((writes >> register & 1) == 0) continue;
                values._constants[register] = null;
                values._numbers[register] = next++;
            }
            if (row.Operation == Operation.Move && row.Source == OperandSource.Immediate)
                values._constants[instruction.Destination] = row.Width == 64 ? instruction.Immediate : (uint)instruction.Immediate;
        }
        return values;
    }
}
