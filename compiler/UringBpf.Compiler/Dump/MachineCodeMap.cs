using Iced.Intel;
using UringBpf.Bytecode;
using Instruction = Iced.Intel.Instruction;
using Register = Iced.Intel.Register;

namespace UringBpf.Compiler;

/// <summary>
/// Tells which BPF instruction a machine instruction comes from. The runtime keeps no such record for dynamic methods, so
/// this aligns the two lists: both mostly keep the program's order, and an access size, displacement, constant, kind of
/// operation or call names its counterpart. What matches nothing goes with what came before it.
/// </summary>
internal static class MachineCodeMap
{
    // The table of an alignment has a cell per pair.
    private const long MaxCells = 16_000_000;

    /// <summary>For each machine instruction the index of its row.</summary>
    /// <param name="slots">The rows' slots; -1 for what is not a BPF instruction.</param>
    /// <param name="program">The program.</param>
    /// <param name="code">The machine instructions.</param>
    /// <param name="place">Where they lie: their own addresses count from 0.</param>
    /// <param name="symbols">Names of constants and of what is called.</param>
    public static int[] Align(IReadOnlyList<int> slots, ProgramGraph program, IReadOnlyList<Instruction> code, nint place, SymbolTable symbols)
    {
        var owners = new int[code.Count];
        var callees = code.Select(instruction => Callee(instruction, (ulong)place, symbols)).ToArray();
        if ((long)slots.Count * code.Count > MaxCells) return owners;

        // Needleman and Wunsch: best[i, j] is the score of the first i rows and j machine instructions; a row may own several.
        var best = new int[slots.Count + 1, code.Count + 1];
        var taken = new bool[slots.Count + 1, code.Count + 1];
        for (var i = 1; i <= slots.Count; i++)
        {
            for (var j = 1; j <= code.Count; j++)
            {
                var score = Score(slots[i - 1], program, code[j - 1], callees[j - 1], symbols);
                best[i, j] = Math.Max(best[i - 1, j], best[i, j - 1]);
                if (score > 0 && best[i - 1, j - 1] + score > best[i, j])
                {
                    best[i, j] = best[i - 1, j - 1] + score;
                    taken[i, j] = true;
                }
            }
        }
        Array.Fill(owners, -1);
        for (int i = slots.Count, j = code.Count; i > 0 && j > 0;)
        {
            if (taken[i, j])
            {
                owners[--j] = --i;
            }
            else if (best[i - 1, j] == best[i, j])
            {
                i--;
            }
            else
            {
                j--;
            }
        }
        var last = 0;
        for (var j = 0; j < owners.Length; j++) owners[j] = last = owners[j] < 0 ? last : owners[j];
        return owners;
    }

    private static int Score(int slot, ProgramGraph program, in Instruction machine, string? callee, SymbolTable symbols)
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
        if (row.IsConditionalJump) return machine.FlowControl == FlowControl.ConditionalBranch ? 3 : 0;
        if (operation == Operation.Jump) return machine.FlowControl == FlowControl.UnconditionalBranch ? 2 : 0;
        if (row.IsCall)
        {
            if (machine.FlowControl is not (FlowControl.Call or FlowControl.IndirectCall)) return 0;
            return callee is null || operation is not (Operation.CallHelper or Operation.CallKfunc) || program.IsTailCall(slot) ? 5
                : callee == SymbolTable.Name(program.Implementation(slot).Method) ? 8 : 0;
        }
        if (operation == Operation.Exit) return machine.FlowControl == FlowControl.Return ? 5 : 0;
        if (operation == Operation.LoadImmediate64) return HasConstant(machine, symbols) ? 4 : 0;
        if (memory || !Does(operation, machine.Mnemonic)) return 0;
        return row.Source == OperandSource.Immediate && HasImmediate(machine, bpf.Immediate) ? 3 : 1;
    }

    // The name of what a call calls, where the instruction alone says it.
    private static string? Callee(in Instruction machine, ulong place, SymbolTable symbols) =>
        machine.FlowControl is not (FlowControl.Call or FlowControl.IndirectCall) ? null
        : machine.Op0Kind == OpKind.NearBranch64 ? symbols.Find(machine.NearBranchTarget + place)
        : machine.IsIPRelativeMemoryOperand ? symbols.Find(machine.IPRelativeMemoryAddress + place)
        : null;

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
