using System.Diagnostics;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Mutated objects through the loader: each must load or be refused with a code, within a bound of memory.</summary>
public static class ObjectFuzzer
{
    /// <summary>Bytes that loading an object of <paramref name="length"/> bytes may allocate.</summary>
    public static long AllocationBound(int length) => 256 * 1024 + 64L * length;

    /// <summary>What came of the cases so far.</summary>
    public sealed class Summary
    {
        /// <summary>Cases run.</summary>
        public long Cases;
        /// <summary>Cases that loaded in spite of the damage.</summary>
        public long Loaded;
        /// <summary>Refusals by code.</summary>
        public SortedDictionary<string, long> Codes { get; } = new(StringComparer.Ordinal);
        /// <summary>What must not happen, with what repeats it.</summary>
        public List<string> Failures { get; } = [];
        /// <summary>The most that one case allocated, in bytes.</summary>
        public long MostAllocated;
        /// <summary>The longest that one case took.</summary>
        public TimeSpan Longest;
    }

    /// <summary>The verb.</summary>
    public static int Run(FuzzOptions options)
    {
        var files = options.Files.Count > 0 ? options.Files : CommittedObjects();
        var clock = Stopwatch.StartNew();
        var summary = Run([.. files.Select(File.ReadAllBytes)], options, clock);
        foreach (var failure in summary.Failures) Console.Error.WriteLine(failure);
        Console.WriteLine($"objects: {summary.Cases} mutations of {files.Count} objects, seed {options.Seed}, {clock.Elapsed.TotalSeconds:f0} s: "
            + $"{summary.Loaded} loaded, {summary.Codes.Values.Sum()} refused with {summary.Codes.Count} codes, {summary.Failures.Count} failures; "
            + $"longest {summary.Longest.TotalMilliseconds:f1} ms, most allocated {summary.MostAllocated / 1024} KiB");
        Console.WriteLine("codes: " + string.Join(' ', summary.Codes.Select(code => $"{code.Key}={code.Value}")));
        return summary.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs cases on these objects in turn.</summary>
    public static Summary Run(IReadOnlyList<byte[]> objects, FuzzOptions options, Stopwatch clock)
    {
        var mutators = objects.Select(bytes => new ObjectMutator(bytes)).ToArray();
        var summary = new Summary();
        for (; summary.Cases < options.Count && clock.Elapsed.TotalSeconds < options.Seconds; summary.Cases++)
            RunCase(mutators[summary.Cases % mutators.Length].Mutate(FuzzRandom.ForCase(options.Seed, summary.Cases)), $"--seed {options.Seed}, case {summary.Cases}", summary);
        return summary;
    }

    private static void RunCase(byte[] bytes, string name, Summary summary)
    {
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        try
        {
            ObjectSpec.Load(bytes);
            summary.Loaded++;
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
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        var elapsed = Stopwatch.GetElapsedTime(started);
        if (allocated > AllocationBound(bytes.Length)) summary.Failures.Add($"{name}: {allocated} bytes allocated for a file of {bytes.Length}");
        if (elapsed.TotalSeconds > 5) summary.Failures.Add($"{name}: {elapsed.TotalSeconds:f1} s");
        summary.MostAllocated = Math.Max(summary.MostAllocated, allocated);
        if (elapsed > summary.Longest) summary.Longest = elapsed;
    }

    private static string[] CommittedObjects()
    {
        var root = AppContext.BaseDirectory;
        while (root is not null && !File.Exists(Path.Combine(root, "UringBpf.sln"))) root = Path.GetDirectoryName(root);
        return root is null ? [] : [.. Directory.GetFiles(Path.Combine(root, "tests"), "*.bpf.o", SearchOption.AllDirectories).Order()];
    }
}
