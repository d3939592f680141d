using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>The engines by name: the same names everywhere.</summary>
internal static class Engines
{
    public const string Jit = "jit", Interpreter = "interpreter", Checked = "checked";

    public static readonly string[] All = [Jit, Interpreter, Checked];

    /// <summary>Those that run verified programs only, as a ring needs them.</summary>
    public static readonly string[] Unchecked = [Jit, Interpreter];

    public static Option<string> Option(string[] engines)
    {
        var option = new Option<string>("--engine", "-e") { Description = $"The engine: {string.Join(", ", engines)}.", HelpName = "ENGINE", DefaultValueFactory = _ => Jit };
        Usage.OneOf(option, engines);
        return option;
    }

    public static BpfProgram Create(string engine, VerifiedProgram verified, MapSet maps, FunctionRegistry? functions = null, bool recordSites = false) => engine == Interpreter
        ? InterpretedProgram.Create(verified, maps, functions)
        : ProgramCompiler.Compile(verified, maps, CompilerOptions.Default with { Functions = functions, RecordSites = recordSites });
}
