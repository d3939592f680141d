using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What hooks can do beyond reading and writing: sockets, timers that repeat, messages, files handed over, on every back end.</summary>
public abstract class ReachTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int ENoEnt = 2, EBadF = 9, EAccess = 13, EInval = 22, ENoSpc = 28, ETime = 62, ECanceled = 125;
    private const ulong OMore = 2, OMillisecond = 1_000_000;

    private protected static readonly ObjectSpec s_reach = Load("reach.bpf.o");

    private protected static byte[] Scratch(params ulong[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private protected static (ulong, long)[] Said(HookLink link) => [.. Emissions(link).Select(emission => (emission.UserData, (long)emission.Value))];

    private protected static Task<ChainResult> Start(HookLink link, params ulong[] scratch) => link.StartAsync(UringOp.Nop(), Scratch(scratch)).AsTask().WaitAsync(s_patience);

    // Handles of descriptors of the ring's own machine, which may be simulated.
    private static async Task<SafeFileHandle> Listen(Ring ring, EndPoint address)
    {
        const int unix = 1, stream = 1;
        var fd = await ring.SocketAsync(unix, stream).AsTask().WaitAsync(s_patience);
        Assert.True(fd >= 0, $"{fd}");
        var handle = new SafeFileHandle(fd, ownsHandle: false);
        Assert.Equal(0, await ring.BindAsync(handle, address).AsTask().WaitAsync(s_patience));
        Assert.Equal(0, await ring.ListenAsync(handle).AsTask().WaitAsync(s_patience));
        return handle;
    }

    [Fact]
    public async Task A_timer_repeats_and_shows_that_more_will_come()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_reach, "repeat"), new Grants());
        var result = await Start(link, 4, OMillisecond, 100);
        Assert.Equal((Verdict.Pass, -ETime, 5u), (result.Verdict, result.Result, result.Steps));
        Assert.Equal([(OMore, -ETime), (OMore, -ETime), (OMore, -ETime), (0UL, (long)-ETime)], Said(link));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task What_repeats_without_end_is_cancelled_and_its_last_completion_says_so()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_reach, "repeat"), new Grants());
        for (var round = 0; round < 5; round++)
        {
            var result = await Start(link, 0, OMillisecond, 3);
            Assert.Equal((Verdict.Pass, -ECanceled), (result.Verdict, result.Result));
            var said = Said(link);
            // One that had run out already when the cancel came is seen before the end.
            Assert.InRange(said.Length, 4, 6);
            Assert.All(said[..^1], one => Assert.Equal((OMore, -ETime), one));
            Assert.Equal((0UL, -ECanceled), said[^1]);
        }
    }

    [Fact]
    public async Task Passing_on_a_completion_of_many_ends_the_rest()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_reach, "repeat"), new Grants(), new ChainLimits { MaxSteps = uint.MaxValue });
        var result = await Start(link, 0, OMillisecond, 2, 1);
        Assert.Equal((Verdict.Pass, -ETime, 3u), (result.Verdict, result.Result, result.Steps));
        Assert.True(ring.LateCompletions >= 1);
        Assert.Equal(0, ring.OperationsInFlight);
        // Detaching ends one, too, which a simulated clock would let come to any end soon.
        var running = link.StartAsync(UringOp.Nop(), Scratch(0, OMillisecond, ulong.MaxValue)).AsTask();
        await Task.Delay(20);
        await link.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal(-ECanceled, (await running.WaitAsync(s_patience)).Verdict);
    }

    [Fact]
    public async Task Repeating_is_refused_where_it_makes_no_sense()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", [1]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_reach, "show"), new Grants { Files = [file], Buffers = [64], Operations = [IoUringOp.Nop, IoUringOp.Timeout, IoUringOp.Read, IoUringOp.Recv] });
        async Task<(ulong, long)> Show(UringOp op)
        {
            await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
            return Said(link)[0];
        }
        var timer = UringOp.Timeout(TimeSpan.FromMilliseconds(1)) with { Flags = UringOpFlags.Multishot, Length = 1 };
        Assert.Equal((0UL, -ETime), await Show(timer));
        foreach (var op in (UringOp[])
        [
            UringOp.Nop() with { Flags = UringOpFlags.Multishot },
            UringOp.Read(0, 0, 1, 0) with { Flags = UringOpFlags.Multishot },
            UringOp.Receive(0, 0, 1) with { Flags = UringOpFlags.Multishot },
            UringOp.Read(0, 0, 1, 0) with { Flags = UringOpFlags.ProvidedBuffer },
            timer with { Flags = UringOpFlags.Multishot | UringOpFlags.Link },
            timer with { Offset = OMillisecond - 1 },
            timer with { Flags = UringOpFlags.None },
            timer with { OpFlags = 64 },
        ])
        {
            Assert.Equal((0xdeadUL, -EInval), await Show(op));
        }
    }

    [Fact]
    public async Task Operations_are_cancelled_by_file_and_all_at_once()
    {
        await using var ring = CreateRing();
        using var folder = new TemporaryFolder();
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "socket"));
        var listening = await Listen(ring, address);
        await using var server = ring.Attach(Compile(s_reach, "cancels"), new Grants { Files = [await Connected(ring, listening, address)], Buffers = [64], Operations = [IoUringOp.Nop, IoUringOp.Timeout, IoUringOp.Recv] });
        var result = await Start(server);
        Assert.Equal((Verdict.Pass, 6u), (result.Verdict, result.Steps));
        var said = Said(server);
        // Nothing was in flight; no operation works on file 5, or on -1; two on file 0.
        Assert.Equal([(0UL, -ENoEnt), (0UL, -ENoEnt), (0UL, -ENoEnt), (0UL, 0L), (2UL, -ECanceled), (2UL, -ECanceled), (0UL, 0L)], said[..7]);
        Assert.All(said[7..], one => Assert.Equal((1UL, -ECanceled), one));
        Assert.Equal(10, said.Length);
    }

    private static async Task<SafeFileHandle> Connected(Ring ring, SafeFileHandle listening, EndPoint address)
    {
        const int unix = 1, stream = 1;
        var fd = await ring.SocketAsync(unix, stream).AsTask().WaitAsync(s_patience);
        var handle = new SafeFileHandle(fd, ownsHandle: false);
        Assert.Equal(0, await ring.ConnectAsync(handle, address).AsTask().WaitAsync(s_patience));
        return handle;
    }

    [Fact]
    public async Task Hooks_accept_connect_send_and_receive()
    {
        await using var ring = CreateRing();
        using var folder = new TemporaryFolder();
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "socket"));
        var listening = await Listen(ring, address);
        IoUringOp[] granted = [IoUringOp.Nop, IoUringOp.Accept, IoUringOp.Recv, IoUringOp.Send, IoUringOp.Socket, IoUringOp.Connect];
        await using var server = ring.Attach(Compile(s_reach, "serve"), new Grants { Files = [listening], Buffers = [64], Operations = [.. granted] }, new ChainLimits { OwnFiles = 1 });
        await using var client = ring.Attach(Compile(s_reach, "ask"), new Grants { Addresses = [address], Buffers = [64], Operations = [.. granted] }, new ChainLimits { OwnFiles = 1 });
        for (var round = 1UL; round <= 20; round++)
        {
            var serving = Start(server);
            var asked = await Start(client, round * 0x0102030405UL);
            Assert.Equal(Verdict.Pass, asked.Verdict);
            Assert.Equal(round * 0x0102030405UL, Assert.Single(Emissions(client)).Value);
            // The client's socket is closed with its chain: the server sees the end, and its own slot is closed with it.
            var served = await serving;
            Assert.Equal((Verdict.Pass, 0), (served.Verdict, served.Result));
        }
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task Sockets_outside_the_grants_are_refused()
    {
        await using var ring = CreateRing();
        var address = new IPEndPoint(IPAddress.Loopback, 1);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.Accept, IoUringOp.Socket, IoUringOp.Connect, IoUringOp.Close];
        await using var link = ring.Attach(Compile(s_reach, "show"), new Grants { Addresses = [address], Operations = [.. operations] }, new ChainLimits { OwnFiles = 1 });
        async Task<long> Show(UringOp op)
        {
            await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
            return Said(link)[0].Item2;
        }
        Assert.Equal(0, await Show(UringOp.Socket(0, 0)));
        Assert.Equal(-EBadF, await Show(UringOp.Socket(1, 0)));
        Assert.Equal(-EBadF, await Show(UringOp.Socket(0, 1)));
        Assert.Equal(-EInval, await Show(UringOp.Socket(0, 0) with { OpFlags = 1 }));
        Assert.Equal(-EBadF, await Show(UringOp.Connect(0, 0)));
        Assert.Equal(-EBadF, await Show(UringOp.Accept(0, 0)));
        Assert.Equal(-EAccess, await Show(UringOp.Send(0, 0, 1)));
    }

    [Fact]
    public async Task A_file_that_is_handed_over_is_the_hosts()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing(new RingOptions { FileSlots = 4 });
        int slot;
        await using (var link = ring.Attach(Compile(s_reach, "give"), new Grants { Paths = [folder.File("data", [7, 8, 9])] }, new ChainLimits { OwnFiles = 1 }))
        {
            Assert.Equal(Verdict.Pass, (await Start(link)).Verdict);
            var emissions = Emissions(link);
            Assert.Equal(3, emissions.Count);
            // Nothing was open; then the file; then what the call gave.
            Assert.Equal((9UL, (long)-EBadF, -1), (emissions[0].UserData, (long)emissions[0].Value, emissions[0].File));
            Assert.Equal((0UL, 0UL), (emissions[1].UserData, emissions[1].Value));
            Assert.Equal((8UL, 0UL, -1), (emissions[2].UserData, emissions[2].Value, emissions[2].File));
            slot = emissions[1].File;
        }
        // The hook and its chain are gone, the file is not.
        var buffer = new byte[3];
        Assert.Equal(3, await Read(ring, slot, buffer).AsTask().WaitAsync(s_patience));
        Assert.Equal([7, 8, 9], buffer);
        Assert.Equal(0, await ring.CloseDirectAsync(slot).AsTask().WaitAsync(s_patience));
        Assert.Equal(-EBadF, await Read(ring, slot, buffer).AsTask().WaitAsync(s_patience));
        Assert.Equal(4, ring.FreeFileSlots);

        // With no room for the emission the chain keeps it.
        await using var full = ring.Attach(Compile(s_reach, "give"), new Grants { Paths = [Path.Combine(folder.Path, "data")] }, new ChainLimits { OwnFiles = 1 }, emissionCapacity: 1);
        Assert.Equal(Verdict.Pass, (await Start(full)).Verdict);
        Assert.Equal(-1, Assert.Single(Emissions(full)).File);
        Assert.Equal(4, ring.FreeFileSlots);
    }

    [Fact]
    public async Task A_slot_that_is_being_opened_into_is_not_handed_over()
    {
        const int busy = 16;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing(new RingOptions { FileSlots = 4 });
        await using (var link = ring.Attach(Compile(s_reach, "give_busy"), new Grants { Paths = [folder.File("data", [7, 8, 9])] }, new ChainLimits { OwnFiles = 1 }))
        {
            Assert.Equal(Verdict.Pass, (await Start(link)).Verdict);
            var emission = Assert.Single(Emissions(link));
            Assert.Equal((8UL, (long)-busy, -1), (emission.UserData, (long)emission.Value, emission.File));
        }
        Assert.Equal((4, 0), (ring.FreeFileSlots, ring.HostFileSlots));
    }

    private static async ValueTask<int> Read(Ring ring, int slot, byte[] buffer)
    {
        using var pin = buffer.AsMemory().Pin();
        return await ring.SubmitAsync(Entry(pin));

        unsafe Sqe Entry(System.Buffers.MemoryHandle pinned) => Prepare.Read(slot, pinned.Pointer, (uint)buffer.Length, 0).With(SqeFlags.FixedFile);
    }

    [Fact]
    public async Task A_message_starts_a_chain_of_its_target()
    {
        await using var ring = CreateRing();
        await using var other = CreateRing();
        foreach (var target in (Ring[])[ring, other])
        {
            await using var hears = target.Attach(Compile(s_reach, "hear"), new Grants());
            await using var posts = ring.Attach(Compile(s_reach, "post"), new Grants { Targets = [hears] });
            await Start(posts, 5, 3);
            Assert.Equal([(3UL, 0L), (0UL, -EBadF)], Said(posts));
            var heard = new List<(ulong, long)>();
            for (var wait = 0; heard.Count < 3 && wait < 10_000; wait++)
            {
                heard.AddRange(Said(hears));
                await Task.Delay(1);
            }
            Assert.Equal([(70UL, 5L), (71UL, 5L), (72UL, 5L)], heard.Order());
        }
    }

    [Fact]
    public async Task Messages_are_limited_and_wait_for_chains_to_end()
    {
        await using var ring = CreateRing();
        var hears = ring.Attach(Compile(s_reach, "hear"), new Grants(), new ChainLimits { MaxMessageChains = 4 });
        await using var posts = ring.Attach(Compile(s_reach, "post"), new Grants { Targets = [hears] });
        // Chains that never end: four run, four more wait; what is beyond is refused.
        await Start(posts, 2000, 4);
        var heard = 0;
        for (var wait = 0; heard < 4 && wait < 10_000; wait++)
        {
            heard += Said(hears).Length;
            await Task.Delay(1);
        }
        await Start(posts, 2000, 10);
        Assert.Equal([(4UL, 0L), (0UL, -EBadF), (4UL, -ENoSpc), (0UL, -EBadF)], Said(posts));
        Assert.Equal((4, 0), (heard, Said(hears).Length));
        await hears.DisposeAsync().AsTask().WaitAsync(s_patience);
        await Start(posts, 1, 1);
        Assert.Equal([(0UL, -ECanceled), (0UL, -EBadF)], Said(posts));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task A_hook_starts_chains_of_itself_one_after_another()
    {
        await using var ring = CreateRing(new RingOptions { MaxOperations = 2 });
        await using var link = ring.Attach(Compile(s_reach, "relay"), new Grants());
        await Start(link, 500);
        for (var wait = 0; wait < 10_000; wait++)
        {
            if (link.TryReadEmission(out var emission))
            {
                Assert.Equal(500UL, emission.UserData);
                return;
            }
            await Task.Delay(1);
        }
        Assert.Fail("the last message never came");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_are_truncated_allocated_removed_and_directories_made_where_writing_is_granted(bool granted)
    {
        using var folder = new TemporaryFolder();
        folder.File("gone", [1]);
        await using var ring = CreateRing(Backend == RingBackendKind.Simulated
            ? new RingOptions { Simulation = new SimulationOptions { Files = System.Collections.Immutable.ImmutableDictionary<string, ReadOnlyMemory<byte>>.Empty.Add($"{folder.Path}/gone", new byte[1]).Add($"{folder.Path}/data", new byte[10]) } }
            : null);
        var path = folder.File("data", new byte[10]);
        const int readWrite = 2;
        var opened = await ring.OpenAsync(path, readWrite).AsTask().WaitAsync(s_patience);
        using var file = new SafeFileHandle(opened, ownsHandle: false);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.FTruncate, IoUringOp.FAllocate, IoUringOp.UnlinkAt, IoUringOp.MkdirAt];
        await using var link = ring.Attach(Compile(s_reach, "show"),
            new Grants { Files = [file], Directories = [folder.Path], Paths = ["gone", "../gone", "made"], AllowWrite = granted, Operations = [.. operations] });
        async Task<long> Show(UringOp op)
        {
            await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
            return Said(link)[0].Item2;
        }
        var expected = granted ? 0 : -EAccess;
        Assert.Equal(expected, await Show(UringOp.Nop() with { Opcode = IoUringOp.FTruncate, File = 0, Offset = 5 }));
        Assert.Equal(expected, await Show(UringOp.Nop() with { Opcode = IoUringOp.FAllocate, File = 0, Length = 100 }));
        var unlink = UringOp.Nop() with { Opcode = IoUringOp.UnlinkAt, Directory = 0, Path = 0 };
        Assert.Equal(expected, await Show(unlink));
        Assert.Equal(-EAccess, await Show(unlink with { Path = 1 }));
        Assert.Equal(expected, await Show(unlink with { Opcode = IoUringOp.MkdirAt, Path = 2, Length = 0x1C0 }));
        if (granted) Assert.Equal(-ENoEnt, await Show(unlink));
        if (granted && Backend != RingBackendKind.Simulated)
        {
            Assert.Equal(100, new FileInfo(path).Length);
            Assert.False(File.Exists(Path.Combine(folder.Path, "gone")));
            Assert.True(Directory.Exists(Path.Combine(folder.Path, "made")));
        }
        await ring.CloseAsync(opened).AsTask().WaitAsync(s_patience);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelReachTests() : ReachTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableReachTests() : ReachTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedReachTests() : ReachTests(RingBackendKind.Simulated);
