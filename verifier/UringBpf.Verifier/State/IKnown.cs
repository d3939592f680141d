namespace UringBpf.Verifier;

/// <summary>The registers and stack cells of a state, for reading: of one that is walked, or one that is kept.</summary>
internal interface IKnown
{
    /// <summary>Frames.</summary>
    int Depth { get; }

    /// <summary>A register of a frame.</summary>
    Value? Register(int frame, int register);

    /// <summary>Slots from the top of a frame that may be initialised.</summary>
    int UsedSlots(int frame);

    /// <summary>The slot of a frame that covers the bytes at -8 × (index + 1).</summary>
    StackSlot? Slot(int frame, int index);
}
