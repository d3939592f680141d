using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// Random programs, mostly valid, biased towards what is hard to verify: bounds at the edge, variable offsets, spills of
/// parts, sign extension, mixed widths, loops with all kinds of exits, packet ends, null checks, callbacks. The generator
/// follows roughly what each register holds and picks steps that this allows; some programs are then damaged, so that
/// accepting too much shows as well. A program depends on the random numbers alone.
/// </summary>
public sealed partial class ProgramGenerator
{
    // A function's stack: numbers at -64..-1, spilled pointers below, then what loops and calls need for themselves.
    private const int NumberBytes = 64, Spills = 3, SpillTop = -72, LoopSlot = -104, KeySlot = -120, ValueSlot = -144, IteratorSlot = -152;

    private int MostFunctions => _forKernel ? 4 : 9;

    private readonly FuzzRandom _random;
    private readonly List<Instruction> _code = [];
    private readonly List<(int Slot, int Function)> _uses = [];
    private readonly List<FunctionKind> _functions = [];
    // Functions by number that have external linkage.
    private readonly HashSet<int> _global = [];
    private readonly bool _forKernel;
    private readonly bool _careless;
    private readonly ProgramType _type;
    private readonly int _contextSize;
    private int _left;
    private int _function;

    private enum FunctionKind
    {
        Main,
        // (number, 32 aligned writable bytes, number) → number.
        Plain,
        // bpf_loop's: (round, 32 bytes of the caller's stack).
        LoopBody,
        // bpf_for_each_map_elem's on the cells: (map, key, value, 32 bytes of the caller's stack).
        EachCell,
        // (context, value of a map or NULL, number) → number.
        Checked,
    }

    private ProgramGenerator(FuzzRandom random, bool forKernel)
    {
        _random = random;
        _forKernel = forKernel;
        _careless = random.OneIn(7);
        _type = random.Below(forKernel ? 8 : 13) switch
        {
            < 4 => ProgramTypes.Raw,
            < 7 => ProgramTypes.Xdp,
            < 8 => ProgramTypes.Classifier,
            < 11 => ProgramTypes.Completion,
            11 => ProgramTypes.Socket,
            _ => ProgramTypes.Submission,
        };
        _contextSize = _type.Context.IsFlat ? random.Pick(Scenery.ContextSizes) : 0;
    }

    /// <summary>Case <paramref name="index"/> of a run.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="index">The case.</param>
    /// <param name="forKernel">True for programs that the kernel's verifier and JIT may be asked about too.</param>
    public static GeneratedProgram Make(ulong seed, long index, bool forKernel)
    {
        var random = FuzzRandom.ForCase(seed, index);
        var program = new ProgramGenerator(random, forKernel).Make();
        return random.OneIn(6) ? Damage(program, random) : program;
    }

    private GeneratedProgram Make()
    {
        _functions.Add(FunctionKind.Main);
        _left = 10 + _random.Below(_random.OneIn(8) ? 120 : 45);
        var starts = new List<int>();
        for (_function = 0; _function < _functions.Count; _function++)
        {
            starts.Add(_code.Count);
            if (_function > 0) _left = 4 + _random.Below(16);
            Function(_functions[_function]);
        }
        foreach (var (slot, function) in _uses) _code[slot] = _code[slot].WithImmediate(starts[function] - slot - 1);
        var spec = new ProgramSpec { Name = "random", Type = _type, Instructions = [.. _code], Maps = Scenery.MapsOf(_type), OwnInstructions = _code.Count };
        if (_global.Count > 0)
        {
            spec = GlobalFunctions.Describe(spec, [.. starts.Select((start, index) => (start, !_global.Contains(index) ? default(GlobalFunctions.Signature?)
                : _functions[index] == FunctionKind.Plain ? GlobalFunctions.Signature.Block : GlobalFunctions.Signature.Context))]);
        }
        return new GeneratedProgram(spec, _contextSize, _forKernel);
    }

    private void Function(FunctionKind kind)
    {
        _held = new Held[10];
        _spilled = new Held[Spills];
        _locked = 0;
        _loops = 0;
        _noExit = false;
        Arguments(kind);
        // Sometimes a gap, which must not be read.
        for (var slot = 1; slot <= NumberBytes / 8; slot++)
        {
            if (_careless && _random.OneIn(16)) continue;
            var number = PickNumber();
            if (number >= 0 && !_random.OneIn(4)) Emit(Store(64), 10, number, -8 * slot);
            else Emit(StoreImmediate(64), 10, 0, -8 * slot, Constant());
        }
        if (_random.OneIn(2))
        {
            var pointer = Pick(held => held.Kind == HeldKind.Memory);
            if (pointer >= 0) Spill(pointer);
        }
        while (_left > 0) Step();
        End(kind);
    }

    private void Arguments(FunctionKind kind)
    {
        if (kind == FunctionKind.Main)
        {
            Emit(s_move64, 6, 1);
            _held[6] = ContextPointer();
            _locked |= 1 << 6;
            if (_type.PassesLength && !_forKernel && _random.OneIn(2)) _held[2] = Held.Number();
            for (var register = 0; register < 6; register++)
            {
                if (!_random.OneIn(3)) FreshNumber(register);
            }
            return;
        }
        switch (kind)
        {
            case FunctionKind.Plain:
                _held[1] = _held[3] = Held.Number();
                _held[2] = new Held { Kind = HeldKind.Memory, Place = Place.Outer, Size = 32, Align = 8 };
                break;
            case FunctionKind.Checked:
                _held[1] = ContextPointer();
                _held[2] = new Held { Kind = HeldKind.MaybeNull, Place = Place.Map, Size = Scenery.InnerBytes, Align = 8, Origin = ++_origins };
                _held[3] = Held.Number();
                break;
            case FunctionKind.LoopBody:
                _held[1] = Held.Number();
                _held[2] = new Held { Kind = HeldKind.Memory, Place = Place.Outer, Size = 32, Align = 8 };
                break;
            default:
                _held[2] = new Held { Kind = HeldKind.Memory, Place = Place.Constant, Size = 4, Align = 4 };
                _held[3] = new Held { Kind = HeldKind.Memory, Place = Place.Map, Size = Scenery.CellBytes, Align = 8 };
                _held[4] = new Held { Kind = HeldKind.Memory, Place = Place.Outer, Size = 32, Align = 8 };
                break;
        }
        if (_random.OneIn(2)) FreshNumber(0);
        // What calls would take away.
        for (var register = 1; register < 6; register++)
        {
            if (_held[register].Kind == HeldKind.None || !_random.OneIn(2)) continue;
            var kept = 6 + _random.Below(4);
            Emit(s_move64, kept, register);
            _held[kept] = _held[register];
        }
    }

    private Held ContextPointer() => _type.Context.IsFlat
        ? new Held { Kind = HeldKind.Memory, Place = Place.Context, Size = _contextSize, Align = 8 }
        : new Held { Kind = HeldKind.Context };

    // Completion and submission hooks return a status.
    private bool ReturnsStatus => _type.ReturnsInt32;

    private void End(FunctionKind kind)
    {
        if (kind is FunctionKind.LoopBody or FunctionKind.EachCell)
        {
            if (_held[0].Kind != HeldKind.Number || _random.OneIn(2)) Emit(s_moveImmediate64, 0, immediate: _random.OneIn(8) ? 1 : 0);
            else Emit(_random.OneIn(2) ? Immediate(Operation.And, 64) : Immediate(Operation.And, 32), 0, immediate: 1);
            Emit(s_exit);
            return;
        }
        if (_held[0].Kind != HeldKind.Number) Emit(s_moveImmediate64, 0, immediate: Constant());
        for (var register = 1; register < 10; register++)
        {
            if (_held[register].Kind != HeldKind.Number || _random.OneIn(3)) continue;
            Emit(Immediate(Operation.Multiply, 64), 0, immediate: 31);
            Emit(Register(Operation.Xor, 64), 0, register);
        }
        if (kind == FunctionKind.Main)
        {
            // All 64 bits: the kernel shows the lower half of r0 alone.
            var address = 1 + _random.Below(5);
            EmitWide(WideKind.MapValueIndex, address, Scenery.Globals, 56);
            Emit(Store(64), address, 0, 0);
            if (ReturnsStatus) Emit(Immediate(Operation.And, 64), 0, immediate: 1);
            if (_type == ProgramTypes.Submission) Emit(Row(Operation.Negate, 64, 0, OperandSource.None), 0);
        }
        Emit(s_exit);
    }

    private void Step()
    {
        _left--;
        switch (_random.Below(_forKernel ? 36 : 44))
        {
            case < 9: Arithmetic(); break;
            case < 12: Bound(); break;
            case < 17: Access(); break;
            case < 20: VariableAccess(); break;
            case < 22: PartOfSlot(); break;
            case < 24: SpillOrFill(); break;
            case < 26: If(); break;
            case < 28: Loop(); break;
            case < 30: Lookup(); break;
            case < 32: if (_type.Context.IsFlat || _function > 0) VariableAccess(); else Packet(); break;
            case < 33: CallFunction(); break;
            case < 34: CallHelper(); break;
            case < 35: ContextField(); break;
            case < 36: ComparePointers(); break;
            default: More(); break;
        }
    }

    // One or two fields of a valid program changed: it may be valid still, or nearly.
    private static GeneratedProgram Damage(GeneratedProgram program, FuzzRandom random)
    {
        var code = program.Spec.Instructions.ToArray();
        for (var times = 1 + random.Below(2); times > 0; times--)
        {
            var slot = random.Below(code.Length);
            if (slot > 0 && code[slot - 1].IsWide) continue;
            var old = code[slot];
            if (OpcodeTable.Find(old) is not { } row) continue;
            code[slot] = random.Below(9) switch
            {
                0 when !row.IsCall && !old.IsWide => old.WithImmediate(old.Immediate + (random.OneIn(2) ? 1 : -1)),
                1 when !row.IsCall && !old.IsWide => old.WithImmediate(random.OneIn(2) ? ~old.Immediate : old.Immediate ^ 1 << random.Below(32)),
                2 when row.IsMemory => old.WithOffset((short)(old.Offset + (random.OneIn(2) ? 1 : -1) * row.AccessBytes)),
                3 when row.IsMemory => old.WithOffset((short)(old.Offset + 1 - 2 * random.Below(2))),
                4 when row.IsConditionalJump => new Instruction((byte)(old.Opcode ^ 0x03), old.Destination, old.Source, old.Offset, old.Immediate), // 32 or 64 bits.
                5 when row.IsConditionalJump || row.IsArithmetic => random.Pick(OpcodeTable.Rows.Where(other =>
                    other.IsConditionalJump == row.IsConditionalJump && other.IsArithmetic == row.IsArithmetic && other.Source == row.Source && other.Selector == row.Selector).ToArray())
                    .Encode(old.Destination, old.Source, row.Selector == RowSelector.Offset ? (short)0 : old.Offset, old.Immediate),
                6 when row.IsJump => old.WithOffset((short)(old.Offset + (random.OneIn(2) ? 1 : -1))),
                7 when (row.Uses & OperandFields.Source) != 0 => old.WithSource(random.Below(11)),
                8 when !old.IsWide && row.Operation != Operation.Exit => new Instruction(0x05), // Goes on: the instruction is missing.
                _ => old,
            };
        }
        return program with { Spec = program.Spec with { Instructions = [.. code] } };
    }
}
