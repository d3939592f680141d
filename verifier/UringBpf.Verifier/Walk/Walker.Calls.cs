using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Calls of functions, and returning from them (RFC 9669 section 4.3.1).</summary>
internal sealed partial class Walker
{
    private void WalkCall(int slot, OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.Exit:
                WalkExit(slot);
                break;
            case Operation.CallSubprogram:
                WalkSubprogramCall(slot);
                break;
            case Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect:
                WalkPacketLoad(slot, row, instruction);
                break;
            case Operation.CallRegister:
                var number = Read(slot, instruction.Destination);
                if (!number.IsNumber || !number.Number.IsConstant)
                    throw _judge.Fatal(Rule.IndirectCall, slot, $"callx through r{instruction.Destination}, which is {number}: the helper's number must be known.", help: "call it by its name");
                if (_spec.Functions.Helper((int)number.Number.Value) is { } helper
                    && ((helper.Traits & (FunctionTraits.CallsBack | FunctionTraits.TailCall)) != 0 || helper.Acquires || helper.Releases))
                {
                    throw _judge.Fatal(Rule.IndirectCall, slot, $"callx of {helper.Name}, which engines call in a way of its own.", help: "call it by its number");
                }
                WalkHostCall(slot, FunctionKind.Helper, (long)number.Number.Value);
                break;
            default:
                WalkHostCall(slot, row.Operation == Operation.CallKfunc ? FunctionKind.Kfunc : FunctionKind.Helper, instruction.Immediate);
                break;
        }
    }

    private void WalkHostCall(int slot, FunctionKind kind, long number)
    {
        var function = (int)number != number ? null : kind == FunctionKind.Kfunc ? _spec.Functions.Kfunc((int)number) : _spec.Functions.Helper((int)number);
        if (function is null) throw UnknownFunction(slot, kind, number);
        if (!_type.Allows(function))
        {
            _judge.Reject(Rule.FunctionNotAllowed, slot, $"{function.Name} can't be called from a program of type {_type.Name}.",
                function.ContextStruct.Length > 0 ? $"it works on struct {function.ContextStruct}" : "", $"call what programs of type {_type.Name} have: docs/helpers.md lists it");
        }
        if (_state.LockId != 0 && (function.Traits & FunctionTraits.Unlocks) == 0)
        {
            _judge.Reject(Rule.CallUnderLock, slot, $"{function.Name} is called while a spin lock is held: only bpf_spin_unlock may be.",
                help: "call it before taking or after releasing the lock");
        }
        var call = _call.Begin(function);
        for (var index = 0; index < function.Arguments.Length; index++) CheckArgument(slot, call, index);
        if (call.Map is not null) Facts.MapArgument(slot, _firstVisit, IndexOf(call.Map), call.ConstantKey);
        if (call.HasFills)
        {
            foreach (var (pointer, least, most) in call.Fills) Fill(pointer, least, most);
        }
        if ((function.Traits & FunctionTraits.TailCall) != 0) CheckTailCall(slot);
        if ((function.Traits & FunctionTraits.CallsBack) != 0)
        {
            StartCallback(slot, call);
            return;
        }
        if (WalkIterator(slot, call)) return;
        ApplyLock(slot, call);
        ReleaseRecord(call);
        var result = Result(slot, call);
        ForgetArguments();
        _state.Set(0, result);
    }

    private RejectedException UnknownFunction(int slot, FunctionKind kind, long number)
    {
        if (kind == FunctionKind.Kfunc)
            return _judge.Fatal(Rule.UnknownFunction, slot, $"there is no kfunc with number {number}.", help: "load the object with the functions it was written for");
        if ((int)number == number && RefusedHelpers.Find((int)number) is var (name, reason))
            return _judge.Fatal(Rule.UnknownFunction, slot, $"helper {number}, {name}, is not offered: it {reason}.");
        return _judge.Fatal(Rule.UnknownFunction, slot, $"there is no helper with number {number}.", help: "`uringbpf features` lists the helpers");
    }

    private void ForgetArguments()
    {
        for (var register = 0; register <= 5; register++) _state.Set(register, null);
    }

    private Value? Result(int slot, HostCall call)
    {
        var function = call.Function;
        switch (function.Returns)
        {
            case ReturnKind.Void:
                return null;
            case ReturnKind.MapValueOrNull:
                if (call.Map is not { } map) return Value.Unknown;
                return map.InnerMap is not null && map.Type is MapType.ArrayOfMaps or MapType.HashOfMaps
                    ? PointerTo(InnerOf(map)) with { Kind = ValueKind.MapOrNull, Id = NewId() }
                    : PointerTo(map) with { Kind = ValueKind.MapValueOrNull, Id = NewId() };
            case ReturnKind.MemoryOrNull or ReturnKind.RecordOrNull:
                var reference = 0;
                if (function.Returns == ReturnKind.RecordOrNull)
                {
                    reference = NewId();
                    _state.References = [.. _state.References, reference];
                }
                return new Value
                {
                    Kind = ValueKind.MemoryOrNull,
                    Id = NewId(),
                    Reference = reference,
                    Detail = call.AllocationSize,
                    IsReadOnly = (function.Traits & FunctionTraits.ReturnsReadOnly) != 0,
                };
            default:
                return Value.Of(Scalar.FromSigned(function.ReturnMin, function.ReturnMax));
        }
    }

    // What every inner map is like. It must not be taken for the one map of the program that the declaration may name.
    private MapSpec InnerOf(MapSpec map)
    {
        if (!_spec.Maps.Contains(map.InnerMap!)) return map.InnerMap!;
        if (!_inner.TryGetValue(map, out var inner)) _inner.Add(map, inner = map.InnerMap! with { });
        return inner;
    }

    private void CheckTailCall(int slot)
    {
        IsMetered = true;
        if (_state.Depth > 1 || _signature is not null)
        {
            _judge.Reject(Rule.TailCallPlace, slot, "a tail call from a function: it can only be made from the program itself.",
                help: "return a value that tells the caller to make the tail call");
        }
        RequireNothingHeld(slot, "a tail call");
    }

    private void RequireNothingHeld(int slot, string what)
    {
        if (_state.References.Length > 0)
        {
            _judge.Reject(Rule.ReferenceLeak, slot, $"{what} while {_state.References.Length} reserved ring-buffer record{(_state.References.Length > 1 ? "s are" : " is")} neither submitted nor discarded.",
                help: "call bpf_ringbuf_submit or bpf_ringbuf_discard on every path");
        }
        if (_state.LockId != 0)
        {
            _judge.Reject(Rule.LockLeak, slot, $"{what} while the spin lock of map '{_state.LockMap?.Name}' is held.",
                help: "call bpf_spin_unlock on every path");
        }
    }

    private void WalkPacketLoad(int slot, OpcodeRow row, in Instruction instruction)
    {
        if (!_type.HasPacket) _judge.Reject(Rule.PacketLoad, slot, $"a packet load in a program of type {_type.Name}, which has no packet.", help: "read the data through ctx->data and ctx->data_end");
        var context = Read(slot, 6);
        if (context.Kind != ValueKind.Context || context.OffsetMin != 0 || context.OffsetMax != 0)
            _judge.Reject(Rule.PacketLoad, slot, $"a packet load needs the context pointer in r6, which holds {context.Noun}.", help: "clang does this for llvm.bpf.load.*: pass it the context as it is");
        if (row.Operation == Operation.LoadPacketIndirect) RequireNumber(slot, Read(slot, instruction.Source), "a packet load");
        if ((_state.Depth > 1 || _signature is not null) && ReturnsVoid(_shape.Functions[_state.Top.Function]))
            _judge.Reject(Rule.PacketLoad, slot, "a packet load in a function that returns nothing: it ends the function with 0 when the packet is too short.", help: "let the function return an int");
        // It ends the function with 0 when the packet is too short.
        if (_state.Depth == 1) RequireNothingHeld(slot, "a packet load may end the program");
        var inside = Another();
        _state.Set(0, Value.Zero);
        WalkExit(slot);
        if (_slot >= 0) Wait(_state, _slot);
        _state = inside;
        _slot = _shape.Next(slot);
        ForgetArguments();
        _state.Set(0, Value.Unsigned(row.Bits));
    }

    private bool ReturnsVoid(Subprogram function) => function.TypeId > 0 && function.TypeId < _spec.Types.Types.Length
        && _spec.Types[function.TypeId] is BtfFunction { TypeId: var type } && _spec.Types[type] is BtfPrototype { ReturnTypeId: 0 };

    private void WalkSubprogramCall(int slot)
    {
        var callee = _shape.Callee(slot);
        if (_state.LockId != 0)
            _judge.Reject(Rule.CallUnderLock, slot, $"function '{_shape.Functions[callee].Name}' is called while a spin lock is held.", help: "call it before taking or after releasing the lock");
        if (_global(callee, this) is { } summary) WalkGlobalCall(slot, summary);
        else Enter(slot, callee, [null, _state.Register(1), _state.Register(2), _state.Register(3), _state.Register(4), _state.Register(5)], null);
    }

    // What a global function's signature allows of an argument, as the function sees it.
    private Value Passed(Argument argument) => argument.Kind switch
    {
        ArgumentKind.Scalar => Value.Unknown,
        ArgumentKind.Context => new Value { Kind = ValueKind.Context },
        _ => new Value
        {
            Kind = argument.Nullable ? ValueKind.MemoryOrNull : ValueKind.Memory,
            Detail = argument.FixedSize,
            IsReadOnly = argument.Kind == ArgumentKind.ReadMemory,
            Id = NewId(),
        },
    };

    // A function that was verified by its signature: what is passed must be within it, and what comes back is within what was found.
    private void WalkGlobalCall(int slot, FunctionSummary summary)
    {
        var call = _call.Begin(summary.Prototype);
        for (var index = 0; index < summary.Prototype.Arguments.Length; index++) CheckArgument(slot, call, index);
        if (_state.Holdings.HoldsResource)
        {
            // A place of its own in the graph: what the call costs is time for which something is held.
            var before = _explored.Record(slot, _state);
            _explored.Connect(_node, before, _cost, null);
            (_node, _cost) = (before, 0);
        }
        if (_state.Depth + summary.Depth > Limits.Frames)
            throw CallTooDeep(slot, summary.Prototype.Name, _state.Depth + summary.Depth);
        if (call.HasFills)
        {
            foreach (var (pointer, least, most) in call.Fills) Fill(pointer, least, most);
        }
        Depth = Math.Max(Depth, _state.Depth + summary.Depth);
        StackBytes = Math.Max(StackBytes, _state.Depth * Limits.StackBytesPerFrame + summary.StackBytes);
        IsMetered |= summary.IsMetered;
        WritesBuffers |= summary.WritesBuffers;
        _cost = Math.Min(TerminationProof.Unbounded, _cost + summary.Cost);
        ForgetArguments();
        _state.Set(0, summary.Result is { } result ? Value.Of(result) : null);
    }

    private RejectedException CallTooDeep(int slot, string name, int depth) =>
        _judge.Fatal(Rule.CallDepth, slot, $"function '{name}' would be call {depth} in the chain; {Limits.Frames} are possible.",
            help: "inline some of the functions (static inline)");

    private void Enter(int slot, int callee, Value?[] arguments, CallbackRun? callback)
    {
        if (_state.Depth == Limits.Frames)
            throw CallTooDeep(slot, _shape.Functions[callee].Name, Limits.Frames + 1);
        ForgetArguments();
        // While the callee runs, of the caller's only what lives on or was handed over matters.
        var after = _liveness.Before(_shape.Next(slot));
        var at = _liveness.Before(slot);
        Forget(_state, _state.Depth - 1, after, at.Slots, at.RelevantSlots);
        var pointer = new Value { Kind = ValueKind.Stack, Detail = _state.Depth };
        var frame = new Frame(new(callee, slot, ChainOf(_state.Top.Chain, slot, callee), pointer, callback));
        for (var register = 1; register <= 5; register++) frame[register] = arguments[register];
        frame[Frame.Pointer] = pointer;
        _state.Push(frame);
        Depth = Math.Max(Depth, _state.Depth);
        _slot = _shape.Functions[callee].Start;
        StackBytes = Math.Max(StackBytes, (_state.Depth - 1) * Limits.StackBytesPerFrame);
    }

    private void WalkExit(int slot)
    {
        if (_state.Depth == 1)
        {
            if (_signature is null) RequireReturnValue(slot, Read(slot, 0));
            else if (_signature.Returns == ReturnKind.Scalar) RequireResult(slot, Read(slot, 0));
            RequireNothingHeld(slot, _signature is null ? "the program ends" : $"global function '{_signature.Name}' ends");
            RequireNoIterator(slot);
            EndPath();
            return;
        }
        var frame = _state.Top;
        var result = _state.Register(0);
        RequireNoIterator(slot);
        if (frame.Callback is not null)
        {
            EndRound(slot, frame, Read(slot, 0));
            return;
        }
        if (result is { Kind: ValueKind.Stack } && result.Detail == _state.Depth - 1)
        {
            _judge.Reject(Rule.PointerToInnerFrame, slot, "a function returns a pointer to its own stack, which ends with it.", help: "let the caller own the variable");
            result = null;
        }
        _state.Pop();
        _state.Set(0, result);
        _slot = _shape.Next(frame.CallSite);
    }

    private void RequireResult(int slot, Value result)
    {
        if (result.IsPointer)
            _judge.Reject(Rule.ReturnsPointer, slot, $"global function '{_signature!.Name}' returns {result.Noun}: its signature says a number.", help: "return a number");
        Returned = Returned is { } known ? Scalar.Join(known, result.Number) : result.Number;
    }

    private void RequireReturnValue(int slot, Value result)
    {
        if (result.IsPointer)
        {
            _judge.Reject(Rule.ReturnsPointer, slot, $"the program returns {result.Noun}: that would show an address.", help: "return a number");
            return;
        }
        var number = result.Number;
        var (low, high) = _type.ReturnsInt32 ? (number.SMin32, number.SMax32) : (number.SMin, number.SMax);
        if (low >= _type.ReturnMin && high <= _type.ReturnMax) return;
        _judge.Reject(Rule.ReturnRange, slot, $"the program may return {low}..{high}; a program of type {_type.Name} must return {_type.ReturnMin}..{_type.ReturnMax}.",
            help: _type.Context.StructName == "uring_completion" ? "return URING_PASS, URING_CONTINUE or a negative errno; uring_err(x) clamps a result" : "check or clamp the value before returning it");
    }
}
