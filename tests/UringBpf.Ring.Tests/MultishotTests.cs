using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>What becomes of a multishot operation's completions, and of the buffers and descriptors they bring.</summary>
public abstract class MultishotTests(RingBackendKind backend) : OnConnections(backend)
{
    private static T Drive<T>(Ring ring, Task<T> until)
    {
        var started = Stopwatch.StartNew();
        while (!until.IsCompleted)
        {
            Assert.True(started.Elapsed < s_patience, "it does not end");
            Assert.True(ring.RunOnce(TimeSpan.FromMilliseconds(10)));
        }
        return until.GetAwaiter().GetResult();
    }

    // So many completions more, which nobody has taken.
    private protected static async Task Completed(Ring ring, long completions)
    {
        for (var wait = 0; ring.Completions < completions; wait++)
        {
            Assert.True(wait < 10_000, "nothing comes");
            await Task.Delay(1);
        }
    }

    [Fact]
    public void A_second_reader_is_refused_until_the_first_has_taken_what_came()
    {
        var ring = CreateRing(null, Ring.CreateDriven);
        Multishot? shots = null;
        async Task<string> Intrude()
        {
            // In the same turn as the completion, and before it is delivered.
            await ring.NopAsync();
            return Assert.Throws<InvalidOperationException>(() => { _ = shots!.NextAsync(); }).Message;
        }
        var intruding = Intrude();
        shots = ring.StartMultishot(Prepare.Nop(3));
        var first = shots.NextAsync().AsTask();
        Assert.Contains("one reader", Drive(ring, intruding), StringComparison.Ordinal);
        Assert.Equal(3, Drive(ring, first)!.Value.Result);
        Assert.Null(Drive(ring, shots.NextAsync().AsTask()));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Buffers_of_completions_that_were_dropped_go_back()
    {
        await using var ring = CreateRing();
        using var folder = new TemporaryFolder();
        var (near, far) = await Pair(ring, folder);
        await using var buffers = await ring.CreateBufferRingAsync(2, 16);
        for (var round = 0; round < 3; round++)
        {
            var receive = round == 1 ? ring.StartMultishot(Prepare.ReceiveMultishot(0, buffers.Group), far) : ring.ReceiveMultishot(far, buffers);
            var before = ring.Completions;
            await Done(ring.SendAsync(near, new byte[16]), 16);
            await Completed(ring, before + 2);
            await Done(ring.SendAsync(near, new byte[16]), 16);
            await Completed(ring, before + 4);
            await receive.DisposeAsync().AsTask().WaitAsync(s_patience);
        }
        await using var again = ring.ReceiveMultishot(far, buffers);
        for (byte i = 1; i <= 2; i++)
        {
            await Done(ring.SendAsync(near, new[] { i }), 1);
            var shot = (await again.NextAsync().AsTask().WaitAsync(s_patience))!.Value;
            Assert.Equal(1, shot.Result);
            Assert.Equal([i], buffers.Take(shot).ToArray());
        }
        await again.DisposeAsync().AsTask().WaitAsync(s_patience);
        await Close(ring, near, far);
    }

    [Fact]
    public void A_buffer_that_comes_back_while_the_group_can_t_be_ended_is_not_lost()
    {
        var ring = CreateRing(null, Ring.CreateDriven);
        using var folder = new TemporaryFolder();
        var (near, far) = Drive(ring, Pair(ring, folder));
        var buffers = Drive(ring, ring.CreateBufferRingAsync(2, 16).AsTask());
        var receive = ring.ReceiveMultishot(far, buffers);
        async Task<Shot> Receive(byte content)
        {
            await Done(ring.SendAsync(near, new[] { content }), 1);
            return (await receive.NextAsync())!.Value;
        }
        var first = Drive(ring, Receive(1));
        // Another thread asks for the end, of which the ring has not heard yet.
        Task? ending = null;
        var other = new Thread(() => ending = buffers.DisposeAsync().AsTask());
        other.Start();
        other.Join();
        buffers.Return(first.BufferId);
        Assert.Equal("UB4515", Assert.Throws<BpfException>(() => Drive(ring, Ended())).Code);
        Assert.Equal((1, 1), (Drive(ring, Receive(2)).Result, Drive(ring, Receive(3)).Result));
        Assert.True(Drive(ring, End()));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);

        async Task<bool> Ended()
        {
            await ending!;
            return true;
        }

        async Task<bool> End()
        {
            await receive.DisposeAsync();
            await buffers.DisposeAsync();
            await Close(ring, near, far);
            return true;
        }
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelMultishotTests() : MultishotTests(RingBackendKind.Kernel)
{
    [Fact]
    public async Task What_was_dropped_of_an_incremental_buffer_is_passed_over()
    {
        await using var ring = CreateRing();
        using var folder = new TemporaryFolder();
        var (near, far) = await Pair(ring, folder);
        BufferRing? buffers = null;
        try
        {
            buffers = await ring.CreateBufferRingAsync(2, 64, incremental: true);
        }
        catch (BpfException old) when (old.Code == "UB4515")
        {
            Assert.Skip(old.Reason);
        }
        var dropped = ring.ReceiveMultishot(far, buffers!);
        var before = ring.Completions;
        await Done(ring.SendAsync(near, new byte[] { 1, 2, 3 }), 3);
        await Completed(ring, before + 2);
        await dropped.DisposeAsync().AsTask().WaitAsync(s_patience);
        var taken = ring.ReceiveMultishot(far, buffers!);
        await Done(ring.SendAsync(near, new byte[] { 4, 5 }), 2);
        var shot = (await taken.NextAsync().AsTask().WaitAsync(s_patience))!.Value;
        Assert.Equal([4, 5], buffers!.Take(shot).ToArray());
        await taken.DisposeAsync().AsTask().WaitAsync(s_patience);
        await buffers.DisposeAsync();
        await Close(ring, near, far);
    }

    [Fact]
    public async Task A_connection_that_nobody_took_is_closed_though_the_ring_has_failed()
    {
        var ring = CreateRing();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(4);
        using var handle = new SafeFileHandle(listener.Handle, ownsHandle: false);
        var accept = ring.AcceptMultishot(handle);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)s_patience.TotalMilliseconds };
        client.Connect(listener.LocalEndPoint!);
        await Completed(ring, 1);
        ring.Post(new DelegateCommand(_ => throw new InvalidOperationException("for the test"), null));
        await Assert.ThrowsAsync<InvalidOperationException>(() => ring.DisposeAsync().AsTask().WaitAsync(s_patience));
        await Assert.ThrowsAsync<InvalidOperationException>(() => accept.DisposeAsync().AsTask().WaitAsync(s_patience));
        Assert.Equal(0, client.Receive(new byte[1]));
    }
}

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableMultishotTests() : MultishotTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
public sealed class SimulatedMultishotTests() : MultishotTests(RingBackendKind.Simulated);
