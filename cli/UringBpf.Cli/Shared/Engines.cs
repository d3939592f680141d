using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>The engines by name: the same names everywhere.</summary>
internal static class Engines
{
    public const string Jit = "jit", Interpreter = "interpreter";

    public static Option<string> Option(params string[] names)
    {
        if (names.Length == 0) names = [Jit, Interpreter];
        var option = new Option<string>("--engine", "-e") { Description = "The engine.", DefaultValueFactory = _ => names[0] };
        option.AcceptOnlyFromAmong(names);
        return option;
    }

    public static BpfProgram Create(string engine, VerifiedProgram verified, MapSet maps) =>
        engine == Interpreter ? InterpretedProgram.Create(verified, maps) : ProgramCompiler.Compile(verified, maps);
}
