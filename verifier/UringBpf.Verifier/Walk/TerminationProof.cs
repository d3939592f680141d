namespace UringBpf.Verifier;

/// <summary>The worst-case instruction count, from the graph of everything walked.</summary>
internal static class TerminationProof
{
    /// <summary>The longest path from the root, or null when the graph has a cycle.</summary>
    public static long? LongestPath(Node root)
    {
        var longest = new Dictionary<Node, long>(ReferenceEqualityComparer.Instance as IEqualityComparer<Node>);
        var open = new HashSet<Node>();
        var stack = new Stack<(Node Node, int Next)>();
        stack.Push((root, 0));
        open.Add(root);
        while (stack.TryPop(out var top))
        {
            var (node, next) = top;
            if (next < node.Edges.Count)
            {
                stack.Push((node, next + 1));
                var target = node.Edges[next].Target;
                if (open.Contains(target)) return null;
                if (longest.ContainsKey(target)) continue;
                open.Add(target);
                stack.Push((target, 0));
                continue;
            }
            open.Remove(node);
            var most = node.CostToEnd;
            foreach (var edge in node.Edges) most = Math.Max(most, edge.Cost + longest[edge.Target]);
            longest[node] = most;
        }
        return longest[root];
    }
}
