using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>An instruction as <see cref="CheckedInterpreter"/> runs it: 24 bytes of native memory, and nothing assumed of it.</summary>
internal struct CheckedInstruction
{
    /// <summary>Register and immediate forms are one code each here; both read <see cref="Operand"/>.</summary>
    public Code Code;
    /// <summary>Registers it reads, a bit each.</summary>
    public ushort Reads;
    /// <summary>Registers it gives a value, a bit each.</summary>
    public ushort Writes;
    public byte Dst;
    public byte Src;
    /// <summary>Memory displacement, or instructions from the next one to a jump's target.</summary>
    public int Offset;
    /// <summary>All ones when the second operand is a register.</summary>
    public int FromRegister;
    /// <summary>The second operand when it is no register: the immediate, sign-extended; else 0.</summary>
    public long Immediate;

    /// <summary>The second operand, without a branch that depends on the instruction.</summary>
    public readonly unsafe ulong Operand(ulong* r) => (r[Src] & (ulong)(long)FromRegister) | (ulong)Immediate;

    /// <summary>Decodes the instruction of a slot; what can't be run whatever its registers hold becomes <see cref="Code.Invalid"/>.</summary>
    public static CheckedInstruction Decode(OpcodeRow? row, ImmutableArray<Instruction> instructions, int slot)
    {
        var instruction = instructions[slot];
        int dst = instruction.Destination, src = instruction.Source;
        var usesSource = row != null && (row.Uses & OperandFields.Source) != 0;
        if (row == null || dst > 10 || (usesSource && src > 10)) return new() { Code = Code.Invalid };
        int reads = usesSource ? 1 << src : 0, writes = row.WritesDestination ? 1 << dst : 0;
        // Arithmetic works on what is there; moves and loads replace it.
        var replaces = row.WritesDestination && (!row.IsArithmetic || row.Operation is Operation.Move or Operation.MoveSignExtend);
        if ((row.Uses & OperandFields.Destination) != 0 && !replaces) reads |= 1 << dst;
        if (row.WritesSource) writes |= 1 << src;
        if (row.Operation == Operation.AtomicCompareExchange) reads |= 1;
        // The frame pointer says which stack bytes there are.
        if ((writes & 1 << 10) != 0) return new() { Code = Code.Invalid };
        var decoded = new CheckedInstruction
        {
            Code = row.Operation switch
            {
                Operation.LoadImmediate64 => Code.LoadWide,
                Operation.Exit => Code.Exit,
                Operation.CallSubprogram => Code.CallSubprogram,
                Operation.CallHelper or Operation.CallKfunc or Operation.CallRegister => Code.CallRegister,
                _ => Decoder.Codes[row.Index],
            },
            Reads = (ushort)reads,
            Writes = (ushort)writes,
            Dst = (byte)dst,
            Src = (byte)(usesSource ? src : 0),
            Offset = row.IsLongJump || row.IsCall ? instruction.Immediate : instruction.Offset,
            FromRegister = row.Source == OperandSource.Register ? -1 : 0,
            Immediate = row.Source == OperandSource.Immediate ? instruction.Immediate : 0,
        };
        // Truncation is a move from itself where it changes nothing.
        if (row.Operation == Operation.ToLittleEndian)
        {
            decoded.Src = decoded.Dst;
            decoded.FromRegister = -1;
        }
        // Numbers are known here; what else a wide immediate names, the run looks up.
        if (row is { Operation: Operation.LoadImmediate64, Wide: WideKind.Number } && slot + 1 < instructions.Length) decoded.Immediate = instruction.WideImmediate(instructions[slot + 1]);
        else if (row.Operation == Operation.LoadImmediate64) decoded.FromRegister = -1;
        return decoded;
    }
}
