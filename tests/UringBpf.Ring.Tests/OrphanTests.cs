using System.IO.Pipes;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Driven rings whose thread has ended without disposing of them.</summary>
public abstract class OrphanTests(RingBackendKind backend) : OnBackend(backend)
{
    private protected const int ECanceled = 125;

    // Runs on a thread that has ended when this returns.
    private protected static void OnThread(Action action)
    {
        System.Runtime.ExceptionServices.ExceptionDispatchInfo? failed = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception error)
            {
                failed = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(error);
            }
        });
        thread.Start();
        thread.Join();
        failed?.Throw();
    }

    [Fact]
    public async Task Disposing_ends_what_is_in_flight_and_what_was_asked_for()
    {
        Ring? ring = null;
        HookLink? hook = null;
        Task<int>? timer = null, late = null;
        Task<ChainResult>? chain = null, waiting = null;
        OnThread(() =>
        {
            // One operation for chains.
            ring = CreateRing(new RingOptions { MaxOperations = 4, HostReserve = 3 }, Ring.CreateDriven);
            hook = ring.Attach(Compile("hang"), new Grants());
            timer = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
            chain = hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL)).AsTask();
            waiting = hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL)).AsTask();
            for (var turn = 0; turn < 100 && ring.HookRuns == 0; turn++) ring.RunOnce(TimeSpan.FromMilliseconds(10));
            Assert.Equal((1L, 2), (ring.HookRuns, ring.OperationsInFlight));
        });
        late = ring!.NopAsync().AsTask();
        await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal((-ECanceled, -ECanceled), (await timer!.WaitAsync(s_patience), await late.WaitAsync(s_patience)));
        var (begun, unbegun) = (await chain!.WaitAsync(s_patience), await waiting!.WaitAsync(s_patience));
        Assert.Equal((-ECanceled, 1u, -ECanceled, 0u), (begun.Verdict, begun.Steps, unbegun.Verdict, unbegun.Steps));
        Assert.Equal(0, ring.OperationsInFlight);
        await hook!.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal("UB4503", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants())).Code);
        Assert.Equal("UB4506", Assert.Throws<BpfException>(() => ring.RunOnce(TimeSpan.Zero)).Code);
        await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
    }

    [Fact]
    public async Task What_had_completed_gives_its_result()
    {
        Ring? ring = null;
        Task<int>[] nops = [];
        OnThread(() =>
        {
            // One completion in a turn: the others stay in the queue.
            ring = CreateRing(new RingOptions { TurnLimit = 1 }, Ring.CreateDriven);
            nops = [.. Enumerable.Range(1, 5).Select(i => ring.NopAsync(i).AsTask())];
            for (var turn = 0; turn < 5; turn++) ring.RunOnce(TimeSpan.FromMilliseconds(1));
        });
        await ring!.DisposeAsync().AsTask().WaitAsync(s_patience);
        var results = await Task.WhenAll(nops).WaitAsync(s_patience);
        Assert.All(results.Index(), one => Assert.True(one.Item == one.Index + 1 || one.Item == -ECanceled));
        Assert.Equal(1, results[0]);
    }

    [Fact]
    public async Task Disposing_does_not_wait_for_turns_that_nobody_makes()
    {
        Ring? ring = null;
        Task? disposing = null;
        Task<int>? timer = null;
        using var made = new ManualResetEventSlim();
        using var asked = new ManualResetEventSlim();
        var thread = new Thread(() =>
        {
            ring = CreateRing(null, Ring.CreateDriven);
            timer = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
            ring.RunOnce(TimeSpan.Zero);
            made.Set();
            asked.Wait(s_patience);
        });
        thread.Start();
        made.Wait(s_patience, TestContext.Current.CancellationToken);
        disposing = ring!.DisposeAsync().AsTask();
        // Its thread is there, and may make them.
        Assert.False(disposing.IsCompleted);
        asked.Set();
        await disposing.WaitAsync(s_patience);
        Assert.Equal(-ECanceled, await timer!.WaitAsync(s_patience));
    }

    [Fact]
    public async Task Who_waits_for_what_the_driver_started_hears_of_its_end()
    {
        Task<int>? timer = null;
        Task<ChainResult>? chain = null;
        OnThread(() =>
        {
            var ring = CreateRing(null, Ring.CreateDriven);
            var hook = ring.Attach(Compile("hang"), new Grants());
            timer = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
            chain = hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL)).AsTask();
            for (var turn = 0; turn < 100 && ring.HookRuns == 0; turn++) ring.RunOnce(TimeSpan.FromMilliseconds(10));
        });
        Assert.Equal((-ECanceled, -ECanceled), (await timer!.WaitAsync(s_patience), (await chain!.WaitAsync(s_patience)).Verdict));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Attaching_and_detaching_do_not_wait_for_it_either(bool attaches)
    {
        Ring? ring = null;
        HookLink? hook = null;
        Task<ChainResult>? chain = null;
        OnThread(() =>
        {
            ring = CreateRing(null, Ring.CreateDriven);
            hook = ring.Attach(Compile("hang"), new Grants { Buffers = [64] });
            chain = hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(3UL)).AsTask();
            for (var turn = 0; turn < 100 && ring.HookRuns == 0; turn++) ring.RunOnce(TimeSpan.FromMilliseconds(10));
        });
        if (attaches) Assert.Equal("UB4503", (await Assert.ThrowsAsync<BpfException>(() => Task.Run(() => ring!.Attach(Compile("stop"), new Grants())).WaitAsync(s_patience))).Code);
        else await hook!.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal(-ECanceled, (await chain!.WaitAsync(s_patience)).Verdict);
        await ring!.DisposeAsync().AsTask().WaitAsync(s_patience);
    }
}

/// <summary>On the kernel's io_uring, which lets no other thread enter.</summary>
public sealed class KernelOrphanTests() : OrphanTests(RingBackendKind.Kernel)
{
    [Fact]
    public async Task Memory_is_released_when_the_kernel_has_let_go_of_it()
    {
        for (var round = 0; round < 20; round++)
        {
            using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
            Ring? ring = null;
            Task<int>? read = null, linked = null, later = null;
            BufferRing? provided = null;
            Multishot? multishot = null;
            var buffer = new byte[16];
            OnThread(() =>
            {
                ring = CreateRing(new RingOptions { QueueEntries = 4, CompletionEntries = 4 }, Ring.CreateDriven);
                read = ring.ReadAsync(pipe.ClientSafePipeHandle, buffer, -1).AsTask();
                var batch = ring.Batch();
                linked = batch.Add(Prepare.PollAdd((int)pipe.ClientSafePipeHandle.DangerousGetHandle(), 1).With(SqeFlags.Link)).AsTask();
                later = batch.Add(Prepare.Nop(4)).AsTask();
                batch.Submit();
                var buffers = ring.CreateBufferRingAsync(4, 16).AsTask();
                while (!buffers.IsCompleted) ring.RunOnce(TimeSpan.FromMilliseconds(10));
                provided = buffers.Result;
                multishot = ring.ReadMultishot(pipe.ClientSafePipeHandle, provided);
                ring.RunOnce(TimeSpan.Zero);
                Assert.Equal(4, ring.OperationsInFlight);
            });
            // Half of the time there is something to read, which the kernel may have begun to do.
            if (round % 2 == 0) pipe.Write([1, 2, 3]);
            await ring!.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal((-ECanceled, -ECanceled, -ECanceled), (await read!.WaitAsync(s_patience), await linked!.WaitAsync(s_patience), await later!.WaitAsync(s_patience)));
            Assert.Equal(-ECanceled, (await multishot!.NextAsync().AsTask().WaitAsync(s_patience))!.Value.Result);
            Assert.Null(await multishot.NextAsync());
            await multishot.DisposeAsync().AsTask().WaitAsync(s_patience);
            await provided!.DisposeAsync();
            Assert.True(provided.Freed);
            // Nobody reads any more: what is written stays in the pipe, and the buffer is as it was.
            if (round % 2 != 0) pipe.Write([1, 2, 3]);
            Assert.Equal(new byte[16], buffer);
            using var reader = new AnonymousPipeClientStream(PipeDirection.In, pipe.ClientSafePipeHandle);
            Assert.Equal(3, reader.Read(new byte[16]));
        }
    }

    [Fact]
    public async Task No_descriptor_is_left()
    {
        static int Descriptors() => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count();
        // What is made once for the process.
        await Round();
        var before = Descriptors();
        for (var round = 0; round < 50; round++) await Round();
        // Other tests open and close files of their own: fifty rings would leave a hundred and more.
        Assert.InRange(Descriptors() - before, -1000, 40);

        async Task Round()
        {
            Ring? ring = null;
            OnThread(() =>
            {
                ring = CreateRing(null, Ring.CreateDriven);
                _ = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
                ring.RunOnce(TimeSpan.Zero);
            });
            await ring!.DisposeAsync().AsTask().WaitAsync(s_patience);
        }
    }
}

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableOrphanTests() : OrphanTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
public sealed class SimulatedOrphanTests() : OrphanTests(RingBackendKind.Simulated);
