using System.CommandLine;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>uringbpf dump: a program at every level.</summary>
internal static class DumpVerb
{
    public static Command Create() => new Verb("dump", "Prints a program as bytecode, generated IL or machine code.",
        "dump bpf hook.bpf.o --source", "dump all hook.bpf.o --program on_read --html on_read.html")
    {
        Bpf(),
        Il(),
        Machine(),
        All(),
    };

    private static Verb Bpf()
    {
        var (file, input) = (ProgramInput.File(), new ProgramInput());
        var source = new Option<bool>("--source", "-s") { Description = "Print each source line above its instructions." };
        var bytes = new Option<bool>("--bytes") { Description = "Print the encoding of each instruction." };
        var command = new Verb("bpf", "Disassembles programs, as llvm-objdump does.", "dump bpf hook.bpf.o --source", "dump bpf --raw code.bin --bytes") { file, source, bytes };
        input.AddTo(command, withContext: false);
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

    private static Verb Il() => Compiled("il", "Prints the generated IL, each BPF instruction above its own; nothing in it depends on the machine.",
        (program, _) => ProgramDump.Il(program), "dump il hook.bpf.o", "dump il hook.bpf.o --program on_read");

    private static Verb Machine() => Compiled("asm", "Prints the machine code, each BPF instruction above its own.",
        (program, maps) => ProgramDump.MachineCode(program, maps), "dump asm hook.bpf.o", "dump asm --raw code.bin --ctx-size 64");

    private static Verb All()
    {
        var html = new Option<string?>("--html") { Description = "Write one self-contained page about one program instead: pointing at an instruction lights up what became of it.", HelpName = "FILE" };
        return Compiled("all", "Prints bytecode, IL and machine code side by side, with the source.",
            (program, maps) => ProgramDump.All(program, maps), "dump all hook.bpf.o", "dump all hook.bpf.o --program on_read --html on_read.html", html);
    }

    // A dump of what the compiler makes of programs, so they are verified first.
    private static Verb Compiled(string name, string description, Func<VerifiedProgram, MapSet, string> dump, string example, string other, Option<string?>? html = null)
    {
        var (file, input) = (ProgramInput.File(), new ProgramInput());
        var source = new Option<bool>("--source", "-s") { Description = "Print source lines. They are printed anyway where the object has them.", Hidden = true };
        var command = new Verb(name, description, example, other) { file, source };
        input.AddTo(command);
        if (html != null) command.Options.Add(html);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var contextSize = input.ReadContext(parsed).Length;
            var (programs, mapSpecs) = input.Load(parsed, path);
            using var maps = MapSet.Create(mapSpecs);
            if (html != null && parsed.GetValue(html) is { } page)
            {
                Output.Write(page, Encoding.UTF8.GetBytes(ProgramDump.Html(ProgramInput.Verify(input.Pick(parsed, programs, path), contextSize), maps)));
                return ExitCode.Fine;
            }
            foreach (var program in input.Filter(parsed, programs, path)) Console.Out.Write(dump(ProgramInput.Verify(program, contextSize), maps));
            return ExitCode.Fine;
        });
        return command;
    }
}
