using System.Globalization;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Perf;

/// <summary>`engines`: every engine on every kernel, interleaved; writes Markdown, CSV and charts.</summary>
internal static unsafe class EngineComparison
{
    public const string Baseline = "clang -O2, no vectors";
    public static int Run(string folder, int rounds, string[] only)
    {
        var rows = new List<(Kernel Kernel, IReadOnlyList<Timing> Timings)>();
        var besideKernel = new List<(Kernel Kernel, IReadOnlyList<Timing> Timings)>();
        foreach (var kernel in Kernel.All.Where(kernel => only.Length == 0 || only.Contains(kernel.Name)))
        {
            var timings = Measure(kernel, rounds);
            rows.Add((kernel, timings));
            var inLoop = MeasureBesideKernel(kernel, rounds);
            besideKernel.Add((kernel, inLoop));
            Console.WriteLine($"{kernel.Name,-10} {string.Join("  ", timings.Concat(inLoop).Select(t => $"{t.Name} {t.MedianNs.ToString("0.0", CultureInfo.InvariantCulture)} ({t.MinNs.ToString("0.0", CultureInfo.InvariantCulture)})"))}");
        }
        Report.Write(folder, rows, besideKernel, Baseline);
        return 0;
    }

    private static IReadOnlyList<Timing> Measure(Kernel kernel, int rounds)
    {
        using var scalar = NativePeer.TryCreate(kernel, vectorize: false);
        using var vector = NativePeer.TryCreate(kernel, vectorize: true);
        using var managed = new ManagedKernels(kernel.Input());
        var (verified, maps) = kernel.Load();
        using (maps)
        using (var jit = ProgramCompiler.Compile(verified, maps))
        using (var straight = ProgramCompiler.Compile(verified, maps, CompilerOptions.Straight))
        using (var interpreter = InterpretedProgram.Create(verified, maps))
        using (var checkedInterpreter = new CheckedInterpreter(verified.Spec, maps))
        {
            var code = ManagedKernels.Find(kernel.Name);
            var candidates = new List<Candidate>
            {
                Engine("jit", jit),
                Engine("jit, straight", straight),
                new("C#", runs => { for (var i = 0; i < runs; i++) code(); }),
                Engine("interpreter", interpreter),
                new("checked interpreter", runs => { for (var i = 0; i < runs; i++) Fine(checkedInterpreter.Run([])); }),
            };
            if (scalar != null) candidates.Add(Native(Baseline, scalar));
            if (vector != null) candidates.Add(Native("clang -O2", vector));

            // Every engine does the same work.
            var expected = jit.Run([]);
            Agree("interpreter", interpreter.Run([]));
            Agree("checked interpreter", checkedInterpreter.Run([]).Result);
            Agree("C#", code());
            if (scalar != null) Agree("native code", scalar.Function(null));
            Warm(candidates);
            return Interleaved.Measure(candidates, rounds);

            void Agree(string engine, ulong result)
            {
                if (result != expected) throw new InvalidOperationException($"{kernel.Name}: the jit returned {expected:x}, {engine} {result:x}.");
            }
        }
    }

    // What is not compiled by this compiler starts in the runtime's quick tier: give it the calls and the time to be replaced.
    private static void Warm(List<Candidate> candidates)
    {
        for (var i = 0; i < 3; i++)
        {
            foreach (var candidate in candidates) candidate.Run(40);
            Thread.Sleep(120);
        }
    }

    /// <summary>A run in the same loop, by this compiler's code and by the running kernel's.</summary>
    private static IReadOnlyList<Timing> MeasureBesideKernel(Kernel kernel, int rounds)
    {
        using var repeated = new RepeatedKernel(kernel);
        var result = (uint)repeated.Jit.Run([]);
        var candidates = new List<Candidate> { Engine(repeated.IsMetered ? Report.InLoopMetered : Report.InLoop, repeated.Jit) };
        if (repeated.InKernel is { } inKernel)
        {
            if (inKernel.Run(1) is var other && other != result) throw new InvalidOperationException($"{kernel.Name}: the jit returned {result:x}, the running kernel {other:x}.");
            candidates.Add(new(Report.KernelInLoop, runs => inKernel.Run(runs)));
        }
        Warm(candidates);
        return [.. Interleaved.Measure(candidates, rounds).Select(timing => timing with { MedianNs = timing.MedianNs / repeated.Rounds, MinNs = timing.MinNs / repeated.Rounds })];
    }

    private static void Fine(CheckedResult result)
    {
        if (result.Fault != null) throw new InvalidOperationException(result.Fault.ToString());
    }

    private static Candidate Engine(string name, BpfProgram program)
    {
        var entry = program.EntryPoint;
        var self = program.Self;
        return new Candidate(name, runs =>
        {
            var state = ExecutionSlot.Current;
            byte* context = stackalloc byte[8];
            state->Reset(program.InstructionBudget);
            state->Context = context;
            state->ContextLength = 8;
            for (var i = 0; i < runs; i++) entry(self, context, 8, state);
            state->Leave();
            GC.KeepAlive(program);
        });
    }

    private static Candidate Native(string name, NativePeer peer)
    {
        var function = peer.Function;
        return new Candidate(name, runs =>
        {
            for (var i = 0; i < runs; i++) function(null);
        });
    }
}
