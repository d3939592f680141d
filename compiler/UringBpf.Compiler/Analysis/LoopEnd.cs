using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>
/// What several ways through a loop's body jump to: a few register operations and the jump that decides on another round.
/// Written at the end of each of those ways, it saves them a jump a round, and lets RyuJIT lay a way and the jump back in one piece.
/// </summary>
internal static class LoopEnd
{
    private const int MaxSlots = 3, MaxBlocks = 64;

    /// <summary>True when a block is that.</summary>
    public static bool Is(ProgramGraph program, FunctionGraph function, BasicBlock block)
    {
        if (block.Predecessors.Count < 2 || block.End - block.Start > MaxSlots || block.End >= function.Function.End) return false;
        var row = program.Row(block.Last);
        if (!row.IsConditionalJump || row.Operation == Operation.MayGoto || !program.MayJump(block.Last) || !program.FallsThrough(block.Last)) return false;
        for (var slot = block.Start; slot < block.Last; slot++)
        {
            if (!program.IsReached(slot) || !program.HasRow(slot) || program.Row(slot) is not { IsArithmetic: true } operation) return false;
            if (operation.Operation is Operation.Divide or Operation.Modulo or Operation.SignedDivide or Operation.SignedModulo) return false;
        }
        foreach (var header in block.Successors)
        {
            // A loop of this block alone is entered here, not ended.
            if (header != block && header.Predecessors.Count > 1 && BodyOf(function, header, block, MaxBlocks) is not null) return true;
        }
        return false;
    }

    /// <summary>The blocks from which control comes to a loop's header by one of its predecessors without having left the loop; null
    /// when there is no such loop, or one of more blocks.</summary>
    public static HashSet<BasicBlock>? BodyOf(FunctionGraph function, BasicBlock header, BasicBlock latch, int most)
    {
        var body = new HashSet<BasicBlock> { header };
        var waiting = new Stack<BasicBlock>([latch]);
        while (waiting.TryPop(out var block))
        {
            if (!body.Add(block)) continue;
            // Reached without the header: from there on it is no loop of this header's.
            if (body.Count > most || block == function.Blocks[0] || block.Predecessors.Count == 0) return null;
            foreach (var from in block.Predecessors) waiting.Push(from);
        }
        return body;
    }
}
