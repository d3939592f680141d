using System.Reflection;
using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Loops that add up, copy or fill memory: all rounds but the last on vectors (<see cref="LoopPlan"/>).</summary>
internal sealed partial class FunctionEmitter
{
    // Below this a call is not worth it.
    private const int MinVectorRounds = 8;

    private static readonly Dictionary<string, MethodInfo> s_vectorLoops =
        typeof(VectorLoops).GetMethods(BindingFlags.Public | BindingFlags.Static).ToDictionary(method => method.Name);

    private readonly Dictionary<BasicBlock, VectorLoop> _loops = [];

    private sealed record VectorLoop(LoopPlan Plan, Label Before);

    // Loops written twice, by header; the one whose second copy is being written.
    private readonly Dictionary<BasicBlock, LoopCopy> _repeated = [];
    private LoopCopy? _copy;

    // Whether a block is the end of a loop's rounds that is written at each way to it; how much is written more than once.
    private const int MaxCopiedSlots = 64;
    private readonly Dictionary<BasicBlock, bool> _loopEnds = [];
    private int _copiedSlots;
    private bool _copiesLoopEnd;

    private sealed record LoopCopy(RepeatedLoop Loop, Dictionary<BasicBlock, Label> Labels);

    // What is long is cut into regions, where loops stay as they are.
    private void FindRepeatedLoops()
    {
        if (!_options.RepeatLoops || _blocks.Count != _function.Blocks.Count) return;
        foreach (var loop in RepeatedLoop.Find(_program, _function))
        {
            if (!loop.Blocks.Any(_loops.ContainsKey)) _repeated.Add(loop.Header, new LoopCopy(loop, loop.Blocks.ToDictionary(block => block, _ => _il.DefineLabel())));
        }
    }

    private void EmitSecondCopies()
    {
        foreach (var copy in _repeated.Values)
        {
            _copy = copy;
            EmitBlocks(copy.Loop.Blocks);
        }
        _copy = null;
    }

    // Where a loop that is written twice goes on in its other copy: at its header.
    private Label? OtherCopy(BasicBlock from, BasicBlock to) =>
        !_repeated.TryGetValue(to, out var loop) || !loop.Labels.ContainsKey(from) ? null
        : _copy is null ? loop.Labels[to] : _labels[to.Index - _blocks[0].Index];

    // Writes what decides on another round in the place of a jump there; false when there is no such thing at the slot.
    private bool TryEmitLoopEnd(int slot)
    {
        if (!_options.CopyLoopEnds || _copiesLoopEnd || _blocks.Count != _function.Blocks.Count) return false;
        var end = _function.BlockAt(slot);
        if (_copiedSlots + end.End - end.Start > MaxCopiedSlots || !IsCopied(end)) return false;
        _copiedSlots += end.End - end.Start;
        var (block, last) = (_block, _slot);
        _copiesLoopEnd = true;
        if (EmitBody(end)) GoOn(end, end.End);
        _copiesLoopEnd = false;
        (_block, _slot) = (block, last);
        return true;
    }

    private bool IsCopied(BasicBlock end)
    {
        if (_loopEnds.TryGetValue(end, out var isEnd)) return isEnd;
        isEnd = LoopEnd.Is(_program, _function, end) && !_decided.ContainsKey(end) && !_loops.ContainsKey(end)
            && !_repeated.Values.Any(copy => copy.Labels.ContainsKey(end));
        _loopEnds.Add(end, isEnd);
        return isEnd;
    }

    // The label of a block that is written next.
    private Label LabelHere(BasicBlock block) => _copy is null ? LabelOf(block) : OwnLabel(block);

    // A metered loop pays round by round, so it stays as it is.
    private void FindLoops()
    {
        if (!_options.VectorizeLoops || _metered) return;
        foreach (var block in _blocks)
        {
            if (LoopPlan.Find(_program, _function, block) is { } plan && (plan.Latch is null || _blocks.Contains(plan.Latch)))
                _loops.Add(block, new VectorLoop(plan, _il.DefineLabel()));
        }
    }

    // Writes what comes before the body: rounds = all but the last; accumulate; move the counters on.
    private void EmitVectorRounds(LoopPlan plan)
    {
        var scalar = OwnLabel(plan.Header);
        var rounds = _il.DeclareLocal(typeof(ulong));
        _target.NameLocal(rounds, "rounds");
        EmitRounds(plan, rounds, scalar);
        _il.Emit(OpCodes.Ldloc, rounds);
        LoadConstant(MinVectorRounds, 64);
        _il.Emit(OpCodes.Blt_Un, scalar);

        foreach (var reduction in plan.Reductions)
        {
            LoadAtStart(plan, reduction.Register);
            LoadSum(plan, reduction.Load.Address);
            _il.Emit(OpCodes.Conv_U);
            _il.Emit(OpCodes.Ldloc, rounds);
            _il.EmitCall(OpCodes.Call, s_vectorLoops[$"Sum{reduction.Load.Size * 8}"], null);
            _il.Emit(OpCodes.Add);
            if (reduction.Width == 32)
            {
                _il.Emit(OpCodes.Conv_U4);
                _il.Emit(OpCodes.Conv_U8);
            }
            StoreAtStart(plan.Header, reduction.Register);
        }
        if (plan.Store is { } store) EmitVectorStore(plan, store, rounds, scalar);
        foreach (var (register, step) in plan.Steps)
        {
            LoadAtStart(plan, register);
            LoadTimes(rounds, step);
            _il.Emit(OpCodes.Add);
            StoreAtStart(plan.Header, register);
        }
    }

    // All rounds but the last: those whose test says to go on. What is tested in the first round is Tested, and it gains
    // TestedStep from round to round.
    private void EmitRounds(LoopPlan plan, LocalBuilder rounds, Label scalar)
    {
        var tested = _il.DeclareLocal(typeof(ulong));
        var limit = _il.DeclareLocal(typeof(ulong));
        LoadSum(plan, plan.Tested);
        _il.Emit(OpCodes.Stloc, tested);
        if (plan.LimitRegister >= 0) LoadAtStart(plan, plan.LimitRegister);
        else LoadConstant(plan.Limit, 64);
        _il.Emit(OpCodes.Stloc, limit);

        if (!plan.UntilEqual)
        {
            // tested < limit (or <=): whole steps, rounded down; the loop makes the few that are left.
            _il.Emit(OpCodes.Ldloc, tested);
            _il.Emit(OpCodes.Ldloc, limit);
            _il.Emit(plan.LimitInclusive ? OpCodes.Bgt_Un : OpCodes.Bge_Un, scalar);
        }
        _il.Emit(OpCodes.Ldloc, limit);
        _il.Emit(OpCodes.Ldloc, tested);
        _il.Emit(OpCodes.Sub);
        _il.Emit(OpCodes.Stloc, rounds);
        var shift = System.Numerics.BitOperations.TrailingZeroCount(plan.TestedStep);
        if (plan.UntilEqual && shift > 0)
        {
            // Steps that miss the limit go round more than once: leave those to the loop.
            _il.Emit(OpCodes.Ldloc, rounds);
            LoadConstant(plan.TestedStep - 1, 64);
            _il.Emit(OpCodes.And);
            LoadConstant(0, 64);
            _il.Emit(OpCodes.Bne_Un, scalar);
        }
        _il.Emit(OpCodes.Ldloc, rounds);
        if (shift > 0)
        {
            LoadConstant(shift, 32);
            _il.Emit(OpCodes.Shr_Un);
        }
        _il.Emit(OpCodes.Stloc, rounds);
    }

    private void EmitVectorStore(LoopPlan plan, LoopStore store, LocalBuilder rounds, Label scalar)
    {
        if (store.Source is { } source)
        {
            LoadSum(plan, store.Target.Address);
            LoadSum(plan, source.Address);
            LoadTimes(rounds, store.Target.Size);
            _il.EmitCall(OpCodes.Call, s_vectorLoops[nameof(VectorLoops.MayCopy)], null);
            _il.Emit(OpCodes.Brfalse, scalar);
            LoadSum(plan, store.Target.Address);
            _il.Emit(OpCodes.Conv_U);
            LoadSum(plan, source.Address);
            _il.Emit(OpCodes.Conv_U);
            LoadTimes(rounds, store.Target.Size);
            _il.EmitCall(OpCodes.Call, s_vectorLoops[nameof(VectorLoops.Copy)], null);
            return;
        }
        LoadSum(plan, store.Target.Address);
        _il.Emit(OpCodes.Conv_U);
        _il.Emit(OpCodes.Ldloc, rounds);
        if (store.ValueRegister >= 0) LoadAtStart(plan, store.ValueRegister);
        else LoadConstant(store.Value, 64);
        _il.EmitCall(OpCodes.Call, s_vectorLoops[$"Fill{store.Target.Size * 8}"], null);
    }

    private void LoadTimes(LocalBuilder rounds, long factor)
    {
        _il.Emit(OpCodes.Ldloc, rounds);
        if (factor == 1) return;
        LoadConstant(factor, 64);
        _il.Emit(OpCodes.Mul);
    }

    // Pushes a sum's value in the first round.
    private void LoadSum(LoopPlan plan, LinearSum sum)
    {
        if (sum.Map >= 0) _target.LoadMapValue(sum.Map, sum.Constant);
        else LoadConstant(sum.Constant, 64);
        foreach (var register in sum.Registers.Items)
        {
            LoadAtStart(plan, register);
            _il.Emit(OpCodes.Add);
        }
    }

    private void LoadAtStart(LoopPlan plan, int register)
    {
        if (register == FrameRegister)
        {
            _frame.LoadStackTop(this);
            return;
        }
        var web = _registers.AtStart(plan.Header, register);
        _il.Emit(OpCodes.Ldloc, Local(web));
        if (_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U8);
    }
}
