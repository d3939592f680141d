using System.Diagnostics;
using Xunit;

namespace UringBpf.Bytecode.Tests.Text;

/// <summary>The text is llvm-objdump's, compared with the tool itself on every row it knows.</summary>
public sealed class ObjdumpSyntaxTests
{
    [Fact]
    public void EveryRowReadsAsInObjdump()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/llvm-mc-19"), "llvm-mc-19 is not installed");
        var random = new Random(9669);
        var compared = 0;
        var rows = OpcodeTable.Rows.Where(IsWrittenAsInLlvm).ToArray();
        var slots = rows.Select(row => Random(row, random)).ToArray();
        var theirs = Disassemble(slots);
        Assert.Equal(slots.Length, theirs.Length);
        for (var i = 0; i < rows.Length; i++)
        {
            // LLVM 19 knows neither load_acquire nor store_release, nor displacements of indirect packet loads.
            if (theirs[i] == "<unknown>") continue;
            Assert.Equal(Normalised(theirs[i]), Disassembler.Format(slots[i][0], slots[i][^1]));
            Assert.Equal(slots[i], Assembler.Assemble(theirs[i]));
            compared++;
        }
        TestContext.Current.SendDiagnosticMessage($"{compared} of {OpcodeTable.Rows.Length} rows compared with llvm-mc-19");
        Assert.True(compared > 150, $"only {compared} rows were compared");
    }

    // What a selector in the source field means is for the loader: LLVM prints the number alone.
    private static bool IsWrittenAsInLlvm(OpcodeRow row) =>
        row.Operation is not (Operation.CallSubprogram or Operation.CallKfunc or Operation.LoadAcquire or Operation.StoreRelease or Operation.LoadPacketIndirect)
        && row.Wide == WideKind.Number;

    private static Instruction[] Random(OpcodeRow row, Random random)
    {
        var first = row.Encode(
            (row.Uses & OperandFields.Destination) != 0 ? random.Next(10) : 0, (row.Uses & OperandFields.Source) != 0 ? random.Next(10) : 0,
            (row.Uses & OperandFields.Offset) != 0 ? (short)random.Next(short.MinValue, short.MaxValue) : (short)0,
            (row.Uses & OperandFields.Immediate) != 0 ? random.Next(int.MinValue, int.MaxValue) : 0);
        return row.Slots == 1 ? [first] : [first, new Instruction(0, immediate: random.Next(int.MinValue, int.MaxValue))];
    }

    // LLVM writes w registers in loads and stores of up to 32 bits when it may use them; the encoding is the same.
    private static string Normalised(string text) =>
        text.Contains("*)(", StringComparison.Ordinal) && !text.Contains("lock", StringComparison.Ordinal) && !text.Contains("atomic", StringComparison.Ordinal)
            ? text.Replace('w', 'r') : text;

    private static string[] Disassemble(Instruction[][] slots)
    {
        using var process = Process.Start(new ProcessStartInfo("llvm-mc-19", ["--disassemble", "--triple=bpfel", "--mcpu=v4", "--print-imm-hex"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var lines = slots.Select(instruction => string.Join(' ', System.Runtime.InteropServices.MemoryMarshal.AsBytes<Instruction>(instruction).ToArray().Select(octet => $"0x{octet:x2}")));
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(string.Join('\n', lines) + "\n");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        _ = errors.Result;
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(line => line != ".text")];
    }
}
