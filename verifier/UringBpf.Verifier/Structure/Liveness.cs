using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// What can still be read after a point: registers as bits 0..10 and stack slots, slot i being the bytes at -8 × (i + 1).
/// "Relevant" is the part on whose number some check may depend; of the rest only the kind matters.
/// </summary>
internal record struct LiveSet(ulong Slots, ulong RelevantSlots, ushort Registers, ushort RelevantRegisters)
{
    public static LiveSet operator |(LiveSet a, LiveSet b) => new(a.Slots | b.Slots, a.RelevantSlots | b.RelevantSlots,
        (ushort)(a.Registers | b.Registers), (ushort)(a.RelevantRegisters | b.RelevantRegisters));
}

/// <summary>
/// Backward data flow over registers and stack slots, function by function, before the walk. The walk forgets what is dead
/// and blurs what is irrelevant where paths meet, so that more of them are alike. It continues with what it kept: a
/// mistake here can make it refuse a program, never accept one.
/// </summary>
internal sealed class Liveness
{
    private readonly ProgramSpec _spec;
    private readonly ProgramShape _shape;
    private readonly StackPointers _pointers;
    private readonly Workspace _workspace;
    private readonly Block<LiveSet> _before;
    private readonly bool _returnMatters;

    public Liveness(ProgramSpec spec, ProgramShape shape, ProgramType type, Workspace workspace)
    {
        _spec = spec;
        _shape = shape;
        _pointers = new StackPointers(spec, shape, workspace);
        _workspace = workspace;
        _before = workspace.Take<LiveSet>(shape.Count);
        _returnMatters = type.ReturnMin != long.MinValue || type.ReturnMax != long.MaxValue;
        foreach (var function in shape.Functions) Solve(function);
    }

    /// <summary>What is live just before an instruction.</summary>
    public LiveSet Before(int slot) => _before[slot];

    private void Solve(Subprogram function)
    {
        // Each pass goes backwards from the end of a block to where only another block leads.
        var visited = _workspace.Take<bool>(function.Length);
        var queued = _workspace.Take<bool>(function.Length);
        var pending = new Pile<int>();
        for (var slot = function.Start; slot < function.End; slot = _shape.Next(slot))
        {
            if (EndsBlock(slot)) Queue(slot);
        }
        while (pending.TryPop(out var end))
        {
            queued[end - function.Start] = false;
            for (var slot = end; ;)
            {
                var before = Transfer(slot, After(slot));
                var changed = before != _before[slot] || !visited[slot - function.Start];
                if (!changed && slot != end) break;
                visited[slot - function.Start] = true;
                _before[slot] = before;
                if (changed)
                {
                    foreach (var source in _shape.Predecessors(slot))
                    {
                        if (EndsBlock(source)) Queue(source);
                    }
                }
                if (slot == function.Start) break;
                slot = _shape.IsStart(slot - 1) ? slot - 1 : slot - 2;
                // Only falling through leads from here to where we come from, or a jump to the next instruction.
                if (_shape.Row(slot).Operation is Operation.Exit or Operation.Jump && _shape.Successors(slot).First != _shape.Next(slot)) break;
                if (queued[slot - function.Start]) break;
            }
        }

        void Queue(int slot)
        {
            if (queued[slot - function.Start]) return;
            queued[slot - function.Start] = true;
            pending.Push(slot);
        }

        bool EndsBlock(int slot)
        {
            var (first, second) = _shape.Successors(slot);
            return second >= 0 || first != _shape.Next(slot) || _shape.PrunePoints[first];
        }
    }

    private LiveSet After(int slot)
    {
        var (first, second) = _shape.Successors(slot);
        var after = first >= 0 ? _before[first] : default;
        return second >= 0 ? after | _before[second] : after;
    }

    private LiveSet Transfer(int slot, LiveSet live)
    {
        var row = _shape.Row(slot);
        ref readonly var instruction = ref _spec.Instructions.ItemRef(slot);
        var (reads, writes) = Uses.Of(row, instruction, _spec);
        int dst = 1 << instruction.Destination, src = 1 << instruction.Source;
        var source = row.Source == OperandSource.Register ? src : 0;
        var relevantAfter = live.RelevantRegisters;
        live.RelevantRegisters &= (ushort)~writes;
        live.Registers = (ushort)(live.Registers & ~writes | reads);

        if (row.IsArithmetic)
        {
            // Where a stack pointer takes part, the number's bounds are checked whether the result is used or not.
            if ((relevantAfter & dst) != 0 || source != 0 && row.Operation is Operation.Add or Operation.Subtract
                && (_pointers.IsStack(slot, instruction.Destination) || _pointers.IsStack(slot, instruction.Source)))
            {
                live.RelevantRegisters |= (ushort)(reads & (dst | source));
            }
        }
        else if (row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire)
        {
            live.RelevantRegisters |= (ushort)src;
            var touched = _pointers.Touches(slot, instruction.Source, instruction.Offset, row.AccessBytes);
            live.Slots |= touched;
            if ((relevantAfter & dst) != 0) live.RelevantSlots |= touched;
        }
        else if (row.IsMemory)
        {
            live.RelevantRegisters |= (ushort)dst;
            var touched = _pointers.Touches(slot, instruction.Destination, instruction.Offset, row.AccessBytes);
            if ((live.RelevantSlots & touched) != 0) live.RelevantRegisters |= (ushort)source;
            if (row.Operation == Operation.Store)
            {
                // Only a store over the whole slot ends the life of what was there.
                var over = _pointers.Overwrites(slot, instruction.Destination, instruction.Offset, row.AccessBytes);
                live.Slots &= ~over;
                live.RelevantSlots &= ~over;
            }
            else
            {
                live.Slots |= touched;
                live.RelevantSlots |= touched;
                live.RelevantRegisters |= (ushort)(reads & 1);
            }
        }
        else if (row.IsConditionalJump)
        {
            live.RelevantRegisters |= (ushort)(dst | source);
        }
        else if (row.Operation == Operation.Exit)
        {
            if (_returnMatters || _shape.FunctionOf(slot) != 0) live.RelevantRegisters |= 1;
        }
        else if (row.Operation is Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect)
        {
            live.RelevantRegisters |= 1 << 6;
        }
        else if (row.IsCall)
        {
            TransferCall(slot, row, instruction, reads, ref live);
        }
        return live;
    }

    private void TransferCall(int slot, OpcodeRow row, in Instruction instruction, int reads, ref LiveSet live)
    {
        var relevant = reads;
        var prototype = _spec.Functions.Find(row, instruction);
        // Numbers that the host gets are checked for nothing, unless they say how often a loop goes round.
        if (prototype is not null && (prototype.Traits & FunctionTraits.CallsBack) == 0 && !prototype.Arguments.Any(argument => argument.Kind == ArgumentKind.IteratorNew))
        {
            for (var index = 0; index < prototype.Arguments.Length; index++)
            {
                if (prototype.Arguments[index].Kind is ArgumentKind.Scalar or ArgumentKind.Anything) relevant &= ~(2 << index);
            }
        }
        live.RelevantRegisters |= (ushort)relevant;
        for (var register = 1; register <= 5; register++)
        {
            if ((reads >> register & 1) == 0) continue;
            // A host function reads upwards from its pointer; a function of the program may do anything with the frame.
            var touched = prototype is not null && (prototype.Traits & FunctionTraits.CallsBack) == 0
                ? _pointers.Touches(slot, register, 0, Limits.StackBytesPerFrame)
                : _pointers.IsStack(slot, register) ? ulong.MaxValue : 0;
            live.Slots |= touched;
            if (prototype is null || prototype.Arguments[register - 1].Kind is not (ArgumentKind.MapValue or ArgumentKind.ReadMemory))
                live.RelevantSlots |= touched;
        }
    }
}
