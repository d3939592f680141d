using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>`maps`: map operations of the same bytecode, compiled here and by the running kernel, and the host's typed access beside
/// the collections of .NET. Interleaved; nanoseconds per operation, the loop around it included.</summary>
internal static unsafe class MapComparison
{
    // Operations in one run of a program.
    private const int Rounds = 1000;

    public static int Run(string folder, int rounds)
    {
        var text = new StringBuilder("# Maps\n\nNanoseconds per operation from a program, its loop included: median (minimum). Same bytecode, interleaved.\n\n| operation | jit | kernel |\n|---|---:|---:|\n");
        Compare(text, "array lookup", HelperPrototypes.MapLookup, Spec(MapType.Array, 4, 64), 63, rounds);
        Compare(text, "hash lookup", HelperPrototypes.MapLookup, Spec(MapType.Hash, 8, 1024), 1023, rounds);
        Compare(text, "hash update", HelperPrototypes.MapUpdate, Spec(MapType.Hash, 8, 1024), 1023, rounds);
        Compare(text, "LRU lookup", HelperPrototypes.MapLookup, Spec(MapType.LruHash, 8, 1024), 1023, rounds);
        Compare(text, "LRU update", HelperPrototypes.MapUpdate, Spec(MapType.LruHash, 8, 1024), 1023, rounds);
        Compare(text, "LRU update that evicts", HelperPrototypes.MapUpdate, Spec(MapType.LruHash, 8, 256), 1023, rounds);
        Compare(text, "per-CPU hash update", HelperPrototypes.MapUpdate, Spec(MapType.PerCpuHash, 8, 1024), 1023, rounds);
        text.Append("\nNanoseconds per operation from the host, 1024 keys.\n\n| operation | UringBpf | Dictionary | ConcurrentDictionary |\n|---|---:|---:|---:|\n");
        CompareHost(text, rounds);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "maps.md"), text.ToString());
        Console.Write(text);
        return 0;
    }

    private static MapSpec Spec(MapType type, int keySize, int entries) => new() { Name = "m", Type = type, KeySize = keySize, ValueSize = 8, MaxEntries = entries };

    // for (i = 0; i < Rounds; i++) { key = i & mask; operation; }
    private static Instruction[] Code(FunctionPrototype operation, int mask)
    {
        var updates = operation == HelperPrototypes.MapUpdate;
        List<Instruction> code =
        [
            new(0xb7, 7), new(0xb7, 8),
            new(0xbf, 1, 7), new(0x57, 1, immediate: mask), new(0x7b, 10, 1, -8),
            new(0xbf, 2, 10), new(0x07, 2, immediate: -8),
        ];
        if (updates) code.AddRange([new(0x7b, 10, 7, -16), new(0xbf, 3, 10), new(0x07, 3, immediate: -16), new(0xb7, 4)]);
        code.AddRange([new(0x18, 1, (int)WideKind.MapIndex), new(0), new(0x85, immediate: operation.Id)]);
        if (!updates) code.AddRange([new(0x15, 0, offset: 2), new(0x79, 1, 0), new(0x0f, 8, 1)]);
        code.Add(new(0x07, 7, immediate: 1));
        code.Add(new(0xa5, 7, offset: (short)(2 - code.Count - 1), immediate: Rounds));
        code.AddRange([new(0xbf, 0, 8), new(0x95)]);
        return [.. code];
    }

    private static void Compare(StringBuilder text, string name, FunctionPrototype operation, MapSpec spec, int mask, int rounds)
    {
        using var maps = MapSet.Create([spec]);
        using var fill = Compile(Code(HelperPrototypes.MapUpdate, mask), spec, maps);
        using var program = Compile(Code(operation, mask), spec, maps);
        fill.Run([]);
        var candidates = new List<Candidate> { new("jit", runs => RunCompiled(program, runs)) };
        using var kernel = KernelBpf.TryLoad(Code(operation, mask), [spec], keys: mask + 1);
        if (kernel != null) candidates.Add(new("kernel", runs => kernel.Run(runs)));
        var timings = Measure(candidates, rounds);
        text.Append(CultureInfo.InvariantCulture, $"| {name} | {Cell(timings[0], Rounds)} | {(timings.Count > 1 ? Cell(timings[1], Rounds) : "not available")} |\n");
    }

    private static BpfProgram Compile(Instruction[] code, MapSpec spec, MapSet maps) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(new ProgramSpec { Name = "maps", Type = ProgramTypes.Raw, Instructions = [.. code], Maps = [spec] }), maps);

    private static void RunCompiled(BpfProgram program, int runs)
    {
        var state = ExecutionSlot.Current;
        state->Reset(program.InstructionBudget);
        for (var i = 0; i < runs; i++) program.EntryPoint(program.Self, null, 0, state);
        state->Leave();
        GC.KeepAlive(program);
    }

    private static void CompareHost(StringBuilder text, int rounds)
    {
        using var map = BpfMap.Create(Spec(MapType.Hash, 8, 1024));
        var ours = new BpfHashMap<long, long>(map);
        var dictionary = new Dictionary<long, long>();
        var concurrent = new ConcurrentDictionary<long, long>();
        for (long key = 0; key < 1024; key++) ours[key] = dictionary[key] = concurrent[key] = key;
        long sum = 0;
        Row("lookup",
            runs => { for (var i = 0; i < runs; i++) { ours.TryGetValue(i & 1023, out var value); sum += value; } },
            runs => { for (var i = 0; i < runs; i++) { dictionary.TryGetValue(i & 1023, out var value); sum += value; } },
            runs => { for (var i = 0; i < runs; i++) { concurrent.TryGetValue(i & 1023, out var value); sum += value; } });
        Row("update",
            runs => { for (var i = 0; i < runs; i++) ours.Update(i & 1023, i); },
            runs => { for (var i = 0; i < runs; i++) dictionary[i & 1023] = i; },
            runs => { for (var i = 0; i < runs; i++) concurrent[i & 1023] = i; });
        GC.KeepAlive(sum);

        void Row(string name, params Action<int>[] bodies)
        {
            var timings = Measure([.. bodies.Select((body, i) => new Candidate(i.ToString(CultureInfo.InvariantCulture), body))], rounds);
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {string.Join(" | ", timings.Select(t => Cell(t, 1)))} |\n");
        }
    }

    // The functions of this library start in the quick tier: give the runtime the time and the calls to replace them.
    private static IReadOnlyList<Timing> Measure(IReadOnlyList<Candidate> candidates, int rounds)
    {
        for (var i = 0; i < 8; i++)
        {
            foreach (var candidate in candidates) candidate.Run(2000);
            Thread.Sleep(150);
        }
        return Interleaved.Measure(candidates, rounds);
    }

    private static string Cell(Timing timing, int operations) => string.Create(CultureInfo.InvariantCulture, $"{timing.MedianNs / operations:0.0} ({timing.MinNs / operations:0.0})");
}
