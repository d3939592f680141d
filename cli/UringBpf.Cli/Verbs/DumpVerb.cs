using System.CommandLine;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>uringbpf dump: a program at every level.</summary>
internal static class DumpVerb
{
    public static Command Create()
    {
        var command = new Command("dump", Usage.WithExamples("Prints a program as bytecode, generated IL or machine code.",
            "dump bpf hook.bpf.o --source", "dump il hook.bpf.o --program on_read"));
        command.Add(Bpf());
        return command;
    }

    private static Command Bpf()
    {
        var (file, input, source) = Inputs();
        var bytes = new Option<bool>("--bytes") { Description = "Print the encoding of each instruction." };
        var command = new Command("bpf", Usage.WithExamples("Disassembles programs, as llvm-objdump does.", "dump bpf hook.bpf.o", "dump bpf --raw code.bin --bytes")) { file, source, bytes };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            foreach (var program in input.Filter(parsed, input.Load(parsed, path).Programs, path))
            {
                if (program.Subprograms.IsEmpty) Console.Out.WriteLine($"{program.Name}:");
                Console.Out.Write(Disassembler.Format(program, parsed.GetValue(source), parsed.GetValue(bytes)));
            }
            return ExitCode.Fine;
        });
        return command;
    }

    private static (Argument<string> File, ProgramInput Input, Option<bool> Source) Inputs() => (
        new Argument<string>("OBJ") { Description = "An object, or bytecode with --raw." },
        new ProgramInput(),
        new Option<bool>("--source") { Description = "Print each source line above its instructions." });
}
