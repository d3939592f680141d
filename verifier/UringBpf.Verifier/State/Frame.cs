namespace UringBpf.Verifier;

/// <summary>
/// One function's registers and stack. States share frames until one of them writes: <see cref="IsShared"/> says that a
/// copy must be made first.
/// </summary>
internal sealed class Frame
{
    /// <summary>r0..r10, and the number of the round in a callback.</summary>
    public const int Registers = 12;

    public const int Round = 11;

    public const int Pointer = 10;

    public const int Slots = 64;

    private RegisterFile _registers;
    private StackSlot?[] _slots;
    private bool _slotsShared;

    /// <param name="function">Index of the function.</param>
    /// <param name="callSite">The slot of the call that made it, or -1.</param>
    /// <param name="chain">Number that stands for the whole chain of call sites.</param>
    public Frame(int function, int callSite, int chain)
    {
        Function = function;
        CallSite = callSite;
        Chain = chain;
        _slots = [];
    }

    private Frame() => _slots = [];

    public int Function { get; private set; }
    public int CallSite { get; private set; }
    public int Chain { get; private set; }

    /// <summary>When the frame runs a callback: what called it; else null.</summary>
    public CallbackRun? Callback { get; set; }

    public bool IsShared { get; set; }

    /// <summary>Slots from the frame's top that may be initialised.</summary>
    public int UsedSlots => _slots.Length;

    /// <summary>A copy that is not shared.</summary>
    /// <param name="room">A frame that nothing needs any more, to be the copy; null for a new one.</param>
    public Frame Copy(Frame? room)
    {
        var copy = room ?? new Frame();
        copy.Function = Function;
        copy.CallSite = CallSite;
        copy.Chain = Chain;
        copy.Callback = Callback;
        copy._registers = _registers;
        copy._slots = _slots;
        copy._slotsShared = _slotsShared = true;
        copy._fresh = IsCounted ? 0 : _fresh;
        (copy.IsShared, copy.IsCounted) = (false, false);
        return copy;
    }

    // What a frame takes with its registers, and a cell with what it holds, in bytes, roughly.
    private const int OwnBytes = 400, CellBytes = 170;

    // Cells written since the frame was made or copied from one that was counted.
    private int _fresh;

    /// <summary>True when what it holds is part of a count already. Such a frame is shared, so nothing is added to it.</summary>
    public bool IsCounted { get; set; }

    /// <summary>What it takes beside the frames it was copied from, in bytes, roughly.</summary>
    public int Bytes => OwnBytes + 8 * _slots.Length + CellBytes * Math.Min(_fresh, _slots.Length);

    public Value? this[int register]
    {
        get => _registers[register];
        set => _registers[register] = value;
    }

    /// <summary>The slot that covers the bytes at -8 × (index + 1).</summary>
    public StackSlot? Slot(int index) => index < _slots.Length ? _slots[index] : null;

    public void SetSlot(int index, StackSlot? slot)
    {
        if (index >= _slots.Length)
        {
            if (slot is null) return;
            Array.Resize(ref _slots, index + 1);
            _slotsShared = false;
        }
        else if (ReferenceEquals(_slots[index], slot))
        {
            return;
        }
        else if (_slotsShared)
        {
            _slots = (StackSlot?[])_slots.Clone();
            _slotsShared = false;
        }
        _slots[index] = slot;
        _fresh++;
    }

    // In the frame itself: a copy is one object.
    [System.Runtime.CompilerServices.InlineArray(Registers)]
    private struct RegisterFile
    {
        private Value? _first;
    }
}
