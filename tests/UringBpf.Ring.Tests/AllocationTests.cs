using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>
/// No operation of the kernel back end allocates managed memory once the pools are filled: not on the ring's side and not on the caller's. On a
/// ring that the test drives, so that all of it is on one thread, where it is counted.
/// </summary>
public sealed unsafe class AllocationTests() : OnBackend(RingBackendKind.Kernel)
{
    private const int Rounds = 4, Operations = 200, ETime = 62, ECanceled = 125;

    /// <summary>What operations work on.</summary>
    private sealed class World : IDisposable
    {
        public required Ring Ring;
        public readonly TemporaryFolder Folder = new();
        public readonly byte[] Buffer = new byte[512], Other = new byte[512];
        public readonly int[] Ends = new int[2];
        public readonly FutexWaiter[] Futexes = new FutexWaiter[1];
        public readonly uint* Word = (uint*)NativeMemory.AllocZeroed(8);
        public readonly CancellationTokenSource[] Stops = new CancellationTokenSource[Rounds * Operations];
        public int NextStop;
        public readonly string Path, NewPath, FolderPath;
        public readonly SafeFileHandle File, Listener, Sender, Receiver, Datagram, PipeIn, PipeOut, OtherPipeIn, OtherPipeOut, Epoll, Root, Local, LocalDatagram;
        public readonly UnixDomainSocketEndPoint LocalAddress;
        public readonly int OtherRing;
        private RingBatch? _batch;
        public readonly IPEndPoint Address, ListenerAddress;
        public readonly byte* NativeAddress = (byte*)NativeMemory.AllocZeroed(16);
        public RegisteredBuffers? Registered;
        public BufferRing? Provided;
        public Multishot? Polls, Receives, Accepts, Reads;
        public HookLink? Rearms, Hangs, Relays, Opens;
        public PolicyLink? Given;
        public static readonly byte[] One = BitConverter.GetBytes(1UL), Three = BitConverter.GetBytes(3UL);
        private readonly List<IDisposable> _owned = [];

        public World()
        {
            Path = Folder.File("file", new byte[4096]);
            NewPath = Path + ".new";
            FolderPath = Path + ".folder";
            File = Own(System.IO.File.OpenHandle(Path, FileMode.Open, FileAccess.ReadWrite));
            var listener = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(64);
            ListenerAddress = (IPEndPoint)listener.LocalEndPoint!;
            var client = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
            client.Connect(ListenerAddress);
            var server = Own(listener.Accept());
            var datagram = Own(new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
            datagram.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Address = (IPEndPoint)datagram.LocalEndPoint!;
            (Listener, Sender, Receiver, Datagram) = (Handle(listener.Handle), Handle(client.Handle), Handle(server.Handle), Handle(datagram.Handle));
            Local = Handle(Own(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)).Handle);
            var local = Own(new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified));
            LocalAddress = new UnixDomainSocketEndPoint(Path + ".socket");
            local.Bind(LocalAddress);
            LocalDatagram = Handle(local.Handle);
            IoUring.Params parameters = default;
            OtherRing = IoUring.Setup(4, &parameters);
            (PipeIn, PipeOut) = NewPipe();
            (OtherPipeIn, OtherPipeOut) = NewPipe();
            Epoll = Own(new SafeFileHandle(epoll_create1(0), ownsHandle: true));
            Root = Own(new SafeFileHandle(open(Folder.Path, 0x10000), ownsHandle: true));
            var serialized = ListenerAddress.Serialize();
            serialized.Buffer.Span[..16].CopyTo(new Span<byte>(NativeAddress, 16));
            for (var i = 0; i < Stops.Length; i++)
            {
                Stops[i] = Own(new CancellationTokenSource());
                // The runtime keeps a registration for the next one.
                Stops[i].Token.UnsafeRegister(static _ => { }, null).Dispose();
            }
        }

        private T Own<T>(T one) where T : IDisposable
        {
            _owned.Add(one);
            return one;
        }

        private SafeFileHandle Handle(nint descriptor) => Own(new SafeFileHandle(descriptor, ownsHandle: false));

        private (SafeFileHandle, SafeFileHandle) NewPipe()
        {
            Assert.Equal(0, pipe(Ends));
            return (Own(new SafeFileHandle(Ends[0], ownsHandle: true)), Own(new SafeFileHandle(Ends[1], ownsHandle: true)));
        }

        public T Do<T>(ValueTask<T> operation)
        {
            while (!operation.IsCompleted) Ring.RunOnce(TimeSpan.FromMilliseconds(1));
            return operation.GetAwaiter().GetResult();
        }

        /// <summary>A batch that is kept.</summary>
        public RingBatch EmptyBatch()
        {
            _batch ??= Ring.Batch();
            _batch.Reset();
            return _batch;
        }

        /// <summary>Starts an operation that goes on, and cancels it by its token.</summary>
        public T Cancelled<T>(Func<World, CancellationToken, ValueTask<T>> start)
        {
            var stop = Stops[NextStop++ % Stops.Length];
            var operation = start(this, stop.Token);
            Ring.RunOnce(TimeSpan.Zero);
            stop.Cancel();
            return Do(operation);
        }

        public void Dispose()
        {
            foreach (var one in _owned) one.Dispose();
            if (OtherRing >= 0) IoUring.Close(OtherRing);
            NativeMemory.Free(Word);
            NativeMemory.Free(NativeAddress);
            Folder.Dispose();
        }

        [DllImport("libc")] private static extern int pipe(int[] ends);
        [DllImport("libc")] private static extern int epoll_create1(int flags);
        [DllImport("libc")] private static extern int open(string path, int flags);
    }

    private static readonly UnixDomainSocketEndPoint s_nobody = new("/nobody/listens/here");

    // Each does the same again when called again; what it gives is that it did.
    private static readonly Dictionary<string, Func<World, bool>> s_families = new()
    {
        ["nop"] = w => w.Do(w.Ring.NopAsync()) == 0,
        ["entry"] = w => w.Do(w.Ring.SubmitAsync(Prepare.Nop(5))) == 5,
        ["read, write"] = w => w.Do(w.Ring.WriteAsync(w.File, w.Buffer, 0)) == 512 && w.Do(w.Ring.ReadAsync(w.File, w.Buffer, 0)) == 512,
        ["readv, writev"] = w => w.Do(w.Ring.WriteVAsync(w.File, w.Buffer, w.Other, 0)) == 1024 && w.Do(w.Ring.ReadVAsync(w.File, w.Buffer, w.Other, 0)) == 1024,
        ["fixed buffers"] = w => w.Do(w.Registered!.WriteAsync(w.File, 1, 0, 64, 0)) == 64 && w.Do(w.Registered.ReadAsync(w.File, 1, 0, 64, 0)) == 64,
        ["fsync, sync_file_range"] = w => w.Do(w.Ring.FSyncAsync(w.File)) == 0 && w.Do(w.Ring.FSyncAsync(w.File, true)) == 0 && w.Do(w.Ring.SyncFileRangeAsync(w.File, 0, 512, 0)) == 0,
        ["fallocate, ftruncate, fadvise"] = w => w.Do(w.Ring.FAllocateAsync(w.File, 0, 4096)) == 0 && w.Do(w.Ring.FTruncateAsync(w.File, 4096)) == 0 && w.Do(w.Ring.FAdviseAsync(w.File, 0, 512, 0)) == 0,
        // -EINVAL: no page begins there.
        ["madvise"] = w => w.Do(w.Ring.MAdviseAsync((byte*)w.Word + 1, 1, 0)) == -22,
        ["openat, close"] = w => w.Do(w.Ring.CloseAsync(w.Do(w.Ring.OpenAsync(w.Path)))) == 0,
        ["openat2"] = w => w.Do(w.Ring.CloseAsync(w.Do(w.Ring.OpenAt2Async(w.Root, "file")))) == 0,
        ["direct descriptors"] = w =>
        {
            var slot = w.Do(w.Ring.OpenDirectAsync(w.Path));
            return w.Do(w.Ring.CloseAsync(w.Do(w.Ring.InstallAsync(slot)))) == 0 && w.Do(w.Ring.CloseDirectAsync(slot)) == 0;
        },
        ["statx"] = w => w.Do(w.Ring.StatXAsync(w.Path, w.Buffer)) == 0,
        ["renameat"] = w => w.Do(w.Ring.RenameAsync(w.Path, w.NewPath)) == 0 && w.Do(w.Ring.RenameAsync(w.NewPath, w.Path)) == 0,
        ["linkat, symlinkat, unlinkat"] = w => w.Do(w.Ring.LinkAsync(w.Path, w.NewPath)) == 0 && w.Do(w.Ring.UnlinkAsync(w.NewPath)) == 0
            && w.Do(w.Ring.SymlinkAsync(w.Path, w.NewPath)) == 0 && w.Do(w.Ring.UnlinkAsync(w.NewPath)) == 0,
        ["mkdirat"] = w => w.Do(w.Ring.MkdirAsync(w.FolderPath)) == 0 && w.Do(w.Ring.UnlinkAsync(w.FolderPath, directory: true)) == 0,
        // Which file systems have them is theirs to say.
        ["xattr"] = w => w.Do(w.Ring.SetXAttrAsync(w.Path, "user.one", w.Buffer)) is 0 or -95 && w.Do(w.Ring.GetXAttrAsync(w.Path, "user.one", w.Buffer)) is 512 or -95 or -61
            && w.Do(w.Ring.FSetXAttrAsync(w.File, "user.two", w.Buffer)) is 0 or -95 && w.Do(w.Ring.FGetXAttrAsync(w.File, "user.two", w.Buffer)) is 512 or -95 or -61,
        ["pipe"] = w => w.Do(w.Ring.PipeAsync(w.Ends)) == 0 && w.Do(w.Ring.CloseAsync(w.Ends[0])) == 0 && w.Do(w.Ring.CloseAsync(w.Ends[1])) == 0,
        ["splice, tee"] = w => w.Do(w.Ring.SpliceAsync(w.File, 0, w.PipeOut, -1, 512)) == 512 && w.Do(w.Ring.TeeAsync(w.PipeIn, w.OtherPipeOut, 512)) == 512
            && w.Do(w.Ring.ReadAsync(w.PipeIn, w.Buffer, -1)) == 512 && w.Do(w.Ring.ReadAsync(w.OtherPipeIn, w.Buffer, -1)) == 512,
        ["socket"] = w => w.Do(w.Ring.CloseAsync(w.Do(w.Ring.SocketAsync(2, 1)))) == 0 && w.Do(w.Ring.CloseDirectAsync(w.Do(w.Ring.SocketDirectAsync(2, 1)))) == 0,
        // The socket has an address already.
        ["bind, listen"] = w => w.Do(w.Ring.BindAsync(w.Datagram, w.Address)) == -22 && w.Do(w.Ring.ListenAsync(w.Listener)) == 0,
        ["accept, connect"] = w =>
        {
            var client = w.Do(w.Ring.SocketAsync(2, 1));
            var connected = w.Do(w.Ring.SubmitAsync(Prepare.Connect(client, w.NativeAddress, 16)));
            var server = w.Do(w.Ring.AcceptAsync(w.Listener));
            return connected == 0 && w.Do(w.Ring.CloseAsync(client)) == 0 && w.Do(w.Ring.CloseAsync(server)) == 0;
        },
        ["connect"] = w => w.Do(w.Ring.ConnectAsync(w.Datagram, w.Address)) == 0,
        ["send, recv"] = w => w.Do(w.Ring.SendAsync(w.Sender, w.Buffer)) == 512 && w.Do(w.Ring.ReceiveAsync(w.Receiver, w.Buffer)) == 512,
        ["sendto"] = w => w.Do(w.Ring.SendToAsync(w.Datagram, w.Buffer, w.Address)) == 512 && w.Do(w.Ring.ReceiveAsync(w.Datagram, w.Other)) == 512,
        ["sendmsg, recvmsg"] = w => w.Do(w.Ring.SendMessageAsync(w.Datagram, w.Buffer, w.Other, w.Address)) == 1024 && w.Do(w.Ring.ReceiveMessageAsync(w.Datagram, w.Buffer, w.Other)) == 1024,
        // Datagrams: a stream's memory is free when the peer has acknowledged it, which takes its time.
        ["zero copy"] = w => w.Do(w.Ring.ConnectAsync(w.Datagram, w.Address)) == 0
            && w.Do(w.Ring.SendZeroCopyAsync(w.Datagram, w.Buffer)) == 512 && w.Do(w.Ring.ReceiveAsync(w.Datagram, w.Buffer)) == 512
            && w.Do(w.Ring.SendMessageAsync(w.Datagram, w.Buffer, w.Other, w.Address, zeroCopy: true)) == 1024 && w.Do(w.Ring.ReceiveMessageAsync(w.Datagram, w.Buffer, w.Other)) == 1024,
        ["shutdown"] = w => w.Do(w.Ring.ShutdownAsync(w.Datagram, SocketShutdown.Send)) is 0 or -107,
        ["timeout"] = w => w.Do(w.Ring.TimeoutAsync(TimeSpan.FromTicks(10))) == -ETime,
        ["poll"] = w => w.Do(w.Ring.PollAsync(w.Sender, 4)) == 4,
        ["cancel by token"] = w => w.Cancelled(static (world, stop) => world.Ring.TimeoutAsync(TimeSpan.FromHours(1), stop)) == -ECanceled,
        ["cancel by file"] = w =>
        {
            var poll = w.Ring.PollAsync(w.PipeIn, 1);
            return w.Do(w.Ring.CancelFileAsync(w.PipeIn)) == 1 && w.Do(poll) == -ECanceled;
        },
        ["futex"] = w =>
        {
            var wait = w.Ring.FutexWaitAsync(w.Word, 0);
            w.Ring.RunOnce(TimeSpan.Zero);
            return w.Do(w.Ring.FutexWakeAsync(w.Word, 1)) == 1 && w.Do(wait) == 0;
        },
        ["futex, any"] = w =>
        {
            w.Futexes[0] = new FutexWaiter(1, (ulong)w.Word, 2, 0);
            return w.Do(w.Ring.FutexWaitAnyAsync(w.Futexes)) == -11;
        },
        // No child has that number.
        ["waitid"] = w => w.Do(w.Ring.WaitIdAsync(int.MaxValue, w.Buffer)) == -10,
        ["epoll_ctl"] = w => w.Do(w.Ring.EpollControlAsync(w.Epoll, 1, (int)w.PipeIn.DangerousGetHandle(), 1, 0)) == 0
            && w.Do(w.Ring.EpollControlAsync(w.Epoll, 2, (int)w.PipeIn.DangerousGetHandle(), 0, 0)) == 0,
        ["poll, multishot"] = w =>
        {
            w.Polls ??= w.Ring.PollMultishot(w.PipeIn, 1);
            return w.Do(w.Ring.WriteAsync(w.PipeOut, w.Buffer, -1)) == 512 && w.Do(w.Polls.NextAsync()) is { Result: 1 } && w.Do(w.Ring.ReadAsync(w.PipeIn, w.Buffer, -1)) == 512;
        },
        ["recv, multishot, provided buffers"] = w =>
        {
            w.Receives ??= w.Ring.ReceiveMultishot(w.Receiver, w.Provided!);
            if (w.Do(w.Ring.SendAsync(w.Sender, w.Buffer)) != 512 || w.Do(w.Receives.NextAsync()) is not { Result: 512 } shot) return false;
            w.Provided!.Return(shot.BufferId);
            return true;
        },
        ["accept, multishot"] = w =>
        {
            w.Accepts ??= w.Ring.AcceptMultishot(w.Listener);
            var client = w.Do(w.Ring.SocketAsync(2, 1));
            return w.Do(w.Ring.SubmitAsync(Prepare.Connect(client, w.NativeAddress, 16))) == 0 && w.Do(w.Accepts.NextAsync()) is { Result: > 0 } shot
                && w.Do(w.Ring.CloseAsync(client)) == 0 && w.Do(w.Ring.CloseAsync(shot.Result)) == 0;
        },
        ["read, multishot, provided buffers"] = w =>
        {
            w.Reads ??= w.Ring.ReadMultishot(w.PipeIn, w.Provided!);
            if (w.Do(w.Ring.WriteAsync(w.PipeOut, w.Buffer, -1)) != 512 || w.Do(w.Reads.NextAsync()) is not { Result: 512 } shot) return false;
            w.Provided!.Return(shot.BufferId);
            return true;
        },
        ["chain"] = w => w.Do(w.Rearms!.StartAsync(UringOp.Nop(), World.Three)) is { Verdict: Verdict.Pass, Steps: 4 },
        ["chain that opens a file"] = w => w.Do(w.Opens!.StartAsync(UringOp.OpenAt(UringOp.NoDirectory, 0, 0))) is { Verdict: Verdict.Pass } && w.Opens.TryReadEmission(out _),
        ["chain, judged"] = w => w.Do(w.Rearms!.StartAsync(UringOp.Nop(), World.Three, w.Given!)) is { Verdict: Verdict.Pass, Steps: 4 },
        ["entry, judged"] = w => w.Do(w.Ring.SubmitAsync(Prepare.Nop(5), w.Given!)) == 5,
        ["entry, refused"] = w => w.Do(w.Ring.SubmitAsync(Prepare.FSync(-1), w.Given!)) == -13,
        ["message to a hook"] = w =>
        {
            if (w.Do(w.Relays!.StartAsync(UringOp.Nop(), World.One)) is not { Verdict: Verdict.Pass }) return false;
            Emission emission;
            while (!w.Relays.TryReadEmission(out emission)) w.Ring.RunOnce(TimeSpan.FromMilliseconds(1));
            return emission.UserData == 1;
        },
        ["batch"] = w =>
        {
            var batch = w.EmptyBatch();
            var (first, second) = (batch.Add(Prepare.Nop(1).With(SqeFlags.Link)), batch.Add(Prepare.Nop(2)));
            batch.Submit();
            return w.Do(first) == 1 && w.Do(second) == 2;
        },
        ["batch, drained"] = w =>
        {
            var batch = w.EmptyBatch();
            var (first, second, third) = (batch.Add(Prepare.Nop(1)), batch.Add(Prepare.Nop(2).With(SqeFlags.Drain | SqeFlags.Link)), batch.Add(Prepare.Nop(3)));
            batch.Submit();
            return w.Do(first) == 1 && w.Do(second) == 2 && w.Do(third) == 3;
        },
        ["batch with a link's timer"] = w =>
        {
            var batch = w.EmptyBatch();
            var poll = batch.Add(Prepare.PollAdd(-1, 1).With(SqeFlags.Link), w.PipeIn);
            var timer = batch.Add(Prepare.LinkTimeout(null), delay: TimeSpan.FromTicks(10));
            batch.Submit();
            return w.Do(poll) == -ECanceled && w.Do(timer) is -ETime or -ECanceled;
        },
        ["batch of operations and chains"] = w =>
        {
            var batch = w.EmptyBatch();
            var first = batch.Add(Prepare.Nop(1).With(SqeFlags.Link));
            var chain = batch.Add(w.Rearms!, UringOp.Nop(), SqeFlags.Link, World.Three);
            var (second, third) = (batch.Add(Prepare.Nop(2).With(SqeFlags.Link)), batch.Add(Prepare.Nop(3)));
            var free = batch.Add(w.Rearms!, UringOp.Nop(), SqeFlags.Drain, World.One);
            batch.Submit();
            return w.Do(first) == 1 && w.Do(chain) is { Verdict: Verdict.Pass } && w.Do(second) == 2 && w.Do(third) == 3 && w.Do(free) is { Verdict: Verdict.Pass };
        },
        // What follows the one that fails never starts.
        ["batch that breaks"] = w =>
        {
            var batch = w.EmptyBatch();
            var first = batch.Add(Prepare.Nop(-5).With(SqeFlags.Link));
            var chain = batch.Add(w.Rearms!, UringOp.Nop(), SqeFlags.Link, World.Three);
            var last = batch.Add(Prepare.Nop(3));
            batch.Submit();
            return w.Do(first) == -5 && w.Do(chain) is { Verdict: -ECanceled } && w.Do(last) == -ECanceled;
        },
        ["connect to a path"] = w => w.Do(w.Ring.ConnectAsync(w.Local, s_nobody)) == -2,
        // The socket has an address already.
        ["bind to a path"] = w => w.Do(w.Ring.BindAsync(w.LocalDatagram, w.LocalAddress)) is -22 or -98,
        ["sendto, sendmsg, to a path"] = w => w.Do(w.Ring.SendToAsync(w.LocalDatagram, w.Buffer, w.LocalAddress)) == 512 && w.Do(w.Ring.ReceiveAsync(w.LocalDatagram, w.Other)) == 512
            && w.Do(w.Ring.SendMessageAsync(w.LocalDatagram, w.Buffer, w.Other, w.LocalAddress)) == 1024 && w.Do(w.Ring.ReceiveMessageAsync(w.LocalDatagram, w.Buffer, w.Other)) == 1024,
        // Nobody takes them from there: the other ring is full in the end.
        ["msg_ring"] = w => w.Do(w.Ring.SubmitAsync(Prepare.MessageRing(w.OtherRing, 1, 2))) is 0 or -75,
        ["cancel by file, and wait"] = w =>
        {
            var poll = w.Ring.PollAsync(w.PipeIn, 1);
            var cancelled = w.Ring.CancelFileAndWaitAsync(w.PipeIn, TimeSpan.FromSeconds(1));
            return w.Do(cancelled) == 0 && w.Do(poll) == -ECanceled;
        },
        ["chain, cancelled"] = w => w.Cancelled(static (world, stop) => world.Hangs!.StartAsync(UringOp.Nop(), World.Three, stop)) is { Verdict: -ECanceled },
    };

    // What is made for each use by its nature, and how many bytes that is at most: objects that the host asks for and keeps or not.
    private static readonly Dictionary<string, (Func<World, bool> Operation, int Bytes)> s_allocating = new()
    {
        ["a new batch each time"] = (static w =>
        {
            var batch = w.Ring.Batch();
            var (first, second) = (batch.Add(Prepare.Nop(1).With(SqeFlags.Link)), batch.Add(Prepare.Nop(2)));
            batch.Submit();
            return w.Do(first) == 1 && w.Do(second) == 2;
        }, 250),
        ["a multishot operation each time"] = (static w =>
        {
            var shots = w.Ring.StartMultishot(Prepare.Nop(3));
            return w.Do(shots.NextAsync()) is { Result: 3 } && w.Do(shots.NextAsync()) == null;
        }, 600),
    };

    public static TheoryData<string> Families => [.. s_families.Keys];

    public static TheoryData<string> Allocating => [.. s_allocating.Keys];

    [Theory]
    [MemberData(nameof(Allocating))]
    public void What_else_allocates_is_known(string family)
    {
        var (operation, bytes) = s_allocating[family];
        Assert.InRange(Measure(operation) / Operations, 1, bytes);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Steady_operations_allocate_nothing(string family) => Assert.Equal(0, Measure(s_families[family]));

    // Managed bytes of so many operations.
    private long Measure(Func<World, bool> operation)
    {
        var ring = CreateRing(null, Ring.CreateDriven);
        using var world = new World { Ring = ring };
        world.Registered = world.Do(ring.RegisterBuffersAsync(2, 4096));
        world.Provided = world.Do(ring.CreateBufferRingAsync(8, 1024));
        world.Rearms = ring.Attach(Compile("rearm"), new Grants());
        world.Hangs = ring.Attach(Compile("hang"), new Grants(), emissionCapacity: 1 << 16);
        world.Opens = ring.Attach(Compile("result"), new Grants { Paths = [world.Path] });
        world.Given = ring.CreatePolicy(Compile(Load("policies.bpf.o"), "small_reads"));
        world.Relays = ring.Attach(Compile(Load("reach.bpf.o"), "relay"), new Grants());
        // The runtime's own tables grow now and then on whichever thread asks: the cheapest of some equal rounds.
        var least = long.MaxValue;
        var right = true;
        for (var round = 0; round < Rounds; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < Operations; i++) right &= operation(world);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Assert.True(right, "an operation gave something else than it should");
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        return least;
    }
}
