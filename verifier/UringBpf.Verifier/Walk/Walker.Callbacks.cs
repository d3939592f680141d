using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Functions that call back: the callback is walked as the body of a loop whose head is its first instruction. The round's
/// number is kept beside its registers, which makes it a counter.
/// </summary>
internal sealed partial class Walker
{
    private void StartCallback(int slot, HostCall call)
    {
        if (call.Function.Id != HelperPrototypes.Loop.Id && call.Function.Id != HelperPrototypes.ForEachMapElem.Id || call.Function.Kind != FunctionKind.Helper)
            throw _judge.Fatal(Rule.CallbackFunction, slot, $"{call.Function.Name}: what it passes to its callback is not known.", help: "only bpf_loop and bpf_for_each_map_elem may call back");
        var callee = _shape.FunctionOf(call.Callback);
        var rounds = RoundsOf(call);
        var run = new CallbackRun(slot, call.Function, call.Map, call.CallbackContext, rounds, _state.References.Length);
        if (MayMakeNone(call))
        {
            var none = Another();
            for (var register = 1; register <= 5; register++) none.Set(register, null);
            none.Set(0, CallbackResult(run, 0, 0));
            if (rounds == 0)
            {
                _state = none;
                return;
            }
            Wait(none, _slot);
        }
        EnterRound(run, callee, Value.Zero);
    }

    private static long RoundsOf(HostCall call)
    {
        if (call.Map is null && call.Values[0] is { IsNumber: true } count)
            return Math.Min(count.Number.UMax32, Limits.LoopRounds);
        return call.Map is { Type: MapType.Array or MapType.PerCpuArray } map ? map.MaxEntries : long.MaxValue / 8;
    }

    // No round at all: a count of 0 or one too large, wrong flags, a map without entries.
    private static bool MayMakeNone(HostCall call) =>
        call.Values[^2] is not { } flags || !flags.IsConstant(0) || call.Map is not null
        || call.Values[0] is not { IsNumber: true } count || count.Number.UMin32 == 0 || count.Number.UMax32 > Limits.LoopRounds;

    private static Value CallbackResult(CallbackRun run, long least, long most) =>
        least == 0 ? Value.Of(Scalar.FromSigned(run.Function.ReturnMin, Math.Min(run.Function.ReturnMax, Math.Max(0, most))))
            : Value.Of(Scalar.FromSigned(least, Math.Min(run.Function.ReturnMax, most)));

    private void EnterRound(CallbackRun run, int callee, Value round)
    {
        var arguments = new Value?[6];
        if (run.Map is { } map)
        {
            arguments[1] = new Value { Kind = ValueKind.Map, Map = map };
            arguments[2] = new Value { Kind = ValueKind.Memory, Detail = map.KeySize, IsReadOnly = true, Id = NewId() };
            arguments[3] = new Value { Kind = ValueKind.MapValue, Map = map, Id = NewId() };
            arguments[4] = run.Context;
        }
        else
        {
            arguments[1] = round;
            arguments[2] = run.Context;
        }
        Enter(run.Call, callee, arguments, run);
        _state.Writable(_state.Depth - 1)[Frame.Round] = round;
    }

    private void EndRound(int slot, Frame frame, Value result)
    {
        var run = frame.Callback!;
        if (!result.IsNumber || result.Number.SMin < 0 || result.Number.SMax > 1)
        {
            _judge.Reject(Rule.CallbackReturn, slot, $"a callback of {run.Function.Name} returns {result}: it must return 0 to go on or 1 to stop.",
                help: "end it with `return 0;`");
        }
        if (_state.References.Length > run.References)
        {
            _judge.Reject(Rule.ReferenceLeak, slot, "a callback ends while a ring-buffer record it reserved is neither submitted nor discarded.",
                help: "call bpf_ringbuf_submit or bpf_ringbuf_discard on every path");
        }
        if (_state.LockId != 0)
        {
            _judge.Reject(Rule.LockLeak, slot, $"a callback ends while the spin lock of map '{_state.LockMap?.Name}' is held.",
                help: "call bpf_spin_unlock on every path");
        }
        var round = frame[Frame.Round] ?? Value.Unknown;
        _state.Pop();

        var most = (long)Math.Min(round.Number.UMax, (ulong)run.Rounds - 1) + 1;
        var done = Another();
        for (var register = 1; register <= 5; register++) done.Set(register, null);
        done.Set(0, CallbackResult(run, 1, Math.Max(1, most)));

        var next = Scalar.Intersect(Scalar.Binary(Operation.Add, 64, round.Number, Scalar.Constant(1)), Scalar.FromRange(1, (ulong)Math.Max(1, run.Rounds - 1)));
        if (next.IsEmpty || run.Rounds <= 1 || result.IsNumber && result.Number.UMin > 0)
        {
            _state = done;
            _slot = _shape.Next(run.Call);
            return;
        }
        Wait(done, _shape.Next(run.Call));
        var linked = round.Id != 0 ? new Value { Kind = ValueKind.Number, Number = next, Id = round.Id, Scale = round.Scale, Offset = round.Offset + 1 } : Value.Of(next);
        EnterRound(run, frame.Function, linked);
        // That there is another round tells of all that is counted with them.
        if (linked.Id != 0 && !_state.NarrowLinked(linked)) _slot = -1;
    }
}
