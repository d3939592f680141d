using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// What the generator's programs reach: in how many accepted programs each thing is executed. What is never executed is not
/// tested, however many programs are tried.
/// </summary>
public sealed class Reach : IDisposable
{
    private static readonly VerifierOptions s_verifier = new() { MaxSteps = 60_000 };

    private readonly Stage _stage = new();
    private readonly Dictionary<string, Dictionary<string, long>> _groups = [];
    private readonly SortedDictionary<string, long> _rejections = [];

    private Reach()
    {
        // Everything there is, so that what is never reached is seen.
        foreach (var row in OpcodeTable.Rows) _ = Count("instructions", Name(row), 0);
        foreach (var function in HelperPrototypes.All) _ = Count("helpers", function.Name, 0);
        foreach (var function in KfuncPrototypes.All) _ = Count("kfuncs", function.Name, 0);
        foreach (var type in Enum.GetValues<MapType>())
        {
            if (type != MapType.Unspecified) _ = Count("maps", type.ToString(), 0);
        }
        _ = Count("functions", "global", 0);
        foreach (var type in ProgramTypes.All) _ = Count("program types", type.Name, 0);
        foreach (var region in Enum.GetValues<RegionKind>())
        {
            if (region == RegionKind.Unknown) continue;
            foreach (var access in new[] { "load", "store", "atomic" })
            {
                foreach (var offset in new[] { "constant", "variable" }) _ = Count("accesses", $"{region} {access} at a {offset} offset", 0);
            }
        }
    }

    /// <summary>Programs tried.</summary>
    public long Programs { get; private set; }

    /// <summary>Programs accepted.</summary>
    public long Accepted { get; private set; }

    /// <summary>What no accepted program executed, as "group: name".</summary>
    public IEnumerable<string> Never => _groups.SelectMany(group => group.Value.Where(one => one.Value == 0).Select(one => $"{group.Key}: {one.Key}"));

    /// <summary>The verb: prints the counts.</summary>
    public static int Run(FuzzOptions options)
    {
        using var reach = Run(options.Seed, options.First, options.Count);
        reach.Print(Console.Out);
        return 0;
    }

    /// <summary>Follows programs, each on two inputs.</summary>
    public static Reach Run(ulong seed, long first, long count)
    {
        var reach = new Reach();
        for (var index = first; index < first + count; index++) reach.Case(seed, index);
        return reach;
    }

    /// <summary>The figures: of each group what is never executed, then all from rare to common.</summary>
    public void Print(TextWriter output)
    {
        output.WriteLine($"reach: {Programs} programs, {Accepted} accepted ({100.0 * Accepted / Math.Max(1, Programs):F1} %)");
        output.WriteLine("refused: " + string.Join(", ", _rejections.OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}")));
        foreach (var (group, counts) in _groups)
        {
            var never = counts.Where(one => one.Value == 0).Select(one => one.Key).ToArray();
            output.WriteLine($"{group}: {counts.Count - never.Length} of {counts.Count} executed{(never.Length == 0 ? "" : "; never: " + string.Join(", ", never))}");
            output.WriteLine("  programs that execute it: " + string.Join(", ", counts.Where(one => one.Value > 0).OrderBy(one => one.Value).Select(one => $"{one.Key} {one.Value}")));
        }
    }

    /// <inheritdoc />
    public void Dispose() => _stage.Dispose();

    private void Case(ulong seed, long index)
    {
        Programs++;
        var program = ProgramGenerator.Make(seed, index, forKernel: index % 4 == 0);
        var result = ProgramVerifier.Verify(program.Spec, s_verifier with { ContextSize = program.ContextSize });
        if (result.Program is not { } verified)
        {
            _rejections[result.Rejection!.Code] = _rejections.GetValueOrDefault(result.Rejection.Code) + 1;
            return;
        }
        Accepted++;
        var executed = new SortedSet<int>();
        var depth = 0;
        using var interpreter = new CheckedInterpreter(program.Spec, _stage.Maps)
        {
            InstructionBudget = EngineCheck.Budget,
            Observer = (slot, frame, _, _) =>
            {
                executed.Add(slot);
                depth = Math.Max(depth, frame);
            },
        };
        var random = FuzzRandom.ForCase(~seed, index);
        for (var runs = 0; runs < 2; runs++)
        {
            _stage.Set(program, ProgramInput.Make(program, random));
            interpreter.Run(_stage.Context);
        }
        var names = new HashSet<(string, string)> { ("program types", program.Spec.Type!.Name), ("frames", (depth + 1).ToString()), ("termination", verified.Termination.ToString()) };
        foreach (var function in verified.Subprograms)
        {
            if (executed.Contains(function.Start)) names.Add(("functions", function.IsGlobal ? "global" : function.Start == 0 ? "the program" : "static"));
        }
        foreach (var slot in executed) Note(program.Spec, verified.Facts[slot], slot, names);
        foreach (var (group, name) in names) Count(group, name, 1);
    }

    private static void Note(ProgramSpec spec, in InstructionFacts facts, int slot, HashSet<(string, string)> names)
    {
        var instruction = spec.Instructions[slot];
        var row = OpcodeTable.Find(instruction)!;
        names.Add(("instructions", Name(row)));
        if (row.Operation == Operation.CallHelper) names.Add(("helpers", HelperPrototypes.All.First(helper => helper.Id == instruction.Immediate).Name));
        if (row.Operation == Operation.CallKfunc) names.Add(("kfuncs", KfuncPrototypes.All.First(kfunc => kfunc.Id == instruction.Immediate).Name));
        if (row.Operation == Operation.LoadImmediate64 && row.Wide is WideKind.MapIndex or WideKind.MapValueIndex) names.Add(("maps", spec.Maps[instruction.Immediate].Type.ToString()));
        if (row.IsMemory && facts.Region != RegionKind.Unknown)
        {
            var access = row.IsAtomicReadModifyWrite || row.Operation is Operation.LoadAcquire or Operation.StoreRelease ? "atomic" : row.Operation == Operation.Store ? "store" : "load";
            names.Add(("accesses", $"{facts.Region} {access} at a {(facts.OffsetMin == facts.OffsetMax ? "constant" : "variable")} offset"));
        }
    }

    private static string Name(OpcodeRow row) => row.Operation == Operation.LoadImmediate64
        ? $"{row.Operation}:{row.Wide}"
        : $"{row.Operation}{row.Width}{(row.Bits > 0 ? $":{row.Bits}" : "")}{(row.Source == OperandSource.Immediate ? ":imm" : "")}";

    private long Count(string group, string name, long more)
    {
        if (!_groups.TryGetValue(group, out var counts)) _groups.Add(group, counts = []);
        return counts[name] = counts.GetValueOrDefault(name) + more;
    }
}
