namespace UringBpf.Verifier;

/// <summary>Loops: the first rounds are walked as they are; then one that stands for all the others is tried.</summary>
internal sealed partial class Walker
{
    // Rounds walked before generalising: the first often differs from the rest.
    private const int RoundsBefore = 2;

    // Generalisations of one loop until thresholds are no longer tried.
    private const int GeneralisationsWithThresholds = 8;

    private readonly LoopThresholds _thresholds;
    private readonly LoopPlan _plan;

    // Loop heads on the path being walked, in order, with the number of branches that waited when each was met: a branch
    // from before it does not belong to it.
    private readonly List<(Node Node, int Pending)> _open = [];
    private readonly Dictionary<(int Slot, int Chain), List<Node>> _openByPlace = [];
    private int _generalNodes;

    /// <summary>The innermost general state on the path being walked, or null: where to look when the path fails.</summary>
    public Node? InnermostGeneral => _open.LastOrDefault(open => open.Node.IsGeneral).Node;

    private void Open(Node node)
    {
        _open.Add((node, _waitingCount));
        var place = (node.Slot, node.Activation.Chain);
        if (!_openByPlace.TryGetValue(place, out var nodes)) _openByPlace.Add(place, nodes = []);
        nodes.Add(node);
    }

    private void Close(int pending)
    {
        while (_open.Count > 0 && _open[^1].Pending > pending)
        {
            var node = _open[^1].Node;
            _open.RemoveAt(_open.Count - 1);
            var nodes = _openByPlace[(node.Slot, node.Activation.Chain)];
            nodes.RemoveAt(nodes.Count - 1);
        }
    }

    // Replaces the state at a loop head by one that covers this round, the one before and, one hopes, all others. The ids
    // it gives, or null when it stays.
    private HashSet<int>? Generalise()
    {
        if (!_options.Widening || _plan.WalksRoundByRound(_slot)) return null;
        if (!_openByPlace.TryGetValue((_slot, _state.Top.Chain), out var rounds)) return null;
        var since = EnteredSince();
        var count = 0;
        var general = 0;
        for (var index = rounds.Count - 1; index >= 0 && rounds[index].Index > since; index--)
        {
            count++;
            if (rounds[index].IsGeneral) general++;
            if (count > GeneralisationsWithThresholds + RoundsBefore) break;
        }
        if (count < RoundsBefore) return null;
        var thresholds = general < GeneralisationsWithThresholds ? _thresholds.Of(_slot, rounds[^1], _state) : new();
        var generalisation = new Generalisation(thresholds, NewId, rounds[^1].Bound);
        if (generalisation.Of(new MachineState(rounds[^1]), _state) is not { } state) return null;
        // All that follows rests on this one: look again.
        if (!new Inclusion().Includes(new KeptState(state), _state)) return null;
        _state = state;
        return generalisation.Bound;
    }

    // The number of the node where the present round of the enclosing loop began: rounds before it were other loops.
    private int EnteredSince()
    {
        var slot = _slot;
        var around = _shape.Loops.Around(slot);
        for (var depth = _state.Depth - 1; depth >= 0; depth--)
        {
            for (; around >= 0; around = _shape.Loops.Around(around))
            {
                if (LastOpen(around, depth) is >= 0 and var index) return index;
            }
            if (depth == 0) break;
            // A callback is the body of a loop that no jump goes round.
            var start = _shape.Functions[_state[depth].Function].Start;
            if (_state[depth].Callback is not null && start != slot && LastOpen(start, depth) is >= 0 and var round) return round;
            slot = _state[depth].CallSite;
            around = _shape.Loops.InnermostOf(slot);
        }
        return -1;

        int LastOpen(int head, int depth) => _openByPlace.TryGetValue((head, _state[depth].Chain), out var nodes) && nodes.Count > 0 ? nodes[^1].Index : -1;
    }
}
