using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>The engines by name: the same names everywhere.</summary>
internal static class Engines
{
    public const string Jit = "jit", Interpreter = "interpreter";

    public static readonly string[] All = [Jit, Interpreter];

    public static Option<string> Option()
    {
        var option = new Option<string>("--engine", "-e") { Description = $"The engine: {string.Join(" or ", All)}.", HelpName = "ENGINE", DefaultValueFactory = _ => Jit };
        option.AcceptOnlyFromAmong(All);
        return option;
    }

    public static BpfProgram Create(string engine, VerifiedProgram verified, MapSet maps) => engine == Interpreter
        ? InterpretedProgram.Create(verified, maps)
        : ProgramCompiler.Compile(verified, maps);
}
