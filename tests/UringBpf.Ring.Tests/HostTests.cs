using System.Buffers.Binary;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The host's own operations, from many threads, and what a refused ring says.</summary>
public sealed class HostTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

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

    [Theory]
    [InlineData(1, "io_uring_disabled", "seccomp")]
    [InlineData(38, "without io_uring", "without io_uring")]
    [InlineData(12, "RLIMIT_MEMLOCK", "RLIMIT_MEMLOCK")]
    [InlineData(24, "RLIMIT_NOFILE", "RLIMIT_NOFILE")]
    public void A_refusal_names_its_cause(int errno, string cause, string otherCause)
    {
        var error = UringBpf.Ring.KernelBackend.Refused(-errno);
        Assert.Equal("UB4501", error.Code);
        Assert.True(error.Message.Contains(cause) || error.Message.Contains(otherCause), error.Message);
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { QueueEntries = 0 })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { MaxOperations = -1 })).Code);
    }
}
