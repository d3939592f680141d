using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>System calls by the operation that they carry out: a result, or -errno. Linux.</summary>
internal static unsafe partial class PosixCalls
{
    private static readonly bool s_arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    // Calls that not every C library has a function for.
    private static readonly long s_readV = s_arm ? 286 : 327, s_writeV = s_arm ? 287 : 328, s_statX = s_arm ? 291 : 332;
    private const long SysOpenAt2 = 437;

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Vector
    {
        public void* Base;
        public nuint Length;
    }

    /// <summary>What may block.</summary>
    public static int Run(in Sqe entry, int fd)
    {
        const int closeOnExec = 0x80000;
        switch (entry.Opcode)
        {
            case IoUringOp.Read or IoUringOp.ReadV: return ReadAt(entry, fd, entry.Offset, entry.OpFlags);
            case IoUringOp.Write or IoUringOp.WriteV: return WriteAt(entry, fd, entry.Offset, entry.OpFlags);
            case IoUringOp.FSync:
                const uint dataOnly = 1;
                return OrErrno((entry.OpFlags & dataOnly) != 0 ? FDataSync(fd) : FSync(fd));
            case IoUringOp.SyncFileRange: return OrErrno(SyncFileRange(fd, (long)entry.Offset, entry.Length, entry.OpFlags));
            case IoUringOp.FAllocate: return OrErrno(FAllocate(fd, (int)entry.Length, (long)entry.Offset, (long)entry.Address));
            case IoUringOp.FTruncate: return OrErrno(FTruncate(fd, (long)entry.Offset));
            // Gives the errno, not -1.
            case IoUringOp.FAdvise: return -FAdvise(fd, (long)entry.Offset, entry.Length, (int)entry.OpFlags);
            case IoUringOp.OpenAt: return OrErrno(OpenAt(entry.Fd, (byte*)entry.Address, (int)entry.OpFlags | closeOnExec, entry.Length));
            case IoUringOp.OpenAt2:
                var how = *(IoUring.OpenHow*)entry.Offset;
                how.Flags |= closeOnExec;
                // Missing or refused: there is no safe way to do the same by hand.
                var opened = OrErrno(Syscall(SysOpenAt2, entry.Fd, (long)entry.Address, (long)&how, sizeof(IoUring.OpenHow), 0, 0));
                return opened is -Errno.NoSys or -Errno.Perm ? -Errno.OpNotSupp : opened;
            case IoUringOp.Close: return OrErrno(CloseFd(entry.Fd));
            case IoUringOp.StatX: return OrErrno(Syscall(s_statX, entry.Fd, (long)entry.Address, entry.OpFlags, entry.Length, (long)entry.Offset, 0));
            case IoUringOp.UnlinkAt: return OrErrno(UnlinkAt(entry.Fd, (byte*)entry.Address, (int)entry.OpFlags));
            case IoUringOp.RenameAt: return OrErrno(RenameAt2(entry.Fd, (byte*)entry.Address, (int)entry.Length, (byte*)entry.Offset, entry.OpFlags));
            case IoUringOp.MkdirAt: return OrErrno(MkdirAt(entry.Fd, (byte*)entry.Address, entry.Length));
            case IoUringOp.SymlinkAt: return OrErrno(SymlinkAt((byte*)entry.Address, entry.Fd, (byte*)entry.Offset));
            case IoUringOp.LinkAt: return OrErrno(LinkAt(entry.Fd, (byte*)entry.Address, (int)entry.Length, (byte*)entry.Offset, (int)entry.OpFlags));
            default: return -Errno.OpNotSupp;
        }
    }

    public static int ReadAt(in Sqe entry, int fd, ulong offset, uint flags) => Move(s_readV, entry, fd, offset, flags);

    public static int WriteAt(in Sqe entry, int fd, ulong offset, uint flags) => Move(s_writeV, entry, fd, offset, flags);

    // preadv2, pwritev2: at an offset, or at the current position for -1; with RWF_*.
    private static int Move(long call, in Sqe entry, int fd, ulong offset, uint flags)
    {
        if (entry.Opcode is IoUringOp.ReadV or IoUringOp.WriteV) return OrErrno(Syscall(call, fd, (long)entry.Address, entry.Length, (long)offset, 0, flags));
        var vector = new Vector { Base = (void*)entry.Address, Length = entry.Length };
        return OrErrno(Syscall(call, fd, (long)&vector, 1, (long)offset, 0, flags));
    }

    public static int Transfer(in Sqe entry, int fd, uint flags) => OrErrno(entry.Opcode switch
    {
        IoUringOp.Send or IoUringOp.SendZc => Send(fd, (void*)entry.Address, entry.Length, (int)flags),
        IoUringOp.Recv => Recv(fd, (void*)entry.Address, entry.Length, (int)flags),
        IoUringOp.SendMsg => SendMsg(fd, (void*)entry.Address, (int)flags),
        _ => RecvMsg(fd, (void*)entry.Address, (int)flags),
    });

    public static int Accept(in Sqe entry, int fd)
    {
        const uint closeOnExec = 0x80000;
        // A direct descriptor is no entry of the process's table, so the caller does not ask for it.
        return OrErrno(Accept4(fd, (void*)entry.Address, (void*)entry.Offset, (int)(entry.FileIndex != 0 ? entry.OpFlags | closeOnExec : entry.OpFlags)));
    }

    /// <summary>Begins a connection, and never waits for it: -EINPROGRESS where there is something to wait for.</summary>
    public static int Connect(in Sqe entry, int fd)
    {
        const int datagram = 2, raw = 3;
        // Those have nothing to wait for, and may be in use meanwhile.
        var waits = !IsNonBlocking(fd) && SocketOption(fd, SocketType) is not (datagram or raw);
        // For the call alone: what it begins goes on without it, and who uses the socket besides sees it as it was.
        if (waits) SetNonBlocking(fd, true);
        var result = OrErrno(ConnectTo(fd, (void*)entry.Address, (uint)entry.Offset));
        if (waits) SetNonBlocking(fd, false);
        return result;
    }

    public static int Bind(in Sqe entry, int fd) => OrErrno(BindTo(fd, (void*)entry.Address, (uint)entry.Offset));

    public static int Listen(int fd, int backlog) => OrErrno(ListenOn(fd, backlog));

    public static int Shutdown(int fd, int how) => OrErrno(ShutDown(fd, how));

    public static int Socket(in Sqe entry)
    {
        const int closeOnExec = 0x80000;
        return OrErrno(NewSocket(entry.Fd, (int)entry.Offset | (entry.FileIndex != 0 ? closeOnExec : 0), (int)entry.Length));
    }

    /// <summary>What a connection that was begun came to.</summary>
    public static int PendingError(int fd) => SocketOption(fd, SocketError) is var error && error < 0 ? error : -error;

    private const int SocketType = 3, SocketError = 4;

    // SO_* of SOL_SOCKET, or -errno.
    private static int SocketOption(int fd, int name)
    {
        const int socketLevel = 1;
        int value = 0, length = sizeof(int);
        var result = OrErrno(GetSockOpt(fd, socketLevel, name, &value, &length));
        return result < 0 ? result : value;
    }

    /// <summary>Both ends of a pipe, the reading one first: 0 or -errno.</summary>
    public static int Pipe(int* ends, int flags) => OrErrno(Pipe2(ends, flags));

    /// <summary>A descriptor of its own for the same open file, close-on-exec.</summary>
    public static int Duplicate(int fd)
    {
        const int duplicateCloseOnExec = 1030;
        return OrErrno(FCntl(fd, duplicateCloseOnExec, 0));
    }

    public static bool IsNonBlocking(int fd)
    {
        const int getFlags = 3, nonBlocking = 0x800;
        return (OrErrno(FCntl(fd, getFlags, 0)) & nonBlocking) != 0;
    }

    private static void SetNonBlocking(int fd, bool value)
    {
        const int getFlags = 3, setFlags = 4, nonBlocking = 0x800;
        var flags = FCntl(fd, getFlags, 0);
        if (flags >= 0) FCntl(fd, setFlags, value ? flags | nonBlocking : flags & ~nonBlocking);
    }

    /// <summary>True for pipes, sockets, terminals, event descriptors: all but regular files, directories and block devices.</summary>
    public static bool CanBePolled(int fd)
    {
        const int statxBytes = 256, modeOffset = 28, emptyPath = 0x1000, typeOnly = 1;
        const int typeMask = 0xF000, regular = 0x8000, directory = 0x4000, block = 0x6000;
        var result = stackalloc byte[statxBytes];
        byte path = 0;
        if (Syscall(s_statX, fd, (long)&path, emptyPath, typeOnly, (long)result, 0) < 0) return false;
        return (*(ushort*)(result + modeOffset) & typeMask) is not (regular or directory or block);
    }

    /// <summary>Which regular file a descriptor is open on, and O_RDONLY, O_WRONLY or O_RDWR; false for anything else.</summary>
    public static bool Identify(int fd, out ulong device, out ulong number, out int access)
    {
        const int statxBytes = 256, modeOffset = 28, inodeOffset = 32, deviceOffset = 136, emptyPath = 0x1000, basicStats = 0x7FF;
        const int typeMask = 0xF000, regular = 0x8000, getFlags = 3, accessMode = 3;
        var result = stackalloc byte[statxBytes];
        byte path = 0;
        (device, number, access) = (0, 0, 0);
        if (Syscall(s_statX, fd, (long)&path, emptyPath, basicStats, (long)result, 0) < 0 || (*(ushort*)(result + modeOffset) & typeMask) != regular) return false;
        number = *(ulong*)(result + inodeOffset);
        device = *(ulong*)(result + deviceOffset);
        access = FCntl(fd, getFlags, 0) & accessMode;
        return true;
    }

    /// <summary>Entries that are ready, or -errno; waits for the time given, or without limit for null.</summary>
    public static int Poll(PollEntry* entries, int count, IoUring.Timespec* time) => OrErrno(PPoll(entries, (nuint)count, time, null));

    /// <summary>splice or tee, without waiting for a pipe.</summary>
    public static int Splice(in Sqe entry, int input, int output)
    {
        const uint nonBlocking = 2, known = 0xF;
        var flags = entry.OpFlags & known | nonBlocking;
        if (entry.Opcode == IoUringOp.Tee) return OrErrno(TeePipe(input, output, entry.Length, flags));
        var (from, to) = ((long)entry.Address, (long)entry.Offset);
        return OrErrno(SplicePipe(input, from < 0 ? null : &from, output, to < 0 ? null : &to, entry.Length, flags));
    }

    /// <summary>A new epoll that tells of POLL* events of a descriptor when they begin, or -errno.</summary>
    public static int WatchEdges(int fd, uint events)
    {
        const int closeOnExec = 0x80000, add = 1;
        const uint edgeTriggered = 1u << 31;
        var epoll = OrErrno(EpollCreate(closeOnExec));
        if (epoll < 0) return epoll;
        var entry = new EpollEvent { Events = events | edgeTriggered };
        var result = OrErrno(EpollControl(epoll, add, fd, &entry));
        if (result >= 0) return epoll;
        CloseFd(epoll);
        return result;
    }

    /// <summary>The POLL* events that have begun, 0 for none, or -errno; never waits.</summary>
    public static int TakeEdge(int epoll)
    {
        EpollEvent entry;
        var result = OrErrno(EpollWait(epoll, &entry, 1, 0));
        return result > 0 ? (int)entry.Events : result;
    }

    // struct epoll_event, which x86-64 alone packs.
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    private struct EpollEvent
    {
        [FieldOffset(0)] public uint Events;
    }

    private static int OrErrno(nint result) => result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Syscall(long number, long a, long b, long c, long d, long e, long f);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int fd);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FDataSync(int fd);

    [LibraryImport("libc", EntryPoint = "sync_file_range", SetLastError = true)]
    private static partial int SyncFileRange(int fd, long offset, long bytes, uint flags);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FAllocate(int fd, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int FTruncate(int fd, long length);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int FAdvise(int fd, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAt(int directory, byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseFd(int fd);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(int directory, byte* path, int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true)]
    private static partial int RenameAt2(int directory, byte* path, int newDirectory, byte* newPath, uint flags);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    private static partial int MkdirAt(int directory, byte* path, uint mode);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    private static partial int SymlinkAt(byte* target, int directory, byte* path);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    private static partial int LinkAt(int directory, byte* path, int newDirectory, byte* newPath, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(int fd, void* data, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Recv(int fd, void* data, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMsg(int fd, void* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint RecvMsg(int fd, void* message, int flags);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    private static partial int Accept4(int fd, void* address, void* length, int flags);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int ConnectTo(int fd, void* address, uint length);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int BindTo(int fd, void* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    private static partial int ListenOn(int fd, int backlog);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    private static partial int ShutDown(int fd, int how);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int NewSocket(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static partial int GetSockOpt(int fd, int level, int name, void* value, int* length);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FCntl(int fd, int command, int argument);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    private static partial nint SplicePipe(int input, long* inputOffset, int output, long* outputOffset, nuint length, uint flags);

    [LibraryImport("libc", EntryPoint = "tee", SetLastError = true)]
    private static partial nint TeePipe(int input, int output, nuint length, uint flags);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int Pipe2(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(int epoll, int operation, int fd, EpollEvent* entry);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWait(int epoll, EpollEvent* entries, int count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    private static partial int PPoll(PollEntry* entries, nuint count, IoUring.Timespec* time, void* mask);
}
