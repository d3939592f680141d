using System.Diagnostics;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// Random programs through the verifier and, when it accepts them, every engine. What fails is printed with the seed that
/// repeats it.
/// </summary>
public sealed class ProgramFuzzer : IDisposable
{
    private const int MaxFailures = 10;

    private static readonly VerifierOptions s_verifier = new() { MaxSteps = 60_000 };

    private readonly Stage _stage = new();
    private readonly EngineCheck _engines;
    private readonly SortedDictionary<string, long> _rejections = [];

    private readonly KernelPeer? _kernel;

    private readonly CompilerOptions _optimised;

    private ProgramFuzzer(KernelPeer? kernel, CompilerOptions optimised)
    {
        _kernel = kernel;
        _optimised = optimised;
        _engines = new EngineCheck(_stage);
    }

    /// <summary>The kernel's verdicts beside ours.</summary>
    public KernelBracket Bracket { get; } = new();

    /// <summary>Programs tried.</summary>
    public long Count { get; private set; }

    /// <summary>Programs the verifier accepted.</summary>
    public long Accepted { get; private set; }

    /// <summary>What went wrong.</summary>
    public List<string> Failures { get; } = [];

    /// <summary>The verb: prints a summary.</summary>
    public static int Run(FuzzOptions options)
    {
        using var fuzzer = Run(options.Seed, options.First, options.Count, options.Seconds, options.Kernel, Console.Out, EngineCheck.Without(CompilerOptions.Default, options.Off));
        return fuzzer.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>The verb that prints one case, and what the verifiers see in it.</summary>
    public static int Show(FuzzOptions options)
    {
        var program = ProgramGenerator.Make(options.Seed, options.First, forKernel: options.First % 4 == 0);
        Console.WriteLine(program.Listing());
        var result = ProgramVerifier.Verify(program.Spec, s_verifier with { ContextSize = program.ContextSize, Log = Console.Out });
        Console.WriteLine(result.Rejection is { } rejection ? $"rejected: {rejection.Code} at {rejection.Instruction}: {rejection.Message}" : "accepted");
        if (options.Kernel == 0) return 0;
        using var peer = KernelPeer.TryCreate();
        if (peer is null) return 1;
        var descriptor = peer.Load(program, out var log, KernelPeer.Log.Walk);
        Console.WriteLine($"the kernel: {(descriptor >= 0 ? "accepted" : $"errno {-descriptor}")}\n{log}");
        if (descriptor >= 0) KernelPeer.Close(descriptor);
        return 0;
    }

    /// <summary>Tries programs.</summary>
    public static ProgramFuzzer Run(ulong seed, long first, long count, double seconds, long kernel, TextWriter output, CompilerOptions? optimised = null)
    {
        using var peer = kernel > 0 ? KernelPeer.TryCreate() : null;
        if (kernel > 0 && peer is null) output.WriteLine("kernel: bpf(2) is not to be had here; our own engines only");
        var fuzzer = new ProgramFuzzer(peer, optimised ?? CompilerOptions.Default);
        var watch = Stopwatch.StartNew();
        for (var index = first; index < first + count && watch.Elapsed.TotalSeconds < seconds && fuzzer.Failures.Count < MaxFailures; index++)
        {
            fuzzer.Case(seed, index, fuzzer.Bracket.Count < kernel, output);
            if (fuzzer.Count % 100_000 == 0) output.WriteLine($"… {fuzzer.Count} programs in {watch.Elapsed.TotalSeconds:F0} s");
        }
        output.WriteLine($"programs: seed {seed}, {fuzzer.Count} programs, {fuzzer.Accepted} accepted ({100.0 * fuzzer.Accepted / Math.Max(1, fuzzer.Count):F1} %), "
            + $"{fuzzer._engines.Runs} runs compared on every engine, {fuzzer._engines.Long} given up after {EngineCheck.Budget} instructions, "
            + $"{fuzzer.Failures.Count} failures, {watch.Elapsed.TotalSeconds:F0} s");
        output.WriteLine("rejected: " + string.Join(", ", fuzzer._rejections.OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}")));
        fuzzer.Bracket.Print(output);
        return fuzzer;
    }

    /// <inheritdoc />
    public void Dispose() => _stage.Dispose();

    private void Case(ulong seed, long index, bool kernel, TextWriter output)
    {
        Count++;
        var program = ProgramGenerator.Make(seed, index, forKernel: index % 4 == 0);
        var accepted = false;
        string? failure;
        try
        {
            failure = Check(program, seed, index, kernel && program.ForKernel ? Bracket : null, out accepted, out var code);
            if (code is not null) _rejections[code] = _rejections.GetValueOrDefault(code) + 1;
        }
        catch (Exception e)
        {
            failure = $"exception: {e}";
        }
        if (accepted) Accepted++;
        if (failure is null) return;
        Failures.Add(failure);
        var kind = Kind(failure);
        var smaller = ProgramMinimizer.Minimize(program, other =>
        {
            try
            {
                return Check(other, seed, index, kernel && program.ForKernel ? new KernelBracket() : null, out _, out _) is { } again && Kind(again) == kind;
            }
            catch (Exception)
            {
                return kind == "exception";
            }
        });
        output.WriteLine($"FAILED with --seed {seed} --first {index} --count 1: {failure}\n{smaller.Listing()}");
    }

    private static string Kind(string failure) => failure[..failure.IndexOf(':')];

    private string? Check(GeneratedProgram program, ulong seed, long index, KernelBracket? bracket, out bool accepted, out string? code)
    {
        var result = ProgramVerifier.Verify(program.Spec, s_verifier with { ContextSize = program.ContextSize });
        accepted = result.Accepted;
        code = result.Rejection?.Code;
        var descriptor = -1;
        if (_kernel is not null && bracket is not null)
        {
            descriptor = _kernel.Load(program, out var words);
            var refusal = bracket.Note(result, descriptor, words, () =>
            {
                _kernel.Load(program, out var walk, KernelPeer.Log.Walk);
                return walk;
            }, () =>
            {
                var walked = new WalkedStates();
                ProgramVerifier.Verify(program.Spec, s_verifier with { ContextSize = program.ContextSize, Observer = walked });
                return walked;
            });
            if (refusal is not null) return refusal;
        }
        try
        {
            return result.Program is { } verified ? Run(program, verified, seed, index, bracket, descriptor) : null;
        }
        finally
        {
            if (descriptor >= 0) KernelPeer.Close(descriptor);
        }
    }

    // Does the run execute what the kernel's verifier never walked, and has taken away for that?
    private bool WasTakenAway(GeneratedProgram program, ProgramInput input)
    {
        if (_kernel!.Load(program, out var log, KernelPeer.Log.WholeWalk) is not (>= 0 and var descriptor)) return false;
        KernelPeer.Close(descriptor);
        var walked = KernelLog.Walked(log);
        var missing = false;
        using var interpreter = new CheckedInterpreter(program.Spec, _stage.Maps) { InstructionBudget = EngineCheck.Budget, Observer = (slot, _, _, _) => missing |= !walked.Contains(slot) };
        _stage.Set(program, input);
        interpreter.Run(_stage.Context);
        return missing;
    }

    private string? Run(GeneratedProgram program, VerifiedProgram verified, ulong seed, long index, KernelBracket? bracket, int descriptor)
    {
        var random = FuzzRandom.ForCase(~seed, index);
        // What the kernel refuses is held to more.
        var inputs = new ProgramInput[bracket is not null && descriptor < 0 ? 8 : 2];
        for (var at = 0; at < inputs.Length; at++) inputs[at] = ProgramInput.Make(program, random);
        // With all optimisations, and for some with a random choice of them.
        if (bracket is null) inputs = [.. inputs, ProgramInput.Make(program, new FuzzRandom(seed ^ (ulong)index), uniform: true)];
        CompilerOptions[] options = random.OneIn(4) && _optimised == CompilerOptions.Default ? [_optimised, EngineCheck.RandomOptions(random)] : [_optimised];
        var failure = _engines.Run(program, verified, inputs, options, descriptor < 0 ? null : (input, state) =>
        {
            var difference = _kernel!.Compare(descriptor, program, input, _stage, BitConverter.ToUInt64(state));
            if (difference is null) bracket!.Runs++;
            else if (WasTakenAway(program, input))
            {
                // It forgot that a value decided a jump, pruned another path for it, and took the jump away.
                bracket!.WrongRuns++;
                return null;
            }
            return difference;
        });
        return failure is not null && Kind(failure) == "jit" && options.Length == 1 ? $"{failure}; it {_engines.Blame(program, verified, inputs)}" : failure;
    }
}
