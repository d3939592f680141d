using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Records, locks, iterators and callbacks: what a program holds, and what holds a program.</summary>
internal sealed partial class Walker
{
    private void ReleaseRecord(HostCall call)
    {
        if (call.Record is not { Reference: not 0 } record) return;
        var reference = record.Reference;
        _state.References = [.. _state.References.Where(held => held != reference)];
        _state.Rewrite(value => value.Reference == reference ? null : value);
    }

    private void ApplyLock(int slot, HostCall call)
    {
        if (call.Lock is not { Kind: ValueKind.MapValue } held) return;
        if ((call.Function.Traits & FunctionTraits.Locks) != 0)
        {
            // A lock in global data has no lookup: its map is its identity.
            _state.LockId = held.Id != 0 ? held.Id : int.MaxValue;
            _state.LockMap = held.Map;
            return;
        }
        if (_state.LockId == 0) _judge.Reject(Rule.LockMisuse, slot, "a spin lock is released that is not held.");
        else if (!ReferenceEquals(_state.LockMap, held.Map) || _state.LockId != (held.Id != 0 ? held.Id : int.MaxValue))
            _judge.Reject(Rule.LockMisuse, slot, "another spin lock is released than the one that is held.");
        _state.LockId = 0;
        _state.LockMap = null;
    }

    private void ApplyIterator(int slot, HostCall call, out Value? result)
    {
        result = null;
        if (call.Iterator is null) return;
        throw _judge.Fatal(Rule.IteratorMisuse, slot, $"{call.Function.Name}: open-coded iterators are not understood yet.");
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

    private void StartCallback(int slot, HostCall call) =>
        throw _judge.Fatal(Rule.CallbackFunction, slot, $"{call.Function.Name}: callbacks are not understood yet.");

    private void EndCallbackRound(int slot, Frame frame, Value result) =>
        throw _judge.Fatal(Rule.CallbackReturn, slot, $"function {frame.Function} returns {result} from a callback.");
}
