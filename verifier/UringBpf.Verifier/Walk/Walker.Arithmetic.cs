using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Arithmetic on numbers and pointers, and 64-bit immediates (RFC 9669 sections 4.1, 4.2 and 5.4).</summary>
internal sealed partial class Walker
{
    // Offsets beyond these can't be added without a chance of going round the address space. No object is that large;
    // buffers may be larger than other memory.
    internal const long OffsetLimit = 1L << 29;
    internal const long BufferOffsetLimit = 1L << 40;

    // Hosts hand out at most this many bytes of data: lengths are 32-bit signed numbers (res of a completion).
    internal const long LargestBuffer = int.MaxValue;

    private void WalkArithmetic(int slot, OpcodeRow row, in Instruction instruction)
    {
        var register = instruction.Destination;
        if (row.Operation == Operation.Move)
        {
            _state.Set(register, Move(slot, row, instruction));
            return;
        }
        if (row.Operation == Operation.MoveSignExtend)
        {
            var from = Read(slot, instruction.Source);
            RequireNumber(slot, from, "sign extension");
            var extended = Scalar.Unary(Operation.MoveSignExtend, row.Width, row.Bits, from.Number);
            // A number that fits is the same number after it.
            var same = row.Width == 64 && from.IsNumber && from.Number.SMin >= -(1L << (row.Bits - 1)) && from.Number.SMax < 1L << (row.Bits - 1);
            _state.Set(register, same ? Linked(instruction.Source, from) : Made(extended));
            return;
        }
        var dst = Read(slot, register);
        if (row.Source == OperandSource.None)
        {
            RequireNumber(slot, dst, "this operation");
            _state.Set(register, Made(Scalar.Unary(row.Operation, row.Width, row.Bits, dst.Number)));
            return;
        }
        var src = Source(slot, row, instruction);
        if (dst.IsPointer || src.IsPointer)
        {
            _state.Set(register, WalkPointerArithmetic(slot, row, dst, src));
            return;
        }
        var result = row.Source == OperandSource.Register && instruction.Source == register ? OnItself(row, dst.Number)
            : Scalar.Binary(row.Operation, row.Width, dst.Number, src.Number);
        _state.Set(register, Distance(row, dst, src) is { } distance
            ? new Value { Kind = ValueKind.Number, Number = result, Id = dst.Id, Scale = dst.Scale, Offset = dst.Offset + distance }
            : Made(result));
    }

    private static Scalar OnItself(OpcodeRow row, in Scalar number) =>
        row.Operation is Operation.Subtract or Operation.Xor ? Scalar.Constant(0)
            : row.Operation is Operation.And or Operation.Or ? number.Truncate(row.Width)
            : Scalar.Binary(row.Operation, row.Width, number, number);

    // How far the result is from a linked number, when that is known.
    private static long? Distance(OpcodeRow row, Value dst, Value src)
    {
        if (dst.Id == 0 || !src.Number.IsConstant || row.Operation is not (Operation.Add or Operation.Subtract)) return null;
        var by = (long)src.Number.Value;
        if (row.Width == 32) by = (int)by;
        if (by is < -Link.OffsetLimit or > Link.OffsetLimit) return null;
        if (row.Operation == Operation.Subtract) by = -by;
        if (Math.Abs(dst.Offset + by) > Link.OffsetLimit) return null;
        if (row.Width == 64) return by;
        // The same as in 64 bits only while nothing is cut off.
        var stays = dst.Number.UMax <= uint.MaxValue && (long)dst.Number.UMin + by >= 0 && (long)dst.Number.UMax + by <= uint.MaxValue;
        return stays ? by : null;
    }

    private Value Move(int slot, OpcodeRow row, in Instruction instruction)
    {
        if (row.Source == OperandSource.Immediate)
            return Value.Constant(row.Width == 32 ? (uint)instruction.Immediate : instruction.Immediate);
        var from = Read(slot, instruction.Source);
        if (row.Width == 32)
        {
            RequireNumber(slot, from, "a 32-bit move");
            if (from.IsPointer) return Value.Unsigned(32);
            if (from.Number.UMax > uint.MaxValue) return Made(from.Number.Truncate(32));
        }
        return Linked(instruction.Source, from);
    }

    // Copies of a number are linked, so that a check of one is a check of the other.
    private Value Linked(int register, Value original)
    {
        if (original.IsPointer || original.Id != 0 || original.Number.IsConstant) return original;
        var named = original with { Id = NewId(), Offset = 0 };
        _state.Set(register, named);
        return named;
    }

    private void RequireNumber(int slot, Value value, string what)
    {
        if (value.IsNumber) return;
        _judge.Reject(Rule.PointerOperation, slot, $"{what} on {value.Noun}: only 64-bit addition and subtraction work on pointers.",
            help: "keep the pointer in a 64-bit variable and do arithmetic on an index instead");
    }

    private Value WalkPointerArithmetic(int slot, OpcodeRow row, Value dst, Value src)
    {
        if (row.Width != 64 || row.Operation is not (Operation.Add or Operation.Subtract))
        {
            RequireNumber(slot, dst.IsPointer ? dst : src, row.Width == 32 ? "a 32-bit operation" : "this operation");
            return Value.Unknown;
        }
        if (dst.IsPointer && src.IsPointer) return Difference(slot, row, dst, src);
        if (src.IsPointer && row.Operation == Operation.Subtract)
        {
            _judge.Reject(Rule.PointerDifference, slot, $"{src.Noun} is subtracted from a number: that would show an address.", help: "keep an index beside the pointer instead");
            return Value.Unknown;
        }
        var (pointer, number) = dst.IsPointer ? (dst, src.Number) : (src, dst.Number);
        if (pointer.IsMaybeNull)
        {
            _judge.Reject(Rule.MaybeNullArithmetic, slot, $"arithmetic on {pointer.Noun}: compare it with NULL first.",
                help: "add `if (!p) return 0;` before this line");
            pointer = pointer.NotNull();
        }
        if (pointer.Kind is ValueKind.Map or ValueKind.Function or ValueKind.BufferEnd or ValueKind.Iterator)
        {
            _judge.Reject(Rule.PointerOperation, slot, $"arithmetic on {pointer.Noun} is not possible.", help: "look the value up, and do arithmetic on the pointer to it");
            return Value.Unknown;
        }
        var limit = pointer.Kind == ValueKind.Buffer ? BufferOffsetLimit : OffsetLimit;
        if (number.SMin < -limit || number.SMax > limit)
        {
            _judge.Reject(Rule.PointerOffset, slot,
                $"{(number.IsConstant ? "a number too large" : "a number without usable bounds")} is added to {pointer.Noun}: it is {Describe(number)}.",
                $"offsets must be provably within -{limit}..{limit}", number.SMax <= limit ? "make sure that the index can't be negative (use an unsigned type or check it)"
                    : "check the index against the size before using it, as an unsigned number");
            number = Scalar.Constant(0);
        }
        var moved = row.Operation == Operation.Add
            ? Moved(pointer, number)
            : Moved(pointer, Scalar.Binary(Operation.Subtract, 64, Scalar.Constant(0), number));
        if (moved.OffsetMin < -limit || moved.OffsetMax > limit)
        {
            _judge.Reject(Rule.PointerOffset, slot, $"{pointer.Noun} would have an offset of {moved.OffsetMin}..{moved.OffsetMax}.",
                $"offsets must be provably within -{limit}..{limit}");
            return pointer;
        }
        return moved;
    }

    private Value Moved(Value pointer, in Scalar by)
    {
        if (by.IsConstant)
        {
            var offset = pointer.Offset + (long)by.Value;
            return IsOnceOnly ? _equalValues.Moved(pointer, pointer.Number, offset) : pointer with { Offset = offset };
        }
        var number = Scalar.Binary(Operation.Add, 64, pointer.Number, by);
        // The parts of data pointers are compared by name, and other parts go with what was a link.
        if (IsOnceOnly && pointer.Kind != ValueKind.Buffer && pointer is { LinkId: 0, LinkOffset: 0, Scale: 1 }) return _equalValues.Moved(pointer, number, pointer.Offset);
        return pointer with
        {
            Number = number,
            Id = pointer.Kind == ValueKind.Buffer ? NewId() : pointer.Id,
            Range = -1,
            LinkId = 0,
            LinkOffset = 0,
            Scale = 1,
        };
    }

    // Only how much data there is may be computed from addresses.
    private Value Difference(int slot, OpcodeRow row, Value dst, Value src)
    {
        if (row.Operation == Operation.Subtract && dst.Kind is ValueKind.Buffer or ValueKind.BufferEnd && src.Kind is ValueKind.Buffer or ValueKind.BufferEnd)
        {
            if (dst.Kind == ValueKind.Buffer && src.Kind == ValueKind.Buffer && dst.Id == src.Id) return Value.Constant(dst.Offset - src.Offset);
            return Value.Of(Scalar.FromSigned(-2 * BufferOffsetLimit, 2 * BufferOffsetLimit));
        }
        _judge.Reject(Rule.PointerDifference, slot, $"{dst.Noun} and {src.Noun} in one operation: that would show an address.",
            help: "keep an index beside the pointer instead");
        return Value.Unknown;
    }

    private void WalkWideImmediate(int slot, OpcodeRow row, in Instruction instruction)
    {
        var high = _spec.Instructions[slot + 1];
        var value = Value.Unknown;
        switch (row.Wide)
        {
            case WideKind.Number:
                value = Value.Constant(instruction.WideImmediate(high));
                break;
            case WideKind.MapIndex or WideKind.MapValueIndex when (uint)instruction.Immediate < _spec.Maps.Length:
                var map = _spec.Maps[instruction.Immediate];
                Facts.MapArgument(slot, _firstVisit, instruction.Immediate, -1);
                if (row.Wide == WideKind.MapIndex)
                {
                    if (high.Immediate != 0) _judge.Reject(Rule.InvalidMapReference, slot, "a map reference with an offset.");
                    value = PointerTo(map);
                    break;
                }
                if (map.Type != MapType.Array || map.MaxEntries < 1)
                    _judge.Reject(Rule.InvalidMapReference, slot, $"the address of a value of map '{map.Name}': only arrays have values at fixed addresses.");
                if ((uint)high.Immediate >= map.ValueSize)
                    _judge.Reject(Rule.InvalidMapReference, slot, $"offset {(uint)high.Immediate} in a value of map '{map.Name}', which has {map.ValueSize} bytes.");
                value = new Value { Kind = ValueKind.MapValue, Map = map, Offset = (uint)high.Immediate };
                break;
            case WideKind.Function:
                value = new Value { Kind = ValueKind.Function, Detail = slot + 1 + instruction.Immediate };
                break;
            default:
                _judge.Reject(Rule.InvalidMapReference, slot, $"a 64-bit immediate of kind {(int)row.Wide} with number {instruction.Immediate} names nothing in this program.",
                    help: "load objects with ObjectSpec.Load, which links maps and variables");
                break;
        }
        _state.Set(instruction.Destination, value);
    }

    // The number that an instruction made.
    private Value Made(in Scalar number) => IsOnceOnly ? _equalValues.Of(number) : Value.Of(number);

    // An instruction that no loop holds.
    private bool IsOnceOnly => _state.Depth == 1 && _shape.Loops.InnermostOf(_lastSlot) < 0;

    private Value PointerTo(MapSpec map) =>
        ReferenceEquals(_mapPointer?.Map, map) ? _mapPointer : _mapPointer = new Value { Kind = ValueKind.Map, Map = map };

    private static string Describe(in Scalar number) => number.ToString();
}
