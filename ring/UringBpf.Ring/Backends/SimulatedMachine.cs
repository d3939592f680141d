using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>What a simulation's operations work on: files by path, pipes and connections; the process's own descriptors.</summary>
internal sealed unsafe class SimulatedMachine(SimulatedBackend backend, SimulationOptions options)
{
    /// <summary>From <see cref="Run"/>: the operation waits, and will be scheduled again.</summary>
    public const int Later = int.MinValue;

    // Numbers that no descriptor of this process has.
    private const int FirstDescriptor = 1 << 28;
    private const int StreamSocket = 1, SocketTypes = 0xF, NoSuchSocket = 94, SeeksNot = 29;
    private const long LongestTransfer = 1L << 28;
    private const int NotConnected = 107, Refused = 111, InUse = 98, IsConnected = 106, NotSocket = 88;

    private readonly SimulatedPaths _paths = new(options);
    private readonly Dictionary<int, SimulatedDescriptor> _descriptors = [];
    private readonly Dictionary<string, SimulatedSocket> _listeners = [];
    private int _nextDescriptor = FirstDescriptor;

    public static ImmutableArray<IoUringOp> Operations { get; } =
    [
        IoUringOp.Nop, IoUringOp.FSync, IoUringOp.Timeout, IoUringOp.TimeoutRemove, IoUringOp.Accept, IoUringOp.AsyncCancel, IoUringOp.Connect,
        IoUringOp.FAllocate, IoUringOp.OpenAt, IoUringOp.Close, IoUringOp.StatX, IoUringOp.Read, IoUringOp.Write, IoUringOp.Send, IoUringOp.Recv,
        IoUringOp.OpenAt2, IoUringOp.Shutdown, IoUringOp.RenameAt, IoUringOp.UnlinkAt, IoUringOp.MkdirAt, IoUringOp.Socket, IoUringOp.FTruncate,
        IoUringOp.Bind, IoUringOp.Listen, IoUringOp.Pipe, IoUringOp.ReadV, IoUringOp.WriteV, IoUringOp.SendMsg, IoUringOp.RecvMsg, IoUringOp.SendZc,
        IoUringOp.PollAdd, IoUringOp.PollRemove, IoUringOp.ReadMultishot, IoUringOp.FAdvise, IoUringOp.SyncFileRange, IoUringOp.LinkAt,
        IoUringOp.Splice, IoUringOp.Tee,
    ];

    /// <summary>Descriptors, in file slots and of the process, that are not closed.</summary>
    public int OpenDescriptors { get; private set; }

    /// <summary>Those of them that have a number of the process.</summary>
    public int ProcessDescriptors => _descriptors.Count;

    public int OpenDirectory(string path) => _paths.OpenDirectory(path);

    public void CloseDirectory(int directory) => _paths.CloseDirectory(directory);

    public int Adopt(int fd, out Descriptor? file)
    {
        file = null;
        if (fd >= FirstDescriptor)
        {
            if (!_descriptors.TryGetValue(fd, out var own)) return -Errno.BadF;
            own.Hold();
            file = own;
            return 0;
        }
        var node = _paths.Import(fd, out var reads, out var writes);
        if (node == null) return -Errno.OpNotSupp;
        file = Open(node, reads, writes, false);
        return 0;
    }

    public (int First, int Second) CreateSocketPair()
    {
        var (first, second) = SimulatedSocket.Connect();
        return (Number(Open(first, true, true, false)), Number(Open(second, true, true, false)));
    }

    public void Closed(SimulatedDescriptor descriptor)
    {
        OpenDescriptors--;
        switch (descriptor.Node)
        {
            case SimulatedPipe pipe:
                // Each end of a pipe has one descriptor.
                if (descriptor.Reads) pipe.ReaderGone = true;
                else pipe.WriterGone = true;
                pipe.Changed(backend);
                break;
            case SimulatedSocket socket:
                CloseSocket(socket);
                break;
        }
    }

    /// <summary>Does what the operation asks for: the result, or <see cref="Later"/>.</summary>
    public int Run(SimulatedOperation operation)
    {
        ref var entry = ref operation.Entry;
        switch (entry.Opcode)
        {
            case IoUringOp.Nop:
                const uint injectResult = 1;
                return (entry.OpFlags & ~injectResult) != 0 ? -Errno.Inval : entry.OpFlags == injectResult ? (int)entry.Length : 0;
            case IoUringOp.Timeout: return -Errno.Time;
            case IoUringOp.OpenAt: return OpenAt(entry, entry.OpFlags, 0);
            case IoUringOp.OpenAt2:
                var how = *(IoUring.OpenHow*)entry.Offset;
                return OpenAt(entry, (uint)how.Flags, how.Resolve);
            case IoUringOp.Close: return entry.FileIndex != 0 ? backend.CloseSlot(entry.FileIndex - 1) : CloseNumber(entry.Fd);
            case IoUringOp.StatX: return StatX(entry);
            case IoUringOp.UnlinkAt: return _paths.Unlink(entry.Fd, Text(entry.Address), (entry.OpFlags & 0x200) != 0);
            case IoUringOp.MkdirAt: return _paths.MakeDirectory(entry.Fd, Text(entry.Address));
            case IoUringOp.RenameAt: return _paths.Rename(entry.Fd, Text(entry.Address), (int)entry.Length, Text(entry.Offset), entry.OpFlags);
            case IoUringOp.LinkAt: return entry.OpFlags != 0 ? -Errno.OpNotSupp : _paths.Link(entry.Fd, Text(entry.Address), (int)entry.Length, Text(entry.Offset));
            case IoUringOp.Socket when (entry.Offset & SocketTypes) != StreamSocket: return -NoSuchSocket;
            case IoUringOp.Socket: return Install(entry, Open(new SimulatedSocket(), true, true, false));
            case IoUringOp.Pipe: return MakePipe(entry);
        }
        var result = Find(operation, out var file);
        return result < 0 ? result : RunOn(file!, operation);
    }

    private int RunOn(SimulatedDescriptor file, SimulatedOperation operation)
    {
        ref var entry = ref operation.Entry;
        switch (entry.Opcode)
        {
            case IoUringOp.Read: return Read(file, operation);
            case IoUringOp.Write: return Write(file, operation);
            case IoUringOp.ReadMultishot:
                if (file.Node is not (SimulatedPipe or SimulatedSocket)) return -Errno.BadFd;
                return backend.Show(operation) ? Read(file, operation) : -Errno.NoBufs;
            case IoUringOp.ReadV or IoUringOp.WriteV: return Move(file, operation);
            case IoUringOp.SendMsg or IoUringOp.RecvMsg: return file.Node is SimulatedSocket ? Move(file, operation) : -NotSocket;
            case IoUringOp.PollAdd: return Poll(file, operation);
            case IoUringOp.Splice or IoUringOp.Tee: return Splice(file, operation);
            case IoUringOp.FSync or IoUringOp.SyncFileRange: return file.Node is SimulatedFile or SimulatedDirectory ? 0 : -Errno.Inval;
            case IoUringOp.FAdvise: return file.Node is SimulatedFile ? 0 : -SeeksNot;
            case IoUringOp.FTruncate:
                return file.Node is not SimulatedFile cut || !file.Writes || (long)entry.Offset < 0 ? -Errno.Inval : cut.SetLength((long)entry.Offset);
            case IoUringOp.FAllocate:
                if (file.Node is not SimulatedFile grown || !file.Writes) return -Errno.BadF;
                if (entry.Length != 0) return -Errno.OpNotSupp;
                if ((long)entry.Offset < 0 || (long)entry.Address <= 0) return -Errno.Inval;
                return (long)(entry.Offset + entry.Address) > grown.Length ? grown.SetLength((long)(entry.Offset + entry.Address)) : 0;
        }
        if (file.Node is not SimulatedSocket socket) return -NotSocket;
        switch (entry.Opcode)
        {
            case IoUringOp.Recv: return backend.Show(operation) ? Receive(socket, operation) : -Errno.NoBufs;
            case IoUringOp.Send or IoUringOp.SendZc: return entry.IoPriority != 0 || entry.Offset != 0 ? -Errno.OpNotSupp : Send(socket.Outgoing, operation);
            case IoUringOp.Shutdown: return ShutDown(socket, entry.Length);
            case IoUringOp.Bind:
                if (socket.Address != null) return -Errno.Inval;
                socket.Address = Key(entry);
                return 0;
            case IoUringOp.Listen:
                if (socket.Address == null || socket.Incoming != null) return -Errno.Inval;
                if (!_listeners.TryAdd(socket.Address, socket) && _listeners[socket.Address] != socket) return -InUse;
                socket.Pending ??= new Queue<SimulatedSocket>();
                socket.Backlog = Math.Max(1, (int)entry.Length);
                return 0;
            case IoUringOp.Accept: return Accept(socket, operation);
            case IoUringOp.Connect: return Connect(socket, operation);
            default: return -Errno.OpNotSupp;
        }
    }

    private int Read(SimulatedDescriptor file, SimulatedOperation operation)
    {
        ref var entry = ref operation.Entry;
        if (!file.Reads) return -Errno.BadF;
        switch (file.Node)
        {
            case SimulatedDirectory: return -Errno.IsDir;
            case SimulatedPipe pipe: return Receive(pipe, operation);
            case SimulatedSocket socket: return Receive(socket, operation);
        }
        var current = entry.Offset == ulong.MaxValue;
        if (!current && (long)entry.Offset < 0) return -Errno.Inval;
        var bytes = backend.Shorten((int)Math.Min(entry.Length, int.MaxValue));
        var moved = ((SimulatedFile)file.Node).Read(new Span<byte>((void*)entry.Address, bytes), current ? file.Position : (long)entry.Offset);
        if (current) file.Position += moved;
        return moved;
    }

    private int Write(SimulatedDescriptor file, SimulatedOperation operation)
    {
        ref var entry = ref operation.Entry;
        if (!file.Writes) return -Errno.BadF;
        switch (file.Node)
        {
            case SimulatedPipe pipe: return Send(pipe, operation);
            case SimulatedSocket socket: return Send(socket.Outgoing, operation);
        }
        var current = entry.Offset == ulong.MaxValue;
        if (!current && (long)entry.Offset < 0) return -Errno.Inval;
        var node = (SimulatedFile)file.Node;
        var bytes = backend.Shorten((int)Math.Min(entry.Length, int.MaxValue));
        var moved = node.Write(new ReadOnlySpan<byte>((void*)entry.Address, bytes), file.Appends ? node.Length : current ? file.Position : (long)entry.Offset);
        if (current && moved > 0) file.Position += moved;
        return moved;
    }

    private int Receive(SimulatedSocket socket, SimulatedOperation operation) => socket.Incoming == null ? -NotConnected : Receive(socket.Incoming, operation);

    private int Receive(SimulatedPipe pipe, SimulatedOperation operation)
    {
        const uint peek = 0x02, dontWait = 0x40, waitAll = 0x100;
        ref var entry = ref operation.Entry;
        var flags = entry.Opcode == IoUringOp.Recv ? entry.OpFlags : 0;
        var rest = (int)Math.Min(entry.Length, int.MaxValue) - operation.Progress;
        if (rest == 0) return operation.Progress;
        if (pipe.Count == 0)
        {
            if (pipe.WriterGone) return operation.Progress;
            if ((flags & dontWait) != 0) return operation.Progress > 0 ? operation.Progress : -Errno.Again;
            return WaitFor(pipe, operation);
        }
        var moved = pipe.Read(new Span<byte>((byte*)entry.Address + operation.Progress, backend.Shorten(rest)), (flags & peek) != 0);
        if ((flags & peek) == 0) pipe.Changed(backend);
        operation.Progress += moved;
        if ((flags & waitAll) == 0 || operation.Progress == entry.Length || (flags & peek) != 0) return operation.Progress;
        return WaitFor(pipe, operation);
    }

    private int Send(SimulatedPipe? pipe, SimulatedOperation operation)
    {
        const uint dontWait = 0x40;
        ref var entry = ref operation.Entry;
        if (pipe == null) return -NotConnected;
        if (pipe.ReaderGone || pipe.WriterGone) return -Errno.Pipe;
        if (entry.Length == 0) return 0;
        if (pipe.Free == 0) return entry.Opcode is IoUringOp.Send or IoUringOp.SendZc && (entry.OpFlags & dontWait) != 0 ? -Errno.Again : WaitFor(pipe, operation);
        var moved = pipe.Write(new ReadOnlySpan<byte>((void*)entry.Address, backend.Shorten((int)Math.Min(entry.Length, (uint)pipe.Free))));
        pipe.Changed(backend);
        return moved;
    }

    private int ShutDown(SimulatedSocket socket, uint how)
    {
        if (socket.Incoming == null || socket.Outgoing == null) return -NotConnected;
        if (how > 2) return -Errno.Inval;
        if (how != 1) (socket.Incoming.ReaderGone, socket.Incoming.WriterGone) = (true, true);
        if (how != 0) socket.Outgoing.WriterGone = true;
        socket.Incoming.Changed(backend);
        socket.Outgoing.Changed(backend);
        return 0;
    }

    private int Accept(SimulatedSocket listener, SimulatedOperation operation)
    {
        ref var entry = ref operation.Entry;
        if (listener.Pending == null) return -Errno.Inval;
        if (listener.Pending.Count == 0) return WaitFor(listener, operation);
        var accepted = listener.Pending.Dequeue();
        listener.Changed(backend);
        // The peer of a simulated connection has no address of its own.
        if (entry.Offset != 0) *(uint*)entry.Offset = 0;
        return Install(entry, Open(accepted, true, true, false));
    }

    private int Connect(SimulatedSocket socket, SimulatedOperation operation)
    {
        if (socket.Incoming != null) return -IsConnected;
        if (socket.Pending != null) return -Errno.OpNotSupp;
        if (!_listeners.TryGetValue(Key(operation.Entry), out var listener)) return -Refused;
        if (listener.Pending!.Count >= listener.Backlog) return WaitFor(listener, operation);
        listener.Pending.Enqueue(SimulatedSocket.Connect(socket).Second);
        listener.Changed(backend);
        return 0;
    }

    private void CloseSocket(SimulatedSocket socket)
    {
        if (socket.Pending != null)
        {
            _listeners.Remove(socket.Address!);
            foreach (var waiting in socket.Pending) CloseSocket(waiting);
            socket.Changed(backend);
        }
        if (socket.Incoming != null) (socket.Incoming.ReaderGone, socket.Outgoing!.WriterGone) = (true, true);
        socket.Incoming?.Changed(backend);
        socket.Outgoing?.Changed(backend);
    }

    private static int WaitFor(SimulatedNode node, SimulatedOperation operation)
    {
        // The cancel request came too late to stop it, but not to wake it: the kernel's workers are interrupted so.
        if (operation.Lost) return operation.Progress > 0 ? operation.Progress : -Errno.Intr;
        operation.Wait(node);
        return Later;
    }

    /// <summary>A poll that goes on waits for something new.</summary>
    public static void WaitForChange(SimulatedOperation operation)
    {
        switch (((SimulatedDescriptor)operation.File!).Node)
        {
            case SimulatedSocket { Incoming: { } incoming } socket: operation.Wait(incoming, socket.Outgoing); break;
            case var node: operation.Wait(node); break;
        }
    }

    private static int Poll(SimulatedDescriptor file, SimulatedOperation operation)
    {
        const int input = 1, output = 4, error = 8, hangUp = 0x10, peerClosed = 0x2000;
        var ready = file.Node switch
        {
            SimulatedPipe pipe when file.Reads => (pipe.Count > 0 ? input : 0) | (pipe.WriterGone ? hangUp : 0),
            SimulatedPipe pipe => (pipe.Free > 0 ? output : 0) | (pipe.ReaderGone ? error : 0),
            SimulatedSocket { Pending: { } pending } => pending.Count > 0 ? input : 0,
            SimulatedSocket { Incoming: { } incoming, Outgoing: { } outgoing } =>
                (incoming.Count > 0 ? input : 0) | (incoming.WriterGone ? input | peerClosed : 0) | (outgoing.Free > 0 ? output : 0)
                | (incoming.WriterGone && outgoing.WriterGone ? hangUp : 0),
            SimulatedSocket => output | hangUp,
            _ => input | output,
        };
        ready &= (int)operation.Entry.OpFlags | error | hangUp;
        if (ready != 0) return ready;
        if (operation.Lost) return -Errno.Intr;
        WaitForChange(operation);
        return Later;
    }

    // Several pieces of memory as one: gathered before, scattered after.
    private int Move(SimulatedDescriptor file, SimulatedOperation operation)
    {
        var outer = operation.Entry;
        var message = outer.Opcode is IoUringOp.SendMsg or IoUringOp.RecvMsg;
        var header = message ? (MessageHeader*)outer.Address : null;
        var pieces = new ReadOnlySpan<IoVector>(message ? header->Vectors : (void*)outer.Address, message ? (int)header->VectorCount : (int)outer.Length);
        // Connections have no addresses here.
        if (outer.Opcode == IoUringOp.RecvMsg) header->NameLength = 0;
        var fills = outer.Opcode is IoUringOp.ReadV or IoUringOp.RecvMsg;
        long total = 0;
        foreach (var piece in pieces) total += (long)piece.Length;
        if (total > LongestTransfer) return -Errno.Inval;
        var memory = new byte[total];
        var place = 0;
        foreach (var piece in pieces)
        {
            if (!fills) new ReadOnlySpan<byte>((void*)piece.Address, (int)piece.Length).CopyTo(memory.AsSpan(place));
            place += (int)piece.Length;
        }
        var before = operation.Progress;
        int result;
        fixed (byte* start = memory)
        {
            operation.Entry.Opcode = outer.Opcode switch { IoUringOp.ReadV => IoUringOp.Read, IoUringOp.WriteV => IoUringOp.Write, IoUringOp.SendMsg => IoUringOp.Send, _ => IoUringOp.Recv };
            operation.Entry.Address = (ulong)start;
            operation.Entry.Length = (uint)total;
            result = RunOn(file, operation);
        }
        operation.Entry = outer;
        if (!fills) return result;
        var (from, to) = (before, result == Later ? operation.Progress : result);
        place = 0;
        foreach (var piece in pieces)
        {
            var length = (int)piece.Length;
            var (first, end) = (Math.Max(from, place), Math.Min(to, place + length));
            if (first < end) memory.AsSpan(first, end - first).CopyTo(new Span<byte>((byte*)piece.Address + (first - place), end - first));
            place += length;
        }
        return result;
    }

    // The output is the descriptor held; the input is another. One of the two is a pipe; of a tee both are.
    private int Splice(SimulatedDescriptor output, SimulatedOperation operation)
    {
        const uint nonBlocking = 2;
        ref var entry = ref operation.Entry;
        var input = (SimulatedDescriptor?)operation.Input ?? _descriptors.GetValueOrDefault((int)entry.FileIndex);
        if (input is not { Reads: true } || !output.Writes) return -Errno.BadF;
        var source = input.Node as SimulatedPipe ?? (input.Node as SimulatedSocket)?.Incoming;
        var sink = output.Node as SimulatedPipe ?? (output.Node as SimulatedSocket)?.Outgoing;
        var copies = entry.Opcode == IoUringOp.Tee;
        if (input.Node is not SimulatedPipe && output.Node is not SimulatedPipe || copies && (input.Node is not SimulatedPipe || output.Node is not SimulatedPipe)) return -Errno.Inval;
        if (source == sink) return -Errno.Inval;
        if (source == null && input.Node is not SimulatedFile || sink == null && output.Node is not SimulatedFile) return -Errno.Inval;
        if (sink is { } gone && (gone.ReaderGone || gone.WriterGone)) return -Errno.Pipe;
        if (entry.Length == 0) return 0;
        if (source is { Count: 0 })
        {
            if (source.WriterGone) return 0;
            return (entry.OpFlags & nonBlocking) != 0 ? -Errno.Again : WaitFor(source, operation);
        }
        if (sink is { Free: 0 }) return (entry.OpFlags & nonBlocking) != 0 ? -Errno.Again : WaitFor(sink, operation);

        const int most = 1 << 16;
        Span<byte> bytes = new byte[backend.Shorten((int)Math.Min(Math.Min(entry.Length, most), (uint)(sink?.Free ?? most)))];
        int moved;
        if (source != null)
        {
            moved = source.Read(bytes, copies);
        }
        else
        {
            var current = entry.Address == ulong.MaxValue;
            moved = ((SimulatedFile)input.Node).Read(bytes, current ? input.Position : (long)entry.Address);
            if (current) input.Position += moved;
        }
        if (sink != null)
        {
            sink.Write(bytes[..moved]);
        }
        else
        {
            var current = entry.Offset == ulong.MaxValue;
            var written = ((SimulatedFile)output.Node).Write(bytes[..moved], current ? output.Position : (long)entry.Offset);
            if (written < 0) return written;
            if (current) output.Position += moved;
        }
        if (!copies) source?.Changed(backend);
        sink?.Changed(backend);
        return moved;
    }

    private int MakePipe(in Sqe entry)
    {
        const uint directAny = uint.MaxValue;
        // Into the process's table, as pipe(2) does; two file slots at once are the kernel's alone.
        if (entry.FileIndex is not 0 and not directAny || entry.FileIndex == directAny) return -Errno.OpNotSupp;
        var pipe = new SimulatedPipe();
        var ends = (int*)entry.Address;
        ends[0] = Number(Open(pipe, true, false, false));
        ends[1] = Number(Open(pipe, false, true, false));
        return 0;
    }

    private int OpenAt(in Sqe entry, uint flags, ulong resolve)
    {
        const uint accessMode = 3, append = 0x400, writeOnly = 1, truncate = 0x200;
        var result = _paths.Open(entry.Fd, Text(entry.Address), flags, resolve, out var node);
        if (result < 0) return result;
        var (reads, writes) = ((flags & accessMode) != writeOnly, (flags & accessMode) != 0);
        if (node is SimulatedDirectory && writes) return -Errno.IsDir;
        if (node is SimulatedFile file && writes && (flags & truncate) != 0) file.SetLength(0);
        return Install(entry, Open(node!, reads, writes, (flags & append) != 0));
    }

    private int StatX(in Sqe entry)
    {
        const int statxBytes = 256;
        const uint basicStats = 0x7FF, symlinkNoFollow = 0x100;
        const ushort regular = 0x8000 | 0x1A4, directory = 0x4000 | 0x1ED;
        var result = _paths.Find(entry.Fd, Text(entry.Address), (entry.OpFlags & symlinkNoFollow) != 0 ? SimulatedPaths.NoLinks : 0, out var node);
        if (result < 0) return result;
        var stat = new Span<byte>((void*)entry.Offset, statxBytes);
        stat.Clear();
        var size = node is SimulatedFile file ? file.Length : 0;
        MemoryMarshal.Write(stat, basicStats);
        MemoryMarshal.Write(stat[4..], 4096u);
        MemoryMarshal.Write(stat[16..], 1u);
        MemoryMarshal.Write(stat[28..], node is SimulatedFile ? regular : directory);
        MemoryMarshal.Write(stat[32..], (ulong)_paths.NumberOf(node!));
        MemoryMarshal.Write(stat[40..], size);
        MemoryMarshal.Write(stat[48..], (size + 511) / 512);
        return 0;
    }

    private SimulatedDescriptor Open(SimulatedNode node, bool reads, bool writes, bool appends)
    {
        OpenDescriptors++;
        return new SimulatedDescriptor(backend, node, reads, writes, appends);
    }

    private int Install(in Sqe entry, SimulatedDescriptor descriptor) => entry.FileIndex != 0 ? backend.Install(entry, descriptor) : Number(descriptor);

    private int Number(SimulatedDescriptor descriptor)
    {
        _descriptors.Add(_nextDescriptor, descriptor);
        return _nextDescriptor++;
    }

    private int CloseNumber(int fd)
    {
        if (!_descriptors.Remove(fd, out var descriptor)) return -Errno.BadF;
        descriptor.Release();
        return 0;
    }

    // The descriptor an operation works on, held until it is done.
    private int Find(SimulatedOperation operation, out SimulatedDescriptor? descriptor)
    {
        if (operation.File == null)
        {
            var result = Adopt(operation.Entry.Fd, out var adopted);
            if (result < 0)
            {
                descriptor = null;
                return result;
            }
            operation.File = adopted;
        }
        descriptor = (SimulatedDescriptor)operation.File!;
        return 0;
    }

    private static string Key(in Sqe entry) => Convert.ToHexString(new ReadOnlySpan<byte>((void*)entry.Address, (int)Math.Min(entry.Offset, 128)));

    private static string Text(ulong address) => Marshal.PtrToStringUTF8((nint)address) ?? "";
}
