using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Compiler;

namespace UringBpf.Cli;

/// <summary>uringbpf compile: compiled programs as an assembly on disk.</summary>
internal static class CompileVerb
{
    public static Command Create()
    {
        var file = ProgramInput.File();
        var input = new ProgramInput();
        var output = new Option<string>("--output", "-o") { Description = "The assembly to write.", HelpName = "DLL", Required = true };
        var command = new Verb("compile", "Writes the compiled programs of an object as a .NET assembly.",
            "compile hook.bpf.o -o hooks.dll", "compile hook.bpf.o --program on_read -o on_read.dll")
        { file, output };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var contextSize = input.ReadContext(parsed).Length;
            var verified = input.Filter(parsed, input.Load(parsed, path).Programs, path).Select(program => ProgramInput.Verify(program, contextSize)).ToArray();
            if (verified.GroupBy(program => program.Spec.Name).FirstOrDefault(same => same.Count() > 1) is { } same)
                throw new BadInputException($"{path} has {same.Count()} programs named '{same.Key}'; an assembly holds one of a name.");
            var target = parsed.GetRequiredValue(output);
            using var assembly = new MemoryStream();
            HookAssembly.Save(verified, Path.GetFileNameWithoutExtension(target), assembly);
            try
            {
                File.WriteAllBytes(target, assembly.ToArray());
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new BadInputException(error.Message);
            }
            Console.Error.WriteLine($"{target}: {Names.Count(verified.Length, "program")}, {assembly.Length} bytes");
            return ExitCode.Fine;
        });
        return command;
    }
}
