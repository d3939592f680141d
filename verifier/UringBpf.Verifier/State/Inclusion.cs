using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// The one predicate of pruning: every concrete state of the new path is among those of the old one, so walking on
/// finds nothing new. Ids are names: they are matched up as the values are compared.
/// </summary>
internal sealed class Inclusion
{
    // The names of the old state, with what each is in the new one: a hash table in which a name is there when its round is this comparison's.
    private (int Old, int New, long Shift, int Round)[] _ids = new (int, int, long, int)[64];
    private int _named;
    private int _round;
    private int _nameless;

    /// <summary>The register in which the last comparison of two running frames differed, or -1.</summary>
    public int Difference { get; private set; }

    public bool Includes(KeptState old, MachineState now)
    {
        var (held, holds) = (old.Holdings, now.Holdings);
        if (old.Depth != now.Depth || held.References.Length != holds.References.Length || (held.LockId == 0) != (holds.LockId == 0)
            || !ReferenceEquals(held.LockMap, holds.LockMap) || held.BufferRange > holds.BufferRange)
        {
            return false;
        }
        Difference = -1;
        Forget();
        _nameless = 0;
        for (var index = 0; index < held.References.Length; index++)
        {
            if (!Same(held.References[index], holds.References[index])) return false;
        }
        if (held.LockId != 0 && !Same(held.LockId, holds.LockId)) return false;
        if (!IncludesTop(old, now.Top)) return false;
        for (var index = old.Callers.Length - 1; index >= 0; index--)
        {
            var caller = old.Callers[index];
            if (!(ReferenceEquals(caller, now[index]) ? Identify(caller) : Includes(caller, now[index]))) return false;
        }
        return true;
    }

    /// <summary>True when a register alone shows that the running frame of <paramref name="old"/> does not include the other.</summary>
    public bool Differs(KeptState old, MachineState now, int register)
    {
        Forget();
        return !Includes(old.Register(register), now.Top[register]);
    }

    private static bool AreAlike(Activation old, Activation now) =>
        ReferenceEquals(old, now) || old.Chain == now.Chain && old.Function == now.Function && old.Callback == now.Callback;

    private bool IncludesTop(KeptState old, Frame now)
    {
        if (!AreAlike(old.Activation, now.Activation)) return false;
        // What the old path found unreadable it did not read, and the frame pointers of functions that were called alike are alike.
        var place = 0;
        for (var live = old.Live; live != 0; live &= live - 1)
        {
            var register = System.Numerics.BitOperations.TrailingZeroCount(live);
            if (Includes(old.Held(place++), now[register])) continue;
            Difference = register;
            return false;
        }
        for (var slot = Math.Max(old.SlotCount, now.UsedSlots) - 1; slot >= 0; slot--)
        {
            if (!Includes(old.Cells(slot), now.Slot(slot))) return false;
        }
        return true;
    }

    private bool Includes(Frame old, Frame now)
    {
        if (!AreAlike(old.Activation, now.Activation)) return false;
        for (var register = 0; register < Frame.Registers; register++)
        {
            if (!Includes(old[register], now[register])) return false;
        }
        for (var slot = Math.Max(old.UsedSlots, now.UsedSlots) - 1; slot >= 0; slot--)
        {
            if (!Includes(old.Slot(slot), now.Slot(slot))) return false;
        }
        return true;
    }

    // A frame both share includes itself if its ids have not been matched to others already.
    private bool Identify(Frame frame)
    {
        for (var register = 0; register < Frame.Registers; register++)
        {
            if (frame[register] is { } value && !Identify(value)) return false;
        }
        for (var slot = 0; slot < frame.UsedSlots; slot++)
        {
            if (frame.Slot(slot) is not { } cell) continue;
            if (cell.Low is { } low && !Identify(low)) return false;
            if (cell.High is { } high && !Identify(high)) return false;
        }
        return true;
    }

    private bool Identify(Value value) =>
        (value.Reference == 0 || Same(value.Reference, value.Reference))
        && (value.Id == 0 || value.IsNumber && value.Number.IsConstant || Same(value.Id, value.Id))
        && (value.LinkId == 0 || value.Number.IsConstant || Same(value.LinkId, value.LinkId));

    private bool Includes(StackSlot? old, StackSlot? now)
    {
        // A started iterator has to be ended, whether it is looked at again or not.
        if (old is null) return now is not { Low.Kind: ValueKind.Iterator };
        if (now is null) return false;
        if (old.HoldsPointer || now.HoldsPointer)
            return old.HoldsPointer && now.HoldsPointer && Includes(old.Low, now.Low);
        if ((old.Initialized & ~now.Initialized) != 0) return false;
        return (old.Low is null || now.Load(0, old.LowSize) is { } low && Includes(old.Low, low))
            && (old.High is null || now.Load(4, old.HighSize) is { } high && Includes(old.High, high));
    }

    private bool Includes(Value? old, Value? now)
    {
        // What the old path found unreadable it did not read.
        if (old is null) return true;
        if (now is null) return false;
        if (old.Kind != now.Kind) return false;
        if (old.IsNumber)
        {
            if (!ReferenceEquals(old, now) && !old.Number.Includes(now.Number)) return false;
            return Hangs(old.Link, old.Number, now.Link, now.Number);
        }
        if (old.Kind == ValueKind.Iterator)
        {
            return old.Detail == now.Detail && Same(old.Reference, now.Reference) && old.Number.Includes(now.Number)
                && Hangs(old.Link, old.Number, now.Link, now.Number);
        }
        if (old.Kind == ValueKind.Buffer) return IncludesBuffer(old, now);
        if (old.Detail != now.Detail || old.IsReadOnly != now.IsReadOnly || !ReferenceEquals(old.Map, now.Map)
            || (old.Reference != 0) != (now.Reference != 0))
        {
            return false;
        }
        return (old.Reference == 0 || Same(old.Reference, now.Reference))
            && (old.Id == now.Id && old.Id == 0 || old.Id != 0 && now.Id != 0 && Same(old.Id, now.Id))
            && (old.Offset == now.Offset ? old.Number.Includes(now.Number) : old.TotalOffset.Includes(now.TotalOffset))
            && (old.LinkId == 0 || Hangs(old.TotalLink, old.TotalOffset, now.TotalLink, now.TotalOffset));
    }

    // The variable parts may be cut differently: the new one is as far from the old one as the fixed parts differ, for all
    // pointers that share it, and what is known to exist counts from there.
    private bool IncludesBuffer(Value old, Value now)
    {
        var shift = now.Offset - old.Offset;
        if (old.Id == 0) return now.Id == 0 && shift == 0 && old.Range <= now.Range;
        if (old.Range >= 0 && (now.Range < 0 || old.Range > now.Range - shift)) return false;
        return Same(old.Id, now.Id, shift)
            && old.Number.Includes(Scalar.Binary(Operation.Add, 64, now.Number, Scalar.Constant((ulong)shift)));
    }

    // What hangs on one unknown in the old state must do so in the new one: for some unknown, which the whole distances
    // between the links determine.
    private bool Hangs(Link old, in Scalar oldNumber, Link now, in Scalar nowNumber)
    {
        // A link between constants says nothing that they do not say themselves.
        if (old.Id == 0 || oldNumber.IsConstant) return true;
        if (old.Bears(nowNumber))
        {
            if (now.Id != 0 && old.DistanceTo(now) is { } distance) return Same(old.Id, now.Id, distance);
            // A constant is any unknown's value: here, of the unknown 0.
            if (nowNumber.IsConstant && old.DistanceTo(new(0, old.Scale, (long)nowNumber.Value)) is { } value) return Same(old.Id, 0, value);
        }
        // A number without a link is linked to nothing, so each one gets a name of its own.
        return Same(old.Id, --_nameless);
    }

    // For linked numbers, the new link must be at the same distance everywhere too.
    private bool Same(int old, int now, long shift = 0)
    {
        if (2 * _named >= _ids.Length) Grow();
        for (var at = old; ; at++)
        {
            ref var known = ref _ids[at & (_ids.Length - 1)];
            if (known.Round != _round)
            {
                known = (old, now, shift, _round);
                _named++;
                return true;
            }
            if (known.Old == old) return known.New == now && known.Shift == shift;
        }
    }

    private void Forget()
    {
        _named = 0;
        if (++_round != 0) return;
        // It went round: nothing that was there may look new.
        Array.Clear(_ids);
        _round = 1;
    }

    private void Grow()
    {
        var known = _ids;
        _ids = new (int, int, long, int)[2 * known.Length];
        foreach (var name in known)
        {
            if (name.Round != _round) continue;
            var at = name.Old & (_ids.Length - 1);
            while (_ids[at].Round == _round) at = (at + 1) & (_ids.Length - 1);
            _ids[at] = name;
        }
    }
}
