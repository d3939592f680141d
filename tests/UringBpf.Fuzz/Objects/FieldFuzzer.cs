using System.Diagnostics;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// Objects with lies in their fields: each loads or is refused with a code within a bound of memory; what loads agrees with itself, and
/// its accepted programs run without a fault.
/// </summary>
public static class FieldFuzzer
{
    /// <summary>The verb.</summary>
    public static int Run(FuzzOptions options)
    {
        var files = options.Files.Count > 0 ? options.Files : ObjectFuzzer.CommittedObjects();
        var clock = Stopwatch.StartNew();
        var summary = Run([.. files.Select(File.ReadAllBytes)], options, clock);
        foreach (var failure in summary.Failures) Console.Error.WriteLine(failure);
        Console.WriteLine($"fields: {summary.Cases} lies in {files.Count} objects, seed {options.Seed}, {clock.Elapsed.TotalSeconds:f0} s: "
            + $"{summary.Loaded} loaded ({summary.Accepted} programs accepted, {summary.Rejected} rejected, {summary.Runs} run), {summary.Codes.Values.Sum()} refused with {summary.Codes.Count} codes, "
            + $"{summary.Failures.Count} failures; longest {summary.Longest.TotalMilliseconds:f1} ms, most allocated {summary.MostAllocated / 1024} KiB");
        Console.WriteLine("codes: " + string.Join(' ', summary.Codes.Select(code => $"{code.Key}={code.Value}")));
        return summary.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs cases on these objects in turn.</summary>
    public static ObjectFuzzer.Summary Run(IReadOnlyList<byte[]> objects, FuzzOptions options, Stopwatch clock)
    {
        var mutators = objects.Select(bytes => new FieldMutator(bytes)).ToArray();
        var summary = new ObjectFuzzer.Summary();
        for (var number = options.First; number < options.First + options.Count && clock.Elapsed.TotalSeconds < options.Seconds; number++, summary.Cases++)
        {
            var random = FuzzRandom.ForCase(options.Seed, number);
            var name = $"fields --seed {options.Seed} --first {number} --count 1";
            var bytes = mutators[number % mutators.Length].Mutate(random);
            // Types to relocate against come from files too.
            var target = random.OneIn(4) ? Target(mutators, random, name, summary) : null;
            Check(bytes, new LoadOptions { TargetBtf = target }, random.OneIn(8), name, summary);
        }
        return summary;
    }

    private static BtfSpec? Target(FieldMutator[] mutators, FuzzRandom random, string name, ObjectFuzzer.Summary summary)
    {
        BtfSpec? target = null;
        var damaged = random.Pick(mutators).Mutate(random);
        ObjectFuzzer.Guard(name, summary, () => target = ObjectSpec.Load(damaged).Types);
        return target;
    }

    private static void Check(byte[] bytes, LoadOptions options, bool compile, string name, ObjectFuzzer.Summary summary)
    {
        var before = (byte[])bytes.Clone();
        if (ObjectFuzzer.Load(bytes, options, name, summary) is not { } spec) return;
        void Fail(string problem) => summary.Failures.Add($"{name}: {problem}");
        ObjectFuzzer.Guard(name, summary, () =>
        {
            if (!bytes.AsSpan().SequenceEqual(before)) Fail("the caller's bytes were changed");
            if (LoadedObject.Contradiction(spec) is { } problem) Fail(problem);
            if (!LoadedObject.Same(spec, ObjectSpec.Load(bytes, options: options))) Fail("loaded again, it is another");
            foreach (var type in spec.Types.Types) spec.Types.Format(type.Id);
        });
        foreach (var program in spec.Programs)
        {
            ObjectFuzzer.Guard(name, summary, () =>
            {
                if (LoadedObject.Run(spec, program, compile, summary) is { } problem) Fail($"program {program.Name}: {problem}");
            });
        }
    }
}
