namespace UringBpf.Ring;

/// <summary>
/// Fills in submission queue entries, by the names and argument order of liburing's <c>io_uring_prep_*</c>. Descriptors and
/// addresses are raw: the caller keeps what they name alive until the operation has completed. Send them with
/// <see cref="Ring.SubmitAsync(in Sqe, CancellationToken)"/> or a <see cref="RingBatch"/>; the named <c>*Async</c> methods of
/// <see cref="Ring"/> own handles, paths and pins themselves.
/// </summary>
public static unsafe partial class Prepare
{
    /// <summary>The working directory, where a directory descriptor is asked for (AT_FDCWD).</summary>
    public const int CurrentDirectory = -100;

    private static Sqe Entry(IoUringOp opcode, int fd, void* address, uint length, ulong offset, uint flags = 0) =>
        new() { Opcode = opcode, Fd = fd, Address = (ulong)address, Length = length, Offset = offset, OpFlags = flags };

    /// <summary>IORING_OP_NOP.</summary>
    public static Sqe Nop() => Entry(IoUringOp.Nop, -1, null, 0, 0);

    /// <summary>IORING_OP_NOP that completes with any result (IORING_NOP_INJECT_RESULT, Linux 6.13).</summary>
    public static Sqe Nop(int injectedResult) => Entry(IoUringOp.Nop, -1, null, (uint)injectedResult, 0, 1);

    /// <summary>IORING_OP_READ.</summary>
    public static Sqe Read(int fd, void* buffer, uint length, ulong offset) => Entry(IoUringOp.Read, fd, buffer, length, offset);

    /// <summary>IORING_OP_WRITE.</summary>
    public static Sqe Write(int fd, void* buffer, uint length, ulong offset) => Entry(IoUringOp.Write, fd, buffer, length, offset);

    /// <summary>IORING_OP_READV.</summary>
    /// <param name="fd">Descriptor.</param>
    /// <param name="vectors">struct iovec.</param>
    /// <param name="count">Vectors.</param>
    /// <param name="offset">File offset in bytes, or <see cref="ulong.MaxValue"/> for the current position.</param>
    /// <param name="flags">RWF_*.</param>
    public static Sqe ReadV(int fd, IoVector* vectors, uint count, ulong offset, uint flags = 0) => Entry(IoUringOp.ReadV, fd, vectors, count, offset, flags);

    /// <summary>IORING_OP_WRITEV; parameters as <see cref="ReadV"/>.</summary>
    public static Sqe WriteV(int fd, IoVector* vectors, uint count, ulong offset, uint flags = 0) => Entry(IoUringOp.WriteV, fd, vectors, count, offset, flags);

    /// <summary>IORING_OP_READ_FIXED: into memory within registered buffer <paramref name="bufferIndex"/>.</summary>
    public static Sqe ReadFixed(int fd, void* buffer, uint length, ulong offset, ushort bufferIndex) =>
        Entry(IoUringOp.ReadFixed, fd, buffer, length, offset) with { BufferIndex = bufferIndex };

    /// <summary>IORING_OP_WRITE_FIXED: from memory within registered buffer <paramref name="bufferIndex"/>.</summary>
    public static Sqe WriteFixed(int fd, void* buffer, uint length, ulong offset, ushort bufferIndex) =>
        Entry(IoUringOp.WriteFixed, fd, buffer, length, offset) with { BufferIndex = bufferIndex };

    /// <summary>IORING_OP_READV_FIXED (Linux 6.15).</summary>
    public static Sqe ReadVFixed(int fd, IoVector* vectors, uint count, ulong offset, ushort bufferIndex) =>
        Entry(IoUringOp.ReadVFixed, fd, vectors, count, offset) with { BufferIndex = bufferIndex };

    /// <summary>IORING_OP_WRITEV_FIXED (Linux 6.15).</summary>
    public static Sqe WriteVFixed(int fd, IoVector* vectors, uint count, ulong offset, ushort bufferIndex) =>
        Entry(IoUringOp.WriteVFixed, fd, vectors, count, offset) with { BufferIndex = bufferIndex };

    /// <summary>IORING_OP_READ_MULTISHOT: reads again and again into buffers of a group, of a pipe or other stream.</summary>
    public static Sqe ReadMultishot(int fd, ushort bufferGroup) =>
        Entry(IoUringOp.ReadMultishot, fd, null, 0, ulong.MaxValue) with { Flags = SqeFlags.BufferSelect, BufferIndex = bufferGroup };

    /// <summary>IORING_OP_FSYNC; flags IORING_FSYNC_DATASYNC = 1.</summary>
    public static Sqe FSync(int fd, uint flags = 0) => Entry(IoUringOp.FSync, fd, null, 0, 0, flags);

    /// <summary>IORING_OP_SYNC_FILE_RANGE; SYNC_FILE_RANGE_* flags of sync_file_range(2).</summary>
    public static Sqe SyncFileRange(int fd, uint length, ulong offset, uint flags) => Entry(IoUringOp.SyncFileRange, fd, null, length, offset, flags);

    /// <summary>IORING_OP_FALLOCATE; FALLOC_FL_* mode of fallocate(2).</summary>
    public static Sqe FAllocate(int fd, uint mode, ulong offset, ulong length) => Entry(IoUringOp.FAllocate, fd, (void*)length, mode, offset);

    /// <summary>IORING_OP_FTRUNCATE.</summary>
    public static Sqe FTruncate(int fd, ulong length) => Entry(IoUringOp.FTruncate, fd, null, 0, length);

    /// <summary>IORING_OP_FADVISE; POSIX_FADV_* advice of posix_fadvise(2).</summary>
    public static Sqe FAdvise(int fd, ulong offset, uint length, uint advice) => Entry(IoUringOp.FAdvise, fd, null, length, offset, advice);

    /// <summary>IORING_OP_MADVISE; MADV_* advice of madvise(2).</summary>
    public static Sqe MAdvise(void* address, uint length, uint advice) => Entry(IoUringOp.MAdvise, -1, address, length, 0, advice);

    /// <summary>IORING_OP_CLOSE of a descriptor.</summary>
    public static Sqe Close(int fd) => Entry(IoUringOp.Close, fd, null, 0, 0);

    /// <summary>IORING_OP_CLOSE of a slot of the ring's file table.</summary>
    public static Sqe CloseDirect(uint slot) => Entry(IoUringOp.Close, 0, null, 0, 0) with { FileIndex = slot + 1 };

    /// <summary>IORING_OP_FILES_UPDATE: puts descriptors into the ring's file table; -1 empties a slot.</summary>
    public static Sqe FilesUpdate(int* descriptors, uint count, uint firstSlot) => Entry(IoUringOp.FilesUpdate, -1, descriptors, count, firstSlot);

    /// <summary>IORING_OP_FIXED_FD_INSTALL (Linux 6.8): an ordinary descriptor, close-on-exec, of a slot of the ring's file table.</summary>
    public static Sqe FixedFdInstall(int slot) => Entry(IoUringOp.FixedFdInstall, slot, null, 0, 0) with { Flags = SqeFlags.FixedFile };
}

/// <summary>struct iovec: a piece of memory.</summary>
/// <param name="Address">Its first byte.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct IoVector(nint Address, nuint Length);
