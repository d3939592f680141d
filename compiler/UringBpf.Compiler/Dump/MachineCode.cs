using System.Runtime.InteropServices;
using Iced.Intel;
using UringBpf.Bytecode;
using Instruction = Iced.Intel.Instruction;

namespace UringBpf.Compiler;

/// <summary>Decodes machine code, puts names for addresses, and finds the BPF instruction each part belongs to.</summary>
internal static class MachineCode
{
    /// <summary>Adds to each row the machine instructions that belong to it.</summary>
    /// <param name="rows">The rows of a method.</param>
    /// <param name="program">The program.</param>
    /// <param name="bytes">Its machine code.</param>
    /// <param name="place">Where that lies: what it refers to by distance is found from there.</param>
    /// <param name="parameters">The types of the method's arguments.</param>
    /// <param name="symbols">Names of addresses.</param>
    /// <exception cref="BpfException">UB3003 on processors other than x86-64.</exception>
    public static void Annotate(IReadOnlyList<ListingRow> rows, ProgramGraph program, byte[] bytes, nint place, Type[] parameters, SymbolTable symbols)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw new BpfException("UB3003", $"machine code can be shown on x86-64 only, this is {RuntimeInformation.ProcessArchitecture}.");
        var instructions = Decode(bytes);
        var labels = Labels(instructions);
        var values = new RegisterValues(instructions, place, parameters, symbols);
        var owners = MachineCodeMap.Align([.. rows.Select(row => row.Slot)], program, instructions,
            [.. instructions.Select((_, index) => values.Field(index) != null)], [.. instructions.Select((_, index) => values.Callee(index))], symbols);
        var formatter = new NasmFormatter(new Resolver(symbols, labels, (ulong)place));
        formatter.Options.RipRelativeAddresses = true;
        formatter.Options.HexPrefix = "0x";
        formatter.Options.HexSuffix = "";
        formatter.Options.UppercaseHex = false;
        formatter.Options.SpaceAfterOperandSeparator = true;
        var output = new StringOutput();
        var (above, below) = Neighbours(owners);
        for (var i = 0; i < instructions.Count; i++)
        {
            var lines = rows[owners[i]].Machine;
            if (labels.TryGetValue(instructions[i].IP, out var label)) lines.Add(label + ":");
            // Code that was moved stands with its BPF instruction: what runs before and after it is elsewhere then.
            if (i > 0 && above[i] != i - 1 && FallsThrough(instructions[i - 1])) lines.Add($"; from {Place(i - 1)}");
            formatter.Format(instructions[i], output);
            var text = output.ToStringAndReset();
            var note = instructions[i].Op0Kind != OpKind.NearBranch64 && !instructions[i].IsIPRelativeMemoryOperand ? values.Callee(i) ?? values.Field(i) : null;
            lines.Add(note == null ? text : $"{text,-24} ; {note}");
            if (i + 1 < instructions.Count && below[i] != i + 1 && FallsThrough(instructions[i])) lines.Add($"; on to {Place(i + 1)}");
        }

        string Place(int index) => rows[owners[index]].Slot is >= 0 and var slot ? $"{slot}" : "the start";
    }

    // For each instruction the ones that are shown above and below it; -1 for none.
    private static (int[] Above, int[] Below) Neighbours(int[] owners)
    {
        var above = new int[owners.Length];
        var below = new int[owners.Length];
        Array.Fill(below, -1);
        var last = -1;
        foreach (var index in Enumerable.Range(0, owners.Length).OrderBy(index => owners[index]))
        {
            above[index] = last;
            if (last >= 0) below[last] = index;
            last = index;
        }
        return (above, below);
    }

    /// <summary>True when what stands next may run next.</summary>
    internal static bool FallsThrough(in Instruction instruction) =>
        instruction.FlowControl is not (FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return);

    // Addresses count from 0: where the code lies does not matter.
    private static List<Instruction> Decode(byte[] bytes)
    {
        var decoder = Decoder.Create(64, bytes);
        var instructions = new List<Instruction>();
        while (decoder.IP < (ulong)bytes.Length) instructions.Add(decoder.Decode());
        return instructions;
    }

    private static Dictionary<ulong, string> Labels(List<Instruction> instructions)
    {
        var targets = instructions.Where(i => i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch && i.Op0Kind == OpKind.NearBranch64)
            .Select(i => i.NearBranchTarget).Distinct().Order().ToList();
        return targets.Select((target, index) => (target, index)).ToDictionary(pair => pair.target, pair => $"M{pair.index}");
    }

    private sealed class Resolver(SymbolTable symbols, Dictionary<ulong, string> labels, ulong place) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = default;
            var name = instruction.Op0Kind == OpKind.NearBranch64 && labels.TryGetValue(address, out var label) ? label
                : symbols.Find(instruction.IsIPRelativeMemoryOperand || instruction.Op0Kind == OpKind.NearBranch64 ? address + place : address);
            if (name is null) return false;
            symbol = new SymbolResult(address, name);
            return true;
        }
    }
}
