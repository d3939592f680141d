using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>What optimisations must not change: results, memory, budgets; and that the IL stays well formed.</summary>
public sealed class OptimisationTests
{
    private static readonly (string Name, CompilerOptions Options)[] s_variants =
    [
        ("default", CompilerOptions.Default),
        ("regions", CompilerOptions.Default with { RegionInstructions = 64 }),
        ("straight regions", CompilerOptions.Straight with { RegionInstructions = 64 }),
        ("live ranges only", CompilerOptions.Straight with { SplitLiveRanges = true }),
        ("narrow registers only", CompilerOptions.Straight with { SplitLiveRanges = true, NarrowRegisters = true }),
        ("stack slots only", CompilerOptions.Straight with { SplitLiveRanges = true, StackSlotsInLocals = true }),
        ("inlining only", CompilerOptions.Straight with { InlineSubprograms = true }),
    ];

    [Theory]
    [InlineData(Termination.Proved)]
    [InlineData(Termination.Metered)]
    public void OptimisedProgramsDoWhatTheStraightTranslationDoes(Termination termination)
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var program = new RandomPrograms(seed).Make(seed % 20 == 0 ? 300 : 40, termination);
            var expected = Run(program, CompilerOptions.Straight, seed, Limits.MaxInstructionsPerRun);
            foreach (var (name, options) in s_variants)
                Assert.True(expected == Run(program, options, seed, Limits.MaxInstructionsPerRun), $"seed {seed}, {termination}, {name}");
        }
    }

    [Fact]
    public void BudgetsRunOutAtTheSamePlace()
    {
        for (var seed = 0; seed < 120; seed++)
        {
            var program = new RandomPrograms(seed).Make(40, Termination.Metered);
            var budget = seed % 40;
            var expected = Run(program, CompilerOptions.Straight, seed, budget);
            foreach (var (name, options) in s_variants)
                Assert.True(expected == Run(program, options, seed, budget), $"seed {seed}, {name}");
        }
    }

    [Fact]
    public void EmittedIlIsWellFormed()
    {
        for (var seed = 0; seed < 120; seed++)
        {
            var program = new RandomPrograms(seed).Make(seed % 20 == 0 ? 300 : 40, seed % 2 == 0 ? Termination.Proved : Termination.Metered);
            foreach (var (_, options) in s_variants.Append(("straight", CompilerOptions.Straight)))
            {
                var code = RecordedCode.Create(new ProgramGraph(program, FunctionRegistry.BuiltIn, options), options);
                foreach (var method in code.Methods)
                    IlChecker.Check(method.Code, method.Parameters, symbol => code.Methods.Single(m => m.Name == symbol).Parameters);
            }
        }
    }

    // r0 (or the fault), what is left of the budget, and the context after the run.
    private static unsafe string Run(VerifiedProgram program, CompilerOptions options, int seed, long budget)
    {
        using var compiled = (CompiledProgram)ProgramCompiler.Compile(program, MapSet.Empty, options);
        var context = new byte[RandomPrograms.ContextBytes];
        new Random(~seed).NextBytes(context);
        var state = ExecutionSlot.Current;
        state->Reset(budget);
        fixed (byte* pointer = context)
        {
            var result = compiled.EntryPoint(0, pointer, (ulong)context.Length, state);
            state->Leave();
            return $"{(state->Fault == RunFault.None ? result.ToString("x") : state->Fault)} {state->Budget} {Convert.ToHexString(context)}";
        }
    }
}
