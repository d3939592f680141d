using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// A conditional jump over a block, to a place where the same condition is tested again soon: clang writes one such jump for
/// each of several choices. What lies before the second test is written once for each way, so that none is tested twice.
/// </summary>
/// <param name="Join">The block with the second test: entered from the first, and from the block that one jumps over.</param>
/// <param name="Same">True when it jumps where the first test jumps, false when it tests the opposite.</param>
internal sealed record ThreadPlan(BasicBlock Join, bool Same)
{
    // What is written twice.
    private const int MaxInstructions = 4;

    /// <summary>The plan for the jump a block ends with, or null.</summary>
    public static ThreadPlan? Find(ProgramGraph program, FunctionGraph function, BasicBlock block, Func<BasicBlock, bool> isHere)
    {
        if (!IsTest(program, block) || program.IsBackEdge(block.Last) || block.End >= function.Function.End) return null;
        var skipped = function.BlockAt(block.End);
        var join = function.BlockAt(program.JumpTarget(block.Last));
        if (skipped == join || join == block || !isHere(skipped) || !isHere(join) || !IsTest(program, join)) return null;
        if (skipped.Predecessors.Count != 1 || skipped.Successors.Count != 1 || skipped.Successors[0] != join) return null;
        // From the two ways that part here, and from nowhere else.
        if (join.Predecessors.Count != 2 || !join.Predecessors.Contains(block)) return null;
        if (join.End >= function.Function.End || !isHere(function.BlockAt(join.End))) return null;
        if (Compare(program, block.Last, join.Last) is not { } same) return null;

        var operands = program.Reads(block.Last);
        return Leaves(program, skipped, operands, int.MaxValue) && Leaves(program, join, operands, MaxInstructions) ? new ThreadPlan(join, same) : null;
    }

    // A conditional jump that may go either way.
    private static bool IsTest(ProgramGraph program, BasicBlock block)
    {
        var row = program.Row(block.Last);
        return row.IsConditionalJump && row.Operation != Operation.MayGoto && program.MayJump(block.Last) && program.FallsThrough(block.Last);
    }

    // Whether two jumps ask the same (true) or the opposite (false) of the same values; null when neither.
    private static bool? Compare(ProgramGraph program, int first, int second)
    {
        var (a, b) = (program.Row(first), program.Row(second));
        ref readonly var one = ref program.Instructions.ItemRef(first);
        ref readonly var other = ref program.Instructions.ItemRef(second);
        if (a.Width != b.Width || a.Source != b.Source || one.Destination != other.Destination) return null;
        if (a.Source == OperandSource.Register ? one.Source != other.Source : one.Immediate != other.Immediate) return null;
        return a.Operation == b.Operation ? true : Opposite(a.Operation) == b.Operation ? false : null;
    }

    private static Operation? Opposite(Operation operation) => operation switch
    {
        Operation.JumpEqual => Operation.JumpNotEqual,
        Operation.JumpNotEqual => Operation.JumpEqual,
        Operation.JumpGreater => Operation.JumpLessOrEqual,
        Operation.JumpLessOrEqual => Operation.JumpGreater,
        Operation.JumpLess => Operation.JumpGreaterOrEqual,
        Operation.JumpGreaterOrEqual => Operation.JumpLess,
        Operation.JumpSignedGreater => Operation.JumpSignedLessOrEqual,
        Operation.JumpSignedLessOrEqual => Operation.JumpSignedGreater,
        Operation.JumpSignedLess => Operation.JumpSignedGreaterOrEqual,
        Operation.JumpSignedGreaterOrEqual => Operation.JumpSignedLess,
        _ => null,
    };

    // True when a block's instructions leave the registers as they are and are few enough; what calls may do anything.
    private static bool Leaves(ProgramGraph program, BasicBlock block, int registers, int most)
    {
        for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
        {
            var row = program.Row(slot);
            if (!program.IsReached(slot) || row.IsCall || (program.Writes(slot) & registers) != 0) return false;
            if (row.IsJump) continue;
            if (!row.IsArithmetic && row.Operation is not (Operation.LoadImmediate64 or Operation.Load or Operation.LoadSignExtend or Operation.Store)) return false;
            if (most-- == 0) return false;
        }
        return true;
    }
}
