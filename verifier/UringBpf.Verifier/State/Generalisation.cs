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

    // What constants that moved hang on: a round is so many of the unknown's steps, from where it started.
    private long _step;
    private long _start;
    private int _constants;

    /// <summary>The ids that name numbers as they are at this head.</summary>
    public HashSet<int> Bound { get; } = [];

    /// <summary>The general state, or null when the two differ in what they hold (locks, records, iterators).</summary>
    public MachineState? Of(MachineState old, MachineState now)
    {
        if (old.Depth != now.Depth || old.LockId != now.LockId || !old.References.AsSpan().SequenceEqual(now.References)) return null;
        Survey(old, now);
        SurveyConstants(old, now);
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
        return Tighten(general) ? general : null;
    }

    // What hangs together was widened one by one; the narrowest decides.
    private static bool Tighten(MachineState general)
    {
        for (var index = 0; index < general.Depth; index++)
        {
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (general[index][register] is { Link.Id: not 0 } value && !general.NarrowLinked(value)) return false;
            }
        }
        return true;
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
            return now with { Number = position.Number, Id = position.Id, Scale = position.Scale, Offset = position.Offset };
        }
        if (old.Kind == ValueKind.Buffer) return JoinBuffers(old, now);
        if (old.IsMaybeNull)
        {
            if (old.Offset != now.Offset || !old.Number.Equals(now.Number)) return null;
            return now with { Id = Pair(old.Id, now.Id, 0) };
        }
        if (old.Kind is ValueKind.Stack or ValueKind.Context or ValueKind.MapValue or ValueKind.Memory)
        {
            return JoinPointers(old, now);
        }
        return old.Equals(now) ? now : null;
    }

    private Value JoinPointers(Value old, Value now)
    {
        var id = old.Id == now.Id ? now.Id : Pair(old.Id, now.Id, 0);
        if (old.Offset == now.Offset && old.Number.Equals(now.Number) && old.Link == now.Link) return now with { Id = id };
        // A pointer that walks an object stops at its end, most often. None goes further than arithmetic lets it.
        var offset = Scalar.Widen(old.TotalOffset, now.TotalOffset, [.. new SortedSet<ulong>([.. _thresholds, .. Ends(now)])]);
        offset = Scalar.Intersect(offset, Scalar.FromSigned(-Walker.OffsetLimit, Walker.OffsetLimit));
        var link = JoinLinks(old.TotalLink, old.TotalOffset, now.TotalLink, now.TotalOffset, offset);
        return now with { Id = id, Offset = 0, Number = offset, LinkId = link.Id, Scale = link.Scale, LinkOffset = link.Offset };
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
        var link = JoinLinks(old.Link, old.Number, now.Link, now.Number, number);
        if (link.Id == 0) link = new(newId(), 1, 0);
        // An unknown that did not change and had its name from elsewhere does not count rounds.
        if (link != old.Link || link != now.Link || bound.Contains(link.Id)) Bound.Add(link.Id);
        return new Value { Kind = ValueKind.Number, Number = number, Id = link.Id, Scale = link.Scale, Offset = link.Offset };
    }

    // What a joined number hangs on: the unknown of both rounds, or one that stands for both. None, where it must be a new one.
    private Link JoinLinks(Link old, in Scalar oldNumber, Link now, in Scalar nowNumber, in Scalar joined)
    {
        if (!old.Bears(joined)) return Link.None;
        if (old.Id != 0 && now.Id != 0)
        {
            if (old == now) return now;
            if (old.DistanceTo(now) is not { } shift) return Link.None;
            // All that the head named so moved alike: the name stays.
            var again = old.Id == now.Id && bound.Contains(old.Id) && _shifts.GetValueOrDefault(old.Id) == shift;
            return old with { Id = again ? old.Id : Pair(old.Id, now.Id, shift) };
        }
        if (!oldNumber.IsConstant || !nowNumber.IsConstant || _step == 0) return Link.None;
        var (start, moved) = ((long)oldNumber.Value, (long)(nowNumber.Value - oldNumber.Value));
        if (!IsFollowed(start, moved) || moved % _step != 0) return Link.None;
        var scale = moved / _step;
        var link = new Link(0, (int)scale, start - scale * _start);
        if (Math.Abs(scale) > Link.ScaleLimit || Math.Abs(link.Offset) > Link.OffsetLimit || !link.Bears(joined)) return Link.None;
        if (_constants == 0) _constants = newId();
        return link with { Id = _constants };
    }

    private static bool IsFollowed(long start, long moved) =>
        moved != 0 && start is >= -Link.OffsetLimit and <= Link.OffsetLimit && moved is >= -Link.OffsetLimit and <= Link.OffsetLimit;

    // The constants that moved: their greatest common step, and the first number that makes it, after which the unknown is counted.
    private void SurveyConstants(MachineState old, MachineState now)
    {
        foreach (var (before, after) in Moves(old, now))
        {
            var (start, moved) = ((long)before.Value, (long)(after.Value - before.Value));
            if (IsFollowed(start, moved)) _step = CommonDivisor(_step, Math.Abs(moved));
        }
        foreach (var (before, after) in Moves(old, now))
        {
            var (start, moved) = ((long)before.Value, (long)(after.Value - before.Value));
            if (!IsFollowed(start, moved) || Math.Abs(moved) != _step) continue;
            (_step, _start) = (moved, start);
            return;
        }
    }

    private static long CommonDivisor(long a, long b)
    {
        while (b != 0) (a, b) = (b, a % b);
        return a;
    }

    private static IEnumerable<(Scalar Before, Scalar After)> Moves(MachineState old, MachineState now)
    {
        for (var index = 0; index < old.Depth; index++)
        {
            if (ReferenceEquals(old[index], now[index])) continue;
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (Move(old[index][register], now[index][register]) is { } move) yield return move;
            }
            for (var slot = 0; slot < now[index].UsedSlots; slot++)
            {
                if (old[index].Slot(slot) is not { } a || now[index].Slot(slot) is not { } b) continue;
                if (Move(a.Low, b.Low) is { } low && a.LowSize == b.LowSize) yield return low;
                if (Move(a.High, b.High) is { } high && a.HighSize == b.HighSize) yield return high;
            }
        }

        static (Scalar, Scalar)? Move(Value? a, Value? b)
        {
            if (a is null || b is null || ReferenceEquals(a, b) || a.Kind != b.Kind) return null;
            var (before, after) = a.Kind switch
            {
                ValueKind.Number or ValueKind.Iterator => (a.Number, b.Number),
                ValueKind.Stack or ValueKind.Context or ValueKind.MapValue or ValueKind.Memory => (a.TotalOffset, b.TotalOffset),
                _ => (Scalar.Unknown, Scalar.Unknown),
            };
            return before.IsConstant && after.IsConstant && before.Value != after.Value ? (before, after) : null;
        }
    }

    // How far the numbers of each given id moved, null where they did not move alike.
    private void Survey(MachineState old, MachineState now)
    {
        foreach (var (place, value) in Place.Numbers(old))
        {
            if (!bound.Contains(value.Id) || place.In(now) is not { } moved || moved.Kind != value.Kind || moved.Id != value.Id) continue;
            var shift = value.Link.DistanceTo(moved.Link);
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
            var known = old.Range >= Math.Max(0, old.Offset) && now.Range >= Math.Max(0, now.Offset) ? Math.Min(old.Range - old.Offset, now.Range - now.Offset) : -1;
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
