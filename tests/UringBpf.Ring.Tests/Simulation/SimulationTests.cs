using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>That a seed decides all, and that nothing is lost whatever it decides. The long form is the verb ring of tests/UringBpf.Fuzz.</summary>
public sealed class SimulationTests
{
    private static readonly Lazy<List<BpfProgram>> s_programs = new(() => Campaign.Load(Load, (spec, maps) => ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), maps)));

    [Theory]
    [InlineData(1UL)]
    [InlineData(1_000_000UL)]
    [InlineData(2_000_000UL)]
    [InlineData(3_000_000UL)]
    public void Nothing_is_lost_leaked_or_exceeded(ulong firstSeed)
    {
        for (var seed = firstSeed; seed < firstSeed + 250; seed++)
        {
            var outcome = Campaign.Run(seed, s_programs.Value);
            Assert.True(outcome.Problem == null, $"seed {seed}: {outcome.Problem}\n{Campaign.Trace(seed, s_programs.Value, 60)}");
        }
    }

    [Fact]
    public void A_seed_repeats_to_the_byte_and_another_differs()
    {
        var traces = new List<List<string>>();
        foreach (var first in (ulong[])[100, 100, 200])
        {
            var lines = new List<string>();
            for (var seed = first; seed < first + 20; seed++) Assert.Null(Campaign.Run(seed, s_programs.Value, lines.Add).Problem);
            traces.Add(lines);
        }
        Assert.True(traces[0].Count > 200, $"{traces[0].Count} lines");
        Assert.Equal(traces[0], traces[1]);
        Assert.NotEqual(traces[0], traces[2]);
    }
}
