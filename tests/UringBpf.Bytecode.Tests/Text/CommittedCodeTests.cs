using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Bytecode.Tests.Text;

/// <summary>Every code section of every object in the repository, as it stands in the file: read back, and as llvm-objdump prints it.</summary>
public sealed partial class CommittedCodeTests
{
    private static readonly string s_root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(SourceFile())!, "..", "..", ".."));

    public static TheoryData<string> Objects => new(
        Directory.EnumerateFiles(s_root, "*.bpf.o", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(s_root, file).Replace('\\', '/'))
            .Where(file => !file.Contains("/bin/") && !file.Contains("/obj/")).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Objects))]
    public void AssembledTextIsTheSection(string file)
    {
        foreach (var (_, code) in Sections(file))
            Assert.Equal(code, Assembler.Assemble(Disassembler.Format(new ProgramSpec { Name = "section", Instructions = code })));
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void ObjdumpPrintsTheSame(string file)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/llvm-objdump-19"), "llvm-objdump-19 is not installed");
        var theirs = Objdump(file);
        foreach (var (name, code) in Sections(file))
        {
            var lines = theirs[name];
            var slot = 0;
            foreach (var line in lines)
            {
                Assert.Equal($"{slot}: {line}", $"{slot}: {AsInObjdump(code[slot], slot + 1 < code.Length ? code[slot + 1] : default)}");
                slot += code[slot].IsWide ? 2 : 1;
            }
            Assert.Equal(code.Length, slot);
        }
    }

    private static IEnumerable<(string Name, ImmutableArray<Instruction> Code)> Sections(string file)
    {
        var image = ElfImage.Read(File.ReadAllBytes(Path.Combine(s_root, file)));
        return image.Sections.Where(section => section.IsCode)
            .Select(section => (section.Name, MemoryMarshal.Cast<byte, Instruction>(image.Contents(section).Span).ToImmutableArray()));
    }

    // What a call or a 64-bit immediate names is for the loader: objdump prints the number alone.
    private static string AsInObjdump(Instruction instruction, Instruction next)
    {
        if (instruction.IsWide) instruction = instruction.WithSource(0);
        var row = OpcodeTable.Find(instruction);
        if (row?.Operation is Operation.CallSubprogram or Operation.CallKfunc) instruction = instruction.WithSource(0);
        return Disassembler.Format(instruction, next);
    }

    private static Dictionary<string, List<string>> Objdump(string file)
    {
        using var process = Process.Start(new ProcessStartInfo("llvm-objdump-19",
            ["-d", "--no-show-raw-insn", "--no-leading-addr", "--no-addresses", "--print-imm-hex", "--mcpu=v4", Path.Combine(s_root, file)])
        { RedirectStandardOutput = true })!;
        var sections = new Dictionary<string, List<string>>();
        List<string>? lines = null;
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (SectionLine().Match(line) is { Success: true } section) sections[section.Groups["name"].Value] = lines = [];
            else if (InstructionLine().Match(line) is { Success: true } instruction) lines?.Add(Normalised(instruction.Groups["text"].Value));
        }
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return sections;
    }

    // LLVM names jump targets, and writes w registers in loads and stores of up to 32 bits.
    private static string Normalised(string text)
    {
        text = Target().Replace(text.Trim(), "");
        return text.Contains("*)(", StringComparison.Ordinal) && !text.Contains("lock", StringComparison.Ordinal) && !text.Contains("atomic", StringComparison.Ordinal)
            ? text.Replace('w', 'r') : text;
    }

    private static string SourceFile([CallerFilePath] string path = "") => path;

    [GeneratedRegex(@"^Disassembly of section (?<name>.+):$")]
    private static partial Regex SectionLine();

    [GeneratedRegex(@"^\t(?<text>\S.*)$")]
    private static partial Regex InstructionLine();

    [GeneratedRegex(@"\s*<[^<>]*>$")]
    private static partial Regex Target();
}
