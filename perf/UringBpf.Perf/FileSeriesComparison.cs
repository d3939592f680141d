using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// Reading 10,000 small files: hooks that open, read, checksum and close, on one ring and on two, against
/// File.ReadAllBytesAsync at several degrees of parallelism, which computes no checksum.
/// </summary>
internal static class FileSeriesComparison
{
    private const int Files = 10_000, Bytes = 4096;

    public static async Task<int> Run(string folder, int rounds)
    {
        var directory = Directory.CreateDirectory(Path.Combine(Directory.GetCurrentDirectory(), $".fileseries-{Environment.ProcessId}")).FullName;
        try
        {
            var paths = WriteFiles(directory);
            var candidates = new List<(string Name, bool Ring, Func<Task> Run)>();
            foreach (var degree in (int[])[1, 2, 4, 8, 16, 32]) candidates.Add(($"File.ReadAllBytesAsync, {degree} at once", false, () => ReadAll(paths, degree)));
            var series = new List<Series>();
            foreach (var (rings, chains) in (ReadOnlySpan<(int, int)>)[(1, 1), (1, 8), (1, 32), (1, 128), (2, 8), (2, 32)])
            {
                var one = new Series(paths, rings, chains);
                series.Add(one);
                candidates.Add(($"{(rings == 1 ? "one ring" : "two rings")}, {chains} chains{(rings == 1 ? "" : " each")}", true, one.Run));
            }
            var loads = candidates.Select(_ => new List<Load>()).ToArray();
            for (var round = 0; round <= rounds; round++)
            {
                for (var i = 0; i < candidates.Count; i++)
                {
                    var load = await Load.Measure(Files, candidates[i].Run);
                    if (round > 0) loads[i].Add(load);
                }
            }
            foreach (var one in series) await one.DisposeAsync();

            var medians = loads.Select(Load.Median).ToArray();
            var best = Enumerable.Range(0, candidates.Count).Where(i => !candidates[i].Ring).MinBy(i => medians[i].WallMicroseconds);
            var text = new StringBuilder("# FileSeries: 10,000 files of 4 KiB\n\n");
            text.Append(CultureInfo.InvariantCulture, $"Microseconds a file, medians of {rounds} interleaved rounds; the files are in the page cache. Hooks open, read, checksum (CRC-32C) and close; the host wakes once for each chain. `File.ReadAllBytesAsync` computes no checksum. Ratios are to its best: {candidates[best].Name}.\n\n");
            text.Append("| | time | CPU | rate to the best | CPU to the best |\n|---|---:|---:|---:|---:|\n");
            for (var i = 0; i < candidates.Count; i++)
                text.Append(CultureInfo.InvariantCulture, $"| {candidates[i].Name} | {medians[i].WallMicroseconds:F2} | {medians[i].CpuMicroseconds:F2} | {medians[best].WallMicroseconds / medians[i].WallMicroseconds:F2} | {medians[i].CpuMicroseconds / medians[best].CpuMicroseconds:F2} |\n");
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "fileseries.md"), text.ToString());
            Console.Write(text.ToString());
            return 0;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string[] WriteFiles(string directory)
    {
        var random = new Random(1);
        var content = new byte[Bytes];
        return [.. Enumerable.Range(0, Files).Select(i =>
        {
            random.NextBytes(content);
            var path = Path.Combine(directory, $"f{i}");
            File.WriteAllBytes(path, content);
            return path;
        })];
    }

    private static async Task ReadAll(string[] paths, int degree)
    {
        long bytes = 0;
        await Parallel.ForEachAsync(paths, new ParallelOptions { MaxDegreeOfParallelism = degree }, async (path, cancellation) =>
            Interlocked.Add(ref bytes, (await File.ReadAllBytesAsync(path, cancellation).ConfigureAwait(false)).Length));
        if (bytes != (long)Files * Bytes) throw new InvalidOperationException($"{bytes} bytes were read.");
    }

    /// <summary>Rings and hooks that are made once: what is measured is the reading.</summary>
    private sealed class Series : IAsyncDisposable
    {
        private readonly List<(Ring.Ring Ring, HookLink Hook, BpfProgram Program)> _parts = [];
        private readonly int _chains;

        public Series(string[] paths, int rings, int chains)
        {
            _chains = chains;
            var each = paths.Length / rings;
            for (var i = 0; i < rings; i++)
            {
                var spec = ObjectSpec.Load(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "hooks", "series.bpf.o")), "series.bpf.o")
                    .WithGlobal("path_count", (uint)each).WithGlobal("block_bytes", 2u * Bytes);
                var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Create(spec.Maps));
                var ring = Ring.Ring.Create();
                var hook = ring.Attach(program, new Grants { Paths = [.. paths.Skip(i * each).Take(each)] },
                    new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 2 * Bytes, MaxSteps = uint.MaxValue });
                _parts.Add((ring, hook, program));
            }
        }

        public async Task Run()
        {
            var running = _parts.SelectMany(part => Enumerable.Range(0, _chains).Select(chain =>
                part.Hook.StartAsync(UringOp.Nop(), [.. BitConverter.GetBytes(chain), .. BitConverter.GetBytes(_chains)]).AsTask()));
            var results = await Task.WhenAll(running);
            var bytes = results.Aggregate(0UL, (sum, result) => sum + result.Bytes);
            ulong files = 0;
            foreach (var part in _parts)
            {
                while (part.Hook.TryReadEmission(out var emission)) files += emission.UserData;
            }
            if (bytes != (ulong)Files * Bytes || files != Files) throw new InvalidOperationException($"{files} files, {bytes} bytes were read: {string.Join(' ', results)}");
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var (ring, hook, program) in _parts)
            {
                await hook.DisposeAsync();
                await ring.DisposeAsync();
                program.Dispose();
            }
        }
    }
}
