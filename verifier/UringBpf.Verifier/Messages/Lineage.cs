using System.Collections.Immutable;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Goes back along the path to a rejection and keeps the steps that influenced it: a backward slice over registers and
/// stack slots. What it can't follow (memory that others share) ends the trail.
/// </summary>
internal sealed partial class Lineage(ProgramSpec spec, ProgramShape shape)
{
    private const int MostSteps = 8, MostBranches = 4;

    private readonly HashSet<(int Frame, int Register)> _registers = [];
    private readonly HashSet<(int Frame, int Slot)> _slots = [];
    private readonly List<PathStep> _steps = [];

    /// <summary>The steps that matter, first step first; at most so many of the last ones.</summary>
    public ImmutableArray<PathStep> Of(Rejection rejection, TraceStep failing)
    {
        Start(rejection, failing);
        // Nothing to follow: what was not written or not released is explained by the branches that led past it.
        var branches = rejection.Code is "UB2101" or "UB2102" or "UB2401" or "UB2403" or "UB2405" ? MostBranches : 0;
        var held = rejection.Code is "UB2401" or "UB2403" or "UB2309" or "UB2405";
        var next = failing;
        for (var step = failing.Previous; step is not null && _steps.Count < MostSteps; next = step, step = step.Previous)
        {
            var row = shape.Row(step.Slot);
            if (held && row.Operation is Operation.CallHelper or Operation.CallKfunc && Holds(row, step.Slot)) Add(step.Slot, $"{NameOf(row, step.Slot)}()");
            if (_registers.Count == 0 && _slots.Count == 0 && branches == 0 && !held) break;
            Follow(step, next, row, ref branches);
        }
        _steps.Reverse();
        return [.. _steps];
    }

    /// <summary>Where what is held was taken, for a rejection because of it; else empty.</summary>
    public string TakenAt(Rejection rejection, TraceStep failing)
    {
        Func<MachineState, bool>? holds = rejection.Code switch
        {
            "UB2401" when failing.Before.References is [.., var record] => state => state.References.Contains(record),
            "UB2403" or "UB2309" when failing.Before.LockId != 0 => state => state.LockId != 0,
            _ => null,
        };
        if (holds is null) return "";
        for (var step = failing; step.Previous is { } previous; step = previous)
        {
            if (holds(previous.Before)) continue;
            var at = spec.LineOf(previous.Slot);
            return $"{NameOf(shape.Row(previous.Slot), previous.Slot)} took it {(at is null ? $"at instruction {previous.Slot}" : $"at line {at.Line}: `{at.Text.Trim()}`")}";
        }
        return "";
    }

    /// <summary>The rejection of a register that held something which a call released: what it held and where it went; else as it is.</summary>
    public Rejection Released(Rejection rejection, TraceStep failing)
    {
        if (rejection.Code != "UB2101" || UnreadRegister().Match(rejection.Message) is not { Success: true } match) return rejection;
        var register = int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        for (var step = failing; step.Previous is { } previous; step = previous)
        {
            if (previous.Before.Depth != failing.Before.Depth || previous.Before.Register(register) is not { } held) continue;
            var row = shape.Row(previous.Slot);
            if (held.Reference == 0 || row.Operation is not (Operation.CallHelper or Operation.CallKfunc)) return rejection;
            var at = spec.LineOf(previous.Slot);
            return rejection with
            {
                Message = $"r{register} is read, but {held.Noun} that it held is gone since {NameOf(row, previous.Slot)}()",
                Why = at is null ? $"instruction {previous.Slot} released it" : $"line {at.Line} released it: `{at.Text.Trim()}`",
                Help = "use it before that call, and copy to a local variable what is needed after it",
            };
        }
        return rejection;
    }

    [GeneratedRegex(@"^r(\d+) is read")]
    private static partial Regex UnreadRegister();

    private void Start(Rejection rejection, TraceStep failing)
    {
        var row = shape.Row(failing.Slot);
        var instruction = spec.Instructions[failing.Slot];
        var frame = failing.Before.Depth - 1;
        switch (row.Operation)
        {
            case Operation.Exit:
                if (rejection.Code is "UB2501" or "UB2502" or "UB2503" or "UB2101" or "UB2121") _registers.Add((frame, 0));
                return;
            case Operation.CallHelper or Operation.CallKfunc or Operation.CallSubprogram or Operation.CallRegister:
                if (ArgumentNumber().Match(rejection.Message) is { Success: true } match)
                {
                    var register = int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
                    _registers.Add((frame, register));
                    var arguments = spec.Functions.Find(row, instruction)?.Arguments ?? [];
                    if (register < arguments.Length && arguments[register].Kind is ArgumentKind.Size or ArgumentKind.SizeOrZero) _registers.Add((frame, register + 1));
                }
                return;
        }
        if (row.IsMemory && row.Operation is not (Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire))
        {
            _registers.Add((frame, instruction.Destination));
            if (rejection.Code == "UB2118") _registers.Add((frame, instruction.Source));
            return;
        }
        var (reads, _) = Uses.Of(row, instruction, spec);
        for (var register = 0; register < Frame.Pointer; register++)
        {
            if ((reads >> register & 1) != 0) _registers.Add((frame, register));
        }
    }

    private void Follow(TraceStep step, TraceStep next, OpcodeRow row, ref int branches)
    {
        var instruction = spec.Instructions[step.Slot];
        var frame = step.Before.Depth - 1;
        int dst = instruction.Destination, src = instruction.Source;
        if (next.Before.Depth < step.Before.Depth)
        {
            // Returning: the caller's r0 was this function's.
            if (row.Operation == Operation.Exit && _registers.Remove((frame - 1, 0))) _registers.Add((frame, 0));
            return;
        }
        if (next.Before.Depth > step.Before.Depth)
        {
            for (var register = 1; register <= 5; register++)
            {
                if (_registers.Remove((frame + 1, register)) && row.Operation == Operation.CallSubprogram) _registers.Add((frame, register));
            }
            return;
        }
        if (row.IsConditionalJump)
        {
            var matters = Matters(step.Before, frame, dst) || row.Source == OperandSource.Register && Matters(step.Before, frame, src);
            if (!matters && branches == 0) return;
            if (!matters) branches--;
            Add(step.Slot, Condition(step, next, row, instruction));
            return;
        }
        if (row.IsArithmetic && _registers.Contains((frame, dst)))
        {
            if (row.Operation == Operation.Move && row.Source == OperandSource.Register)
            {
                _registers.Remove((frame, dst));
                if (src != Frame.Pointer) _registers.Add((frame, src));
                return;
            }
            Add(step.Slot, Text(step.Slot));
            if (row.Operation == Operation.Move) _registers.Remove((frame, dst));
            else if (row.Source == OperandSource.Register && src != Frame.Pointer) _registers.Add((frame, src));
            if (row.Operation == Operation.MoveSignExtend && src != dst) _registers.Remove((frame, dst));
            return;
        }
        if (row.Operation == Operation.LoadImmediate64 && _registers.Remove((frame, dst)))
        {
            if (row.Wide == WideKind.Number) Add(step.Slot, Text(step.Slot));
            return;
        }
        if (row.Operation is Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire && _registers.Remove((frame, dst)))
        {
            if (StackSlotOf(step.Before, src, instruction.Offset) is { } slot) _slots.Add(slot);
            else Add(step.Slot, LoadText(step.Before, row, instruction));
            return;
        }
        if (row.IsMemory && StackSlotOf(step.Before, dst, instruction.Offset) is { } stored && _slots.Contains(stored))
        {
            if (row.Operation == Operation.Store)
            {
                _slots.Remove(stored);
                if (row.Source == OperandSource.Register) _registers.Add((frame, src));
                else Add(step.Slot, Text(step.Slot));
            }
            return;
        }
        if (row.IsCall && _registers.Remove((frame, 0))) Add(step.Slot, $"r0 = {NameOf(row, step.Slot)}()");
        if (row.IsCall)
        {
            for (var register = 1; register <= 5; register++)
            {
                if (_registers.Remove((frame, register))) Add(step.Slot, $"{NameOf(row, step.Slot)}() leaves r1..r5 unreadable");
            }
        }
    }

    // A register that is followed, or one whose number is linked to such a register's.
    private bool Matters(MachineState state, int frame, int register)
    {
        if (_registers.Contains((frame, register))) return true;
        if (state[frame][register] is not { } value) return false;
        // All pointers into the data that share their variable part are checked together.
        if (value.Kind is ValueKind.Buffer)
            return _registers.Any(known => known.Frame < state.Depth && state[known.Frame][known.Register] is { Kind: ValueKind.Buffer } other && other.Id == value.Id);
        if (value.Id == 0) return false;
        foreach (var (other, followed) in _registers)
        {
            if (other < state.Depth && state[other][followed]?.Id == value.Id) return true;
        }
        foreach (var (other, slot) in _slots)
        {
            if (other < state.Depth && state[other].Slot(slot)?.Low?.Id == value.Id) return true;
        }
        return false;
    }

    private static (int Frame, int Slot)? StackSlotOf(MachineState state, int register, int displacement)
    {
        if (state.Register(register) is not { Kind: ValueKind.Stack } pointer || pointer.OffsetMin != pointer.OffsetMax) return null;
        var offset = pointer.OffsetMin + displacement;
        return offset is >= -Limits.StackBytesPerFrame and < 0 ? (pointer.Detail, (int)((-offset - 1) / 8)) : null;
    }

    private string Condition(TraceStep step, TraceStep next, OpcodeRow row, in Instruction instruction)
    {
        var taken = next.Slot == shape.Target(step.Slot);
        var letter = row.Width == 64 ? 'r' : 'w';
        var isPointer = step.Before.Register(instruction.Destination) is { IsPointer: true };
        var right = row.Source == OperandSource.Register ? $"{letter}{instruction.Source}" : isPointer && instruction.Immediate == 0 ? "NULL" : instruction.Immediate.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var sign = Syntax.Find(Syntax.Comparisons, row.Operation) ?? "?";
        if (!taken) sign = Opposite(sign);
        return sign.StartsWith('!') && sign != "!=" ? $"!({letter}{instruction.Destination} {sign[1..]} {right})" : $"{letter}{instruction.Destination} {sign} {right}";
    }

    private static string Opposite(string comparison) => comparison switch
    {
        "==" => "!=",
        "!=" => "==",
        ">" => "<=",
        ">=" => "<",
        "<" => ">=",
        "<=" => ">",
        "s>" => "s<=",
        "s>=" => "s<",
        "s<" => "s>=",
        "s<=" => "s>",
        _ => "!" + comparison,
    };

    private string LoadText(MachineState state, OpcodeRow row, in Instruction instruction)
    {
        var from = state.Register(instruction.Source) switch
        {
            { Kind: ValueKind.Context } pointer when pointer.OffsetMin == pointer.OffsetMax => spec.Type!.Context.Find(pointer.OffsetMin + instruction.Offset, row.AccessBytes) is { } field
                ? $"ctx->{field.Name}" : $"ctx[{pointer.OffsetMin + instruction.Offset}..{pointer.OffsetMin + instruction.Offset + row.AccessBytes - 1}]",
            { Kind: ValueKind.MapValue, Map: { } map } => $"{row.AccessBytes} bytes of '{map.Name}'",
            { Kind: ValueKind.Buffer } => $"{row.AccessBytes} bytes of the data",
            _ => $"{row.AccessBytes} bytes of memory",
        };
        return $"r{instruction.Destination} = {from}";
    }

    // The disassembly, with numbers as people count.
    private string Text(int slot)
    {
        var next = slot + 1 < spec.Instructions.Length ? spec.Instructions[slot + 1] : default;
        return Hexadecimal().Replace(Disassembler.Format(spec.Instructions[slot], next), match =>
            match.Groups[1].Value.Length <= 15 ? Convert.ToInt64(match.Groups[1].Value, 16).ToString(System.Globalization.CultureInfo.InvariantCulture) : match.Value);
    }

    private bool Holds(OpcodeRow row, int slot) => spec.Functions.Find(row, spec.Instructions[slot]) is { } function
        && (function.Returns == ReturnKind.RecordOrNull || (function.Traits & FunctionTraits.Locks) != 0 || function.Arguments.Any(argument => argument.Kind == ArgumentKind.IteratorNew));

    private string NameOf(OpcodeRow row, int slot) => row.Operation switch
    {
        Operation.CallSubprogram => shape.Functions[shape.Callee(slot)].Name,
        Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect => "packet load",
        _ => spec.Functions.Find(row, spec.Instructions[slot])?.Name ?? "helper",
    };

    private void Add(int slot, string text) => _steps.Add(new(slot, spec.LineOf(slot)?.Line ?? 0, text));

    [GeneratedRegex(@"argument (\d)")]
    private static partial Regex ArgumentNumber();

    [GeneratedRegex("0x([0-9a-f]+)")]
    private static partial Regex Hexadecimal();
}
