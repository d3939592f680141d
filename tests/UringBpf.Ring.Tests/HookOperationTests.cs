using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>
/// Operations of hooks that name more than one thing, or complete more than once: pieces of buffers, two paths, timers of links,
/// accepts, polls and reads that go on; what a hook needs to serve. On every back end.
/// </summary>
public abstract class HookOperationTests(RingBackendKind backend) : OnConnections(backend)
{
    private const int ENoEnt = 2, EBadF = 9, EAgain = 11, EAccess = 13, EFault = 14, EExist = 17, EInval = 22, EMFile = 24, ETime = 62, EDQuot = 122, ECanceled = 125;
    private const ulong OMore = 2, OMillisecond = 1_000_000, OHour = 3_600_000_000_000, ORefused = 0xdead;
    private const ulong OLink = 2, OHardLink = 4;

    private static readonly ObjectSpec s_reach = Load("reach.bpf.o");

    // What a file has, by the ring: it may be in the simulation's memory alone.
    private static async Task<byte[]> Content(Ring ring, SafeFileHandle file)
    {
        var buffer = new byte[64];
        return buffer[..await Done(ring.ReadAsync(file, buffer, 0))];
    }

    [Fact]
    public async Task Pieces_of_buffers_are_written_and_read_as_one()
    {
        using var folder = new TemporaryFolder();
        const int readWrite = 2;
        await using var ring = CreateRing();
        using var file = new SafeFileHandle(await Done(ring.OpenAsync(folder.File("data", [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), readWrite)), ownsHandle: false);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.ReadV, IoUringOp.WriteV];
        var grants = new Grants { Files = [file], Buffers = [16, 16], Operations = [.. operations], AllowWrite = true };
        var limits = new ChainLimits { MaxBytes = 9 };
        await using (var link = ring.Attach(Compile(s_reach, "vectors"), grants, limits))
        {
            var written = await Start(link, (ulong)IoUringOp.WriteV, 1, 0, 3, 1, 2);
            Assert.Equal((Verdict.Pass, 9, 9UL), (written.Verdict, written.Result, written.Bytes));
            Assert.Equal(9L, Said(link)[0].Item2);
            Assert.Equal([9, 1, 2, 3, 106, 107, 11, 12, 13, 14, 9, 9], await Content(ring, file));

            await Start(link, (ulong)IoUringOp.ReadV, 2, 0, 3, 1, 2);
            // What it moved is in several places: ctx->data shows nothing.
            Assert.Equal([(0UL, 9L), (1UL, 2L), (1UL, 3L), (1UL, 106L), (2UL, 107L), (2UL, 11L), (3UL, 12L), (3UL, 13L), (3UL, 14L), (3UL, 9L)], Said(link));
            // Fewer than were asked for: the end of the file is in the second piece.
            var few = await Start(link, (ulong)IoUringOp.ReadV, 8, 0, 3, 1, 2);
            Assert.Equal(4UL, few.Bytes);
            Assert.Equal([(0UL, 4L), (1UL, 13L), (1UL, 14L), (1UL, 9L), (2UL, 9L), (2UL, 107L), (3UL, 11L), (3UL, 12L), (3UL, 13L), (3UL, 14L)], Said(link));
        }
        await Close(ring, file);
    }

    [Fact]
    public async Task Each_piece_is_checked()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[64]));
        await using var ring = CreateRing();
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.ReadV, IoUringOp.WriteV, IoUringOp.SendMsg, IoUringOp.Read];
        var grants = new Grants { Files = [file], Buffers = [16, 16], Operations = [.. operations] };
        await using var link = ring.Attach(Compile(s_reach, "vectors"), grants, new ChainLimits { MaxBytes = 20 });
        const ulong read = (ulong)IoUringOp.ReadV, write = (ulong)IoUringOp.WriteV, send = (ulong)IoUringOp.SendMsg;
        foreach (var (expected, scratch) in ((int, ulong[])[])
        [
            (9, [read, 0, 0, 3, 1, 2]),
            (-EFault, [read, 0, 0, 3, 2, 2]),
            (-EFault, [read, 0, 0, 3, 1, 12]),
            (-EFault, [read, 0, 0, 3, 1, uint.MaxValue]),
            (-EInval, [read, 0, 0, 2, 1, 2]),
            (-EInval, [read, 0, 0, 4, 1, 2]),
            (-EInval, [read, 0, 0, uint.MaxValue, 1, 2]),
            (-EInval, [read, 0, 0x20, 3, 1, 2]),
            (-EInval, [read, 0, 0, 3, 1, 2, 1]),
            (-EInval, [(ulong)IoUringOp.Read, 0, 0, 3, 1, 2]),
            (-EAccess, [write, 0, 0, 3, 1, 2]),
            (-EAccess, [(ulong)IoUringOp.RecvMsg, 0, 0, 3, 1, 2]),
            (-EBadF, [send, 0, 0, 3, 1, 2]),
            (-EInval, [send, uint.MaxValue, 0x200, 3, 1, 2]),
            (18, [read, 0, 0, 3, 1, 11]),
        ])
        {
            var result = await Start(link, scratch);
            var said = Said(link)[0];
            Assert.Equal(expected < 0 ? (ORefused, expected) : (0UL, (long)expected), said);
            if (expected < 0) Assert.Equal(0UL, result.Bytes);
        }
        // Neither a struct without pieces, as the host's first operation is, nor one more byte than the limit.
        Assert.Equal(-EInval, (await link.StartAsync(new UringOp { Opcode = IoUringOp.ReadV, Length = 3, Directory = UringOp.NoDirectory }).AsTask().WaitAsync(s_patience)).Result);
        await using var small = ring.Attach(Compile(s_reach, "vectors"), grants, new ChainLimits { MaxBytes = 8 });
        await Start(small, read, 0, 0, 3, 1, 2);
        Assert.Equal((ORefused, -EDQuot), Said(small)[0]);
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task Messages_are_sent_and_received_in_pieces()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.SendMsg, IoUringOp.RecvMsg];
        await using (var sends = ring.Attach(Compile(s_reach, "vectors"), new Grants { Files = [near], Buffers = [16, 16], Operations = [.. operations] }))
        await using (var hears = ring.Attach(Compile(s_reach, "vectors"), new Grants { Files = [far], Buffers = [16, 16], Operations = [.. operations] }))
        await using (var from = ring.Attach(Compile(s_reach, "heard_from"), new Grants { Files = [far], Buffers = [256], Operations = [.. operations] }))
        {
            const ulong waitAll = 0x100;
            var hearing = Start(hears, (ulong)IoUringOp.RecvMsg, 0, waitAll, 3, 1, 2);
            Assert.Equal(9, (await Start(sends, (ulong)IoUringOp.SendMsg, uint.MaxValue, 0, 3, 1, 2)).Result);
            Assert.Equal(9UL, (await hearing).Bytes);
            Assert.Equal([1, 2, 3, 106, 107, 11, 12, 13, 14], Said(hears)[1..].Select(one => one.Item2));

            // Whom it is from: of a connection nobody in particular, and the room for it must be there.
            await Done(ring.SendAsync(near, new byte[] { 1, 2, 3 }), 3);
            await Start(from, 128);
            Assert.Equal(3L, Said(from)[0].Item2);
            await Start(from, 129);
            Assert.Equal((ORefused, -EInval), Said(from)[0]);
        }
        await Close(ring, near, far);
    }

    [Fact]
    public async Task A_timer_ends_the_operation_that_it_is_linked_to()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_reach, "timed"), new Grants { Operations = [IoUringOp.Nop, IoUringOp.Timeout, IoUringOp.LinkTimeout] });
        foreach (var before in (ulong[])[0, 1, 2])
        {
            (ulong, long)[] first = before == 0 ? [] : [(9, 0)];
            // Its time is up first; what is linked to both is cancelled, or starts, as that operation says.
            await Start(link, OHour, OMillisecond, OLink, before);
            Assert.Equal([.. first, (1UL, -ECanceled), (2UL, -ETime), (3UL, -ECanceled)], Said(link).OrderBy(Order));
            await Start(link, OHour, OMillisecond, OHardLink, before);
            Assert.Equal([.. first, (1UL, -ECanceled), (2UL, -ETime), (3UL, 0)], Said(link).OrderBy(Order));
            // The operation ends first.
            await Start(link, OMillisecond, OHour, OLink, before);
            Assert.Equal([.. first, (1UL, -ETime), (2UL, -ECanceled), (3UL, 0)], Said(link).OrderBy(Order));
        }
        // Cancelling the timer ends nothing else; cancelling the operation ends its timer.
        await Start(link, 20 * OMillisecond, OHour, OHardLink, 1, 2);
        Assert.Equal([(9UL, 0L), (1UL, -ETime), (2UL, -ECanceled), (3UL, 0)], Said(link).OrderBy(Order));
        await Start(link, OHour, OHour, OLink, 1, 1);
        Assert.Equal([(9UL, 0L), (1UL, -ECanceled), (2UL, -ECanceled), (3UL, -ECanceled)], Said(link).OrderBy(Order));
        Assert.Equal(0, ring.OperationsInFlight);

        static ulong Order((ulong UserData, long Result) one) => one.UserData == 9 ? 0 : one.UserData;
    }

    [Fact]
    public async Task A_timer_of_a_link_needs_one()
    {
        await using var ring = CreateRing();
        await using var timed = ring.Attach(Compile(s_reach, "timed"), new Grants { Operations = [IoUringOp.Nop, IoUringOp.Timeout, IoUringOp.LinkTimeout] });
        Assert.Equal(-EInval, (await Start(timed, OHour, OMillisecond, 0)).Result);
        await using var show = ring.Attach(Compile(s_reach, "show"), new Grants { Operations = [IoUringOp.Nop, IoUringOp.LinkTimeout] });
        Assert.Equal((ORefused, -EInval), await Show(show, UringOp.LinkTimeout(TimeSpan.FromSeconds(1))));
        await using var denied = ring.Attach(Compile(s_reach, "timed"), new Grants());
        Assert.Equal(-EAccess, (await Start(denied, OHour, OMillisecond, OLink)).Result);
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task An_accept_goes_on_into_the_slots_that_are_free()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "socket"));
        var listening = await Listening(ring, address);
        var sockets = new List<SafeFileHandle>();
        async Task Connect(int count)
        {
            for (var i = 0; i < count; i++) sockets.Add(await Connected(ring, address));
        }
        await using (var link = ring.Attach(Compile(s_reach, "accepts"), new Grants { Files = [listening], Operations = [IoUringOp.Nop, IoUringOp.Accept, IoUringOp.Close] }, new ChainLimits { OwnFiles = 3 }))
        {
            // Kept: the third has the last slot, and says that there is no more.
            var keeps = Start(link, 0, 0);
            await Connect(3);
            Assert.Equal((Verdict.Pass, 3, 4u), ((await keeps).Verdict, (await keeps).Result, (await keeps).Steps));
            Assert.Equal([(OMore, 1L), (OMore, 2L), (0UL, 3L)], Said(link));

            // Handed over: each of the host's, and the slots are free again; until it is cancelled.
            var gives = Start(link, 1, 6);
            await Connect(6);
            Assert.Equal(-ECanceled, (await gives).Result);
            var said = Emissions(link);
            Assert.Equal(6, said.Count(one => one.File >= 0));
            Assert.Equal((0UL, (long)-ECanceled), (said[^1].UserData, (long)said[^1].Value));
            foreach (var given in said.Where(one => one.File >= 0)) await Done(ring.CloseDirectAsync(given.File));

            // Closed: as many as like.
            var closes = Start(link, 2, 20);
            await Connect(20);
            Assert.Equal(-ECanceled, (await closes).Result);
            Assert.Equal(20, Said(link).Count(one => one.Item2 > 0));

            // Detached while it waits.
            var waits = Start(link, 0, 0);
            await Task.Delay(10);
            await link.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal(-ECanceled, (await waits).Verdict);
        }
        Assert.Equal(0, ring.OperationsInFlight);
        Assert.Equal(new RingOptions().FileSlots, ring.FreeFileSlots);
        await using (var none = ring.Attach(Compile(s_reach, "accepts"), new Grants { Files = [listening], Operations = [IoUringOp.Nop, IoUringOp.Accept] }, new ChainLimits { OwnFiles = 0 }))
        {
            Assert.Equal(-EMFile, (await Start(none, 0, 0)).Verdict);
            await using var show = ring.Attach(Compile(s_reach, "show"), new Grants { Files = [listening], Operations = [IoUringOp.Nop, IoUringOp.Accept] });
            Assert.Equal((ORefused, -EInval), await Show(show, UringOp.Accept(0, 1) with { Flags = UringOpFlags.Multishot }));
        }
        await Close(ring, [listening, .. sockets]);
    }

    [Fact]
    public async Task A_hook_listens_and_serves_by_itself()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "socket"));
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.Socket, IoUringOp.Bind, IoUringOp.Listen, IoUringOp.Accept, IoUringOp.Recv, IoUringOp.Send, IoUringOp.Connect];
        await using var server = ring.Attach(Compile(s_reach, "listens"), new Grants { Addresses = [address], Buffers = [64], Operations = [.. operations] }, new ChainLimits { OwnFiles = 2 });
        await using var client = ring.Attach(Compile(s_reach, "ask"), new Grants { Addresses = [address], Buffers = [64], Operations = [.. operations] }, new ChainLimits { OwnFiles = 1 });
        var serving = Start(server, 1);
        Assert.Equal((0UL, 0L), await Next(server));
        Assert.Equal(Verdict.Pass, (await Start(client, 0x1234)).Verdict);
        Assert.Equal(0x1234UL, Assert.Single(Emissions(client)).Value);
        Assert.Equal(Verdict.Pass, (await serving).Verdict);

        await using var show = ring.Attach(Compile(s_reach, "show"), new Grants { Addresses = [address], Operations = [.. operations] }, new ChainLimits { OwnFiles = 1 });
        Assert.Equal((ORefused, -EBadF), await Show(show, UringOp.Nop() with { Opcode = IoUringOp.Bind, File = 0, Path = 0 }));
        Assert.Equal((ORefused, -EBadF), await Show(show, UringOp.Nop() with { Opcode = IoUringOp.Bind, File = 0, Path = 1 }));
        Assert.Equal((ORefused, -EBadF), await Show(show, UringOp.Nop() with { Opcode = IoUringOp.Listen, File = 0 }));
        Assert.Equal((ORefused, -EInval), await Show(show, UringOp.Nop() with { Opcode = IoUringOp.Listen, File = 0, Length = 1u << 31 }));
        Assert.Equal((ORefused, -EInval), await Show(show, UringOp.Socket(0, 0) with { Length = 3 /* SOCK_RAW */ }));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_are_renamed_and_linked_where_writing_is_granted(bool granted)
    {
        using var folder = new TemporaryFolder();
        folder.File("first", [1]);
        folder.File("secon", [2]);
        await using var ring = CreateRing();
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.RenameAt, IoUringOp.LinkAt];
        var grants = new Grants { Directories = [folder.Path], Paths = ["first", "secon", "third", "../third", folder.Path + "/first"], Buffers = [64], AllowWrite = granted, Operations = [.. operations] };
        await using var link = ring.Attach(Compile(s_reach, "show"), grants);
        await using var names = ring.Attach(Compile(s_reach, "rename_names"), grants);
        async Task<long> Rename(UringOp op) => (await Show(link, op)).Item2;
        async Task<string> There()
        {
            var found = "";
            foreach (var name in (string[])["first", "secon", "third"])
            {
                var fd = await ring.OpenAsync(Path.Combine(folder.Path, name), 0).AsTask().WaitAsync(s_patience);
                using var file = new SafeFileHandle(fd, ownsHandle: false);
                found += fd < 0 ? "-" : $"{(await Content(ring, file))[0]}";
                if (fd >= 0) await Close(ring, file);
            }
            return found;
        }
        if (!granted)
        {
            Assert.Equal(-EAccess, await Rename(UringOp.RenameAt(0, 0, 0, 2)));
            await Start(names, 0);
            Assert.Equal((ORefused, -EAccess), Said(names)[0]);
            Assert.Equal("12-", await There());
            return;
        }
        const uint noReplace = 1, exchange = 2;
        Assert.Equal(0, await Rename(UringOp.RenameAt(0, 0, 0, 2)));
        Assert.Equal("-21", await There());
        Assert.Equal(-ENoEnt, await Rename(UringOp.RenameAt(0, 0, 0, 2)));
        Assert.Equal(-EExist, await Rename(UringOp.RenameAt(0, 1, 0, 2, noReplace)));
        Assert.Equal(0, await Rename(UringOp.RenameAt(0, 1, 0, 2, exchange)));
        Assert.Equal("-12", await There());
        Assert.Equal(-EInval, await Rename(UringOp.RenameAt(0, 1, 0, 2, 4)));
        // Beneath a directory only bare names; as a whole what the host named.
        Assert.Equal(-EAccess, await Rename(UringOp.RenameAt(0, 1, 0, 3)));
        Assert.Equal(-EAccess, await Rename(UringOp.RenameAt(0, 3, 0, 1)));
        Assert.Equal(-EBadF, await Rename(UringOp.RenameAt(0, 1, 1, 2)));
        Assert.Equal(-EBadF, await Rename(UringOp.RenameAt(0, 1, 0, 5)));
        Assert.Equal(-EBadF, await Rename(UringOp.RenameAt(0, 5, 0, 1)));
        Assert.Equal(0, await Rename(UringOp.RenameAt(0, 2, UringOp.NoDirectory, 4)));
        Assert.Equal("21-", await There());
        var hardLink = UringOp.RenameAt(0, 0, 0, 2) with { Opcode = IoUringOp.LinkAt };
        Assert.Equal(0, await Rename(hardLink));
        Assert.Equal(-EExist, await Rename(hardLink));
        Assert.Equal(-EInval, await Rename(hardLink with { OpFlags = 0x400 }));
        Assert.Equal("212", await There());

        // Names that the hook made up.
        await Start(names, 0);
        Assert.Equal((0UL, 0L), Said(names)[0]);
        Assert.Equal("-22", await There());
        await Start(names, 1);
        Assert.Equal((ORefused, -EInval), Said(names)[0]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_receive_that_goes_on_shows_each_provided_buffer(int holds)
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        await using (var link = ring.Attach(Compile(s_reach, "gather"), new Grants { Files = [near], Buffers = [64], ProvidedBuffers = 2, ProvidedBufferBytes = 64, Operations = [IoUringOp.Nop, IoUringOp.Recv] }, new ChainLimits { OwnBuffers = 1 }))
        {
            var chain = Start(link, (ulong)holds);
            Assert.Equal((99UL, -EInval), (await Next(link)));
            // More messages than buffers: each goes back when the hook returns, or when it is released.
            for (byte i = 1; i <= 10; i++)
            {
                await Done(ring.SendAsync(far, new byte[] { i, 1 }), 2);
                Assert.Equal((OBuffer | OMore, i + 1L), (await Next(link)).Flagged());
                if (holds == 1 && i > 1) Assert.Equal((50UL, i - 1L), await Next(link));
            }
            await Done(ring.ShutdownAsync(far, SocketShutdown.Both));
            var result = await chain;
            Assert.Equal((Verdict.Pass, 0, 20UL), (result.Verdict, result.Result, result.Bytes));
            Assert.Equal(0L, (await Next(link)).Item2);
        }
        Assert.Equal(0, ring.OperationsInFlight);
        await Close(ring, near, far);
    }

    private const ulong OBuffer = 1;

    [Fact]
    public async Task Held_buffers_go_back_with_their_chain_and_running_out_of_them_is_an_errno()
    {
        const int eNoBufs = 105;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        await using (var link = ring.Attach(Compile(s_reach, "hoard"), new Grants { Files = [near], ProvidedBuffers = 2, ProvidedBufferBytes = 64, Operations = [IoUringOp.Nop, IoUringOp.Recv] }))
        {
            for (var round = 0; round < 3; round++)
            {
                var chain = Start(link);
                for (byte i = 1; i <= 3; i++)
                {
                    await Done(ring.SendAsync(far, new byte[] { i }), 1);
                    if (i <= 2) Assert.Equal(1L, (await Next(link)).Item2);
                }
                var result = await chain;
                Assert.Equal((-eNoBufs, Verdict.Pass), (result.Result, result.Verdict));
                Assert.Equal((long)-eNoBufs, (await Next(link)).Item2);
                // The third byte is still there: a chain that begins anew has both buffers again.
                await Done(ring.ReceiveAsync(near, new byte[1]), 1);
            }
        }
        await Close(ring, near, far);
    }

    [Fact]
    public async Task Provided_buffers_need_a_grant_and_no_byte_limit()
    {
        const int eOpNotSupp = 95;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        var grants = new Grants { Files = [near], Operations = [IoUringOp.Nop, IoUringOp.Recv] };
        var receive = UringOp.Receive(0, 0, 0) with { Flags = UringOpFlags.ProvidedBuffer };
        await using (var none = ring.Attach(Compile(s_reach, "show"), grants))
        {
            Assert.Equal((ORefused, -eOpNotSupp), await Show(none, receive));
        }
        grants = grants with { ProvidedBuffers = 4, ProvidedBufferBytes = 32 };
        await using (var limited = ring.Attach(Compile(s_reach, "show"), grants, new ChainLimits { MaxBytes = 32 }))
        {
            Assert.Equal((ORefused, -EDQuot), await Show(limited, receive with { Flags = UringOpFlags.ProvidedBuffer | UringOpFlags.Multishot }));
            await Done(ring.SendAsync(far, new byte[40]), 40);
            Assert.Equal((OBuffer, 32L), (await Show(limited, receive)).Flagged());
            // The limit is each chain's.
            Assert.Equal((OBuffer, 8L), (await Show(limited, receive)).Flagged());
        }
        await using (var small = ring.Attach(Compile(s_reach, "show"), grants, new ChainLimits { MaxBytes = 31 }))
        {
            Assert.Equal((ORefused, -EDQuot), await Show(small, receive));
        }
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => ring.Attach(Compile(s_reach, "show"), grants with { ProvidedBuffers = 3 })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => ring.Attach(Compile(s_reach, "show"), grants with { ReadOnlyBuffers = true })).Code);
        await Close(ring, near, far);
    }

    [Fact]
    public async Task A_read_goes_on_into_provided_buffers_and_only_of_what_flows()
    {
        const int eBadFd = 77;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.ReadMultishot];
        await using (var link = ring.Attach(Compile(s_reach, "drinks"), new Grants { Files = [near], ProvidedBuffers = 2, Operations = [.. operations] }))
        {
            var chain = Start(link);
            for (byte i = 1; i <= 5; i++)
            {
                await Done(ring.SendAsync(far, new byte[] { i }), 1);
                Assert.Equal((OBuffer | OMore, (long)i), (await Next(link)).Flagged());
            }
            await Done(ring.ShutdownAsync(far, SocketShutdown.Both));
            Assert.Equal((Verdict.Pass, 0, 5UL), ((await chain).Verdict, (await chain).Result, (await chain).Bytes));
        }
        using var file = File.OpenHandle(folder.File("data", [1]));
        await using (var link = ring.Attach(Compile(s_reach, "drinks"), new Grants { Files = [file], ProvidedBuffers = 2, Operations = [.. operations] }))
        {
            await Start(link);
            Assert.Equal((0UL, -eBadFd), Said(link)[0]);
        }
        await using (var link = ring.Attach(Compile(s_reach, "show"), new Grants { Files = [file], ProvidedBuffers = 2, Operations = [.. operations] }))
        {
            var read = UringOp.Nop() with { Opcode = IoUringOp.ReadMultishot, File = 0 };
            Assert.Equal((ORefused, -EInval), await Show(link, read));
            Assert.Equal((ORefused, -EInval), await Show(link, read with { Flags = UringOpFlags.Multishot }));
            Assert.Equal((ORefused, -EInval), await Show(link, read with { Flags = UringOpFlags.ProvidedBuffer }));
        }
        await Close(ring, near, far);
    }

    [Fact]
    public async Task A_poll_tells_of_each_arrival()
    {
        const int readable = 1;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        await using (var link = ring.Attach(Compile(s_reach, "show"), new Grants { Files = [near], Operations = [IoUringOp.Nop, IoUringOp.PollAdd] }))
        {
            // What has arrived before is told of, too.
            await Done(ring.SendAsync(far, new byte[] { 1 }), 1);
            var chain = link.StartAsync(UringOp.Nop(), Bytes(UringOp.Poll(0, readable) with { Flags = UringOpFlags.Multishot })).AsTask();
            Assert.Equal((OMore, 1L), await Next(link));
            for (var i = 0; i < 3; i++)
            {
                await Done(ring.SendAsync(far, new byte[] { 1 }), 1);
                Assert.Equal((OMore, 1L), await Next(link));
            }
            Assert.False(link.TryReadEmission(out _));
            // Once is enough for one that does not go on.
            var once = await link.StartAsync(UringOp.Nop(), Bytes(UringOp.Poll(0, readable))).AsTask().WaitAsync(s_patience);
            Assert.Equal((Verdict.Pass, 1), (once.Verdict, once.Result));
            await link.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        }
        await Close(ring, near, far);
    }

    [Fact]
    public async Task A_zero_copy_send_completes_twice()
    {
        const ulong notification = 8;
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        SafeFileHandle near, far;
        if (Backend == RingBackendKind.Kernel)
        {
            // Which the kernel has for TCP.
            (near, far) = await TcpPair(ring);
        }
        else
        {
            (near, far) = await Pair(ring, folder);
        }
        await using (var link = ring.Attach(Compile(s_reach, "show"), new Grants { Files = [near], Buffers = [64], Operations = [IoUringOp.Nop, IoUringOp.SendZc] }))
        {
            var result = await link.StartAsync(UringOp.Nop(), Bytes(UringOp.Send(0, 0, 64) with { Opcode = IoUringOp.SendZc })).AsTask().WaitAsync(s_patience);
            Assert.Equal([(OMore, 64L), (notification, 0L)], Said(link));
            Assert.Equal(64UL, result.Bytes);
            await Done(ring.ReceiveAsync(far, new byte[64], 0x100), 64);
        }
        // Its bytes count once, at neither completion twice and at none too little.
        await using (var link = ring.Attach(Compile(s_reach, "sends_all"), new Grants { Files = [near], Buffers = [64], Operations = [IoUringOp.Nop, IoUringOp.SendZc] }, new ChainLimits { MaxBytes = 64 }))
        {
            Assert.Equal(64UL, (await Start(link, 64)).Bytes);
            Assert.Equal([(0UL, 0L), (1UL, -EDQuot), (2UL, -EDQuot)], Said(link));
        }
        await Close(ring, near, far);
    }

    [Fact]
    public async Task Bytes_are_spliced_and_teed_between_files_and_pipes_where_writing_is_granted()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        const int readWrite = 2;
        var file = new SafeFileHandle(await Done(ring.OpenAsync(folder.File("data", [1, 2, 3, 4, 5, 6]), readWrite)), ownsHandle: false);
        SafeFileHandle[] pipes = [.. await Pipe(ring), .. await Pipe(ring)];
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.Splice, IoUringOp.Tee];
        // Files: 0 a file, 1 and 2 the ends of a pipe to read and to write, 3 and 4 another's.
        var grants = new Grants { Files = [file, .. pipes], AllowWrite = true, Operations = [.. operations] };
        var splice = UringOp.Nop() with { Opcode = IoUringOp.Splice };
        await using (var denied = ring.Attach(Compile(s_reach, "show"), grants with { AllowWrite = false }))
        {
            Assert.Equal((ORefused, -EAccess), await Show(denied, splice with { File = 0, Target = 2, Length = 3 }));
            Assert.Equal((ORefused, -EAccess), await Show(denied, splice with { Opcode = IoUringOp.Tee, File = 1, Target = 4, Length = 3 }));
        }
        await using (var link = ring.Attach(Compile(s_reach, "show"), grants))
        {
            // Nothing is there yet: it waits.
            var waits = link.StartAsync(UringOp.Nop(), Bytes(splice with { File = 1, Target = 4, Offset = ulong.MaxValue, Length = 2 })).AsTask();
            var fills = await link.StartAsync(UringOp.Nop(), Bytes(splice with { File = 0, Target = 2, Offset = 1, Length = 3 })).AsTask().WaitAsync(s_patience);
            Assert.Equal((3, 3UL), (fills.Result, fills.Bytes));
            Assert.Equal(2, (await waits.WaitAsync(s_patience)).Result);
            Assert.Equal([2L, 3L], Said(link).Select(one => one.Item2).Order());
            // Now 4 in the first, 2 and 3 in the second; a copy of those goes behind it.
            Assert.Equal((0UL, 2L), await Show(link, splice with { Opcode = IoUringOp.Tee, File = 3, Target = 2, Length = 10 }));
            Assert.Equal([4, 2, 3], await Content(ring, pipes[0]));
            Assert.Equal([2, 3], await Content(ring, pipes[2]));
            Assert.Equal((ORefused, -EInval), await Show(link, splice with { Opcode = IoUringOp.Tee, File = 3, Target = 2, Offset = 1, Length = 10 }));
            Assert.Equal((ORefused, -EBadF), await Show(link, splice with { File = 0, Target = 7, Length = 3 }));
            // Asked not to wait.
            Assert.Equal((0UL, -EAgain), await Show(link, splice with { File = 1, Target = 4, Offset = ulong.MaxValue, Length = 2, OpFlags = 2 }));
            // Cancelled while it waits.
            var stuck = link.StartAsync(UringOp.Nop(), Bytes(splice with { File = 1, Target = 4, Offset = ulong.MaxValue, Length = 2 })).AsTask();
            await Task.Delay(10);
            if (Backend == RingBackendKind.Kernel) await Done(ring.WriteAsync(pipes[1], new byte[] { 1 }, 0), 1);
            await link.DisposeAsync().AsTask().WaitAsync(s_patience);
            await stuck.WaitAsync(s_patience);
        }
        Assert.Equal(0, ring.OperationsInFlight);
        await Close(ring, [file, .. pipes]);
    }

    private static async Task<SafeFileHandle[]> Pipe(Ring ring)
    {
        if (ring.Features.Operations.Contains(IoUringOp.Pipe))
        {
            var ends = new int[2];
            await Done(ring.PipeAsync(ends));
            return [.. ends.Select(end => new SafeFileHandle(end, ownsHandle: false))];
        }
        // The portable back end works on the process's own, which this has no other way to make and keep open.
        using var pipe = new System.IO.Pipes.AnonymousPipeServerStream(System.IO.Pipes.PipeDirection.Out);
        return [Copy(pipe.ClientSafePipeHandle), Copy(pipe.SafePipeHandle)];
    }

    private static SafeFileHandle Copy(System.Runtime.InteropServices.SafeHandle handle) => new(PosixCalls.Duplicate((int)handle.DangerousGetHandle()), ownsHandle: false);

    private static async Task<(SafeFileHandle Near, SafeFileHandle Far)> TcpPair(Ring ring)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        const int internet = 2, stream = 1;
        var near = new SafeFileHandle(await Done(ring.SocketAsync(internet, stream)), ownsHandle: false);
        await Done(ring.ConnectAsync(near, listener.LocalEndPoint!));
        using var accepting = new SafeFileHandle(listener.Handle, ownsHandle: false);
        return (near, new SafeFileHandle(await Done(ring.AcceptAsync(accepting)), ownsHandle: false));
    }
}

file static class Flags
{
    // Whether the socket had more to read is the network's affair.
    public static (ulong, long) Flagged(this (ulong Flags, long Value) emission) => (emission.Flags & 3, emission.Value);
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelHookOperationTests() : HookOperationTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableHookOperationTests() : HookOperationTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedHookOperationTests() : HookOperationTests(RingBackendKind.Simulated);
