namespace UringBpf.Verifier;

/// <summary>
/// The worst-case instruction count, from the graph of everything walked. A cycle needs a counter: a number in a general
/// state that moves one way by at least one each time round, and so can't do it more often than its range is wide.
/// </summary>
internal sealed class TerminationProof
{
    // Loops that hold one another deeper than this are not proved.
    private const int DepthLimit = 48;

    // Counts beyond this are "too many".
    private const long Unbounded = long.MaxValue / 4;

    private readonly Node[] _nodes;

    public TerminationProof(IReadOnlyList<Node> nodes) => _nodes = [.. nodes];

    /// <summary>The slots of general loop heads in cycles that have no counter.</summary>
    public List<int> Unproved { get; } = [];

    /// <summary>A node in a cycle without a counter that holds a lock or a record, or null.</summary>
    public Node? Holder { get; private set; }

    /// <summary>The most instructions a run can take, or null when it is not bounded.</summary>
    public long? WorstCase()
    {
        var all = new int[_nodes.Length];
        for (var index = 0; index < all.Length; index++) all[index] = index;
        return Longest(all, [], 0) is { } longest && longest < Unbounded ? longest : null;
    }

    /// <summary>A node from which no end of the program can be reached, or null.</summary>
    public Node? Endless()
    {
        var sources = new List<int>[_nodes.Length];
        for (var index = 0; index < sources.Length; index++) sources[index] = [];
        foreach (var node in _nodes)
        {
            foreach (var edge in node.Edges) sources[edge.Target.Index].Add(node.Index);
        }
        var ends = new bool[_nodes.Length];
        var pending = new Stack<int>();
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
        var color = new byte[_nodes.Length];
        var walk = new Stack<(Node Node, int Next)>();
        foreach (var root in _nodes)
        {
            if (ends[root.Index] || color[root.Index] != 0) continue;
            walk.Push((root, 0));
            while (walk.TryPop(out var top))
            {
                var (node, next) = top;
                color[node.Index] = 1;
                if (next == node.Edges.Count)
                {
                    color[node.Index] = 2;
                    continue;
                }
                walk.Push((node, next + 1));
                var target = node.Edges[next].Target;
                if (color[target.Index] == 1) return target;
                if (color[target.Index] == 0) walk.Push((target, 0));
            }
        }
        return null;
    }

    // The longest way through a set of nodes, from any of them, without edges into the cut ones.
    private long? Longest(int[] members, IReadOnlyList<Node> cut, int depth)
    {
        var inside = new HashSet<int>(members);
        var groups = Components(members, inside, cut);
        // Components come out in reverse topological order: what a component leads to is done before it.
        var longest = new Dictionary<int, long>();
        var most = 0L;
        foreach (var group in groups)
        {
            long within = 0;
            if (group.Length > 1 || LoopsOnItself(group[0], cut))
            {
                if (RoundsThrough(group, cut, depth) is not { } bound) return null;
                within = bound;
            }
            var same = group.Length > 1 ? new HashSet<int>(group) : null;
            var best = 0L;
            foreach (var index in group)
            {
                var node = _nodes[index];
                best = Math.Max(best, node.CostToEnd);
                foreach (var edge in node.Edges)
                {
                    if (cut.Contains(edge.Target)) best = Math.Max(best, edge.Cost);
                    else if (!inside.Contains(edge.Target.Index)) best = Math.Max(best, edge.Cost);
                    else if (edge.Target.Index != index && same?.Contains(edge.Target.Index) != true) best = Math.Max(best, Sum(edge.Cost, longest[edge.Target.Index]));
                }
            }
            foreach (var index in group) longest[index] = Sum(within, best);
            most = Math.Max(most, Sum(within, best));
        }
        return most;
    }

    private static long Sum(long a, long b) => Math.Min(Unbounded, a + b);

    private bool LoopsOnItself(int index, IReadOnlyList<Node> cut) =>
        !cut.Contains(_nodes[index]) && _nodes[index].Edges.Exists(edge => edge.Target.Index == index);

    // The most instructions spent inside a cycle before it is left for good.
    private long? RoundsThrough(int[] group, IReadOnlyList<Node> cut, int depth)
    {
        var cycle = group.Select(index => _nodes[index]).ToHashSet();
        var (unproved, holder) = (Unproved.Count, Holder);
        if (depth < DepthLimit)
        {
            foreach (var index in group)
            {
                var head = _nodes[index];
                if (!head.IsGeneral || cut.Contains(head) || Counter.Of(head, cycle) is not { } counter) continue;
                if (Longest(group, [.. cut, .. counter.Heads], depth + 1) is not { } round) continue;
                Unproved.RemoveRange(unproved, Unproved.Count - unproved);
                Holder = holder;
                // Entering beside the head costs one more partial round.
                var most = (UInt128)(counter.Rounds + 2) * (ulong)Math.Max(1, round);
                return most >= Unbounded ? Unbounded : (long)most;
            }
        }
        foreach (var index in group)
        {
            if (_nodes[index].IsGeneral) Unproved.Add(_nodes[index].Slot);
            if (_nodes[index].State.HoldsResource) Holder ??= _nodes[index];
        }
        return null;
    }

    // Tarjan's strongly connected components, in reverse topological order.
    private List<int[]> Components(int[] members, HashSet<int> inside, IReadOnlyList<Node> cut)
    {
        var result = new List<int[]>();
        var order = new Dictionary<int, int>();
        var low = new Dictionary<int, int>();
        var onStack = new HashSet<int>();
        var stack = new Stack<int>();
        var work = new Stack<(int Node, int Next)>();
        foreach (var root in members)
        {
            if (order.ContainsKey(root)) continue;
            work.Push((root, 0));
            while (work.TryPop(out var top))
            {
                var (index, next) = top;
                if (next == 0)
                {
                    order[index] = low[index] = order.Count;
                    stack.Push(index);
                    onStack.Add(index);
                }
                var edges = _nodes[index].Edges;
                if (next > 0 && inside.Contains(edges[next - 1].Target.Index) && !cut.Contains(edges[next - 1].Target)
                    && onStack.Contains(edges[next - 1].Target.Index))
                {
                    low[index] = Math.Min(low[index], low[edges[next - 1].Target.Index]);
                }
                if (next < edges.Count)
                {
                    work.Push((index, next + 1));
                    var target = edges[next].Target;
                    if (!cut.Contains(target) && inside.Contains(target.Index) && !order.ContainsKey(target.Index)) work.Push((target.Index, 0));
                    continue;
                }
                if (low[index] != order[index]) continue;
                var group = new List<int>();
                int member;
                do
                {
                    member = stack.Pop();
                    onStack.Remove(member);
                    group.Add(member);
                }
                while (member != index);
                result.Add([.. group]);
            }
        }
        return result;
    }
}
