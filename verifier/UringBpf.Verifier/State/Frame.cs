namespace UringBpf.Verifier;

/// <summary>
/// One function's registers and stack, of a state that is walked. States share frames until one of them writes:
/// <see cref="IsShared"/> says that a copy must be made first.
/// </summary>
internal sealed class Frame(Activation activation)
{
    /// <summary>r0..r10, and the number of the round in a callback.</summary>
    public const int Registers = 12;

    public const int Round = 11;

    public const int Pointer = 10;

    public const int Slots = 64;

    private RegisterFile _registers;

    // The frame's own, with room to grow: those from _used on are null.
    private StackSlot?[] _slots = [];
    private int _used;

    // What kept states have of the slots, while they are the same: never written to.
    private StackSlot?[]? _kept;

    /// <summary>What it is a frame of.</summary>
    public Activation Activation { get; private set; } = activation;

    public int Function => Activation.Function;
    public int CallSite => Activation.CallSite;
    public int Chain => Activation.Chain;
    public CallbackRun? Callback => Activation.Callback;

    public bool IsShared { get; set; }

    /// <summary>Slots from the frame's top that may be initialised.</summary>
    public int UsedSlots => _used;

    /// <summary>A copy that is not shared.</summary>
    public Frame Copy()
    {
        var copy = new Frame(Activation);
        copy.Become(this);
        return copy;
    }

    /// <summary>Makes this frame, which must not be shared, a copy of another.</summary>
    public void Become(Frame other)
    {
        Activation = other.Activation;
        _registers = other._registers;
        Use(other._used);
        Array.Copy(other._slots, _slots, _used);
        _kept = other._kept;
        _fresh = other.IsCounted ? 0 : other._fresh;
        IsCounted = false;
    }

    /// <summary>Makes this frame, which must not be shared, the running one of a kept state.</summary>
    public void Become(KeptState state)
    {
        Activation = state.Activation;
        _registers = default;
        var place = 0;
        for (var live = state.Live; live != 0; live &= live - 1) _registers[System.Numerics.BitOperations.TrailingZeroCount(live)] = state.Held(place++);
        _registers[Pointer] = Activation.FramePointer;
        Use(state.UsedSlots);
        for (var index = state.SlotCount - 1; index >= 0; index--) _slots[index] = state.Cells(index);
        _kept = state.Slots.Length > 0 ? state.Slots : null;
        _fresh = state.FreshSlots;
        IsCounted = false;
    }

    // So many slots are in use, and hold nothing yet.
    private void Use(int count)
    {
        if (count > _slots.Length) _slots = new StackSlot?[count];
        else Array.Clear(_slots, 0, _used);
        _used = count;
    }

    // What a frame takes with its registers, and a cell with what it holds, in bytes, roughly.
    private const int OwnBytes = 400, CellBytes = 170;

    // Cells written since the frame was made or copied from one that was counted.
    private int _fresh;

    /// <summary>Cells written since they were counted; as many as there can be at most.</summary>
    public int FreshSlots => IsCounted ? 0 : Math.Min(_fresh, Slots);

    /// <summary>True when what it holds is part of a count already. Such a frame is shared, so nothing is added to it.</summary>
    public bool IsCounted { get; set; }

    /// <summary>What it takes, beside the cells that were counted, in bytes, roughly.</summary>
    public int Bytes => OwnBytes + 8 * _used + CellBytes * Math.Min(FreshSlots, _used);

    /// <summary>Its cells are part of a count from here on.</summary>
    public void CountCells() => _fresh = 0;

    public Value? this[int register]
    {
        get => _registers[register];
        set => _registers[register] = value;
    }

    /// <summary>The slot that covers the bytes at -8 × (index + 1).</summary>
    public StackSlot? Slot(int index) => index < _used ? _slots[index] : null;

    public void SetSlot(int index, StackSlot? slot)
    {
        if (index >= _used)
        {
            if (slot is null) return;
            if (index >= _slots.Length) Array.Resize(ref _slots, index + 1);
            _used = index + 1;
        }
        else if (ReferenceEquals(_slots[index], slot))
        {
            return;
        }
        _slots[index] = slot;
        _kept = null;
        _fresh++;
    }

    /// <summary>The slots up to the last that holds something, in an array that nothing writes to; or the only one that does, and how many lie before it.</summary>
    public StackSlot?[] KeptSlots(out StackSlot? only, out byte before)
    {
        (only, before) = (null, 0);
        if (_kept is not null) return _kept;
        var (first, count) = (0, _used);
        while (count > 0 && _slots[count - 1] is null) count--;
        if (count == 0) return [];
        while (_slots[first] is null) first++;
        if (first < count - 1) return _kept = _slots[..count];
        (only, before) = (_slots[first], (byte)first);
        return [];
    }

    // In the frame itself: a copy is one object.
    [System.Runtime.CompilerServices.InlineArray(Registers)]
    private struct RegisterFile
    {
        private Value? _first;
    }
}
