using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// The program as a graph: rows, functions, jumps, and where paths meet. Making one checks everything that can be seen
/// without walking.
/// </summary>
internal sealed class ProgramShape
{
    private readonly ProgramSpec _spec;
    private readonly Judge _judge;
    private readonly OpcodeRow?[] _rows;
    private readonly Workspace _workspace;
    private readonly Block<int> _functionOf;

    public ProgramShape(ProgramSpec spec, Judge judge, Workspace workspace)
    {
        _workspace = workspace;
        _spec = spec;
        _judge = judge;
        var count = spec.Instructions.Length;
        if (count is 0 or > Limits.InstructionsPerProgram)
            judge.Reject(Rule.ProgramSize, 0, $"a program of {count} instructions: there must be 1 to {Limits.InstructionsPerProgram}.");
        if (spec.Maps.Length > Limits.MapsPerProgram)
            judge.Reject(Rule.TooManyMaps, 0, $"{spec.Maps.Length} maps: a program can use {Limits.MapsPerProgram}.");
        _rows = new OpcodeRow?[count];
        _functionOf = workspace.Take<int>(count);
        PrunePoints = workspace.Take<bool>(count);
        Decode();
        Functions = FindFunctions();
        for (var index = 0; index < Functions.Length; index++)
        {
            var function = Functions[index];
            for (var slot = 0; slot < function.Length; slot++) _functionOf[function.Start + slot] = index;
        }
        CheckFlow();
        CheckCallGraph();
        Loops = new LoopForest(this, workspace);
        MarkMeetingPoints();
    }

    public ImmutableArray<Instruction> Instructions => _spec.Instructions;

    public int Count => _rows.Length;

    /// <summary>The functions without gaps, the main one first.</summary>
    public ImmutableArray<Subprogram> Functions { get; }

    /// <summary>Where paths meet, so that comparing states pays.</summary>
    public Block<bool> PrunePoints { get; }

    public LoopForest Loops { get; }

    /// <summary>The row of a slot that starts an instruction.</summary>
    public OpcodeRow Row(int slot) => _rows[slot]!;

    /// <summary>False for the second slot of a 64-bit immediate.</summary>
    public bool IsStart(int slot) => _rows[slot] is not null;

    public int FunctionOf(int slot) => _functionOf[slot];

    /// <summary>The slot after an instruction.</summary>
    public int Next(int slot) => slot + _rows[slot]!.Slots;

    /// <summary>Where a jump goes.</summary>
    public int Target(int slot)
    {
        ref readonly var instruction = ref _spec.Instructions.ItemRef(slot);
        return slot + 1 + (_rows[slot]!.IsLongJump ? instruction.Immediate : instruction.Offset);
    }

    /// <summary>The index of the function a local call or function address names, or -1.</summary>
    public int Callee(int slot)
    {
        var start = slot + 1L + _spec.Instructions[slot].Immediate;
        return start >= 0 && start < Count && Functions[_functionOf[(int)start]].Start == start ? _functionOf[(int)start] : -1;
    }

    /// <summary>The instructions that may follow one within its function.</summary>
    public (int First, int Second) Successors(int slot)
    {
        var row = _rows[slot]!;
        if (row.Operation == Operation.Exit) return (-1, -1);
        if (row.Operation == Operation.Jump) return (Target(slot), -1);
        return (Next(slot), row.IsJump ? Target(slot) : -1);
    }

    /// <summary>The instructions of its function that may lead to one.</summary>
    public ReadOnlySpan<int> Predecessors(int slot)
    {
        if (_firstPredecessor.Length == 0) FindPredecessors();
        return _predecessors.Span[_firstPredecessor[slot].._firstPredecessor[slot + 1]];
    }

    private Block<int> _predecessors;
    private Block<int> _firstPredecessor;

    private void FindPredecessors()
    {
        var first = _workspace.Take<int>(Count + 2);
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is null) continue;
            var (next, target) = Successors(slot);
            if (next >= 0) first[next + 2]++;
            if (target >= 0) first[target + 2]++;
        }
        for (var slot = 2; slot < first.Length; slot++) first[slot] += first[slot - 1];
        _predecessors = _workspace.Take<int>(first[first.Length - 1]);
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is null) continue;
            var (next, target) = Successors(slot);
            if (next >= 0) _predecessors[first[next + 1]++] = slot;
            if (target >= 0) _predecessors[first[target + 1]++] = slot;
        }
        _firstPredecessor = first;
    }

    private void Decode()
    {
        for (var slot = 0; slot < Count; slot++)
        {
            ref readonly var instruction = ref _spec.Instructions.ItemRef(slot);
            if (OpcodeTable.Find(instruction) is not { } row)
            {
                throw _judge.Fatal(Rule.UndefinedInstruction, slot,
                    $"opcode 0x{instruction.Opcode:x2} (source {instruction.Source}, offset {instruction.Offset}, immediate {instruction.Immediate}) is not defined.",
                    help: "compile for -mcpu=v1..v4; see RFC 9669 for the instruction set");
            }
            _rows[slot] = row;
            if (OpcodeTable.HasReservedBits(row, instruction))
                _judge.Reject(Rule.UndefinedInstruction, slot, $"a field that opcode 0x{instruction.Opcode:x2} does not use is not zero.");
            if ((row.Uses & OperandFields.Destination) != 0 && instruction.Destination > 10 || (row.Uses & OperandFields.Source) != 0 && instruction.Source > 10)
                throw _judge.Fatal(Rule.InvalidRegister, slot, "a register above r10 does not exist.");
            if (row.Operation is Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic && row.Source == OperandSource.Immediate
                && (uint)instruction.Immediate >= row.Width)
            {
                _judge.Reject(Rule.ImmediateShift, slot, $"a {row.Width}-bit shift by {instruction.Immediate}: the count must be 0..{row.Width - 1}.",
                    help: "shift in two steps, or check the count before the shift");
            }
            if (!row.IsLongJump && row.Slots == 1) continue;
            if (row.Slots == 2)
            {
                if (slot + 1 >= Count || _spec.Instructions[slot + 1] is var high && (high.Opcode != 0 || high.Destination != 0 || high.Source != 0 || high.Offset != 0))
                    throw _judge.Fatal(Rule.UndefinedInstruction, slot, "a 64-bit immediate takes two slots; the second is missing or malformed.");
                slot++;
            }
        }
    }

    private ImmutableArray<Subprogram> FindFunctions()
    {
        var isStart = _workspace.Take<bool>(Count);
        isStart[0] = true;
        var names = new Dictionary<int, Subprogram>();
        foreach (var function in _spec.Subprograms)
        {
            if (function.Start < 0 || function.Start >= Count || !IsStart(function.Start))
                throw _judge.Fatal(Rule.InvalidCallTarget, 0, $"function '{function.Name}' starts at {function.Start}, which is not an instruction.");
            isStart[function.Start] = true;
            names[function.Start] = function;
        }
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is not { } row) continue;
            if (row.Operation != Operation.CallSubprogram && row.Wide != WideKind.Function) continue;
            var target = slot + 1L + _spec.Instructions[slot].Immediate;
            if (target < 0 || target >= Count || !IsStart((int)target))
                throw _judge.Fatal(Rule.InvalidCallTarget, slot, $"the function at {target} is not in the program.");
            isStart[(int)target] = true;
        }
        var starts = new List<int>();
        for (var slot = 0; slot < Count; slot++)
        {
            if (isStart[slot]) starts.Add(slot);
        }
        if (starts.Count > Limits.SubprogramsPerProgram)
            _judge.Reject(Rule.TooManySubprograms, 0, $"{starts.Count} functions: a program can have {Limits.SubprogramsPerProgram}.");
        var functions = ImmutableArray.CreateBuilder<Subprogram>(starts.Count);
        for (var index = 0; index < starts.Count; index++)
        {
            var start = starts[index];
            var end = index + 1 < starts.Count ? starts[index + 1] : Count;
            names.TryGetValue(start, out var named);
            functions.Add(new Subprogram(named?.Name ?? (index == 0 ? _spec.Name : $"function_{start}"), start, end - start,
                named?.IsGlobal ?? false, named?.TypeId ?? 0));
        }
        return functions.MoveToImmutable();
    }

    private void CheckFlow()
    {
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is not { } row) continue;
            var function = Functions[_functionOf[slot]];
            if (row.IsJump)
            {
                var target = slot + 1L + (row.IsLongJump ? _spec.Instructions[slot].Immediate : _spec.Instructions[slot].Offset);
                if (target < function.Start || target >= function.End || !IsStart((int)target))
                    throw _judge.Fatal(Rule.InvalidJump, slot, $"the jump goes to {target}: outside function '{function.Name}' ({function.Start}..{function.End - 1}) or into a 64-bit immediate.");
            }
            if (row.Operation is not (Operation.Exit or Operation.Jump) && slot + row.Slots >= function.End)
                throw _judge.Fatal(Rule.FallsOffEnd, slot, $"function '{function.Name}' ends without exit or jump.");
        }
    }

    private void CheckCallGraph()
    {
        // Depth-first over calls; a function that is met while it is open calls itself.
        var calls = new List<(int Callee, int Slot)>[Functions.Length];
        for (var index = 0; index < calls.Length; index++) calls[index] = [];
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is { } row && (row.Operation == Operation.CallSubprogram || row.Wide == WideKind.Function))
                calls[_functionOf[slot]].Add((_functionOf[slot + 1 + _spec.Instructions[slot].Immediate], slot));
        }
        var state = new byte[Functions.Length];
        var stack = new Pile<WalkStep>();
        for (var root = 0; root < state.Length; root++)
        {
            if (state[root] != 0) continue;
            state[root] = 1;
            stack.Push(new(root, 0));
            while (stack.Count > 0)
            {
                var (function, next) = stack.Pop();
                if (next == calls[function].Count)
                {
                    state[function] = 2;
                    continue;
                }
                stack.Push(new(function, next + 1));
                var (callee, slot) = calls[function][next];
                if (state[callee] == 1)
                {
                    _judge.Reject(Rule.Recursion, slot, $"function '{Functions[callee].Name}' calls itself, directly or through others.",
                        help: "recursion is not possible in BPF; use a loop");
                }
                else if (state[callee] == 0)
                {
                    state[callee] = 1;
                    stack.Push(new(callee, 0));
                }
            }
        }
    }

    private void MarkMeetingPoints()
    {
        var arrivals = _workspace.Take<byte>(Count);
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot] is null) continue;
            var (first, second) = Successors(slot);
            Arrive(first);
            Arrive(second);
        }
        for (var slot = 0; slot < Count; slot++) PrunePoints[slot] = Loops.Heads[slot] || arrivals[slot] > 1;
        // Callbacks are the bodies of loops.
        for (var slot = 0; slot < Count; slot++)
        {
            if (_rows[slot]?.Wide == WideKind.Function) PrunePoints[slot + 1 + _spec.Instructions[slot].Immediate] = Loops.Heads[slot + 1 + _spec.Instructions[slot].Immediate] = true;
        }

        void Arrive(int to)
        {
            if (to >= 0 && arrivals[to] < 2) arrivals[to]++;
        }
    }
}
