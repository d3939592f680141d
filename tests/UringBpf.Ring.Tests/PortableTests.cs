using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What is the portable back end's own: waiting without a thread per operation, and a system without Linux's calls.</summary>
public sealed class PortableTests
{
    private const int EInval = 22, EOpNotSupp = 95, ECanceled = 125, EBadF = 9;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task What_waits_for_a_peer_takes_no_pool_thread_and_can_be_cancelled()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndpoint);
        using var server = listener.AcceptSocket();
        using var file = new SafeFileHandle(server.Handle, ownsHandle: false);
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable });
        using var stop = new CancellationTokenSource();
        // More reads than the pool has threads: they wait together, and a file is still read meanwhile.
        var waiting = Enumerable.Range(0, 200).Select(_ => ring.ReadAsync(file, new byte[10], -1, stop.Token).AsTask()).ToArray();
        using var folder = new TemporaryFolder();
        using var disk = File.OpenHandle(folder.File("data", [1, 2, 3]));
        Assert.Equal(3, await ring.ReadAsync(disk, new byte[10], 0).AsTask().WaitAsync(s_patience));
        client.Send("0123456789"u8);
        Assert.Equal(10, await (await Task.WhenAny(waiting)).WaitAsync(s_patience));
        await stop.CancelAsync();
        var results = await Task.WhenAll(waiting).WaitAsync(s_patience);
        Assert.Equal(199, results.Count(result => result == -ECanceled));
    }

    [Fact]
    public async Task A_socket_is_as_its_owner_set_it_while_it_connects_and_afterwards()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        // One connection waits to be accepted; who comes after it gets no answer until then.
        listener.Start(0);
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable });
        var sockets = Enumerable.Range(0, 4).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)).ToArray();
        try
        {
            using var stop = new CancellationTokenSource();
            var connecting = sockets.Select((socket, i) => ring.ConnectAsync(socket.SafeHandle, listener.LocalEndpoint, i == 3 ? stop.Token : default).AsTask()).ToArray();
            await ring.NopAsync().AsTask().WaitAsync(s_patience);
            Assert.False(connecting[3].IsCompleted);
            Assert.All(sockets, socket => Assert.False(PosixCalls.IsNonBlocking((int)socket.Handle)));
            await stop.CancelAsync();
            Assert.Equal(-ECanceled, await connecting[3].WaitAsync(s_patience));
            using var accepted = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
            using var next = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, await (await Task.WhenAny(connecting[..3])).WaitAsync(s_patience));
            Assert.All(sockets, socket => Assert.False(PosixCalls.IsNonBlocking((int)socket.Handle)));
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Assert.Equal(0, await ring.ConnectAsync(datagrams.SafeHandle, new IPEndPoint(IPAddress.Loopback, 9)).AsTask().WaitAsync(s_patience));
        Assert.False(PosixCalls.IsNonBlocking((int)datagrams.Handle));
        // Nobody listens there.
        using var refused = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Assert.Equal(-111, await ring.ConnectAsync(refused.SafeHandle, new IPEndPoint(IPAddress.Loopback, 9)).AsTask().WaitAsync(s_patience));
        Assert.False(PosixCalls.IsNonBlocking((int)refused.Handle));
        // One that was set not to wait does not.
        using var eager = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        using var open = new TcpListener(IPAddress.Loopback, 0);
        open.Start();
        Assert.Contains(await ring.ConnectAsync(eager.SafeHandle, open.LocalEndpoint).AsTask().WaitAsync(s_patience), (int[])[0, -115]);
        Assert.True(PosixCalls.IsNonBlocking((int)eager.Handle));
    }

    [Fact]
    public async Task A_granted_file_stays_open_until_it_is_detached()
    {
        using var folder = new TemporaryFolder();
        var file = File.OpenHandle(folder.File("data", new byte[64]));
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable });
        await using var link = ring.Attach(Compile("buffers"), new Grants { Files = [file], Buffers = [4096] });
        file.Dispose();
        Assert.Equal(Verdict.Pass, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(64UL, Assert.Single(Emissions(link)).UserData);
    }

    [Fact]
    public void Operations_that_it_does_not_have_are_refused()
    {
        using var backend = new PortableBackend(8, 8, null);
        Assert.Equal(-EOpNotSupp, Run(backend, new Sqe { Opcode = IoUringOp.UringCmd }));
        Assert.Equal(-EOpNotSupp, Run(backend, new Sqe { Opcode = IoUringOp.Nop, Flags = SqeFlags.BufferSelect }));
        Assert.Equal(-EInval, Run(backend, new Sqe { Opcode = IoUringOp.Nop, OpFlags = 0x100 }));
        Assert.Equal(-EBadF, Run(backend, new Sqe { Opcode = IoUringOp.Read, Flags = SqeFlags.FixedFile, Fd = 3 }));
    }

    [Fact]
    public unsafe void A_system_without_Linuxs_calls_reads_writes_and_syncs_what_the_host_opened()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", "0123456789"u8.ToArray()), FileMode.Open, FileAccess.ReadWrite);
        using var backend = new PortableBackend(8, 8, null, new ManagedSystem());
        Assert.Equal(0, backend.CreateFileTable(4));
        Assert.Equal(0, backend.SetFile(2, (int)file.DangerousGetHandle()));
        var memory = stackalloc byte[16];
        var onFile = new Sqe { Flags = SqeFlags.FixedFile, Fd = 2, Address = (ulong)memory };
        Assert.Equal(4, Run(backend, onFile with { Opcode = IoUringOp.Read, Length = 4, Offset = 3 }));
        Assert.Equal("3456"u8, new ReadOnlySpan<byte>(memory, 4));
        Assert.Equal(2, Run(backend, onFile with { Opcode = IoUringOp.Write, Length = 2, Offset = 0 }));
        Assert.Equal(0, Run(backend, onFile with { Opcode = IoUringOp.FSync }));
        Assert.Equal(2, Run(backend, onFile with { Opcode = IoUringOp.Read, Length = 16, Offset = 8 }));
        // There is no position, and nothing opens a path.
        Assert.Equal(-EOpNotSupp, Run(backend, onFile with { Opcode = IoUringOp.Read, Length = 4, Offset = ulong.MaxValue }));
        Assert.Equal(-EOpNotSupp, Run(backend, new Sqe { Opcode = IoUringOp.OpenAt2 }));
        Assert.Equal(-EOpNotSupp, backend.OpenDirectory(folder.Path));
        Assert.Equal(0, Run(backend, new Sqe { Opcode = IoUringOp.Close, FileIndex = 3 }));
        Assert.Equal(-EBadF, Run(backend, onFile with { Opcode = IoUringOp.FSync }));
        Assert.Equal("3423456789"u8, File.ReadAllBytes(Path.Combine(folder.Path, "data")));
    }

    [Fact]
    public async Task Where_a_slot_only_names_the_host_s_file_it_stays_open_as_long()
    {
        using var folder = new TemporaryFolder();
        var file = File.OpenHandle(folder.File("data", "0123456789"u8.ToArray()));
        await using var ring = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable, System = new ManagedSystem() });
        await using (var hook = ring.Attach(Compile("stop"), new Grants { Files = [file], Buffers = [64] }))
        {
            file.Dispose();
            Assert.False(file.IsClosed);
            Assert.Equal(10, (await hook.StartAsync(UringOp.Read(0, 0, 64, 0)).AsTask().WaitAsync(s_patience)).Result);
        }
        Assert.True(file.IsClosed);
    }

    [Fact]
    public unsafe void A_timer_waits_for_its_time()
    {
        using var backend = new PortableBackend(8, 8, null, new ManagedSystem());
        var time = new IoUring.Timespec { Nanoseconds = 20_000_000 };
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(-62, Run(backend, new Sqe { Opcode = IoUringOp.Timeout, Address = (ulong)&time, Length = 1 }));
        // The lower bound is what a timer promises.
        Assert.True(clock.ElapsedMilliseconds >= 19);
    }

    private static unsafe int Run(RingBackend backend, Sqe entry)
    {
        *backend.NextSqe() = entry;
        while (!backend.HasCompletion) Assert.True(backend.Enter(1) >= 0);
        var result = backend.Completion(backend.CompletionHead)->Result;
        backend.CompletionHead++;
        return result;
    }
}
