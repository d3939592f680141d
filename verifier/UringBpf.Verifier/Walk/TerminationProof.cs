namespace UringBpf.Verifier;

/// <summary>
/// The worst-case instruction count, from the graph of everything walked. A cycle needs a counter: a number in a general
/// state that moves one way by at least one each time round, and so can't do it more often than its range is wide.
/// </summary>
internal sealed class TerminationProof
{
    // Loops that hold one another deeper than this are not proved.
    private const int DepthLimit = 48;

    // Nodes looked at until what is not proved by then stays so: a second or two. A search takes as many for each head of a large cycle as
    // the cycle has.
    private const long WorkLimit = 1 << 25;
    private long _work;

    // Counts beyond this are "too many".
    public const long Unbounded = long.MaxValue / 4;

    private readonly List<Node> _nodes;
    private readonly WalkGraph _graph;
    private readonly Workspace _workspace;

    // Per node, for the search that is under way: the call of Longest it belongs to, whether edges into it are cut, the
    // longest way from it, and Tarjan's numbers.
    private readonly Block<int> _scope;
    private readonly Block<bool> _cut;
    private readonly Block<long> _longest;
    private readonly Block<int> _order;
    private readonly Block<int> _low;
    private readonly Block<bool> _onStack;
    private int _scopes;
    private bool _hasCycles;

    // In the cycle that the last search ended at.
    private Node? _stuck;

    public TerminationProof(Explored explored, Workspace workspace)
    {
        _nodes = explored.All;
        _graph = new WalkGraph(explored, workspace);
        _workspace = workspace;
        _scope = workspace.Take<int>(_nodes.Count);
        _cut = workspace.Take<bool>(_nodes.Count);
        _longest = workspace.Take<long>(_nodes.Count);
        _order = workspace.Take<int>(_nodes.Count);
        _low = workspace.Take<int>(_nodes.Count);
        _onStack = workspace.Take<bool>(_nodes.Count);
    }

    /// <summary>The slots of general loop heads in cycles that have no counter.</summary>
    public List<int> Unproved { get; } = [];

    /// <summary>The most instructions a run can take, or null when it is not bounded.</summary>
    public long? WorstCase()
    {
        var all = _workspace.Take<int>(_nodes.Count);
        for (var index = 0; index < all.Length; index++) all[index] = index;
        return Longest(all.Span, 0) is { } longest && longest < Unbounded ? longest : null;
    }

    /// <summary>A node that holds a lock or a record where a run may hold one for more instructions than <paramref name="limit"/>,
    /// or null. A metered run can't be ended there.</summary>
    public Node? HeldTooLong(long limit)
    {
        var holding = _nodes.Where(node => node.Holdings.HoldsResource).Select(node => node.Index).ToArray();
        if (holding.Length == 0) return null;
        // As if nothing were known of what lies between: the ways that go on holding.
        var unproved = Unproved.Count;
        _work = 0;
        _stuck = null;
        var longest = Longest(holding, 0);
        Unproved.RemoveRange(unproved, Unproved.Count - unproved);
        return longest <= limit ? null : _stuck ?? _nodes[holding[0]];
    }

    /// <summary>A node from which no end of the program can be reached, or null. After <see cref="WorstCase"/>.</summary>
    public Node? Endless()
    {
        if (!_hasCycles) return null;
        var sources = new List<int>[_nodes.Count];
        for (var index = 0; index < sources.Length; index++) sources[index] = [];
        foreach (var edge in _graph.Edges) sources[edge.Target].Add(edge.Source);
        var ends = new bool[_nodes.Count];
        var pending = new Pile<int>();
        foreach (var node in _nodes)
        {
            if (node.CostToEnd > 0) pending.Push(node.Index);
        }
        while (pending.TryPop(out var index))
        {
            if (ends[index]) continue;
            ends[index] = true;
            foreach (var source in sources[index]) pending.Push(source);
        }
        // Of those that do not end, one on a cycle: the others were left because the path turned out impossible.
        var color = new byte[_nodes.Count];
        var walk = new Pile<(Node Node, int Next)>();
        foreach (var root in _nodes)
        {
            if (ends[root.Index] || color[root.Index] != 0) continue;
            walk.Push((root, 0));
            while (walk.TryPop(out var top))
            {
                var (node, next) = top;
                color[node.Index] = 1;
                var edges = _graph.From(node.Index);
                if (next == edges.Length)
                {
                    color[node.Index] = 2;
                    continue;
                }
                walk.Push((node, next + 1));
                var target = _nodes[edges[next].Target];
                if (color[target.Index] == 1) return target;
                if (color[target.Index] == 0) walk.Push((target, 0));
            }
        }
        return null;
    }

    // The longest way through a set of nodes, from any of them, without edges into the cut ones.
    private long? Longest(ReadOnlySpan<int> members, int depth)
    {
        var scope = ++_scopes;
        foreach (var index in members)
        {
            _scope[index] = scope;
            _order[index] = 0;
        }
        // Components come out in reverse topological order: what a component leads to is done before it.
        var components = depth == 0 ? _workspace.Take<int>(members.Length) : Block<int>.New(members.Length);
        FindComponents(members, scope, components);
        var most = 0L;
        for (int start = 0, end; start < components.Length; start = end)
        {
            // The first of a component is given inverted.
            components[start] = ~components[start];
            for (end = start + 1; end < components.Length && components[end] >= 0;) end++;
            var group = components.Span[start..end];
            long within = 0;
            if (group.Length > 1 || LoopsOnItself(group[0]))
            {
                _hasCycles = true;
                if (RoundsThrough(group, depth) is not { } bound) return null;
                within = bound;
                foreach (var index in group) _scope[index] = scope;
            }
            var best = 0L;
            // Marked, so that edges within the group are told from those that leave it.
            foreach (var index in group) _longest[index] = -1;
            foreach (var index in group)
            {
                best = Math.Max(best, _nodes[index].CostToEnd);
                foreach (ref readonly var edge in _graph.From(index))
                {
                    var target = edge.Target;
                    if (_cut[target] || _scope[target] != scope) best = Math.Max(best, edge.Cost);
                    else if (_longest[target] >= 0) best = Math.Max(best, Sum(edge.Cost, _longest[target]));
                }
            }
            foreach (var index in group) _longest[index] = Sum(within, best);
            most = Math.Max(most, Sum(within, best));
        }
        return most;
    }

    private static long Sum(long a, long b) => Math.Min(Unbounded, a + b);

    private bool LoopsOnItself(int index)
    {
        if (_cut[index]) return false;
        foreach (ref readonly var edge in _graph.From(index))
        {
            if (edge.Target == index) return true;
        }
        return false;
    }

    // The most instructions spent inside a cycle before it is left for good.
    private long? RoundsThrough(ReadOnlySpan<int> group, int depth)
    {
        var cycle = new HashSet<Node>(group.Length);
        foreach (var index in group) cycle.Add(_nodes[index]);
        var unproved = Unproved.Count;
        if (depth < DepthLimit)
        {
            foreach (var index in group)
            {
                var head = _nodes[index];
                if (!head.IsGeneral || _cut[index]) continue;
                _work += (long)cycle.Count * (1 + head.Bound.Count + Place.Numbers(head).Count() / 8);
                if (_work > WorkLimit) break;
                if (Counter.Of(head, cycle, _graph) is not { } counter) continue;
                var heads = counter.Heads.Where(node => !_cut[node.Index]).ToList();
                foreach (var node in heads) _cut[node.Index] = true;
                var found = Longest(group, depth + 1);
                foreach (var node in heads) _cut[node.Index] = false;
                if (found is not { } round) continue;
                Unproved.RemoveRange(unproved, Unproved.Count - unproved);
                // Entering beside the head costs one more partial round.
                var most = (UInt128)(counter.Rounds + 2) * (ulong)Math.Max(1, round);
                return most >= Unbounded ? Unbounded : (long)most;
            }
        }
        _stuck = _nodes[group[0]];
        foreach (var index in group)
        {
            if (_nodes[index].IsGeneral) Unproved.Add(_nodes[index].Slot);
        }
        return null;
    }

    // Tarjan's strongly connected components, in reverse topological order, one after the other; the first of each inverted.
    private void FindComponents(ReadOnlySpan<int> members, int scope, Block<int> result)
    {
        var found = 0;
        var numbered = 0;
        var stack = new Pile<int>();
        var work = new Pile<WalkStep>();
        foreach (var root in members)
        {
            if (_order[root] != 0) continue;
            work.Push(new(root, 0));
            while (work.TryPop(out var top))
            {
                var (index, next) = top;
                if (next == 0)
                {
                    _order[index] = _low[index] = ++numbered;
                    stack.Push(index);
                    _onStack[index] = true;
                }
                var edges = _graph.From(index);
                if (next > 0 && edges[next - 1].Target is var done && _scope[done] == scope && !_cut[done] && _onStack[done])
                    _low[index] = Math.Min(_low[index], _low[done]);
                if (next < edges.Length)
                {
                    work.Push(new(index, next + 1));
                    var target = edges[next].Target;
                    if (!_cut[target] && _scope[target] == scope && _order[target] == 0) work.Push(new(target, 0));
                    continue;
                }
                if (_low[index] != _order[index]) continue;
                var start = found;
                int member;
                do
                {
                    member = stack.Pop();
                    _onStack[member] = false;
                    result[found++] = member;
                }
                while (member != index);
                result[start] = ~result[start];
            }
        }
    }
}
