using System.Text;

namespace UringBpf.Verifier;

/// <summary>
/// Everything known at one point of the path that is walked. Mutable. Its running frame is its own, but for copies that are
/// made for explaining; the others are shared with kept states until written.
/// </summary>
internal sealed class MachineState : IKnown
{
    // Most states have one frame: an array for the others only. That one is shared by copies, and never written in place.
    private Frame _top;
    private Frame[] _callers;

    /// <summary>A state with one frame.</summary>
    public MachineState(Frame frame) => (_top, _callers) = (frame, []);

    /// <summary>A state to walk on from a kept one.</summary>
    public MachineState(KeptState state) : this(new Frame(state.Activation)) => Become(state);

    /// <summary>What is known beside the frames.</summary>
    public Holdings Holdings { get; set; } = Holdings.None;

    /// <inheritdoc cref="Holdings.References"/>
    public int[] References
    {
        get => Holdings.References;
        set => Holdings = Holdings with { References = value };
    }

    public int LockId => Holdings.LockId;

    public Bytecode.MapSpec? LockMap => Holdings.LockMap;

    /// <inheritdoc cref="Holdings.BufferRange"/>
    public long BufferRange
    {
        get => Holdings.BufferRange;
        set
        {
            if (value != Holdings.BufferRange) Holdings = Holdings with { BufferRange = value };
        }
    }

    public int Depth => _callers.Length + 1;

    /// <summary>The running function's frame, for reading.</summary>
    public Frame Top => _top;

    public Frame this[int frame] => frame == _callers.Length ? _top : _callers[frame];

    /// <summary>A copy, for looking at later: all frames are shared.</summary>
    public MachineState Copy()
    {
        _top.IsShared = true;
        return new(_top) { _callers = ShareCallers(), Holdings = Holdings };
    }

    /// <summary>Makes this state a copy of another. Both can be written to.</summary>
    public void Become(MachineState other)
    {
        (_callers, Holdings) = (other.ShareCallers(), other.Holdings);
        OwnTop(other._top.Activation).Become(other._top);
    }

    /// <summary>Makes this state what a kept one is.</summary>
    public void Become(KeptState state)
    {
        (_callers, Holdings) = (state.Callers, state.Holdings);
        OwnTop(state.Activation).Become(state);
    }

    // A frame to be overwritten.
    private Frame OwnTop(Activation activation) => _top.IsShared ? _top = new(activation) : _top;

    /// <summary>The frames of the callers, which are only read from here on.</summary>
    public Frame[] ShareCallers()
    {
        foreach (var frame in _callers) frame.IsShared = true;
        return _callers;
    }

    /// <summary>Bytes that it takes when it is kept, beside what was counted, roughly.</summary>
    public long UncountedBytes
    {
        get
        {
            long bytes = 100 + 8 * Depth + _top.Bytes;
            foreach (var frame in _callers)
            {
                if (!frame.IsCounted) bytes += frame.Bytes;
            }
            return bytes;
        }
    }

    /// <summary>Counts what it takes, once. It is kept: what is written from here on is written to copies.</summary>
    public long CountBytes()
    {
        var bytes = UncountedBytes;
        _top.CountCells();
        foreach (var frame in _callers) frame.IsShared = frame.IsCounted = true;
        return bytes;
    }

    public void Push(Frame frame)
    {
        _callers = [.. _callers, _top];
        _top = frame;
    }

    public void Pop()
    {
        _top = _callers[^1];
        _callers = _callers[..^1];
    }

    /// <summary>A frame, for writing.</summary>
    public Frame Writable(int frame)
    {
        var current = this[frame];
        if (!current.IsShared) return current;
        current = current.Copy();
        if (frame == _callers.Length) return _top = current;
        _callers = (Frame[])_callers.Clone();
        return _callers[frame] = current;
    }

    public Value? Register(int register) => _top[register];

    Value? IKnown.Register(int frame, int register) => this[frame][register];

    int IKnown.UsedSlots(int frame) => this[frame].UsedSlots;

    StackSlot? IKnown.Slot(int frame, int index) => this[frame].Slot(index);

    public void Set(int register, Value? value)
    {
        if (ReferenceEquals(_top[register], value)) return;
        Writable(_callers.Length)[register] = value;
    }

    /// <summary>Replaces every value, in registers and stack cells of all frames, for which <paramref name="change"/> gives another.</summary>
    public void Rewrite<TChange>(TChange change) where TChange : struct, IChange
    {
        for (var index = 0; index < Depth; index++)
        {
            // Where a copy is written to instead, what follows is the same in it.
            var frame = this[index];
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (frame[register] is not { } value) continue;
                var changed = change.Change(value);
                if (!ReferenceEquals(changed, value)) Writable(index)[register] = changed;
            }
            for (var slot = 0; slot < frame.UsedSlots; slot++)
            {
                if (frame.Slot(slot) is not { Low: { } } and not { High: { } }) continue;
                var cell = frame.Slot(slot)!;
                var low = cell.Low is null ? null : change.Change(cell.Low);
                var high = cell.High is null ? null : change.Change(cell.High);
                if (ReferenceEquals(low, cell.Low) && ReferenceEquals(high, cell.High)) continue;
                // A pointer that is gone leaves nothing that may be read.
                Writable(index).SetSlot(slot, cell.HoldsPointer && low is null ? null : cell.With(low, high));
            }
        }
    }

    /// <summary>Passes on what was learnt of one value to all that hang on the same unknown. False when the state turns out to be impossible.</summary>
    /// <param name="known">What was learnt.</param>
    /// <param name="share">Makes equal numbers one object: see <see cref="EqualValues"/> for where that may be.</param>
    public bool NarrowLinked(Value known, bool share = false)
    {
        // Of a number with a scale, only those that are whole unknowns remain: another scale tells.
        return NarrowLinked(known, share, out var scaled) && (scaled is null || NarrowLinked(scaled, share: false, out _));
    }

    private bool NarrowLinked(Value known, bool share, out Value? scaled)
    {
        // Not a Rewrite: this is done for every comparison of a linked number, and most states hold no other.
        var possible = true;
        scaled = null;
        for (var index = 0; index < Depth; index++)
        {
            // Where a copy is written to instead, what follows is the same in it.
            var frame = this[index];
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (frame[register] is not { } value || !IsLinked(value, known)) continue;
                if (Narrowed(value, known, share, ref possible, ref scaled) is var narrowed && !ReferenceEquals(narrowed, value)) Writable(index)[register] = narrowed;
            }
            for (var slot = 0; slot < frame.UsedSlots; slot++)
            {
                if (frame.Slot(slot) is not { } cell) continue;
                var low = cell.Low is { } first && IsLinked(first, known) ? Narrowed(first, known, share, ref possible, ref scaled) : cell.Low;
                var high = cell.High is { } second && IsLinked(second, known) ? Narrowed(second, known, share, ref possible, ref scaled) : cell.High;
                if (cell.With(low, high) is var changed && !ReferenceEquals(changed, cell)) Writable(index).SetSlot(slot, changed);
            }
        }
        return possible;
    }

    private static bool IsLinked(Value value, Value known) =>
        value.Link.Id == known.Link.Id && value.Kind != ValueKind.Iterator && !ReferenceEquals(value, known);

    private static Value Narrowed(Value value, Value known, bool share, ref bool possible, ref Value? scaled)
    {
        var link = value.Link;
        var number = Scalar.Intersect(value.Number, known.Link.Implies(known.Number, link));
        if (number.IsEmpty) possible = false;
        var narrowed = number.Equals(value.Number) ? value : share && known.Is(value, number) ? known : value with { Number = number };
        if (link.Scale != known.Scale) scaled = narrowed;
        return narrowed;
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        for (var index = 0; index < Depth; index++)
        {
            if (index > 0) text.Append(" | ");
            for (var register = 0; register < Frame.Pointer; register++)
            {
                if (this[index][register] is { } value) text.Append($"r{register}={value} ");
            }
            for (var slot = 0; slot < this[index].UsedSlots; slot++)
            {
                if (this[index].Slot(slot) is { } cell) text.Append($"fp{-8 * (slot + 1)}={cell} ");
            }
        }
        return text.ToString().TrimEnd();
    }
}

/// <summary>What <see cref="MachineState.Rewrite"/> makes of each value: the same one, another, or null for one that is gone.</summary>
internal interface IChange
{
    Value? Change(Value value);
}
