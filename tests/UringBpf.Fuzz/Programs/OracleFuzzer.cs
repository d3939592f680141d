using System.Diagnostics;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// The verifier against what programs do: accepted ones never fault, every concrete state lies in a state that was walked,
/// and the verdict does not depend on pruning and widening.
/// </summary>
public sealed class OracleFuzzer : IDisposable
{
    private const int MaxFailures = 10;

    // The verdict without pruning or widening needs more steps; where these do not suffice it is not compared.
    private const int Steps = 20_000, StepsWithout = 8_000;

    // Runs are cheap beside the walk.
    private const int Runs = 8;

    private readonly Stage _stage = new();
    private readonly Trail _trail;
    private readonly VerifierOptions _options;

    private OracleFuzzer(Rule? without = null)
    {
        _trail = new Trail(_stage);
        _options = new VerifierOptions { MaxSteps = Steps, Observer = _trail.Walked, DisabledCheck = without };
    }

    /// <summary>Programs tried.</summary>
    public long Count { get; private set; }

    /// <summary>Programs accepted.</summary>
    public long Accepted { get; private set; }

    /// <summary>Accepted programs that were run to their end, and held against the verifier's claims.</summary>
    public long Followed { get; private set; }

    /// <summary>Verdicts compared with the one without pruning, and without widening.</summary>
    public long WithoutPruning { get; private set; }

    /// <inheritdoc cref="WithoutPruning" />
    public long WithoutWidening { get; private set; }

    /// <summary>Programs refused that would be accepted without widening.</summary>
    public long Stricter { get; private set; }

    /// <summary>Instructions at which concrete registers and stack were looked for among the verifier's states.</summary>
    public long StepsFollowed => _trail.Steps;

    /// <summary>What went wrong.</summary>
    public List<string> Failures { get; } = [];

    /// <summary>The verb: prints a summary.</summary>
    public static int Run(FuzzOptions options)
    {
        using var fuzzer = Run(options.Seed, options.First, options.Count, options.Seconds, Console.Out);
        return fuzzer.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Tries programs.</summary>
    public static OracleFuzzer Run(ulong seed, long first, long count, double seconds, TextWriter output)
    {
        var fuzzer = new OracleFuzzer();
        var watch = Stopwatch.StartNew();
        for (var index = first; index < first + count && watch.Elapsed.TotalSeconds < seconds && fuzzer.Failures.Count < MaxFailures; index++)
        {
            fuzzer.Case(seed, index, output);
            if (fuzzer.Count % 100_000 == 0) output.WriteLine($"… {fuzzer.Count} programs in {watch.Elapsed.TotalSeconds:F0} s");
        }
        output.WriteLine($"oracles: seed {seed}, {fuzzer.Count} programs, {fuzzer.Accepted} accepted ({100.0 * fuzzer.Accepted / Math.Max(1, fuzzer.Count):F1} %), "
            + $"{fuzzer.Followed} followed over {fuzzer.StepsFollowed} steps, verdict the same without pruning for {fuzzer.WithoutPruning} and without widening for {fuzzer.WithoutWidening}, stricter with widening {fuzzer.Stricter}, "
            + $"{fuzzer.Failures.Count} failures, {watch.Elapsed.TotalSeconds:F0} s");
        return fuzzer;
    }

    /// <summary>The verb that takes the rule away by which a program is refused: is it accepted then, and does a run show that it
    /// should not be? Where that never happens, random programs do not come near the rule, or nothing that a run shows depends on it.</summary>
    public static int Rules(FuzzOptions options)
    {
        var figures = Enum.GetValues<Rule>().ToDictionary(rule => rule, _ => (Refused: 0, Accepted: 0, Noticed: 0));
        var fuzzers = figures.Keys.ToDictionary(rule => rule, rule => new OracleFuzzer(rule));
        for (var index = options.First; index < options.First + options.Count; index++)
        {
            var program = ProgramGenerator.Make(options.Seed, index, forKernel: index % 4 == 0);
            var verifier = new VerifierOptions { MaxSteps = Steps, ContextSize = program.ContextSize };
            if (ProgramVerifier.Verify(program.Spec, verifier).Rejection is not { } rejection) continue;
            var rule = (Rule)int.Parse(rejection.Code.AsSpan(2), CultureInfo.InvariantCulture);
            var known = figures[rule];
            known.Refused++;
            if (ProgramVerifier.Verify(program.Spec, verifier with { DisabledCheck = rule }).Accepted)
            {
                known.Accepted++;
                if (fuzzers[rule].Try(program, options.Seed, index, count: false) is not null) known.Noticed++;
            }
            figures[rule] = known;
        }
        foreach (var fuzzer in fuzzers.Values) fuzzer.Dispose();
        foreach (var (rule, (refused, accepted, noticed)) in figures) Console.WriteLine($"UB{(int)rule} {rule}: refused {refused}, accepted without it {accepted}, of which a run shows {noticed}");
        return 0;
    }

    /// <summary>Holds one program against the oracles.</summary>
    /// <param name="program">The program.</param>
    /// <param name="seed">What it is run on depends on this.</param>
    /// <returns>What went wrong, or null.</returns>
    public static string? Check(GeneratedProgram program, ulong seed)
    {
        using var fuzzer = new OracleFuzzer();
        return fuzzer.Try(program, seed, 0, count: false);
    }

    /// <inheritdoc />
    public void Dispose() => _stage.Dispose();

    private void Case(ulong seed, long index, TextWriter output)
    {
        Count++;
        var program = ProgramGenerator.Make(seed, index, forKernel: index % 4 == 0);
        if (Try(program, seed, index, count: true) is not { } failure) return;
        Failures.Add(failure);
        var kind = Kind(failure);
        var smaller = ProgramMinimizer.Minimize(program, other => Try(other, seed, index, count: false) is { } again && Kind(again) == kind);
        output.WriteLine($"FAILED with --seed {seed} --first {index} --count 1: {failure}\nreduced: {Try(smaller, seed, index, count: false)}\n{smaller.Listing()}");
    }

    private static string Kind(string failure) => failure[..failure.IndexOf(':')];

    private string? Try(GeneratedProgram program, ulong seed, long index, bool count)
    {
        try
        {
            return Check(program, seed, index, count);
        }
        catch (Exception e)
        {
            return $"exception: {e}";
        }
    }

    private string? Check(GeneratedProgram program, ulong seed, long index, bool count)
    {
        _trail.Reset();
        var options = _options with { ContextSize = program.ContextSize };
        var result = ProgramVerifier.Verify(program.Spec, options);
        if (count && result.Accepted) Accepted++;
        var verdict = CompareVerdicts(program, options with { Observer = null }, result, count);
        if (verdict is not null || result.Program is not { } verified) return verdict;
        var random = FuzzRandom.ForCase(~seed, index);
        using var interpreter = new CheckedInterpreter(program.Spec, _stage.Maps) { InstructionBudget = EngineCheck.Budget, Observer = _trail.Walked.TooLong ? null : _trail.Step };
        for (var runs = 0; runs < Runs; runs++)
        {
            _stage.Set(program, ProgramInput.Make(program, random, uniform: runs >= 2));
            _trail.Start(verified);
            var run = interpreter.Run(_stage.Context);
            if (_trail.Broken is { } broken) return broken;
            if (run.Fault is { Code: "UB4011" } && (verified.Termination == Termination.Metered || verified.WorstCaseInstructions > EngineCheck.Budget)) return null;
            if (run.Fault is { } fault) return $"fault: {fault.Code} at {fault.Instruction}: {fault.Message}";
            if (verified.Termination == Termination.Proved && run.Instructions > verified.WorstCaseInstructions)
                return $"proof: {run.Instructions} instructions were executed, {verified.WorstCaseInstructions} were proved to be enough";
        }
        if (count && !_trail.Walked.TooLong) Followed++;
        return null;
    }

    private string? CompareVerdicts(GeneratedProgram program, VerifierOptions options, VerificationResult result, bool count)
    {
        if (IsUndecided(result)) return null;
        foreach (var (pruning, widening) in new[] { (false, false), (true, false) })
        {
            var other = ProgramVerifier.Verify(program.Spec, options with { Pruning = pruning, Widening = widening, MaxSteps = StepsWithout });
            if (IsUndecided(other)) continue;
            // A loop that is walked to its end is proved to end; one that only widening counts is not proved without it.
            if (result.Rejection is { Code: "UB2601" or "UB2603" } || other.Rejection is { Code: "UB2601" or "UB2603" }) continue;
            if (!result.Accepted && other.Accepted)
            {
                // Widening went too far, and walking the loop round by round did not make up for it: safe, but a pity.
                if (count) Stricter++;
                continue;
            }
            if (other.Accepted != result.Accepted)
            {
                return $"verdict: {Verdict(result)}, {(pruning ? "" : "without pruning and ")}without widening {Verdict(other)}";
            }
            if (!count) continue;
            if (pruning) WithoutWidening++;
            else WithoutPruning++;
        }
        return null;

        static string Verdict(VerificationResult result) => result.Accepted ? "accepted" : $"rejected ({result.Rejection!.Code} at {result.Rejection.Instruction}: {result.Rejection.Message})";
    }

    private static bool IsUndecided(VerificationResult result) => result.Rejection is { Code: "UB2901" or "UB2902" };
}
