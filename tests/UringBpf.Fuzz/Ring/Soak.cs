using System.Diagnostics;
using System.Globalization;
using UringBpf.Ring;
using UringBpf.Ring.Tests;

namespace UringBpf.Fuzz;

/// <summary>
/// The samples' hooks for minutes on one ring: attached, cancelled at any moment, detached, compiled anew and disposed, by
/// several tasks at once. What must hold: each is right or cancelled, none gets stuck, no descriptor is left, and after the
/// first minute memory grows by less than 1 MiB a minute.
/// </summary>
internal static class Soak
{
    private const int Workers = 4, MostProblems = 10;
    private const double DefaultMinutes = 10, GrowthLimitKiBPerMinute = 1024;
    private static readonly TimeSpan s_stuck = TimeSpan.FromSeconds(60);

    public static int Run(FuzzOptions options)
    {
        var minutes = double.IsFinite(options.Seconds) ? options.Seconds / 60 : DefaultMinutes;
        var folder = Directory.CreateTempSubdirectory("uringbpf-soak").FullName;
        try
        {
            return RunAsync(folder, TimeSpan.FromMinutes(minutes), (int)options.Seed).GetAwaiter().GetResult();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<int> RunAsync(string folder, TimeSpan time, int seed)
    {
        var problems = 0;
        long runs = 0, cancelled = 0;
        var samples = new List<(double Minute, long KiB)>();
        int left;
        var clock = Stopwatch.StartNew();
        await using (var ring = Ring.Ring.Create(new RingOptions { Backend = RingBackendKind.Kernel }))
        {
            using var scenarios = new SampleScenarios(ring, folder, EmbeddedObjects.Load);
            var all = scenarios.OnFiles.Concat(scenarios.OnSockets).ToArray();
            // Once each, so that what they load is loaded before descriptors are counted.
            foreach (var (_, run) in all) await run(CancellationToken.None);
            // The console too: .NET opens four descriptors for it when it is first written to.
            Console.Error.WriteLine($"soak: {Workers} at once on {all.Length} samples");
            Console.Out.Flush();
            var descriptors = OpenDescriptors();
            var workers = Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
            {
                var random = new FuzzRandom((ulong)(seed * Workers + worker));
                while (clock.Elapsed < time && Volatile.Read(ref problems) < MostProblems)
                {
                    var (name, run) = random.Pick(all);
                    using var stop = new CancellationTokenSource();
                    // One in three is cancelled, most of them on their way.
                    if (random.OneIn(3))
                    {
                        stop.CancelAfter(TimeSpan.FromMicroseconds(random.Below(5_000)));
                        Interlocked.Increment(ref cancelled);
                    }
                    string? problem;
                    try
                    {
                        problem = await run(stop.Token).WaitAsync(s_stuck);
                    }
                    catch (TimeoutException)
                    {
                        problem = $"stuck for {s_stuck.TotalSeconds} s; {ring.OperationsInFlight} operations in flight";
                    }
                    catch (Exception error) when (error is not OutOfMemoryException)
                    {
                        problem = error.ToString();
                    }
                    Interlocked.Increment(ref runs);
                    if (problem == null) continue;
                    Interlocked.Increment(ref problems);
                    Console.WriteLine($"soak: {name}: {problem}");
                }
            })).ToArray();
            var done = Task.WhenAll(workers);
            const int samplesPerMinute = 4;
            for (var next = 1; !done.IsCompleted; next++)
            {
                var until = TimeSpan.FromMinutes((double)next / samplesPerMinute) - clock.Elapsed;
                if (until > TimeSpan.Zero) await Task.WhenAny(done, Task.Delay(until));
                samples.Add((clock.Elapsed.TotalMinutes, PrivateKiB()));
                if (next % samplesPerMinute == 0)
                    Console.Error.WriteLine($"soak: {clock.Elapsed.TotalMinutes:F1} min: {Volatile.Read(ref runs)} runs, {ring.Completions} completions, {problems} problems, {samples[^1].KiB} KiB private");
            }
            await done;
            left = OpenDescriptors() - descriptors;
            if (ring.OperationsInFlight != 0)
            {
                problems++;
                Console.WriteLine($"soak: {ring.OperationsInFlight} operations are still in flight");
            }
            Console.WriteLine($"soak: {clock.Elapsed.TotalMinutes:F1} min, {runs} runs, {cancelled} told to stop, {ring.Completions} completions, {ring.HookRuns} hook runs, {ring.LateCompletions} late");
        }
        var growth = Growth(samples);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"soak: memory grows by {growth:F0} KiB a minute after the first (limit {GrowthLimitKiBPerMinute:F0}), {left} descriptors more than before, {problems} problems"));
        return problems > 0 || growth > GrowthLimitKiBPerMinute || left > 0 ? 1 : 0;
    }

    // The slope of the line of least squares through what was measured after the first minute.
    private static double Growth(List<(double Minute, long KiB)> samples)
    {
        var later = samples.Where(sample => sample.Minute > 1).ToList();
        if (later.Count < 2) return 0;
        double meanMinute = later.Average(sample => sample.Minute), meanKiB = later.Average(sample => sample.KiB);
        var spread = later.Sum(sample => (sample.Minute - meanMinute) * (sample.Minute - meanMinute));
        return later.Sum(sample => (sample.Minute - meanMinute) * (sample.KiB - meanKiB)) / spread;
    }

    // What the process has to itself, managed and native, after the garbage is gone.
    private static long PrivateKiB()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        foreach (var line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith("RssAnon:", StringComparison.Ordinal)) return long.Parse(line.AsSpan(8).Trim().TrimEnd("kB").Trim(), CultureInfo.InvariantCulture);
        }
        throw new InvalidOperationException("/proc/self/status has no RssAnon.");
    }

    // But for those of assemblies, two for each, which the runtime loads when it comes to them; and the one that looks.
    private static int OpenDescriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Count(path => Target(path) is { } target
        && !target.EndsWith(".dll", StringComparison.Ordinal) && !target.EndsWith("/fd", StringComparison.Ordinal));

    // What a descriptor is of; null for one that has been closed meanwhile.
    private static string? Target(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
