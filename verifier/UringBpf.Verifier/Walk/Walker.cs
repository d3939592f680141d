using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Walks every path of a program on abstract values, depth first, and stops a path where a state it meets was walked
/// before. Each instruction family has its own part of this class.
/// </summary>
internal sealed partial class Walker
{
    // Shorter stretches between meeting points are not worth a recorded state; loop heads always are.
    private const int StepsBetweenRecords = 4;

    private readonly ProgramSpec _spec;
    private readonly ProgramType _type;
    private readonly VerifierOptions _options;
    private readonly Judge _judge;
    private readonly ProgramShape _shape;
    private readonly Liveness _liveness;
    private readonly Explored _explored;
    private readonly HostCall _call = new();
    private readonly EqualValues _equalValues = new();
    private Value? _mapPointer;

    // The ways that wait, newest first.
    private Waiting? _waiting;
    private int _waitingCount;

    private readonly Dictionary<MapSpec, MapSpec> _inner = [];
    // Made with the first call.
    private Dictionary<(int Parent, int CallSite, int Callee), int>? _chains;

    // The path being walked.
    private MachineState _state = null!;

    // A state that nothing needs, or null.
    private MachineState? _spare;
    private Node _node = null!;
    private long _cost;
    private int _slot;
    private int _lastSlot;
    private bool _firstVisit;
    private int _lastId;
    private readonly int _stepLimit;
    private readonly bool _translatesContext;

    // Bytes of the states that wait.
    private long _waitingBytes;

    // A way to go on later: with this state, from this slot, so many instructions behind the node it comes from.
    private sealed class Waiting(MachineState state) : KeptState(state)
    {
        public int Slot;
        public Node From = null!;
        public long Cost;
        public TraceStep? Trace;
        public long Bytes;
        public Waiting? Older;

        /// <summary>Another way in the place of this one, which was gone.</summary>
        public void Become(MachineState state) => Keep(state);
    }

    // Ways that were gone, to be others: most are as soon as they wait. No more than a few, as nobody counts their bytes.
    private const int MostUsed = 64;
    private Waiting? _used;
    private int _usedCount;

    private LineInfo? _loggedLine;

    // The steps of the path being walked, when it is being explained.
    private TraceStep? _trace;
    private readonly bool _traces;

    // The function that is verified: the program itself, without a signature, or a global one by its signature.
    private readonly int _function;
    private readonly FunctionPrototype? _signature;

    // What is known of a global function, which is verified when it is first asked for; null for functions that are walked at each call.
    private readonly Func<int, Walker, FunctionSummary?> _global;

    public Walker(ProgramSpec spec, ProgramType type, VerifierOptions options, Judge judge, ProgramShape shape, Liveness liveness,
        LoopThresholds thresholds, LoopPlan plan, Workspace workspace, int stepsTaken, int stepLimit, Func<int, Walker, FunctionSummary?> global, int function, FunctionPrototype? signature, bool traces = false)
    {
        (_global, _function, _signature) = (global, function, signature);
        _traces = traces;
        _stepLimit = stepLimit;
        _translatesContext = type.Context.Fields.Any(field => field.IsTranslated);
        _thresholds = thresholds;
        _plan = plan;
        Processed = stepsTaken;
        _spec = spec;
        _type = type;
        _options = options;
        _judge = judge;
        _shape = shape;
        _liveness = liveness;
        _explored = new(workspace);
        Facts = new FactRecorder(shape.Count);
    }

    public FactRecorder Facts { get; }

    public int Processed { get; set; }

    /// <summary>What was walked.</summary>
    public Explored Explored => _explored;

    public int States => _explored.All.Count;

    /// <summary>True when the run is charged whatever the graph of the walk says: may_goto or a tail call was reached.</summary>
    public bool IsMetered { get; private set; }

    public bool WritesBuffers { get; private set; }

    public int StackBytes { get; private set; }

    /// <summary>The most frames at a time.</summary>
    public int Depth { get; private set; } = 1;

    /// <summary>The numbers that a global function can return.</summary>
    public Scalar? Returned { get; private set; }

    /// <summary>Walks everything; the root of the graph of what was walked.</summary>
    /// <exception cref="RejectedException">The program is not safe.</exception>
    public Node Walk()
    {
        _options.Observer?.Begin(_function);
        _state = InitialState();
        _slot = _shape.Functions[_function].Start;
        var root = _node = _explored.Record(_slot, _state);
        if (Processed > 0) _options.Log?.WriteLine($"{_slot}: another way");
        Step();
        Follow();
        while (_waiting is { } next)
        {
            (_waiting, _waitingCount) = (next.Older, _waitingCount - 1);
            Close(_waitingCount);
            GoOn(next);
            _options.Log?.WriteLine($"{_slot}: another way");
            Follow();
        }
        return root;
    }

    // From where a way waits, which is another one's place from here on.
    private void GoOn(Waiting way)
    {
        _state.Become(way);
        (_slot, _node, _cost, _trace) = (way.Slot, way.From, way.Cost, way.Trace);
        _waitingBytes -= way.Bytes;
        way.Older = null;
        if (_usedCount == MostUsed) return;
        (way.Older, _used) = (_used, way);
        _usedCount++;
    }

    // To the end of the path, or to where another one went on alike.
    private void Follow()
    {
        while (_slot >= 0 && !EndsAtMeetingPoint()) Step();
    }

    // A copy of the state for another way to go on.
    private MachineState Another()
    {
        var another = _spare ?? new MachineState(new Frame(_state.Top.Activation));
        _spare = null;
        another.Become(_state);
        return another;
    }

    // Another way to go on from here, walked later. The state must not be used any more, unless it is the one being walked.
    private void Wait(MachineState state, int slot)
    {
        // What it will forget first of all need not be kept until then.
        if (_shape.PrunePoints[slot]) ForgetDead(state, slot);
        var bytes = state.UncountedBytes;
        _waitingBytes += bytes;
        if (_used is { } way)
        {
            (_used, _usedCount) = (way.Older, _usedCount - 1);
            way.Become(state);
        }
        else
        {
            way = new(state);
        }
        (way.Slot, way.From, way.Cost, way.Trace, way.Bytes) = (slot, _node, _cost, _trace, bytes);
        (way.Older, _waiting) = (_waiting, way);
        _waitingCount++;
        if (!ReferenceEquals(state, _state)) _spare = state;
        CheckMemory();
    }

    private void CheckMemory()
    {
        if (_explored.Bytes + _waitingBytes <= (long)_options.MaxMemoryMiB << 20) return;
        _judge.Reject(Rule.MemoryBudget, _slot, $"{States} recorded states and {_waitingCount} that wait need more than {_options.MaxMemoryMiB} MiB.",
            help: "make the program smaller or its loops simpler, or raise VerifierOptions.MaxMemoryMiB");
    }

    /// <summary>The path that was being walked, last step first; null unless it is being explained.</summary>
    public TraceStep? Trace => _trace;

    private MachineState InitialState()
    {
        var pointer = new Value { Kind = ValueKind.Stack };
        var frame = new Frame(new(_function, -1, 0, pointer, null));
        if (_signature is not null)
        {
            for (var index = 0; index < _signature.Arguments.Length; index++) frame[index + 1] = Passed(_signature.Arguments[index]);
        }
        else
        {
            frame[1] = new Value { Kind = ValueKind.Context };
        }
        if (_signature is null && _type.PassesLength) frame[2] = Value.Of(Scalar.FromRange((ulong)_options.ContextSize, int.MaxValue));
        frame[Frame.Pointer] = pointer;
        return new(frame);
    }

    // True when the path need not be walked further: an earlier one covers it.
    private bool EndsAtMeetingPoint()
    {
        if (!_shape.PrunePoints[_slot]) return false;
        ForgetDead(_state, _slot);
        if (!_options.Pruning) return false;
        if (_explored.Find(_slot, _state) is { } covering)
        {
            _explored.Connect(_node, covering, _cost, _generalNodes > 0 ? _explored.Keep(_state) : null);
            if (_generalNodes > 0) CheckMemory();
            _options.Log?.WriteLine($"{_slot}: as walked before, in a state that covers this one");
            return true;
        }
        var isHead = _shape.Loops.Heads[_slot];
        if (!isHead && _cost < StepsBetweenRecords) return false;
        var arrival = _state;
        var bound = isHead ? Generalise() : null;
        var node = _explored.Record(_slot, _state, bound);
        if (bound is not null) _generalNodes++;
        if (bound is not null) _options.Log?.WriteLine($"{_slot}: one round for all that may follow");
        if (isHead) Open(node);
        var kept = bound is null ? null : _explored.Keep(arrival);
        CheckMemory();
        _explored.Connect(_node, node, _cost, kept);
        (_node, _cost) = (node, 0);
        return false;
    }

    private void ForgetDead(MachineState state, int slot)
    {
        var live = _liveness.Before(slot);
        Forget(state, state.Depth - 1, live, live.Slots, live.RelevantSlots);
    }

    // Drops what can't be read again, and the numbers no check depends on.
    private static void Forget(MachineState state, int index, LiveSet registers, ulong slots, ulong relevantSlots)
    {
        // Where a copy is written to instead, what follows is the same in it.
        var frame = state[index];
        for (var register = 0; register < Frame.Pointer; register++)
        {
            if (frame[register] is not { } value) continue;
            if ((registers.Registers >> register & 1) == 0) state.Writable(index)[register] = null;
            else if ((registers.RelevantRegisters >> register & 1) == 0 && Blurs(value)) state.Writable(index)[register] = Value.Unknown;
        }
        for (var slot = 0; slot < frame.UsedSlots; slot++)
        {
            if (frame.Slot(slot) is not { } cell || cell.Low is { Kind: ValueKind.Iterator }) continue;
            if ((slots >> slot & 1) == 0)
                state.Writable(index).SetSlot(slot, null);
            else if ((relevantSlots >> slot & 1) == 0 && (cell.Low is { } low && Blurs(low) || cell.High is { } high && Blurs(high)))
                state.Writable(index).SetSlot(slot, cell.With(null, null));
        }
    }

    private static bool Blurs(Value value) => value.IsNumber && !ReferenceEquals(value, Value.Unknown);

    private void Step()
    {
        if (++Processed > _stepLimit)
        {
            throw _judge.Fatal(Rule.StepBudget, _slot, $"not decided after {_stepLimit} steps.",
                "every combination of paths that can't be shown to be alike is walked on its own",
                "give loops a smaller constant bound, or split the program into functions");
        }
        if ((Processed & 0x3FF) == 0 && _options.CancellationToken.IsCancellationRequested)
            throw _judge.Fatal(Rule.Cancelled, _slot, "verification was cancelled.");
        if (_spec.Poisoned.Count > 0 && _spec.Poisoned.TryGetValue(_slot, out var reason))
            _judge.Reject(Rule.UnresolvedInstruction, _slot, $"this instruction could not be completed at load time: {reason}",
                help: "guard it with a test that it exists: `if (bpf_ksym_exists(f))`, or bpf_core_field_exists for a field");

        var slot = _lastSlot = _slot;
        var row = _shape.Row(slot);
        ref readonly var instruction = ref _spec.Instructions.ItemRef(slot);
        if (_traces)
        {
            _trace = new(slot, _state.Copy(), _trace);
            _explored.Count(_trace.Before);
            CheckMemory();
        }
        _options.Observer?.Before(_function, slot, _state);
        if (_options.Log is { } log) Write(log, slot);
        _cost++;
        _firstVisit = !Facts.IsReached(slot);
        Facts.Operands(slot, row,
            (row.Uses & OperandFields.Destination) != 0 ? _state.Register(instruction.Destination) : null,
            row.Source == OperandSource.Immediate && !row.IsMemory ? Value.Constant(instruction.Immediate)
                : (row.Uses & OperandFields.Source) != 0 ? _state.Register(instruction.Source) : null);

        if (row.WritesDestination && instruction.Destination == Frame.Pointer || row.WritesSource && instruction.Source == Frame.Pointer)
            throw _judge.Fatal(Rule.InvalidRegister, slot, "r10 is the frame pointer and can't be written.");

        _slot = _shape.Next(slot);
        if (row.IsArithmetic) WalkArithmetic(slot, row, instruction);
        else if (row.IsMemory) WalkMemory(slot, row, instruction);
        else if (row.IsJump) WalkJump(slot, row, instruction);
        else if (row.Operation == Operation.LoadImmediate64) WalkWideImmediate(slot, row, instruction);
        else WalkCall(slot, row, instruction);
    }

    // The source line where it changes, then the instruction and what is known before it.
    private void Write(TextWriter log, int slot)
    {
        var line = _spec.LineOf(slot);
        if (line is not null && (line.File != _loggedLine?.File || line.Line != _loggedLine.Line)) log.WriteLine($"; {line.File}:{line.Line}: {line.Text.Trim()}");
        _loggedLine = line;
        var next = slot + 1 < _spec.Instructions.Length ? _spec.Instructions[slot + 1] : default;
        log.WriteLine($"{slot}: {Disassembler.Format(_spec.Instructions[slot], next),-36} | {_state}");
    }

    private void EndPath()
    {
        _node.CostToEnd = Math.Max(_node.CostToEnd, _cost);
        _slot = -1;
    }

    /// <summary>A register that is about to be read.</summary>
    private Value Read(int slot, int register)
    {
        if (_state.Register(register) is { } value) return value;
        _judge.Reject(Rule.UninitializedRegister, slot, $"r{register} is read, but nothing was written to it on this path.",
            register is >= 1 and <= 5 ? "calls leave r1..r5 unreadable" : "",
            "initialise the variable on every path");
        return Value.Unknown;
    }

    private Value Source(int slot, OpcodeRow row, in Instruction instruction) =>
        row.Source == OperandSource.Register ? Read(slot, instruction.Source) : Value.Constant(instruction.Immediate);

    private int NewId() => ++_lastId;

    private int ChainOf(int parent, int callSite, int callee)
    {
        _chains ??= [];
        if (!_chains.TryGetValue((parent, callSite, callee), out var chain)) _chains.Add((parent, callSite, callee), chain = _chains.Count + 1);
        return chain;
    }

    private int IndexOf(MapSpec? map)
    {
        for (var index = 0; index < _spec.Maps.Length; index++)
        {
            if (ReferenceEquals(_spec.Maps[index], map)) return index;
        }
        return -1;
    }
}
