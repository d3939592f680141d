using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>A run of slots that is entered at its first and left at its last instruction.</summary>
internal sealed class BasicBlock(int index, int start)
{
    /// <summary>Place in <see cref="FunctionGraph.Blocks"/>.</summary>
    public int Index { get; } = index;
    /// <summary>First slot.</summary>
    public int Start { get; } = start;
    /// <summary>One past the last slot.</summary>
    public int End { get; set; }
    /// <summary>The last instruction's slot.</summary>
    public int Last { get; set; }
    /// <summary>Where control goes next.</summary>
    public List<BasicBlock> Successors { get; } = [];
    /// <summary>Where control comes from.</summary>
    public List<BasicBlock> Predecessors { get; } = [];
    /// <summary>Registers (bit per number) read before written, here or later.</summary>
    public int LiveIn { get; set; }
    /// <summary>Registers read after this block before they are written.</summary>
    public int LiveOut { get; set; }
}

/// <summary>One function of a program: its decoded instructions as basic blocks, with the liveness of registers.</summary>
internal sealed class FunctionGraph
{
    private readonly ProgramGraph _program;
    // By slot from the function's start; null where no block starts.
    private readonly BasicBlock?[] _byStart;

    public FunctionGraph(ProgramGraph program, int index, int maxBlockSlots)
    {
        _program = program;
        Index = index;
        Function = program.Verified.Subprograms[index];
        _byStart = new BasicBlock?[Function.Length];
        SplitIntoBlocks(maxBlockSlots);
        Connect();
    }

    /// <summary>Place in <see cref="VerifiedProgram.Subprograms"/>.</summary>
    public int Index { get; }

    /// <summary>Name and slots.</summary>
    public Subprogram Function { get; }

    /// <summary>The blocks in order of slot.</summary>
    public List<BasicBlock> Blocks { get; } = [];

    /// <summary>Registers that hold something when the function is entered and are read (r10 left out).</summary>
    public int LiveAtEntry => Blocks[0].LiveIn & ~(1 << 10);

    /// <summary>The live registers in order: what its callers pass.</summary>
    public IReadOnlyList<int> ArgumentRegisters => [.. Enumerable.Range(0, 10).Where(register => (LiveAtEntry >> register & 1) != 0)];

    /// <summary>Parameters of its method: the entry's, or its argument registers, stack top and state.</summary>
    public unsafe Type[] ParameterTypes => Index == 0
        ? [typeof(nint), typeof(byte*), typeof(ulong), typeof(ExecutionState*)]
        : [.. ArgumentRegisters.Select(_ => typeof(ulong)), typeof(ulong), typeof(ExecutionState*)];

    /// <summary>How its own method is entered and left.</summary>
    public FunctionFrame Frame() => Index == 0 ? new EntryFrame() : new SubprogramFrame(ArgumentRegisters);

    /// <summary>The name of its method in stack traces, dumps and persisted assemblies.</summary>
    public string MethodName => Function.Name.Length > 0 ? Function.Name : $"function_{Index}";

    /// <summary>The block that starts at a slot.</summary>
    public BasicBlock BlockAt(int slot) => _byStart[slot - Function.Start]!;

    /// <summary>Works out <see cref="BasicBlock.LiveIn"/> by backward data flow.</summary>
    public void ComputeLiveness()
    {
        // From the last block to the first, and again what leads to one that changed: in passes over all of them, a chain of jumps
        // backwards would take one for each.
        var waiting = new Stack<BasicBlock>(Blocks);
        var waits = new bool[Blocks.Count];
        foreach (var block in Blocks) waits[block.Index] = true;
        while (waiting.TryPop(out var block))
        {
            waits[block.Index] = false;
            var live = 0;
            foreach (var next in block.Successors) live |= next.LiveIn;
            block.LiveOut = live;
            for (var slot = block.Last; slot >= block.Start; slot = _program.Previous(slot, block.Start))
            {
                live &= ~_program.Writes(slot);
                live |= _program.Reads(slot);
                if (slot == block.Start) break;
            }
            if (live == block.LiveIn) continue;
            block.LiveIn = live;
            foreach (var from in block.Predecessors)
            {
                if (waits[from.Index]) continue;
                waits[from.Index] = true;
                waiting.Push(from);
            }
        }
    }

    private void SplitIntoBlocks(int maxBlockSlots)
    {
        var leads = new bool[Function.Length];
        leads[0] = true;
        for (var slot = Function.Start; slot < Function.End; slot += _program.Slots(slot))
        {
            var next = slot + _program.Slots(slot);
            var target = _program.JumpTarget(slot);
            if (target >= 0) leads[target - Function.Start] = true;
            // A call by number in a register may be as long as many blocks.
            var ends = target >= 0 || _program.EndsPath(slot) || _program.Row(slot).Operation == Operation.CallRegister;
            if (ends && next < Function.End) leads[next - Function.Start] = true;
        }
        for (int i = 0, sinceLeader = 0; i < leads.Length; i += _program.Slots(Function.Start + i))
        {
            if (!leads[i] && ++sinceLeader < maxBlockSlots) continue;
            sinceLeader = 0;
            var block = new BasicBlock(Blocks.Count, Function.Start + i);
            Blocks.Add(block);
            _byStart[i] = block;
        }
        for (var i = 0; i < Blocks.Count; i++)
        {
            var block = Blocks[i];
            block.End = i + 1 < Blocks.Count ? Blocks[i + 1].Start : Function.End;
            for (var slot = block.Start; slot < block.End; slot += _program.Slots(slot)) block.Last = slot;
        }
    }

    private void Connect()
    {
        foreach (var block in Blocks)
        {
            var target = _program.JumpTarget(block.Last);
            if (target >= 0 && _program.MayJump(block.Last)) Link(block, BlockAt(target));
            if (_program.FallsThrough(block.Last) && block.End < Function.End) Link(block, BlockAt(block.End));
        }
    }

    private static void Link(BasicBlock from, BasicBlock to)
    {
        if (from.Successors.Contains(to)) return;
        from.Successors.Add(to);
        to.Predecessors.Add(from);
    }
}
