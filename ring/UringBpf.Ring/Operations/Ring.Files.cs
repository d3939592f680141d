using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace UringBpf.Ring;

// Reading, writing and what is done to an open file. Each gives the result, or -errno.
public sealed unsafe partial class Ring
{
    /// <summary>IORING_OP_NOP.</summary>
    public ValueTask<int> NopAsync(CancellationToken cancellationToken = default) => Start(Prepare.Nop(), default, cancellationToken);

    /// <summary>
    /// A NOP that completes with any result (IORING_NOP_INJECT_RESULT, Linux 6.13): for tests of what follows a completion.
    /// -EINVAL on older kernels.
    /// </summary>
    public ValueTask<int> NopAsync(int injectedResult, CancellationToken cancellationToken = default) =>
        Start(Prepare.Nop(injectedResult), default, cancellationToken);

    /// <summary>IORING_OP_READ: bytes read, 0 at the end of the file.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel: the result is then -ECANCELED, or the operation's own when that came first.</param>
    public ValueTask<int> ReadAsync(SafeHandle file, Memory<byte> buffer, long offset, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(Prepare.Read(FileToCome, pin.Pointer, (uint)buffer.Length, (ulong)offset), new HostMemory { File = file, Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_WRITE: bytes written.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> WriteAsync(SafeHandle file, ReadOnlyMemory<byte> buffer, long offset, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(Prepare.Write(FileToCome, pin.Pointer, (uint)buffer.Length, (ulong)offset), new HostMemory { File = file, Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_READV into two buffers, one after the other: bytes read.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="first">Pinned until the operation completes.</param>
    /// <param name="second">As <paramref name="first"/>.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> ReadVAsync(SafeHandle file, Memory<byte> first, Memory<byte> second, long offset, CancellationToken cancellationToken = default) =>
        Vectors(IoUringOp.ReadV, file, first, second, offset, cancellationToken);

    /// <summary>IORING_OP_WRITEV of two buffers, one after the other: bytes written.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="first">Pinned until the operation completes.</param>
    /// <param name="second">As <paramref name="first"/>.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> WriteVAsync(SafeHandle file, ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second, long offset, CancellationToken cancellationToken = default) =>
        Vectors(IoUringOp.WriteV, file, first, second, offset, cancellationToken);

    private ValueTask<int> Vectors(IoUringOp opcode, SafeHandle file, ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second, long offset, CancellationToken cancellationToken)
    {
        var (pin, secondPin) = (first.Pin(), second.Pin());
        var vectors = (IoVector*)NativeMemory.Alloc(2, (nuint)sizeof(IoVector));
        vectors[0] = new IoVector((nint)pin.Pointer, (nuint)first.Length);
        vectors[1] = new IoVector((nint)secondPin.Pointer, (nuint)second.Length);
        return Start(Prepare.ReadV(FileToCome, vectors, 2, (ulong)offset) with { Opcode = opcode },
            new HostMemory { File = file, Pin = pin, SecondPin = secondPin, Native = (byte*)vectors }, cancellationToken);
    }

    /// <summary>IORING_OP_FSYNC.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> FSyncAsync(SafeHandle file, CancellationToken cancellationToken = default) => FSyncAsync(file, false, cancellationToken);

    /// <summary>IORING_OP_FSYNC, of the data alone on request (fdatasync).</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="dataOnly">True to leave out metadata that reading the data back does not need.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> FSyncAsync(SafeHandle file, bool dataOnly, CancellationToken cancellationToken = default) =>
        Start(Prepare.FSync(FileToCome, dataOnly ? 1u : 0), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_SYNC_FILE_RANGE; SYNC_FILE_RANGE_* flags (1 wait before, 2 write, 4 wait after).</summary>
    public ValueTask<int> SyncFileRangeAsync(SafeHandle file, long offset, uint length, uint flags, CancellationToken cancellationToken = default) =>
        Start(Prepare.SyncFileRange(FileToCome, length, (ulong)offset, flags), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_FALLOCATE; FALLOC_FL_* mode (1 keep the size, 2 punch a hole, …).</summary>
    public ValueTask<int> FAllocateAsync(SafeHandle file, long offset, long length, uint mode = 0, CancellationToken cancellationToken = default) =>
        Start(Prepare.FAllocate(FileToCome, mode, (ulong)offset, (ulong)length), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_FTRUNCATE (Linux 6.9) to a length in bytes.</summary>
    public ValueTask<int> FTruncateAsync(SafeHandle file, long length, CancellationToken cancellationToken = default) =>
        Start(Prepare.FTruncate(FileToCome, (ulong)length), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_FADVISE; POSIX_FADV_* advice (2 sequential, 3 will need, 4 don't need, …).</summary>
    public ValueTask<int> FAdviseAsync(SafeHandle file, long offset, uint length, uint advice, CancellationToken cancellationToken = default) =>
        Start(Prepare.FAdvise(FileToCome, (ulong)offset, length, advice), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_MADVISE of memory that the caller keeps mapped; MADV_* advice.</summary>
    public ValueTask<int> MAdviseAsync(void* address, uint length, uint advice, CancellationToken cancellationToken = default) =>
        Start(Prepare.MAdvise(address, length, advice), default, cancellationToken);

    /// <summary>IORING_OP_CLOSE of a descriptor the caller owns.</summary>
    public ValueTask<int> CloseAsync(int fd, CancellationToken cancellationToken = default) => Start(Prepare.Close(fd), default, cancellationToken);

    /// <summary>IORING_OP_FGETXATTR: bytes of the value.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="name">Such as <c>user.comment</c>.</param>
    /// <param name="value">Pinned until the operation completes; empty to ask for the length.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> FGetXAttrAsync(SafeHandle file, string name, Memory<byte> value, CancellationToken cancellationToken = default)
    {
        var text = Text(name);
        var pin = value.Pin();
        return Start(Prepare.FGetXAttr(FileToCome, text, pin.Pointer, (uint)value.Length), new HostMemory { File = file, Pin = pin, Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_FSETXATTR.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="name">Such as <c>user.comment</c>.</param>
    /// <param name="value">Pinned until the operation completes.</param>
    /// <param name="flags">XATTR_CREATE 1, XATTR_REPLACE 2.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> FSetXAttrAsync(SafeHandle file, string name, ReadOnlyMemory<byte> value, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var text = Text(name);
        var pin = value.Pin();
        return Start(Prepare.FSetXAttr(FileToCome, text, pin.Pointer, (uint)value.Length, flags), new HostMemory { File = file, Pin = pin, Native = text }, cancellationToken);
    }

    // NUL-terminated UTF-8 in native memory, freed with the operation.
    private static byte* Text(string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var memory = (byte*)NativeMemory.Alloc((nuint)length + 1);
        Write(text, memory, length);
        return memory;
    }

    // Two strings, one behind the other. Both are looked at before there is memory: what is missing is refused.
    private static byte* Text(string text, string other, out byte* second)
    {
        var (length, otherLength) = (Encoding.UTF8.GetByteCount(text), Encoding.UTF8.GetByteCount(other));
        var memory = (byte*)NativeMemory.Alloc((nuint)length + (nuint)otherLength + 2);
        second = memory + length + 1;
        Write(text, memory, length);
        Write(other, second, otherLength);
        return memory;
    }

    private static void Write(string text, byte* memory, int length)
    {
        Encoding.UTF8.GetBytes(text, new Span<byte>(memory, length));
        memory[length] = 0;
    }
}
