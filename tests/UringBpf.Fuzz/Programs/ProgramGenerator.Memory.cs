using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Memory: constant and variable offsets, spills, packets, fields of the context.</summary>
public sealed partial class ProgramGenerator
{
    private static readonly Held s_stack = new() { Kind = HeldKind.Memory, Place = Place.Stack, Size = NumberBytes, Offset = NumberBytes, Align = 8 };

    private bool Aligned(Place place) => place is Place.Stack or Place.Outer || _forKernel && place == Place.Context;

    // Words side by side, cleared or copied, upwards or downwards: what the JIT does at once. The places may overlap.
    private void Words()
    {
        var to = Pointer(writes: true);
        var from = _random.OneIn(3) ? -1 : Pointer(writes: false);
        var count = Math.Min(Words(to), from < 0 ? int.MaxValue : Words(from));
        if (count < 2) return;
        count = Math.Min(count, 4 + _random.Below(4));
        var (toOffset, fromOffset) = (Offset(to), from < 0 ? 0 : Offset(from));
        var value = from < 0 ? -1 : TargetBut(from, to);
        var down = _random.OneIn(3);
        for (var word = 0; word < count; word++)
        {
            var at = 8 * (down ? count - 1 - word : word);
            if (from >= 0) Emit(Load(64), value, from, fromOffset + at);
            if (from >= 0) Emit(Store(64), to, value, toOffset + at);
            else Emit(StoreImmediate(64), to, 0, toOffset + at, 0);
        }
        if (value >= 0) _held[value] = Held.Number();

        int Pointer(bool writes)
        {
            var pointer = _random.OneIn(3) ? 10 : Pick(held => held is { Kind: HeldKind.Memory, Align: >= 8 } && !(writes && held.Place == Place.Constant));
            return pointer < 0 ? 10 : pointer;
        }

        Held Of(int pointer) => pointer == 10 ? s_stack : _held[pointer];

        int Words(int pointer) => (Of(pointer).Room + Of(pointer).Offset) / 8;

        int Offset(int pointer) => 8 * _random.Below(Words(pointer) - count + 1) - Of(pointer).Offset;
    }

    // An access at a constant offset from a pointer.
    private void Access()
    {
        if (!_forKernel && _random.OneIn(12))
        {
            Words();
            return;
        }
        var pointer = _random.OneIn(3) ? 10 : Pick(held => held.Kind == HeldKind.Memory && (held.Room > 0 || held.Offset > 0));
        if (pointer < 0) pointer = 10;
        Access(pointer, pointer == 10 ? s_stack : _held[pointer], atEdge: _random.OneIn(3));
    }

    private void Access(int pointer, in Held held, bool atEdge)
    {
        for (var tries = 0; tries < 8; tries++)
        {
            var row = _random.Pick(s_memory);
            var bytes = row.AccessBytes;
            var loads = row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire;
            var atomic = row.IsAtomicReadModifyWrite || row.Operation is Operation.LoadAcquire or Operation.StoreRelease;
            if (!loads && held.Place == Place.Constant && !(_careless && _random.OneIn(8))) continue;
            if (atomic && (held.Place == Place.Packet || _forKernel && held.Place == Place.Context || held.Align < bytes)) continue;
            var aligned = atomic || Aligned(held.Place);
            if (aligned && held.Align < bytes) continue;
            if (held.Room + held.Offset < bytes) continue;
            var offset = atEdge ? held.Room - bytes : _random.Below(held.Room + held.Offset - bytes + 1) - held.Offset;
            if (held.Offset + offset < 0) continue;
            if (aligned) offset = (held.Offset + offset) / bytes * bytes - held.Offset;
            if (_careless && _random.OneIn(10)) offset += aligned ? bytes : 1;
            Emit(row, pointer, loads, offset);
            return;
        }
    }

    // A load into, or a store from, a register chosen here.
    private void Emit(OpcodeRow row, int pointer, bool loads, int offset)
    {
        if (loads)
        {
            var target = (_locked >> pointer & 1) == 0 && _random.OneIn(12) && pointer != 10 ? pointer : pointer == 10 ? Target() : TargetBut(pointer);
            Emit(row, target, pointer, offset);
            _held[target] = Held.Number(row.Operation == Operation.Load && row.Bits < 64 ? (1L << row.Bits) - 1 : -1);
            return;
        }
        if (row.Source == OperandSource.Immediate)
        {
            Emit(row, pointer, 0, offset, Constant());
            return;
        }
        if (row.Operation == Operation.AtomicCompareExchange)
        {
            if (pointer == 0) return;
            if (_held[0].Kind != HeldKind.Number)
            {
                Emit(s_moveImmediate64, 0, immediate: _random.Below(3));
                _held[0] = Held.Number();
            }
            var value = Number();
            Emit(row, pointer, value == pointer ? 0 : value, offset);
            _held[0] = Held.Number();
            return;
        }
        var source = row.WritesSource ? OwnNumber() : Number();
        if (source == pointer) return;
        Emit(row, pointer, source, offset);
        if (row.WritesSource) _held[source] = Held.Number();
    }

    private void LoadFrom(int pointer, int target)
    {
        var held = _held[pointer];
        var bits = 8 << _random.Below(4);
        while (bits / 8 > held.Room || Aligned(held.Place) && held.Align < bits / 8) bits /= 2;
        if (bits < 8)
        {
            Emit(s_moveImmediate64, target, immediate: Constant());
            _held[target] = Held.Number();
            return;
        }
        var signed = bits < 64 && _random.OneIn(4);
        var bytes = bits / 8;
        var offset = _random.Below(held.Room - bytes + 1);
        if (Aligned(held.Place)) offset = (held.Offset + offset) / bytes * bytes - held.Offset;
        Emit(signed ? Row(Operation.LoadSignExtend, 64, bits, OperandSource.Register) : Load(bits), target, pointer, offset);
        _held[target] = Held.Number(signed || bits == 64 ? -1 : (1L << bits) - 1);
    }

    // pointer + number, accessed at the edge of what is known.
    private void VariableAccess()
    {
        var pointer = _random.OneIn(3) ? 10 : Pick(held => held is { Kind: HeldKind.Memory, Variable: 0, Room: > 1 } && !(_forKernel && held.Place == Place.Context));
        if (pointer < 0) pointer = 10;
        var held = pointer == 10 ? s_stack : _held[pointer];
        if (held.Place == Place.Packet && held.Room <= 1) return;
        var room = pointer == 10 ? NumberBytes : held.Room;
        var number = Pick(other => other.Kind == HeldKind.Number && other.Max > 0 && other.Max < room);
        if (number < 0)
        {
            Bound();
            number = Pick(other => other.Kind == HeldKind.Number && other.Max > 0 && other.Max < room);
            if (number < 0) return;
        }
        var max = (int)_held[number].Max;
        var shift = 0;
        while (shift < 3 && max << (shift + 1) < room && _random.OneIn(2)) shift++;
        if (pointer == 10 || Aligned(held.Place))
        {
            // The stack wants alignment, so indices of words.
            shift = Math.Max(shift, _random.Below(3));
            while (max << shift >= room) shift--;
            if (shift < 0) return;
        }
        var target = TargetBut(number, pointer);
        var index = number;
        if (shift > 0)
        {
            index = TargetBut(target, pointer);
            if (index != number) Emit(s_move64, index, number);
            if (_random.OneIn(2)) Emit(Immediate(Operation.ShiftLeft, 64), index, immediate: shift);
            else Emit(Immediate(Operation.Multiply, 64), index, immediate: 1 << shift);
            _held[index] = Held.Number((long)max << shift);
        }
        if (target == index) return;
        var span = max << shift;
        Emit(s_move64, target, pointer);
        var downwards = pointer != 10 && held.Offset >= span && _random.OneIn(2);
        if (pointer == 10)
        {
            if (_random.OneIn(2))
            {
                Emit(Immediate(Operation.Add, 64), target, immediate: -NumberBytes);
                Emit(Register(Operation.Add, 64), target, index);
            }
            else
            {
                Emit(Register(Operation.Add, 64), target, index);
                Emit(Immediate(Operation.Add, 64), target, immediate: -NumberBytes);
            }
            held.Offset = 0;
        }
        else
        {
            Emit(Register(downwards ? Operation.Subtract : Operation.Add, 64), target, index);
            if (downwards) held.Offset -= span;
        }
        held.Variable = span;
        held.Align = Math.Min(held.Align, 1 << shift);
        _held[target] = held;
        for (var times = 1 + _random.Below(2); times > 0 && _held[target].Kind == HeldKind.Memory; times--) Access(target, held, atEdge: !_random.OneIn(3));
    }

    // Writes numbers into the stack, reads other parts of them.
    private void PartOfSlot()
    {
        var at = -8 * (1 + _random.Below(NumberBytes / 8));
        var number = Number();
        var bits = 8 << _random.Below(4);
        var bytes = bits / 8;
        Emit(Store(bits), 10, number, at + _random.Below(8 / bytes) * bytes);
        if (_random.OneIn(3))
        {
            bits = 8 << _random.Below(3);
            bytes = bits / 8;
            Emit(StoreImmediate(bits), 10, 0, at + _random.Below(8 / bytes) * bytes, Constant());
        }
        bits = 8 << _random.Below(4);
        bytes = bits / 8;
        var target = Target();
        var offset = at + _random.Below(8 / bytes) * bytes;
        if (bits < 64 && _random.OneIn(4)) Emit(Row(Operation.LoadSignExtend, 64, bits, OperandSource.Register), target, 10, offset);
        else Emit(Load(bits), target, 10, offset);
        _held[target] = Held.Number(bits < 32 ? (1L << bits) - 1 : -1);
        // What is then learnt of one holds for the other.
        if (!_noExit && _random.OneIn(3) && _held[number].Kind == HeldKind.Number)
        {
            var most = 1 + _random.Below(40);
            Demand(Operation.JumpLessOrEqual, _random.OneIn(3) ? 32 : 64, target, most);
        }
    }

    private void Spill(int pointer)
    {
        var slot = _random.Below(Spills);
        Emit(Store(64), 10, pointer, SpillTop - 8 * slot);
        _spilled[slot] = _held[pointer];
    }

    private void SpillOrFill()
    {
        var slot = _random.Below(Spills);
        if (_spilled[slot].Kind != HeldKind.None && _random.OneIn(2))
        {
            var target = Target();
            Emit(Load(64), target, 10, SpillTop - 8 * slot);
            _held[target] = _spilled[slot];
            return;
        }
        // In a loop the next round would find something else.
        if (_loops > 0) return;
        var pointer = Pick(held => held.Kind is HeldKind.Memory or HeldKind.MaybeNull or HeldKind.Context or HeldKind.PacketEnd);
        if (pointer >= 0) Spill(pointer);
    }

    // Takes the packet's ends from the context, and checks that so many bytes are there.
    private void Packet()
    {
        var context = Pick(held => held.Kind == HeldKind.Context);
        if (context < 0 || !_type.Context.Fields.Any(field => field.Kind == ContextFieldKind.BufferStart)) return;
        var start = TargetBut(context);
        var end = TargetBut(context, start);
        var (startField, endField) = (_type.Context.Fields.First(field => field.Kind == ContextFieldKind.BufferStart), _type.Context.Fields.First(field => field.Kind == ContextFieldKind.BufferEnd));
        Emit(Load(8 * startField.Size), start, context, (int)startField.Offset);
        Emit(Load(8 * endField.Size), end, context, (int)endField.Offset);
        _held[start] = new Held { Kind = HeldKind.Memory, Place = Place.Packet, Align = 1 };
        _held[end] = new Held { Kind = HeldKind.PacketEnd };
        var number = Pick(held => held.Kind == HeldKind.Number && held.Max is > 0 and < 1 << 16);
        if (number >= 0 && _random.OneIn(2))
        {
            // A header of variable length.
            if (_random.OneIn(4)) Emit(Register(Operation.Subtract, 64), start, number);
            else Emit(Register(Operation.Add, 64), start, number);
        }
        var bytes = 1 + _random.Below(_random.OneIn(2) ? 16 : 60);
        var probe = TargetBut(start, end);
        Emit(s_move64, probe, start);
        Emit(Immediate(Operation.Add, 64), probe, immediate: bytes);
        _held[probe] = default;
        if (_random.OneIn(12) && end != context)
        {
            // How much there is, as a number.
            Emit(Register(Operation.Subtract, 64), end, start);
            _held[end] = Held.Number();
            return;
        }
        var strict = _random.OneIn(4) ? 1 : 0;
        var mirrored = _random.OneIn(3);
        var into = _random.OneIn(2);
        var size = bytes + strict - (_careless && _random.OneIn(6) ? -1 : 0);
        // Comparisons that hold when the bytes are there, or (into false) when they are not.
        var comparison = (strict, mirrored, into) switch
        {
            (0, false, true) => Operation.JumpLessOrEqual,
            (0, true, true) => Operation.JumpGreaterOrEqual,
            (0, false, false) => Operation.JumpGreater,
            (0, true, false) => Operation.JumpLess,
            (_, false, true) => Operation.JumpLess,
            (_, true, true) => Operation.JumpGreater,
            (_, false, false) => Operation.JumpGreaterOrEqual,
            _ => Operation.JumpLessOrEqual,
        };
        var jump = Emit(Row(comparison, 64, 0, OperandSource.Register), mirrored ? end : probe, mirrored ? probe : end);
        if (into)
        {
            if (_noExit)
            {
                _held[start] = default;
                Land(jump);
                return;
            }
            Leave();
            Land(jump);
        }
        var before = Save();
        _held[start].Size = size;
        for (var times = 1 + _random.Below(3); times > 0 && _held[start].Kind == HeldKind.Memory; times--) Access(start, _held[start], atEdge: _random.OneIn(2));
        if (into) return;
        Block(_random.Below(3));
        Land(jump);
        Merge(before);
    }

    // A field of a context struct, or bytes of the packet by LD_ABS and LD_IND.
    private void ContextField()
    {
        var context = Pick(held => held.Kind == HeldKind.Context);
        if (context < 0) return;
        if (_type.HasPacket && _function == 0 && !_noExit && _loops == 0 && context == 6 && _random.OneIn(2))
        {
            var bits = 8 << _random.Below(3);
            if (_random.OneIn(2))
            {
                Emit(Row(Operation.LoadPacketAbsolute, 64, bits, OperandSource.Immediate), immediate: _random.Below(Scenery.PacketMin));
            }
            else
            {
                var index = Number();
                Emit(Row(Operation.LoadPacketIndirect, 64, bits, OperandSource.Register), 0, index, 0, _random.Below(8));
            }
            Called();
            _held[0] = Held.Number((1L << bits) - 1);
            return;
        }
        var fields = _type.Context.Fields.Where(field => field.Kind != ContextFieldKind.BufferStart && field.Kind != ContextFieldKind.BufferEnd
            && (!_forKernel || field.Name is "mark" or "priority" or "cb")).ToArray();
        if (fields.Length == 0) return;
        var chosen = _random.Pick(fields);
        var bytes = chosen.ElementSize == 1 ? 1 : Math.Min(chosen.Size, _forKernel || chosen.Size < 8 ? 4 : 8);
        // A part of it.
        if (!_forKernel && _random.OneIn(3)) bytes = _random.Pick([1, 2, 4]) is var part && part < bytes ? part : bytes;
        var offset = (int)chosen.Offset + _random.Below(chosen.Size / bytes) * bytes;
        if (chosen.Access == FieldAccess.ReadWrite && _random.OneIn(2))
        {
            Emit(Store(8 * bytes), context, Number(), offset);
            return;
        }
        var target = TargetBut(context);
        Emit(Load(8 * bytes), target, context, offset);
        _held[target] = Held.Number(bytes == 4 ? uint.MaxValue : -1);
    }
}
