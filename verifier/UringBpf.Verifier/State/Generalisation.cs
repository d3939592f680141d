using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// A state that covers two rounds of a loop, and probably the ones to come: bounds that moved go on to the next threshold.
/// Each number that changes from round to round gets an id of its own, by which the termination proof recognises it: the
/// id names what the number was when the head was last met.
/// </summary>
/// <param name="perRegister">Where growing bounds may stop.</param>
/// <param name="newId">Makes ids.</param>
/// <param name="bound">The ids that the general state of the round before gave: they can be given again.</param>
internal sealed class Generalisation(LoopThresholds.PerRegister perRegister, Func<int> newId, IReadOnlySet<int> bound)
{
    private readonly Dictionary<(int, int, long), int> _ids = [];
    private readonly Dictionary<(int, int, long), Value> _buffers = [];
    private readonly Dictionary<int, long?> _shifts = [];
    private ulong[] _thresholds = [];

    /// <summary>The ids that name numbers as they are at this head.</summary>
    public HashSet<int> Bound { get; } = [];

    /// <summary>The general state, or null when the two differ in what they hold (locks, records, iterators).</summary>
    public MachineState? Of(MachineState old, MachineState now)
    {
        if (old.Depth != now.Depth || old.LockId != now.LockId || !old.References.AsSpan().SequenceEqual(now.References)) return null;
        Survey(old, now);
        var general = now.Copy();
        general.BufferRange = Math.Min(old.BufferRange, now.BufferRange);
        for (var index = 0; index < old.Depth; index++)
        {
            if (ReferenceEquals(old[index], now[index])) continue;
            if (old[index].Chain != now[index].Chain || old[index].Callback != now[index].Callback) return null;
            var frame = general.Writable(index);
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (ReferenceEquals(old[index][register], now[index][register])) continue;
                _thresholds = perRegister.Of(index == old.Depth - 1 ? register : -1);
                frame[register] = Join(old[index][register], now[index][register]);
            }
            for (var slot = 0; slot < frame.UsedSlots; slot++)
            {
                _thresholds = perRegister.Of(-1);
                frame.SetSlot(slot, old[index].Slot(slot) is { } a && now[index].Slot(slot) is { } b ? StackSlot.Join(a, b, Join) : null);
            }
        }
        return general;
    }

    private Value? Join(Value? old, Value? now)
    {
        if (old is null || now is null) return null;
        if (ReferenceEquals(old, now)) return now;
        if (old.IsNumber && now.IsNumber) return JoinNumbers(old, now);
        if (old.Kind != now.Kind || old.Detail != now.Detail || old.Reference != now.Reference || old.IsReadOnly != now.IsReadOnly || !ReferenceEquals(old.Map, now.Map))
            return null;
        if (old.Kind == ValueKind.Iterator)
        {
            _thresholds = [(ulong)old.Detail];
            var position = JoinNumbers(old, now);
            return now with { Number = position.Number, Id = position.Id, Offset = position.Offset };
        }
        if (old.Kind == ValueKind.Buffer) return JoinBuffers(old, now);
        if (old.IsMaybeNull)
        {
            if (old.Offset != now.Offset || !old.Number.Equals(now.Number)) return null;
            return now with { Id = Pair(old.Id, now.Id, 0) };
        }
        if (old.Kind is ValueKind.Stack or ValueKind.Context or ValueKind.MapValue or ValueKind.Memory)
        {
            var id = old.Id == now.Id ? now.Id : Pair(old.Id, now.Id, 0);
            if (old.Offset == now.Offset && old.Number.Equals(now.Number)) return now with { Id = id };
            // A pointer that walks an object stops at its end, most often. None goes further than arithmetic lets it.
            var offset = Scalar.Widen(old.TotalOffset, now.TotalOffset, [.. new SortedSet<ulong>([.. _thresholds, .. Ends(now)])]);
            return now with { Id = id, Offset = 0, Number = Scalar.Intersect(offset, Scalar.FromSigned(-Walker.OffsetLimit, Walker.OffsetLimit)) };
        }
        return old.Equals(now) ? now : null;
    }

    private static ulong[] Ends(Value pointer)
    {
        var end = pointer.Kind switch
        {
            ValueKind.MapValue => pointer.Map!.ValueSize,
            ValueKind.Memory => pointer.Detail,
            _ => 0,
        };
        return [(ulong)(end - 1L), (ulong)end];
    }

    private Value JoinNumbers(Value old, Value now)
    {
        var number = Scalar.Widen(old.Number, now.Number, _thresholds);
        if (number.IsConstant) return Value.Of(number);
        var shift = now.Offset - old.Offset;
        // The same unknown in both rounds: it did not change.
        if (old.Id != 0 && old.Id == now.Id && shift == 0)
        {
            if (bound.Contains(old.Id)) Bound.Add(old.Id);
            return now with { Number = number };
        }
        var linked = old.Id != 0 && now.Id != 0;
        // All that the head named so moved alike: the name stays.
        var again = linked && old.Id == now.Id && bound.Contains(old.Id) && _shifts.GetValueOrDefault(old.Id) == shift;
        var id = again ? old.Id : linked ? Pair(old.Id, now.Id, shift) : newId();
        Bound.Add(id);
        return new Value { Kind = ValueKind.Number, Number = number, Id = id, Offset = linked ? old.Offset : 0 };
    }

    // How far the numbers of each given id moved, null where they did not move alike.
    private void Survey(MachineState old, MachineState now)
    {
        foreach (var (place, value) in Place.Numbers(old))
        {
            if (!bound.Contains(value.Id) || place.In(now) is not { } moved || moved.Kind != value.Kind || moved.Id != value.Id) continue;
            var shift = moved.Offset - value.Offset;
            if (!_shifts.TryGetValue(value.Id, out var known)) _shifts.Add(value.Id, shift);
            else if (known != shift) _shifts[value.Id] = null;
        }
    }

    // Data pointers with one id in both rounds keep one: the first of them becomes the common variable part.
    private Value JoinBuffers(Value old, Value now)
    {
        var shift = now.Offset - old.Offset;
        if (old.Id == now.Id && shift == 0)
            return now with { Range = Math.Min(old.Range, now.Range), Number = Scalar.Widen(old.Number, now.Number, _thresholds) };
        if (!_buffers.TryGetValue((old.Id, now.Id, shift), out var first))
        {
            // What is proved of both: how far beyond the common part the data reaches.
            var known = old.Range >= old.Offset && now.Range >= now.Offset ? Math.Min(old.Range - old.Offset, now.Range - now.Offset) : -1;
            var number = Scalar.Widen(old.TotalOffset, now.TotalOffset, _thresholds);
            var most = known >= 0 ? Walker.LargestBuffer : Walker.BufferOffsetLimit;
            number = Scalar.Intersect(number, Scalar.FromSigned(-Walker.BufferOffsetLimit, most));
            first = now with { Id = newId(), Offset = old.Offset, Number = number, Range = known };
            _buffers.Add((old.Id, now.Id, shift), first);
        }
        return first with { Offset = old.Offset - first.Offset };
    }

    // What was one unknown in both rounds is one unknown in general.
    private int Pair(int old, int now, long shift)
    {
        if (!_ids.TryGetValue((old, now, shift), out var id)) _ids.Add((old, now, shift), id = newId());
        return id;
    }
}
