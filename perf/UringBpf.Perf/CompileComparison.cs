using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// `compile`: what compiling takes (RyuJIT included), how it grows, what long programs cost per instruction when they run,
/// and how soon a hook runs for the first time, in this process and in fresh ones.
/// </summary>
internal static class CompileComparison
{
    public static int Run(string folder, int rounds)
    {
        var text = new StringBuilder("# Compiling\n\n");
        Kernels(text, rounds);
        Lengths(text, rounds);
        FirstRuns(text, rounds);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "compile.md"), text.ToString());
        Console.Write(text);
        return 0;
    }

    private static void Kernels(StringBuilder text, int rounds)
    {
        text.Append("Microseconds, warm: median (minimum) of compiling a verified program to machine code, RyuJIT included.\n\n| program | instructions | compile |\n|---|---:|---:|\n");
        var small = new List<double>();
        foreach (var kernel in Kernel.All)
        {
            var (verified, maps) = kernel.Load();
            using (maps)
            {
                var times = Times(rounds, () => ProgramCompiler.Compile(verified, maps).Dispose());
                var slots = verified.Spec.Instructions.Length;
                if (slots <= 100) small.Add(times.Median);
                text.Append(CultureInfo.InvariantCulture, $"| {kernel.Title} | {slots} | {times.Median:0} ({times.Minimum:0}) |\n");
            }
        }
        small.Sort();
        text.Append(CultureInfo.InvariantCulture, $"| **median of those up to 100 instructions** | | **{small[small.Count / 2]:0}** |\n\n");
    }

    private static void Lengths(StringBuilder text, int rounds)
    {
        text.Append("Growth: generated programs of the same blocks. Nanoseconds per instruction of a run are of instructions executed.\n\n" +
            "As many in programs of 1,000: the same instructions, run one program after the other, so that their machine code takes as much of the processor's caches.\n\n" +
            "clang: what clang -O2 without vectorising makes of the same program in C, one function, with a look-up of its own, run in the same rounds: how its time per instruction grows, " +
            "and how many bytes of code it has for each instruction, is how much any compiler's code is slower where it is longer than the caches.\n\n" +
            "| instructions | compile µs | per instruction µs | run ns per instruction | relative to 1,000 | as many in programs of 1,000 | relative to those | clang's relative to its 1,000 | relative to clang | clang's bytes per instruction |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        var lengths = new[] { 100, 1_000, 4_000, 10_000, 20_000, 50_000 };
        var programs = lengths.Select(length => ProgramVerifier.VerifyOrThrow(GeneratedProgram.Of(length))).ToList();
        var mapSets = programs.Select(program => MapSet.Create(program.Spec.Maps)).ToList();
        var compiled = programs.Select((program, i) => ProgramCompiler.Compile(program, mapSets[i])).ToList();
        var context = new byte[64];
        new Random(42).NextBytes(context);
        var executed = programs.Select((program, i) =>
        {
            using var interpreter = new CheckedInterpreter(program.Spec, mapSets[i]);
            return interpreter.Run((byte[])context.Clone()).Instructions;
        }).ToList();
        // What compiled code calls in this library starts in the runtime's quick tier: give it the calls and the time.
        var copies = Enumerable.Range(0, lengths[^1] / lengths[1]).Select(_ => ProgramCompiler.Compile(programs[1], mapSets[1])).ToList();
        var candidates = compiled.Select((program, i) => Candidate(lengths[i], [program], context)).ToList();
        candidates.AddRange(lengths.Skip(1).Select(length => Candidate(length, copies[..(length / lengths[1])], context)));
        var natives = lengths.Select(length => NativePeer.TryCreate(GeneratedProgram.InC(length), "generated")).ToList();
        var firstNative = candidates.Count;
        candidates.AddRange(natives.OfType<NativePeer>().Select((native, i) => Candidate(lengths[i], native, context)));
        for (var i = 0; i < 3; i++)
        {
            foreach (var candidate in candidates) candidate.Run(40);
            Thread.Sleep(150);
        }
        var timings = Interleaved.Measure(candidates, rounds);
        var baseline = timings[1].MedianNs / executed[1];
        for (var i = 0; i < lengths.Length; i++)
        {
            var (program, maps) = (programs[i], mapSets[i]);
            var times = Times(Math.Max(9, Math.Min(rounds, 20_000 / lengths[i])), () => ProgramCompiler.Compile(program, maps).Dispose());
            var perInstruction = timings[i].MedianNs / executed[i];
            var apart = i == 0 ? null : (double?)timings[lengths.Length + i - 1].MedianNs / (executed[1] * (lengths[i] / lengths[1]));
            double? Native(int at) => natives[at] is null ? null : timings[firstNative + at].MedianNs / executed[at];
            text.Append(CultureInfo.InvariantCulture,
                $"| {program.Spec.Instructions.Length:n0} | {times.Median:n0} | {times.Median / program.Spec.Instructions.Length:0.00} | {perInstruction:0.00} | {perInstruction / baseline:0.00} | {apart:0.00} | {perInstruction / apart:0.00} | " +
                $"{Native(i) / Native(1):0.00} | {perInstruction / Native(i):0.00} | {(double?)natives[i]?.CodeBytes / program.Spec.Instructions.Length:0.00} |\n");
            natives[i]?.Dispose();
            compiled[i].Dispose();
            maps.Dispose();
        }
        text.Append('\n');
    }

    private static Candidate Candidate(int length, IReadOnlyList<BpfProgram> programs, byte[] context) =>
        new(length.ToString(CultureInfo.InvariantCulture), runs => Enter([.. programs], context, runs));

    private static unsafe Candidate Candidate(int length, NativePeer native, byte[] context)
    {
        var function = native.Function;
        return new($"clang {length}", runs =>
        {
            fixed (byte* memory = context)
            {
                for (var run = 0; run < runs; run++) function(memory);
            }
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Enter(BpfProgram[] programs, byte[] context, int runs)
    {
        var state = ExecutionSlot.Current;
        fixed (byte* memory = context)
        {
            state->Reset(programs[0].InstructionBudget);
            for (var run = 0; run < runs; run++)
            {
                foreach (var program in programs) program.EntryPoint(program.Self, memory, (ulong)context.Length, state);
            }
            state->Leave();
        }
    }

    private static void FirstRuns(StringBuilder text, int rounds)
    {
        var kernel = Kernel.All.Single(candidate => candidate.Name == "filter");
        var (verified, maps) = kernel.Load();
        using (maps)
        {
            var eager = Times(rounds, () => First(CompilationMode.Eager));
            var tiered = Times(rounds, () => First(CompilationMode.Tiered));
            text.Append("Microseconds to the end of the first run of the completion filter: median (minimum).\n\n| from | eager | tiered |\n|---|---:|---:|\n");
            text.Append(CultureInfo.InvariantCulture, $"| verified, in a warm process | {eager.Median:0} ({eager.Minimum:0}) | {tiered.Median:0} ({tiered.Minimum:0}) |\n");
        }
        foreach (var (name, program) in ColdStart.Programs(all: rounds > 50))
        {
            using (program)
            {
                var cold = new[] { CompilationMode.Eager, CompilationMode.Tiered }.Select(mode => program.Measure(kernel.ObjectFile, mode, Math.Min(rounds, 15))).ToList();
                text.Append(CultureInfo.InvariantCulture, $"| the object file, in a fresh process, {name} | {cold[0].Median:n0} ({cold[0].Minimum:n0}) | {cold[1].Median:n0} ({cold[1].Minimum:n0}) |\n");
            }
        }

        // What is compiled in the background is left to finish before the next round.
        void First(CompilationMode mode)
        {
            using var program = ProgramCompiler.Compile(verified, maps, CompilerOptions.Default with { Mode = mode });
            program.Run([]);
            if (program is TieredProgram tiered) s_pending.Add(tiered.Compilation);
        }
    }

    private static readonly List<Task> s_pending = [];

    private static (double Median, double Minimum) Times(int rounds, Action action)
    {
        // The first calls compile the compiler; the runtime then replaces its quick code.
        for (var i = 0; i < (rounds > 20 ? 60 : 1); i++) action();
        Task.WaitAll(s_pending);
        Thread.Sleep(150);
        for (var i = 0; i < 40 && rounds > 20; i++) action();
        var times = new double[rounds];
        for (var i = 0; i < rounds; i++)
        {
            var start = Stopwatch.GetTimestamp();
            action();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            Task.WaitAll(s_pending);
            s_pending.Clear();
        }
        Array.Sort(times);
        return (times[rounds / 2], times[0]);
    }
}
