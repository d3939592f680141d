namespace UringBpf.Verifier;

/// <summary>
/// A number at a loop head that moves one way each time round. The general states of one loop that name it alike are its
/// heads: between any two visits of them it moves by at least its smallest step, so it limits how many there can be.
/// </summary>
internal sealed class Counter
{
    private Counter(List<Node> heads, long rounds)
    {
        Heads = heads;
        Rounds = rounds;
    }

    public IReadOnlyList<Node> Heads { get; }

    /// <summary>The most visits of the heads from within the cycle.</summary>
    public long Rounds { get; }

    /// <summary>A counter of a cycle, the one with the fewest rounds, or null.</summary>
    /// <param name="head">A general state in it.</param>
    /// <param name="cycle">Its nodes.</param>
    /// <param name="graph">All nodes.</param>
    public static Counter? Of(Node head, HashSet<Node> cycle, WalkGraph graph)
    {
        Counter? best = null;
        foreach (var (place, value) in Place.Numbers(head))
        {
            if (!head.Bound.Contains(value.Id)) continue;
            var heads = cycle.Where(node => node.Slot == head.Slot && node.Bound.Contains(value.Id)
                && place.In(node) is { } named && named.Kind == value.Kind && named.Link == value.Link).ToList();
            if (RoundsOf(place, value, heads, cycle, graph) is { } rounds && (best is null || rounds < best.Rounds)) best = new(heads, rounds);
        }
        return best;
    }

    private static long? RoundsOf(Place place, Value value, List<Node> heads, HashSet<Node> cycle, WalkGraph graph)
    {
        long least = long.MaxValue, most = long.MinValue;
        foreach (var node in cycle)
        {
            foreach (ref readonly var edge in graph.From(node.Index))
            {
                var target = graph.Target(edge);
                if (!cycle.Contains(target)) continue;
                var arrival = graph.Arrival(edge);
                if (heads.Contains(target))
                {
                    if (arrival is null || place.In(arrival) is not { } arrived || arrived.Kind != value.Kind || arrived.Id != value.Id || arrived.Scale != value.Scale) return null;
                    var distance = arrived.Offset - value.Offset;
                    least = Math.Min(least, distance);
                    most = Math.Max(most, distance);
                }
                else if (arrival is not null && !KeepsDistance(value.Id, target, arrival))
                {
                    // What is known behind it is of another round. (A state recorded or generalised from the arrival
                    // itself keeps the distances by construction.)
                    return null;
                }
            }
        }
        if (least <= 0 && most >= 0) return null;
        var numbers = heads.Select(node => place.In(node)!.Number).ToList();
        var unsigned = numbers.Max(number => number.UMax) - numbers.Min(number => number.UMin);
        var signed = (ulong)numbers.Max(number => number.SMax) - (ulong)numbers.Min(number => number.SMin);
        var range = Math.Min(unsigned, signed);
        return range > long.MaxValue / 4 ? null : (long)(range / (ulong)(least > 0 ? least : -most));
    }

    // Wherever the recorded state uses the name, the arriving one holds the same unknown at the same distance.
    private static bool KeepsDistance(int id, KeptState recorded, KeptState arrival)
    {
        foreach (var (place, value) in Place.Numbers(recorded))
        {
            if (value.Id != id) continue;
            if (place.In(arrival) is not { } arrived || arrived.Kind != value.Kind || arrived.Link != value.Link) return false;
        }
        return true;
    }
}
