namespace UringBpf.Verifier;

/// <summary>Finds the counter of a loop and how often it lets the loop go round.</summary>
internal static class Counter
{
    /// <summary>The most arrivals at a general loop head from within its cycle, or null when nothing counts them.</summary>
    /// <param name="head">The head.</param>
    /// <param name="cycle">The nodes of the cycle.</param>
    /// <param name="inside">Their numbers.</param>
    public static long? Rounds(Node head, IEnumerable<Node> cycle, HashSet<int> inside)
    {
        // Every way back to the head, as the state that arrives; a way that runs into another recorded state must arrive
        // there with the head's unknowns at the same distances, or what is known behind it is of another round. (A state
        // that was recorded or generalised from the arrival itself keeps its ids by construction.)
        var arrivals = new List<MachineState>();
        var joins = new List<(MachineState Recorded, MachineState Arrival)>();
        foreach (var node in cycle)
        {
            foreach (var edge in node.Edges)
            {
                if (!inside.Contains(edge.Target.Index)) continue;
                if (ReferenceEquals(edge.Target, head))
                {
                    if (edge.Arrival is null) return null;
                    arrivals.Add(edge.Arrival);
                }
                else if (edge.Arrival is not null)
                {
                    joins.Add((edge.Target.State, edge.Arrival));
                }
            }
        }
        long? best = null;
        foreach (var (frame, register, slot, high, value) in Numbers(head.State))
        {
            if (value.Id == 0 || RoundsOf(value, frame, register, slot, high, arrivals) is not { } rounds || rounds >= best) continue;
            if (joins.TrueForAll(join => KeepsDistance(value.Id, join.Recorded, join.Arrival))) best = rounds;
        }
        return best;
    }

    private static long? RoundsOf(Value value, int frame, int register, int slot, bool high, List<MachineState> arrivals)
    {
        long least = long.MaxValue, most = long.MinValue;
        foreach (var arrival in arrivals)
        {
            if (At(arrival, frame, register, slot, high) is not { } arrived || arrived.Kind != value.Kind || arrived.Id != value.Id) return null;
            var distance = arrived.Offset - value.Offset;
            least = Math.Min(least, distance);
            most = Math.Max(most, distance);
        }
        if (least <= 0 && most >= 0) return null;
        var number = value.Number;
        var range = Math.Min(number.UMax - number.UMin, (ulong)number.SMax - (ulong)number.SMin);
        var step = (ulong)(least > 0 ? least : -most);
        return range > long.MaxValue / 4 ? null : (long)(range / step);
    }

    // Wherever the recorded state names the unknown, the arriving one holds the same unknown at the same distance.
    private static bool KeepsDistance(int id, MachineState recorded, MachineState arrival)
    {
        foreach (var (frame, register, slot, high, value) in Numbers(recorded))
        {
            if (value.Id != id) continue;
            if (At(arrival, frame, register, slot, high) is not { } arrived || arrived.Id != id || arrived.Offset != value.Offset) return false;
        }
        return true;
    }

    private static Value? At(MachineState state, int frame, int register, int slot, bool high)
    {
        if (frame >= state.Depth) return null;
        if (register >= 0) return state[frame][register];
        var cell = state[frame].Slot(slot);
        return high ? cell?.High : cell?.Low;
    }

    private static IEnumerable<(int Frame, int Register, int Slot, bool High, Value Value)> Numbers(MachineState state)
    {
        for (var frame = 0; frame < state.Depth; frame++)
        {
            for (var register = 0; register < Frame.Registers - 1; register++)
            {
                if (state[frame][register] is { Kind: ValueKind.Number or ValueKind.Iterator } value) yield return (frame, register, -1, false, value);
            }
            for (var slot = 0; slot < state[frame].UsedSlots; slot++)
            {
                if (state[frame].Slot(slot) is not { } cell) continue;
                if (cell.Low is { Kind: ValueKind.Number or ValueKind.Iterator } low) yield return (frame, -1, slot, false, low);
                if (cell.High is { Kind: ValueKind.Number } highValue) yield return (frame, -1, slot, true, highValue);
            }
        }
    }
}
