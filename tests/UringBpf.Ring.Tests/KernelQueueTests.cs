using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>The kernel's queues when they are full, waits that signals end, cancels that come between two completions.</summary>
public sealed partial class KernelQueueTests() : OnBackend(RingBackendKind.Kernel)
{
    private const int ECanceled = 125;

    [Theory]
    [InlineData(2, 4, 512)]
    [InlineData(8, 16, 1000)]
    public async Task No_completion_is_lost_where_both_queues_are_too_small(int entries, int completions, int operations)
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = entries, CompletionEntries = completions, MaxOperations = 1024 });
        using var gate = new ManualResetEventSlim();
        var timers = Enumerable.Range(0, operations).Select(_ => ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask()).ToArray();
        await ring.RunOnOwner(() => Assert.Equal(operations, ring.OperationsInFlight));
        Assert.Equal(0, ring.Overflows);
        // All end at once, by one request: more than the completion queue holds.
        await ring.RunOnOwner(() => Hooks.CancelTimeouts(ring));
        Assert.All(await Task.WhenAll(timers).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result));
        Assert.True(ring.Overflows > 0, "the queue did not overflow");
        Assert.Equal((operations, 0, 0L), (ring.Completions, ring.OperationsInFlight, ring.LateCompletions));
        // It goes on as ever. While the owner is held up, all gather for its next turn: more than the submission queue holds.
        ring.Post(new DelegateCommand(_ => gate.Wait(s_patience), null));
        var nops = Enumerable.Range(0, operations).Select(i => ring.NopAsync(i).AsTask()).ToArray();
        gate.Set();
        Assert.Equal(Enumerable.Range(0, operations), await Task.WhenAll(nops).WaitAsync(s_patience));
        Assert.Equal(2 * operations, ring.Completions);
    }

    [Fact]
    public async Task A_signal_ends_a_wait_and_nothing_else()
    {
        const int windowChanged = 28;
        // A signal that is ignored interrupts nothing.
        using var handler = PosixSignalRegistration.Create((PosixSignal)windowChanged, context => context.Cancel = true);
        await using var ring = CreateRing();
        using var stop = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token).AsTask();
        var thread = 0;
        await ring.RunOnOwner(() => thread = gettid());
        for (var i = 0; i < 20; i++)
        {
            var (enters, patience) = (ring.Enters, 0);
            // Each interrupted wait is entered again.
            while (ring.Enters == enters)
            {
                Assert.Equal(0, tgkill(Environment.ProcessId, thread, windowChanged));
                await Task.Delay(1);
                Assert.True(++patience < 10_000, "the signal interrupts nothing");
            }
            Assert.Equal(i, await ring.NopAsync(i).AsTask().WaitAsync(s_patience));
        }
        Assert.False(timer.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, await timer.WaitAsync(s_patience));
    }

    [LibraryImport("libc")]
    private static partial int gettid();

    [LibraryImport("libc")]
    private static partial int tgkill(int process, int thread, int signal);

    [Fact]
    public async Task A_multishot_operation_of_the_host_ends_when_it_is_cancelled_between_two_completions()
    {
        await using var ring = CreateRing();
        for (var i = 0; i < 300; i++)
        {
            var timer = Repeating(ring);
            // Where the kernel is just arming it again, it does not find it to cancel.
            for (var shots = i % 4; shots > 0; shots--) Assert.NotNull(await timer.NextAsync());
            await timer.DisposeAsync().AsTask().WaitAsync(s_patience);
        }
        Assert.Equal(0, ring.OperationsInFlight);
    }

    // Every ten microseconds.
    private static readonly long[] s_interval = MakeInterval();

    private static long[] MakeInterval()
    {
        var interval = GC.AllocateArray<long>(2, pinned: true);
        interval[1] = 10_000;
        return interval;
    }

    private static unsafe Multishot Repeating(Ring ring)
    {
        const uint multishot = 64;
        fixed (long* interval = s_interval) return ring.StartMultishot(Prepare.Timeout((Timespec*)interval, 0, multishot));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Internet_addresses_are_as_the_system_lays_them_out(string text)
    {
        var address = IPAddress.Parse(text);
        using var probe = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            probe.Bind(new IPEndPoint(address, 0));
        }
        catch (SocketException refused)
        {
            Assert.Skip($"no {address.AddressFamily} here: {refused.Message}");
        }
        await using var ring = CreateRing();
        var descriptor = await ring.SocketAsync(address.AddressFamily == AddressFamily.InterNetworkV6 ? 10 : 2, 2);
        using var socket = new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
        Assert.Equal(0, await ring.BindAsync(socket.SafeHandle, new IPEndPoint(address, 0)));
        var own = (IPEndPoint)socket.LocalEndPoint!;
        Assert.Equal(address, own.Address);
        var there = (IPEndPoint)probe.LocalEndPoint!;
        Assert.Equal(3, await ring.SendToAsync(socket.SafeHandle, new byte[3], there));
        Assert.Equal(5, await ring.SendMessageAsync(socket.SafeHandle, new byte[2], new byte[3], there));
        EndPoint from = new IPEndPoint(address, 0);
        Assert.Equal(3, probe.ReceiveFrom(new byte[10], ref from));
        Assert.Equal(own, from);
        Assert.Equal(5, probe.ReceiveFrom(new byte[10], ref from));
        Assert.Equal(0, await ring.ConnectAsync(socket.SafeHandle, there));
        Assert.Equal(7, await ring.SendAsync(socket.SafeHandle, new byte[7]));
        Assert.Equal(7, probe.ReceiveFrom(new byte[10], ref from));
    }

    [Fact]
    public async Task What_has_not_started_when_it_is_cancelled_is_cancelled_when_it_has()
    {
        var ring = CreateRing();
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var buffer = new byte[16];
        using var pin = buffer.AsMemory().Pin();
        using var stop = new CancellationTokenSource();
        // The kernel does not find what is linked to something else that has not ended.
        foreach (var waits in (bool[])[true, false])
        {
            var batch = ring.Batch();
            var first = batch.Add(LinkedTimer(), delay: TimeSpan.FromMilliseconds(50)).AsTask();
            var second = batch.Add(Read(pipe, pin, SqeFlags.None), cancellationToken: waits ? stop.Token : default).AsTask();
            batch.Submit();
            if (waits)
            {
                await ring.NopAsync().AsTask().WaitAsync(s_patience);
                stop.Cancel();
                Assert.Equal(-ECanceled, await second.WaitAsync(s_patience));
            }
            await first.WaitAsync(s_patience);
            // The other is in flight when the ring goes.
            if (!waits) await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal(-ECanceled, await second.WaitAsync(s_patience));
        }
    }

    [Fact]
    public async Task A_cancel_that_comes_as_a_worker_thread_is_about_to_wait_is_not_lost()
    {
        await using var ring = CreateRing();
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var buffer = new byte[16];
        using var pin = buffer.AsMemory().Pin();
        var random = new Random(1);
        for (var i = 0; i < 20_000; i++)
        {
            using var stop = new CancellationTokenSource();
            var reading = ring.SubmitAsync(Read(pipe, pin, SqeFlags.Async), stop.Token).AsTask();
            Thread.SpinWait(random.Next(600));
            stop.Cancel();
            Assert.Equal(-ECanceled, await reading.WaitAsync(s_patience));
        }
    }

    private static unsafe Sqe LinkedTimer() => Prepare.Timeout(null).With(SqeFlags.HardLink);

    private static unsafe Sqe Read(AnonymousPipeServerStream pipe, System.Buffers.MemoryHandle pin, SqeFlags flags) =>
        Prepare.Read((int)pipe.ClientSafePipeHandle.DangerousGetHandle(), pin.Pointer, 16, ulong.MaxValue).With(flags);
}
