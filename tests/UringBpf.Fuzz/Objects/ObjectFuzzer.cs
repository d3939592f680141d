using System.Diagnostics;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// Mutated objects through the loader, and what still loads through the verifier: each must load or be refused with a
/// code, within a bound of memory, and each program be accepted or rejected.
/// </summary>
public static class ObjectFuzzer
{
    /// <summary>Bytes that loading an object of <paramref name="length"/> bytes may allocate.</summary>
    public static long AllocationBound(int length) => 256 * 1024 + 64L * length;

    // Few of the programs need more, and a case must not take long.
    private static readonly VerifierOptions s_verifierOptions = new() { MaxSteps = 20_000 };

    /// <summary>What came of the cases so far.</summary>
    public sealed class Summary
    {
        /// <summary>Cases run.</summary>
        public long Cases;
        /// <summary>Cases that loaded in spite of the damage.</summary>
        public long Loaded;
        /// <summary>Programs of those that the verifier accepted.</summary>
        public long Accepted;
        /// <summary>Programs of those that the verifier rejected.</summary>
        public long Rejected;
        /// <summary>Accepted programs that were run.</summary>
        public long Runs;
        /// <summary>Refusals by code.</summary>
        public SortedDictionary<string, long> Codes { get; } = new(StringComparer.Ordinal);
        /// <summary>What must not happen, with what repeats it.</summary>
        public List<string> Failures { get; } = [];
        /// <summary>The most that one case allocated, in bytes.</summary>
        public long MostAllocated;
        /// <summary>The longest that one case took.</summary>
        public TimeSpan Longest;
    }

    /// <summary>The verbs: loading alone, or verifying as well.</summary>
    public static int Run(FuzzOptions options, bool verify)
    {
        var files = options.Files.Count > 0 ? options.Files : CommittedObjects();
        var clock = Stopwatch.StartNew();
        var summary = Run([.. files.Select(File.ReadAllBytes)], options, clock, verify);
        foreach (var failure in summary.Failures) Console.Error.WriteLine(failure);
        Console.WriteLine($"objects: {summary.Cases} mutations of {files.Count} objects, seed {options.Seed}, {clock.Elapsed.TotalSeconds:f0} s: "
            + $"{summary.Loaded} loaded{(verify ? $" ({summary.Accepted} programs accepted, {summary.Rejected} rejected)" : "")}, {summary.Codes.Values.Sum()} refused with {summary.Codes.Count} codes, {summary.Failures.Count} failures; "
            + $"longest {summary.Longest.TotalMilliseconds:f1} ms, most allocated {summary.MostAllocated / 1024} KiB");
        Console.WriteLine("codes: " + string.Join(' ', summary.Codes.Select(code => $"{code.Key}={code.Value}")));
        return summary.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs cases on these objects in turn.</summary>
    public static Summary Run(IReadOnlyList<byte[]> objects, FuzzOptions options, Stopwatch clock, bool verify)
    {
        var mutators = objects.Select(bytes => new ObjectMutator(bytes)).ToArray();
        var summary = new Summary();
        for (; summary.Cases < options.Count && clock.Elapsed.TotalSeconds < options.Seconds; summary.Cases++)
        {
            var name = $"--seed {options.Seed}, case {summary.Cases}";
            var spec = Load(mutators[summary.Cases % mutators.Length].Mutate(FuzzRandom.ForCase(options.Seed, summary.Cases)), LoadOptions.Default, name, summary);
            if (verify && spec is not null) Verify(spec, name, summary);
        }
        return summary;
    }

    /// <summary>Loads an object, or counts its refusal.</summary>
    internal static ObjectSpec? Load(byte[] bytes, LoadOptions options, string name, Summary summary)
    {
        ObjectSpec? spec = null;
        var started = Stopwatch.GetTimestamp();
        var allocated = Allocated(() => Guard(name, summary, () => spec = ObjectSpec.Load(bytes, options: options)));
        var elapsed = Stopwatch.GetElapsedTime(started);
        // A collection meanwhile counts what it found unused of the thread's own blocks: what is too much once must be it twice more.
        for (var again = 0; again < 2 && allocated > AllocationBound(bytes.Length); again++)
            allocated = Math.Min(allocated, Allocated(() => Guard(name, new Summary(), () => ObjectSpec.Load(bytes, options: options))));
        if (spec is not null) summary.Loaded++;
        if (allocated > AllocationBound(bytes.Length)) summary.Failures.Add($"{name}: {allocated} bytes allocated for a file of {bytes.Length}");
        if (elapsed.TotalSeconds > 5) summary.Failures.Add($"{name}: {elapsed.TotalSeconds:f1} s");
        summary.MostAllocated = Math.Max(summary.MostAllocated, allocated);
        if (elapsed > summary.Longest) summary.Longest = elapsed;
        return spec;
    }

    private static long Allocated(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void Verify(ObjectSpec spec, string name, Summary summary)
    {
        foreach (var program in spec.Programs)
        {
            Guard($"{name}, program {program.Name}", summary, () =>
            {
                if (ProgramVerifier.Verify(program, s_verifierOptions).Accepted) summary.Accepted++;
                else summary.Rejected++;
            });
        }
    }

    /// <summary>Runs something that may be refused with a code, and nothing else.</summary>
    internal static void Guard(string name, Summary summary, Action action)
    {
        try
        {
            action();
        }
        catch (BpfException refusal)
        {
            summary.Codes[refusal.Code] = summary.Codes.GetValueOrDefault(refusal.Code) + 1;
        }
#pragma warning disable CA1031 // Any other exception is what is looked for.
        catch (Exception crash)
        {
            summary.Failures.Add($"{name}: {crash}");
        }
#pragma warning restore CA1031
    }

    /// <summary>The objects of the tests.</summary>
    internal static string[] CommittedObjects()
    {
        var root = AppContext.BaseDirectory;
        while (root is not null && !File.Exists(Path.Combine(root, "UringBpf.sln"))) root = Path.GetDirectoryName(root);
        return root is null ? [] : [.. Directory.GetFiles(Path.Combine(root, "tests"), "*.bpf.o", SearchOption.AllDirectories).Order()];
    }
}
