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
    [InlineData(7_000UL)]
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

    [Fact]
    public void Hooks_succeed_at_every_operation_they_are_granted()
    {
        var succeeded = new HashSet<string>();
        for (var seed = 5_000_000UL; seed < 5_000_600; seed++)
        {
            Campaign.Run(seed, s_programs.Value, line =>
            {
                // TIME done TAG OPERATION … = RESULT
                var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words.Length > 4 && words[1] is "done" or "again" && words[^2] == "=" && !words[^1].StartsWith('-')) succeeded.Add(words[3]);
            });
        }
        // A timer of a link goes out as a timer, which succeeds with -ETIME; of two pipes, one with bytes in it, chance seldom makes a tee.
        Assert.Empty(Campaign.Operations.Where(operation => operation is not (IoUringOp.LinkTimeout or IoUringOp.Tee) && !succeeded.Contains(operation.ToString())));
    }
}
