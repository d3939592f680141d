namespace UringBpf.Bytecode;

/// <summary>The grammar of one instruction.</summary>
internal static class InstructionParser
{
    public static void Parse(ref LineScanner scanner, CodeBuffer code, AssemblerNames names)
    {
        if (scanner.Is("*"))
        {
            ParseStore(ref scanner, code);
            return;
        }
        var column = scanner.Column;
        var word = scanner.Word("an instruction");
        switch (word)
        {
            case "exit": code.Add(Row(Operation.Exit, 64, 0, OperandSource.None, column).Encode()); break;
            case "goto": ParseJump(ref scanner, code, Row(Operation.Jump, 64, 0, OperandSource.None, column)); break;
            case "gotol": ParseJump(ref scanner, code, Row(Operation.Jump, 32, 0, OperandSource.None, column)); break;
            case "may_goto": ParseJump(ref scanner, code, Row(Operation.MayGoto, 64, 0, OperandSource.None, column)); break;
            case "if": ParseConditionalJump(ref scanner, code); break;
            case "call": ParseCall(ref scanner, code, names); break;
            case "callx": code.Add(Row(Operation.CallRegister, 64, 0, OperandSource.Register, column).Encode(ReadRegister(ref scanner, 64))); break;
            case "lock": ParseAtomic(ref scanner, code); break;
            case "store_release": ParseStoreRelease(ref scanner, code); break;
            case ".quad": code.Add(Unsafe(ReadUnsigned(ref scanner))); break;
            default:
                if (RegisterOf(word) is not { } register)
                    throw new SyntaxException("UB1120", column, $"'{word}' starts no instruction.");
                ParseAssignment(ref scanner, code, names, register, column);
                break;
        }
    }

    private static Instruction Unsafe(ulong slot)
    {
        ReadOnlySpan<ulong> one = [slot];
        return System.Runtime.InteropServices.MemoryMarshal.Cast<ulong, Instruction>(one)[0];
    }

    // rD op= operand, and everything that is written rD = …
    private static void ParseAssignment(ref LineScanner scanner, CodeBuffer code, AssemblerNames names, (int Number, int Width) destination, int column)
    {
        var operation = Syntax.Find(Syntax.Assignments, scanner.Kind == TokenKind.Symbol ? scanner.Text : "");
        if (operation == Operation.Invalid) throw scanner.Unexpected("an assignment operator");
        scanner.Advance();
        if (operation == Operation.Move && !IsPlainOperand(ref scanner, destination.Width))
        {
            ParseExpression(ref scanner, code, names, destination, column);
            return;
        }
        if (RegisterOf(scanner) is not null)
        {
            var source = ReadRegister(ref scanner, destination.Width);
            code.Add(Row(operation, destination.Width, 0, OperandSource.Register, column).Encode(destination.Number, source));
            return;
        }
        code.Add(Row(operation, destination.Width, 0, OperandSource.Immediate, column)
            .Encode(destination.Number, immediate: ReadImmediate(ref scanner, destination.Width)));
    }

    // A register, or a number that is not followed by "ll".
    private static bool IsPlainOperand(ref LineScanner scanner, int width)
    {
        if (RegisterOf(scanner) is not null) return true;
        var start = scanner.Start;
        scanner.Take("-");
        var isNumber = scanner.Kind == TokenKind.Number;
        if (isNumber) scanner.Advance();
        isNumber = isNumber && !scanner.Is("ll");
        scanner.Return(start);
        return isNumber;
    }

    private static void ParseExpression(ref LineScanner scanner, CodeBuffer code, AssemblerNames names, (int Number, int Width) destination, int column)
    {
        var start = scanner.Start;
        if (scanner.Take("-"))
        {
            if (RegisterOf(scanner) is null)
            {
                scanner.Return(start);
                ParseWide(ref scanner, code, names, destination);
                return;
            }
            Same(ref scanner, destination.Number, destination.Width);
            code.Add(Row(Operation.Negate, destination.Width, 0, OperandSource.None, column).Encode(destination.Number));
            return;
        }
        if (scanner.Take("("))
        {
            var (_, bits) = ReadType(ref scanner, signed: true, unsigned: false);
            scanner.Expect(")");
            code.Add(Row(Operation.MoveSignExtend, destination.Width, bits, OperandSource.Register, column)
                .Encode(destination.Number, ReadRegister(ref scanner, destination.Width)));
            return;
        }
        if (scanner.Is("*"))
        {
            ParseLoad(ref scanner, code, destination, column);
            return;
        }
        if (scanner.Kind == TokenKind.Word && ParseFunction(ref scanner, code, destination, column)) return;
        ParseWide(ref scanner, code, names, destination);
    }

    private static void ParseLoad(ref LineScanner scanner, CodeBuffer code, (int Number, int Width) destination, int column)
    {
        var (signed, bits) = ReadPointerType(ref scanner, signed: true, unsigned: true);
        if (scanner.Take("skb"))
        {
            if (destination.Number != 0) throw new SyntaxException("UB1124", column, "a packet load's result is in r0.");
            scanner.Expect("[");
            ParsePacketLoad(ref scanner, code, bits, signed, column);
            scanner.Expect("]");
            return;
        }
        var (register, offset) = ReadAddress(ref scanner, parentheses: true);
        // 32-bit and narrower loads zero the upper half, so LLVM writes w0 or r0 for the same instruction.
        CheckWidth(destination, bits, signed, column);
        code.Add(Row(signed ? Operation.LoadSignExtend : Operation.Load, 64, bits, OperandSource.Register, column).Encode(destination.Number, register, offset));
    }

    private static void ParsePacketLoad(ref LineScanner scanner, CodeBuffer code, int bits, bool signed, int column)
    {
        if (signed) throw new SyntaxException("UB1124", column, "packet loads are unsigned.");
        if (RegisterOf(scanner) is null)
        {
            code.Add(Row(Operation.LoadPacketAbsolute, 64, bits, OperandSource.Immediate, column).Encode(immediate: ReadImmediate(ref scanner, 64)));
            return;
        }
        var register = ReadRegister(ref scanner, 64);
        var displacement = scanner.Is("]") ? 0 : ReadDisplacement(ref scanner, int.MinValue, int.MaxValue);
        code.Add(Row(Operation.LoadPacketIndirect, 64, bits, OperandSource.Register, column).Encode(source: register, immediate: (int)displacement));
    }

    // What looks like a function of C: byte swaps, atomics with a result, load_acquire.
    private static bool ParseFunction(ref LineScanner scanner, CodeBuffer code, (int Number, int Width) destination, int column)
    {
        var name = scanner.Text;
        foreach (var (operation, prefix) in Syntax.Swaps)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal) || name[prefix.Length..] is not ("16" or "32" or "64")) continue;
            scanner.Advance();
            if (destination.Width != 64) throw new SyntaxException("UB1124", column, "byte swaps are written with r registers.");
            Same(ref scanner, destination.Number, 64);
            var bits = int.Parse(name[prefix.Length..], System.Globalization.CultureInfo.InvariantCulture);
            code.Add(Row(operation, 64, bits, OperandSource.None, column).Encode(destination.Number));
            return true;
        }
        var fetch = Syntax.Find(Syntax.AtomicFetches, name);
        if (fetch != Operation.Invalid)
        {
            scanner.Advance();
            scanner.Expect("(");
            var (_, bits) = ReadCast(ref scanner);
            var (register, offset) = ReadAddress(ref scanner, parentheses: true);
            scanner.Expect(",");
            CheckWidth(destination, bits, false, column);
            Same(ref scanner, destination.Number, destination.Width);
            scanner.Expect(")");
            code.Add(Row(fetch, bits, bits, OperandSource.Register, column).Encode(register, destination.Number, offset));
            return true;
        }
        switch (name)
        {
            case "xchg_64" or "xchg32_32":
                ParseExchange(ref scanner, code, destination, name == "xchg_64" ? 64 : 32, column);
                return true;
            case "cmpxchg_64" or "cmpxchg32_32":
                ParseCompareExchange(ref scanner, code, destination, name == "cmpxchg_64" ? 64 : 32, column);
                return true;
            case "load_acquire":
                ParseLoadAcquire(ref scanner, code, destination, column);
                return true;
            default:
                return false;
        }
    }

    private static void ParseLoadAcquire(ref LineScanner scanner, CodeBuffer code, (int Number, int Width) destination, int column)
    {
        scanner.Advance();
        scanner.Expect("(");
        var (_, bits) = ReadCast(ref scanner);
        var (register, offset) = ReadAddress(ref scanner, parentheses: true);
        scanner.Expect(")");
        CheckWidth(destination, bits, false, column);
        code.Add(Row(Operation.LoadAcquire, 64, bits, OperandSource.Register, column).Encode(destination.Number, register, offset));
    }

    private static void ParseExchange(ref LineScanner scanner, CodeBuffer code, (int Number, int Width) destination, int bits, int column)
    {
        scanner.Advance();
        scanner.Expect("(");
        var (register, offset) = ReadAddress(ref scanner, parentheses: false);
        scanner.Expect(",");
        CheckWidth(destination, bits, false, column);
        Same(ref scanner, destination.Number, destination.Width);
        scanner.Expect(")");
        code.Add(Row(Operation.AtomicExchange, bits, bits, OperandSource.Register, column).Encode(register, destination.Number, offset));
    }

    private static void ParseCompareExchange(ref LineScanner scanner, CodeBuffer code, (int Number, int Width) destination, int bits, int column)
    {
        scanner.Advance();
        scanner.Expect("(");
        var (register, offset) = ReadAddress(ref scanner, parentheses: false);
        scanner.Expect(",");
        CheckWidth(destination, bits, false, column);
        if (destination.Number != 0) throw new SyntaxException("UB1124", column, "compare-exchange compares with r0 and leaves the old value there.");
        Same(ref scanner, 0, destination.Width);
        scanner.Expect(",");
        var source = ReadRegister(ref scanner, destination.Width);
        scanner.Expect(")");
        code.Add(Row(Operation.AtomicCompareExchange, bits, bits, OperandSource.Register, column).Encode(register, source, offset));
    }

    // A number of 64 bits, or what RFC 9669 section 5.4 calls map_by_idx and so on; "ll" follows.
    private static void ParseWide(ref LineScanner scanner, CodeBuffer code, AssemblerNames names, (int Number, int Width) destination)
    {
        var column = scanner.Column;
        if (destination.Width != 64) throw new SyntaxException("UB1124", column, "64-bit immediates are loaded into r registers.");
        if (scanner.Kind != TokenKind.Word)
        {
            var value = ReadWideNumber(ref scanner);
            code.AddWide(WideKind.Number, destination.Number, (int)value, (int)(value >> 32));
        }
        else if (scanner.Take("map_val"))
        {
            scanner.Expect("(");
            var (kind, index) = ReadMap(ref scanner, names);
            scanner.Expect(")");
            var offset = scanner.Is("ll") ? 0 : ReadDisplacement(ref scanner, int.MinValue, int.MaxValue);
            code.AddWide(kind == WideKind.MapFd ? WideKind.MapValueFd : WideKind.MapValueIndex, destination.Number, index, (int)offset);
        }
        else if (scanner.Take("var_addr"))
        {
            scanner.Expect("(");
            code.AddWide(WideKind.Variable, destination.Number, ReadImmediate(ref scanner, 32), 0);
            scanner.Expect(")");
        }
        else if (scanner.Take("code_addr"))
        {
            scanner.Expect("(");
            code.AddWide(WideKind.Function, destination.Number, ReadTarget(ref scanner, code, inImmediate: true), 0);
            scanner.Expect(")");
        }
        else
        {
            var (kind, index) = ReadMap(ref scanner, names);
            code.AddWide(kind, destination.Number, index, 0);
        }
        scanner.Expect("ll");
    }

    // map_by_fd(N), map_by_idx(N), or a map's name, which may stand in place of the number.
    private static (WideKind Kind, int Index) ReadMap(ref LineScanner scanner, AssemblerNames names)
    {
        var column = scanner.Column;
        var name = scanner.Word("a map");
        if (name is not ("map_by_fd" or "map_by_idx")) return (WideKind.MapIndex, FindMap(names, name, column));
        scanner.Expect("(");
        column = scanner.Column;
        var index = scanner.Kind == TokenKind.Word ? FindMap(names, scanner.Word("a map"), column) : ReadImmediate(ref scanner, 32);
        scanner.Expect(")");
        return (name == "map_by_fd" ? WideKind.MapFd : WideKind.MapIndex, index);
    }

    private static int FindMap(AssemblerNames names, string name, int column)
    {
        for (var index = 0; index < names.Maps.Count; index++)
        {
            if (names.Maps[index].Name == name) return index;
        }
        throw new SyntaxException("UB1122", column, $"there is no map '{name}'.");
    }

    private static void ParseStore(ref LineScanner scanner, CodeBuffer code)
    {
        var column = scanner.Column;
        var (_, bits) = ReadPointerType(ref scanner, signed: false, unsigned: true);
        var (register, offset) = ReadAddress(ref scanner, parentheses: true);
        scanner.Expect("=");
        if (RegisterOf(scanner) is { } source)
        {
            CheckWidth(source, bits, false, scanner.Column);
            scanner.Advance();
            code.Add(Row(Operation.Store, 64, bits, OperandSource.Register, column).Encode(register, source.Number, offset));
            return;
        }
        code.Add(Row(Operation.Store, 64, bits, OperandSource.Immediate, column).Encode(register, offset: offset, immediate: ReadImmediate(ref scanner, bits)));
    }

    private static void ParseAtomic(ref LineScanner scanner, CodeBuffer code)
    {
        var column = scanner.Column;
        var (_, bits) = ReadPointerType(ref scanner, signed: false, unsigned: true);
        var (register, offset) = ReadAddress(ref scanner, parentheses: true);
        var operation = Syntax.Find(Syntax.AtomicAssignments, scanner.Kind == TokenKind.Symbol ? scanner.Text : "");
        if (operation == Operation.Invalid) throw scanner.Unexpected("'+=', '|=', '&=' or '^='");
        scanner.Advance();
        var source = ReadMemoryRegister(ref scanner, bits);
        code.Add(Row(operation, bits, bits, OperandSource.Register, column).Encode(register, source, offset));
    }

    private static void ParseStoreRelease(ref LineScanner scanner, CodeBuffer code)
    {
        var column = scanner.Column;
        scanner.Expect("(");
        var (_, bits) = ReadCast(ref scanner);
        var (register, offset) = ReadAddress(ref scanner, parentheses: true);
        scanner.Expect(",");
        var source = ReadMemoryRegister(ref scanner, bits);
        scanner.Expect(")");
        code.Add(Row(Operation.StoreRelease, 64, bits, OperandSource.Register, column).Encode(register, source, offset));
    }

    private static void ParseJump(ref LineScanner scanner, CodeBuffer code, OpcodeRow row)
    {
        var distance = ReadTarget(ref scanner, code, row.IsLongJump);
        code.Add(row.IsLongJump ? row.Encode(immediate: distance) : row.Encode(offset: (short)distance));
    }

    private static void ParseConditionalJump(ref LineScanner scanner, CodeBuffer code)
    {
        var column = scanner.Column;
        if (RegisterOf(scanner) is not { } left) throw scanner.Unexpected("a register");
        scanner.Advance();
        var operation = Syntax.Find(Syntax.Comparisons, scanner.Kind == TokenKind.Symbol ? scanner.Text : "");
        if (operation == Operation.Invalid) throw scanner.Unexpected("a comparison");
        scanner.Advance();
        var source = RegisterOf(scanner) is null ? OperandSource.Immediate : OperandSource.Register;
        var register = source == OperandSource.Register ? ReadRegister(ref scanner, left.Width) : 0;
        var immediate = source == OperandSource.Immediate ? ReadImmediate(ref scanner, left.Width) : 0;
        scanner.Expect("goto");
        var distance = ReadTarget(ref scanner, code, inImmediate: false);
        code.Add(Row(operation, left.Width, 0, source, column).Encode(left.Number, register, (short)distance, immediate));
    }

    private static void ParseCall(ref LineScanner scanner, CodeBuffer code, AssemblerNames names)
    {
        var column = scanner.Column;
        if (scanner.Kind != TokenKind.Word)
        {
            code.Add(Call(Operation.CallHelper, ReadImmediate(ref scanner, 32)));
            return;
        }
        if (scanner.Take("pc"))
        {
            code.Add(Call(Operation.CallSubprogram, (int)ReadDisplacement(ref scanner, int.MinValue, int.MaxValue)));
            return;
        }
        var wantsKfunc = scanner.Take("kfunc");
        if (wantsKfunc && scanner.Kind != TokenKind.Word)
        {
            code.Add(Call(Operation.CallKfunc, ReadImmediate(ref scanner, 32)));
            return;
        }
        var name = scanner.Word("a function");
        if (!wantsKfunc && names.Labels.Contains(name))
        {
            code.Refer(name, inImmediate: true, column);
            code.Add(Call(Operation.CallSubprogram, 0));
            return;
        }
        var function = names.Functions.All.FirstOrDefault(known => known.Name == name && (known.Kind == FunctionKind.Kfunc || !wantsKfunc))
            ?? throw new SyntaxException("UB1122", column, $"there is no label, helper or kfunc '{name}'.");
        code.Add(Call(function.Kind == FunctionKind.Kfunc ? Operation.CallKfunc : Operation.CallHelper, function.Id));

        OpcodeRow CallRow(Operation operation) => Row(operation, 64, 0, OperandSource.Immediate, column);
        Instruction Call(Operation operation, int immediate) => CallRow(operation).Encode(immediate: immediate);
    }

    private static OpcodeRow Row(Operation operation, int width, int bits, OperandSource source, int column) =>
        OpcodeTable.Find(operation, width, bits, source)
        ?? throw new SyntaxException("UB1124", column, $"the instruction set has no {operation} of this width and size.");

    // *(u32 *)
    private static (bool Signed, int Bits) ReadPointerType(ref LineScanner scanner, bool signed, bool unsigned)
    {
        scanner.Expect("*");
        scanner.Expect("(");
        var type = ReadType(ref scanner, signed, unsigned);
        scanner.Expect("*");
        scanner.Expect(")");
        return type;
    }

    // (u32 *)
    private static (bool Signed, int Bits) ReadCast(ref LineScanner scanner)
    {
        scanner.Expect("(");
        var type = ReadType(ref scanner, signed: false, unsigned: true);
        scanner.Expect("*");
        scanner.Expect(")");
        return type;
    }

    private static (bool Signed, int Bits) ReadType(ref LineScanner scanner, bool signed, bool unsigned)
    {
        var bits = scanner.Kind == TokenKind.Word && scanner.Text is { Length: 2 or 3 } text ? text[1..] switch { "8" => 8, "16" => 16, "32" => 32, "64" => 64, _ => 0 } : 0;
        var isSigned = bits != 0 && scanner.Text[0] == 's';
        if (bits == 0 || (isSigned ? !signed : !unsigned || scanner.Text[0] != 'u'))
            throw scanner.Unexpected(signed && unsigned ? "a type such as u32 or s32" : signed ? "a type such as s8" : "a type such as u32");
        scanner.Advance();
        return (isSigned, bits);
    }

    // (r1 + 4), or r1 + 4
    private static (int Register, short Offset) ReadAddress(ref LineScanner scanner, bool parentheses)
    {
        if (parentheses) scanner.Expect("(");
        var register = ReadRegister(ref scanner, 64);
        var offset = scanner.Is("+") || scanner.Is("-") ? ReadDisplacement(ref scanner, short.MinValue, short.MaxValue) : 0;
        if (parentheses) scanner.Expect(")");
        return (register, (short)offset);
    }

    private static long ReadDisplacement(ref LineScanner scanner, long min, long max)
    {
        var column = scanner.Column;
        var negative = scanner.Take("-");
        if (!negative) scanner.Expect("+");
        var magnitude = ReadUnsigned(ref scanner);
        var value = negative ? unchecked(-(long)magnitude) : (long)magnitude;
        return magnitude <= (ulong)long.MaxValue && value >= min && value <= max ? value : throw OutOfRange(column, min, max);
    }

    // +N, -N, or a label, which is filled in later. "<symbol>" may follow, as llvm-objdump prints it.
    private static int ReadTarget(ref LineScanner scanner, CodeBuffer code, bool inImmediate)
    {
        if (scanner.Kind == TokenKind.Word)
        {
            code.Refer(scanner.Text, inImmediate, scanner.Column);
            scanner.Advance();
            return 0;
        }
        var distance = inImmediate ? ReadDisplacement(ref scanner, int.MinValue, int.MaxValue) : ReadDisplacement(ref scanner, short.MinValue, short.MaxValue);
        if (scanner.Is("<")) scanner.SkipRest();
        return (int)distance;
    }

    // An immediate of 32 bits. At 64 bits it is sign-extended, so there only what stays the same is accepted.
    private static int ReadImmediate(ref LineScanner scanner, int width)
    {
        var column = scanner.Column;
        var negative = scanner.Take("-");
        var magnitude = ReadUnsigned(ref scanner);
        var max = width == 64 ? int.MaxValue : uint.MaxValue;
        if (magnitude > (negative ? 1UL << 31 : max)) throw OutOfRange(column, int.MinValue, max, width == 64 ? "; larger numbers are loaded with 'll'" : "");
        return negative ? (int)-(long)magnitude : (int)(uint)magnitude;
    }

    private static ulong ReadWideNumber(ref LineScanner scanner)
    {
        var column = scanner.Column;
        var negative = scanner.Take("-");
        var magnitude = ReadUnsigned(ref scanner);
        if (negative && magnitude > 1UL << 63) throw OutOfRange(column, long.MinValue, ulong.MaxValue);
        return negative ? unchecked(0 - magnitude) : magnitude;
    }

    private static ulong ReadUnsigned(ref LineScanner scanner)
    {
        if (scanner.Kind != TokenKind.Number) throw scanner.Unexpected("a number");
        var value = scanner.Number;
        scanner.Advance();
        return value;
    }

    private static SyntaxException OutOfRange(int column, decimal min, decimal max, string hint = "") =>
        new("UB1121", column, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"the number must be {min} to {max}{hint}."));

    // A register of a memory operand: r or w for 32 bits and less, r for 64.
    private static int ReadMemoryRegister(ref LineScanner scanner, int bits)
    {
        if (RegisterOf(scanner) is not { } register) throw scanner.Unexpected("a register");
        CheckWidth(register, bits, false, scanner.Column);
        scanner.Advance();
        return register.Number;
    }

    private static void CheckWidth((int Number, int Width) register, int bits, bool signed, int column)
    {
        if (register.Width == 32 && (bits == 64 || signed))
            throw new SyntaxException("UB1124", column, $"this needs all 64 bits: write r{register.Number}.");
    }

    private static int ReadRegister(ref LineScanner scanner, int width)
    {
        if (RegisterOf(scanner) is not { } register) throw scanner.Unexpected("a register");
        if (register.Width != width) throw new SyntaxException("UB1124", scanner.Column, $"the operands have one width: write {(width == 64 ? 'r' : 'w')}{register.Number}.");
        scanner.Advance();
        return register.Number;
    }

    // The destination, written again as an operand.
    private static void Same(ref LineScanner scanner, int number, int width)
    {
        var column = scanner.Column;
        if (ReadRegister(ref scanner, width) != number) throw new SyntaxException("UB1124", column, $"the operand must be register {number}, as on the left.");
    }

    private static (int Number, int Width)? RegisterOf(in LineScanner scanner) => scanner.Kind == TokenKind.Word ? RegisterOf(scanner.Text) : null;

    // r0..r15: what is not there (above 10) can be written, so that every slot has a text; BytecodeChecker refuses it.
    private static (int Number, int Width)? RegisterOf(string text)
    {
        if (text.Length is < 2 or > 3 || text[0] is not ('r' or 'w') || (text.Length == 3 && text[1] == '0')) return null;
        var number = 0;
        foreach (var digit in text.AsSpan(1))
        {
            if (!char.IsAsciiDigit(digit)) return null;
            number = number * 10 + digit - '0';
        }
        return number <= 15 ? (number, text[0] == 'r' ? 64 : 32) : null;
    }
}
