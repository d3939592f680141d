namespace UringBpf.Verifier;

/// <summary>
/// Which loops are walked round by round, because a general round could not be proved. It grows from one attempt at the
/// program to the next.
/// </summary>
internal sealed class LoopPlan
{
    private readonly HashSet<int> _roundByRound = [];

    public int Count => _roundByRound.Count;

    public bool WalksRoundByRound(int head) => _roundByRound.Contains(head);

    /// <summary>False when the loop already was.</summary>
    public bool WalkRoundByRound(int head) => _roundByRound.Add(head);

    public LoopPlan Copy()
    {
        var copy = new LoopPlan();
        copy._roundByRound.UnionWith(_roundByRound);
        return copy;
    }
}
