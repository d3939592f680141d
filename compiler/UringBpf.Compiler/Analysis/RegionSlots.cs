using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>The stack slots that live in locals in one region of a long function.</summary>
/// <param name="Slots">The slots.</param>
/// <param name="Carried">Those of them, by offset from the frame's top, that a block reads from whoever leads to it, so that a region that it
/// enters loads them first.</param>
/// <param name="Written">Those of them that the region writes, so that it stores them for blocks outside that read them.</param>
internal sealed record RegionStack(StackSlots Slots, Func<BasicBlock, IEnumerable<int>> Carried, Func<int, bool> Written);

/// <summary>
/// Finds for each region of a long function the stack slots that live in locals there: those it reads or writes, all that stay inside it and a few
/// that are carried into it or out of it. Between regions every slot is in memory.
/// </summary>
internal sealed class RegionSlots
{
    // A bit for each slot that is followed. As many are carried as there are registers.
    private const int MaxSlots = 64, MaxCarried = 10;

    private readonly ProgramGraph _program;
    private readonly FunctionGraph _function;
    private readonly StackSlots _slots;
    // By offset from the frame's bottom: the number of the slot that starts there, or -1.
    private readonly int[] _numbers = new int[Limits.StackBytesPerFrame];
    private readonly int[] _offsets = new int[MaxSlots];
    // By block: slots that are read before they are written, here or later; that are read or written here; that are written here.
    private readonly ulong[] _liveIn, _accessed, _written;

    public RegionSlots(ProgramGraph program, FunctionGraph function, CompilerOptions options)
    {
        _program = program;
        _function = function;
        (_liveIn, _accessed, _written) = (new ulong[function.Blocks.Count], new ulong[function.Blocks.Count], new ulong[function.Blocks.Count]);
        var registers = options.SplitLiveRanges ? RegisterAssignment.Split(program, function.Blocks, narrow: false) : RegisterAssignment.Straight();
        _slots = StackSlots.Find(program, function, registers);
        Array.Fill(_numbers, -1);
        var number = 0;
        foreach (var offset in _slots.Offsets)
        {
            if (number == MaxSlots) break;
            _offsets[number] = offset;
            _numbers[offset + Limits.StackBytesPerFrame] = number++;
        }
        if (number > 0) ComputeLiveness();
    }

    /// <summary>The slots of one region.</summary>
    public RegionStack Of(List<BasicBlock> region)
    {
        var first = region[0].Index;
        var (carried, accessed, written) = (0UL, 0UL, 0UL);
        foreach (var block in region)
        {
            accessed |= _accessed[block.Index];
            written |= _written[block.Index];
            if (block.Index == 0 || block.Predecessors.Exists(IsOutside)) carried |= _liveIn[block.Index];
            foreach (var next in block.Successors)
            {
                if (IsOutside(next)) carried |= _liveIn[next.Index];
            }
        }
        var locals = accessed;
        for (carried &= accessed; BitOperations.PopCount(carried) > MaxCarried; carried &= carried - 1) locals &= ~(carried & (0 - carried));
        var slots = _slots.Only(offset => IsIn(locals, offset));
        return new RegionStack(slots, block => Offsets(_liveIn[block.Index] & locals), offset => IsIn(written, offset));

        bool IsOutside(BasicBlock block) => (uint)(block.Index - first) >= (uint)region.Count;

        bool IsIn(ulong set, int offset) => _numbers[offset + Limits.StackBytesPerFrame] is >= 0 and var number && (set >> number & 1) != 0;
    }

    private IEnumerable<int> Offsets(ulong set)
    {
        for (; set != 0; set &= set - 1) yield return _offsets[BitOperations.TrailingZeroCount(set)];
    }

    // Backward data flow, as that of registers.
    private void ComputeLiveness()
    {
        var reads = new ulong[_liveIn.Length];
        foreach (var block in _function.Blocks)
        {
            Summarise(block, out reads[block.Index], out _written[block.Index]);
            _accessed[block.Index] = reads[block.Index] | _written[block.Index];
        }
        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = _liveIn.Length - 1; i >= 0; i--)
            {
                var live = 0UL;
                foreach (var next in _function.Blocks[i].Successors) live |= _liveIn[next.Index];
                live = live & ~_written[i] | reads[i];
                changed |= live != _liveIn[i];
                _liveIn[i] = live;
            }
        }
    }

    // What a block reads before it writes it, and what it writes.
    private void Summarise(BasicBlock block, out ulong reads, out ulong writes)
    {
        reads = writes = 0;
        for (var slot = block.Start; slot < block.End && _program.IsReached(slot); slot += _program.Slots(slot))
        {
            var row = _program.Row(slot);
            ref readonly var instruction = ref _program.Instructions.ItemRef(slot);
            var stores = row.Operation == Operation.Store;
            long offset;
            if (stores) offset = _slots.OffsetOf(slot, instruction.Destination) + instruction.Offset;
            else if (row.Operation is Operation.Load or Operation.LoadSignExtend) offset = _slots.OffsetOf(slot, instruction.Source) + instruction.Offset;
            else if (_program.InlinedArray(slot) >= 0) offset = _slots.OffsetOf(slot, 2);
            else continue;
            if (_slots.SizeAt(offset) == 0 || _numbers[offset + Limits.StackBytesPerFrame] is not (>= 0 and var number)) continue;
            if (stores) writes |= 1UL << number;
            else reads |= ~writes & 1UL << number;
        }
    }
}
