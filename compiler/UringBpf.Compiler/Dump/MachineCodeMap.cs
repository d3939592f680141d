using Iced.Intel;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using Instruction = Iced.Intel.Instruction;
using Register = Iced.Intel.Register;

namespace UringBpf.Compiler;

/// <summary>
/// Tells which BPF instruction a machine instruction comes from. The runtime keeps no such record for dynamic methods, so
/// this aligns the two lists: inside a block both keep the program's order, and an access size, displacement, constant,
/// kind of operation or call names its counterpart. Blocks may have been moved: one may begin anywhere, best where a jump
/// to it says. What matches nothing goes with what came before it in its block.
/// </summary>
internal sealed class MachineCodeMap
{
    // The table of an alignment has a cell per pair.
    private const long MaxCells = 16_000_000;
    // What it costs a block to lie elsewhere than after the one before, and what a jump's target is worth: more than one
    // instruction that happens to look alike, less than a few that belong together.
    private const int Moved = 6, Expected = 4;
    private const int Rounds = 4;
    // What it costs to pass a jump or a call that has no counterpart.
    private const int Passed = 2;

    private readonly IReadOnlyList<int> _slots;
    private readonly ProgramGraph _program;
    private readonly IReadOnlyList<Instruction> _code;
    private readonly byte[,] _scores;
    private readonly int[] _passing;
    private readonly Dictionary<int, int> _rowOf = [];
    private readonly Dictionary<ulong, int> _index = [];
    private readonly bool[] _begins;

    private MachineCodeMap(IReadOnlyList<int> slots, ProgramGraph program, IReadOnlyList<Instruction> code, bool[] isOwn, string?[] callees, SymbolTable symbols)
    {
        (_slots, _program, _code) = (slots, program, code);
        _scores = new byte[code.Count, slots.Count];
        _passing = new int[slots.Count + 1];
        for (var row = 0; row < slots.Count; row++)
        {
            _rowOf.TryAdd(slots[row], row);
            for (var i = 0; i < code.Count; i++) _scores[i, row] = (byte)(isOwn[i] ? 0 : Score(slots[row], program, code[i], i > 0 ? code[i - 1] : default, callees[i], symbols));
            _passing[row + 1] = _passing[row] + Passing(slots[row]);
        }
        for (var i = 0; i < code.Count; i++) _index[code[i].IP] = i;
        _begins = new bool[code.Count];
        for (var i = 0; i < code.Count; i++)
        {
            if (!IsBranch(i)) continue;
            if (i + 1 < code.Count) _begins[i + 1] = true;
            if (Target(i) is { } target) _begins[target] = true;
        }
    }

    /// <summary>For each machine instruction the index of its row.</summary>
    /// <param name="slots">The rows' slots; -1 for what is not a BPF instruction.</param>
    /// <param name="program">The program.</param>
    /// <param name="code">The machine instructions; their own addresses count from 0.</param>
    /// <param name="isOwn">For each whether it is about the runtime's own fields and not the program's memory.</param>
    /// <param name="callees">For each the name of what it calls, or null.</param>
    /// <param name="symbols">Names of constants.</param>
    public static int[] Align(IReadOnlyList<int> slots, ProgramGraph program, IReadOnlyList<Instruction> code, bool[] isOwn, string?[] callees, SymbolTable symbols)
    {
        if ((long)slots.Count * code.Count > MaxCells) return new int[code.Count];
        var map = new MachineCodeMap(slots, program, code, isOwn, callees, symbols);
        // Where jumps lead is known once they have been found.
        var matches = map.Match(new int[code.Count][]);
        for (var round = 0; round < Rounds; round++)
        {
            var before = matches;
            matches = map.Match(map.Targets(matches));
            if (matches.AsSpan().SequenceEqual(before)) break;
        }
        return map.Owners(matches);
    }

    // For each machine instruction the row that it matches, or -1: the way through (instruction, row) with the highest score.
    // A way goes on to later rows, for a price past jumps, and at the beginning of a block to any row for another.
    private int[] Match(int[]?[] expected)
    {
        var rows = _slots.Count;
        var score = new int[rows];
        var next = new int[rows];
        // Where the way that is at a row after an instruction was before it: itself, or ~row if it matched.
        var from = new int[_code.Count, rows];
        var best = new int[rows];
        var start = new int[rows];
        for (var j = 0; j < _code.Count; j++)
        {
            // The way by which each row is reached when this instruction begins: as it stood, or from elsewhere.
            var reached = score;
            for (var row = 0; row < rows; row++) start[row] = row;
            if (_begins[j])
            {
                reached = (int[])score.Clone();
                var far = Array.IndexOf(score, score.Max());
                // Going on where nothing branched is as good as what a jump says.
                if (j > 0 && !IsBranch(j - 1)) for (var row = 0; row < rows; row++) reached[row] += Expected;
                for (var row = 0; row < rows; row++) Reach(row, score[far] - Moved);
                foreach (var row in expected[j] ?? []) Reach(Math.Max(0, row - 1), score[far] + Expected);

                void Reach(int row, int value)
                {
                    if (value <= reached[row]) return;
                    (reached[row], start[row]) = (value, far);
                }
            }
            // best[row]: the row before it that it is best reached from, the nearest of equals.
            for (var row = 1; row < rows; row++) best[row] = row > 1 && Reaches(best[row - 1], row) > Reaches(row - 1, row) ? best[row - 1] : row - 1;
            for (var row = 0; row < rows; row++)
            {
                (next[row], from[j, row]) = (reached[row], start[row]);
                if (row == 0 || _scores[j, row] == 0 || Reaches(best[row], row) + _scores[j, row] is var value && value <= next[row]) continue;
                (next[row], from[j, row]) = (value, ~start[best[row]]);
            }

            int Reaches(int before, int row) => reached[before] - (_passing[row] - _passing[before + 1]);
            (score, next) = (next, score);
        }
        var matches = new int[_code.Count];
        var at = Array.IndexOf(score, score.Max());
        for (var j = _code.Count - 1; j >= 0; j--)
        {
            var before = from[j, at];
            matches[j] = before < 0 ? at : -1;
            at = before < 0 ? ~before : before;
        }
        return matches;
    }

    private int Passing(int slot) =>
        slot < 0 || _program.Row(slot) is not { } row ? 0 : row.Operation is Operation.Jump or Operation.Exit ? Moved : row.IsConditionalJump || row.IsCall ? Passed : 0;

    // The rows at which a block should begin: where the jumps lead that lead to it.
    private int[]?[] Targets(int[] matches)
    {
        var expected = new int[]?[_code.Count];
        for (var j = 0; j < _code.Count; j++)
        {
            if (!IsBranch(j) || matches[j] < 0 || _slots[matches[j]] is not (>= 0 and var slot)) continue;
            var target = _program.JumpTarget(slot);
            if (target < 0) continue;
            // RyuJIT turns conditions round as it likes, so either way may be either.
            var leads = new[] { target, _program.Row(slot).IsConditionalJump ? slot + _program.Slots(slot) : -1 }
                .Where(_rowOf.ContainsKey).Select(to => _rowOf[to]).ToArray();
            foreach (var block in new[] { Target(j), _code[j].FlowControl == FlowControl.ConditionalBranch && j + 1 < _code.Count ? j + 1 : null })
            {
                if (block is { } begin) expected[begin] = [.. expected[begin] ?? [], .. leads];
            }
        }
        return expected;
    }

    private int[] Owners(int[] matches)
    {
        var owners = (int[])matches.Clone();
        for (var j = 0; j < owners.Length; j++)
        {
            if (matches[j] < 0 || _program.Row(_slots[matches[j]]) is not { } row) continue;
            // A comparison is part of its jump, arguments are part of their call.
            for (var before = j - 1; before >= 0 && matches[before] < 0 && !_begins[before + 1]; before--)
            {
                if (row.IsConditionalJump && _code[before].Mnemonic is Mnemonic.Cmp or Mnemonic.Test && before == j - 1 || row.IsCall && SetsRegister(_code[before])) owners[before] = matches[j];
                else break;
            }
        }
        var last = 0;
        for (var j = 0; j < owners.Length; j++)
        {
            if (owners[j] < 0 && _begins[j]) last = First(matches, j) ?? last;
            owners[j] = last = owners[j] < 0 ? last : owners[j];
        }
        return owners;
    }

    // The first row that the block which begins here matches.
    private int? First(int[] matches, int begin)
    {
        for (var j = begin; j < matches.Length && (j == begin || !_begins[j]); j++)
        {
            if (matches[j] >= 0) return matches[j];
        }
        return null;
    }

    private bool IsBranch(int j) => _code[j].FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return;

    private int? Target(int j) => _code[j].Op0Kind == OpKind.NearBranch64 && _index.TryGetValue(_code[j].NearBranchTarget, out var target) ? target : null;

    private static bool SetsRegister(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Mov or Mnemonic.Lea or Mnemonic.Xor && instruction.Op0Kind == OpKind.Register;

    private static int Score(int slot, ProgramGraph program, in Instruction machine, in Instruction before, string? callee, SymbolTable symbols)
    {
        if (slot < 0) return 0;
        var row = program.Row(slot);
        ref readonly var bpf = ref program.Instructions.ItemRef(slot);
        var operation = row.Operation;
        // Frame-relative operands are RyuJIT's spills.
        var memory = machine.MemoryBase != Register.RBP && machine.MemoryBase != Register.RSP && HasMemoryOperand(machine);
        if (row.IsMemory)
        {
            if (!memory || machine.MemorySize.GetSize() != row.AccessBytes) return 0;
            var writes = operation is Operation.Store or Operation.StoreRelease;
            if (writes != (machine.Op0Kind == OpKind.Memory && machine.Mnemonic == Mnemonic.Mov)) return 0;
            return (int)machine.MemoryDisplacement64 == bpf.Offset ? 4 : 1;
        }
        if (row.IsConditionalJump)
        {
            if (machine.FlowControl != FlowControl.ConditionalBranch) return 0;
            return row.Source == OperandSource.Immediate && (before.Mnemonic == Mnemonic.Cmp && HasImmediate(before, bpf.Immediate) || before.Mnemonic == Mnemonic.Test && bpf.Immediate == 0) ? 5 : 3;
        }
        if (operation == Operation.Jump) return machine.FlowControl == FlowControl.UnconditionalBranch ? 2 : 0;
        if (row.IsCall)
        {
            if (machine.FlowControl is not (FlowControl.Call or FlowControl.IndirectCall)) return 0;
            return callee is null || operation is not (Operation.CallHelper or Operation.CallKfunc) || program.IsTailCall(slot) ? 5
                : program.Implementation(slot).Method is var method && (callee == SymbolTable.Name(method) || callee == $"{nameof(HookHost)}.{method.Name}") ? 8 : 0;
        }
        if (operation == Operation.Exit) return machine.FlowControl == FlowControl.Return ? 5 : 0;
        if (operation == Operation.LoadImmediate64) return HasConstant(machine, symbols) ? 4 : 0;
        if (memory || !Does(operation, machine.Mnemonic)) return 0;
        return row.Source == OperandSource.Immediate && HasImmediate(machine, bpf.Immediate) ? 3 : 1;
    }

    private static bool HasMemoryOperand(in Instruction machine)
    {
        for (var i = 0; i < machine.OpCount; i++)
        {
            if (machine.GetOpKind(i) == OpKind.Memory && machine.Mnemonic != Mnemonic.Lea) return true;
        }
        return false;
    }

    private static bool HasConstant(in Instruction machine, SymbolTable symbols) =>
        machine.OpCount == 2 && machine.Op1Kind == OpKind.Immediate64 && (symbols.Find(machine.Immediate64) is not null || machine.Immediate64 > uint.MaxValue);

    private static bool HasImmediate(in Instruction machine, int value)
    {
        for (var i = 0; i < machine.OpCount; i++)
        {
            if (machine.GetOpKind(i) is >= OpKind.Immediate8 and <= OpKind.Immediate32to64 && (int)machine.GetImmediate(i) == value) return true;
        }
        return false;
    }

    private static bool Does(Operation operation, Mnemonic mnemonic) => operation switch
    {
        Operation.Add or Operation.Subtract => mnemonic is Mnemonic.Add or Mnemonic.Sub or Mnemonic.Lea or Mnemonic.Inc or Mnemonic.Dec,
        Operation.Multiply => mnemonic is Mnemonic.Imul or Mnemonic.Mulx or Mnemonic.Mul or Mnemonic.Lea,
        Operation.Divide or Operation.Modulo => mnemonic is Mnemonic.Div or Mnemonic.Mul or Mnemonic.Mulx,
        Operation.SignedDivide or Operation.SignedModulo => mnemonic is Mnemonic.Idiv or Mnemonic.Imul,
        Operation.Or => mnemonic == Mnemonic.Or,
        Operation.And => mnemonic is Mnemonic.And or Mnemonic.Andn or Mnemonic.Movzx,
        Operation.Xor => mnemonic == Mnemonic.Xor,
        Operation.ShiftLeft => mnemonic is Mnemonic.Shl or Mnemonic.Shlx or Mnemonic.Lea or Mnemonic.Rol or Mnemonic.Rorx,
        Operation.ShiftRight => mnemonic is Mnemonic.Shr or Mnemonic.Shrx,
        Operation.ShiftRightArithmetic => mnemonic is Mnemonic.Sar or Mnemonic.Sarx,
        Operation.Negate => mnemonic == Mnemonic.Neg,
        Operation.Move => mnemonic is Mnemonic.Mov or Mnemonic.Xor,
        Operation.MoveSignExtend => mnemonic is Mnemonic.Movsx or Mnemonic.Movsxd,
        Operation.ByteSwap or Operation.ToBigEndian => mnemonic is Mnemonic.Bswap or Mnemonic.Movbe or Mnemonic.Rol or Mnemonic.Ror,
        _ => false,
    };
}
