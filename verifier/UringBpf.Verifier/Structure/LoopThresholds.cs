using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Numbers at which a growing bound may stop: the constants a loop compares with, and their neighbours (compilers end
/// loops with <c>!=</c> as well as with an order).
/// </summary>
internal sealed class LoopThresholds(ProgramSpec spec, ProgramShape shape)
{
    // A loop with more constants than this is not helped by all of them.
    private const int Limit = 96;

    private readonly Dictionary<int, SortedSet<ulong>> _ofLoop = [];
    private bool _collected;

    /// <summary>The thresholds of a loop, with the bounds of what stayed the same for a round, ascending.</summary>
    public ulong[] Of(int head, MachineState before, MachineState now)
    {
        if (!_collected) Collect();
        var all = new SortedSet<ulong>(_ofLoop.GetValueOrDefault(head, [])) { 0 };
        for (var register = 0; register < Frame.Registers; register++)
        {
            if (now.Register(register) is not { IsNumber: true } value || before.Register(register) is not { IsNumber: true } old) continue;
            if (value.Number.Equals(old.Number) && value.Number.UMax < uint.MaxValue) Add(all, value.Number.UMax);
        }
        return [.. all];
    }

    // Each constant belongs to the loop it is in and to those around it, unless there are too many.
    private void Collect()
    {
        _collected = true;
        for (var slot = 0; slot < shape.Count; slot++)
        {
            if (!shape.IsStart(slot)) continue;
            var row = shape.Row(slot);
            if (row.Source != OperandSource.Immediate || !(row.IsConditionalJump || row.Operation is Operation.Move or Operation.And)) continue;
            for (var head = shape.Loops.InnermostOf(slot); head >= 0; head = shape.Loops.Around(head))
            {
                if (!_ofLoop.TryGetValue(head, out var constants)) _ofLoop.Add(head, constants = []);
                if (constants.Count >= Limit) break;
                Add(constants, (ulong)(long)spec.Instructions[slot].Immediate);
            }
        }
    }

    private static void Add(SortedSet<ulong> set, ulong value)
    {
        set.Add(value - 1);
        set.Add(value);
        set.Add(value + 1);
    }
}
