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
    /// <param name="symbols">Names of addresses.</param>
    /// <exception cref="BpfException">UB3003 on processors other than x86-64.</exception>
    public static void Annotate(IReadOnlyList<ListingRow> rows, ProgramGraph program, byte[] bytes, nint place, SymbolTable symbols)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw new BpfException("UB3003", $"machine code can be shown on x86-64 only, this is {RuntimeInformation.ProcessArchitecture}.");
        var instructions = Decode(bytes);
        var labels = Labels(instructions);
        var owners = MachineCodeMap.Align([.. rows.Select(row => row.Slot)], program, instructions, place, symbols);
        var formatter = new NasmFormatter(new Resolver(symbols, labels, (ulong)place));
        formatter.Options.RipRelativeAddresses = true;
        formatter.Options.HexPrefix = "0x";
        formatter.Options.HexSuffix = "";
        formatter.Options.UppercaseHex = false;
        formatter.Options.SpaceAfterOperandSeparator = true;
        var output = new StringOutput();
        for (var i = 0; i < instructions.Count; i++)
        {
            var row = rows[owners[i]];
            if (labels.TryGetValue(instructions[i].IP, out var label)) row.Machine.Add(label + ":");
            formatter.Format(instructions[i], output);
            row.Machine.Add(output.ToStringAndReset());
        }
    }

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
