using System.Collections.Immutable;
using System.Text;

namespace UringBpf.Bytecode;

/// <summary>
/// Prints instructions in llvm-objdump's BPF syntax. Where that syntax leaves the encoding open (what a 64-bit immediate
/// names, what a call calls) it uses the names of RFC 9669 section 5.4 and of the kernel's own log; the assembler reads
/// all of it back.
/// </summary>
public static class Disassembler
{
    /// <summary>One instruction, such as <c>r0 = *(u32 *)(r1 + 0x4)</c>. Undefined opcodes are printed as <c>.quad</c>.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="next">The slot after it: the upper half of a 64-bit immediate.</param>
    public static string Format(in Instruction instruction, in Instruction next = default)
    {
        if (Row(instruction, next) is not { } row) return Raw(instruction);
        var dst = instruction.Destination;
        var src = instruction.Source;
        var displacement = Displacement(instruction.Offset);
        switch (row.Operation)
        {
            case Operation.Negate:
                return $"{Register(dst, row.Width)} = -{Register(dst, row.Width)}";
            case Operation.MoveSignExtend:
                return $"{Register(dst, row.Width)} = (s{row.Bits}){Register(src, row.Width)}";
            case Operation.ToLittleEndian or Operation.ToBigEndian or Operation.ByteSwap:
                return $"r{dst} = {Syntax.Find(Syntax.Swaps, row.Operation)}{row.Bits} r{dst}";
            case >= Operation.Add and <= Operation.ShiftRightArithmetic:
                return $"{Register(dst, row.Width)} {Syntax.Find(Syntax.Assignments, row.Operation)} {Operand(row, instruction)}";
            case Operation.LoadImmediate64:
                return $"r{dst} = {Wide(row.Wide, instruction, next)} ll";
            case Operation.Load:
                return $"r{dst} = *(u{row.Bits} *)(r{src}{displacement})";
            case Operation.LoadSignExtend:
                return $"r{dst} = *(s{row.Bits} *)(r{src}{displacement})";
            case Operation.Store:
                return $"*(u{row.Bits} *)(r{dst}{displacement}) = {(row.Source == OperandSource.Register ? $"r{src}" : Hex(instruction.Immediate))}";
            case Operation.AtomicAdd or Operation.AtomicOr or Operation.AtomicAnd or Operation.AtomicXor:
                return $"lock *(u{row.Bits} *)(r{dst}{displacement}) {Syntax.Find(Syntax.AtomicAssignments, row.Operation)} {Register(src, row.Bits)}";
            case Operation.AtomicFetchAdd or Operation.AtomicFetchOr or Operation.AtomicFetchAnd or Operation.AtomicFetchXor:
                return $"{Register(src, row.Bits)} = {Syntax.Find(Syntax.AtomicFetches, row.Operation)}((u{row.Bits} *)(r{dst}{displacement}), {Register(src, row.Bits)})";
            case Operation.AtomicExchange:
                return $"{Register(src, row.Bits)} = {(row.Bits == 64 ? "xchg_64" : "xchg32_32")}(r{dst}{displacement}, {Register(src, row.Bits)})";
            case Operation.AtomicCompareExchange:
                return $"{Register(0, row.Bits)} = {(row.Bits == 64 ? "cmpxchg_64" : "cmpxchg32_32")}(r{dst}{displacement}, {Register(0, row.Bits)}, {Register(src, row.Bits)})";
            case Operation.LoadAcquire:
                return $"{Register(dst, row.Bits)} = load_acquire((u{row.Bits} *)(r{src}{displacement}))";
            case Operation.StoreRelease:
                return $"store_release((u{row.Bits} *)(r{dst}{displacement}), {Register(src, row.Bits)})";
            case Operation.LoadPacketAbsolute:
                return $"r0 = *(u{row.Bits} *)skb[{Hex(instruction.Immediate)}]";
            case Operation.LoadPacketIndirect:
                return $"r0 = *(u{row.Bits} *)skb[r{src}{(instruction.Immediate == 0 ? "" : Displacement(instruction.Immediate))}]";
            case Operation.Jump:
                return row.IsLongJump ? $"gotol {Distance(instruction.Immediate)}" : $"goto {Distance(instruction.Offset)}";
            case Operation.MayGoto:
                return $"may_goto {Distance(instruction.Offset)}";
            case >= Operation.JumpEqual and <= Operation.JumpSignedLessOrEqual:
                return $"if {Register(dst, row.Width)} {Syntax.Find(Syntax.Comparisons, row.Operation)} {Operand(row, instruction)} goto {Distance(instruction.Offset)}";
            case Operation.CallHelper:
                return $"call {Hex(instruction.Immediate)}";
            case Operation.CallSubprogram:
                return $"call pc{Distance(instruction.Immediate)}";
            case Operation.CallKfunc:
                return $"call kfunc {Hex(instruction.Immediate)}";
            case Operation.CallRegister:
                return $"callx r{dst}";
            case Operation.Exit:
                return "exit";
            default:
                return Raw(instruction);
        }
    }

    /// <summary>A whole program, a line for each instruction: slot, optional bytes, text, and what it names as a comment.</summary>
    /// <param name="program">A linked program.</param>
    /// <param name="source">True to print each source line above the instructions it became.</param>
    /// <param name="bytes">True to print the encoding.</param>
    public static string Format(ProgramSpec program, bool source = false, bool bytes = false)
    {
        var text = new StringBuilder();
        var starts = program.Subprograms.ToDictionary(function => function.Start, function => function.Name);
        LineInfo? shown = null;
        for (var slot = 0; slot < program.Instructions.Length; slot++)
        {
            if (starts.TryGetValue(slot, out var name)) text.Append(name).Append(":\n");
            if (source && program.LineOf(slot) is { } line && (line.Line, line.File) != (shown?.Line, shown?.File))
            {
                shown = line;
                text.Append("; ").Append(line.File).Append(':').Append(line.Line).Append(": ").Append(line.Text.Trim()).Append('\n');
            }
            var instruction = program.Instructions[slot];
            // A wide load that lacks its second half, or has a malformed one, is printed slot by slot.
            var next = slot + 1 < program.Instructions.Length ? program.Instructions[slot + 1] : s_nothing;
            var isWide = instruction.IsWide && Row(instruction, next) != null;
            text.Append($"{slot,8}:\t");
            if (bytes) AppendBytes(text, instruction, next, isWide);
            text.Append(Format(instruction, next));
            if (Comment(program, slot) is { } comment) text.Append("  ; ").Append(comment);
            text.Append('\n');
            if (isWide) slot++;
        }
        return text.ToString();
    }

    /// <summary>What an instruction names: a map, helper, kfunc, subprogram or jump target; null for the others.</summary>
    public static string? Comment(ProgramSpec program, int slot)
    {
        var instruction = program.Instructions[slot];
        if (OpcodeTable.Find(instruction) is not { } row) return null;
        return row.Operation switch
        {
            Operation.CallHelper => program.Functions.Helper(instruction.Immediate)?.Name,
            Operation.CallKfunc => program.Functions.Kfunc(instruction.Immediate)?.Name,
            Operation.CallSubprogram => program.Subprograms.FirstOrDefault(function => function.Start == slot + 1L + instruction.Immediate)?.Name,
            Operation.LoadImmediate64 when row.Wide == WideKind.Function => program.Subprograms.FirstOrDefault(function => function.Start == slot + 1L + instruction.Immediate)?.Name,
            Operation.LoadImmediate64 when row.Wide is WideKind.MapIndex or WideKind.MapValueIndex && (uint)instruction.Immediate < (uint)program.Maps.Length =>
                "map " + program.Maps[instruction.Immediate].Name,
            _ when row.IsLongJump => $"-> {slot + 1L + instruction.Immediate}",
            _ when row.IsJump => $"-> {slot + 1 + instruction.Offset}",
            _ => null,
        };
    }

    // Not the second half of anything.
    private static readonly Instruction s_nothing = new(0xff);

    // The row of an instruction whose text says all of it; null when the text would lose a field of it, or of its second slot.
    private static OpcodeRow? Row(in Instruction instruction, in Instruction next)
    {
        if (OpcodeTable.Find(instruction) is not { } row || OpcodeTable.HasReservedBits(row, instruction)) return null;
        var whole = row.Slots == 1 || (next == new Instruction(0, immediate: next.Immediate)
            && (next.Immediate == 0 || row.Wide is WideKind.Number or WideKind.MapValueFd or WideKind.MapValueIndex));
        return whole ? row : null;
    }

    private static string Register(int number, int width) => (width == 64 ? 'r' : 'w') + number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static string Operand(OpcodeRow row, in Instruction instruction) =>
        row.Source == OperandSource.Register ? Register(instruction.Source, row.Width) : Hex(instruction.Immediate);

    private static string Hex(long value) => value < 0 ? $"-0x{(ulong)-value:x}" : $"0x{value:x}";

    private static string Displacement(int value) => value < 0 ? $" - 0x{-(long)value:x}" : $" + 0x{value:x}";

    private static string Distance(int value) => value < 0 ? $"-0x{-(long)value:x}" : $"+0x{value:x}";

    private static string Wide(WideKind kind, in Instruction instruction, in Instruction next) => kind switch
    {
        WideKind.Number => Hex(instruction.WideImmediate(next)),
        WideKind.MapFd => $"map_by_fd({Hex(instruction.Immediate)})",
        WideKind.MapValueFd => $"map_val(map_by_fd({Hex(instruction.Immediate)})){Displacement(next.Immediate)}",
        WideKind.Variable => $"var_addr({Hex(instruction.Immediate)})",
        WideKind.Function => $"code_addr({Distance(instruction.Immediate)})",
        WideKind.MapIndex => $"map_by_idx({Hex(instruction.Immediate)})",
        _ => $"map_val(map_by_idx({Hex(instruction.Immediate)})){Displacement(next.Immediate)}",
    };

    private static string Raw(in Instruction instruction)
    {
        Span<Instruction> one = [instruction];
        return $".quad 0x{System.Runtime.InteropServices.MemoryMarshal.Cast<Instruction, ulong>(one)[0]:x16}";
    }

    private static void AppendBytes(StringBuilder text, in Instruction instruction, in Instruction next, bool isWide)
    {
        ReadOnlySpan<Instruction> slots = isWide ? [instruction, next] : [instruction];
        foreach (var octet in System.Runtime.InteropServices.MemoryMarshal.AsBytes(slots)) text.Append($"{octet:x2} ");
        text.Append('\t');
    }
}
