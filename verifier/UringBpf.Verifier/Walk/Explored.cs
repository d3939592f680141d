using System.Collections.Frozen;

namespace UringBpf.Verifier;

/// <summary>A state recorded at a meeting point, and where the paths from it lead: a node of the graph of everything walked.</summary>
internal sealed class Node(int index, int slot, MachineState state, IReadOnlySet<int>? bound)
{
    /// <summary>Its number, in order of recording.</summary>
    public int Index { get; } = index;
    public int Slot { get; } = slot;
    public MachineState State { get; } = state;

    /// <summary>True when the state covers rounds of a loop that were not walked.</summary>
    public bool IsGeneral { get; } = bound is not null;

    /// <summary>The ids that name numbers as they are here, for a general state.</summary>
    public IReadOnlySet<int> Bound { get; } = bound ?? FrozenSet<int>.Empty;

    /// <summary>Nodes reached from here.</summary>
    public List<Edge> Edges { get; } = [];

    /// <summary>The most instructions from here to an end of the program without another node between; 0 when there is none.</summary>
    public long CostToEnd { get; set; }

    public int Hits { get; set; }
    public int Misses { get; set; }

    /// <summary>The register in which the last state compared with this one differed, or -1.</summary>
    public int Telling { get; set; } = -1;
}

/// <summary>A way from one node to another.</summary>
/// <param name="Target">Where it leads.</param>
/// <param name="Cost">Instructions on it.</param>
/// <param name="Arrival">The state that arrived, when the target's is another one: recorded from another path, or general. Else null.</param>
internal readonly record struct Edge(Node Target, long Cost, MachineState? Arrival);

/// <summary>The recorded states, by instruction and chain of call sites.</summary>
internal sealed class Explored
{
    // A state that keeps missing is dropped from comparison (it stays in the graph).
    private const int ListLimit = 64, MissesAllowed = 3;

    private readonly Dictionary<(int Slot, int Chain), List<Node>> _byPlace = [];
    private readonly Inclusion _inclusion = new();

    public List<Node> All { get; } = [];

    /// <summary>Bytes held, roughly.</summary>
    public long Bytes { get; private set; }

    /// <summary>A recorded state that includes this one, or null.</summary>
    public Node? Find(int slot, MachineState state)
    {
        if (!_byPlace.TryGetValue((slot, state.Top.Chain), out var nodes)) return null;
        for (var index = nodes.Count - 1; index >= 0; index--)
        {
            var node = nodes[index];
            // What told them apart last time mostly does again.
            if (node.Telling >= 0 && _inclusion.Differs(node.State, state, node.Telling))
            {
                Missed(nodes, index);
                continue;
            }
            if (_inclusion.Includes(node.State, state))
            {
                node.Hits++;
                return node;
            }
            node.Telling = _inclusion.Difference;
            Missed(nodes, index);
        }
        return null;
    }

    private static void Missed(List<Node> nodes, int index)
    {
        var node = nodes[index];
        node.Misses++;
        if (nodes.Count >= ListLimit && node.Misses > (node.Hits + 1) * MissesAllowed + ListLimit) nodes.RemoveAt(index);
    }

    public Node Record(int slot, MachineState state, IReadOnlySet<int>? bound = null)
    {
        var node = new Node(All.Count, slot, state.Copy(), bound);
        All.Add(node);
        if (!_byPlace.TryGetValue((slot, state.Top.Chain), out var nodes)) _byPlace.Add((slot, state.Top.Chain), nodes = []);
        nodes.Add(node);
        Bytes += 400 + 120 * state.Depth + 8 * state.Top.UsedSlots;
        return node;
    }
}
