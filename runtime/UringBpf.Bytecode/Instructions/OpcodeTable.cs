using System.Collections.Immutable;
using static UringBpf.Bytecode.ConformanceGroup;
using static UringBpf.Bytecode.Operation;

namespace UringBpf.Bytecode;

/// <summary>Which field beside the opcode byte picks a row, when one byte means several instructions.</summary>
public enum RowSelector : byte
{
    /// <summary>The opcode byte alone.</summary>
    None,
    /// <summary>The offset field.</summary>
    Offset,
    /// <summary>The immediate field.</summary>
    Immediate,
    /// <summary>The source field.</summary>
    Source,
}

/// <summary>One instruction of the instruction set: a row of <see cref="OpcodeTable"/>.</summary>
/// <param name="Index">The row's place in the table; stable within a version of the library.</param>
/// <param name="Opcode">The opcode byte.</param>
/// <param name="Selector">The field that, with the byte, picks this row.</param>
/// <param name="SelectorValue">The value of that field.</param>
/// <param name="Operation">What it does.</param>
/// <param name="Width">Operand width in bits, 32 or 64: arithmetic and comparisons; 64 elsewhere.</param>
/// <param name="Bits">Access size of memory operations, or the source width of movsx and byte swaps: 8, 16, 32 or 64; 0 elsewhere.</param>
/// <param name="Source">Where the second operand comes from.</param>
/// <param name="Uses">The fields that carry operands; every other field, the selector's apart, must be zero.</param>
/// <param name="Group">The conformance group.</param>
public sealed record OpcodeRow(
    int Index, byte Opcode, RowSelector Selector, int SelectorValue, Operation Operation,
    int Width, int Bits, OperandSource Source, OperandFields Uses, ConformanceGroup Group)
{
    /// <summary>What a 64-bit immediate names; meaningful for <see cref="Operation.LoadImmediate64"/> only.</summary>
    public WideKind Wide => (WideKind)(Operation == LoadImmediate64 ? SelectorValue : 0);

    /// <summary>Slots taken: 2 for a 64-bit immediate load, else 1.</summary>
    public int Slots => Operation == LoadImmediate64 ? 2 : 1;

    /// <summary>Bytes accessed by a memory operation; 0 elsewhere.</summary>
    public int AccessBytes => IsMemory ? Bits / 8 : 0;

    /// <summary>True for arithmetic, moves and byte swaps.</summary>
    public bool IsArithmetic => Operation is >= Add and <= ByteSwap;

    /// <summary>True for loads, stores and atomics through a pointer register (packet loads and 64-bit immediates are not).</summary>
    public bool IsMemory => Operation is >= Load and <= StoreRelease;

    /// <summary>True when the destination register gets a new value; calls, packet loads and compare-exchange write r0 without naming it.</summary>
    public bool WritesDestination => IsArithmetic || Operation is LoadImmediate64 or Load or LoadSignExtend or LoadAcquire;

    /// <summary>True when the source register gets a new value: atomics that fetch.</summary>
    public bool WritesSource => Operation is >= AtomicFetchAdd and <= AtomicExchange;

    /// <summary>True for the read-modify-write operations (load-acquire and store-release are not).</summary>
    public bool IsAtomicReadModifyWrite => Operation is >= AtomicAdd and <= AtomicCompareExchange;

    /// <summary>True for jumps that compare (not may_goto).</summary>
    public bool IsConditionalJump => Operation is >= JumpEqual and <= JumpSignedLessOrEqual;

    /// <summary>True for conditional, unconditional and may_goto jumps.</summary>
    public bool IsJump => Operation is >= Jump and <= MayGoto;

    /// <summary>True for every kind of call.</summary>
    public bool IsCall => Operation is >= CallHelper and <= CallRegister;

    /// <summary>True when the jump distance is in the immediate (gotol).</summary>
    public bool IsLongJump => Operation == Jump && Width == 32;

    /// <summary>The slot of this instruction with the given operands; the selector's field gets the selector's value instead.</summary>
    public Instruction Encode(int destination = 0, int source = 0, short offset = 0, int immediate = 0) => new(
        Opcode, destination,
        Selector == RowSelector.Source ? SelectorValue : source,
        Selector == RowSelector.Offset ? (short)SelectorValue : offset,
        Selector == RowSelector.Immediate ? SelectorValue : immediate);
}

/// <summary>The fields of a slot that carry operands.</summary>
[Flags]
public enum OperandFields : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>The destination register.</summary>
    Destination = 1,
    /// <summary>The source register.</summary>
    Source = 2,
    /// <summary>The offset.</summary>
    Offset = 4,
    /// <summary>The immediate.</summary>
    Immediate = 8,
}

/// <summary>
/// The instruction set, declared once (RFC 9669 section 4 and 5, Linux 6.x extensions). Decoder, assembler,
/// disassembler, interpreters, verifier and compiler all read these rows.
/// </summary>
public static class OpcodeTable
{
    private static readonly ImmutableArray<OpcodeRow> s_rows = Build();
    private static readonly OpcodeRow?[][] s_byOpcode = IndexByOpcode();

    /// <summary>Every row, in declaration order.</summary>
    public static ImmutableArray<OpcodeRow> Rows => s_rows;

    /// <summary>The row of an instruction, or null when its opcode (with its selector field) is not defined.</summary>
    /// <remarks>Fields that must be zero are not looked at: see <see cref="HasReservedBits"/>.</remarks>
    public static OpcodeRow? Find(in Instruction instruction)
    {
        foreach (var row in s_byOpcode[instruction.Opcode])
        {
            var picked = row!.Selector switch
            {
                RowSelector.Offset => instruction.Offset == row.SelectorValue,
                RowSelector.Immediate => instruction.Immediate == row.SelectorValue,
                RowSelector.Source => instruction.Source == row.SelectorValue,
                _ => true,
            };
            if (picked) return row;
        }
        return null;
    }

    /// <summary>The row of an operation, or null when the instruction set has no such form.</summary>
    /// <param name="operation">What it does. Not <see cref="LoadImmediate64"/>, which has a row for each <see cref="WideKind"/>.</param>
    /// <param name="width">As <see cref="OpcodeRow.Width"/>.</param>
    /// <param name="bits">As <see cref="OpcodeRow.Bits"/>.</param>
    /// <param name="source">As <see cref="OpcodeRow.Source"/>.</param>
    public static OpcodeRow? Find(Operation operation, int width, int bits, OperandSource source)
    {
        foreach (var row in s_rows)
        {
            if (row.Operation == operation && row.Width == width && row.Bits == bits && row.Source == source) return row;
        }
        return null;
    }

    /// <summary>The row of the 64-bit immediate load of a kind.</summary>
    public static OpcodeRow WideImmediate(WideKind kind) => s_byOpcode[0x18][(int)kind]!;

    /// <summary>True when a field that the row does not use is not zero.</summary>
    public static bool HasReservedBits(OpcodeRow row, in Instruction instruction)
    {
        var uses = row.Uses;
        return (instruction.Destination != 0 && (uses & OperandFields.Destination) == 0)
            || (instruction.Source != 0 && (uses & OperandFields.Source) == 0 && row.Selector != RowSelector.Source)
            || (instruction.Offset != 0 && (uses & OperandFields.Offset) == 0 && row.Selector != RowSelector.Offset)
            || (instruction.Immediate != 0 && (uses & OperandFields.Immediate) == 0 && row.Selector != RowSelector.Immediate);
    }

    // Instruction classes (RFC 9669 section 3.1).
    private const int Ld = 0, Ldx = 1, St = 2, Stx = 3, Alu = 4, Jmp = 5, Jmp32 = 6, Alu64 = 7;
    private const int X = 0x08;

    private const OperandFields D = OperandFields.Destination, S = OperandFields.Source, O = OperandFields.Offset, I = OperandFields.Immediate;

    private static ImmutableArray<OpcodeRow> Build()
    {
        var rows = ImmutableArray.CreateBuilder<OpcodeRow>();

        void Row(int opcode, Operation operation, int width, int bits, OperandSource source, OperandFields uses,
            ConformanceGroup group, RowSelector selector = RowSelector.None, int value = 0) =>
            rows.Add(new OpcodeRow(rows.Count, (byte)opcode, selector, value, operation, width, bits, source, uses, group));

        // Arithmetic: code in the upper four bits, K or X, both widths.
        (int Code, Operation Operation, short Selector)[] arithmetic =
        [
            (0x00, Add, -1), (0x10, Subtract, -1), (0x20, Multiply, -1), (0x30, Divide, 0), (0x30, SignedDivide, 1),
            (0x40, Or, -1), (0x50, And, -1), (0x60, ShiftLeft, -1), (0x70, ShiftRight, -1),
            (0x90, Modulo, 0), (0x90, SignedModulo, 1), (0xa0, Xor, -1), (0xb0, Move, -1), (0xc0, ShiftRightArithmetic, -1),
        ];
        foreach (var (width, cls) in new[] { (32, Alu), (64, Alu64) })
        {
            foreach (var (code, operation, selector) in arithmetic)
            {
                var divMul = operation is Multiply or Divide or SignedDivide or Modulo or SignedModulo;
                var group = divMul ? (width == 32 ? DivMul32 : DivMul64) : (width == 32 ? Base32 : Base64);
                // mov X shares its byte with movsx, so its offset selects as well.
                var select = selector >= 0 || operation == Move;
                var value = Math.Max((short)0, selector);
                Row(cls | code, operation, width, 0, OperandSource.Immediate, D | I, group,
                    select && operation != Move ? RowSelector.Offset : RowSelector.None, value);
                Row(cls | code | X, operation, width, 0, OperandSource.Register, D | S, group,
                    select ? RowSelector.Offset : RowSelector.None, value);
            }
            Row(cls | 0x80, Negate, width, 0, OperandSource.None, D, width == 32 ? Base32 : Base64);
            foreach (var bits in width == 32 ? new[] { 8, 16 } : [8, 16, 32])
            {
                Row(cls | 0xb0 | X, MoveSignExtend, width, bits, OperandSource.Register, D | S,
                    width == 32 ? Base32 : Base64, RowSelector.Offset, bits);
            }
        }

        // Byte swaps. The 64-bit ones are in base64 (RFC 9669 section 4.2).
        foreach (var bits in new[] { 16, 32, 64 })
        {
            var group = bits == 64 ? Base64 : Base32;
            Row(Alu | 0xd0, ToLittleEndian, 64, bits, OperandSource.None, D, group, RowSelector.Immediate, bits);
            Row(Alu | 0xd0 | X, ToBigEndian, 64, bits, OperandSource.None, D, group, RowSelector.Immediate, bits);
            Row(Alu64 | 0xd0, ByteSwap, 64, bits, OperandSource.None, D, group, RowSelector.Immediate, bits);
        }

        // 64-bit immediates: the source field says what they name.
        for (var kind = 0; kind <= 6; kind++)
            Row(0x18, LoadImmediate64, 64, 0, OperandSource.Immediate, D | I, Base64, RowSelector.Source, kind);

        // Memory: size codes W, H, B, DW.
        foreach (var (sizeCode, bits) in new[] { (0x00, 32), (0x08, 16), (0x10, 8), (0x18, 64) })
        {
            var group = bits == 64 ? Base64 : Base32;
            Row(Ldx | 0x60 | sizeCode, Load, 64, bits, OperandSource.Register, D | S | O, group);
            if (bits != 64) Row(Ldx | 0x80 | sizeCode, LoadSignExtend, 64, bits, OperandSource.Register, D | S | O, Base64);
            Row(St | 0x60 | sizeCode, Store, 64, bits, OperandSource.Immediate, D | O | I, group);
            Row(Stx | 0x60 | sizeCode, Store, 64, bits, OperandSource.Register, D | S | O, group);
            if (bits != 64)
            {
                Row(Ld | 0x20 | sizeCode, LoadPacketAbsolute, 64, bits, OperandSource.Immediate, I, Packet);
                Row(Ld | 0x40 | sizeCode, LoadPacketIndirect, 64, bits, OperandSource.Register, S | I, Packet);
            }
        }

        // Atomics: STX with mode ATOMIC; the immediate selects. Read-modify-write in 32 and 64 bits only.
        (int Code, Operation Operation)[] atomics =
        [
            (0x00, AtomicAdd), (0x40, AtomicOr), (0x50, AtomicAnd), (0xa0, AtomicXor),
            (0x01, AtomicFetchAdd), (0x41, AtomicFetchOr), (0x51, AtomicFetchAnd), (0xa1, AtomicFetchXor),
            (0xe1, AtomicExchange), (0xf1, AtomicCompareExchange),
        ];
        foreach (var (sizeCode, bits) in new[] { (0x00, 32), (0x18, 64) })
        {
            foreach (var (code, operation) in atomics)
            {
                Row(Stx | 0xc0 | sizeCode, operation, bits, bits, OperandSource.Register, D | S | O,
                    bits == 32 ? Atomic32 : Atomic64, RowSelector.Immediate, code);
            }
        }
        foreach (var (sizeCode, bits) in new[] { (0x00, 32), (0x08, 16), (0x10, 8), (0x18, 64) })
        {
            Row(Stx | 0xc0 | sizeCode, LoadAcquire, 64, bits, OperandSource.Register, D | S | O, Linux, RowSelector.Immediate, 0x100);
            Row(Stx | 0xc0 | sizeCode, StoreRelease, 64, bits, OperandSource.Register, D | S | O, Linux, RowSelector.Immediate, 0x110);
        }

        // Jumps.
        // Both are in base32: RFC 9669 section 4.3 says so for all CALL and JA instructions.
        Row(Jmp | 0x00, Jump, 64, 0, OperandSource.None, O, Base32);
        Row(Jmp32 | 0x00, Jump, 32, 0, OperandSource.None, I, Base32);
        (int Code, Operation Operation)[] jumps =
        [
            (0x10, JumpEqual), (0x20, JumpGreater), (0x30, JumpGreaterOrEqual), (0x40, JumpSet), (0x50, JumpNotEqual),
            (0x60, JumpSignedGreater), (0x70, JumpSignedGreaterOrEqual), (0xa0, JumpLess), (0xb0, JumpLessOrEqual),
            (0xc0, JumpSignedLess), (0xd0, JumpSignedLessOrEqual),
        ];
        foreach (var (width, cls) in new[] { (64, Jmp), (32, Jmp32) })
        {
            foreach (var (code, operation) in jumps)
            {
                var group = width == 64 ? Base64 : Base32;
                Row(cls | code, operation, width, 0, OperandSource.Immediate, D | O | I, group);
                Row(cls | code | X, operation, width, 0, OperandSource.Register, D | S | O, group);
            }
        }
        Row(Jmp | 0xe0, MayGoto, 64, 0, OperandSource.None, O, Linux, RowSelector.Source, 0);

        // Calls and exit.
        Row(Jmp | 0x80, CallHelper, 64, 0, OperandSource.Immediate, I, Base32, RowSelector.Source, 0);
        Row(Jmp | 0x80, CallSubprogram, 64, 0, OperandSource.Immediate, I, Base32, RowSelector.Source, 1);
        Row(Jmp | 0x80, CallKfunc, 64, 0, OperandSource.Immediate, I, Base32, RowSelector.Source, 2);
        // callx: not in the RFC. clang 19 and bpf_conformance put the register in dst; clang 18 and before put its number
        // in the immediate, which is refused as a reserved field.
        Row(Jmp | 0x80 | X, CallRegister, 64, 0, OperandSource.Register, D, CallX);
        Row(Jmp | 0x90, Exit, 64, 0, OperandSource.None, OperandFields.None, Base32);
        return rows.ToImmutable();
    }

    private static OpcodeRow?[][] IndexByOpcode()
    {
        var index = new OpcodeRow?[256][];
        for (var opcode = 0; opcode < index.Length; opcode++)
            index[opcode] = s_rows.Where(row => row.Opcode == opcode).ToArray();
        return index;
    }
}
