using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Loads, stores and atomics through pointers (RFC 9669 section 5).</summary>
internal sealed partial class Walker
{
    private void WalkMemory(int slot, OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire:
                {
                    var pointer = Read(slot, instruction.Source);
                    if (row.Operation == Operation.LoadAcquire) RequireAtomicTarget(slot, pointer, instruction.Offset, row.AccessBytes);
                    var loaded = Load(slot, pointer, instruction.Offset, row.AccessBytes);
                    if (row.Operation == Operation.LoadSignExtend)
                    {
                        RequireNumber(slot, loaded, "a sign-extending load");
                        loaded = Made(loaded.Number.SignExtend(row.Bits, 64));
                    }
                    // Named, so that what is learnt of it later can be traced back to the input.
                    if (_traces && loaded is { IsNumber: true, Id: 0, Number.IsConstant: false } && row.Operation == Operation.Load) loaded = loaded with { Id = NewId() };
                    _state.Set(instruction.Destination, loaded);
                    break;
                }
            case Operation.Store or Operation.StoreRelease:
                {
                    var pointer = Read(slot, instruction.Destination);
                    if (row.Operation == Operation.StoreRelease) RequireAtomicTarget(slot, pointer, instruction.Offset, row.AccessBytes);
                    var value = Source(slot, row, instruction);
                    if (row.Source == OperandSource.Register && value.IsNumber && (row.AccessBytes == 8 || value.Number.UMax >> row.Bits == 0)) value = Linked(instruction.Source, value);
                    Store(slot, pointer, instruction.Offset, row.AccessBytes, value);
                    break;
                }
            default:
                WalkAtomic(slot, row, instruction);
                break;
        }
    }

    private void WalkAtomic(int slot, OpcodeRow row, in Instruction instruction)
    {
        var pointer = Read(slot, instruction.Destination);
        RequireAtomicTarget(slot, pointer, instruction.Offset, row.AccessBytes);
        RequireNumber(slot, Read(slot, instruction.Source), "an atomic operation");
        if (row.Operation == Operation.AtomicCompareExchange) RequireNumber(slot, Read(slot, 0), "an atomic operation");
        RequireNumber(slot, Load(slot, pointer, instruction.Offset, row.AccessBytes), "an atomic operation");
        Store(slot, pointer, instruction.Offset, row.AccessBytes, Value.Unknown);
        var old = Value.Unsigned(row.Bits);
        if (row.Operation == Operation.AtomicCompareExchange) _state.Set(0, old);
        else if (row.WritesSource) _state.Set(instruction.Source, old);
    }

    private void RequireAtomicTarget(int slot, Value pointer, int displacement, int size)
    {
        var memory = pointer.Kind is ValueKind.Stack or ValueKind.MapValue or ValueKind.Memory
            || pointer.Kind == ValueKind.Context && IsFlat(pointer, displacement, size);
        if (!memory && !pointer.IsMaybeNull && pointer.IsPointer)
        {
            _judge.Reject(Rule.AtomicTarget, slot, $"an atomic operation through {pointer.Noun}: only stack, map values and flat memory can be the target.",
                help: "count in a map value or on the stack, or use plain loads and stores");
            return;
        }
        RequireAligned(slot, pointer, displacement, size, "atomic operations");
    }

    private void RequireAligned(int slot, Value pointer, int displacement, int size, string what)
    {
        var low = (ulong)(size - 1);
        var offset = pointer.Number.Bits + Tnum.Constant((ulong)(pointer.Offset + displacement));
        if ((offset.Value & low) == 0 && (offset.Mask & low) == 0) return;
        _judge.Reject(Rule.Misaligned, slot, $"{what} of {size} bytes must be at a multiple of {size}; the offset is {At(pointer, displacement)}.",
            help: "align the variable, or access it byte by byte");
    }

    private bool IsFlat(Value context, int displacement, int size) =>
        _type.Context.IsFlat || FlatField(context, displacement, size) is not null;

    // The flat field that holds all bytes an access through a context pointer may touch.
    private ContextField? FlatField(Value context, long displacement, long size)
    {
        foreach (var field in _type.Context.Fields)
        {
            if (field.Kind == ContextFieldKind.FlatMemory && context.OffsetMin + displacement >= field.Offset
                && context.OffsetMax + displacement + size <= field.Offset + field.Size)
            {
                return field;
            }
        }
        return null;
    }

    private Value Load(int slot, Value pointer, int displacement, int size)
    {
        var unknown = Value.Unsigned(8 * size);
        switch (pointer.Kind)
        {
            case ValueKind.Stack:
                RequireAligned(slot, pointer, displacement, size, "stack accesses");
                return LoadStack(slot, pointer, displacement, size) ?? unknown;
            case ValueKind.Context when !IsFlat(pointer, displacement, size):
                return LoadField(slot, pointer, displacement, size) ?? unknown;
            default:
                RequireMemory(slot, pointer, displacement, size, writes: false);
                return LoadConstant(pointer, displacement, size) ?? unknown;
        }
    }

    private void Store(int slot, Value pointer, int displacement, int size, Value value)
    {
        if (pointer.Kind == ValueKind.Stack)
        {
            RequireAligned(slot, pointer, displacement, size, "stack accesses");
            StoreStack(slot, pointer, displacement, size, value);
            return;
        }
        if (value.IsPointer)
        {
            _judge.Reject(Rule.PointerStored, slot, $"{value.Noun} is stored through {pointer.Noun}: others could read the address there.",
                help: "pointers can be kept in registers and on the stack only; store an index or a length instead");
        }
        if (pointer.Kind == ValueKind.Context && !IsFlat(pointer, displacement, size))
        {
            StoreField(slot, pointer, displacement, size);
            return;
        }
        RequireMemory(slot, pointer, displacement, size, writes: true);
    }

    /// <summary>Checks an access of memory other than the stack and context fields.</summary>
    /// <param name="slot">The instruction.</param>
    /// <param name="pointer">Its pointer.</param>
    /// <param name="displacement">Added to the pointer.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="writes">True for a write.</param>
    /// <param name="argument">For messages: the function and argument that access it, or empty for a load or store.</param>
    private void RequireMemory(int slot, Value pointer, int displacement, long size, bool writes, ArgumentName argument = default)
    {
        var verb = new Access(argument, writes);
        if (pointer.IsNumber)
        {
            _judge.Reject(Rule.NotAPointer, slot, $"{verb} through a number, not a pointer: it is {pointer.Number}.",
                help: "a pointer that was cut to 32 bits, masked or read from memory is a number");
            return;
        }
        if (pointer.IsMaybeNull)
        {
            _judge.Reject(Rule.MaybeNull, slot, $"{verb} through {pointer.Noun}: compare it with NULL first.",
                help: "add `if (!p) return 0;` before this line");
            pointer = pointer.NotNull();
        }
        var low = pointer.OffsetMin + displacement;
        var high = pointer.OffsetMax + displacement;
        switch (pointer.Kind)
        {
            case ValueKind.MapValue:
                RequireMapValue(slot, pointer, low, high, size, writes, verb);
                Fact(slot, RegionKind.MapValue, IndexOf(pointer.Map), low, high, argument);
                return;
            case ValueKind.Memory:
                RequireWithin(slot, Rule.MemoryBounds, verb, low, high, size, pointer.Detail, "memory");
                if (writes && pointer.IsReadOnly) _judge.Reject(Rule.BufferReadOnly, slot, $"{verb} through {pointer.Noun} that is read-only.", help: "copy it to a local variable and change that");
                if (writes && pointer.Reference == 0) WritesBuffers = true;
                // What a global function is handed may be anything, its caller's stack too.
                Fact(slot, _signature is null || pointer.Reference != 0 ? RegionKind.Memory : RegionKind.Unknown, -1, low, high, argument);
                return;
            case ValueKind.Buffer:
                RequireBuffer(slot, pointer, displacement, size, writes, verb);
                Fact(slot, RegionKind.Buffer, -1, low, high, argument);
                return;
            case ValueKind.Context when _type.Context.IsFlat:
                RequireWithin(slot, Rule.MemoryBounds, verb, low, high, size, _options.ContextSize, "context",
                    low < 0 ? "" : low == high || _options.ContextSize == 0 ? "say how large the context of every run is: --ctx-size, or VerifierOptions.ContextSize"
                        : "check the index against the size before this line, or say how large the context is: --ctx-size, or VerifierOptions.ContextSize");
                Fact(slot, RegionKind.Memory, -1, low, high, argument);
                return;
            case ValueKind.Context:
                if (FlatField(pointer, displacement, size) is not { } field)
                    _judge.Reject(Rule.ContextField, slot, $"{verb} {size} bytes of the context at offset {At(pointer, displacement)}: not within its scratch memory.");
                else if (writes && field.Access == FieldAccess.Read)
                    _judge.Reject(Rule.ContextReadOnly, slot, $"{verb} to context field '{field.Name}', which is read-only.", help: "copy it to a local variable");
                Fact(slot, RegionKind.Context, -1, low, high, argument);
                return;
            default:
                _judge.Reject(Rule.NotAccessible, slot, $"{verb} through {pointer.Noun}: there is no memory behind it that a program may touch.",
                    help: pointer.Kind is ValueKind.Map or ValueKind.MapOrNull ? "reach a map's values with bpf_map_lookup_elem" : "");
                return;
        }
    }

    private void Fact(int slot, RegionKind region, int map, long low, long high, ArgumentName argument = default)
    {
        if (argument.IsArgument) return;
        // Engines translate accesses of such a context, so an instruction must do one and the same on every path.
        if (_translatesContext && !_firstVisit && Facts.RegionOf(slot) is var (known, offset)
            && ((known == RegionKind.Context) != (region == RegionKind.Context) || region == RegionKind.Context && offset != low))
        {
            _judge.Reject(Rule.MixedContext, slot, $"this instruction accesses the context (struct {_type.Context.StructName}) on one path and something else, or another field, on another.",
                help: "read the field in each branch of the condition");
        }
        Facts.Access(slot, _firstVisit, region, map, low, high);
    }

    private void RequireWithin(int slot, Rule rule, Access verb, long low, long high, long size, long limit, string what, string help = "")
    {
        if (low >= 0 && high + size <= limit) return;
        var offsets = low == high ? $"offset {low}" : $"offset {low}..{high}";
        _judge.Reject(rule, slot, $"{verb} of {size} bytes at {offsets}: the {what} has {limit} bytes.",
            low < 0 ? $"the lowest offset, {low}, lies before its start" : $"{high} + {size} > {limit}",
            help.Length > 0 ? help : low < 0 ? "make sure that the index can't be negative (use an unsigned type or check it)" : "check the index against the size before this line");
    }

    private void RequireMapValue(int slot, Value pointer, long low, long high, long size, bool writes, Access verb)
    {
        var map = pointer.Map!;
        if (low < 0 || high + size > map.ValueSize)
        {
            var offsets = low == high ? $"offset {low}" : $"offset {low}..{high}";
            var end = low < 0 ? "before the start" : "past the end";
            _judge.Reject(Rule.MapValueBounds, slot, $"{verb} {end} of map value '{map.Name}': {size} bytes at {offsets}, values of '{map.Name}' are {map.ValueSize} bytes.",
                low < 0 ? $"the lowest offset, {low}, lies before its start" : $"{high} + {size} > {map.ValueSize}",
                low < 0 ? "make sure that the index can't be negative (use an unsigned type or check it)" : "check the index against the number of elements, with `>=` rather than `>`");
        }
        if (writes) RequireWritable(slot, map, verb);
        else RequireReadable(slot, map, verb);
        if (map.SpinLockOffset >= 0 && low < map.SpinLockOffset + 4L && high + size > map.SpinLockOffset)
        {
            _judge.Reject(Rule.LockField, slot, $"{verb} of the spin lock in a value of map '{map.Name}' (bytes {map.SpinLockOffset}..{map.SpinLockOffset + 3L}).",
                help: "only bpf_spin_lock and bpf_spin_unlock may touch it");
        }
    }

    private void RequireWritable<TAccess>(int slot, MapSpec map, TAccess verb)
    {
        if (!map.IsFrozen && (map.Flags & MapFlags.ReadOnlyProgram) == 0) return;
        _judge.Reject(Rule.ReadOnlyMap, slot, $"{verb} to map '{map.Name}', which programs may only read.",
            help: map.IsGlobalData ? "remove `const` from the variable to have it in .data" : "remove BPF_F_RDONLY_PROG from the map");
    }

    private void RequireReadable<TAccess>(int slot, MapSpec map, TAccess verb)
    {
        if ((map.Flags & MapFlags.WriteOnlyProgram) == 0) return;
        _judge.Reject(Rule.WriteOnlyMap, slot, $"{verb} of map '{map.Name}', which programs may only write.", help: "remove BPF_F_WRONLY_PROG from the map");
    }

    private void RequireBuffer(int slot, Value pointer, int displacement, long size, bool writes, Access verb)
    {
        var end = pointer.Offset + displacement + size;
        var known = pointer.Id == 0 ? Math.Max(pointer.Range, _state.BufferRange) : pointer.Range;
        if (pointer.OffsetMin + displacement < 0)
        {
            _judge.Reject(Rule.BufferBounds, slot, $"{verb} of {size} bytes before the start of the data: the lowest offset is {pointer.OffsetMin + displacement}.",
                help: "make sure that the index can't be negative (use an unsigned type or check it)");
        }
        // Nothing known is not "up to one byte before": the end may lie before the variable part.
        if (known < 0 || end > known)
        {
            _judge.Reject(Rule.BufferBounds, slot, $"{verb} of {size} bytes that may lie past data_end.",
                known > 0 ? $"bytes up to {known} are known to exist from here, {end} are needed"
                    : known == 0 && pointer.Id != 0 ? $"as it was compared, the pointer may be data_end itself: no byte is known to exist from here, {end} are needed"
                    : $"the pointer was not compared with data_end on this path{(pointer.Id != 0 ? " since a number was added to it" : "")}",
                $"add `if (p + {end} > data_end) return 0;` before this line, with p the pointer that is read through");
        }
        if (!writes) return;
        WritesBuffers = true;
        if (!_type.Context.BufferWritable) _judge.Reject(Rule.BufferReadOnly, slot, $"{verb} to the data: a program of type {_type.Name} may only read it.", help: "copy what you need to a local variable and change that");
    }

    // Frozen data reads as what it is.
    private static Value? LoadConstant(Value pointer, int displacement, int size)
    {
        if (pointer.Kind != ValueKind.MapValue || !pointer.Map!.IsFrozen || pointer.OffsetMin != pointer.OffsetMax) return null;
        var offset = pointer.OffsetMin + displacement;
        var data = pointer.Map.InitialValue;
        if (offset < 0 || offset + size > data.Length) return null;
        ulong value = 0;
        for (var index = size - 1; index >= 0; index--) value = value << 8 | data[(int)offset + index];
        return Value.Constant((long)value);
    }

    private Value? LoadField(int slot, Value pointer, int displacement, int size)
    {
        if (FieldAt(slot, pointer, displacement, size) is not { } field) return null;
        switch (field.Kind)
        {
            case ContextFieldKind.BufferStart:
                return new Value { Kind = ValueKind.Buffer, Range = _state.BufferRange };
            case ContextFieldKind.BufferEnd:
                return new Value { Kind = ValueKind.BufferEnd };
            default:
                return null;
        }
    }

    private void StoreField(int slot, Value pointer, int displacement, int size)
    {
        if (FieldAt(slot, pointer, displacement, size) is { Access: FieldAccess.Read } field)
            _judge.Reject(Rule.ContextReadOnly, slot, $"write to context field '{field.Name}', which is read-only.", help: "copy it to a local variable");
    }

    private ContextField? FieldAt(int slot, Value pointer, int displacement, int size)
    {
        var layout = _type.Context;
        if (pointer.OffsetMin != pointer.OffsetMax)
        {
            var flat = FlatNear(layout, pointer.OffsetMin + displacement, pointer.OffsetMax + displacement);
            _judge.Reject(Rule.ContextVariableOffset, slot, $"struct {layout.StructName} is accessed at a variable offset, {At(pointer, displacement)}.",
                flat is null ? "" : $"its {flat.Name} are bytes {flat.Offset}..{flat.Offset + flat.Size - 1}, and this takes {size}",
                flat is null ? "access its fields by name" : $"check the index against the size of {flat.Name} before this line");
            return null;
        }
        var offset = pointer.OffsetMin + displacement;
        Fact(slot, RegionKind.Context, -1, offset, offset);
        if (layout.Find(offset, size) is not { } field)
        {
            _judge.Reject(Rule.ContextField, slot, $"access of {size} bytes at offset {offset} of struct {layout.StructName}: no field that a program of type {_type.Name} may use is there.",
                help: $"fields: {string.Join(", ", layout.Fields.Select(f => $"{f.Name} {f.Offset}..{f.Offset + f.Size - 1}"))}");
            return null;
        }
        if (field.Kind is ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd && size != field.Size)
            _judge.Reject(Rule.ContextField, slot, $"access of {size} bytes of context field '{field.Name}': it can be read whole only.");
        RequireAligned(slot, pointer, displacement, size, "context accesses");
        return field;
    }

    private static ContextField? FlatNear(ContextLayout layout, long low, long high) =>
        layout.Fields.FirstOrDefault(field => field.Kind == ContextFieldKind.FlatMemory && high >= field.Offset && low < field.Offset + field.Size);

    private static string At(Value pointer, long displacement)
    {
        var (low, high) = (pointer.OffsetMin + displacement, pointer.OffsetMax + displacement);
        return low == high ? low.ToString() : $"{low}..{high}";
    }
}
