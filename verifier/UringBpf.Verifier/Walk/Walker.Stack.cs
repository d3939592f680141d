using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>The stack: byte by byte, with spilled values.</summary>
internal sealed partial class Walker
{
    // The bytes an access may touch, checked; null when a check that failed is switched off.
    private (long Low, long High)? StackRange(int slot, Value pointer, long displacement, long size, bool writes, ArgumentName argument = default)
    {
        var (low, high) = (pointer.OffsetMin + displacement, pointer.OffsetMax + displacement);
        if (low < -Limits.StackBytesPerFrame || high + size > 0)
        {
            _judge.Reject(Rule.StackBounds, slot, $"{(argument.IsArgument ? argument : writes ? "write" : "read")} of {size} bytes of stack at offset {At(pointer, displacement)}.",
                $"the frame is {-Limits.StackBytesPerFrame}..-1", "check the index against the array's size, or keep less on the stack (512 bytes per function)");
            return null;
        }
        return (low, high);
    }

    private Value? LoadStack(int slot, Value pointer, int displacement, int size)
    {
        if (StackRange(slot, pointer, displacement, size, writes: false) is not var (low, high)) return null;
        StackFact(slot, pointer, low, high);
        var frame = _state[pointer.Detail];
        if (low == high)
        {
            var index = SlotOf(low);
            var start = (int)(low + 8 * (index + 1));
            var cell = frame.Slot(index);
            if (cell is null || !cell.IsInitialized(start, size))
            {
                Uninitialized(slot, low, size);
                return null;
            }
            if (cell.HoldsPointer && size != 8 || cell.Low is { Kind: ValueKind.Iterator })
            {
                PartOfPointer(slot, cell.Low!);
                return null;
            }
            return cell.Load(start, size);
        }
        RequireStackData(slot, frame, low, high + size, allowPointers: false);
        return null;
    }

    private void Uninitialized(int slot, long offset, long size, ArgumentName argument = default, string why = "") =>
        _judge.Reject(Rule.UninitializedStack, slot,
            $"{(argument.IsArgument ? $"{argument} reads" : "read of")} {size} bytes of stack at offset {offset}, not all of which were written on this path.", why,
            help: "initialise the variable on every path, padding included: `struct s x = {}` or __builtin_memset");

    private void PartOfPointer(int slot, Value value) =>
        _judge.Reject(Rule.PartialPointer, slot, $"bytes of {value.Noun} on the stack are read as a number: that would show an address.", help: "read the variable whole, as the pointer that it is");

    // All bytes initialised, none part of a pointer.
    private void RequireStackData(int slot, Frame frame, long low, long end, bool allowPointers, ArgumentName argument = default)
    {
        for (var at = low; at < end;)
        {
            var index = SlotOf(at);
            var start = (int)(at + 8 * (index + 1));
            var size = (int)Math.Min(8 - start, end - at);
            var cell = frame.Slot(index);
            if (cell is null || !cell.IsInitialized(start, size))
            {
                var missing = start;
                while (cell?.IsInitialized(missing, 1) == true) missing++;
                Uninitialized(slot, argument.IsArgument ? low : at, argument.IsArgument ? end - low : size, argument,
                    argument.IsArgument ? $"byte {at + missing - start - low} of them was not" : "");
                return;
            }
            if (cell.HoldsPointer && (!allowPointers || cell.Low!.Kind == ValueKind.Iterator))
            {
                PartOfPointer(slot, cell.Low!);
                return;
            }
            at += size;
        }
    }

    private void StoreStack(int slot, Value pointer, int displacement, int size, Value value)
    {
        if (StackRange(slot, pointer, displacement, size, writes: true) is not var (low, high)) return;
        StackFact(slot, pointer, low, high);
        if (value.IsPointer)
        {
            if (size != 8 || low != high)
            {
                _judge.Reject(Rule.PointerStored, slot, $"{value.Noun} is stored on the stack in {size} bytes at offset {At(pointer, displacement)}: pointers are stored whole, at a known place.");
                return;
            }
            if (value.Kind == ValueKind.Stack && value.Detail > pointer.Detail)
            {
                _judge.Reject(Rule.PointerToInnerFrame, slot, "a pointer to this function's stack is stored in its caller's stack, which outlives it.",
                    help: "let the caller own the variable");
                return;
            }
        }
        if (low == high)
        {
            WriteBytes(pointer.Detail, low, size, value);
            return;
        }
        MayWriteBytes(pointer.Detail, low, high + size);
    }

    private void WriteBytes(int frameIndex, long low, int size, Value value)
    {
        var index = SlotOf(low);
        var start = (int)(low + 8 * (index + 1));
        DropIterator(frameIndex, index);
        if (size < 8 && value.Number.UMax >> (8 * size) != 0) value = Made(value.Number.Truncate(8 * size));
        _state.Writable(frameIndex).SetSlot(index, StackSlot.Store(_state[frameIndex].Slot(index), start, size, value));
    }

    // Some of these bytes may be written: what was initialised stays so, and nothing is known of it.
    private void MayWriteBytes(int frameIndex, long low, long end)
    {
        for (var at = low; at < end;)
        {
            var index = SlotOf(at);
            var start = (int)(at + 8 * (index + 1));
            var size = (int)Math.Min(8 - start, end - at);
            DropIterator(frameIndex, index);
            _state.Writable(frameIndex).SetSlot(index, StackSlot.MayStore(_state[frameIndex].Slot(index), start, size));
            at += size;
        }
    }

    // These bytes are written with numbers nobody knows.
    private void FillBytes(int frameIndex, long low, long end)
    {
        for (var at = low; at < end;)
        {
            var index = SlotOf(at);
            var start = (int)(at + 8 * (index + 1));
            var size = (int)Math.Min(8 - start, end - at);
            DropIterator(frameIndex, index);
            _state.Writable(frameIndex).SetSlot(index, StackSlot.Store(_state[frameIndex].Slot(index), start, size, null));
            at += size;
        }
    }

    private void DropIterator(int frameIndex, int index)
    {
        if (_state[frameIndex].Slot(index)?.Low is { Kind: ValueKind.Iterator })
        {
            _judge.Reject(Rule.IteratorMisuse, _lastSlot, "a started iterator is overwritten.", help: "call bpf_iter_num_destroy first");
        }
    }

    private void StackFact(int slot, Value pointer, long low, long high)
    {
        Fact(slot, pointer.Detail == _state.Depth - 1 ? RegionKind.Stack : RegionKind.OuterStack, -1, low, high);
        var depth = (int)(pointer.Detail * Limits.StackBytesPerFrame - low);
        if (depth > StackBytes) StackBytes = depth;
    }

    private static int SlotOf(long offset) => (int)((-offset - 1) / 8);
}
