using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Jumps: what each outcome teaches (RFC 9669 section 4.3).</summary>
internal sealed partial class Walker
{
    private void WalkJump(int slot, OpcodeRow row, in Instruction instruction)
    {
        if (row.Operation == Operation.Jump)
        {
            _slot = _shape.Target(slot);
            return;
        }
        if (row.Operation == Operation.MayGoto)
        {
            IsMetered = true;
            Undecided(slot);
            return;
        }
        var dst = Read(slot, instruction.Destination);
        var src = Source(slot, row, instruction);
        if (row.Source == OperandSource.Register && instruction.Source == instruction.Destination)
            WalkSelfComparison(slot, row, dst);
        else if (dst.IsNumber && src.IsNumber)
            WalkNumberComparison(slot, row, instruction, dst, src);
        else
            WalkPointerComparison(slot, row, instruction, dst, src);
    }

    // The state becomes the one of falling through; the other outcome waits.
    private void Fork(int slot, MachineState taken)
    {
        Facts.Jump(slot, taken: true);
        Wait(taken, _shape.Target(slot));
    }

    private void Decided(int slot, bool taken)
    {
        Facts.Jump(slot, taken);
        if (taken) _slot = _shape.Target(slot);
    }

    private void Undecided(int slot)
    {
        Fork(slot, Another());
        Facts.Jump(slot, taken: false);
    }

    private void WalkSelfComparison(int slot, OpcodeRow row, Value value)
    {
        if (row.Operation != Operation.JumpSet)
        {
            Decided(slot, row.Operation is Operation.JumpEqual or Operation.JumpGreaterOrEqual or Operation.JumpLessOrEqual
                or Operation.JumpSignedGreaterOrEqual or Operation.JumpSignedLessOrEqual);
            return;
        }
        RequireNumber(slot, value, "a bit test");
        Undecided(slot);
    }

    private void WalkNumberComparison(int slot, OpcodeRow row, in Instruction instruction, Value dst, Value src)
    {
        Scalar takenDst = dst.Number, takenSrc = src.Number, fallDst = dst.Number, fallSrc = src.Number;
        var mayTake = Scalar.Refine(row.Operation, row.Width, true, ref takenDst, ref takenSrc);
        var mayFall = Scalar.Refine(row.Operation, row.Width, false, ref fallDst, ref fallSrc);
        var sourceRegister = row.Source == OperandSource.Register ? instruction.Source : -1;
        if (mayTake && mayFall)
        {
            var taken = Another();
            if (Learn(taken, instruction.Destination, dst, takenDst, sourceRegister, src, takenSrc)) Fork(slot, taken);
            Facts.Jump(slot, taken: false);
            if (!Learn(_state, instruction.Destination, dst, fallDst, sourceRegister, src, fallSrc)) _slot = -1;
            return;
        }
        // Neither: the numbers were empty already, so this point can't be reached.
        if (!mayTake && !mayFall) _slot = -1;
        else Decided(slot, mayTake);
    }

    // False when the path turns out to be impossible.
    private bool Learn(MachineState state, int dstRegister, Value dst, in Scalar dstNumber, int srcRegister, Value src, in Scalar srcNumber) =>
        Narrow(state, dstRegister, dst, dstNumber) && (srcRegister < 0 || Narrow(state, srcRegister, src, srcNumber));

    private bool Narrow(MachineState state, int register, Value value, in Scalar number)
    {
        if (number.Equals(value.Number)) return true;
        // Without an id, a number is nothing but its members.
        var narrowed = value is { IsNumber: true, Id: 0, Scale: 1, Offset: 0, Reference: 0 } ? Made(number) : value with { Number = number };
        state.Set(register, narrowed);
        return value.Id == 0 || state.NarrowLinked(narrowed, IsOnceOnly);
    }

    private void WalkPointerComparison(int slot, OpcodeRow row, in Instruction instruction, Value dst, Value src)
    {
        var equality = row.Operation is Operation.JumpEqual or Operation.JumpNotEqual;
        if (row.Width == 64 && equality && dst.IsPointer && src.IsConstant(0))
        {
            CompareWithNull(slot, row, dst);
            return;
        }
        if (row.Width == 64 && equality && src.IsPointer && dst.IsConstant(0))
        {
            CompareWithNull(slot, row, src);
            return;
        }
        if (row.Width == 64 && dst.Kind == ValueKind.Buffer && src.Kind == ValueKind.BufferEnd)
        {
            CompareWithEnd(slot, row.Operation, dst);
            return;
        }
        if (row.Width == 64 && dst.Kind == ValueKind.BufferEnd && src.Kind == ValueKind.Buffer)
        {
            CompareWithEnd(slot, Mirrored(row.Operation), src);
            return;
        }
        var both = row.Width == 64 && dst.IsPointer && src.IsPointer;
        if (both && SameObject(dst, src) && row.Operation is not (Operation.JumpSet or >= Operation.JumpSignedGreater and <= Operation.JumpSignedGreaterOrEqual
            or Operation.JumpSignedLess or Operation.JumpSignedLessOrEqual) && IsInside(dst) && IsInside(src))
        {
            CompareOffsets(slot, row, instruction, dst, src);
            return;
        }
        var alike = both && dst.Kind == src.Kind && dst.Kind is ValueKind.Buffer or ValueKind.BufferEnd;
        // The common bits of two addresses are bits of an address.
        if (!both || row.Operation == Operation.JumpSet || !equality && !alike && !SameObject(dst, src))
        {
            _judge.Reject(Rule.PointerComparison, slot, $"{dst.Noun} is compared with {src.Noun}: that would show an address.",
                help: "compare pointers with NULL, data with data_end, or pointers into one object with each other");
        }
        Undecided(slot);
    }

    private static bool SameObject(Value a, Value b) => a.Kind == b.Kind && a.Kind switch
    {
        ValueKind.Stack => a.Detail == b.Detail,
        ValueKind.MapValue => a.Id == b.Id && ReferenceEquals(a.Map, b.Map),
        ValueKind.Memory => a.Id == b.Id && a.Id != 0,
        ValueKind.Context => true,
        ValueKind.Buffer => true,
        _ => false,
    };

    // At or between the ends of its object: there, addresses are ordered as offsets are.
    private bool IsInside(Value pointer)
    {
        var (low, high) = pointer.Kind switch
        {
            ValueKind.Stack => (-Limits.StackBytesPerFrame, 0),
            ValueKind.MapValue => (0, pointer.Map!.ValueSize),
            ValueKind.Memory => (0, pointer.Detail),
            ValueKind.Context => (0, _type.Context.IsFlat ? _options.ContextSize : _type.Context.HostSize),
            _ => (0L, BufferOffsetLimit),
        };
        return pointer.OffsetMin >= low && pointer.OffsetMax <= high;
    }

    private void CompareOffsets(int slot, OpcodeRow row, in Instruction instruction, Value dst, Value src)
    {
        var bias = Scalar.Constant(Limits.StackBytesPerFrame);
        // Data pointers with one id differ by what is fixed alone.
        var fixedDistance = dst.Kind == ValueKind.Buffer && dst.Id == src.Id;
        var a = fixedDistance ? Scalar.Constant((ulong)(dst.Offset + BufferOffsetLimit)) : Scalar.Binary(Operation.Add, 64, dst.TotalOffset, bias);
        var b = fixedDistance ? Scalar.Constant((ulong)(src.Offset + BufferOffsetLimit)) : Scalar.Binary(Operation.Add, 64, src.TotalOffset, bias);
        Scalar takenA = a, takenB = b, fallA = a, fallB = b;
        var mayTake = Scalar.Refine(row.Operation, 64, true, ref takenA, ref takenB);
        var mayFall = Scalar.Refine(row.Operation, 64, false, ref fallA, ref fallB);
        if (!mayTake || !mayFall)
        {
            if (!mayTake && !mayFall) _slot = -1;
            else Decided(slot, mayTake);
            return;
        }
        if (dst.Kind == ValueKind.Buffer)
        {
            // The variable part of data pointers is shared; it is not narrowed.
            Undecided(slot);
            return;
        }
        var taken = Another();
        if (Narrowed(taken, instruction.Destination, dst, takenA) && Narrowed(taken, instruction.Source, src, takenB)) Fork(slot, taken);
        Facts.Jump(slot, taken: false);
        if (!Narrowed(_state, instruction.Destination, dst, fallA) || !Narrowed(_state, instruction.Source, src, fallB)) _slot = -1;

        static bool Narrowed(MachineState state, int register, Value pointer, in Scalar biased)
        {
            if (register == Frame.Pointer) return true;
            var total = Scalar.Binary(Operation.Subtract, 64, biased, Scalar.Constant(Limits.StackBytesPerFrame));
            if (total.Equals(pointer.TotalOffset)) return true;
            var narrowed = pointer with { Offset = 0, Number = total, LinkOffset = pointer.LinkOffset + pointer.Offset };
            state.Set(register, narrowed);
            return pointer.LinkId == 0 || state.NarrowLinked(narrowed);
        }
    }

    private void CompareWithNull(int slot, OpcodeRow row, Value pointer)
    {
        var takenWhenNull = row.Operation == Operation.JumpEqual;
        if (!pointer.IsMaybeNull)
        {
            // What may be empty may lie at any address, 0 included; a pointer away from its object may be 0 too.
            var mayBeEmpty = pointer.Kind is ValueKind.Buffer or ValueKind.BufferEnd
                || pointer.Kind == ValueKind.Context && _type.Context.IsFlat && _options.ContextSize == 0;
            if (mayBeEmpty || !IsInside(pointer)) Undecided(slot);
            else Decided(slot, !takenWhenNull);
            return;
        }
        var isNull = Another();
        BecomesNull(isNull, pointer);
        BecomesPointer(_state, pointer);
        if (!takenWhenNull) (_state, isNull) = (isNull, _state);
        Fork(slot, isNull);
        Facts.Jump(slot, taken: false);
    }

    private static void BecomesNull(MachineState state, Value pointer)
    {
        state.Rewrite(new ToNull(pointer));
        if (pointer.Reference != 0) Release(state, pointer.Reference);
    }

    private static void BecomesPointer(MachineState state, Value pointer) =>
        state.Rewrite(new ToPointer(pointer));

    // pointer OP data_end.
    private void CompareWithEnd(int slot, Operation operation, Value pointer)
    {
        // What each outcome proves: the bytes before the pointer lie before data_end, and with a strict one the byte at it too.
        var isKnown = pointer.Range >= Math.Max(0, pointer.Offset);
        var (taken, fall) = operation switch
        {
            Operation.JumpLessOrEqual => (0, -1),
            Operation.JumpLess => (1, -1),
            Operation.JumpGreater => (-1, 0),
            Operation.JumpGreaterOrEqual => (-1, 1),
            Operation.JumpEqual => (0, isKnown ? 1 : -1),
            Operation.JumpNotEqual => (isKnown ? 1 : -1, 0),
            _ => (-2, -2),
        };
        if (taken == -2)
        {
            _judge.Reject(Rule.PointerComparison, slot, "a data pointer is compared with data_end as a signed number or bit by bit.",
                help: "compare them as pointers: `if (p + n > data_end) return 0;`");
        }
        var other = Another();
        if (taken >= 0) Proves(other, pointer, pointer.Offset + taken);
        Fork(slot, other);
        Facts.Jump(slot, taken: false);
        if (fall >= 0) Proves(_state, pointer, pointer.Offset + fall);
    }

    private static void Proves(MachineState state, Value pointer, long range)
    {
        if (range < 0) return;
        if (pointer.Id == 0) state.BufferRange = Math.Max(state.BufferRange, range);
        var number = Scalar.Intersect(pointer.Number, Scalar.FromSigned(-BufferOffsetLimit, LargestBuffer - range));
        // Empty: that much data can't exist, so the path is impossible; it is harmless to walk it with what was known.
        if (number.IsEmpty) number = pointer.Number;
        state.Rewrite(new ToProved(pointer.Id, range, number));
    }

    private readonly struct ToNull(Value pointer) : IChange
    {
        public Value? Change(Value value) => value.Kind == pointer.Kind && value.Id == pointer.Id ? Value.Zero : value;
    }

    private readonly struct ToPointer(Value pointer) : IChange
    {
        public Value? Change(Value value) => value.Kind == pointer.Kind && value.Id == pointer.Id ? value.NotNull() : value;
    }

    private readonly struct ToProved(int id, long range, Scalar number) : IChange
    {
        public Value? Change(Value value) => value.Kind == ValueKind.Buffer && value.Id == id && (value.Range < range || !value.Number.Equals(number))
            ? value with { Range = Math.Max(value.Range, range), Number = number } : value;
    }

    private static Operation Mirrored(Operation operation) => operation switch
    {
        Operation.JumpLess => Operation.JumpGreater,
        Operation.JumpGreater => Operation.JumpLess,
        Operation.JumpLessOrEqual => Operation.JumpGreaterOrEqual,
        Operation.JumpGreaterOrEqual => Operation.JumpLessOrEqual,
        _ => operation,
    };
}
