using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>The arguments of host functions, checked against their prototypes.</summary>
internal sealed partial class Walker
{
    private void CheckArgument(int slot, HostCall call, int index)
    {
        var argument = call.Function.Arguments[index];
        var register = index + 1;
        var value = argument.Kind == ArgumentKind.Anything ? _state.Register(register) : Read(slot, register);
        call.Values[index] = value;
        if (argument.Kind == ArgumentKind.Anything || value is null) return;
        var name = new ArgumentName(call.Function, index);
        if (argument.Nullable && value.IsConstant(0))
        {
            CheckNullSize(slot, call, index, name);
            return;
        }
        switch (argument.Kind)
        {
            case ArgumentKind.Scalar:
                if (value.IsPointer)
                {
                    _judge.Reject(Rule.PointerArgument, slot, $"{name} is {value.Noun}, a number is expected: the host would see an address.", help: "pass an offset or a length instead");
                }
                break;
            case ArgumentKind.Size or ArgumentKind.SizeOrZero:
                if (value.IsPointer) WrongKind(slot, name, value, "a size");
                break;
            case ArgumentKind.Constant:
                RequireConstant(slot, name, value);
                break;
            case ArgumentKind.AllocationSize:
                RequireConstant(slot, name, value);
                if (value.Number.UMin is 0 or > int.MaxValue)
                    _judge.Reject(Rule.ArgumentSize, slot, $"{name} is {value.Number}: it must be 1..{int.MaxValue}.");
                call.AllocationSize = (int)Math.Clamp(value.Number.UMin, 0, int.MaxValue);
                break;
            case ArgumentKind.Context:
                if (value.Kind != ValueKind.Context || value.OffsetMin != 0 || value.OffsetMax != 0)
                    WrongKind(slot, name, value, "the program's context pointer, unmodified");
                break;
            case ArgumentKind.Map:
                CheckMap(slot, call, name, value);
                break;
            case ArgumentKind.MapKey:
                CheckMemory(slot, call, name, value, call.Map?.KeySize ?? 0, call.Map?.KeySize ?? 0, reads: true, writes: false);
                call.ConstantKey = ConstantKey(call.Map, value);
                break;
            case ArgumentKind.MapValue:
                CheckMemory(slot, call, name, value, call.Map?.ValueSize ?? 0, call.Map?.ValueSize ?? 0, reads: true, writes: false);
                break;
            case ArgumentKind.MapValueOut:
                // A bloom filter is asked about the value, not for it.
                var asks = call.Map?.Type == MapType.BloomFilter;
                CheckMemory(slot, call, name, value, call.Map?.ValueSize ?? 0, call.Map?.ValueSize ?? 0, reads: asks, writes: !asks);
                break;
            case ArgumentKind.ReadMemory or ArgumentKind.WriteMemory or ArgumentKind.ReadWriteMemory:
                var (least, most) = SizeOf(slot, call, index, name);
                // What accepts NULL and memory accepts what is one of them.
                if (argument.Nullable && argument.FixedSize > 0 && value.Kind != ValueKind.MapOrNull) value = value.NotNull();
                CheckMemory(slot, call, name, value, least, most, argument.Kind != ArgumentKind.WriteMemory, argument.Kind != ArgumentKind.ReadMemory);
                break;
            case ArgumentKind.Record:
                if (value.Kind == ValueKind.MemoryOrNull && _state.References.Contains(value.Reference))
                    _judge.Reject(Rule.MaybeNull, slot, $"{name} may be NULL: compare it with NULL first.", help: "add `if (!p) return 0;` before this line");
                else if (value.Kind != ValueKind.Memory || !_state.References.Contains(value.Reference) || value.OffsetMin != 0 || value.OffsetMax != 0)
                    _judge.Reject(Rule.NotARecord, slot, $"{name} is {value.Noun}, not the start of a reserved ring-buffer record.", help: "pass the pointer that bpf_ringbuf_reserve returned, once");
                call.Record = value;
                break;
            case ArgumentKind.SpinLock:
                if (value.Kind != ValueKind.MapValue || value.Map!.SpinLockOffset < 0 || value.OffsetMin != value.Map.SpinLockOffset || value.OffsetMax != value.OffsetMin)
                    _judge.Reject(Rule.LockMisuse, slot, $"{name} is {value}, not the struct bpf_spin_lock of a map value.", help: "pass the address of the lock in a value that a lookup gave: `&value->lock`");
                call.Lock = value;
                break;
            case ArgumentKind.ConstantString:
                CheckString(slot, name, value);
                break;
            case ArgumentKind.Callback:
                if (value.Kind != ValueKind.Function) throw _judge.Fatal(Rule.CallbackFunction, slot, $"{name} is {value.Noun}, a function of this program is expected.", help: "pass the name of a static function");
                call.Callback = value.Detail;
                break;
            case ArgumentKind.CallbackContext:
                if (value.Kind != ValueKind.Stack && !value.IsConstant(0)) WrongKind(slot, name, value, "a stack pointer or 0");
                call.CallbackContext = value;
                break;
            case ArgumentKind.IteratorNew or ArgumentKind.Iterator or ArgumentKind.IteratorDestroy:
                call.Iterator = value;
                break;
        }
    }

    private void WrongKind(int slot, ArgumentName name, Value value, string expected, string help = "")
    {
        if (value.IsMaybeNull)
        {
            _judge.Reject(Rule.MaybeNull, slot, $"{name} may be NULL: compare it with NULL first.", help: "add `if (!p) return 0;` before this line");
            return;
        }
        _judge.Reject(Rule.ArgumentKind, slot, $"{name} is {value.Noun}; {expected} is expected.", help: help);
    }

    private void RequireConstant(int slot, ArgumentName name, Value value)
    {
        if (value.IsNumber && value.Number.IsConstant) return;
        _judge.Reject(Rule.NotConstant, slot, $"{name} is {value}: it must be a constant.", help: "pass a literal or sizeof");
    }

    private void CheckMap(int slot, HostCall call, ArgumentName name, Value value)
    {
        if (value.Kind != ValueKind.Map)
        {
            if (value.IsMaybeNull) WrongKind(slot, name, value, "a map");
            throw _judge.Fatal(Rule.ArgumentKind, slot, $"{name} is {value.Noun}; a map is expected.", help: "pass the address of a variable in SEC(\".maps\"), such as `&my_map`");
        }
        var types = call.Function.MapTypes;
        if (types.Length > 0 && !types.Contains(value.Map!.Type))
            _judge.Reject(Rule.MapTypeMismatch, slot, $"{call.Function.Name} does not work on map '{value.Map.Name}' of type {value.Map.Type}.", $"it works on {string.Join(", ", types)}", "declare the map with one of these types, or call what its type has");
        if ((call.Function.Traits & FunctionTraits.WritesMap) != 0) RequireWritable(slot, value.Map!, call.Function.Name);
        if ((call.Function.Traits & FunctionTraits.ReadsMap) != 0) RequireReadable(slot, value.Map!, call.Function.Name);
        call.Map = value.Map;
    }

    // 0 in place of memory: then the length must be 0 too.
    private void CheckNullSize(int slot, HostCall call, int index, ArgumentName name)
    {
        var arguments = call.Function.Arguments;
        if (index + 1 >= arguments.Length || arguments[index + 1].Kind is not (ArgumentKind.Size or ArgumentKind.SizeOrZero)) return;
        var size = Read(slot, index + 2);
        if (!size.IsConstant(0)) _judge.Reject(Rule.ArgumentSize, slot, $"{name} is NULL, and its size is {size}: it must be 0.");
    }

    private (long Least, long Most) SizeOf(int slot, HostCall call, int index, ArgumentName name)
    {
        var arguments = call.Function.Arguments;
        if (arguments[index].FixedSize > 0) return (arguments[index].FixedSize, arguments[index].FixedSize);
        var size = Read(slot, index + 2);
        if (size.IsPointer) return (0, 0); // Refused when its turn comes.
        var zeroAllowed = arguments[index + 1].Kind == ArgumentKind.SizeOrZero;
        if (size.Number.SMin < 0 || size.Number.UMax > OffsetLimit)
        {
            _judge.Reject(Rule.ArgumentSize, slot, $"{name}: its size is {size.Number}, which has no usable bounds.",
                help: "check the size against the buffer's, as an unsigned number, before the call");
            return (0, 0);
        }
        if (!zeroAllowed && size.Number.UMin == 0)
        {
            _judge.Reject(Rule.ArgumentSize, slot, $"{name}: its size may be 0 (it is {size.Number}); at least 1 byte is required.",
                help: "add a check that the size is not 0");
        }
        return ((long)size.Number.UMin, (long)size.Number.UMax);
    }

    private void CheckMemory(int slot, HostCall call, ArgumentName name, Value value, long least, long most, bool reads, bool writes)
    {
        if (value.IsNumber || value.Kind is ValueKind.Map or ValueKind.MapOrNull or ValueKind.Function or ValueKind.BufferEnd)
        {
            WrongKind(slot, name, value, "a pointer to memory");
            return;
        }
        if (value.IsMaybeNull)
        {
            WrongKind(slot, name, value, "a pointer to memory");
            return;
        }
        if (most == 0) return;
        if (value.Kind == ValueKind.Stack)
        {
            if (StackRange(slot, value, 0, most, writes, name) is not var (low, high)) return;
            StackBytes = Math.Max(StackBytes, (int)(value.Detail * Limits.StackBytesPerFrame - low));
            if (reads) RequireStackData(slot, _state[value.Detail], low, high + most, (call.Function.Traits & FunctionTraits.ReadsPointers) != 0, name);
        }
        else
        {
            if (reads) RequireMemory(slot, value, 0, most, writes: false, name);
            if (writes) RequireMemory(slot, value, 0, most, writes: true, name);
        }
        if (writes) call.Fills.Add((value, least, most));
    }

    // After the call: on the stack, what was surely written is initialised; elsewhere nothing is tracked.
    private void Fill(Value pointer, long least, long most)
    {
        if (pointer.Kind != ValueKind.Stack) return;
        if (pointer.OffsetMin != pointer.OffsetMax)
        {
            MayWriteBytes(pointer.Detail, pointer.OffsetMin, pointer.OffsetMax + most);
            return;
        }
        FillBytes(pointer.Detail, pointer.OffsetMin, pointer.OffsetMin + least);
        MayWriteBytes(pointer.Detail, pointer.OffsetMin + least, pointer.OffsetMin + most);
    }

    private long ConstantKey(MapSpec? map, Value key)
    {
        if (map is not { Type: MapType.Array or MapType.PerCpuArray, KeySize: 4 } || key.OffsetMin != key.OffsetMax) return -1;
        Value? known = null;
        if (key.Kind == ValueKind.Stack && key.OffsetMin is >= -Limits.StackBytesPerFrame and <= -4)
        {
            var index = SlotOf(key.OffsetMin);
            var start = (int)(key.OffsetMin + 8 * (index + 1));
            if (start <= 4 && _state[key.Detail].Slot(index) is { HoldsPointer: false } cell && cell.IsInitialized(start, 4)) known = cell.Load(start, 4);
        }
        else if (key.Kind == ValueKind.MapValue)
        {
            known = LoadConstant(key, 0, 4);
        }
        return known is { IsNumber: true } && known.Number.IsConstant && known.Number.Value < (ulong)map.MaxEntries ? (long)known.Number.Value : -1;
    }

    private void CheckString(int slot, ArgumentName name, Value value)
    {
        if (value.Kind == ValueKind.MapValue && value.Map!.IsFrozen && value.OffsetMin == value.OffsetMax && value.OffsetMin >= 0 && value.OffsetMin < value.Map.InitialValue.Length)
        {
            if (value.Map.InitialValue.AsSpan()[(int)value.OffsetMin..].Contains((byte)0)) return;
        }
        _judge.Reject(Rule.ConstantString, slot, $"{name} is {value.Noun}: a NUL-terminated string in constant global data is expected.",
            help: "declare it as `static const char text[] = \"…\";`");
    }
}
