using System.Diagnostics;
using UringBpf.Compiler;
using UringBpf.Ring.Tests;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>The long form of the simulation tests: hooks and a host that do anything, on a simulated ring with faults.</summary>
internal static class RingFuzzer
{
    private const int TraceLines = 400, MostProblems = 10, ProgressSeconds = 30;

    public static int Run(FuzzOptions options)
    {
        var programs = Campaign.Load(EmbeddedObjects.Load, (spec, maps) => ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), maps));
        var clock = Stopwatch.StartNew();
        var said = 0.0;
        long cases = 0, chains = 0, completions = 0;
        var problems = 0;
        for (; cases < options.Count && clock.Elapsed.TotalSeconds < options.Seconds && problems < MostProblems; cases++)
        {
            var seed = options.Seed + (ulong)cases;
            string? problem;
            try
            {
                var outcome = Campaign.Run(seed, programs);
                problem = outcome.Problem;
                chains += outcome.Chains;
                completions += outcome.Completions;
                // One in a hundred is run again: nothing but the seed may decide.
                if (cases % 100 == 0 && problem == null && Campaign.Run(seed, programs).Signature != outcome.Signature) problem = "the same seed gave something else the second time";
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                problem = error.ToString();
            }
            if (problem != null)
            {
                problems++;
                Console.WriteLine(Campaign.Trace(seed, programs, TraceLines));
                Console.WriteLine($"ring: seed {seed}: {problem}\nring: again with: ring --count 1 --seed {seed}");
            }
            if (clock.Elapsed.TotalSeconds - said < ProgressSeconds) continue;
            said = clock.Elapsed.TotalSeconds;
            Console.Error.WriteLine($"ring: {cases + 1} seeds, {chains} chains, {completions} completions, {problems} problems, {said:F0} s");
        }
        Console.WriteLine($"ring: seeds {options.Seed} to {options.Seed + (ulong)cases - 1}: {cases} cases, {chains} chains, {completions} completions, {problems} problems in {clock.Elapsed.TotalSeconds:F0} s");
        return problems > 0 ? 1 : 0;
    }
}
