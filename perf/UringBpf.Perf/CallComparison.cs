using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>`calls`: what it costs to enter a program as a ring does, to call a helper, and to call another function; and what a
/// run allocates. A call's cost is that of a loop with it less that of the same loop without, per round.</summary>
internal static unsafe class CallComparison
{
    private const int Rounds = 1000;

    private static readonly FunctionPrototype s_answer = new() { Name = "perf_answer", Id = 0x10000, Kind = FunctionKind.Helper };
    private static readonly FunctionRegistry s_functions = FunctionRegistry.BuiltIn.With(s_answer, typeof(CallComparison).GetMethod(nameof(Answer))!);

    /// <summary>What a host adds.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Answer() => 42;

    public static int Run(string folder, int rounds)
    {
        (string Name, string Body, string Functions, CompilerOptions Options)[] calls =
        [
            ("the loop alone", "", "", CompilerOptions.Default),
            ("a helper that RyuJIT inlines: bpf_get_smp_processor_id", "call bpf_get_smp_processor_id", "", CompilerOptions.Default),
            ("a host's function that can't be inlined", "call perf_answer", "", CompilerOptions.Default with { Functions = s_functions }),
            ("a BPF function, inlined", "r1 = r7\ncall f", "f: r0 = r1\nr0 ^= 5\nexit", CompilerOptions.Default),
            ("a BPF function, called", "r1 = r7\ncall f", "f: r0 = r1\nr0 ^= 5\nexit", CompilerOptions.Default with { InlineSubprograms = false }),
        ];
        using var empty = Compile("r0 = 0\nexit", CompilerOptions.Default);
        var programs = calls.Select(call => Compile($"r7 = 0\nr8 = 0\nloop: {call.Body}\n{(call.Body.Length > 0 ? "r8 += r0" : "r8 += r7")}\nr7 += 1\nif r7 != {Rounds} goto loop\nr0 = r8\nexit\n{call.Functions}", call.Options)).ToList();
        var candidates = programs.Select((program, i) => Candidate(calls[i].Name, program)).Prepend(Candidate("empty", empty)).ToList();
        for (var i = 0; i < 4; i++)
        {
            foreach (var candidate in candidates) candidate.Run(100);
            Thread.Sleep(150);
        }
        var timings = Interleaved.Measure(candidates, rounds);
        var text = new StringBuilder("# Calls\n\nNanoseconds: median (minimum), interleaved rounds. A call: a loop with it, less the same loop without.\n\n| what | ns |\n|---|---:|\n");
        text.Append(CultureInfo.InvariantCulture, $"| an empty program, through the function pointer a ring calls | {timings[0].MedianNs:0.00} ({timings[0].MinNs:0.00}) |\n");
        for (var i = 1; i < programs.Count; i++)
            text.Append(CultureInfo.InvariantCulture, $"| {calls[i].Name} | {(timings[i + 1].MedianNs - timings[1].MedianNs) / Rounds:0.00} ({(timings[i + 1].MinNs - timings[1].MinNs) / Rounds:0.00}) |\n");
        text.Append(CultureInfo.InvariantCulture, $"\nBytes allocated by 1,000 runs of each of the thirteen kernels: {Allocated()}.\n");
        programs.ForEach(program => program.Dispose());
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "calls.md"), text.ToString());
        Console.Write(text);
        return 0;
    }

    private static BpfProgram Compile(string source, CompilerOptions options) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "calls", Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(source, functions: s_functions.Prototypes), Functions = s_functions.Prototypes }), MapSet.Empty, options with { Functions = s_functions });

    private static Candidate Candidate(string name, BpfProgram program)
    {
        return new(name, runs => Enter(program, runs));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Enter(BpfProgram program, int runs)
    {
        var entry = program.EntryPoint;
        var self = program.Self;
        var state = ExecutionSlot.Current;
        state->Reset(program.InstructionBudget);
        for (var run = 0; run < runs; run++) entry(self, null, 0, state);
        state->Leave();
        GC.KeepAlive(program);
    }

    private static long Allocated()
    {
        long bytes = 0;
        foreach (var kernel in Kernel.All)
        {
            var (verified, maps) = kernel.Load();
            using (maps)
            using (var program = ProgramCompiler.Compile(verified, maps))
            {
                var candidate = Candidate(kernel.Name, program);
                candidate.Run(10);
                var before = GC.GetAllocatedBytesForCurrentThread();
                candidate.Run(1000);
                bytes += GC.GetAllocatedBytesForCurrentThread() - before;
            }
        }
        return bytes;
    }
}
