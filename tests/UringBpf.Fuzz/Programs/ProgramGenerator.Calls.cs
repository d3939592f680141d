using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Calls: maps, callbacks, subprograms, other helpers.</summary>
public sealed partial class ProgramGenerator
{
    private int _origins;

    // After a call r0..r5 hold nothing.
    private void Called()
    {
        for (var register = 0; register <= 5; register++) _held[register] = default;
    }

    private void Helper(FunctionPrototype helper)
    {
        if (!_forKernel && (helper.Traits & (FunctionTraits.CallsBack | FunctionTraits.TailCall)) == 0 && !helper.Acquires && !helper.Releases && _random.OneIn(8))
        {
            // By its number in a register.
            Emit(s_moveImmediate64, 0, immediate: helper.Id);
            Emit(Row(Operation.CallRegister, 64, 0, OperandSource.Register));
        }
        else
        {
            Emit(Row(Operation.CallHelper, 64, 0, OperandSource.Immediate), immediate: helper.Id);
        }
        Called();
        if (helper.Returns == ReturnKind.Scalar) _held[0] = Held.Number();
    }

    private void StackAddress(int register, int offset)
    {
        Emit(s_move64, register, 10);
        Emit(Immediate(Operation.Add, 64), register, immediate: offset);
        _held[register] = default;
    }

    // A key on the stack, most often one that exists.
    private void Key(int map)
    {
        if (Scenery.Maps[map].KeySize == 4)
        {
            var number = PickNumber();
            if (number >= 0 && _random.OneIn(2)) Emit(Store(32), 10, number, KeySlot);
            else Emit(StoreImmediate(32), 10, 0, KeySlot, _random.Below(Scenery.Maps[map].MaxEntries + 1));
            return;
        }
        if (map == Scenery.Prefixes)
        {
            // A length, and the bits.
            Emit(StoreImmediate(32), 10, 0, KeySlot, _random.Below(_careless ? 40 : 33));
            Emit(StoreImmediate(32), 10, 0, KeySlot + 4, _random.OneIn(2) ? 0 : Constant());
            return;
        }
        var key = PickNumber();
        if (key >= 0 && _random.OneIn(4)) Emit(Store(64), 10, key, KeySlot);
        else Emit(StoreImmediate(64), 10, 0, KeySlot, _random.Below(Scenery.TableCount));
    }

    private void Lookup()
    {
        // A value at a fixed address.
        if (_random.OneIn(2))
        {
            var target = Target();
            var map = _random.OneIn(4) ? Scenery.Constants : Scenery.Globals;
            var size = map == Scenery.Constants ? Scenery.ConstantBytes : Scenery.GlobalBytes;
            var offset = _random.OneIn(2) ? 0 : _random.Below(size / 8) * 8;
            EmitWide(WideKind.MapValueIndex, target, map, offset);
            _held[target] = new Held { Kind = HeldKind.Memory, Place = map == Scenery.Constants ? Place.Constant : Place.Map, Size = size, Offset = offset, Align = 8 };
            return;
        }
        var table = !_forKernel && _random.OneIn(3) ? _random.Pick(Scenery.MoreKeyed) : _random.OneIn(3) ? Scenery.Table : Scenery.Cells;
        Key(table);
        StackAddress(2, KeySlot);
        EmitWide(WideKind.MapIndex, 1, table, 0);
        Helper(HelperPrototypes.MapLookup);
        Found(new Held { Kind = HeldKind.MaybeNull, Place = Place.Map, Size = Scenery.Maps[table].ValueSize, Align = 8, Origin = ++_origins });
    }

    // r0 may be NULL: looks, and uses what is there.
    private void Found(Held found)
    {
        _held[0] = found;
        if (!_forKernel && found.Place == Place.Map && _functions[_function] is FunctionKind.Main && _random.OneIn(8) && Callee(FunctionKind.Checked) is >= 0 and var callee)
        {
            // Or lets another function look.
            Emit(s_move64, 2, 0);
            Emit(s_move64, 1, 6);
            Emit(s_moveImmediate64, 3, immediate: Constant());
            CallSubprogram(callee);
            return;
        }
        var tested = 0;
        if (_random.OneIn(2))
        {
            var copy = _random.OneIn(2) && CanLock ? Target(keptByCalls: true) : TargetBut(0);
            Emit(s_move64, copy, 0);
            _held[copy] = found;
            if (_random.OneIn(2)) tested = copy;
        }
        if (_loops == 0 && _random.OneIn(4)) Spill(0);
        if (_careless && _random.OneIn(6))
        {
            Become(found.Origin, HeldKind.Memory);
            return;
        }
        // Into the block when it is there, over it when it is not, or out.
        switch (_random.Below(_noExit ? 1 : 3))
        {
            case 0:
                {
                    var jump = Emit(Immediate(Operation.JumpEqual, 64), tested);
                    var before = Save();
                    Become(found.Origin, HeldKind.Memory);
                    Block(1 + _random.Below(3));
                    Land(jump);
                    Merge(before);
                    Become(found.Origin, HeldKind.None);
                    break;
                }
            case 1:
                Demand(Operation.JumpNotEqual, 64, tested, 0);
                Become(found.Origin, HeldKind.Memory);
                break;
            default:
                {
                    var jump = Emit(Immediate(Operation.JumpEqual, 64), tested);
                    var over = Jump();
                    Land(jump);
                    Leave();
                    Land(over);
                    Become(found.Origin, HeldKind.Memory);
                    break;
                }
        }
    }

    private void Become(int origin, HeldKind kind)
    {
        Become(_held, origin, kind);
        Become(_spilled, origin, kind);
    }

    private static void Become(Held[] all, int origin, HeldKind kind)
    {
        for (var i = 0; i < all.Length; i++)
        {
            if (all[i].Kind != HeldKind.MaybeNull || all[i].Origin != origin) continue;
            if (kind == HeldKind.None) all[i] = default;
            else all[i].Kind = kind;
        }
    }

    private void CallFunction()
    {
        var wanted = _random.Below(4) switch { 0 => FunctionKind.LoopBody, 1 => FunctionKind.EachCell, _ => FunctionKind.Plain };
        var callee = Callee(wanted);
        if (callee < 0)
        {
            Arithmetic();
            return;
        }
        switch (wanted)
        {
            case FunctionKind.Plain: CallPlain(callee); break;
            case FunctionKind.LoopBody: CallLoop(callee); break;
            default: CallEach(callee); break;
        }
    }

    private void CallSubprogram(int callee)
    {
        _uses.Add((_code.Count, callee));
        Emit(Row(Operation.CallSubprogram, 64, 0, OperandSource.Immediate));
        Called();
        _held[0] = Held.Number();
    }

    // A function of that kind, known or new; -1 when there can't be another.
    private int Callee(FunctionKind wanted)
    {
        // One that was written already may call this one: only later ones are called.
        var candidates = Enumerable.Range(_function + 1, Math.Max(0, _functions.Count - _function - 1)).Where(index => _functions[index] == wanted).ToArray();
        if (candidates.Length > 0 && (_functions.Count >= MostFunctions || _random.OneIn(2))) return _random.Pick(candidates);
        if (_functions.Count >= MostFunctions) return -1;
        _functions.Add(wanted);
        if (!_forKernel && wanted is FunctionKind.Plain or FunctionKind.Checked && _random.OneIn(2)) _global.Add(_functions.Count - 1);
        return _functions.Count - 1;
    }

    private void CallPlain(int callee)
    {
        var pointer = Pick(held => held is { Kind: HeldKind.Memory, Variable: 0, Room: >= 32, Align: 8 } && held.Place is not (Place.Constant or Place.Packet or Place.Context));
        var (a, b) = (PickNumber(), PickNumber());
        // r2 first: the others may lie in its way no more.
        if (pointer >= 0) Emit(s_move64, 2, pointer);
        else Handed(2);
        if (a < 0 || a == 2) Emit(s_moveImmediate64, 1, immediate: Constant());
        else Emit(s_move64, 1, a);
        if (b is < 0 or 1 or 2) Emit(s_moveImmediate64, 3, immediate: _random.Below(64));
        else Emit(s_move64, 3, b);
        CallSubprogram(callee);
    }

    // 32 bytes of stack for another function: numbers, or pointers that it may write over.
    private void Handed(int register)
    {
        if (_forKernel || _loops > 0 || !_random.OneIn(6))
        {
            StackAddress(register, -8 * (4 + _random.Below(5)));
            return;
        }
        for (var slot = 0; slot < Spills; slot++)
        {
            if (_spilled[slot].Kind == HeldKind.None) Emit(StoreImmediate(64), 10, 0, SpillTop - 8 * slot, _random.Below(64));
            if (!_careless) _spilled[slot] = default;
        }
        StackAddress(register, SpillTop - 8 * (Spills - 1));
    }

    private void CallLoop(int callee)
    {
        if (_loops > 0 && _function > 0) return;
        var number = PickNumber();
        if (number >= 0 && _random.OneIn(3))
        {
            Emit(s_move64, 1, number);
            Emit(Immediate(Operation.And, 64), 1, immediate: 7);
        }
        else
        {
            Emit(s_moveImmediate64, 1, immediate: _random.Below(9));
        }
        _uses.Add((_code.Count, callee));
        EmitWide(WideKind.Function, 2, 0, 0);
        Handed(3);
        Emit(s_moveImmediate64, 4, immediate: _careless && _random.OneIn(8) ? 1 : 0);
        Helper(HelperPrototypes.Loop);
    }

    private void CallEach(int callee)
    {
        _uses.Add((_code.Count, callee));
        EmitWide(WideKind.Function, 2, 0, 0);
        EmitWide(WideKind.MapIndex, 1, Scenery.Cells, 0);
        Handed(3);
        Emit(s_moveImmediate64, 4);
        Helper(HelperPrototypes.ForEachMapElem);
    }

    private void CallHelper()
    {
        switch (_random.Below(_forKernel ? 4 : 6))
        {
            case 0:
                Key(Scenery.Table);
                for (var word = 0; word < Scenery.TableBytes / 8; word++)
                {
                    var number = PickNumber();
                    if (number >= 0) Emit(Store(64), 10, number, ValueSlot + 8 * word);
                    else Emit(StoreImmediate(64), 10, 0, ValueSlot + 8 * word, Constant());
                }
                StackAddress(2, KeySlot);
                StackAddress(3, ValueSlot);
                EmitWide(WideKind.MapIndex, 1, Scenery.Table, 0);
                Emit(s_moveImmediate64, 4, immediate: _random.Below(3));
                Helper(HelperPrototypes.MapUpdate);
                break;
            case 1:
                // Values of the table that the program still points to must not be given to another key meanwhile.
                if (_held.Any(held => held.Place == Place.Map && held.Kind != HeldKind.None) || _spilled.Any(held => held.Kind != HeldKind.None)) return;
                Key(Scenery.Table);
                StackAddress(2, KeySlot);
                EmitWide(WideKind.MapIndex, 1, Scenery.Table, 0);
                Helper(HelperPrototypes.MapDelete);
                break;
            case 2:
                {
                    // The kernel has it in packet programs only.
                    if (_forKernel && _type.Context.IsFlat) return;
                    // Four-byte multiples; a variable length at times.
                    var number = _random.OneIn(2) ? Pick(held => held.Kind == HeldKind.Number && held.Max is >= 0 and < 8) : -1;
                    if (number >= 0)
                    {
                        Emit(s_move64, 2, number);
                        Emit(Immediate(Operation.ShiftLeft, 64), 2, immediate: 2);
                    }
                    else
                    {
                        Emit(s_moveImmediate64, 2, immediate: 4 * (1 + _random.Below(8)));
                    }
                    StackAddress(1, -8 * (4 + _random.Below(5)));
                    Emit(s_moveImmediate64, 3);
                    Emit(s_moveImmediate64, 4);
                    Emit(s_moveImmediate64, 5, immediate: _random.Below(1 << 16));
                    Helper(HelperPrototypes.CsumDiff);
                    break;
                }
            case 3:
                {
                    if (_function > 0 || _held[6].Kind != HeldKind.Context || ReturnsStatus) return;
                    var loads = _type.HasPacket ? HelperPrototypes.SkbLoadBytes : HelperPrototypes.XdpLoadBytes;
                    // Where the bytes are not all there the kernel leaves the memory as it is, for xdp; here it is cleared.
                    var fits = _forKernel && !_type.HasPacket;
                    var offset = PickNumber();
                    if (!fits && offset >= 0 && _random.OneIn(2)) Emit(s_move64, 2, offset);
                    else Emit(s_moveImmediate64, 2, immediate: _random.Below(fits ? Scenery.PacketMin - 7 : 20));
                    Emit(s_move64, 1, 6);
                    StackAddress(3, -8 * (4 + _random.Below(5)));
                    Emit(s_moveImmediate64, 4, immediate: 1 + _random.Below(fits ? 8 : _careless && _random.OneIn(3) ? 70 : 32));
                    Helper(loads);
                    break;
                }
            default:
                Record();
                break;
        }
    }

    // Reserves a record, writes all of it, gives it back.
    private void Record()
    {
        // One inside another's time at times.
        var inside = _noExit;
        if (inside && (_forKernel || _loops > 0 || !HasKept(2))) return;
        var size = 8 * (1 + _random.Below(4));
        EmitWide(WideKind.MapIndex, 1, Scenery.Ring, 0);
        Emit(s_moveImmediate64, 2, immediate: size);
        Emit(s_moveImmediate64, 3);
        Helper(HelperPrototypes.RingbufReserve);
        var jump = Emit(Immediate(Operation.JumpEqual, 64), 0);
        var before = Save();
        if (!CanLock)
        {
            // No room to keep it: it goes back at once.
            Emit(s_move64, 1, 0);
            Emit(s_moveImmediate64, 2);
            Helper(HelperPrototypes.RingbufDiscard);
            Land(jump);
            Merge(before);
            return;
        }
        var locked = _locked;
        var record = Target(keptByCalls: true);
        Emit(s_move64, record, 0);
        before.Registers[record] = default;
        for (var at = 0; at < size; at += 8) Emit(StoreImmediate(64), record, 0, at, Constant());
        _held[0] = default;
        _held[record] = new Held { Kind = HeldKind.Memory, Place = Place.Record, Size = size, Align = 8 };
        _locked |= 1 << record;
        _noExit = true;
        Block(1 + _random.Below(3));
        _noExit = inside;
        _locked = locked;
        Emit(s_move64, 1, record);
        Emit(s_moveImmediate64, 2);
        Helper(_random.OneIn(2) ? HelperPrototypes.RingbufSubmit : HelperPrototypes.RingbufDiscard);
        _held[record] = default;
        for (var register = 0; register < 10; register++)
        {
            if (_held[register].Place == Place.Record && _held[register].Kind == HeldKind.Memory && (_locked >> register & 1) == 0) _held[register] = default;
        }
        if (_careless && _random.OneIn(4)) Emit(Load(8), 0, record);
        Land(jump);
        Merge(before);
    }
}
