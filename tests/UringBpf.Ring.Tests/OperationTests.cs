using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The host's operations on the kernel, each checked by what it did rather than by its result alone.</summary>
public sealed class OperationTests() : OnBackend(RingBackendKind.Kernel)
{
    private const int ENoEnt = 2, EBadF = 9, EExist = 17, ENFile = 23, ETime = 62, ENoBufs = 105, ECanceled = 125;

    private static Task<T> Patient<T>(ValueTask<T> task) => task.AsTask().WaitAsync(s_patience);

    [Fact]
    public async Task Files_are_allocated_truncated_written_in_pieces_and_advised()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "file");
        await using var ring = CreateRing();
        const int readWriteCreate = 2 | 0x40;
        using (var file = await RingFile.OpenAsync(ring, path, readWriteCreate, 0x1A4))
        {
            Assert.Equal(5, await Patient(ring.WriteVAsync(file.Handle, "abc"u8.ToArray(), "de"u8.ToArray(), 0)));
            byte[] first = new byte[2], second = new byte[8];
            Assert.Equal(5, await Patient(ring.ReadVAsync(file.Handle, first, second, 0)));
            Assert.Equal("abcde", System.Text.Encoding.ASCII.GetString([.. first, .. second[..3]]));
            Assert.Equal(0, await Patient(ring.FAllocateAsync(file.Handle, 0, 10_000)));
            Assert.Equal(10_000, new FileInfo(path).Length);
            Assert.Equal(0, await Patient(file.TruncateAsync(3)));
            Assert.Equal("abc", File.ReadAllText(path));
            Assert.Equal(0, await Patient(ring.FAdviseAsync(file.Handle, 0, 0, 4)));
            Assert.Equal(0, await Patient(ring.SyncFileRangeAsync(file.Handle, 0, 0, 2)));
            Assert.Equal(0, await Patient(file.FSyncAsync(dataOnly: true)));
        }
        var missing = await Assert.ThrowsAsync<IOException>(async () => await RingFile.OpenAsync(ring, path + ".missing"));
        Assert.Contains("ENOENT", missing.Message);
    }

    [Fact]
    public async Task Memory_is_advised()
    {
        await using var ring = CreateRing();
        Assert.Equal(0, await Patient(Advise(ring)));

        static unsafe ValueTask<int> Advise(Ring ring)
        {
            var memory = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc(4096, 4096);
            var advised = ring.MAdviseAsync(memory, 4096, 3 /* MADV_WILLNEED */);
            // Advice of this kind touches nothing: the memory may go at once afterwards.
            advised.AsTask().Wait(s_patience);
            System.Runtime.InteropServices.NativeMemory.AlignedFree(memory);
            return new ValueTask<int>(0);
        }
    }

    [Fact]
    public async Task Names_are_made_linked_renamed_and_removed()
    {
        using var folder = new TemporaryFolder();
        string At(string name) => Path.Combine(folder.Path, name);
        await using var ring = CreateRing();
        Assert.Equal(0, await Patient(ring.MkdirAsync(At("d"))));
        Assert.True(Directory.Exists(At("d")));
        Assert.Equal(-EExist, await Patient(ring.MkdirAsync(At("d"))));
        folder.File("a", "content"u8.ToArray());
        Assert.Equal(0, await Patient(ring.LinkAsync(At("a"), At("b"))));
        Assert.Equal(0, await Patient(ring.SymlinkAsync("a", At("s"))));
        Assert.Equal("a", new FileInfo(At("s")).LinkTarget);
        Assert.Equal(0, await Patient(ring.RenameAsync(At("b"), At("d/c"))));
        Assert.Equal("content", File.ReadAllText(At("d/c")));
        Assert.Equal(-EExist, await Patient(ring.RenameAsync(At("d/c"), At("a"), flags: 1)));
        Assert.Equal(0, await Patient(ring.UnlinkAsync(At("d/c"))));
        Assert.Equal(0, await Patient(ring.UnlinkAsync(At("d"), directory: true)));
        Assert.False(Directory.Exists(At("d")));
        Assert.Equal(-ENoEnt, await Patient(ring.UnlinkAsync(At("d"))));
    }

    [Fact]
    public async Task Opening_beneath_a_directory_does_not_lead_out_of_it()
    {
        const int exDev = 18, directoryOnly = 0x10000;
        using var folder = new TemporaryFolder();
        folder.File("inside", [1]);
        await using var ring = CreateRing();
        using var directory = await RingFile.OpenAsync(ring, folder.Path, directoryOnly);
        var fd = await Patient(ring.OpenAt2Async(directory.Handle, "inside"));
        Assert.True(fd >= 0);
        Assert.Equal(0, await Patient(ring.CloseAsync(fd)));
        Assert.Equal(-exDev, await Patient(ring.OpenAt2Async(directory.Handle, "../etc")));
    }

    [Fact]
    public async Task Extended_attributes_are_set_and_read_by_path_and_by_file()
    {
        const int opNotSupported = 95;
        using var folder = new TemporaryFolder();
        var path = folder.File("file", [1]);
        await using var ring = CreateRing();
        var value = new byte[16];
        var set = await Patient(ring.SetXAttrAsync(path, "user.one", "first"u8.ToArray()));
        Assert.SkipWhen(set == -opNotSupported, "the file system of temporary files has no extended attributes.");
        Assert.Equal(0, set);
        Assert.Equal(5, await Patient(ring.GetXAttrAsync(path, "user.one", value)));
        Assert.Equal("first"u8, value.AsSpan(0, 5));
        using var file = File.OpenHandle(path);
        Assert.Equal(0, await Patient(ring.FSetXAttrAsync(file, "user.two", "second"u8.ToArray())));
        Assert.Equal(6, await Patient(ring.FGetXAttrAsync(file, "user.two", value)));
        Assert.Equal("second"u8, value.AsSpan(0, 6));
    }

    [Fact]
    public async Task Slots_of_the_file_table_are_opened_installed_and_closed_once()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("file", "slot"u8.ToArray());
        await using var ring = CreateRing(new RingOptions { FileSlots = 1 });
        var slot = await Patient(ring.OpenDirectAsync(path));
        Assert.Equal(0, slot);
        Assert.Equal(-ENFile, await Patient(ring.OpenDirectAsync(path)));
        var fd = await Patient(ring.InstallAsync(slot));
        Assert.True(fd >= 0);
        using (var installed = new SafeFileHandle(fd, ownsHandle: true))
        {
            var buffer = new byte[4];
            Assert.Equal(4, RandomAccess.Read(installed, buffer, 0));
            Assert.Equal("slot"u8, buffer);
        }
        Assert.Equal(0, await Patient(ring.CloseDirectAsync(slot)));
        Assert.Equal(-EBadF, await Patient(ring.CloseDirectAsync(slot)));
        // The slot is free again, and only once.
        Assert.Equal(-ENoEnt, await Patient(ring.OpenDirectAsync(path + ".missing")));
        Assert.Equal(0, await Patient(ring.SocketDirectAsync(2, 1)));
        Assert.Equal(-ENFile, await Patient(ring.SocketDirectAsync(2, 1)));
        Assert.Equal(0, await Patient(ring.CloseDirectAsync(0)));
    }

    [Fact]
    public async Task Pipes_splice_and_tee()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        Assert.SkipUnless(ring.Features.Operations.Contains(IoUringOp.Pipe), "IORING_OP_PIPE needs Linux 6.16.");
        using var source = File.OpenHandle(folder.File("in", "0123456789"u8.ToArray()));
        using var pipe = await RingPipe.CreateAsync(ring);
        using var copy = await RingPipe.CreateAsync(ring);
        Assert.Equal(6, await Patient(ring.SpliceAsync(source, 2, pipe.Writer, -1, 6)));
        Assert.Equal(6, await Patient(ring.TeeAsync(pipe.Reader, copy.Writer, 6)));
        var buffer = new byte[8];
        Assert.Equal(6, await Patient(ring.ReadAsync(copy.Reader, buffer, -1)));
        Assert.Equal("234567"u8, buffer.AsSpan(0, 6));
        Assert.Equal(6, await Patient(ring.ReadAsync(pipe.Reader, buffer, -1)));
    }

    [Fact]
    public async Task Sockets_connect_and_carry_messages_both_ways()
    {
        await using var ring = CreateRing();
        Assert.SkipUnless(ring.Features.Operations.Contains(IoUringOp.Bind), "IORING_OP_BIND needs Linux 6.11.");
        using var folder = new TemporaryFolder();
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "socket"));
        using var listener = await RingSocket.CreateAsync(ring, AddressFamily.Unix, SocketType.Stream);
        Assert.Equal(0, await Patient(listener.BindAsync(address)));
        Assert.Equal(0, await Patient(listener.ListenAsync()));
        using var client = await RingSocket.CreateAsync(ring, AddressFamily.Unix, SocketType.Stream);
        var accepting = listener.AcceptAsync();
        Assert.Equal(0, await Patient(client.ConnectAsync(address)));
        using var server = await Patient(accepting);
        Assert.Equal(5, await Patient(client.SendAsync("hello"u8.ToArray())));
        var buffer = new byte[16];
        Assert.Equal(5, await Patient(server.ReceiveAsync(buffer)));
        Assert.Equal("hello"u8, buffer.AsSpan(0, 5));
        Assert.Equal(6, await Patient(ring.SendMessageAsync(server.Handle, "abc"u8.ToArray(), "def"u8.ToArray())));
        byte[] first = new byte[4], second = new byte[4];
        Assert.Equal(6, await Patient(ring.ReceiveMessageAsync(client.Handle, first, second)));
        Assert.Equal("abcdef"u8, (byte[])[.. first, .. second[..2]]);
        Assert.Equal(0, await Patient(client.ShutdownAsync(SocketShutdown.Send)));
        Assert.Equal(0, await Patient(server.ReceiveAsync(buffer)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_zero_copy_send_gives_what_was_sent_once_its_memory_is_free(bool message)
    {
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(client.Handle, ownsHandle: false))
        {
            var content = new byte[3000];
            Random.Shared.NextBytes(content);
            var completions = ring.Completions;
            Assert.Equal(3000, await Patient(message
                ? ring.SendMessageAsync(handle, content.AsMemory(0, 1000), content.AsMemory(1000), zeroCopy: true)
                : ring.SendZeroCopyAsync(handle, content)));
            // The result and the notification.
            Assert.Equal(2, ring.Completions - completions);
            var received = new byte[3000];
            for (var at = 0; at < received.Length;) at += server.Receive(received.AsSpan(at));
            Assert.Equal(content, received);
        }
    }

    [Fact]
    public async Task A_multishot_receive_fills_provided_buffers_until_there_is_none_and_goes_on_when_they_are_back()
    {
        await using var ring = CreateRing();
        await using var buffers = await ring.CreateBufferRingAsync(4, 16);
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        {
            var content = Enumerable.Range(0, 80).Select(i => (byte)i).ToArray();
            client.Send(content);
            var received = new List<byte>();
            var held = new List<int>();
            await using (var receive = ring.ReceiveMultishot(handle, buffers))
            {
                Shot last = default;
                while (await Patient(receive.NextAsync()) is { } shot)
                {
                    last = shot;
                    if (shot.Result <= 0) continue;
                    received.AddRange(buffers.Take(shot));
                    held.Add(shot.BufferId);
                }
                Assert.Equal((-ENoBufs, -1), (last.Result, last.BufferId));
            }
            Assert.Equal((64, 4), (received.Count, held.Distinct().Count()));
            foreach (var id in held) buffers.Return(id);
            await using var again = ring.ReceiveMultishot(handle, buffers);
            received.AddRange(buffers.Take((await Patient(again.NextAsync()))!.Value));
            Assert.Equal(content, received);
        }
    }

    [Fact]
    public async Task Incremental_buffers_are_filled_piece_by_piece()
    {
        await using var ring = CreateRing();
        BufferRing buffers;
        try
        {
            buffers = await ring.CreateBufferRingAsync(2, 64, incremental: true);
        }
        catch (BpfException refused) when (refused.Code == "UB4515")
        {
            Assert.Skip(refused.Reason);
            throw;
        }
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        await using (buffers)
        {
            await using var receive = ring.ReceiveMultishot(handle, buffers);
            for (var round = 0; round < 3; round++)
            {
                byte[] piece = [(byte)round, 7, 8];
                client.Send(piece);
                var shot = (await Patient(receive.NextAsync()))!.Value;
                Assert.Equal((3, 0), (shot.Result, shot.BufferId));
                Assert.True((shot.Flags & CqeFlags.BufferMore) != 0);
                Assert.Equal(piece, buffers.Take(shot));
            }
        }
    }

    [Fact]
    public async Task Many_connections_come_through_one_accept_and_disposing_it_leaves_nothing_open()
    {
        await using var ring = CreateRing();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(16);
        using var handle = new SafeFileHandle(listener.Handle, ownsHandle: false);
        var clients = new List<Socket>();
        Socket Client()
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)s_patience.TotalMilliseconds };
            client.Connect(listener.LocalEndPoint!);
            clients.Add(client);
            return client;
        }

        var accept = ring.AcceptMultishot(handle);
        for (var i = 0; i < 3; i++)
        {
            Client();
            using var connection = new SafeFileHandle((await Patient(accept.NextAsync()))!.Value.Result, ownsHandle: true);
            Assert.False(connection.IsInvalid);
        }
        var untaken = Client();
        // Its completion has come when a later one has.
        while (ring.Completions < 4) await ring.NopAsync();
        await accept.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal(0, untaken.Receive(new byte[1]));
        Assert.Null(await Patient(accept.NextAsync()));
        foreach (var client in clients) client.Dispose();
    }

    [Fact]
    public async Task Registered_buffers_are_read_into_and_written_from()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("file", "0123456789"u8.ToArray());
        await using var ring = CreateRing();
        await using (var buffers = await ring.RegisterBuffersAsync(2, 4096))
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
            Assert.Equal(4, await Patient(buffers.ReadAsync(file, 1, 100, 4, 2)));
            Assert.Equal("2345"u8, buffers[1].Slice(100, 4));
            Assert.Equal(4, await Patient(buffers.WriteAsync(file, 1, 100, 4, 0)));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await buffers.ReadAsync(file, 1, 4000, 97, 0));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await buffers.ReadAsync(file, 2, 0, 1, 0));
            var error = await Assert.ThrowsAsync<BpfException>(async () => await ring.RegisterBuffersAsync(1, 1));
            Assert.Equal("UB4515", error.Code);
        }
        Assert.StartsWith("2345", File.ReadAllText(path));
        await (await ring.RegisterBuffersAsync(1, 1)).DisposeAsync();
        Assert.Equal("UB4511", (await Assert.ThrowsAsync<BpfException>(async () => await ring.RegisterBuffersAsync(0, 1))).Code);
        Assert.Equal("UB4511", (await Assert.ThrowsAsync<BpfException>(async () => await ring.CreateBufferRingAsync(3, 1))).Code);
    }

    [Fact]
    public async Task Links_keep_their_order_and_break_where_one_fails()
    {
        await using var ring = CreateRing();
        var batch = ring.Batch();
        var good = batch.Add(Prepare.Nop(1).With(SqeFlags.Link));
        var bad = batch.Add(Prepare.Nop(-5).With(SqeFlags.Link));
        var broken = batch.Add(Prepare.Nop(3).With(SqeFlags.Link));
        batch.Submit();
        Assert.Throws<InvalidOperationException>(() => batch.Add(Prepare.Nop()));
        // The last one's link was taken away: what is submitted next does not hang on it.
        var apart = ring.NopAsync(9);
        Assert.Equal(new[] { 1, -5, -ECanceled, 9 }, new[] { await Patient(good), await Patient(bad), await Patient(broken), await Patient(apart) });

        var hard = ring.Batch();
        var fails = hard.Add(Prepare.Nop(-5).With(SqeFlags.HardLink));
        var goesOn = hard.Add(Prepare.Nop(4));
        hard.Submit();
        Assert.Equal(new[] { -5, 4 }, new[] { await Patient(fails), await Patient(goesOn) });
    }

    [Fact]
    public async Task A_link_timeout_cancels_what_takes_too_long()
    {
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        {
            var batch = ring.Batch();
            var poll = batch.Add(Prepare.PollAdd(0, 1).With(SqeFlags.Link), handle);
            var timeout = batch.Add(Timeout(), delay: TimeSpan.FromMilliseconds(5));
            batch.Submit();
            Assert.Equal(new[] { -ECanceled, -ETime }, new[] { await Patient(poll), await Patient(timeout) });
        }

        static unsafe Sqe Timeout() => Prepare.LinkTimeout(null);
    }

    [Fact]
    public async Task One_that_is_cancelled_while_its_batch_waits_breaks_its_link()
    {
        await using var ring = CreateRing(new RingOptions { MaxOperations = 2 });
        using var stop = new CancellationTokenSource();
        using var stopTimer = new CancellationTokenSource();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), stopTimer.Token);
        var batch = ring.Batch();
        var first = batch.Add(Prepare.Nop(1).With(SqeFlags.Link), cancellationToken: stop.Token);
        var second = batch.Add(Prepare.Nop(2));
        batch.Submit();
        await ring.RunOnOwner(() => { });
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, await Patient(first));
        await stopTimer.CancelAsync();
        Assert.Equal(-ECanceled, await Patient(timer));
        Assert.Equal(-ECanceled, await Patient(second));
    }

    [Fact]
    public async Task A_drained_operation_waits_for_those_before_it()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data", "old"u8.ToArray());
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            var target = GC.AllocateArray<byte>(3, pinned: true);
            var batch = ring.Batch();
            var poll = batch.Add(Prepare.PollAdd(0, 1), handle);
            var drained = batch.Add(Read(target).With(SqeFlags.Drain), file);
            batch.Submit();
            // Once the kernel has both, a read that did not wait has seen the old bytes.
            await ring.RunOnOwner(() => ring.Turn(0));
            RandomAccess.Write(file, "new"u8, 0);
            Assert.Equal(1, client.Send("x"u8));
            Assert.Equal(1, await Patient(poll));
            Assert.Equal(3, await Patient(drained));
            Assert.Equal("new"u8, target);
        }

        static unsafe Sqe Read(byte[] target) => Prepare.Read(0, (void*)Marshal.UnsafeAddrOfPinnedArrayElement(target, 0), 3, 0);
    }

    [Fact]
    public async Task Batches_larger_than_the_queue_are_refused_and_full_ones_wait_their_turn()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 8, CompletionEntries = 16, MaxOperations = 8 });
        var large = ring.Batch();
        var results = Enumerable.Range(0, 9).Select(_ => large.Add(Prepare.Nop())).ToArray();
        Assert.Equal("UB4511", Assert.Throws<BpfException>(large.Submit).Code);
        foreach (var result in results) Assert.Equal(-28, await Patient(result));
        var all = new List<Task<int>>();
        for (var round = 0; round < 50; round++)
        {
            all.Add(ring.NopAsync(1).AsTask());
            var batch = ring.Batch();
            for (var i = 0; i < 8; i++) all.Add(batch.Add(Prepare.Nop(1).With(SqeFlags.Link)).AsTask());
            batch.Submit();
        }
        Assert.All(await Task.WhenAll(all).WaitAsync(s_patience), result => Assert.Equal(1, result));
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task Entries_that_could_not_be_awaited_or_would_link_to_strangers_are_refused()
    {
        await using var ring = CreateRing();
        Assert.Throws<ArgumentException>(() => { ring.SubmitAsync(Prepare.Nop().With(SqeFlags.Link)); });
        Assert.Throws<ArgumentException>(() => { ring.SubmitAsync(Prepare.Nop().With(SqeFlags.CqeSkipSuccess)); });
        Assert.Throws<ArgumentException>(() => { ring.Batch().Add(Prepare.Nop().With(SqeFlags.CqeSkipSuccess)); });
        Assert.Equal(11, await Patient(ring.SubmitAsync(Prepare.Nop(11).With(SqeFlags.Async))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_waits_on_a_file_is_cancelled_at_once_or_by_an_operation(bool synchronous)
    {
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        {
            var waiting = Enumerable.Range(0, 3).Select(_ => ring.PollAsync(handle, 1).AsTask()).ToArray();
            var found = await Patient(synchronous ? ring.CancelFileAndWaitAsync(handle, TimeSpan.FromSeconds(5)) : ring.CancelFileAsync(handle));
            Assert.Equal(synchronous ? 0 : 3, found);
            Assert.All(await Task.WhenAll(waiting).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result));
            Assert.Equal(0, await Patient(ring.CancelFileAsync(handle)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cancel_reaches_what_was_started_in_the_same_turn(bool withoutSlots)
    {
        await using var ring = CreateRing(new RingOptions { MaxOperations = withoutSlots ? 2 : 64 });
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        using (var gate = new ManualResetEventSlim())
        {
            // While the owner is held up, everything below gathers for its next turn.
            ring.Post(new DelegateCommand(_ => gate.Wait(s_patience), null));
            var waiting = Enumerable.Range(0, 5).Select(_ => ring.PollAsync(handle, 1).AsTask()).ToArray();
            var cancelled = ring.CancelFileAndWaitAsync(handle, TimeSpan.FromSeconds(5));
            gate.Set();
            Assert.Equal(0, await Patient(cancelled));
            Assert.All(await Task.WhenAll(waiting).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result));
        }
    }

    [Fact]
    public async Task Polls_complete_once_or_each_time()
    {
        const uint readable = 1;
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var handle = new SafeFileHandle(server.Handle, ownsHandle: false))
        {
            await using var poll = ring.PollMultishot(handle, readable);
            var once = ring.PollAsync(handle, readable);
            client.Send("x"u8);
            Assert.Equal(1, await Patient(once) & 1);
            for (var round = 0; round < 3; round++)
            {
                Assert.Equal(1, (await Patient(poll.NextAsync()))!.Value.Result & 1);
                server.Receive(new byte[1]);
                client.Send("x"u8);
            }
        }
    }

    [Fact]
    public async Task Futexes_wake_their_waiters()
    {
        const int again = 11;
        await using var ring = CreateRing();
        Assert.SkipUnless(ring.Features.Operations.Contains(IoUringOp.FutexWaitV), "IORING_OP_FUTEX_* need Linux 6.7.");
        var words = GC.AllocateArray<uint>(2, pinned: true);
        Assert.Equal(-again, await Patient(Wait(ring, words, 5)));
        var one = Wait(ring, words, 0);
        Assert.Equal(1, await Woken(ring, words));
        Assert.Equal(0, await Patient(one));
        var any = ring.FutexWaitAnyAsync(Waiters(words));
        Assert.Equal(1, await Woken(ring, words));
        Assert.Equal(0, await Patient(any));

        static unsafe ValueTask<int> Wait(Ring ring, uint[] words, uint value)
        {
            fixed (uint* word = words) return ring.FutexWaitAsync(word, value);
        }

        static async Task<int> Woken(Ring ring, uint[] words)
        {
            int woken;
            while ((woken = await Patient(Wake(ring, words))) == 0) await Task.Delay(1);
            return woken;
        }

        static unsafe ValueTask<int> Wake(Ring ring, uint[] words)
        {
            fixed (uint* word = words) return ring.FutexWakeAsync(word, 1);
        }

        static unsafe FutexWaiter[] Waiters(uint[] words)
        {
            fixed (uint* word = words) return [new FutexWaiter(0, (ulong)word, 2 | 128, 0), new FutexWaiter(0, (ulong)(word + 1), 2 | 128, 0)];
        }
    }

    [Fact]
    public async Task A_child_that_ends_is_waited_for()
    {
        const int exited = 4, leaveWaitable = 0x01000000;
        await using var ring = CreateRing();
        Assert.SkipUnless(ring.Features.Operations.Contains(IoUringOp.WaitId), "IORING_OP_WAITID needs Linux 6.7.");
        // Not a Process: the runtime would collect it, and might be first.
        Assert.Equal(0, posix_spawnp(out var child, "sleep", 0, 0, ["sleep", "1000", null], [null]));
        var information = new byte[128];
        var looked = ring.WaitIdAsync(child, information, exited | leaveWaitable);
        await ring.NopAsync();
        Assert.False(looked.IsCompleted);
        Assert.Equal(0, kill(child, 9));
        Assert.Equal(0, await Patient(looked));
        // si_pid.
        Assert.Equal(child, BitConverter.ToInt32(information, 16));
        Assert.Equal(0, await Patient(ring.WaitIdAsync(child, information, exited)));
        // It was collected.
        Assert.Equal(-10, await Patient(ring.WaitIdAsync(child, information, exited)));

        [DllImport("libc")]
        static extern int posix_spawnp(out int child, string file, nint actions, nint attributes, string?[] arguments, string?[] environment);

        [DllImport("libc")]
        static extern int kill(int process, int signal);
    }

    [Fact]
    public async Task Steady_operations_allocate_nothing_on_the_ring_s_thread()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("file", new byte[4096]), FileMode.Open, FileAccess.ReadWrite);
        await using var ring = CreateRing();
        var (client, server) = Connected();
        using (client)
        using (server)
        using (var sender = new SafeFileHandle(client.Handle, ownsHandle: false))
        using (var receiver = new SafeFileHandle(server.Handle, ownsHandle: false))
        {
            var buffer = new byte[64];
            async Task Round()
            {
                for (var i = 0; i < 50; i++)
                {
                    await ring.WriteAsync(file, buffer, 0);
                    await ring.ReadAsync(file, buffer, 0);
                    await ring.SendAsync(sender, buffer);
                    await ring.ReceiveAsync(receiver, buffer);
                    await ring.SendZeroCopyAsync(sender, buffer);
                    await ring.ReceiveAsync(receiver, buffer);
                    await ring.PollAsync(sender, 4);
                    await ring.FSyncAsync(file);
                    await ring.RenameAsync("/no/such", "/nor/this");
                }
            }

            // 450 operations: the two commands that ask, and segments of queues that grow, are all there may be.
            Assert.InRange(await SteadyState.BytesOnOwner(ring, Round), 0, 1024);
        }
    }

    private static (Socket Client, Socket Server) Connected()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(listener.LocalEndPoint!);
        return (client, listener.Accept());
    }
}
