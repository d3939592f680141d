using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Reads one loop body symbolically to see whether it is a <see cref="LoopPlan"/>.</summary>
internal sealed class LoopReader(ProgramGraph program, FunctionGraph function, BasicBlock body)
{
    // What a register holds: a linear sum, a loaded number, a register plus a loaded number, or something else (null).
    private abstract record Value;
    private sealed record Linear(LinearSum Sum) : Value;
    private sealed record Loaded(LoopAccess Access) : Value;
    private sealed record Reduced(LoopReduction Reduction) : Value;

    private readonly Value?[] _values = new Value?[RegisterAssignment.Registers];
    private (LoopAccess Target, Value? Value)? _store;

    public LoopPlan? Read()
    {
        if (FindShape() is not var (latch, leavesOnTest)) return null;
        for (var register = 0; register < _values.Length; register++) _values[register] = new Linear(LinearSum.Of(register));
        for (var slot = body.Start; slot < body.Last; slot += program.Slots(slot))
        {
            if (!Step(slot)) return null;
        }
        return Plan(latch, leavesOnTest);
    }

    // The body's last instruction tests; one way leads back to the body, at once or through a block that only jumps.
    private (BasicBlock? Latch, bool LeavesOnTest)? FindShape()
    {
        var row = program.Row(body.Last);
        if (!row.IsConditionalJump || row.Width != 64 || body.Successors.Count != 2) return null;
        var taken = function.BlockAt(program.JumpTarget(body.Last));
        if (taken == body) return (null, false);
        if (body.End >= function.Function.End) return null;
        var next = function.BlockAt(body.End);
        return next.Start == next.Last && program.Row(next.Last).Operation == Operation.Jump && program.JumpTarget(next.Last) == body.Start
            && next.Predecessors.Count == 1
            ? (next, true)
            : null;
    }

    private bool Step(int slot)
    {
        var row = program.Row(slot);
        ref readonly var instruction = ref program.Instructions.ItemRef(slot);
        switch (row.Operation)
        {
            case Operation.Move when row.Width == 64 || row.Source == OperandSource.Immediate && instruction.Immediate >= 0:
                _values[instruction.Destination] = Operand(row, instruction);
                return true;
            case Operation.Add:
                _values[instruction.Destination] = Add(_values[instruction.Destination], Operand(row, instruction), row.Width);
                return true;
            case Operation.Subtract when row is { Width: 64, Source: OperandSource.Immediate }:
                _values[instruction.Destination] = Add(_values[instruction.Destination], new Linear(LinearSum.Number(-(long)instruction.Immediate)), 64);
                return true;
            case Operation.LoadImmediate64:
                _values[instruction.Destination] = row.Wide switch
                {
                    WideKind.Number => new Linear(LinearSum.Number(instruction.WideImmediate(program.Instructions[slot + 1]))),
                    WideKind.MapValueIndex => new Linear(new LinearSum(ImmutableSortedRegisters.None, program.Instructions[slot + 1].Immediate, instruction.Immediate)),
                    _ => null,
                };
                return true;
            case Operation.Load:
                _values[instruction.Destination] = program.IsPlainAccess(slot) && Access(instruction.Source, instruction.Offset, row) is { } access ? new Loaded(access) : null;
                return true;
            case Operation.Store:
                // Two stores could be in each other's way.
                if (_store is not null || !program.IsPlainAccess(slot) || Access(instruction.Destination, instruction.Offset, row) is not { } target) return false;
                _store = (target, Operand(row, instruction));
                return true;
            case >= Operation.Add and <= Operation.ByteSwap or Operation.LoadSignExtend:
                _values[instruction.Destination] = null;
                return true;
            default:
                return false;
        }
    }

    private Value? Operand(OpcodeRow row, in Instruction instruction) =>
        row.Source == OperandSource.Immediate ? new Linear(LinearSum.Number(instruction.Immediate)) : _values[instruction.Source];

    private static Value? Add(Value? left, Value? right, int width) => (left, right) switch
    {
        (Linear a, Linear b) when width == 64 => a.Sum.Plus(b.Sum) is { } sum ? new Linear(sum) : null,
        (Linear { Sum: { PlainRegister: >= 0, Constant: 0 } } a, Loaded b) => new Reduced(new LoopReduction(a.Sum.PlainRegister, b.Access, width)),
        (Loaded a, Linear { Sum: { PlainRegister: >= 0, Constant: 0 } } b) => new Reduced(new LoopReduction(b.Sum.PlainRegister, a.Access, width)),
        _ => null,
    };

    private LoopAccess? Access(int register, int displacement, OpcodeRow row) =>
        _values[register] is Linear linear && linear.Sum.Plus(LinearSum.Number(displacement)) is { } address ? new LoopAccess(address, row.AccessBytes) : null;

    private LoopPlan? Plan(BasicBlock? latch, bool leavesOnTest)
    {
        // Every register that lives from one round to the next must count, stay, or add up.
        var steps = new Dictionary<int, long>();
        var reductions = new List<LoopReduction>();
        for (var register = 0; register < 10; register++)
        {
            if ((body.LiveIn >> register & 1) == 0) continue;
            switch (_values[register])
            {
                case Linear linear when linear.Sum.PlainRegister == register:
                    if (linear.Sum.Constant != 0) steps.Add(register, linear.Sum.Constant);
                    break;
                case Reduced reduced when reduced.Reduction.Register == register:
                    reductions.Add(reduced.Reduction);
                    break;
                default:
                    return null;
            }
        }

        var sums = reductions.Select(reduction => reduction.Register).ToHashSet();
        if (reductions.Any(reduction => !MovesOn(reduction.Load))) return null;
        LoopStore? store = null;
        if (_store is var (target, value))
        {
            // A store may hit what is added up.
            if (reductions.Count > 0 || !MovesOn(target)) return null;
            switch (value)
            {
                case Loaded loaded when loaded.Access.Size == target.Size && MovesOn(loaded.Access):
                    store = new LoopStore(target, loaded.Access, -1, 0);
                    break;
                case Linear { Sum: { Map: < 0, Registers.Items.Count: 0 } } number:
                    store = new LoopStore(target, null, -1, number.Sum.Constant);
                    break;
                case Linear { Sum: { PlainRegister: >= 0 and < 10, Constant: 0 } } invariant when Invariant(invariant.Sum.PlainRegister):
                    store = new LoopStore(target, null, invariant.Sum.PlainRegister, 0);
                    break;
                default:
                    return null;
            }
        }
        if (store is null && reductions.Count == 0) return null;
        return Test(latch, leavesOnTest, steps, reductions, store);

        bool Invariant(int register) => register == 10 || (body.LiveIn >> register & 1) != 0 && !steps.ContainsKey(register) && !sums.Contains(register);

        bool MovesOn(LoopAccess access) => access.Address.Registers.Items.All(register => steps.ContainsKey(register) || Invariant(register))
            && access.Address.Registers.Items.Sum(register => steps.GetValueOrDefault(register)) == access.Size;
    }

    private LoopPlan? Test(BasicBlock? latch, bool leavesOnTest, Dictionary<int, long> steps, List<LoopReduction> reductions, LoopStore? store)
    {
        var row = program.Row(body.Last);
        ref readonly var instruction = ref program.Instructions.ItemRef(body.Last);
        // The condition to go on.
        var operation = leavesOnTest ? Inverse(row.Operation) : row.Operation;
        if (operation is not (Operation.JumpNotEqual or Operation.JumpLess or Operation.JumpLessOrEqual)) return null;
        if (_values[instruction.Destination] is not Linear { Sum: { Map: < 0 } tested }) return null;
        if (tested.PlainRegister < 0 || !steps.TryGetValue(tested.PlainRegister, out var step)) return null;
        if (step <= 0 || (step & (step - 1)) != 0) return null;
        var limitRegister = -1;
        if (row.Source == OperandSource.Register)
        {
            if (_values[instruction.Source] is not Linear { Sum: { Constant: 0, PlainRegister: >= 0 and < 10 } limit }) return null;
            limitRegister = limit.PlainRegister;
            if ((body.LiveIn >> limitRegister & 1) == 0 || steps.ContainsKey(limitRegister) || reductions.Any(reduction => reduction.Register == limitRegister)) return null;
        }
        return new LoopPlan(body, latch, steps, tested, step, operation == Operation.JumpNotEqual, limitRegister, instruction.Immediate,
            operation == Operation.JumpLessOrEqual, reductions, store);
    }

    private static Operation Inverse(Operation operation) => operation switch
    {
        Operation.JumpEqual => Operation.JumpNotEqual,
        Operation.JumpGreaterOrEqual => Operation.JumpLess,
        Operation.JumpGreater => Operation.JumpLessOrEqual,
        _ => Operation.Invalid,
    };
}
