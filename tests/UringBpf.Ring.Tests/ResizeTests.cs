using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Queues get new sizes while the ring runs; nothing that is in them, or in flight, is lost.</summary>
public abstract class ResizeTests(RingBackendKind backend) : OnBackend(backend)
{
    private protected const int ENoSpc = 28, EOverflow = 75, EOpNotSupp = 95, ECanceled = 125;

    // What is submitted completes before anything else happens, as on other back ends.
    private static readonly SimulationOptions s_atOnce = new() { MinDelay = TimeSpan.Zero, MaxDelay = TimeSpan.Zero };

    private async Task<int> Resize(Ring ring, int entries, int completions)
    {
        var result = await ring.ResizeAsync(entries, completions).AsTask().WaitAsync(s_patience);
        if (result == -EOpNotSupp && Backend == RingBackendKind.Kernel) Assert.Skip("queues can be resized from Linux 6.13 on");
        return result;
    }

    [Fact]
    public async Task Queues_grow_and_shrink()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 4, CompletionEntries = 8 });
        foreach (var (entries, completions) in ((int, int)[])[(64, 128), (3, 5), (1, 1), (32768, 65536), (16, 16), (16, 16)])
        {
            Assert.Equal(0, await Resize(ring, entries, completions));
            Assert.Equal((System.Numerics.BitOperations.RoundUpToPowerOf2((uint)entries), System.Numerics.BitOperations.RoundUpToPowerOf2((uint)completions)),
                (ring.Features.QueueEntries, ring.Features.CompletionEntries));
            var nops = Enumerable.Range(0, 100).Select(i => ring.NopAsync(i).AsTask()).ToArray();
            Assert.Equal(Enumerable.Range(0, 100), await Task.WhenAll(nops).WaitAsync(s_patience));
        }
    }

    [Fact]
    public async Task Nothing_is_lost_under_load()
    {
        const int chains = 12, operations = 3000;
        await using var ring = CreateRing(new RingOptions { QueueEntries = 4, CompletionEntries = 8, MaxOperations = 256 });
        Assert.Equal(0, await Resize(ring, 8, 8));
        await using var hook = ring.Attach(Compile("rearm"), new Grants());
        await using var hangs = ring.Attach(Compile("hang"), new Grants());
        using var stop = new CancellationTokenSource();
        var hanging = Enumerable.Range(0, 5).Select(_ => hangs.StartAsync(UringOp.Nop(), BitConverter.GetBytes(3UL), stop.Token).AsTask()).ToArray();
        var running = Enumerable.Range(0, chains).Select(async i =>
        {
            for (var round = 0; round < 40; round++)
            {
                var steps = (ulong)(10 + i + round);
                Assert.Equal(steps + 1, (await hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(steps)).AsTask().WaitAsync(s_patience)).Steps);
            }
        }).ToArray();
        var nops = Enumerable.Range(0, operations).Select(i => ring.NopAsync(i).AsTask()).ToArray();
        var batches = Enumerable.Range(0, 50).Select(_ =>
        {
            var batch = ring.Batch();
            var both = Task.WhenAll(batch.Add(Prepare.Nop(1).With(SqeFlags.Link)).AsTask(), batch.Add(Prepare.Nop(2)).AsTask());
            batch.Submit();
            return both;
        }).ToArray();
        var random = new Random(1);
        int done = 0, refused = 0;
        while (!Task.WhenAll(running).IsCompleted || done < 20)
        {
            var entries = 2 << random.Next(5);
            var result = await Resize(ring, entries, entries << random.Next(4));
            Assert.True(result is 0 or -EOverflow, result.ToString(System.Globalization.CultureInfo.InvariantCulture));
            if (result == 0) done++;
            else refused++;
        }
        await Task.WhenAll(running).WaitAsync(s_patience);
        Assert.Equal(Enumerable.Range(0, operations), await Task.WhenAll(nops).WaitAsync(s_patience));
        Assert.All(await Task.WhenAll(batches).WaitAsync(s_patience), both => Assert.Equal((int[])[1, 2], both));
        Assert.All(hanging, one => Assert.False(one.IsCompleted));
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(hanging).WaitAsync(s_patience), ended => Assert.Equal(-ECanceled, ended.Verdict));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task A_completion_queue_that_has_overflowed_grows()
    {
        const int operations = 500;
        await using var ring = CreateRing(new RingOptions { QueueEntries = 2, CompletionEntries = 4, MaxOperations = 1024 });
        Assert.Equal(0, await Resize(ring, 4, 4));
        var timers = Enumerable.Range(0, operations).Select(_ => ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask()).ToArray();
        await ring.RunOnOwner(() => Assert.Equal(operations, ring.OperationsInFlight));
        using var gate = new ManualResetEventSlim();
        // In one turn: all end at once, more than the queue holds, and then it grows.
        ring.Post(new DelegateCommand(_ => gate.Wait(s_patience), null));
        ring.Post(new DelegateCommand(_ => CancelTimeouts(ring), null));
        var resized = Resize(ring, 64, 256);
        gate.Set();
        Assert.Equal(0, await resized);
        Assert.All(await Task.WhenAll(timers).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result));
        Assert.Equal((operations, 0, 0L), (ring.Completions, ring.OperationsInFlight, ring.LateCompletions));
        var overflows = ring.Overflows;
        var nops = Enumerable.Range(0, 64).Select(i => ring.NopAsync(i).AsTask()).ToArray();
        Assert.Equal(Enumerable.Range(0, 64), await Task.WhenAll(nops).WaitAsync(s_patience));
        Assert.Equal(overflows, ring.Overflows);
    }

    [Fact]
    public async Task A_completion_queue_does_not_shrink_below_what_waits_in_it()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 64, CompletionEntries = 128, Simulation = s_atOnce });
        using var gate = new ManualResetEventSlim();
        ring.Post(new DelegateCommand(_ => gate.Wait(s_patience), null));
        var nops = Enumerable.Range(0, 40).Select(i => ring.NopAsync(i).AsTask()).ToArray();
        var resized = Resize(ring, 8, 16);
        gate.Set();
        Assert.Equal(-EOverflow, await resized);
        Assert.Equal((64u, 128u), (ring.Features.QueueEntries, ring.Features.CompletionEntries));
        Assert.Equal(Enumerable.Range(0, 40), await Task.WhenAll(nops).WaitAsync(s_patience));
        Assert.Equal(0, await Resize(ring, 8, 16));
        Assert.Equal(7, await ring.NopAsync(7).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_batch_that_no_longer_fits_is_refused()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 8, CompletionEntries = 16, MaxOperations = 8, HostReserve = 0 });
        await using var hook = ring.Attach(Compile("result"), new Grants());
        using var stop = new CancellationTokenSource();
        var timers = Enumerable.Range(0, 8).Select(_ => ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token).AsTask()).ToArray();
        await ring.RunOnOwner(() => Assert.Equal(8, ring.OperationsInFlight));
        var batch = ring.Batch();
        var waiting = Enumerable.Range(0, 8).Select(i => batch.Add(Prepare.Nop(i)).AsTask()).ToArray();
        batch.Submit();
        // Its operations are one part, and then comes a chain.
        var linked = ring.Batch();
        var parts = Enumerable.Range(0, 7).Select(i => linked.Add(Prepare.Nop(i).With(SqeFlags.Link)).AsTask()).ToArray();
        var chain = linked.Add(hook, UringOp.Nop()).AsTask();
        linked.Submit();
        Assert.Equal(0, await Resize(ring, 4, 16));
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(waiting).WaitAsync(s_patience), result => Assert.Equal(-ENoSpc, result));
        var results = await Task.WhenAll(parts).WaitAsync(s_patience);
        // Where the kernel does not link, each is a part of its own, and fits.
        if (Backend == RingBackendKind.Kernel)
        {
            Assert.All(results, result => Assert.Equal(-ENoSpc, result));
            Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        }
        else
        {
            Assert.Equal(Enumerable.Range(0, 7), results);
            await chain.WaitAsync(s_patience);
        }
        await Task.WhenAll(timers).WaitAsync(s_patience);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Five(ring)).Code);
        Assert.Equal(3, await ring.NopAsync(3).AsTask().WaitAsync(s_patience));

        static void Five(Ring ring)
        {
            var batch = ring.Batch();
            for (var i = 0; i < 5; i++) _ = batch.Add(Prepare.Nop()).AsTask();
            batch.Submit();
        }
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(8, 0)]
    [InlineData(32769, 65536)]
    [InlineData(8, 65537)]
    [InlineData(16, 8)]
    public async Task Sizes_out_of_range_are_refused(int entries, int completions)
    {
        await using var ring = CreateRing();
        Assert.Equal("UB4511", (await Assert.ThrowsAsync<BpfException>(async () => await ring.ResizeAsync(entries, completions))).Code);
    }

    [Fact]
    public async Task A_ring_that_is_shut_down_is_not_resized()
    {
        var ring = CreateRing();
        await ring.DisposeAsync();
        Assert.Equal(-ECanceled, await ring.ResizeAsync(8, 16));
    }

    [Fact]
    public void A_driven_ring_is_resized_between_two_of_its_turns()
    {
        var ring = CreateRing(new RingOptions { QueueEntries = 4, CompletionEntries = 8 }, Ring.CreateDriven);
        var thread = Environment.CurrentManagedThreadId;
        Assert.Equal((0, 9, thread), Drive(ring, All()));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);

        async Task<(int, int, int)> All()
        {
            // From a continuation, which runs inside a turn.
            await ring.NopAsync(1);
            var task = ring.ResizeAsync(32, 64);
            Assert.False(task.IsCompleted);
            var result = await task;
            if (result == -EOpNotSupp) Assert.Skip("queues can be resized from Linux 6.13 on");
            Assert.Equal(64u, ring.Features.CompletionEntries);
            return (result, await ring.NopAsync(9), Environment.CurrentManagedThreadId);
        }
    }

    private static T Drive<T>(Ring ring, Task<T> task)
    {
        while (!task.IsCompleted) ring.RunOnce(TimeSpan.FromSeconds(1));
        return task.GetAwaiter().GetResult();
    }
}

public sealed unsafe class KernelResizeTests() : ResizeTests(RingBackendKind.Kernel)
{
    private KernelBackend CreateBackend(SetupFlags without = SetupFlags.None)
    {
        CreateRing(new RingOptions { QueueEntries = 1, CompletionEntries = 1 }).DisposeAsync().AsTask().Wait();
        return new KernelBackend(4, 8, without);
    }

    // A NOP goes through the queues.
    private static void Works(KernelBackend backend)
    {
        for (var i = 0; i < 100; i++)
        {
            *backend.NextSqe() = Prepare.Nop(i) with { UserData = (ulong)i };
            Assert.Equal(1, backend.Enter(1));
            var completion = *backend.Completion(backend.CompletionHead);
            Assert.Equal(((ulong)i, i), (completion.UserData, completion.Result));
            backend.CompletionHead++;
            Assert.False(backend.HasCompletion);
        }
    }

    [Theory]
    [InlineData(SetupFlags.NoSqArray)]
    [InlineData(SetupFlags.DeferTaskRun)]
    [InlineData(SetupFlags.SubmitAll)]
    public void Setups_of_older_kernels_work_and_are_not_resized(SetupFlags without)
    {
        using var backend = CreateBackend(without);
        Assert.Equal(SetupFlags.None, backend.Features.Setup & without);
        Works(backend);
        var result = backend.Resize(32, 64);
        Assert.Equal((-EOpNotSupp, 4u, 8u), (result, backend.QueueEntries, backend.CompletionEntries));
        Assert.Equal((backend.QueueEntries, backend.CompletionEntries), (backend.Features.QueueEntries, backend.Features.CompletionEntries));
        Works(backend);
    }

    [Fact]
    public void Completions_that_wait_are_copied_with_their_positions()
    {
        using var backend = CreateBackend();
        Works(backend);
        for (var i = 0; i < 3; i++) *backend.NextSqe() = Prepare.Nop(i) with { UserData = 10 };
        Assert.Equal(3, backend.Enter(3));
        var first = backend.CompletionHead;
        if (backend.Resize(16, 32) == -EOpNotSupp) Assert.Skip("queues can be resized from Linux 6.13 on");
        Assert.Equal((first, first + 3), (backend.CompletionHead, backend.CompletionTail));
        for (var i = 0; i < 3; i++) Assert.Equal(i, backend.Completion(backend.CompletionHead++)->Result);
        Works(backend);
    }

    [Fact]
    public void Without_memory_for_new_queues_the_old_sizes_stay()
    {
        const int ENoMem = 12;
        using var backend = CreateBackend();
        *backend.NextSqe() = Prepare.Nop(5) with { UserData = 1 };
        Assert.Equal(1, backend.Enter(1));
        backend.MappingsToFail = 1;
        var result = backend.Resize(64, 128);
        if (result == -EOpNotSupp) Assert.Skip("queues can be resized from Linux 6.13 on");
        Assert.Equal((-ENoMem, 4u, 8u), (result, backend.QueueEntries, backend.CompletionEntries));
        Assert.Equal(5, backend.Completion(backend.CompletionHead++)->Result);
        Works(backend);
        backend.MappingsToFail = 2;
        Assert.Equal("UB4505", Assert.Throws<BpfException>(() => backend.Resize(64, 128)).Code);
    }
}

public sealed class PortableResizeTests() : ResizeTests(RingBackendKind.Portable);

public sealed class SimulatedResizeTests() : ResizeTests(RingBackendKind.Simulated);
