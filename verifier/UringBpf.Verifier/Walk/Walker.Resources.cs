using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>What a program holds: ring-buffer records, spin locks, open-coded iterators.</summary>
internal sealed partial class Walker
{
    private void ReleaseRecord(HostCall call)
    {
        if (call.Record is not { Reference: not 0 } record) return;
        Release(_state, record.Reference);
        ForgetReference(record.Reference);
    }

    private static void Release(MachineState state, int reference) => state.References = [.. state.References.Where(held => held != reference)];

    private void ForgetReference(int reference) => _state.Rewrite(new ToReleased(reference));

    private readonly struct ToReleased(int reference) : IChange
    {
        public Value? Change(Value value) => value.Reference == reference ? null : value;
    }

    private void ApplyLock(int slot, HostCall call)
    {
        if (call.Lock is not { Kind: ValueKind.MapValue } held) return;
        // A lock in global data has no lookup: its map is its identity.
        var id = held.Id != 0 ? held.Id : int.MaxValue;
        if ((call.Function.Traits & FunctionTraits.Locks) != 0)
        {
            _state.Holdings = _state.Holdings with { LockId = id, LockMap = held.Map };
            return;
        }
        if (_state.LockId == 0) _judge.Reject(Rule.LockMisuse, slot, "a spin lock is released that is not held.", help: "take it with bpf_spin_lock on every path that leads here");
        else if (!ReferenceEquals(_state.LockMap, held.Map) || _state.LockId != id)
            _judge.Reject(Rule.LockMisuse, slot, "another spin lock is released than the one that is held.", help: "release the lock of the value that was locked: keep one pointer to it");
        _state.Holdings = _state.Holdings with { LockId = 0, LockMap = null };
    }

    // True when the call was one of an iterator's, and r0 is set.
    private bool WalkIterator(int slot, HostCall call)
    {
        if (call.Iterator is not { } pointer) return false;
        var kind = call.Function.Arguments[0].Kind;
        if (pointer.Kind != ValueKind.Stack || pointer.OffsetMin != pointer.OffsetMax || pointer.OffsetMin % 8 != 0
            || pointer.OffsetMin is < -Limits.StackBytesPerFrame or > -8)
        {
            throw _judge.Fatal(Rule.IteratorMisuse, slot, $"{call.Function.Name}: the iterator must be an aligned 8-byte variable on the stack; it is {pointer.Noun}.");
        }
        var index = SlotOf(pointer.OffsetMin);
        StackBytes = Math.Max(StackBytes, pointer.Detail * Limits.StackBytesPerFrame + 8 * (index + 1));
        var iterator = _state[pointer.Detail].Slot(index)?.Low is { Kind: ValueKind.Iterator } started ? started : null;
        if (kind == ArgumentKind.IteratorNew)
        {
            if (iterator is not null) _judge.Reject(Rule.IteratorMisuse, slot, $"{call.Function.Name}: the iterator is started already.", help: "call bpf_iter_num_destroy first");
            StartIterator(slot, call, pointer.Detail, index);
            return true;
        }
        if (iterator is null)
            throw _judge.Fatal(Rule.IteratorMisuse, slot, $"{call.Function.Name}: the iterator was not started on this path.", help: "call bpf_iter_num_new first");
        if (kind == ArgumentKind.IteratorDestroy)
        {
            ForgetReference(iterator.Reference);
            _state.Writable(pointer.Detail).SetSlot(index, StackSlot.Data);
            ForgetArguments();
            return true;
        }
        StepIterator(iterator, pointer.Detail, index);
        return true;
    }

    private void StartIterator(int slot, HostCall call, int frame, int index)
    {
        // Numbers that are left: start and end are 32-bit signed.
        var (start, end) = (call.Values[1]!, call.Values[2]!);
        var most = start.IsNumber && end.IsNumber ? Math.Clamp((long)end.Number.SMax32 - start.Number.SMin32, 0, Limits.LoopRounds) : 0;
        var iterator = new Value { Kind = ValueKind.Iterator, Reference = NewId(), Detail = (int)most };
        _state.Writable(frame).SetSlot(index, StackSlot.Whole(iterator));
        var result = Result(slot, call);
        ForgetArguments();
        _state.Set(0, result);
    }

    // Next: NULL, or a number, and then one less is left.
    private void StepIterator(Value iterator, int frame, int index)
    {
        ForgetArguments();
        var ended = Another();
        ended.Set(0, Value.Zero);
        var position = Scalar.Binary(Operation.Add, 64, iterator.Number, Scalar.Constant(1));
        position = Scalar.Intersect(position, Scalar.FromRange(1, (ulong)Math.Max(1, iterator.Detail)));
        if (position.IsEmpty || iterator.Detail == 0)
        {
            _state = ended;
            return;
        }
        Wait(ended, _slot);
        var stepped = iterator with { Number = position, Offset = iterator.Id != 0 ? iterator.Offset + 1 : 0 };
        _state.Writable(frame).SetSlot(index, StackSlot.Whole(stepped));
        _state.Set(0, new Value { Kind = ValueKind.Memory, Detail = 4, IsReadOnly = true, Id = NewId(), Reference = iterator.Reference });
    }

    private void RequireNoIterator(int slot)
    {
        var frame = _state.Top;
        for (var index = 0; index < frame.UsedSlots; index++)
        {
            if (frame.Slot(index)?.Low is { Kind: ValueKind.Iterator })
                _judge.Reject(Rule.IteratorMisuse, slot, "a function ends while an iterator on its stack is started.", help: "call bpf_iter_num_destroy on every path");
        }
    }
}
