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

    [Fact]
    public async Task A_drained_operation_waits_for_the_host_s_before_it_and_holds_up_those_after_it()
    {
        await using var ring = CreateRing();
        using var stop = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromMinutes(30), stop.Token).AsTask();
        var batch = ring.Batch();
        var free = batch.Add(Prepare.Nop(1)).AsTask();
        var drained = batch.Add(Prepare.Nop(2).With(SqeFlags.Drain)).AsTask();
        var held = batch.Add(Prepare.Nop(3)).AsTask();
        batch.Submit();
        var after = ring.NopAsync(4).AsTask();
        Assert.Equal(1, await free.WaitAsync(s_patience));
        // The owner still hears of the host, and has started nothing else.
        await ring.RunOnOwner(() => Assert.Equal(1, ring.OperationsInFlight));
        Assert.False(drained.IsCompleted || held.IsCompleted || after.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(new[] { -125, 2, 3, 4 }, await Task.WhenAll(timer, drained, held, after).WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_drained_operation_that_waits_is_cancelled_at_once()
    {
        await using var ring = CreateRing();
        using var stop = new CancellationTokenSource();
        using var stopTimer = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromMinutes(30), stopTimer.Token).AsTask();
        var alone = ring.SubmitAsync(Prepare.Nop(2).With(SqeFlags.Drain), stop.Token).AsTask();
        var batch = ring.Batch();
        var inBatch = batch.Add(Prepare.Nop(3).With(SqeFlags.Drain), cancellationToken: stop.Token).AsTask();
        batch.Submit();
        var after = ring.NopAsync(4).AsTask();
        await ring.RunOnOwner(() => Assert.Equal(1, ring.OperationsInFlight));
        await stop.CancelAsync();
        Assert.Equal(new[] { -125, -125 }, await Task.WhenAll(alone, inBatch).WaitAsync(s_patience));
        Assert.False(timer.IsCompleted);
        await stopTimer.CancelAsync();
        Assert.Equal(new[] { -125, 4 }, await Task.WhenAll(timer, after).WaitAsync(s_patience));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task Disposing_ends_a_drained_operation_that_waits()
    {
        Task<int> timer, drained;
        await using (var ring = CreateRing())
        {
            timer = ring.TimeoutAsync(TimeSpan.FromMinutes(30)).AsTask();
            drained = ring.SubmitAsync(Prepare.Nop(2).With(SqeFlags.Drain)).AsTask();
            await ring.RunOnOwner(() => Assert.Equal(1, ring.OperationsInFlight));
        }
        Assert.Equal(new[] { -125, -125 }, await Task.WhenAll(timer, drained).WaitAsync(s_patience));
    }

    [Fact]
    public async Task An_operation_that_waits_for_a_slot_is_cancelled_at_once()
    {
        await using var ring = CreateRing(new RingOptions { MaxOperations = 1 });
        using var stop = new CancellationTokenSource();
        using var stopTimer = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromMinutes(30), stopTimer.Token).AsTask();
        var waiting = ring.NopAsync(1, stop.Token).AsTask();
        await ring.RunOnOwner(() => { });
        await stop.CancelAsync();
        Assert.Equal(-125, await waiting.WaitAsync(s_patience));
        await stopTimer.CancelAsync();
        Assert.Equal(-125, await timer.WaitAsync(s_patience));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelHostTests() : HostTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableHostTests() : HostTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedHostTests() : HostTests(RingBackendKind.Simulated);
