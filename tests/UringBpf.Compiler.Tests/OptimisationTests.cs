using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>What optimisations must not change: results, memory, budgets.</summary>
public sealed class OptimisationTests
{
    // Every switch off alone and on alone, so that what goes wrong with all of them can be bisected.
    internal static readonly (string Name, CompilerOptions Options)[] Variants =
    [
        ("default", CompilerOptions.Default),
        ("regions", CompilerOptions.Default with { RegionInstructions = 64 }),
        ("straight regions", CompilerOptions.Straight with { RegionInstructions = 64 }),
        .. Switches.Select(property => ($"without {property.Name}", Set(CompilerOptions.Default with { }, property, false))),
        .. Switches.Select(property => ($"{property.Name} only", Set(CompilerOptions.Straight with { SplitLiveRanges = true }, property, true))),
    ];

    private static IEnumerable<PropertyInfo> Switches => typeof(CompilerOptions).GetProperties().Where(property => property.PropertyType == typeof(bool) && property.Name != nameof(CompilerOptions.RecordSites));

    private static CompilerOptions Set(CompilerOptions options, PropertyInfo property, bool value)
    {
        property.SetValue(options, value);
        return options;
    }

    [Fact]
    public void EverySwitchIsOnByDefaultAndOffInTheStraightTranslation()
    {
        Assert.True(Switches.Count() >= 15);
        Assert.All(Switches, property =>
        {
            Assert.True((bool)property.GetValue(CompilerOptions.Default)!, property.Name);
            Assert.False((bool)property.GetValue(CompilerOptions.Straight)!, property.Name);
        });
    }

    /// <summary>A program that each optimisation changes, so that switching it off is seen to do something.</summary>
    public static TheoryData<string, string> Effects => new()
    {
        // Dead code: facts say that the jump is always taken.
        { nameof(CompilerOptions.SkipDeadCode), "if r1 == 0 goto end\nr0 = 7\nr0 *= 3\nend: r0 = 1\nexit" },
        { nameof(CompilerOptions.SplitLiveRanges), "r0 = *(u64 *)(r1 + 0)\nr2 = r0\nr0 = *(u64 *)(r1 + 8)\nr0 += r2\nexit" },
        { nameof(CompilerOptions.NarrowRegisters), "w0 = *(u32 *)(r1 + 0)\nw0 += 3\nw0 *= 5\nexit" },
        { nameof(CompilerOptions.StackSlotsInLocals), "r2 = 1\n*(u64 *)(r10 - 8) = r2\nr0 = *(u64 *)(r10 - 8)\nexit" },
        { nameof(CompilerOptions.VectorizeLoops), "r0 = 0\nr2 = 0\nloop: r3 = r1\nr3 += r2\nr4 = *(u8 *)(r3 + 0)\nr0 += r4\nr2 += 1\nif r2 != 64 goto loop\nexit" },
        { nameof(CompilerOptions.AvoidBranches), "r0 = 0\nr2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto end\nr0 = r2\nend: r0 += 1\nexit" },
        // Two choices by one condition, in two forms.
        { nameof(CompilerOptions.ThreadJumps), "r2 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 + 8)\nif r2 > 9 goto join\n*(u64 *)(r1 + 16) = r0\njoin: r0 ^= 5\nif r2 <= 9 goto end\n*(u64 *)(r1 + 24) = r0\nend: r0 += 1\nexit" },
        // The larger of each two neighbours, with a way out in the middle.
        { nameof(CompilerOptions.RepeatLoops), "r0 = 0\nr2 = 0\nloop: r3 = r1\nr3 += r2\nr4 = *(u8 *)(r3 + 0)\nr5 = *(u8 *)(r3 + 1)\nif r4 > r5 goto other\nr4 = r5\n*(u8 *)(r3 + 1) = r2\nother: r0 += r4\nif r0 > 9000 goto end\nr2 += 1\nif r2 != 61 goto loop\nend: exit" },
        // Five ways through a loop, too long to be written twice.
        { nameof(CompilerOptions.CopyLoopEnds), "r0 = 0\nr2 = 0\nloop: r3 = r1\nr3 += r2\nr4 = *(u8 *)(r3 + 0)\nif r4 > 200 goto a\nif r4 > 150 goto b\nif r4 > 100 goto c\nif r4 > 50 goto d\n*(u8 *)(r3 + 0) = r2\n"
            + "next: r2 += 1\nif r2 != 61 goto loop\nexit\na: r0 += r4\n*(u8 *)(r3 + 1) = r0\ngoto next\nb: r0 ^= r4\n*(u8 *)(r3 + 2) = r0\ngoto next\nc: r0 -= r4\n*(u8 *)(r3 + 0) = r0\ngoto next\nd: r0 *= r4\n*(u8 *)(r3 + 1) = r0\ngoto next" },
        { nameof(CompilerOptions.MoveBlocks), "r0 = 0\n*(u64 *)(r1 + 0) = 0\n*(u64 *)(r1 + 8) = 0\n*(u64 *)(r1 + 16) = 0\n*(u64 *)(r1 + 24) = 0\nexit" },
        { nameof(CompilerOptions.ReassociateSums), "r0 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 8)\nr0 *= 31\nr0 += r2\nexit" },
    };

    [Theory]
    [MemberData(nameof(Effects))]
    public void EachSwitchHasAnEffectAloneAndNoneOnResults(string name, string source)
    {
        var program = TestPrograms.Trusted([.. Assembler.Assemble(source)], name == nameof(CompilerOptions.SkipDeadCode)
            ? facts => (facts[0].MayFallThrough, facts[1].Reached, facts[2].Reached) = (false, false, false)
            : null);
        var without = Set(CompilerOptions.Default with { }, typeof(CompilerOptions).GetProperty(name)!, false);
        Assert.NotEqual(ProgramDump.Il(program), ProgramDump.Il(program, without));
        var context = new byte[RandomPrograms.ContextBytes];
        if (name != nameof(CompilerOptions.SkipDeadCode)) new Random(1).NextBytes(context);
        var other = (byte[])context.Clone();
        // r1 == 0 never holds for a context: dead code is only compared as IL.
        if (name == nameof(CompilerOptions.SkipDeadCode)) return;
        Assert.Equal(TestPrograms.Run(program, CompilerOptions.Straight, context), TestPrograms.Run(program, CompilerOptions.Default, other));
        Assert.Equal(context, other);
    }

    [Theory]
    [InlineData(Termination.Proved)]
    [InlineData(Termination.Metered)]
    public void OptimisedProgramsDoWhatTheStraightTranslationDoes(Termination termination)
    {
        for (var seed = 0; seed < 60; seed++)
        {
            var program = new RandomPrograms(seed).Make(seed % 20 == 0 ? 300 : 40, termination);
            var expected = Run(program, CompilerOptions.Straight, seed, Limits.MaxInstructionsPerRun);
            foreach (var (name, options) in Variants)
                Assert.True(expected == Run(program, options, seed, Limits.MaxInstructionsPerRun), $"seed {seed}, {termination}, {name}");
        }
    }

    [Fact]
    public void BudgetsRunOutAtTheSamePlace()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            var program = new RandomPrograms(seed).Make(40, Termination.Metered);
            var budget = seed % 40;
            var expected = Run(program, CompilerOptions.Straight, seed, budget);
            foreach (var (name, options) in Variants)
                Assert.True(expected == Run(program, options, seed, budget), $"seed {seed}, {name}");
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
