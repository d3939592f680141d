using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>
/// A submission queue entry as the kernel lays it out (<c>struct io_uring_sqe</c>, include/uapi/linux/io_uring.h). Fields
/// that the kernel overlays by operation have the name of their most frequent use.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
public struct Sqe
{
    /// <summary>The operation.</summary>
    [FieldOffset(0)] public IoUringOp Opcode;
    /// <summary>IOSQE_* flags.</summary>
    [FieldOffset(1)] public SqeFlags Flags;
    /// <summary>I/O priority, or operation flags of accept and send/receive.</summary>
    [FieldOffset(2)] public ushort IoPriority;
    /// <summary>File descriptor, or index of a registered file with <see cref="SqeFlags.FixedFile"/>.</summary>
    [FieldOffset(4)] public int Fd;
    /// <summary>File offset, second address, or timeout count.</summary>
    [FieldOffset(8)] public ulong Offset;
    /// <summary>Address of the buffer, path or argument.</summary>
    [FieldOffset(16)] public ulong Address;
    /// <summary>Buffer length, number of vectors, or file mode.</summary>
    [FieldOffset(24)] public uint Length;
    /// <summary>Flags of the operation: open flags, timeout flags, cancel flags, message flags ….</summary>
    [FieldOffset(28)] public uint OpFlags;
    /// <summary>Comes back in the completion.</summary>
    [FieldOffset(32)] public ulong UserData;
    /// <summary>Registered buffer index or buffer group.</summary>
    [FieldOffset(40)] public ushort BufferIndex;
    /// <summary>Credentials; not used here.</summary>
    [FieldOffset(42)] public ushort Personality;
    /// <summary>Direct descriptor to open into, plus 1; or splice's input descriptor.</summary>
    [FieldOffset(44)] public uint FileIndex;
    /// <summary>Third address.</summary>
    [FieldOffset(48)] public ulong Address3;
    /// <summary>Reserved, zero.</summary>
    [FieldOffset(56)] public ulong Padding;
}

/// <summary>A completion queue entry (<c>struct io_uring_cqe</c>).</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
public struct Cqe
{
    /// <summary>What the submission carried.</summary>
    [FieldOffset(0)] public ulong UserData;
    /// <summary>The result: a count, a descriptor, or -errno.</summary>
    [FieldOffset(8)] public int Result;
    /// <summary>IORING_CQE_F_*.</summary>
    [FieldOffset(12)] public CqeFlags Flags;
    // The result in the lower half, the flags in the upper.
    [FieldOffset(8)] internal readonly ulong Outcome;
}

/// <summary>IOSQE_* (io_uring_enter(2)).</summary>
[Flags]
public enum SqeFlags : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>Fd is an index into the registered files.</summary>
    FixedFile = 1,
    /// <summary>Start after everything before it has completed.</summary>
    Drain = 2,
    /// <summary>The next entry starts only if this one succeeds. A short read breaks the link.</summary>
    Link = 4,
    /// <summary>As Link, but not broken by failure.</summary>
    HardLink = 8,
    /// <summary>Always on a worker thread.</summary>
    Async = 16,
    /// <summary>Take a buffer of the group BufferIndex.</summary>
    BufferSelect = 32,
    /// <summary>No completion on success.</summary>
    CqeSkipSuccess = 64,
}

/// <summary>IORING_CQE_F_*.</summary>
[Flags]
public enum CqeFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>The upper 16 bits are the id of the provided buffer.</summary>
    Buffer = 1,
    /// <summary>More completions of this submission will come.</summary>
    More = 2,
    /// <summary>The socket has more to read.</summary>
    SocketNonEmpty = 4,
    /// <summary>The notification of a zero-copy send: the memory may be used again.</summary>
    Notification = 8,
    /// <summary>The provided buffer was used in part and stays with the application's next completion.</summary>
    BufferMore = 16,
}

/// <summary>IORING_OP_*.</summary>
public enum IoUringOp : byte
{
#pragma warning disable CS1591 // the operations are documented by io_uring_enter(2) under the same names
    Nop, ReadV, WriteV, FSync, ReadFixed, WriteFixed, PollAdd, PollRemove, SyncFileRange, SendMsg, RecvMsg, Timeout,
    TimeoutRemove, Accept, AsyncCancel, LinkTimeout, Connect, FAllocate, OpenAt, Close, FilesUpdate, StatX, Read, Write,
    FAdvise, MAdvise, Send, Recv, OpenAt2, EpollCtl, Splice, ProvideBuffers, RemoveBuffers, Tee, Shutdown, RenameAt,
    UnlinkAt, MkdirAt, SymlinkAt, LinkAt, MsgRing, FSetXAttr, SetXAttr, FGetXAttr, GetXAttr, Socket, UringCmd, SendZc,
    SendMsgZc, ReadMultishot, WaitId, FutexWait, FutexWake, FutexWaitV, FixedFdInstall, FTruncate, Bind, Listen, RecvZc,
    EpollWait, ReadVFixed, WriteVFixed, Pipe,
#pragma warning restore CS1591

    /// <summary>Not the kernel's: a program as an operation of a chain (URING_OP_PROGRAM, <see cref="UringOp.RunProgram"/>).</summary>
    Program = 255,
}
