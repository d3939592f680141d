using System.Buffers.Binary;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The samples' hooks on real files, checked against independent computations.</summary>
public abstract class SampleHookTests(RingBackendKind backend) : OnBackend(backend)
{
    private const ulong Failed = 1UL << 32;

    private async Task<(ChainResult Result, List<(ulong Checksum, ulong Bytes)> Files, long WakeUps)> RunSeries(string[] paths, bool skip, int block = 4096)
    {
        var spec = Load("file_series.bpf.o").WithGlobal("path_count", (uint)paths.Length).WithGlobal("block_bytes", (uint)block).WithGlobal("skip_errors", skip ? 1u : 0u);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(spec, "file_series"), new Grants { Paths = [.. paths] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = block });
        var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        var emissions = Emissions(link);
        return (result, [.. emissions.Chunk(2).Select(pair => (pair[0].Value, pair[1].Value))], ring.HostWakeUps);
    }

    [Fact]
    public async Task A_series_gives_each_files_checksum_and_wakes_the_host_once()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(1);
        int[] sizes = [0, 1, 4095, 4096, 4097, 100_000, 1 << 20];
        var contents = sizes.Select(size => { var bytes = new byte[size]; random.NextBytes(bytes); return bytes; }).ToArray();
        var paths = contents.Select((content, i) => folder.File($"file{i}", content)).ToArray();
        var (result, files, wakeUps) = await RunSeries(paths, skip: true);
        Assert.Equal((Verdict.Pass, (ulong)sizes.Sum()), (result.Verdict, result.Bytes));
        Assert.Equal(1, wakeUps);
        Assert.Equal(contents.Select(content => ((ulong)SlowCrc32C.Compute(content), (ulong)content.Length)), files);
    }

    [Fact]
    public async Task A_file_that_fails_is_skipped_or_ends_the_series()
    {
        using var folder = new TemporaryFolder();
        var good = folder.File("good", [1, 2, 3]);
        string[] paths = [Path.Combine(folder.Path, "missing"), good, folder.Path, good];
        var (result, files, _) = await RunSeries(paths, skip: true);
        Assert.Equal(Verdict.Pass, result.Verdict);
        var crc = SlowCrc32C.Compute([1, 2, 3]);
        // ENOENT for the missing one, EISDIR for reading a directory.
        Assert.Equal([Failed | 2, crc, Failed | 21, crc], files.Select(file => file.Checksum));
        (result, files, _) = await RunSeries(paths, skip: false);
        Assert.Equal(-2, result.Verdict);
        Assert.Equal(Failed | 2, Assert.Single(files).Checksum);
    }

    [Theory]
    [InlineData(6)]
    [InlineData(64)]
    public async Task A_walk_follows_the_blocks(int hops)
    {
        const int count = 512, blockBytes = 512;
        var random = new Random(2);
        var bytes = new byte[count * blockBytes];
        for (var i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes), (ulong)random.Next(count));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes + 8), (ulong)random.Next());
        }
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("blocks", bytes));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(Load("block_walk.bpf.o"), "block_walk"), new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = blockBytes });
        for (ulong start = 0; start < 20; start++)
        {
            ulong at = start, sum = 0, key = 0;
            for (var hop = 0; hop < hops; hop++)
            {
                key = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes + 8));
                sum += key;
                at = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes));
            }
            var wakeUps = ring.HostWakeUps;
            var result = await link.StartAsync(UringOp.Read(0, 0, blockBytes, start * blockBytes), BitConverter.GetBytes((ulong)hops)).AsTask().WaitAsync(s_patience);
            Assert.Equal((Verdict.Pass, (uint)hops, 1L), (result.Verdict, result.Steps, ring.HostWakeUps - wakeUps));
            var emission = Assert.Single(Emissions(link));
            Assert.Equal((key, sum), (emission.UserData, emission.Value));
        }
        // Past the end: a read of nothing is no block.
        Assert.Equal(-74, (await link.StartAsync(UringOp.Read(0, 0, blockBytes, count * blockBytes)).AsTask().WaitAsync(s_patience)).Verdict);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelSampleHookTests() : SampleHookTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableSampleHookTests() : SampleHookTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedSampleHookTests() : SampleHookTests(RingBackendKind.Simulated);
