using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// A small innermost loop with branches in its body, written twice: odd rounds run one copy and even rounds the other. That
/// saves a taken jump a round, and the processor predicts each copy's branches by themselves.
/// </summary>
/// <param name="Header">Where it is entered, and nowhere else.</param>
/// <param name="Blocks">All its blocks, in order.</param>
internal sealed record RepeatedLoop(BasicBlock Header, IReadOnlyList<BasicBlock> Blocks)
{
    private const int MaxBlocks = 8, MaxSlots = 32, MaxSlotsInAll = 128;

    /// <summary>The loops of a function that are worth it.</summary>
    public static List<RepeatedLoop> Find(ProgramGraph program, FunctionGraph function)
    {
        var loops = new List<RepeatedLoop>();
        var headers = new HashSet<BasicBlock>();
        foreach (var block in function.Blocks)
        {
            if (BodyOf(function, block) is not { } body) continue;
            headers.Add(block);
            if (body.Sum(part => part.End - part.Start) <= MaxSlots && body.All(part => IsPlain(program, part)) && body.Any(Parts))
                loops.Add(new RepeatedLoop(block, [.. body.OrderBy(part => part.Index)]));

            // A branch in the loop, not out of it.
            bool Parts(BasicBlock part) => part.Successors.Count > 1 && part.Successors.All(next => next != block && body.Contains(next));
        }
        // Innermost ones.
        loops.RemoveAll(loop => loop.Blocks.Any(block => block != loop.Header && headers.Contains(block)));
        var left = MaxSlotsInAll;
        loops.RemoveAll(loop => (left -= loop.Blocks.Sum(block => block.End - block.Start)) < 0);
        return loops;
    }

    // The blocks from which control comes back to a header without leaving; null when it heads no loop of few blocks.
    private static HashSet<BasicBlock>? BodyOf(FunctionGraph function, BasicBlock header)
    {
        HashSet<BasicBlock>? loop = null;
        foreach (var latch in header.Predecessors)
        {
            if (LoopEnd.BodyOf(function, header, latch, MaxBlocks) is not { } body) continue;
            if (loop is null) loop = body;
            else loop.UnionWith(body);
        }
        return loop;
    }

    private static bool IsPlain(ProgramGraph program, BasicBlock block)
    {
        for (var slot = block.Start; slot < block.End; slot += program.Slots(slot))
        {
            var row = program.Row(slot);
            if (!program.IsReached(slot) || row.IsCall || row.Operation is Operation.Exit or Operation.MayGoto or Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect) return false;
        }
        return true;
    }
}
