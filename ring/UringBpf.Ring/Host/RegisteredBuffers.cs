using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// Memory that the kernel keeps mapped (IORING_REGISTER_BUFFERS2): reads and writes with it save the kernel the pinning of its
/// pages each time. Counts against RLIMIT_MEMLOCK. One set for each ring. The memory belongs to it and is freed with it, after the operations
/// that use it have ended.
/// </summary>
public sealed class RegisteredBuffers : IAsyncDisposable
{
    private readonly Ring _ring;
    private unsafe readonly byte* _memory;
    private int _disposed;

    internal unsafe RegisteredBuffers(Ring ring, int count, int bytes)
    {
        const int pageBytes = 4096;
        _ring = ring;
        Count = count;
        BufferBytes = bytes;
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)count * (nuint)bytes, pageBytes);
        NativeMemory.Clear(_memory, (nuint)count * (nuint)bytes);
    }

    /// <summary>Buffers.</summary>
    public int Count { get; }

    /// <summary>Bytes of each.</summary>
    public int BufferBytes { get; }

    /// <summary>One of the buffers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such buffer.</exception>
    public unsafe Span<byte> this[int index] => new(Address(index, 0, 0), BufferBytes);

    /// <summary>IORING_OP_READ_FIXED: bytes read into a buffer.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="buffer">Which buffer.</param>
    /// <param name="start">Offset in it, in bytes.</param>
    /// <param name="length">Bytes to read.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">As for <see cref="Ring.ReadAsync"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not within the buffer.</exception>
    public unsafe ValueTask<int> ReadAsync(SafeHandle file, int buffer, int start, int length, long offset, CancellationToken cancellationToken = default) =>
        _ring.StartFixed(Prepare.ReadFixed(Ring.FileToCome, Address(buffer, start, length), (uint)length, (ulong)offset, (ushort)buffer), file, cancellationToken);

    /// <summary>IORING_OP_WRITE_FIXED: bytes written from a buffer; parameters as <see cref="ReadAsync"/>.</summary>
    public unsafe ValueTask<int> WriteAsync(SafeHandle file, int buffer, int start, int length, long offset, CancellationToken cancellationToken = default) =>
        _ring.StartFixed(Prepare.WriteFixed(Ring.FileToCome, Address(buffer, start, length), (uint)length, (ulong)offset, (ushort)buffer), file, cancellationToken);

    /// <summary>Ends the registration and frees the memory. Operations that use it must have ended.</summary>
    /// <exception cref="BpfException">UB4515 when an operation that uses it is in flight: it stays as it is.</exception>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        try
        {
            if (!await _ring.EndRegistration(_ring.UnregisterBuffers).ConfigureAwait(false)) return;
        }
        catch (BpfException)
        {
            Volatile.Write(ref _disposed, 0);
            throw;
        }
        Free();
    }

    /// <summary>Its memory is given back.</summary>
    internal bool Freed { get; private set; }

    internal unsafe void Free()
    {
        Freed = true;
        NativeMemory.AlignedFree(_memory);
    }

    internal unsafe byte* Address(int index, int start, int length)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)start + length, BufferBytes, nameof(length));
        return _memory + (nuint)index * (nuint)BufferBytes + start;
    }
}

public sealed partial class Ring
{
    /// <summary>Registers memory with the kernel for <see cref="RegisteredBuffers.ReadAsync"/> and WriteAsync.</summary>
    /// <param name="count">Buffers, at most 16,384.</param>
    /// <param name="bytes">Bytes of each, at most 1 GiB.</param>
    /// <exception cref="BpfException">UB4511 when a number is out of range; UB4515 when the kernel or back end refuses, with the cause; UB4503 when the ring is shut down.</exception>
    public async ValueTask<RegisteredBuffers> RegisterBuffersAsync(int count, int bytes)
    {
        if (count is < 1 or > 16_384 || bytes is < 1 or > 1 << 30) throw new BpfException("UB4511", $"{count} registered buffers of {bytes} bytes: at most 16,384, of 1 GiB each.");
        var buffers = new RegisteredBuffers(this, count, bytes);
        try
        {
            await RunOnOwner(() => Register(buffers)).ConfigureAwait(false);
            return buffers;
        }
        catch
        {
            buffers.Free();
            throw;
        }
    }

    private unsafe void Register(RegisteredBuffers buffers)
    {
        var vectors = new IoVector[buffers.Count];
        for (var i = 0; i < vectors.Length; i++) vectors[i] = new IoVector((nint)buffers.Address(i, 0, 0), (nuint)buffers.BufferBytes);
        fixed (IoVector* first = vectors)
        {
            var result = _backend.RegisterBuffers(first, (uint)vectors.Length);
            if (result >= 0) return;
            var cause = -result switch
            {
                Errno.NoMem => "; RLIMIT_MEMLOCK is too low for them",
                Errno.Busy => "; the ring has registered buffers already",
                _ => "",
            };
            throw new BpfException("UB4515", $"registered buffers are refused ({Errno.Name(-result)}){cause}.");
        }
    }

    /// <summary>Ends a registration of memory that the kernel writes to, on the owner.</summary>
    /// <param name="end">Ends it, or throws: then all stays as it is.</param>
    /// <returns>True when the memory may be freed: also when the ring is gone, and with it what could still write there; but one that
    /// failed may have left operations behind it.</returns>
    internal async ValueTask<bool> EndRegistration(Action end)
    {
        try
        {
            await RunOnOwner(end).ConfigureAwait(false);
            return true;
        }
        catch (BpfException shutDown) when (shutDown.Code == "UB4503")
        {
            return !Failed;
        }
    }

    internal void UnregisterBuffers()
    {
        if (_hostWaiting.Exists(host => host != null && UsesRegisteredBuffers(host.Entry)))
            throw new BpfException("UB4515", "an operation on these registered buffers is in flight: dispose them after it.");
        _backend.UnregisterBuffers();
    }

    private static bool UsesRegisteredBuffers(in Sqe entry) => entry.Opcode switch
    {
        IoUringOp.ReadFixed or IoUringOp.WriteFixed or IoUringOp.ReadVFixed or IoUringOp.WriteVFixed => true,
        IoUringOp.Send or IoUringOp.SendZc or IoUringOp.SendMsgZc => (entry.IoPriority & Prepare.FixedBuffer) != 0,
        _ => false,
    };

    internal ValueTask<int> StartFixed(in Sqe entry, SafeHandle file, CancellationToken cancellationToken) =>
        Start(entry, new HostMemory { File = file }, cancellationToken);
}
