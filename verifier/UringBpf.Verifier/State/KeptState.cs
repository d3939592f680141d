using System.Numerics;

namespace UringBpf.Verifier;

/// <summary>
/// A state as it was at one point of a path: what a walk goes on from, or is compared with. Nothing changes it while it is
/// kept. There are as many of these as of anything, so it has only the registers and slots that hold something, and most of
/// them in itself.
/// </summary>
internal class KeptState : IKnown
{
    private ushort _live;
    private byte _used;
    private byte _fresh;

    // Of a slot that alone holds something: how many lie before it.
    private byte _before;

    // The registers' values, in order.
    private Value? _first, _second, _third;
    private Value[]? _others;
    private StackSlot? _only;

    /// <summary>Keeps a state, which goes on being written to.</summary>
    public KeptState(MachineState state) => Keep(state);

    /// <summary>Keeps another state in the place of one that nothing needs any more.</summary>
    [System.Diagnostics.CodeAnalysis.MemberNotNull(nameof(Activation), nameof(Callers), nameof(Holdings), nameof(Slots))]
    protected void Keep(MachineState state)
    {
        var top = state.Top;
        (Activation, Callers, Holdings) = (top.Activation, state.ShareCallers(), state.Holdings);
        (_used, _fresh) = ((byte)top.UsedSlots, (byte)top.FreshSlots);
        Slots = top.KeptSlots(out _only, out _before);
        KeepRegisters(top);
    }

    private void KeepRegisters(Frame top)
    {
        _live = 0;
        (_first, _second, _third, _others) = (null, null, null, null);
        var count = 0;
        for (var register = 0; register < Frame.Registers; register++)
        {
            if (register == Frame.Pointer || top[register] is not { } value) continue;
            _live |= (ushort)(1 << register);
            if (count == 0) _first = value;
            else if (count == 1) _second = value;
            else if (count == 2) _third = value;
            else (_others ??= new Value[Others(top, register)])[count - 3] = value;
            count++;
        }
    }

    private static int Others(Frame top, int register)
    {
        var count = 0;
        for (; register < Frame.Registers; register++)
        {
            if (register != Frame.Pointer && top[register] is not null) count++;
        }
        return count;
    }

    /// <summary>What the running function's frame is of.</summary>
    public Activation Activation { get; private set; }

    /// <summary>The other frames: shared, so that states which are walked write to copies.</summary>
    public Frame[] Callers { get; private set; }

    public Holdings Holdings { get; private set; }

    /// <summary>The running function's slots, to the last that holds something; empty where at most one does. Not to be written to.</summary>
    public StackSlot?[] Slots { get; private set; }

    /// <summary>The running function's slots up to the last that holds something.</summary>
    public int SlotCount => _only is null ? Slots.Length : _before + 1;

    /// <summary>Slots of the running function that may have been in use.</summary>
    public int UsedSlots => _used;

    /// <summary>Cells of the running function written since they were counted.</summary>
    public int FreshSlots => _fresh;

    public int Depth => Callers.Length + 1;

    /// <summary>A register of the running function.</summary>
    public Value? Register(int register)
    {
        if (register == Frame.Pointer) return Activation.FramePointer;
        if ((_live >> register & 1) == 0) return null;
        return Held(BitOperations.PopCount(_live & ((1u << register) - 1)));
    }

    /// <summary>The running function's registers that hold something, r10 aside: one bit each.</summary>
    public uint Live => _live;

    /// <summary>What the registers of <see cref="Live"/> hold, in order.</summary>
    public Value Held(int place) => place switch
    {
        0 => _first!,
        1 => _second!,
        2 => _third!,
        _ => _others![place - 3],
    };

    /// <summary>A slot of the running function.</summary>
    public StackSlot? Cells(int index) => index < Slots.Length ? Slots[index] : index == _before ? _only : null;

    Value? IKnown.Register(int frame, int register) => frame == Callers.Length ? Register(register) : Callers[frame][register];

    int IKnown.UsedSlots(int frame) => frame == Callers.Length ? SlotCount : Callers[frame].UsedSlots;

    StackSlot? IKnown.Slot(int frame, int index) => frame == Callers.Length ? Cells(index) : Callers[frame].Slot(index);
}
