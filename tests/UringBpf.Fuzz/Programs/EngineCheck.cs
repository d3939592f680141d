using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Fuzz;

/// <summary>
/// One accepted program on every engine: the checked interpreter must not fault nor take longer than was proved, the fast
/// interpreter and the JIT must leave the same r0 and the same memory.
/// </summary>
public sealed class EngineCheck(Stage stage)
{
    /// <summary>Instructions after which a run is given up: such programs say nothing more.</summary>
    public const long Budget = 60_000;

    /// <summary>Runs that were given up.</summary>
    public long Long { get; private set; }

    /// <summary>Runs on every engine.</summary>
    public long Runs { get; private set; }

    /// <summary>Compares the engines.</summary>
    /// <param name="program">The program.</param>
    /// <param name="verified">What the verifier made of it.</param>
    /// <param name="inputs">What it is run on.</param>
    /// <param name="options">How it is compiled, each in turn; none to leave the JIT out.</param>
    /// <param name="ran">Told the input and the state of each run that all engines agreed on.</param>
    /// <returns>What went wrong, beginning with a word for its kind and a colon; null when nothing did.</returns>
    public string? Run(GeneratedProgram program, VerifiedProgram verified, IReadOnlyList<ProgramInput> inputs, IReadOnlyList<CompilerOptions> options,
        Func<ProgramInput, byte[], string?>? ran = null)
    {
        using var slow = new CheckedInterpreter(program.Spec, stage.Maps) { InstructionBudget = Budget };
        using var interpreter = InterpretedProgram.Create(verified, stage.Maps);
        var compiled = new List<(BpfProgram Program, CompilerOptions Options)>();
        try
        {
            foreach (var option in options)
            {
                if (IlProblem(verified, option) is { } problem) return $"il: {problem}";
                compiled.Add((ProgramCompiler.Compile(verified, stage.Maps, option), option));
            }
            foreach (var input in inputs)
            {
                stage.Set(program, input);
                var run = slow.Run(stage.Context);
                if (run.Fault is { Code: "UB4011" } && (verified.Termination == Termination.Metered || verified.WorstCaseInstructions > Budget))
                {
                    Long++;
                    continue;
                }
                if (run.Fault is { } fault) return $"fault: {fault.Code} at {fault.Instruction}: {fault.Message}";
                if (verified.Termination == Termination.Proved && run.Instructions > verified.WorstCaseInstructions)
                    return $"proof: {run.Instructions} instructions were executed, {verified.WorstCaseInstructions} were proved to be enough";
                var expected = stage.State(run.Result);
                stage.Set(program, input);
                var result = stage.Run(interpreter);
                if (Difference(expected, stage.State(result)) is { } slowDifference) return $"interpreter: {slowDifference}";
                foreach (var (jit, option) in compiled)
                {
                    stage.Set(program, input);
                    result = stage.Run(jit);
                    if (Difference(expected, stage.State(result)) is { } difference) return $"jit: {difference}{(option == CompilerOptions.Default ? "" : $" with {option}")}";
                }
                Runs++;
                if (ran?.Invoke(input, expected) is { } other) return other;
            }
            return null;
        }
        finally
        {
            foreach (var (jit, _) in compiled) jit.Dispose();
        }
    }

    /// <summary>The optimisations: the switches of <see cref="CompilerOptions"/> that <see cref="CompilerOptions.Straight"/> turns off.</summary>
    public static IReadOnlyList<PropertyInfo> Optimisations { get; } =
        [.. typeof(CompilerOptions).GetProperties().Where(property => property.PropertyType == typeof(bool) && (bool)property.GetValue(CompilerOptions.Default)! && !(bool)property.GetValue(CompilerOptions.Straight)!)];

    /// <summary>Options with some optimisations off.</summary>
    public static CompilerOptions Without(CompilerOptions options, params IEnumerable<PropertyInfo> off)
    {
        var changed = options with { };
        foreach (var property in off) property.SetValue(changed, false);
        return changed;
    }

    /// <summary>Each optimisation on or off, by chance; functions in regions of some instructions, of hardly any, or in one piece.</summary>
    public static CompilerOptions RandomOptions(FuzzRandom random) =>
        Without(CompilerOptions.Default with { RegionInstructions = !random.OneIn(3) ? 1_500 : random.OneIn(2) ? 64 : 5 }, Optimisations.Where(_ => random.OneIn(3)));

    /// <summary>The optimisations that make the difference: with one of these off alone, the engines agree.</summary>
    public string Blame(GeneratedProgram program, VerifiedProgram verified, IReadOnlyList<ProgramInput> inputs)
    {
        var guilty = Optimisations.Where(one => Run(program, verified, inputs, [Without(CompilerOptions.Default, one)]) is null).Select(one => one.Name).ToArray();
        if (guilty.Length > 0) return $"agrees without {string.Join(", or without ", guilty)}";
        return Run(program, verified, inputs, [CompilerOptions.Straight]) is null ? "agrees without any optimisation" : "differs even without any optimisation";
    }

    private static string? IlProblem(VerifiedProgram verified, CompilerOptions options)
    {
        try
        {
            IlChecker.Check(verified, options);
            return null;
        }
        catch (IlException problem)
        {
            return problem.Message;
        }
    }

    private static string? Difference(byte[] expected, byte[] found)
    {
        if (expected.AsSpan().SequenceEqual(found)) return null;
        var at = expected.AsSpan().CommonPrefixLength(found);
        return at < 8 ? $"r0 is 0x{BitConverter.ToUInt64(found):x}, 0x{BitConverter.ToUInt64(expected):x} on the checked interpreter" : $"byte {at - 8} of the memory after the run";
    }
}
