using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Numbers at which a growing bound may stop: the constants a loop compares a register with, and their neighbours
/// (compilers end loops with <c>!=</c> as well as with an order).
/// </summary>
internal sealed class LoopThresholds(ProgramSpec spec, ProgramShape shape)
{
    // A loop with more constants than this is not helped by all of them.
    private const int Limit = 48;

    private readonly Dictionary<int, PerRegister> _ofLoop = [];
    private bool _collected;

    /// <summary>Thresholds for each register, and for everything else at index <see cref="Frame.Registers"/>; ascending.</summary>
    internal sealed class PerRegister
    {
        public SortedSet<ulong>[] Sets { get; } = [.. Enumerable.Range(0, Frame.Registers + 1).Select(_ => new SortedSet<ulong>())];

        public ulong[] Of(int register)
        {
            var own = register >= 0 ? Sets[register] : Sets[^1];
            return [.. own.Count > 0 ? own : Sets[^1]];
        }
    }

    /// <summary>The thresholds of a loop, with the bounds of what stayed the same for a round.</summary>
    public PerRegister Of(int head, KeptState before, MachineState now)
    {
        if (!_collected) Collect();
        var all = new PerRegister();
        if (_ofLoop.TryGetValue(head, out var constants))
        {
            for (var index = 0; index < all.Sets.Length; index++) all.Sets[index].UnionWith(constants.Sets[index]);
        }
        if (now.Top.Callback is { } run)
        {
            // The last round there can be.
            all.Sets[Frame.Round].Add((ulong)run.Rounds - 1);
            all.Sets[1].Add((ulong)run.Rounds - 1);
        }
        for (var register = 0; register < Frame.Registers; register++)
        {
            if (now.Register(register) is not { IsNumber: true } value || before.Register(register) is not { IsNumber: true } old) continue;
            var stayed = value.Number.Equals(old.Number) || value.Id != 0 && value.Link == old.Link;
            if (!stayed || value.Number.UMax >= uint.MaxValue) continue;
            foreach (var set in all.Sets) Add(set, value.Number.UMax);
        }
        return all;
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
            var instruction = spec.Instructions[slot];
            for (var head = shape.Loops.InnermostOf(slot); head >= 0; head = shape.Loops.Around(head))
            {
                if (!_ofLoop.TryGetValue(head, out var constants)) _ofLoop.Add(head, constants = new());
                if (constants.Sets[^1].Count >= Limit) break;
                Add(constants.Sets[^1], (ulong)(long)instruction.Immediate);
                if (row.IsConditionalJump) Add(constants.Sets[instruction.Destination], (ulong)(long)instruction.Immediate);
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
