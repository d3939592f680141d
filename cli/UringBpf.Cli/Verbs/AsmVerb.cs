using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>uringbpf asm: text to headerless bytecode.</summary>
internal static class AsmVerb
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "Text in the syntax that 'dump bpf' prints; - for standard input." };
        var output = new Option<string?>("--output", "-o") { Description = "The file to write. Default: standard output, as hex if it is a terminal.", HelpName = "FILE" };
        var command = new Verb("asm", "Assembles text into headerless bytecode.", "asm prog.s -o prog.bin", "asm prog.s > prog.bin && uringbpf run --raw prog.bin") { file, output };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var text = path == "-" ? Console.In.ReadToEnd() : Encoding.UTF8.GetString(ProgramInput.Read(path));
            var code = MemoryMarshal.AsBytes(Assemble(path, text).AsSpan());
            if (parsed.GetValue(output) is { } target) Write(target, code);
            else if (Console.IsOutputRedirected) WriteToStandardOutput(code);
            else PrintHex(code);
            return ExitCode.Fine;
        });
        return command;
    }

    private static Instruction[] Assemble(string path, string text)
    {
        try
        {
            return [.. Assembler.Assemble(text)];
        }
        catch (AssemblerException error)
        {
            throw new BadInputException(string.Join(Environment.NewLine + "uringbpf: ", error.Errors.Select(mistake => $"{path}:{mistake}")));
        }
    }

    private static void Write(string target, ReadOnlySpan<byte> code)
    {
        try
        {
            File.WriteAllBytes(target, code);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException(error.Message);
        }
    }

    private static void WriteToStandardOutput(ReadOnlySpan<byte> code)
    {
        using var stream = Console.OpenStandardOutput();
        stream.Write(code);
    }

    private static void PrintHex(ReadOnlySpan<byte> code)
    {
        for (var slot = 0; slot < code.Length; slot += Instruction.Size) Console.Out.WriteLine(Convert.ToHexStringLower(code.Slice(slot, Instruction.Size)));
    }
}
