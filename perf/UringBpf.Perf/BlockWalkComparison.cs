using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// Look-ups of six dependent reads: a hook on the ring, a completion handler in C with liburing, RandomAccess.ReadAsync. The
/// hook and the handler start the next look-up by themselves; a second column has the host start each one.
/// </summary>
internal static partial class BlockWalkComparison
{
    private const int Hops = 6, Blocks = 1 << 14;
    private static readonly int[] s_depths = [1, 8, 32, 128];

    [StructLayout(LayoutKind.Sequential)]
    private struct Settings
    {
        public uint BlockBytes, Hops, Depth;
        public ulong Blocks, Lookups;
    }

    public static async Task<int> Run(string folder, int rounds)
    {
        var library = CCompiler.TryCompile("blockwalk.c", "-shared", "-fPIC", "-luring");
        if (library == null) Console.Error.WriteLine("no C compiler or no liburing (Debian package liburing-dev): C is left out.");
        var peer = library == null ? 0 : NativeLibrary.GetExport(NativeLibrary.Load(library), "walk_run");
        if (library != null) File.Delete(library);

        var text = new StringBuilder("# BlockWalk: six dependent reads a look-up\n\n");
        text.Append(CultureInfo.InvariantCulture, $"Microseconds a look-up, time (processor time of all threads), medians of {rounds} interleaved rounds; {Blocks} blocks.\n");
        text.Append("Ring and C: one thread, the hook or handler starts the next look-up. Host: the hook ends the chain after each look-up and the host, on the thread pool, starts the next. C#: `RandomAccess.ReadAsync` chains.\n");
        foreach (var (title, blockBytes, direct, lookups) in ((string, int, bool, int)[])[("Cached, 512 bytes", 512, false, 20_000), ("O_DIRECT, 4 KiB", 4096, true, 2_000)])
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n\n| depth | C, liburing | ring | ring, host starts each | C#, RandomAccess | ring's CPU to C | to C# | ring's rate to C# |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n");
            text.Append(await RunCase(blockBytes, direct, lookups, rounds, peer));
        }
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "blockwalk.md"), text.ToString());
        Console.Write(text.ToString());
        return 0;
    }

    private static async Task<string> RunCase(int blockBytes, bool direct, int lookups, int rounds, nint peer)
    {
        var path = Path.Combine(Directory.GetCurrentDirectory(), $".blockwalk-{Environment.ProcessId}");
        WriteBlocks(path, blockBytes);
        try
        {
            using var file = Open(path, direct);
            var spec = ObjectSpec.Load(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "hooks", "blockwalk.bpf.o")), "blockwalk.bpf.o")
                .WithGlobal("block_bytes", (uint)blockBytes).WithGlobal("hops", (uint)Hops).WithGlobal("blocks", (ulong)Blocks);
            using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Create(spec.Maps));
            await using var ring = Ring.Ring.Create();
            await using var hook = ring.Attach(program, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = blockBytes, MaxSteps = uint.MaxValue }, emissionCapacity: 1 << 16);
            var rows = new StringBuilder();
            foreach (var depth in s_depths)
            {
                // At depth one nothing overlaps: fewer look-ups take as long.
                var each = Math.Max(1, (direct && depth == 1 ? lookups / 4 : lookups) / depth);
                var (c, hooked, hosted, managed) = (new List<Load>(), new List<Load>(), new List<Load>(), new List<Load>());
                for (var round = 0; round <= rounds; round++)
                {
                    var keys = new ulong[4];
                    var samples = (
                        C: peer == 0 ? new Load(double.NaN, double.NaN) : await Load.Measure(each * depth, () => { keys[0] = RunC(peer, file, blockBytes, depth, each); return Task.CompletedTask; }),
                        Hooked: await Load.Measure(each * depth, async () => keys[1] = await RunHook(hook, blockBytes, depth, each)),
                        Hosted: await Load.Measure(each * depth, async () => keys[2] = await RunHosted(hook, blockBytes, depth, each)),
                        Managed: await Load.Measure(each * depth, async () => keys[3] = await RunManaged(file, blockBytes, depth, each)));
                    // All four have read the same blocks.
                    if (keys[1] != keys[2] || keys[1] != keys[3] || (peer != 0 && keys[1] != keys[0])) throw new InvalidOperationException($"the walks differ: {string.Join(", ", keys)}");
                    if (round == 0) continue;
                    c.Add(samples.C);
                    hooked.Add(samples.Hooked);
                    hosted.Add(samples.Hosted);
                    managed.Add(samples.Managed);
                }
                Load cLoad = Load.Median(c), ringLoad = Load.Median(hooked), hostLoad = Load.Median(hosted), managedLoad = Load.Median(managed);
                rows.Append(CultureInfo.InvariantCulture, $"| {depth} | {Cell(cLoad)} | {Cell(ringLoad)} | {Cell(hostLoad)} | {Cell(managedLoad)} | {ringLoad.CpuMicroseconds / cLoad.CpuMicroseconds:F2} | {ringLoad.CpuMicroseconds / managedLoad.CpuMicroseconds:F2} | {managedLoad.WallMicroseconds / ringLoad.WallMicroseconds:F2} |\n");
            }
            return rows.ToString();
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Cell(Load load) => string.Create(CultureInfo.InvariantCulture, $"{load.WallMicroseconds:F2} ({load.CpuMicroseconds:F2})");

    private static ulong First(int walk) => (ulong)walk * 101 % Blocks;

    private static unsafe ulong RunC(nint peer, SafeFileHandle file, int blockBytes, int depth, int lookups)
    {
        var settings = new Settings { BlockBytes = (uint)blockBytes, Hops = Hops, Depth = (uint)depth, Blocks = Blocks, Lookups = (ulong)lookups };
        return ((delegate* unmanaged<int, Settings*, ulong>)peer)((int)file.DangerousGetHandle(), &settings);
    }

    private static async Task<ulong> RunHook(HookLink hook, int blockBytes, int depth, int lookups)
    {
        var chains = Enumerable.Range(0, depth).Select(walk => hook.StartAsync(UringOp.Read(0, 0, (uint)blockBytes, First(walk) * (ulong)blockBytes),
            [.. BitConverter.GetBytes((ulong)lookups), .. BitConverter.GetBytes(First(walk))]).AsTask());
        return Sum(await Task.WhenAll(chains), hook);
    }

    private static async Task<ulong> RunHosted(HookLink hook, int blockBytes, int depth, int lookups)
    {
        var walks = Enumerable.Range(0, depth).Select(async walk =>
        {
            var start = First(walk);
            var scratch = new byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(scratch, 1);
            for (var lookup = 0; lookup < lookups; lookup++)
            {
                var result = await hook.StartAsync(UringOp.Read(0, 0, (uint)blockBytes, start * (ulong)blockBytes), scratch).ConfigureAwait(false);
                if (result.Verdict < 0) throw new InvalidOperationException($"errno {-result.Verdict}");
                start = (start + 977) % Blocks;
            }
        });
        await Task.WhenAll(walks);
        return Sum([], hook);
    }

    private static ulong Sum(ChainResult[] results, HookLink hook)
    {
        if (results.FirstOrDefault(result => result.Verdict < 0) is { Verdict: < 0 } failed) throw new InvalidOperationException($"errno {-failed.Verdict}");
        ulong keys = 0;
        while (hook.TryReadEmission(out var emission)) keys += emission.Value;
        return hook.EmissionsLost == 0 ? keys : throw new InvalidOperationException("emissions were lost");
    }

    private static async Task<ulong> RunManaged(SafeFileHandle file, int blockBytes, int depth, int lookups)
    {
        var walks = Enumerable.Range(0, depth).Select(async walk =>
        {
            var buffer = Aligned(blockBytes);
            ulong start = First(walk), keys = 0;
            for (var lookup = 0; lookup < lookups; lookup++)
            {
                var block = start;
                for (var hop = 0; hop < Hops; hop++)
                {
                    if (await RandomAccess.ReadAsync(file, buffer, (long)block * blockBytes).ConfigureAwait(false) != blockBytes) throw new InvalidOperationException("short read");
                    keys += BinaryPrimitives.ReadUInt64LittleEndian(buffer.Span[8..]);
                    block = BinaryPrimitives.ReadUInt64LittleEndian(buffer.Span);
                }
                start = (start + 977) % Blocks;
            }
            return keys;
        });
        return (await Task.WhenAll(walks)).Aggregate(0UL, (sum, keys) => sum + keys);
    }

    // O_DIRECT takes memory at a block's boundary.
    private static Memory<byte> Aligned(int bytes)
    {
        var memory = GC.AllocateArray<byte>(bytes + 4096, pinned: true);
        var past = (int)(Marshal.UnsafeAddrOfPinnedArrayElement(memory, 0) & 4095);
        return memory.AsMemory((4096 - past) & 4095, bytes);
    }

    private static void WriteBlocks(string path, int blockBytes)
    {
        var bytes = new byte[Blocks * blockBytes];
        var random = new Random(1);
        for (var i = 0; i < Blocks; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes), (ulong)random.Next(Blocks));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes + 8), (ulong)random.Next());
        }
        using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.Write(file, bytes, 0);
        RandomAccess.FlushToDisk(file);
    }

    private static SafeFileHandle Open(string path, bool direct)
    {
        const int readOnlyCloseOnExec = 0x80000, directFlag = 0x4000;
        if (!direct) return File.OpenHandle(path);
        var fd = open(path, readOnlyCloseOnExec | directFlag);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new IOException($"O_DIRECT is refused here (errno {Marshal.GetLastPInvokeError()}): run in a folder on a disk.");
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);
}
