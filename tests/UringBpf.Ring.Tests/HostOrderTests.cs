using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The host links and drains operations, and programs among them, on every back end.</summary>
public abstract class HostOrderTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EIO = 5, ECanceled = 125;

    private static Sqe Nop(int result, SqeFlags flags = SqeFlags.None) => Prepare.Nop(result).With(flags);

    private static async Task<int[]> All(params ValueTask<int>[] operations)
    {
        var results = new int[operations.Length];
        for (var i = 0; i < results.Length; i++) results[i] = await operations[i].AsTask().WaitAsync(s_patience);
        return results;
    }

    [Fact]
    public async Task Links_hold_and_break_on_every_back_end()
    {
        await using var ring = CreateRing();
        var batch = ring.Batch();
        ValueTask<int>[] results =
        [
            batch.Add(Nop(1, SqeFlags.Link)), batch.Add(Nop(-EIO, SqeFlags.Link)), batch.Add(Nop(2, SqeFlags.Link)), batch.Add(Nop(3)),
            batch.Add(Nop(-EIO, SqeFlags.HardLink)), batch.Add(Nop(4)),
            batch.Add(Nop(5)),
        ];
        batch.Submit();
        int[] expected = [1, -EIO, -ECanceled, -ECanceled, -EIO, 4, 5];
        Assert.Equal(expected, await All(results));
    }

    [Theory]
    [InlineData(10, 64)]
    [InlineData(200, -ECanceled)]
    public async Task A_short_read_breaks_its_link(int length, int after)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[100]));
        await using var ring = CreateRing();
        using var pin = new byte[200].AsMemory().Pin();
        var batch = ring.Batch();
        var read = batch.Add(Entry(pin, length), file);
        var next = batch.Add(Nop(64));
        batch.Submit();
        int[] expected = [Math.Min(length, 100), after];
        Assert.Equal(expected, await All(read, next));

        static unsafe Sqe Entry(System.Buffers.MemoryHandle pin, int length) => Prepare.Read(0, pin.Pointer, (uint)length, 0).With(SqeFlags.Link);
    }

    [Theory]
    [InlineData(0, SqeFlags.Link, 7)]
    [InlineData(-EIO, SqeFlags.Link, -ECanceled)]
    [InlineData(-EIO, SqeFlags.HardLink, 7)]
    public async Task A_program_is_linked_among_operations(int result, SqeFlags flags, int after)
    {
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile("result"), new Grants());
        var batch = ring.Batch();
        var before = batch.Add(Nop(3, SqeFlags.Link));
        var chain = batch.Add(hook, UringOp.Nop(result, 9), flags);
        var next = batch.Add(Nop(7));
        batch.Submit();
        Assert.Equal(3, await before.AsTask().WaitAsync(s_patience));
        Assert.Equal(result, (await chain.AsTask().WaitAsync(s_patience)).Result);
        Assert.Equal(after, await next.AsTask().WaitAsync(s_patience));
        Assert.Single(Emissions(hook));
    }

    [Fact]
    public async Task A_failure_before_a_program_keeps_it_from_running()
    {
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile("result"), new Grants());
        var batch = ring.Batch();
        var before = batch.Add(Nop(-EIO, SqeFlags.Link));
        var chain = batch.Add(hook, UringOp.Nop(), SqeFlags.Link);
        var second = batch.Add(hook, UringOp.Nop());
        batch.Submit();
        Assert.Equal(-EIO, await before.AsTask().WaitAsync(s_patience));
        Assert.Equal(-ECanceled, (await chain.AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(-ECanceled, (await second.AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(0, ring.HookRuns);
    }

    [Fact]
    public async Task A_drained_program_waits_and_is_waited_for()
    {
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile("rearm"), new Grants());
        using var stop = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token).AsTask();
        var batch = ring.Batch();
        var chain = batch.Add(hook, UringOp.Nop(), SqeFlags.Drain, BitConverter.GetBytes(50UL)).AsTask();
        batch.Submit();
        var later = ring.NopAsync(4).AsTask();
        await Task.Delay(30);
        Assert.False(chain.IsCompleted || later.IsCompleted);
        Assert.Equal(0, ring.HookRuns);
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, await timer.WaitAsync(s_patience));
        Assert.Equal(51u, (await chain.WaitAsync(s_patience)).Steps);
        Assert.Equal(4, await later.WaitAsync(s_patience));
        Assert.Equal(51, ring.HookRuns);
    }

    [Fact]
    public async Task Cancelling_and_closing_end_what_has_not_started()
    {
        var ring = CreateRing();
        var hook = ring.Attach(Compile("hang"), new Grants());
        using var stop = new CancellationTokenSource();
        for (var round = 0; round < 2; round++)
        {
            var batch = ring.Batch();
            var first = batch.Add(hook, UringOp.Nop(), SqeFlags.Link, BitConverter.GetBytes(2UL), round == 0 ? stop.Token : default).AsTask();
            var second = batch.Add(Nop(1, SqeFlags.Link)).AsTask();
            var third = batch.Add(hook, UringOp.Nop()).AsTask();
            batch.Submit();
            while (ring.HookRuns < round + 1) await Task.Delay(1);
            if (round == 0) await stop.CancelAsync();
            else await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal(-ECanceled, (await first.WaitAsync(s_patience)).Verdict);
            Assert.Equal(-ECanceled, await second.WaitAsync(s_patience));
            Assert.Equal(-ECanceled, (await third.WaitAsync(s_patience)).Verdict);
        }
    }

    [Fact]
    public async Task Long_links_wait_for_slots_and_misuse_is_refused()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 8, MaxOperations = 8 });
        await using var hook = ring.Attach(Compile("rearm"), new Grants());
        var all = new List<Task<ChainResult>>();
        for (var i = 0; i < 20; i++)
        {
            var batch = ring.Batch();
            for (var j = 0; j < 8; j++) all.Add(batch.Add(hook, UringOp.Nop(), j < 7 ? SqeFlags.Link : 0, BitConverter.GetBytes(3UL)).AsTask());
            batch.Submit();
        }
        Assert.All(await Task.WhenAll(all).WaitAsync(s_patience), result => Assert.Equal((0, 4u), (result.Verdict, result.Steps)));

        await using var other = CreateRing();
        Assert.Throws<ArgumentException>(() => { other.Batch().Add(hook, UringOp.Nop()); });
        Assert.Throws<ArgumentException>(() => { ring.Batch().Add(hook, UringOp.Nop(), SqeFlags.Async); });
        Assert.Throws<ArgumentException>(() => { ring.Batch().Add(hook, UringOp.Nop(), scratch: new byte[65]); });
        var tooMany = ring.Batch();
        var refused = Enumerable.Range(0, 9).Select(_ => tooMany.Add(hook, UringOp.Nop()).AsTask()).ToArray();
        Assert.Equal("UB4511", Assert.Throws<BpfException>(tooMany.Submit).Code);
        Assert.All(await Task.WhenAll(refused).WaitAsync(s_patience), result => Assert.Equal(-28, result.Result));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelHostOrderTests() : HostOrderTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableHostOrderTests() : HostOrderTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedHostOrderTests() : HostOrderTests(RingBackendKind.Simulated);
