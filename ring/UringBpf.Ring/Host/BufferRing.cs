using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// A group of buffers that the kernel picks from when data has arrived (IORING_REGISTER_PBUF_RING, Linux 5.19): many
/// receives can wait without a buffer each. Thread-safe. The memory belongs to it and is freed with it, after the operations that
/// use it have ended.
/// </summary>
public sealed class BufferRing : IAsyncDisposable
{
    // Where struct io_uring_buf_ring has its tail: in the padding of the first entry.
    private const int TailOffset = 14;

    private readonly Ring _ring;
    private readonly Lock _gate = new();
    private unsafe readonly BufferEntry* _entries;
    private unsafe readonly byte* _memory;
    private readonly uint[] _consumed;
    private ushort _tail;
    private int _disposed;

    [StructLayout(LayoutKind.Sequential)]
    private struct BufferEntry
    {
        public ulong Address;
        public uint Length;
        public ushort Id;
        public ushort Tail;
    }

    internal unsafe BufferRing(Ring ring, ushort group, int count, int bytes, bool incremental)
    {
        const int pageBytes = 4096;
        _ring = ring;
        Group = group;
        Count = count;
        BufferBytes = bytes;
        Incremental = incremental;
        _consumed = new uint[count];
        _entries = (BufferEntry*)NativeMemory.AlignedAlloc((nuint)count * (nuint)sizeof(BufferEntry), pageBytes);
        NativeMemory.Clear(_entries, (nuint)count * (nuint)sizeof(BufferEntry));
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)count * (nuint)bytes, pageBytes);
        NativeMemory.Clear(_memory, (nuint)count * (nuint)bytes);
        for (var id = 0; id < count; id++) Add((ushort)id);
        Publish();
    }

    /// <summary>The group's number: what an entry with <see cref="SqeFlags.BufferSelect"/> has in <see cref="Sqe.BufferIndex"/>.</summary>
    public ushort Group { get; }

    /// <summary>Buffers.</summary>
    public int Count { get; }

    /// <summary>Bytes of each.</summary>
    public int BufferBytes { get; }

    /// <summary>True when the kernel fills a buffer piece by piece over several completions (IOU_PBUF_RING_INC, Linux 6.12).</summary>
    public bool Incremental { get; }

    internal unsafe nint Entries => (nint)_entries;

    /// <summary>
    /// The bytes that a completion brought. With <see cref="Incremental"/> the place moves on with each completion of the
    /// buffer, so it must be asked for once for each, in their order.
    /// </summary>
    /// <param name="shot">A completion with <see cref="CqeFlags.Buffer"/>.</param>
    /// <exception cref="ArgumentException">It has no buffer.</exception>
    /// <exception cref="ObjectDisposedException">The group was disposed.</exception>
    public unsafe Span<byte> Take(in Shot shot)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (shot.BufferId < 0 || shot.BufferId >= Count || shot.Result < 0) throw new ArgumentException("The completion has no buffer.", nameof(shot));
        var bytes = (uint)shot.Result;
        var offset = Advance(shot.BufferId, bytes, shot.Flags);
        return new Span<byte>(Memory(shot.BufferId) + offset, (int)Math.Min(bytes, (uint)BufferBytes - offset));
    }

    /// <summary>Gives a buffer back to the kernel. With <see cref="Incremental"/>, only after a completion without <see cref="CqeFlags.BufferMore"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such buffer.</exception>
    public void Return(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, Count);
        lock (_gate)
        {
            // Not when its end was asked for: that may be refused, and the buffer would be lost.
            if (Freed) return;
            _consumed[id] = 0;
            Add((ushort)id);
            Publish();
        }
    }

    /// <summary>Ends the group and frees its memory. Operations that use it must have ended.</summary>
    /// <exception cref="BpfException">UB4515 when an operation of the host that uses it is in flight: it stays as it is.</exception>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        try
        {
            var ended = await _ring.EndRegistration(() =>
            {
                if (_ring.Uses(this)) throw new BpfException("UB4515", "an operation that receives into these buffers is in flight: dispose them after it.");
                _ring.Unregister(this);
            }).ConfigureAwait(false);
            if (!ended) return;
        }
        catch (BpfException)
        {
            Volatile.Write(ref _disposed, 0);
            throw;
        }
        lock (_gate) Free();
    }

    /// <summary>A completion that nobody takes: its buffer goes back, or is passed over as far as it was filled.</summary>
    internal void Drop(in Shot shot)
    {
        if (shot.BufferId < 0 || shot.BufferId >= Count) return;
        Advance(shot.BufferId, (uint)Math.Max(shot.Result, 0), shot.Flags);
        if ((shot.Flags & CqeFlags.BufferMore) == 0) Return(shot.BufferId);
    }

    // Where in its buffer the bytes of a completion begin: never past its end, whatever completions claim.
    private uint Advance(int id, uint bytes, CqeFlags flags)
    {
        if (!Incremental) return 0;
        var offset = _consumed[id];
        _consumed[id] = (flags & CqeFlags.BufferMore) != 0 ? (uint)Math.Min(offset + (ulong)bytes, (ulong)BufferBytes) : 0;
        return offset;
    }

    /// <summary>The buffer that an address is in, or -1.</summary>
    internal unsafe int IdAt(byte* address)
    {
        var offset = (nuint)(address - _memory);
        return address != null && offset < (nuint)Count * (nuint)BufferBytes ? (int)(offset / (nuint)BufferBytes) : -1;
    }

    internal unsafe byte* Memory(int id) => _memory + (nuint)id * (nuint)BufferBytes;

    /// <summary>Its memory is given back.</summary>
    internal bool Freed { get; private set; }

    internal unsafe void Free()
    {
        Freed = true;
        NativeMemory.AlignedFree(_entries);
        NativeMemory.AlignedFree(_memory);
    }

    private unsafe void Add(ushort id)
    {
        var entry = _entries + (_tail & (Count - 1));
        entry->Address = (ulong)Memory(id);
        entry->Length = (uint)BufferBytes;
        entry->Id = id;
        _tail++;
    }

    private unsafe void Publish() => Volatile.Write(ref Unsafe.AsRef<ushort>((byte*)_entries + TailOffset), _tail);
}

public sealed partial class Ring
{
    private const int BufferGroups = 1 << 16;

    // By the number of the group. The ring's thread adds and removes.
    private readonly ConcurrentDictionary<ushort, BufferRing> _bufferRings = [];

    /// <summary>Makes a group of buffers that the kernel picks from (IORING_REGISTER_PBUF_RING).</summary>
    /// <param name="count">Buffers: a power of two, at most 32768.</param>
    /// <param name="bytes">Bytes of each.</param>
    /// <param name="incremental">True to fill a buffer piece by piece (Linux 6.12).</param>
    /// <exception cref="BpfException">UB4511 when a number is out of range; UB4515 when the kernel or back end refuses, with the cause; UB4503 when the ring is shut down.</exception>
    public async ValueTask<BufferRing> CreateBufferRingAsync(int count, int bytes, bool incremental = false)
    {
        if (count is < 1 or > 32768 || (count & (count - 1)) != 0 || bytes < 1 || (long)count * bytes > 1L << 32)
            throw new BpfException("UB4511", $"{count} provided buffers of {bytes} bytes: their number is a power of two up to 32,768, and all are at most 4 GiB.");
        BufferRing? created = null;
        await RunOnOwner(() => created = Register(count, bytes, incremental)).ConfigureAwait(false);
        return created!;
    }

    private BufferRing Register(int count, int bytes, bool incremental)
    {
        var group = 0;
        while (group < BufferGroups && _bufferRings.ContainsKey((ushort)group)) group++;
        if (group == BufferGroups) throw new BpfException("UB4515", "the ring has no buffer group left.");
        var buffers = new BufferRing(this, (ushort)group, count, bytes, incremental);
        var result = _backend.RegisterBufferRing(buffers.Entries, (uint)count, (ushort)group, incremental);
        if (result < 0)
        {
            buffers.Free();
            throw new BpfException("UB4515", $"a ring of provided buffers is refused ({Errno.Name(-result)}){(result == -Errno.Inval && incremental ? "; filling them piece by piece needs Linux 6.12" : "")}.");
        }
        _bufferRings[buffers.Group] = buffers;
        return buffers;
    }

    /// <summary>True when an operation of the host picks from these buffers.</summary>
    internal bool Uses(BufferRing buffers) =>
        _hostWaiting.Exists(host => host != null && (host.Entry.Flags & SqeFlags.BufferSelect) != 0 && host.Entry.BufferIndex == buffers.Group);

    internal void Unregister(BufferRing buffers)
    {
        _backend.UnregisterBufferRing(buffers.Group);
        _bufferRings.TryRemove(buffers.Group, out _);
    }
}
