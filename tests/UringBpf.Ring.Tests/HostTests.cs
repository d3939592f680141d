using System.Buffers.Binary;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The host's own operations, from many threads.</summary>
public abstract class HostTests(RingBackendKind backend) : OnBackend(backend)
{
    [Fact]
    public async Task Files_are_written_read_and_described()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data", []);
        await using var ring = CreateRing();
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
        {
            Assert.Equal(5, await ring.WriteAsync(file, "hello"u8.ToArray(), 0));
            Assert.Equal(0, await ring.FSyncAsync(file));
            var buffer = new byte[10];
            Assert.Equal(4, await ring.ReadAsync(file, buffer, 1));
            Assert.Equal("ello"u8, buffer.AsSpan(0, 4));
            Assert.Equal(0, await ring.ReadAsync(file, buffer, 5));
        }
        var statx = new byte[256];
        Assert.Equal(0, await ring.StatXAsync(path, statx));
        Assert.Equal(5UL, BinaryPrimitives.ReadUInt64LittleEndian(statx.AsSpan(40)));
        Assert.Equal(-2, await ring.StatXAsync(path + ".missing", statx));
        var fd = await ring.OpenAsync(path);
        Assert.True(fd >= 0);
        Assert.Equal(0, await ring.CloseAsync(fd));
        Assert.Equal(-2, await ring.OpenAsync(path + ".missing"));
    }

    [Fact]
    public async Task Operations_from_many_threads_all_come_back()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 16, CompletionEntries = 32, MaxOperations = 64 });
        await Parallel.ForAsync(0, 2000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) =>
            Assert.Equal(i, await ring.NopAsync(i).AsTask().WaitAsync(s_patience)));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task More_operations_than_slots_wait_their_turn()
    {
        await using var ring = CreateRing(new RingOptions { MaxOperations = 4 });
        var all = Enumerable.Range(0, 1000).Select(i => ring.NopAsync(i).AsTask()).ToArray();
        Assert.Equal(Enumerable.Range(0, 1000), await Task.WhenAll(all).WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_token_cancels_before_and_during()
    {
        await using var ring = CreateRing();
        Assert.Equal(-125, await ring.TimeoutAsync(TimeSpan.FromHours(1), new CancellationToken(canceled: true)).AsTask().WaitAsync(s_patience));
        using var stop = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token).AsTask();
        await ring.NopAsync();
        Assert.False(timer.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(-125, await timer.WaitAsync(s_patience));
        Assert.Equal(-62, await ring.TimeoutAsync(TimeSpan.FromMilliseconds(1)).AsTask().WaitAsync(s_patience));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelHostTests() : HostTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableHostTests() : HostTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedHostTests() : HostTests(RingBackendKind.Simulated);
