using System.Globalization;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Perf;

/// <summary>`engines`: every engine on every kernel, interleaved; writes Markdown, CSV and charts.</summary>
internal static unsafe class EngineComparison
{
    public const string Baseline = "clang -O2, no vectors";
    private const string Kernel = "kernel JIT", KernelEmpty = "kernel JIT, return 0";

    public static int Run(string folder, int rounds, string[] only)
    {
        var rows = new List<(Kernel Kernel, IReadOnlyList<Timing> Timings)>();
        using var emptyInKernel = UringBpf.Perf.Kernel.All[0].LoadIntoKernel();
        foreach (var kernel in UringBpf.Perf.Kernel.All.Where(kernel => only.Length == 0 || only.Contains(kernel.Name)))
        {
            var timings = Net(Measure(kernel, emptyInKernel, rounds));
            rows.Add((kernel, timings));
            Console.WriteLine($"{kernel.Name,-10} {string.Join("  ", timings.Select(t => $"{t.Name} {t.MedianNs.ToString("0.0", CultureInfo.InvariantCulture)} ({t.MinNs.ToString("0.0", CultureInfo.InvariantCulture)})"))}");
        }
        Report.Write(folder, rows, Baseline);
        return 0;
    }

    private static IReadOnlyList<Timing> Measure(Kernel kernel, KernelBpf? emptyInKernel, int rounds)
    {
        using var scalar = NativePeer.TryCreate(kernel, vectorize: false);
        using var vector = NativePeer.TryCreate(kernel, vectorize: true);
        using var managed = new ManagedKernels(kernel.Input());
        using var inKernel = emptyInKernel == null ? null : kernel.LoadIntoKernel();
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
            if (inKernel != null)
            {
                candidates.Add(new(Kernel, runs => inKernel.Run(runs)));
                candidates.Add(new(KernelEmpty, runs => emptyInKernel!.Run(runs)));
            }

            // Every engine does the same work.
            var expected = jit.Run([]);
            Agree("interpreter", interpreter.Run([]));
            Agree("checked interpreter", checkedInterpreter.Run([]).Result);
            // The slot of `helpers` differs between engines: its kernel says so.
            Agree("C#", code());
            if (scalar != null) Agree("native code", scalar.Function(null));
            if (inKernel != null) Agree("the running kernel", inKernel.Run(1), uint.MaxValue);
            Warm(candidates);
            return Interleaved.Measure(candidates, rounds);

            void Agree(string engine, ulong result, ulong mask = ulong.MaxValue)
            {
                if ((result & mask) != (expected & mask)) throw new InvalidOperationException($"{kernel.Name}: the jit returned {expected:x}, {engine} {result:x}.");
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

    // BPF_PROG_TEST_RUN's own loop costs some 35 ns a run: what an empty program takes, measured in the same rounds, is subtracted.
    private static IReadOnlyList<Timing> Net(IReadOnlyList<Timing> timings)
    {
        if (timings.FirstOrDefault(timing => timing.Name == KernelEmpty) is not { } empty) return timings;
        return [.. timings.Where(timing => timing != empty).Select(timing => timing.Name == Kernel
            ? timing with { MedianNs = Math.Max(0, timing.MedianNs - empty.MedianNs), MinNs = Math.Max(0, timing.MinNs - empty.MinNs) }
            : timing)];
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
