using System.Globalization;
using System.Text;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Perf;

/// <summary>`engines`: every engine on every kernel, interleaved; writes Markdown, CSV and charts.</summary>
internal static unsafe class EngineComparison
{
    private const string Baseline = "clang -O2, no vectors";

    public static int Run(string folder, int rounds, string[] only)
    {
        var rows = new List<(Kernel Kernel, IReadOnlyList<Timing> Timings)>();
        foreach (var kernel in Kernel.All.Where(kernel => only.Length == 0 || only.Contains(kernel.Name)))
        {
            using var scalar = NativePeer.TryCreate(kernel, vectorize: false);
            using var vector = NativePeer.TryCreate(kernel, vectorize: true);
            var (verified, maps) = kernel.Load();
            using (maps)
            using (var jit = ProgramCompiler.Compile(verified, maps))
            using (var interpreter = InterpretedProgram.Create(verified, maps))
            using (var straight = ProgramCompiler.Compile(verified, maps, CompilerOptions.Straight))
            {
                var candidates = new List<Candidate> { Engine("jit", jit), Engine("jit, straight", straight), Engine("interpreter", interpreter) };
                if (scalar != null) candidates.Add(Native(Baseline, scalar));
                if (vector != null) candidates.Add(Native("clang -O2", vector));
                var expected = kernel.Name == "empty" || scalar == null ? 0 : scalar.Function(null);
                if (scalar != null && jit.Run([]) != expected)
                    throw new InvalidOperationException($"{kernel.Name}: the jit returned {jit.Run([]):x}, native code {expected:x}.");
                var timings = Interleaved.Measure(candidates, rounds);
                rows.Add((kernel, timings));
                Console.WriteLine($"{kernel.Name,-10} {string.Join("  ", timings.Select(t => $"{t.Name} {t.MedianNs.ToString("0.0", CultureInfo.InvariantCulture)} ({t.MinNs.ToString("0.0", CultureInfo.InvariantCulture)})"))}");
            }
        }
        Report.Write(folder, rows, Baseline);
        return 0;
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
