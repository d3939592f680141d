
namespace UringBpf.Verifier;

/// <summary>
/// A state recorded at a meeting point, and where the paths from it lead: a node of the graph of everything walked.
/// </summary>
internal sealed class Node(int index, int slot, MachineState state, IReadOnlySet<int>? bound) : KeptState(state)
{
    /// <summary>Its number, in order of recording.</summary>
    public int Index { get; } = index;
    public int Slot { get; } = slot;

    /// <summary>True when the state covers rounds of a loop that were not walked.</summary>
    public bool IsGeneral => bound is not null;

    /// <summary>The ids that name numbers as they are here, for a general state.</summary>
    public IReadOnlySet<int> Bound => bound ?? s_none;

    private static readonly HashSet<int> s_none = [];

    /// <summary>The most instructions from here to an end of the program without another node between; 0 when there is none.</summary>
    public long CostToEnd { get; set; }

    /// <summary>The state recorded before it at the same place.</summary>
    public Node? Older { get; set; }

    public int Hits { get; set; }
    public int Misses { get; set; }

    /// <summary>The register in which the last state compared with this one differed, or -1.</summary>
    public int Telling { get; set; } = -1;
}

/// <summary>A way from one node to another.</summary>
/// <param name="Source">The number of the node it leaves.</param>
/// <param name="Target">The number of the node it leads to.</param>
/// <param name="Arrival">Which of <see cref="Explored.Arrivals"/> is the state that arrived, when the target's is another one: recorded from another path, or general. Else -1.</param>
/// <param name="Cost">Instructions on it.</param>
internal readonly record struct Edge(int Source, int Target, int Arrival, long Cost);

/// <summary>The recorded states, by instruction and chain of call sites.</summary>
internal sealed class Explored(Workspace workspace)
{
    // A state that keeps missing is dropped from comparison (it stays in the graph).
    private const int ListLimit = 64, MissesAllowed = 3;

    private readonly PlaceTable _places = new(workspace);
    private readonly Inclusion _inclusion = new();

    private Block<Edge> _edges;
    private int _edgeCount;

    /// <summary>All of them, by number.</summary>
    public List<Node> All { get; } = [];

    /// <summary>States that arrived at a node which has another.</summary>
    public List<KeptState> Arrivals { get; } = [];

    /// <summary>The ways between them, in the order in which they were found.</summary>
    public ReadOnlySpan<Edge> Edges => _edges.Span[.._edgeCount];

    /// <summary>Adds a way from one node to another.</summary>
    public void Connect(Node source, Node target, long cost, KeptState? arrival)
    {
        if (_edgeCount == _edges.Length)
        {
            var more = workspace.Take<Edge>(Math.Max(32, 2 * _edgeCount));
            Edges.CopyTo(more.Span);
            _edges = more;
        }
        if (arrival is not null) Arrivals.Add(arrival);
        _edges[_edgeCount++] = new(source.Index, target.Index, arrival is null ? -1 : Arrivals.Count - 1, cost);
    }

    /// <summary>Bytes held, roughly.</summary>
    public long Bytes { get; private set; }

    /// <summary>A recorded state that includes this one, or null.</summary>
    public Node? Find(int slot, MachineState state)
    {
        if (_places.IndexOf(KeyOf(slot, state)) is not (>= 0 and var index)) return null;
        ref var place = ref _places[index];
        Node? newer = null;
        for (var node = NodeOf(place.Newest); node is not null; node = node.Older)
        {
            // What told them apart last time mostly does again.
            if (node.Telling < 0 || !_inclusion.Differs(node, state, node.Telling))
            {
                if (_inclusion.Includes(node, state))
                {
                    node.Hits++;
                    return node;
                }
                node.Telling = _inclusion.Difference;
            }
            node.Misses++;
            if (place.Nodes < ListLimit || node.Misses <= (node.Hits + 1) * MissesAllowed + ListLimit)
            {
                newer = node;
                continue;
            }
            place.Nodes--;
            if (newer is null) place.Newest = node.Older?.Index ?? -1;
            else newer.Older = node.Older;
        }
        return null;
    }

    public Node Record(int slot, MachineState state, IReadOnlySet<int>? bound = null)
    {
        var node = new Node(All.Count, slot, state, bound);
        All.Add(node);
        ref var place = ref _places[_places.Add(KeyOf(slot, state))];
        (node.Older, place.Newest) = (NodeOf(place.Newest), node.Index);
        place.Nodes++;
        Bytes += 200 + state.CountBytes();
        return node;
    }

    /// <summary>Keeps, and counts, a state beside the recorded ones.</summary>
    public KeptState Keep(MachineState state)
    {
        Count(state);
        return new(state);
    }

    /// <summary>Counts a state that is kept beside the recorded ones.</summary>
    public void Count(MachineState state) => Bytes += state.CountBytes();

    private Node? NodeOf(int number) => number < 0 ? null : All[number];

    private static long KeyOf(int slot, MachineState state) => (long)state.Top.Chain << 32 | (uint)slot;
}
