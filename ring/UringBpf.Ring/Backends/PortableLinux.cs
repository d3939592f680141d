using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>
/// The portable back end on Linux: each operation by the system call that it is named after. Reads from the page cache are
/// served at once (RWF_NOWAIT), as io_uring does; what may block on a disk goes to the pool; pipes, sockets and the like are
/// tried without blocking and polled for.
/// </summary>
internal sealed unsafe class LinuxSystem : PortableSystem
{
    // Ready.
    private const short PollIn = 1, PollOut = 4;
    private const uint NoWait = 0x08, DontWait = 0x40, WaitAll = 0x100;

    private readonly Lock _gate = new();
    private readonly Stack<LinuxFile> _closed = new();
    private int _event;
    private PollEntry* _entries;
    private int _capacity;

    public LinuxSystem()
    {
        const int nonBlocking = 0x800;
        _event = IoUring.CreateEvent(nonBlocking);
        if (_event < 0) throw new Bytecode.BpfException("UB4501", $"portable back end: no event descriptor ({Errno.Name(-_event)}); RLIMIT_NOFILE is used up.");
    }

    public override ImmutableArray<IoUringOp> Operations { get; } =
    [
        IoUringOp.Nop, IoUringOp.ReadV, IoUringOp.WriteV, IoUringOp.FSync, IoUringOp.PollAdd, IoUringOp.PollRemove, IoUringOp.SyncFileRange,
        IoUringOp.SendMsg, IoUringOp.RecvMsg, IoUringOp.Timeout, IoUringOp.TimeoutRemove, IoUringOp.Accept, IoUringOp.AsyncCancel,
        IoUringOp.Connect, IoUringOp.FAllocate, IoUringOp.OpenAt, IoUringOp.Close, IoUringOp.StatX, IoUringOp.Read, IoUringOp.Write,
        IoUringOp.FAdvise, IoUringOp.Send, IoUringOp.Recv, IoUringOp.OpenAt2, IoUringOp.Shutdown, IoUringOp.RenameAt, IoUringOp.UnlinkAt,
        IoUringOp.MkdirAt, IoUringOp.SymlinkAt, IoUringOp.LinkAt, IoUringOp.Socket, IoUringOp.FTruncate, IoUringOp.Bind, IoUringOp.Listen,
        IoUringOp.ReadMultishot, IoUringOp.SendZc, IoUringOp.Splice, IoUringOp.Tee,
    ];

    public override int Attempt(PortableOperation operation)
    {
        ref var entry = ref operation.Entry;
        var fd = Fd(operation);
        switch (entry.Opcode)
        {
            case IoUringOp.Read or IoUringOp.ReadV:
                return Polls(operation, fd) ? Wait(operation, PollIn, ReadStream(operation, fd)) : ReadCached(entry, fd);
            case IoUringOp.ReadMultishot:
                return Polls(operation, fd) ? Wait(operation, PollIn, ReadStream(operation, fd)) : -Errno.BadFd;
            case IoUringOp.Write or IoUringOp.WriteV:
                return Polls(operation, fd) ? Wait(operation, PollOut, WriteStream(operation, fd)) : MayBlock;
            case IoUringOp.Recv or IoUringOp.RecvMsg:
                return Wait(operation, PollIn, Socket(operation, fd));
            case IoUringOp.Send or IoUringOp.SendMsg or IoUringOp.SendZc:
                return entry.IoPriority != 0 || entry.Opcode != IoUringOp.SendMsg && entry.Offset != 0 ? -Errno.OpNotSupp : Wait(operation, PollOut, Socket(operation, fd));
            case IoUringOp.Accept:
                return operation.Ready == 0 && !IsReady(fd, PollIn) ? Wait(operation, PollIn, -Errno.Again) : PosixCalls.Accept(entry, fd);
            case IoUringOp.Connect:
                return Connect(operation, fd);
            case IoUringOp.PollAdd:
                return Poll(operation, fd);
            case IoUringOp.Splice or IoUringOp.Tee:
                return Splice(operation, fd);
            case IoUringOp.Shutdown:
                return PosixCalls.Shutdown(fd, (int)entry.Length);
            case IoUringOp.Socket:
                return PosixCalls.Socket(entry);
            case IoUringOp.Bind:
                return PosixCalls.Bind(entry, fd);
            case IoUringOp.Listen:
                return PosixCalls.Listen(fd, (int)entry.Length);
            default:
                return MayBlock;
        }
    }

    public override int Run(PortableOperation operation)
    {
        while (true)
        {
            var fd = Fd(operation);
            var result = operation.Entry.Opcode is IoUringOp.Splice or IoUringOp.Tee ? PosixCalls.Splice(operation.Entry, InputFd(operation), fd) : PosixCalls.Run(operation.Entry, fd);
            // io_uring gives EINTR for no file; here a signal meant the thread, not the operation.
            if (result != -Errno.Intr) return result;
        }
    }

    public override void Again(PortableOperation operation)
    {
        operation.PollFd = operation.Epoll >= 0 ? operation.Epoll : Fd(operation);
        operation.Events = PollIn;
    }

    public override void Undo(PortableOperation operation) => CloseEpoll(operation);

    private static void CloseEpoll(PortableOperation operation)
    {
        if (operation.Epoll >= 0) IoUring.Close(operation.Epoll);
        operation.Epoll = -1;
    }

    public override int Adopt(int fd, out Descriptor? file)
    {
        file = null;
        var copy = PosixCalls.Duplicate(fd);
        if (copy < 0) return copy;
        file = Own(copy);
        return 0;
    }

    public override Descriptor Own(int fd)
    {
        if (!_closed.TryPop(out var file)) file = new LinuxFile(_closed);
        file.Open(fd, PosixCalls.CanBePolled(fd));
        return file;
    }

    public override int OpenDirectory(string path)
    {
        const int directoryPathCloseOnExec = 0x10000 | 0x200000 | 0x80000;
        return IoUring.Open(path, directoryPathCloseOnExec);
    }

    public override void CloseDirectory(int directory) => IoUring.Close(directory);

    public override bool Wait(List<PortableOperation> operations, long nanoseconds)
    {
        var count = operations.Count + 1;
        if (count > _capacity)
        {
            _capacity = Math.Max(2 * count, 16);
            _entries = (PollEntry*)NativeMemory.Realloc(_entries, (nuint)(_capacity * sizeof(PollEntry)));
        }
        _entries[0] = new PollEntry { Fd = _event, Events = PollIn };
        for (var i = 1; i < count; i++) _entries[i] = new PollEntry { Fd = operations[i - 1].PollFd, Events = operations[i - 1].Events };
        var time = new IoUring.Timespec { Seconds = nanoseconds / 1_000_000_000, Nanoseconds = nanoseconds % 1_000_000_000 };
        if (PosixCalls.Poll(_entries, count, nanoseconds < 0 ? null : &time) <= 0) return false;
        if (_entries[0].Ready != 0) IoUring.TakeSignal(_event);
        var any = false;
        for (var i = 1; i < count; i++)
        {
            operations[i - 1].Ready = _entries[i].Ready;
            any |= _entries[i].Ready != 0;
        }
        return any;
    }

    public override void Wake()
    {
        // The number of the descriptor may be another file's once the ring is torn down.
        lock (_gate)
        {
            if (_event >= 0) IoUring.Signal(_event);
        }
    }

    public override void Dispose()
    {
        lock (_gate)
        {
            if (_event >= 0) IoUring.Close(_event);
            _event = -1;
        }
        NativeMemory.Free(_entries);
        _entries = null;
    }

    private static int Fd(PortableOperation operation) => operation.File is LinuxFile file ? file.Fd : operation.Entry.Fd;

    private static bool Polls(PortableOperation operation, int fd) => operation.File is LinuxFile file ? file.Polls : PosixCalls.CanBePolled(fd);

    // A result that says "not now" becomes a wait, but where the descriptor or the caller asked not to wait.
    private static int Wait(PortableOperation operation, short events, int result)
    {
        const uint nonBlockingReadWrite = NoWait;
        if (result != -Errno.Again) return result;
        var socket = operation.Entry.Opcode is IoUringOp.Send or IoUringOp.Recv or IoUringOp.SendMsg or IoUringOp.RecvMsg;
        var asked = operation.Entry.Opcode == IoUringOp.Accept ? 0 : socket ? operation.Entry.OpFlags & DontWait : operation.Entry.OpFlags & nonBlockingReadWrite;
        var fd = Fd(operation);
        if (asked != 0 || PosixCalls.IsNonBlocking(fd)) return operation.Progress > 0 ? operation.Progress : result;
        operation.PollFd = fd;
        operation.Events = events;
        return Later;
    }

    private static int ReadCached(in Sqe entry, int fd)
    {
        var result = PosixCalls.ReadAt(entry, fd, entry.Offset, entry.OpFlags | NoWait);
        if (result == -Errno.Again && (entry.OpFlags & NoWait) != 0) return result;
        // A part of what was asked for may be in memory and the rest on the disk: the pool reads it all. At the current
        // position, which has moved on, the part is the result.
        if (result >= 0 && (entry.Opcode != IoUringOp.Read || result == 0 || result == entry.Length || entry.Offset == ulong.MaxValue)) return result;
        return result is < 0 and not -Errno.Again and not -Errno.OpNotSupp and not -Errno.Inval and not -Errno.Intr ? result : MayBlock;
    }

    private static int ReadStream(PortableOperation operation, int fd)
    {
        var result = PosixCalls.ReadAt(operation.Entry, fd, ulong.MaxValue, NoWait);
        if (result is not (-Errno.OpNotSupp)) return result;
        // A driver that does not know RWF_NOWAIT: what poll said is ready does not block.
        return operation.Ready == 0 && !IsReady(fd, PollIn) ? -Errno.Again : PosixCalls.ReadAt(operation.Entry, fd, ulong.MaxValue, 0);
    }

    private static int WriteStream(PortableOperation operation, int fd)
    {
        // A pipe that poll calls ready takes this much without blocking.
        const uint pipeAtomic = 4096;
        var result = PosixCalls.WriteAt(operation.Entry, fd, ulong.MaxValue, NoWait);
        if (result is not (-Errno.OpNotSupp)) return result;
        if (operation.Ready == 0 && !IsReady(fd, PollOut)) return -Errno.Again;
        var entry = operation.Entry;
        if (entry.Opcode == IoUringOp.Write) entry.Length = Math.Min(entry.Length, pipeAtomic);
        return PosixCalls.WriteAt(entry, fd, ulong.MaxValue, 0);
    }

    // send, recv and their kin; MSG_WAITALL goes on until all is there, as io_uring does.
    private static int Socket(PortableOperation operation, int fd)
    {
        ref var entry = ref operation.Entry;
        if (entry.Opcode is IoUringOp.SendMsg or IoUringOp.RecvMsg || (entry.OpFlags & WaitAll) == 0) return PosixCalls.Transfer(entry, fd, entry.OpFlags | DontWait);
        while (true)
        {
            var rest = entry;
            rest.Address += (uint)operation.Progress;
            rest.Length -= (uint)operation.Progress;
            var result = PosixCalls.Transfer(rest, fd, (entry.OpFlags & ~WaitAll) | DontWait);
            if (result == -Errno.Again) return result;
            if (result <= 0) return operation.Progress > 0 ? operation.Progress : result;
            operation.Progress += result;
            if (operation.Progress >= entry.Length) return operation.Progress;
        }
    }

    private static int Connect(PortableOperation operation, int fd)
    {
        const int inProgress = 115;
        if (operation.Progress != 0) return PosixCalls.PendingError(fd);
        var result = PosixCalls.Connect(operation.Entry, fd);
        // Who asked not to wait is told so.
        if (result != -inProgress || PosixCalls.IsNonBlocking(fd)) return result;
        operation.Progress = 1;
        operation.PollFd = fd;
        operation.Events = PollOut;
        return Later;
    }

    private static int Poll(PortableOperation operation, int fd)
    {
        if (operation.Entry.Length != 0) return PollAgain(operation, fd);
        // Once, level-triggered.
        if (operation.Ready != 0) return operation.Ready;
        operation.PollFd = fd;
        operation.Events = (short)operation.Entry.OpFlags;
        return Later;
    }

    private static int InputFd(PortableOperation operation) => operation.Input is LinuxFile file ? file.Fd : (int)operation.Entry.FileIndex;

    // Never blocks at a pipe or socket: the pool runs it only for the disk behind a file.
    private static int Splice(PortableOperation operation, int fd)
    {
        var (input, output) = (InputFd(operation), fd);
        var (inputPolls, outputPolls) = (PosixCalls.CanBePolled(input), PosixCalls.CanBePolled(output));
        if (inputPolls && outputPolls)
        {
            var result = PosixCalls.Splice(operation.Entry, input, output);
            if (result != -Errno.Again || AskedNotToWait(operation)) return result;
        }
        (operation.PollFd, operation.Events) = inputPolls && !IsReady(input, PollIn) ? (input, PollIn) : (output, PollOut);
        if (inputPolls && outputPolls) return Later;
        // One is a file. The other is waited for first.
        var ready = operation.PollFd == input || outputPolls ? IsReady(operation.PollFd, operation.Events) : true;
        return ready || AskedNotToWait(operation) ? MayBlock : Later;
    }

    private static bool AskedNotToWait(PortableOperation operation)
    {
        const uint nonBlocking = 2;
        return (operation.Entry.OpFlags & nonBlocking) != 0;
    }

    public override bool TriesAgain(PortableOperation operation, int result) =>
        result == -Errno.Again && operation.Entry.Opcode == IoUringOp.Splice && !AskedNotToWait(operation);

    // Each time that something has become ready, not while it is: what epoll calls edge-triggered.
    private static int PollAgain(PortableOperation operation, int fd)
    {
        if (operation.Epoll < 0)
        {
            var created = PosixCalls.WatchEdges(fd, operation.Entry.OpFlags);
            if (created < 0) return created;
            operation.Epoll = created;
        }
        var result = PosixCalls.TakeEdge(operation.Epoll);
        if (result == 0)
        {
            operation.PollFd = operation.Epoll;
            operation.Events = PollIn;
            return Later;
        }
        if (result < 0) CloseEpoll(operation);
        return result;
    }

    private static bool IsReady(int fd, short events)
    {
        var entry = new PollEntry { Fd = fd, Events = events };
        var time = default(IoUring.Timespec);
        return PosixCalls.Poll(&entry, 1, &time) > 0;
    }

    private sealed class LinuxFile(Stack<LinuxFile> pool) : Descriptor
    {
        public int Fd { get; private set; } = -1;

        /// <summary>Waiting for it is polling for it, not blocking a thread.</summary>
        public bool Polls { get; private set; }

        public void Open(int fd, bool polls)
        {
            Reopen();
            Fd = fd;
            Polls = polls;
        }

        protected override void Close()
        {
            IoUring.Close(Fd);
            Fd = -1;
            pool.Push(this);
        }
    }
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollEntry
{
    public int Fd;
    public short Events, Ready;
}
