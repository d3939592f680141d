namespace UringBpf.Verifier;

/// <summary>The recorded states and the ways between them, by where they start: those of one state in the order in which they were found.</summary>
internal sealed class WalkGraph
{
    private readonly Explored _explored;
    private readonly Block<Edge> _edges;

    // Where those of each node start; one more at the end.
    private readonly Block<int> _first;

    public WalkGraph(Explored explored, Workspace workspace)
    {
        _explored = explored;
        _edges = workspace.Take<Edge>(explored.Edges.Length);
        // Counted one place on, and placed from there: afterwards each place holds where its own start.
        _first = workspace.Take<int>(explored.All.Count + 2);
        foreach (ref readonly var edge in explored.Edges) _first[edge.Source + 2]++;
        for (var index = 2; index < _first.Length; index++) _first[index] += _first[index - 1];
        foreach (ref readonly var edge in explored.Edges) _edges[_first[edge.Source + 1]++] = edge;
    }

    /// <summary>All ways.</summary>
    public ReadOnlySpan<Edge> Edges => _edges.Span;

    /// <summary>The ways from a node.</summary>
    public ReadOnlySpan<Edge> From(int node) => _edges.Span[_first[node].._first[node + 1]];

    /// <summary>The node a way leads to.</summary>
    public Node Target(in Edge edge) => _explored.All[edge.Target];

    /// <summary>The state that arrived over a way, when the target's is another one; else null.</summary>
    public KeptState? Arrival(in Edge edge) => edge.Arrival < 0 ? null : _explored.Arrivals[edge.Arrival];
}
