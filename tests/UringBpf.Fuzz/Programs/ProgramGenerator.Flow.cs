using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Branches and loops.</summary>
public sealed partial class ProgramGenerator
{
    private const int LoopDepth = 2;

    private void Block(int steps)
    {
        for (; steps > 0; steps--) Step();
    }

    private int Condition()
    {
        var row = _random.Pick(s_jumps);
        var register = Number();
        return row.Source == OperandSource.Register
            ? Emit(row, register, Number())
            : Emit(row, register, immediate: _random.OneIn(2) ? Constant() : _random.Below(70));
    }

    private void If()
    {
        var jump = Condition();
        var before = Save();
        Block(1 + _random.Below(4));
        if (_random.OneIn(2))
        {
            Land(jump);
            Merge(before);
            return;
        }
        var over = Jump();
        Land(jump);
        var then = Save();
        Restore(before);
        Block(1 + _random.Below(3));
        Land(over);
        Merge(then);
    }

    private void ComparePointers()
    {
        var left = Pick(held => held is { Kind: HeldKind.Memory, Variable: 0 } && held.Place is not (Place.Packet or Place.Record));
        if (left < 0) return;
        var other = TargetBut(left);
        Emit(s_move64, other, left);
        _held[other] = _held[left];
        if (_held[left].Room >= 8)
        {
            Emit(Immediate(Operation.Add, 64), other, immediate: 8);
            _held[other].Offset += 8;
        }
        Operation[] operations = _forKernel ? [Operation.JumpEqual, Operation.JumpNotEqual] : [Operation.JumpEqual, Operation.JumpNotEqual, Operation.JumpLess, Operation.JumpGreaterOrEqual];
        var jump = Emit(Row(_random.Pick(operations), 64, 0, OperandSource.Register), left, other);
        var before = Save();
        Block(1);
        Land(jump);
        Merge(before);
    }

    private void Loop()
    {
        if (_loops >= LoopDepth || !HasKept(2))
        {
            Arithmetic();
            return;
        }
        var rounds = 1 + _random.Below(_loops == 0 ? 12 : 5);
        if (_loops == 0 && _random.OneIn(12)) rounds = 50 + _random.Below(300);
        switch (_random.Below(_forKernel ? 9 : 10))
        {
            case 0: CountDown(rounds); break;
            case < 4: CountUp(rounds); break;
            case 4: CountTo(rounds); break;
            case 5: MayGoto(rounds); break;
            case 6: WalkPointer(); break;
            case 7: CountOnStack(rounds); break;
            case 8: WalkBesideIndex(); break;
            default: Iterate(rounds); break;
        }
    }

    // What the body may rely on: nothing that it changes itself, or that a call takes away.
    private Saved EnterLoop()
    {
        for (var register = 0; register < 10; register++)
        {
            ref var held = ref _held[register];
            if ((_locked >> register & 1) != 0 || held.Kind == HeldKind.None) continue;
            if (held.Kind == HeldKind.Number) held.Max = -1;
            else if (register < 6 || _random.OneIn(2) || !HasKept(2)) held = default;
            else _locked |= 1 << register;
        }
        _loops++;
        return Save();
    }

    // The next round must find numbers where this one did.
    private void NextRound(Saved head)
    {
        for (var register = 0; register < 10; register++)
        {
            if (head.Registers[register].Kind != HeldKind.Number || _held[register].Kind == HeldKind.Number) continue;
            Emit(s_moveImmediate64, register, immediate: _random.Below(9));
            _held[register] = Held.Number();
        }
    }

    private void LeaveLoop(int locked)
    {
        _loops--;
        _locked = locked;
        for (var register = 0; register < 10; register++)
        {
            if (_held[register].Kind == HeldKind.Number) _held[register].Max = -1;
        }
    }

    private int Counter(int start)
    {
        var counter = KeptTarget();
        Emit(s_moveImmediate64, counter, immediate: start);
        _held[counter] = Held.Number(start);
        return counter;
    }

    private int KeptTarget() => Target(keptByCalls: true);

    // do … while (--i)
    private void CountDown(int rounds)
    {
        var step = 1 + _random.Below(3);
        var locked = _locked;
        var counter = Counter(rounds * step);
        _locked |= 1 << counter;
        _held[counter].Max = rounds * step;
        var head = EnterLoop();
        var start = _code.Count;
        Block(1 + _random.Below(3));
        NextRound(head);
        Emit(_random.OneIn(2) ? Immediate(Operation.Add, 64) : Immediate(Operation.Add, 32), counter, immediate: -step);
        JumpBack(Emit(_random.OneIn(3) ? Immediate(Operation.JumpSignedGreater, 64) : Immediate(Operation.JumpNotEqual, _random.OneIn(2) ? 32 : 64), counter), start);
        LeaveLoop(locked);
    }

    // do … while (++i < n), or !=
    private void CountUp(int rounds)
    {
        var step = 1 + _random.Below(4);
        var first = _random.OneIn(3) ? -_random.Below(5) : 0;
        var locked = _locked;
        var counter = Counter(first);
        _locked |= 1 << counter;
        _held[counter].Max = first == 0 ? (rounds - 1) * step : -1;
        var head = EnterLoop();
        var start = _code.Count;
        Block(1 + _random.Below(3));
        NextRound(head);
        var width = first < 0 || _random.OneIn(2) ? 64 : 32;
        Emit(Immediate(Operation.Add, width), counter, immediate: step);
        var comparison = _random.Below(first < 0 ? 2 : 4) switch { 0 => Operation.JumpSignedLess, 1 => Operation.JumpNotEqual, 2 => Operation.JumpLess, _ => Operation.JumpLessOrEqual };
        var limit = first + rounds * step - (comparison == Operation.JumpLessOrEqual ? 1 : 0);
        JumpBack(Emit(Immediate(comparison, width), counter, immediate: limit), start);
        LeaveLoop(locked);
    }

    // for (i = 0; i < n; i++) with n from data, and perhaps a break.
    private void CountTo(int rounds)
    {
        var locked = _locked;
        var limit = KeptTarget();
        var number = Number();
        if (number != limit) Emit(s_move64, limit, number);
        Emit(Immediate(Operation.And, 64), limit, immediate: 15);
        _held[limit] = Held.Number(15);
        _locked |= 1 << limit;
        if (!CanLock)
        {
            _locked = locked;
            return;
        }
        var counter = Counter(0);
        _locked |= 1 << counter;
        _held[counter].Max = 14;
        var head = EnterLoop();
        var start = _code.Count;
        var end = Emit(Row(_random.OneIn(2) ? Operation.JumpGreaterOrEqual : Operation.JumpEqual, 64, 0, OperandSource.Register), counter, limit);
        Block(1 + _random.Below(3));
        var leaves = _random.OneIn(3) ? Condition() : -1;
        NextRound(head);
        Emit(Immediate(Operation.Add, 64), counter, immediate: 1);
        JumpBack(Jump(), start);
        Land(end);
        if (leaves >= 0) Land(leaves);
        Merge(head);
        LeaveLoop(locked);
    }

    private void MayGoto(int rounds)
    {
        var locked = _locked;
        var counter = Counter(0);
        _locked |= 1 << counter;
        _held[counter].Max = rounds - 1;
        var head = EnterLoop();
        var start = _code.Count;
        var end = Emit(Row(Operation.MayGoto, 64, 0, OperandSource.None));
        var done = Emit(Immediate(Operation.JumpGreaterOrEqual, 64), counter, immediate: rounds);
        Block(1 + _random.Below(3));
        NextRound(head);
        Emit(Immediate(Operation.Add, 64), counter, immediate: 1);
        JumpBack(Jump(), start);
        Land(end);
        Land(done);
        Merge(head);
        LeaveLoop(locked);
    }

    // A copy of a pointer that a loop may move, kept from other use; -1 when no register would be left.
    private int Walker(int pointer)
    {
        var (held, locked) = (_held[pointer], _locked);
        var walker = KeptTarget();
        if (walker != pointer) Emit(s_move64, walker, pointer);
        _held[walker] = held;
        _locked |= 1 << walker;
        if (CanLock) return walker;
        _locked = locked;
        return -1;
    }

    // for (p = a; p != end; p += n)
    private void WalkPointer()
    {
        var pointer = Pick(held => held is { Kind: HeldKind.Memory, Variable: 0, Room: >= 8 } && !(_forKernel && held.Place == Place.Context));
        if (pointer < 0) return;
        var held = _held[pointer];
        var locked = _locked;
        var walker = Walker(pointer);
        if (walker < 0) return;
        var step = 1 << _random.Below(4);
        var rounds = held.Room / step;
        var end = KeptTarget();
        Emit(s_move64, end, walker);
        Emit(Immediate(Operation.Add, 64), end, immediate: rounds * step + (_careless && _random.OneIn(4) ? step : 0));
        _held[end] = default;
        _locked |= 1 << end;
        _held[walker] = held with { Offset = 0, Size = step, Align = Math.Min(held.Align, step) };
        var head = EnterLoop();
        var start = _code.Count;
        Access(walker, _held[walker], atEdge: false);
        Block(_random.Below(2));
        NextRound(head);
        Emit(Immediate(Operation.Add, 64), walker, immediate: step);
        var comparison = _forKernel && held.Place != Place.Packet || _random.OneIn(2) ? Operation.JumpNotEqual : Operation.JumpLess;
        JumpBack(Emit(Row(comparison, 64, 0, OperandSource.Register), walker, end), start);
        LeaveLoop(locked);
        _held[walker] = default;
        _held[end] = default;
    }

    // A pointer walks by one stride, an index beside it by another, and the index says when to stop.
    private void WalkBesideIndex()
    {
        var pointer = Pick(held => held is { Kind: HeldKind.Memory, Variable: 0, Room: >= 8 } && held.Place != Place.Context);
        if (pointer < 0) return;
        var held = _held[pointer];
        var locked = _locked;
        var walker = Walker(pointer);
        if (walker < 0) return;
        var stride = _random.OneIn(3) ? 1 + _random.Below(7) : 1 << _random.Below(4);
        var step = 1 + _random.Below(_random.OneIn(3) ? 6 : 2);
        var rounds = held.Room / stride;
        var wrong = _careless && _random.OneIn(3) ? _random.Below(3) - 1 : 0;
        var down = _random.OneIn(3);
        var first = _random.Below(3) switch { 0 => 0, 1 => _random.Below(4), _ => -_random.Below(4) };
        var end = first + (rounds + wrong) * step;
        // Down: from the same distance to where it began.
        if (down) (first, end) = (end, first);
        var backwards = held.Place != Place.Packet && _random.OneIn(4);
        if (backwards) Emit(Immediate(Operation.Add, 64), walker, immediate: rounds * stride);
        var index = Counter(first);
        _locked |= 1 << index;
        _held[walker] = held with { Offset = 0, Size = stride, Align = (stride & (stride - 1)) == 0 ? Math.Min(held.Align, stride) : 1 };
        var inside = _held[walker];
        var head = EnterLoop();
        var start = _code.Count;
        var leaves = -1;
        var atTop = _random.OneIn(2);
        var width = first >= 0 && end >= 0 && _random.OneIn(3) ? 32 : 64;
        if (atTop) leaves = Emit(Immediate(_random.OneIn(2) ? Operation.JumpEqual : down ? Operation.JumpSignedLessOrEqual : Operation.JumpSignedGreaterOrEqual, width), index, immediate: end);
        var moveFirst = backwards || _random.OneIn(4);
        if (moveFirst) Emit(Immediate(Operation.Add, 64), walker, immediate: backwards ? -stride : stride);
        // Moved on, the memory lies before it.
        if (moveFirst && !backwards) Emit(Load(8), TargetBut(walker, index), walker, -1);
        else Access(walker, inside, atEdge: _random.OneIn(2));
        Block(_random.Below(2));
        NextRound(head);
        if (_random.OneIn(2)) Emit(Immediate(Operation.Add, width), index, immediate: down ? -step : step);
        else Emit(Immediate(Operation.Subtract, width), index, immediate: down ? step : -step);
        if (!moveFirst) Emit(Immediate(Operation.Add, 64), walker, immediate: stride);
        Operation[] goesOn = down ? [Operation.JumpNotEqual, Operation.JumpSignedGreater] : [Operation.JumpNotEqual, Operation.JumpSignedLess];
        JumpBack(atTop ? Jump() : Emit(Immediate(_random.Pick(goesOn), width), index, immediate: end), start);
        if (leaves >= 0)
        {
            Land(leaves);
            Merge(head);
        }
        LeaveLoop(locked);
        _held[walker] = default;
    }

    // The counter lives on the stack.
    private void CountOnStack(int rounds)
    {
        if (_loops > 0) return;
        var locked = _locked;
        var bits = _random.OneIn(2) ? 64 : 32;
        Emit(StoreImmediate(bits), 10, 0, LoopSlot);
        var counter = KeptTarget();
        _held[counter] = Held.Number(rounds - 1);
        _locked |= 1 << counter;
        var head = EnterLoop();
        head.Registers[counter] = default;
        var start = _code.Count;
        Emit(Load(bits), counter, 10, LoopSlot);
        var end = Emit(Immediate(Operation.JumpGreaterOrEqual, 64), counter, immediate: rounds);
        Block(1 + _random.Below(2));
        NextRound(head);
        if (_random.OneIn(2))
        {
            Emit(Load(bits), counter, 10, LoopSlot);
            Emit(Immediate(Operation.Add, bits), counter, immediate: 1);
            Emit(Store(bits), 10, counter, LoopSlot);
        }
        else
        {
            Emit(s_moveImmediate64, counter, immediate: 1);
            Emit(Row(Operation.AtomicAdd, bits, bits, OperandSource.Register), 10, counter, LoopSlot);
        }
        JumpBack(Jump(), start);
        Land(end);
        Merge(head);
        LeaveLoop(locked);
    }

    // bpf_iter_num_new, _next, _destroy.
    private void Iterate(int rounds)
    {
        if (_loops > 0 || _noExit) return;
        var locked = _locked;
        Emit(s_move64, 1, 10);
        Emit(Immediate(Operation.Add, 64), 1, immediate: IteratorSlot);
        Emit(s_moveImmediate64, 2, immediate: 0);
        Emit(s_moveImmediate64, 3, immediate: rounds);
        Emit(Row(Operation.CallKfunc, 64, 0, OperandSource.Immediate), immediate: KfuncPrototypes.IteratorNew.Id);
        Called();
        var number = KeptTarget();
        _held[number] = Held.Number(rounds - 1);
        _locked |= 1 << number;
        var head = EnterLoop();
        head.Registers[number] = default;
        _noExit = true;
        var start = _code.Count;
        Emit(s_move64, 1, 10);
        Emit(Immediate(Operation.Add, 64), 1, immediate: IteratorSlot);
        Emit(Row(Operation.CallKfunc, 64, 0, OperandSource.Immediate), immediate: KfuncPrototypes.IteratorNext.Id);
        Called();
        // r0..r5 are gone at the head already.
        for (var register = 0; register < 6; register++) head.Registers[register] = default;
        var end = Emit(Immediate(Operation.JumpEqual, 64), 0);
        Emit(Load(32), number, 0);
        if (_careless && _random.OneIn(8)) Emit(_random.Pick([Store(64), Store(8), Row(Operation.AtomicAdd, 64, 64, OperandSource.Register)]), 10, number, IteratorSlot);
        Block(1 + _random.Below(3));
        NextRound(head);
        JumpBack(Jump(), start);
        Land(end);
        _noExit = false;
        Merge(head);
        LeaveLoop(locked);
        Emit(s_move64, 1, 10);
        Emit(Immediate(Operation.Add, 64), 1, immediate: IteratorSlot);
        Emit(Row(Operation.CallKfunc, 64, 0, OperandSource.Immediate), immediate: KfuncPrototypes.IteratorDestroy.Id);
        Called();
    }
}
