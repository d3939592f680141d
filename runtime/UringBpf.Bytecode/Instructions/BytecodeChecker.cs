using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// Checks what can be seen of bytecode without following what it computes: instructions that exist, registers that exist,
/// jumps and calls that meet instructions. Any engine may execute what passes, if it checks memory accesses; the
/// verifier makes these checks, and all others, itself.
/// </summary>
public static class BytecodeChecker
{
    private const int LastRegister = 10;

    /// <summary>Checks a program.</summary>
    /// <returns>Its functions in order, without gaps: every slot belongs to one. The first is the program itself.</returns>
    /// <exception cref="BpfException">UB1102 to UB1110, with the slot.</exception>
    public static ImmutableArray<Subprogram> Check(ProgramSpec program) => Find(program, out var functions) is { } error ? throw error : functions;

    /// <summary>Checks a program.</summary>
    /// <param name="program">The program.</param>
    /// <param name="functions">Its functions, as for <see cref="Check"/>; empty when it is malformed.</param>
    /// <param name="error">The first thing wrong, or null.</param>
    /// <returns>True when it is well formed.</returns>
    public static bool TryCheck(ProgramSpec program, out ImmutableArray<Subprogram> functions, out BpfException? error) => (error = Find(program, out functions)) is null;

    private static BpfException? Find(ProgramSpec program, out ImmutableArray<Subprogram> functions)
    {
        ArgumentNullException.ThrowIfNull(program);
        functions = [];
        var code = program.Instructions;
        if (code.Length is 0 or > Limits.InstructionsPerProgram)
            return new BpfException("UB1110", $"{program.Name}: {code.Length} slots; a program has 1 to {Limits.InstructionsPerProgram}.");
        var rows = new OpcodeRow?[code.Length];
        for (var slot = 0; slot < code.Length; slot++)
        {
            if (CheckInstruction(code, slot, out var row) is { } error) return error;
            rows[slot] = row;
            slot += row!.Slots - 1;
        }
        if (FindFunctions(program, rows, out var found) is { } misplaced) return misplaced;
        foreach (var function in found)
        {
            if (CheckFlow(code, rows, function) is { } error) return error;
        }
        functions = found;
        return null;
    }

    private static BpfException? CheckInstruction(ImmutableArray<Instruction> code, int slot, out OpcodeRow? row)
    {
        var instruction = code[slot];
        row = OpcodeTable.Find(instruction);
        if (row is null)
        {
            return Error("UB1102", slot, $"opcode 0x{instruction.Opcode:x2} (source {instruction.Source}, offset {instruction.Offset}, " +
                $"immediate {instruction.Immediate}) is not defined.");
        }
        if (OpcodeTable.HasReservedBits(row, instruction))
            return Error("UB1103", slot, $"a field that {row.Operation} (0x{instruction.Opcode:x2}) does not use is not zero.");
        if (((row.Uses & OperandFields.Destination) != 0 && instruction.Destination > LastRegister)
            || ((row.Uses & OperandFields.Source) != 0 && instruction.Source > LastRegister))
        {
            return Error("UB1104", slot, "a register above r10 does not exist.");
        }
        if ((row.WritesDestination && instruction.Destination == LastRegister) || (row.WritesSource && instruction.Source == LastRegister))
            return Error("UB1104", slot, "r10, the frame pointer, can't be written.");
        if (row.Slots == 2 && (slot + 1 == code.Length || code[slot + 1] != new Instruction(0, immediate: code[slot + 1].Immediate)))
            return Error("UB1108", slot, "a 64-bit immediate takes two slots; the second is missing or has fields that must be zero.");
        return null;
    }

    private static BpfException? FindFunctions(ProgramSpec program, OpcodeRow?[] rows, out ImmutableArray<Subprogram> functions)
    {
        var names = new Dictionary<int, Subprogram>();
        var starts = new SortedSet<int> { 0 };
        functions = [];
        foreach (var function in program.Subprograms)
        {
            if (function.Start < 0 || function.Start >= rows.Length || rows[function.Start] is null)
                return Error("UB1109", 0, $"function '{function.Name}' starts at slot {function.Start}, which is no instruction.");
            names[function.Start] = function;
            starts.Add(function.Start);
        }
        for (var slot = 0; slot < rows.Length; slot++)
        {
            if (rows[slot] is not { } row || (row.Operation != Operation.CallSubprogram && row.Wide != WideKind.Function)) continue;
            var target = slot + 1L + program.Instructions[slot].Immediate;
            if (target < 0 || target >= rows.Length || rows[target] is null)
                return Error("UB1109", slot, $"the function at slot {target} is outside the program or in the middle of an instruction.");
            starts.Add((int)target);
        }
        var ordered = starts.ToArray();
        functions = [.. ordered.Select((start, index) =>
        {
            var named = names.GetValueOrDefault(start) ?? new Subprogram(start == 0 ? program.Name : $"function_{start}", start, 0);
            return named with { Length = (index + 1 < ordered.Length ? ordered[index + 1] : rows.Length) - start };
        })];
        return null;
    }

    private static BpfException? CheckFlow(ImmutableArray<Instruction> code, OpcodeRow?[] rows, Subprogram function)
    {
        for (var slot = function.Start; slot < function.End; slot++)
        {
            if (rows[slot] is not { } row) continue;
            if (row.IsJump)
            {
                var target = slot + 1L + (row.IsLongJump ? code[slot].Immediate : code[slot].Offset);
                if (target < function.Start || target >= function.End)
                    return Error("UB1105", slot, $"the jump goes to slot {target}, outside its function '{function.Name}' ({function.Start}..{function.End - 1}).");
                if (rows[target] is null)
                    return Error("UB1106", slot, $"the jump goes to slot {target}, into the middle of a 16-byte instruction.");
            }
            if (row.Operation is not (Operation.Exit or Operation.Jump) && slot + row.Slots >= function.End)
                return Error("UB1107", slot, $"function '{function.Name}' does not end with exit or a jump: execution would fall off its end.");
        }
        return null;
    }

    private static BpfException Error(string code, int slot, string message) => new(code, $"instruction {slot}: {message}", slot);
}
