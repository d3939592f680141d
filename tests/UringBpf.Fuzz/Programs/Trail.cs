using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// What the verifier claims of a program, and a run held against it: at every instruction, the registers and the stack of
/// all frames must lie in one of the states that the verifier walked there; ids must be one number or one object; what was
/// told to the compiler must be true.
/// </summary>
internal sealed unsafe class Trail(Stage stage)
{
    private readonly int[] _last = new int[WalkedStates.MaxSlots];
    private readonly ulong[] _registers = new ulong[Limits.Frames * 11];
    private readonly List<(ValueKind Kind, int Id, ulong Basis)> _ids = [];
    private readonly List<(Link Link, ulong Number)> _links = [];
    // Of each slot its function, of each function whether it is verified by its signature, of each frame its function.
    private readonly int[] _functions = new int[WalkedStates.MaxSlots];
    private readonly bool[] _isGlobal = new bool[Limits.SubprogramsPerProgram];
    private readonly int[] _frames = new int[Limits.Frames];
    private VerifiedProgram? _program;
    private int _previousSlot, _previousDepth;

    // The innermost frame whose function is verified alone: claims begin there.
    private int _base;

    /// <summary>The first thing that was not as claimed, or null.</summary>
    public string? Broken { get; private set; }

    /// <summary>Instructions at which a run was held against the claims.</summary>
    public long Steps { get; private set; }

    /// <summary>What the verifier walked: the claims.</summary>
    public WalkedStates Walked { get; } = new();

    /// <summary>A program is verified: claims of the one before are forgotten.</summary>
    public void Reset()
    {
        Walked.Reset();
        Array.Clear(_last);
        Broken = null;
    }

    /// <summary>A run begins.</summary>
    public void Start(VerifiedProgram program)
    {
        _program = program;
        _previousSlot = -1;
        for (var index = 0; index < program.Subprograms.Length; index++)
        {
            var function = program.Subprograms[index];
            _isGlobal[index] = index > 0 && GlobalSignature.Of(program.Spec, program.Type, function) is not null;
            _functions.AsSpan(function.Start, function.Length).Fill(index);
        }
    }

    /// <summary>The <see cref="CheckedObserver"/>.</summary>
    public void Step(int slot, int depth, ReadOnlySpan<ulong> registers, int initialised)
    {
        if (Broken is not null) return;
        Steps++;
        registers.CopyTo(_registers.AsSpan(11 * depth));
        CheckFacts(slot, depth);
        if (Broken is not null) return;
        _frames[depth] = _functions[slot];
        for (_base = depth; _base > 0 && !_isGlobal[_frames[_base]]; _base--) { }
        if (Walked.At(slot, _frames[_base]) is not { Count: > 0 } claims)
        {
            Broken = $"claims: instruction {slot} is executed, and was never walked";
            return;
        }
        if (Holds(claims[Math.Min(_last[slot], claims.Count - 1)], depth)) return;
        for (var index = claims.Count - 1; index >= 0; index--)
        {
            if (!Holds(claims[index], depth)) continue;
            _last[slot] = index;
            return;
        }
        var concrete = string.Join(" ", Enumerable.Range(0, 11).Where(register => (initialised >> register & 1) != 0).Select(register => $"r{register}=0x{_registers[11 * depth + register]:x}"));
        Broken = $"claims: before instruction {slot} at depth {depth} none of {claims.Count} states includes {concrete}\n  " + string.Join("\n  ", claims.Take(12));
    }

    private void CheckFacts(int slot, int depth)
    {
        ref readonly var facts = ref _program!.Facts.ItemRef(slot);
        var code = _program.Spec.Instructions;
        if (!facts.Reached) Broken = $"facts: instruction {slot} is executed, and is said not to be reached";
        var row = OpcodeTable.Find(code[slot])!;
        var (dst, src) = (_registers[11 * depth + code[slot].Destination], row.Source == OperandSource.Immediate ? (ulong)(long)code[slot].Immediate : _registers[11 * depth + code[slot].Source]);
        if (row.IsArithmetic || row.IsConditionalJump)
        {
            var reads = (row.Uses & OperandFields.Destination) != 0 && row.Operation is not (Operation.Move or Operation.MoveSignExtend);
            if (reads && (dst < facts.DestinationMin || dst > facts.DestinationMax)) Broken = $"facts: r{code[slot].Destination} is {dst} before {slot}, and is said to be {facts.DestinationMin}..{facts.DestinationMax}";
            if (row.Source == OperandSource.Register && (src < facts.SourceMin || src > facts.SourceMax)) Broken = $"facts: r{code[slot].Source} is {src} before {slot}, and is said to be {facts.SourceMin}..{facts.SourceMax}";
            var divides = row.Operation is Operation.Divide or Operation.Modulo or Operation.SignedDivide or Operation.SignedModulo;
            if (divides && facts.DivisorNonZero && (row.Width == 64 ? src : (uint)src) == 0) Broken = $"facts: the divisor at {slot} is 0";
            if (divides && facts.NoDivideOverflow && (row.Width == 64 ? src == ulong.MaxValue && dst == 1UL << 63 : (uint)src == uint.MaxValue && (uint)dst == 1u << 31))
                Broken = $"facts: the division at {slot} overflows";
        }
        // Which way the jump before went.
        if (_previousSlot >= 0 && _previousDepth == depth && OpcodeTable.Find(code[_previousSlot]) is { IsConditionalJump: true } && code[_previousSlot].Offset != 0)
        {
            ref readonly var before = ref _program.Facts.ItemRef(_previousSlot);
            if (slot == _previousSlot + 1 && !before.MayFallThrough) Broken = $"facts: the jump at {_previousSlot} is said never to fall through, and does";
            if (slot != _previousSlot + 1 && !before.MayJump) Broken = $"facts: the jump at {_previousSlot} is said never to jump, and does";
        }
        (_previousSlot, _previousDepth) = (slot, depth);
    }

    private bool Holds(MachineState state, int depth)
    {
        if (state.Depth != depth - _base + 1 || state.BufferRange > stage.PacketLength) return false;
        _ids.Clear();
        _links.Clear();
        for (var index = depth; index >= _base; index--)
        {
            var frame = state[index - _base];
            for (var register = 0; register < Frame.Registers - 1; register++)
            {
                if (frame[register] is { } value && !Holds(value, _registers[11 * index + register])) return false;
            }
            var top = (byte*)_registers[11 * index + Frame.Pointer];
            for (var slot = 0; slot < frame.UsedSlots; slot++)
            {
                if (frame.Slot(slot) is not { } cell || cell.Low is { Kind: ValueKind.Iterator }) continue;
                var at = top - 8 * (slot + 1);
                if (cell.Low is { } low && !Holds(low, Bytes(at, cell.LowSize))) return false;
                if (cell.High is { } high && !Holds(high, Bytes(at + 4, cell.HighSize))) return false;
            }
        }
        return true;
    }

    private static ulong Bytes(byte* at, int size)
    {
        ulong value = 0;
        for (var index = size - 1; index >= 0; index--) value = value << 8 | at[index];
        return value;
    }

    private bool Holds(Value value, ulong concrete)
    {
        switch (value.Kind)
        {
            case ValueKind.Number:
                return value.Number.Contains(concrete) && Hangs(value.Link, concrete);
            case ValueKind.Context:
                return HoldsOffset(value, concrete - stage.ContextAddress);
            case ValueKind.Stack:
                return HoldsOffset(value, concrete - _registers[11 * (_base + value.Detail) + Frame.Pointer]);
            case ValueKind.Buffer:
                {
                    var variable = concrete - stage.PacketAddress - (ulong)value.Offset;
                    return value.Number.Contains(variable) && (value.Id == 0 || Same(ValueKind.Buffer, value.Id, variable))
                        && (value.Range < 0 || (long)variable + value.Range <= stage.PacketLength);
                }
            case ValueKind.BufferEnd:
                return concrete == stage.PacketAddress + (ulong)stage.PacketLength;
            case ValueKind.Map:
                foreach (var map in stage.Standing(value.Map!))
                {
                    if (concrete == (ulong)map.Header) return true;
                }
                return false;
            case ValueKind.MapValue when value.Id == 0:
                return HoldsOffset(value, concrete - (ulong)stage.Maps[value.Map!].Header->Data);
            case ValueKind.MapValue or ValueKind.Memory when value.Number.IsConstant && value.Id != 0:
                return concrete != 0 && Same(value.Kind, value.Id, concrete - (ulong)value.Offset - value.Number.Value);
            case ValueKind.MapValue when value.Map!.Type == MapType.Array:
                foreach (var map in stage.Standing(value.Map))
                {
                    var header = map.Header;
                    for (uint element = 0; element < header->MaxEntries; element++)
                    {
                        if (value.Number.Contains(concrete - (ulong)header->Data - element * header->Stride - (ulong)value.Offset)) return true;
                    }
                }
                return false;
            case ValueKind.MapValueOrNull or ValueKind.MemoryOrNull when value.Id != 0:
                return Same(value.Kind, value.Id, concrete - (concrete == 0 ? 0 : (ulong)value.Offset));
            case ValueKind.MapValue or ValueKind.Memory:
                return concrete != 0;
            default:
                return true;
        }
    }

    private bool HoldsOffset(Value pointer, ulong offset) =>
        pointer.Number.Contains(offset - (ulong)pointer.Offset) && Hangs(pointer.Link, offset - (ulong)pointer.Offset);

    // All numbers on one unknown: those of one scale by their differences, others by what the unknown must be.
    private bool Hangs(Link link, ulong concrete)
    {
        if (link.Id == 0) return true;
        foreach (var (known, number) in _links)
        {
            if (known.Id != link.Id) continue;
            if (known.Scale == link.Scale ? number - (ulong)known.Offset != concrete - (ulong)link.Offset
                : ((Int128)(long)number - known.Offset) * link.Scale != ((Int128)(long)concrete - link.Offset) * known.Scale) return false;
        }
        _links.Add((link, concrete));
        return true;
    }

    // One id, one object.
    private bool Same(ValueKind kind, int id, ulong basis)
    {
        foreach (var known in _ids)
        {
            if (known.Kind == kind && known.Id == id) return known.Basis == basis;
        }
        _ids.Add((kind, id, basis));
        return true;
    }
}
