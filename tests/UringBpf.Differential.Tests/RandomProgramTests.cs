using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Fuzz;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>The short forms of the fuzz verbs "programs" and "oracles", and programs that once told the engines apart.</summary>
public sealed class RandomProgramTests(ITestOutputHelper output)
{
    private const ulong Seed = 20261125;

    [Fact]
    public void Engines_agree_on_random_programs()
    {
        using var text = new StringWriter();
        using var fuzzer = ProgramFuzzer.Run(Seed, 0, 1500, double.PositiveInfinity, 0, text);
        output.WriteLine(text.ToString());
        Assert.Empty(fuzzer.Failures);
        // A generator whose programs are refused tests nothing.
        Assert.True(fuzzer.Accepted > 1000, $"{fuzzer.Accepted} programs were accepted");
    }

    [Fact]
    public void What_the_verifier_claims_of_random_programs_holds()
    {
        using var text = new StringWriter();
        using var fuzzer = OracleFuzzer.Run(Seed, 0, 1500, double.PositiveInfinity, text);
        output.WriteLine(text.ToString());
        Assert.Empty(fuzzer.Failures);
        Assert.True(fuzzer.Followed > 1000, $"{fuzzer.Followed} programs were followed");
    }

    /// <summary>What the generator never does is not tested, however many programs are tried.</summary>
    [Fact]
    public void Random_programs_execute_every_instruction_and_function_and_reach_every_map_and_kind_of_memory()
    {
        using var reach = Reach.Run(Seed, 0, 3000);
        using var text = new StringWriter();
        reach.Print(text);
        output.WriteLine(text.ToString());
        string[] impossible =
        [
            // Loaders resolve them; the verifier refuses them.
            "instructions: LoadImmediate64:MapFd", "instructions: LoadImmediate64:MapValueFd", "instructions: LoadImmediate64:Variable",
            // Nothing says that a packet is aligned, as atomic operations must be.
            "accesses: Buffer atomic at a constant offset", "accesses: Buffer atomic at a variable offset",
        ];
        Assert.Equal(impossible, reach.Never);
    }

    [Fact]
    public void Each_optimisation_can_be_switched_off_alone()
    {
        Assert.NotEmpty(EngineCheck.Optimisations);
        foreach (var one in EngineCheck.Optimisations)
        {
            var options = EngineCheck.Without(CompilerOptions.Default, FuzzOptions.Parse(["--without", one.Name])!.Off);
            Assert.Equal([one.Name], EngineCheck.Optimisations.Where(other => !(bool)other.GetValue(options)!).Select(other => other.Name));
            using var fuzzer = ProgramFuzzer.Run(Seed, 0, 20, double.PositiveInfinity, 0, TextWriter.Null, options);
            Assert.Empty(fuzzer.Failures);
        }
        Assert.Equal(CompilerOptions.Straight, EngineCheck.Without(CompilerOptions.Default, FuzzOptions.Parse(["--without", "all"])!.Off));
        Assert.Null(FuzzOptions.Parse(["--without", "SkipLiveCode"]));
    }

    public static TheoryData<string> Regressions =>
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Regressions"), "*.txt").Select(file => Path.GetFileNameWithoutExtension(file)!).Order()];

    /// <summary>Listings as the fuzzer prints them.</summary>
    [Theory, MemberData(nameof(Regressions))]
    public void What_once_failed_passes(string name)
    {
        var lines = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Regressions", name + ".txt"));
        var head = lines[0].Split(' ', ',');
        var type = ProgramTypes.Find(head[1])!;
        var code = Assembler.Assemble(string.Join('\n', lines.Skip(1).Where(line => line.Length > 0).Select(line => line[(line.IndexOf(':') + 1)..])));
        var spec = new ProgramSpec { Name = name, Type = type, Instructions = code, Maps = Scenery.MapsOf(type), OwnInstructions = code.Length };
        var program = new GeneratedProgram(spec, type.Context.IsFlat ? int.Parse(head[4]) : 0, ForKernel: !code.Any(instruction => instruction.IsWide && instruction.Immediate >= Scenery.KernelMaps
            && (WideKind)instruction.Source is WideKind.MapIndex or WideKind.MapValueIndex));
        var verified = ProgramVerifier.VerifyOrThrow(spec, new VerifierOptions { ContextSize = program.ContextSize });
        var random = new FuzzRandom(Seed);
        using var stage = new Stage();
        var inputs = Enumerable.Range(0, 200).Select(_ => ProgramInput.Make(program, random)).ToArray();
        Assert.Null(new EngineCheck(stage).Run(program, verified, inputs, [CompilerOptions.Default, CompilerOptions.Straight, CompilerOptions.Straight with { RegionInstructions = 64 }]));
        Assert.Null(OracleFuzzer.Check(program, Seed));
    }
}
