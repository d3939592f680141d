using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Turns instructions into what <see cref="InterpreterLoop{TMetering}"/> runs: one for each slot, so that jump distances stay.</summary>
internal unsafe ref struct Decoder(VerifiedProgram verified, MapSet maps, FunctionRegistry functions, GCHandle registry, DecodedInstruction* code, DecodedCallback* callbacks)
{
    /// <summary>Code of each opcode row; calls, wide immediates and exit are decoded by hand.</summary>
    public static ReadOnlySpan<Code> Codes => s_codes;

    private static readonly Code[] s_codes = CodesByRow();

    public readonly void Decode()
    {
        var metered = verified.Termination == Termination.Metered;
        for (var i = 0; i < verified.Subprograms.Length; i++)
        {
            callbacks[i].Start = code + verified.Subprograms[i].Start;
            callbacks[i].Cost = metered ? verified.CallCosts[i] : 0;
            callbacks[i].Target.Self = (nint)(callbacks + i);
            callbacks[i].Target.Invoke = metered ? &InterpretedProgram.InvokeMetered : &InterpretedProgram.InvokeProved;
        }
        var instructions = verified.Spec.Instructions;
        for (var slot = 0; slot < instructions.Length; slot++)
        {
            var instruction = instructions[slot];
            var row = OpcodeTable.Find(instruction) ?? throw Invalid(slot);
            var decoded = code + slot;
            decoded->Dst = (byte)instruction.Destination;
            decoded->Src = (byte)instruction.Source;
            decoded->Offset = instruction.Offset;
            decoded->Immediate = instruction.Immediate;
            // Dead code may name what can't be resolved; it is not run.
            if (!verified.Facts[slot].Reached) decoded->Code = Code.Exit;
            else if (row.IsJump) DecodeJump(row, instruction, slot);
            else if (row.IsCall) DecodeCall(row, instruction, slot);
            else if (row.Operation == Operation.LoadImmediate64) DecodeWide(row, instruction, slot);
            else if (row.Operation == Operation.Exit) decoded->Code = Code.Exit;
            else DecodePlain(row, slot);
            // The loop steps over the second slot.
            if (row.Slots == 2) slot++;
        }
        Fuse(instructions.Length);
    }

    // Gives two instructions in a row that one code can do to the first of them. The second stays decoded as it is, for
    // jumps to it. An instruction costs the interpreter a jump it can hardly predict, so fewer are better.
    private readonly void Fuse(int slots)
    {
        for (var slot = 0; slot + 1 < slots; slot++)
        {
            var first = code + slot;
            var width = first->Code == Code.LoadWide ? 2 : 1;
            var second = first + width;
            if (slot + width < slots && s_pairs.TryGetValue((first->Code, second->Code), out var both) && FitTogether(first, second)) first->Code = both;
            slot += width - 1;
        }
    }

    private static bool FitTogether(DecodedInstruction* first, DecodedInstruction* second) => first->Code switch
    {
        // What is moved is worked on in its new place, by something else.
        Code.Move64 or Code.Move32 or Code.LoadWide => second->Dst == first->Dst && (second->Src != first->Dst || second->Code is not (Code.Add64 or Code.Subtract64 or Code.Xor64)),
        Code.ShiftLeft64Imm => second->Dst == first->Dst,
        _ => true,
    };

    private readonly void DecodePlain(OpcodeRow row, int slot)
    {
        var decoded = code + slot;
        decoded->Code = s_codes[row.Index];
        switch (row.Operation)
        {
            case Operation.ToLittleEndian:
                decoded->Src = decoded->Dst;
                break;
            case Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect:
                decoded->Offset = row.Bits / 8;
                break;
            case Operation.Load or Operation.LoadSignExtend or Operation.Store when TranslatedField(row, slot) is { } field:
                decoded->Offset += field.HostOffset - field.Offset;
                // A 32-bit field that is a pointer in the host's layout.
                if (field.Kind is ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd) decoded->Code = Code.Load64;
                break;
        }
    }

    private readonly void DecodeJump(OpcodeRow row, in Instruction instruction, int slot)
    {
        var decoded = code + slot;
        decoded->Target = row.IsLongJump ? instruction.Immediate : instruction.Offset;
        decoded->Charge = Math.Max(1, -decoded->Target);
        decoded->Code = s_codes[row.Index];
    }

    private readonly void DecodeWide(OpcodeRow row, in Instruction instruction, int slot)
    {
        var decoded = code + slot;
        var next = verified.Spec.Instructions[slot + 1];
        decoded->Code = Code.LoadWide;
        decoded->Immediate = row.Wide switch
        {
            WideKind.Number => instruction.WideImmediate(next),
            WideKind.MapIndex => (long)Map(instruction.Immediate),
            WideKind.MapValueIndex => (long)Map(instruction.Immediate)->Data + next.Immediate,
            WideKind.Function => (long)(callbacks + FunctionAt(slot + 1 + instruction.Immediate, slot)),
            _ => throw Invalid(slot),
        };
    }

    private readonly void DecodeCall(OpcodeRow row, in Instruction instruction, int slot)
    {
        var decoded = code + slot;
        if (row.Operation == Operation.CallSubprogram)
        {
            decoded->Code = Code.CallSubprogram;
            decoded->Target = instruction.Immediate;
            if (verified.Termination == Termination.Metered) decoded->Charge = verified.CallCosts[FunctionAt(slot + 1 + instruction.Immediate, slot)];
            return;
        }
        if (row.Operation == Operation.CallRegister)
        {
            decoded->Code = Code.CallRegister;
            decoded->Immediate = GCHandle.ToIntPtr(registry);
            return;
        }
        var prototype = verified.Spec.Functions.Find(row, instruction) ?? throw Invalid(slot);
        if ((prototype.Traits & FunctionTraits.TailCall) != 0)
        {
            decoded->Code = Code.TailCall;
            return;
        }
        var map = verified.Facts[slot].Map;
        var function = map >= 0 ? functions.Specialize(prototype, verified.Spec.Maps[map]) : functions.Find(prototype);
        if (function == null) throw new BpfException("UB4005", $"{verified.Spec.Name}: {prototype.Name} has no code in the function registry.", slot);
        decoded->Immediate = function.Pointer;
        if (verified.Termination == Termination.Metered && (prototype.Acquires || prototype.Releases))
        {
            decoded->Code = Code.CallHolding;
            decoded->Target = function.Arity;
            decoded->Charge = (int)((function.TakesState ? InterpretedProgram.Holding.TakesState : 0)
                | (prototype.Acquires ? InterpretedProgram.Holding.Acquires : 0)
                | (prototype.Returns == ReturnKind.RecordOrNull ? InterpretedProgram.Holding.OnlyUnlessNull : 0)
                | (prototype.Releases ? InterpretedProgram.Holding.Releases : 0));
            return;
        }
        if ((prototype.Traits & FunctionTraits.CallsBack) == 0) decoded->Code = (function.TakesState ? Code.CallState0 : Code.Call0) + (ushort)function.Arity;
        else if (function is { Arity: 4, TakesState: true }) decoded->Code = Code.CallBack;
        else throw new BpfException("UB4005", $"{verified.Spec.Name}: {prototype.Name} calls back, so it must take four arguments and the state.", slot);
    }

    // The context field an access is to, where the program's view is not the host's.
    private readonly ContextField? TranslatedField(OpcodeRow row, int slot)
    {
        var facts = verified.Facts[slot];
        if (facts.Region != RegionKind.Context || facts.OffsetMin != facts.OffsetMax) return null;
        return verified.Type.Context.Find(facts.OffsetMin, row.AccessBytes) is { IsTranslated: true } field ? field : null;
    }

    private readonly int FunctionAt(int start, int slot)
    {
        for (var i = 0; i < verified.Subprograms.Length; i++)
        {
            if (verified.Subprograms[i].Start == start) return i;
        }
        throw Invalid(slot);
    }

    private readonly MapHeader* Map(int index) => maps[verified.Spec.Maps[index]].Header;

    private readonly BpfException Invalid(int slot) =>
        new("UB4005", $"{verified.Spec.Name}: instruction {slot} reached the interpreter, which has no code for it.", slot);

    /// <summary>Two codes in a row that one code can do.</summary>
    public static IReadOnlyDictionary<(Code First, Code Second), Code> Pairs => s_pairs;

    private static readonly Dictionary<(Code, Code), Code> s_pairs = new()
    {
        [(Code.Move64, Code.Add64Imm)] = Code.MoveAdd64Imm,
        [(Code.Move64, Code.And64Imm)] = Code.MoveAnd64Imm,
        [(Code.Move64, Code.Or64Imm)] = Code.MoveOr64Imm,
        [(Code.Move64, Code.Xor64Imm)] = Code.MoveXor64Imm,
        [(Code.Move64, Code.Multiply64Imm)] = Code.MoveMultiply64Imm,
        [(Code.Move64, Code.ShiftLeft64Imm)] = Code.MoveShiftLeft64Imm,
        [(Code.Move64, Code.ShiftRight64Imm)] = Code.MoveShiftRight64Imm,
        [(Code.Move64, Code.ShiftRightArithmetic64Imm)] = Code.MoveShiftRightArithmetic64Imm,
        [(Code.Move64, Code.Add64)] = Code.MoveAdd64,
        [(Code.Move64, Code.Subtract64)] = Code.MoveSubtract64,
        [(Code.Move64, Code.Xor64)] = Code.MoveXor64,
        [(Code.Move32, Code.Add32Imm)] = Code.MoveAdd32Imm,
        [(Code.Move32, Code.And32Imm)] = Code.MoveAnd32Imm,
        [(Code.Move32, Code.ShiftLeft32Imm)] = Code.MoveShiftLeft32Imm,
        [(Code.Move32, Code.ShiftRight32Imm)] = Code.MoveShiftRight32Imm,
        [(Code.LoadWide, Code.Add64)] = Code.LoadWideAdd64,
        [(Code.Add64, Code.Load8)] = Code.Add64Load8,
        [(Code.Add64, Code.Load16)] = Code.Add64Load16,
        [(Code.Add64, Code.Load32)] = Code.Add64Load32,
        [(Code.Add64, Code.Load64)] = Code.Add64Load64,
        [(Code.Load8, Code.Store8)] = Code.Load8Store8,
        [(Code.Load16, Code.Store16)] = Code.Load16Store16,
        [(Code.Load32, Code.Store32)] = Code.Load32Store32,
        [(Code.Load64, Code.Store64)] = Code.Load64Store64,
        [(Code.ShiftLeft64Imm, Code.ShiftRight64Imm)] = Code.ShiftLeftShiftRight64Imm,
        [(Code.Add64Imm, Code.JumpNotEqual64Imm)] = Code.Add64ImmJumpNotEqual64Imm,
        [(Code.Add64Imm, Code.JumpEqual64Imm)] = Code.Add64ImmJumpEqual64Imm,
        [(Code.Add64Imm, Code.JumpLess64Imm)] = Code.Add64ImmJumpLess64Imm,
        [(Code.Add64Imm, Code.JumpNotEqual64)] = Code.Add64ImmJumpNotEqual64,
        [(Code.JumpEqual64Imm, Code.Jump)] = Code.JumpEqual64ImmElseJump,
        [(Code.JumpNotEqual64Imm, Code.Jump)] = Code.JumpNotEqual64ImmElseJump,
    };

    private static Code[] CodesByRow()
    {
        var codes = new Code[OpcodeTable.Rows.Length];
        foreach (var row in OpcodeTable.Rows)
        {
            if (row.IsCall || row.Operation is Operation.LoadImmediate64 or Operation.Exit) continue;
            var immediate = row.Source == OperandSource.Immediate ? "Imm" : "";
            var name = row.Operation switch
            {
                // On a little-endian host it truncates; 64 bits stay as they are.
                Operation.ToLittleEndian => row.Bits == 64 ? "Move64" : $"Truncate{row.Bits}",
                Operation.ToBigEndian or Operation.ByteSwap => $"Swap{row.Bits}",
                Operation.MoveSignExtend => $"SignExtend{row.Bits}To{row.Width}",
                Operation.LoadSignExtend => $"LoadSigned{row.Bits}",
                Operation.Load => $"Load{row.Bits}",
                Operation.Store => $"Store{row.Bits}{immediate}",
                >= Operation.AtomicAdd and <= Operation.StoreRelease => $"{row.Operation}{row.Bits}",
                Operation.Jump or Operation.MayGoto or Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect => $"{row.Operation}",
                _ => $"{row.Operation}{row.Width}{immediate}",
            };
            codes[row.Index] = Enum.Parse<Code>(name);
        }
        return codes;
    }
}
