namespace UringBpf.Verifier;

/// <summary>A register, or a stack cell, of one frame.</summary>
/// <param name="Frame">The frame.</param>
/// <param name="Register">The register, or -1.</param>
/// <param name="Slot">The stack slot where it is not a register.</param>
/// <param name="IsHigh">True for the cell at byte 4 of the slot.</param>
internal readonly record struct Place(int Frame, int Register, int Slot, bool IsHigh)
{
    /// <summary>What a state holds there, or null.</summary>
    public Value? In(IKnown state)
    {
        if (Frame >= state.Depth) return null;
        if (Register >= 0) return state.Register(Frame, Register);
        var cell = state.Slot(Frame, Slot);
        return IsHigh ? cell?.High : cell?.Low;
    }

    /// <summary>The numbers of a state that have an id, and where they are.</summary>
    public static IEnumerable<(Place Place, Value Value)> Numbers(IKnown state)
    {
        for (var frame = 0; frame < state.Depth; frame++)
        {
            for (var register = 0; register < Verifier.Frame.Registers; register++)
            {
                if (state.Register(frame, register) is { Kind: ValueKind.Number, Id: not 0 } value) yield return (new(frame, register, -1, false), value);
            }
            for (var slot = 0; slot < state.UsedSlots(frame); slot++)
            {
                if (state.Slot(frame, slot) is not { } cell) continue;
                if (cell.Low is { Kind: ValueKind.Number or ValueKind.Iterator, Id: not 0 } low) yield return (new(frame, -1, slot, false), low);
                if (cell.High is { Kind: ValueKind.Number, Id: not 0 } high) yield return (new(frame, -1, slot, true), high);
            }
        }
    }
}
