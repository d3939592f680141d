using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>IORING_SETUP_* (io_uring_setup(2)).</summary>
[Flags]
public enum SetupFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>The completion queue's size is given.</summary>
    CqSize = 1 << 3,
    /// <summary>Sizes above the kernel's limit are reduced to it.</summary>
    Clamp = 1 << 4,
    /// <summary>Goes on submitting after an entry that fails.</summary>
    SubmitAll = 1 << 7,
    /// <summary>Completion work runs at the next system call, not by interrupting.</summary>
    CoopTaskRun = 1 << 8,
    /// <summary>A flag says whether completion work waits for the next system call.</summary>
    TaskRunFlag = 1 << 9,
    /// <summary>One thread submits.</summary>
    SingleIssuer = 1 << 12,
    /// <summary>Completion work runs when the owner asks for completions.</summary>
    DeferTaskRun = 1 << 13,
    /// <summary>No index array between the submission ring and its entries.</summary>
    NoSqArray = 1 << 16,
}

/// <summary>The system calls and structures of io_uring, by their kernel names.</summary>
internal static unsafe partial class IoUring
{
    public const int OffsetSqRing = 0, OffsetSqes = 0x10000000;
    public const uint FeatureSingleMmap = 1, FeatureNoDrop = 2, FeatureSubmitStable = 4, FeatureExtArg = 1 << 8, FeatureRegisteredRing = 1 << 13;
    public const uint EnterGetEvents = 1, EnterExtArg = 1 << 3, EnterRegisteredRing = 1 << 4;
    public const uint RegisterFiles = 2, RegisterFilesUpdate = 6, RegisterProbe = 8, RegisterFiles2 = 13, RegisterRingFds = 20, UnregisterRingFds = 21,
        UnregisterBuffers = 1, RegisterBuffers2 = 15, RegisterBufferRing = 22, UnregisterBufferRing = 23, RegisterSyncCancel = 24, RegisterResizeRings = 33;
    public const uint SqCqOverflow = 1 << 1, SqTaskRun = 1 << 2;
    public const uint FilesSparse = 1;

    [StructLayout(LayoutKind.Sequential)]
    public struct SqOffsets
    {
        public uint Head, Tail, RingMask, RingEntries, Flags, Dropped, Array, Reserved;
        public ulong UserAddress;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct CqOffsets
    {
        public uint Head, Tail, RingMask, RingEntries, Overflow, Cqes, Flags, Reserved;
        public ulong UserAddress;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Params
    {
        public uint SqEntries, CqEntries, Flags, SqThreadCpu, SqThreadIdle, Features, WqFd;
        public fixed uint Reserved[3];
        public SqOffsets Sq;
        public CqOffsets Cq;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct GetEventsArg
    {
        public ulong SigMask;
        public uint SigMaskSize, MinWaitMicroseconds;
        public ulong Timeout;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceRegister
    {
        public uint Count, Flags;
        public ulong Reserved, Data, Tags;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct FilesUpdate
    {
        public uint Offset, Reserved;
        public ulong Fds;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceUpdate
    {
        public uint Offset, Reserved;
        public ulong Data;
    }

    /// <summary>struct io_uring_sync_cancel_reg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SyncCancel
    {
        public ulong Address;
        public int Fd;
        public uint Flags;
        public Timespec Timeout;
        public fixed ulong Reserved[4];
    }

    /// <summary>struct io_uring_buf_reg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct BufferRingRegister
    {
        public ulong Address;
        public uint Count;
        public ushort Group, Flags;
        public fixed ulong Reserved[3];
    }

    /// <summary>struct io_uring_getevents_arg.</summary>
    public struct GetEventsArgument
    {
        public ulong SignalMask;
        public uint SignalMaskBytes, MinWaitMicroseconds;
        public ulong Timespec;
    }

    /// <summary>struct __kernel_timespec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Timespec
    {
        public long Seconds, Nanoseconds;
    }

    /// <summary>struct open_how (openat2(2)).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct OpenHow
    {
        public ulong Flags, Mode, Resolve;
    }

    // x86-64 and arm64 share these numbers.
    private const long SysSetup = 425, SysEnter = 426, SysRegister = 427;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long Syscall3(long number, long a, long b, long c);

    // Entering can block for long, so the thread must be seen as in native code by the GC: no SuppressGCTransition here.
    // No SetLastError either: errno is read where the call failed, not saved and cleared around every call. The runtime keeps
    // errno across its own work between the two.
    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long Syscall6(long number, long a, long b, long c, long d, long e, long f);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int MUnmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseFd(int fd);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteFd(int fd, void* data, nuint length);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFd(int fd, void* data, nuint length);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenPath(string path, int flags, uint mode);

    /// <summary>A new ring's descriptor, or -errno.</summary>
    public static int Setup(uint entries, Params* parameters) => (int)OrErrno(Syscall3(SysSetup, entries, (long)parameters, 0));

    /// <summary>Entries submitted, or -errno.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Enter(int fd, uint submit, uint wait, uint flags, void* argument, nuint argumentSize)
    {
        var result = Syscall6(SysEnter, fd, submit, wait, flags, (long)argument, (long)argumentSize);
        return result >= 0 ? (int)result : -Marshal.GetLastSystemError();
    }

    /// <summary>What the registration returns, or -errno.</summary>
    public static int Register(int fd, uint opcode, void* argument, uint count) =>
        Syscall6(SysRegister, fd, opcode, (long)argument, count, 0, 0) is var result and >= 0 ? (int)result : -Marshal.GetLastSystemError();

    /// <summary>Shared, populated memory of a ring, or -errno as a negative number.</summary>
    public static nint Map(int fd, nuint length, long offset)
    {
        const int readWrite = 3, sharedPopulate = 0x8001;
        var address = MMap(0, length, readWrite, sharedPopulate, fd, offset);
        return address == -1 ? -Marshal.GetLastPInvokeError() : address;
    }

    public static void Unmap(nint address, nuint length) => MUnmap(address, length);

    public static void Close(int fd) => CloseFd(fd);

    /// <summary>A close-on-exec event counter, or -errno.</summary>
    /// <param name="flags">EFD_* besides.</param>
    public static int CreateEvent(int flags = 0)
    {
        const int closeOnExec = 0x80000;
        return (int)OrErrno(EventFd(0, closeOnExec | flags));
    }

    public static void Signal(int eventFd)
    {
        ulong one = 1;
        // Can only fail when the counter is full, and then the reader is awake already.
        WriteFd(eventFd, &one, sizeof(ulong));
    }

    /// <summary>Sets a non-blocking event counter back to zero.</summary>
    public static void TakeSignal(int eventFd)
    {
        ulong count;
        // Fails where it is zero already.
        ReadFd(eventFd, &count, sizeof(ulong));
    }

    /// <summary>A descriptor, or -errno.</summary>
    public static int Open(string path, int flags, uint mode = 0) => (int)OrErrno(OpenPath(path, flags, mode));

    private static long OrErrno(long result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;
}
