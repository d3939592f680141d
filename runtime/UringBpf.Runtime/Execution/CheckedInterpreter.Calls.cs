using UringBpf.Bytecode;

namespace UringBpf.Runtime;

// Calls of helpers and kfuncs: every argument is checked against the prototype before the function sees it.
public sealed unsafe partial class CheckedInterpreter
{
    // Performs the call and sets r0. Gives the program's result when a tail call took over.
    private ulong? Call(int slot, OpcodeRow row, in Instruction instruction, ulong* r, int initialised)
    {
        var prototype = row.Operation == Operation.CallRegister
            ? _functions.Prototypes.Helper((int)r[instruction.Destination])
            : _spec.Functions.Find(row, instruction);
        var isTailCall = prototype != null && (prototype.Traits & FunctionTraits.TailCall) != 0;
        var function = prototype == null ? null : _functions.Find(prototype);
        if (prototype == null || function == null && !isTailCall)
            throw Fault("UB4013", slot, 0, $"there is no function with number {(row.Operation == Operation.CallRegister ? (long)r[instruction.Destination] : instruction.Immediate)}");
        if (!(_spec.Type ?? ProgramTypes.Raw).Allows(prototype)) throw Fault("UB4013", slot, 0, $"programs of type {_spec.Type} may not call {prototype.Name}");
        var map = CheckArguments(slot, prototype, r, initialised);
        if (isTailCall)
        {
            var entry = ProgramArrayMap.TailCallTarget(r[2], r[3], _state);
            if (entry != null)
            {
                _state->Budget = _left;
                var result = entry->EntryPoint(entry->Self, _state->Context, _state->ContextLength, _state);
                if (_state->Fault != RunFault.None) throw Fault("UB4011", slot, 0, $"the program it went on in used up what was left of the budget of {InstructionBudget} instructions");
                return result;
            }
            r[0] = Errno.Status(Errno.EINVAL);
            return null;
        }
        _state->CallerFrame = (byte*)r[10];
        var walked = _walked;
        _walked = (prototype.Traits & FunctionTraits.CallsBack) != 0 ? map : null;
        r[0] = Invoke(function!, r);
        _walked = walked;
        AddResult(prototype, map, r);
        return null;
    }

    private MapHeader* CheckArguments(int slot, FunctionPrototype prototype, ulong* r, int initialised)
    {
        MapHeader* map = null;
        var arguments = prototype.Arguments;
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            var register = i + 1;
            var value = r[register];
            // What a function may be given without a value it treats as a number for the host's eyes.
            if (argument.Kind == ArgumentKind.Anything) continue;
            Need(slot, initialised, register);
            if (argument.Nullable && value == 0) continue;
            switch (argument.Kind)
            {
                case ArgumentKind.Context when value != (ulong)_state->Context:
                    throw Fault("UB4013", slot, value, $"{prototype.Name}: r{register} must be the context");
                case ArgumentKind.Map:
                    if (!_mapAddresses.Contains(value)) throw Fault("UB4013", slot, value, $"{prototype.Name}: r{register} is no map");
                    map = (MapHeader*)value;
                    if (!prototype.MapTypes.IsEmpty && !prototype.MapTypes.Contains(map->Type)) throw Fault("UB4013", slot, value, $"{prototype.Name} does not take maps of type {map->Type}");
                    break;
                case ArgumentKind.MapKey:
                    CheckMemory(slot, prototype, register, value, map->KeySize, reads: true, writes: false, r[10]);
                    break;
                case ArgumentKind.MapValue:
                    CheckMemory(slot, prototype, register, value, map->ValueSize, reads: true, writes: false, r[10]);
                    break;
                case ArgumentKind.MapValueOut:
                    CheckMemory(slot, prototype, register, value, map->ValueSize, reads: false, writes: true, r[10]);
                    break;
                case ArgumentKind.ReadMemory or ArgumentKind.WriteMemory or ArgumentKind.ReadWriteMemory:
                    var size = argument.FixedSize > 0 ? (ulong)argument.FixedSize : r[register + 1];
                    if (argument.FixedSize == 0) Need(slot, initialised, register + 1);
                    CheckMemory(slot, prototype, register, value, size, argument.Kind != ArgumentKind.WriteMemory, argument.Kind != ArgumentKind.ReadMemory, r[10]);
                    break;
                case ArgumentKind.ConstantString:
                    for (var at = value; ; at++)
                    {
                        if (_memory.CheckRead(at, 1, r[10]) is { } wrong) throw Fault("UB4010", slot, at, $"{prototype.Name}: r{register}: {wrong}");
                        if (*(byte*)at == 0) break;
                    }
                    break;
                case ArgumentKind.SpinLock:
                    CheckMemory(slot, prototype, register, value, 4, reads: true, writes: true, r[10]);
                    break;
                case ArgumentKind.IteratorNew or ArgumentKind.Iterator or ArgumentKind.IteratorDestroy:
                    CheckMemory(slot, prototype, register, value, 8, argument.Kind != ArgumentKind.IteratorNew, writes: true, r[10]);
                    break;
                case ArgumentKind.Callback:
                    if (value < (ulong)_callbacks || value >= (ulong)(_callbacks + _callbackCount) || (value - (ulong)_callbacks) % (ulong)sizeof(CheckedCallback) != 0)
                        throw Fault("UB4013", slot, value, $"{prototype.Name}: r{register} is no function of the program");
                    break;
                case ArgumentKind.Record:
                    if (!_records.Remove(value)) throw Fault("UB4013", slot, value, $"{prototype.Name}: r{register} is no record that is held");
                    _memory.Remove(value);
                    break;
            }
        }
        return map;
    }

    private void CheckMemory(int slot, FunctionPrototype prototype, int register, ulong address, ulong size, bool reads, bool writes, ulong frame)
    {
        if (size == 0) return;
        var wrong = reads ? _memory.CheckRead(address, size, frame) : null;
        if (writes) wrong ??= _memory.CheckWrite(address, size, frame);
        if (wrong != null) throw Fault("UB4010", slot, address, $"{prototype.Name}: r{register}: {wrong}");
        if (writes) _memory.Written(address, size);
    }

    // What a function returns becomes memory of the program.
    private void AddResult(FunctionPrototype prototype, MapHeader* map, ulong* r)
    {
        if (r[0] == 0) return;
        switch (prototype.Returns)
        {
            case ReturnKind.MapValueOrNull when map->Type is MapType.ArrayOfMaps or MapType.HashOfMaps:
                _mapAddresses.Add(r[0]);
                break;
            case ReturnKind.MapValueOrNull:
                _memory.AddFound(new MemoryRegion("map value", (nuint)r[0], map->ValueSize, (map->Flags & MapFlags.ReadOnlyProgram) == 0));
                break;
            case ReturnKind.MemoryOrNull or ReturnKind.RecordOrNull:
                for (var i = 0; i < prototype.Arguments.Length; i++)
                {
                    if (prototype.Arguments[i].Kind == ArgumentKind.AllocationSize)
                        _memory.AddFound(new MemoryRegion($"memory from {prototype.Name}", (nuint)r[0], (nuint)r[i + 1], (prototype.Traits & FunctionTraits.ReturnsReadOnly) == 0));
                }
                if (prototype.Returns == ReturnKind.RecordOrNull) _records.Add(r[0]);
                break;
            case ReturnKind.IteratorValueOrNull:
                _memory.AddFound(new MemoryRegion("iterator value", (nuint)r[0], 4, false));
                break;
        }
    }

    private ulong Invoke(FunctionImplementation function, ulong* r)
    {
        var pointer = function.Pointer;
        return (function.Arity, function.TakesState) switch
        {
            (0, false) => ((delegate*<ulong>)pointer)(),
            (1, false) => ((delegate*<ulong, ulong>)pointer)(r[1]),
            (2, false) => ((delegate*<ulong, ulong, ulong>)pointer)(r[1], r[2]),
            (3, false) => ((delegate*<ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3]),
            (4, false) => ((delegate*<ulong, ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3], r[4]),
            (5, false) => ((delegate*<ulong, ulong, ulong, ulong, ulong, ulong>)pointer)(r[1], r[2], r[3], r[4], r[5]),
            (0, true) => ((delegate*<ExecutionState*, ulong>)pointer)(_state),
            (1, true) => ((delegate*<ulong, ExecutionState*, ulong>)pointer)(r[1], _state),
            (2, true) => ((delegate*<ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], _state),
            (3, true) => ((delegate*<ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], _state),
            (4, true) => ((delegate*<ulong, ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], r[4], _state),
            _ => ((delegate*<ulong, ulong, ulong, ulong, ulong, ExecutionState*, ulong>)pointer)(r[1], r[2], r[3], r[4], r[5], _state),
        };
    }
}
