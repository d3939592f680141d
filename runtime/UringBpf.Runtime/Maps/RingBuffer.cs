using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>
/// What programs do with ring buffers (<c>kernel/bpf/ringbuf.c</c>): records of any length from many producers, in order of
/// reservation, to one consumer. Producers take a short lock to reserve, none to submit; nothing waits for the consumer.
/// </summary>
/// <remarks>
/// A record that reaches past the end of the data area goes on in an overflow area behind it instead of wrapping, so every
/// record is contiguous (the kernel maps its pages twice for that). Nothing is ever read at the wrapped position.
/// </remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class RingBufferOps
{
    internal const uint BusyBit = 1u << 31, DiscardBit = 1u << 30;
    internal const int RecordHeaderBytes = 8;
    private const ulong NoWakeup = 1, ForceWakeup = 2;
    private const ulong MaxRecordBytes = uint.MaxValue / 4;

    /// <summary>Behind the map's header; the data area of size bytes and an overflow area of the same size follow.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Buffer
    {
        public const int DataAt = 192;

        public ulong Mask;
        public MapHeader* Map;
        private fixed byte _pad0[48];
        public ulong Producer;
        public int Lock;
        private fixed byte _pad1[52];
        public ulong Consumer;
        /// <summary>1 while a consumer waits to be told of a record.</summary>
        public int Armed;
    }

    /// <summary>bpf_ringbuf_reserve: address of the record's bytes, or 0 when it does not fit or flags are not 0.</summary>
    public static ulong Reserve(ulong map, ulong size, ulong flags) => flags == 0 ? (ulong)Reserve((Buffer*)((MapHeader*)map)->Data, size) : 0;

    /// <summary>bpf_ringbuf_submit</summary>
    public static ulong Submit(ulong record, ulong flags)
    {
        Commit((byte*)record, 0, flags);
        return 0;
    }

    /// <summary>bpf_ringbuf_discard</summary>
    public static ulong Discard(ulong record, ulong flags)
    {
        Commit((byte*)record, DiscardBit, flags);
        return 0;
    }

    /// <summary>bpf_ringbuf_output: 0, -EAGAIN when it does not fit, -EINVAL for unknown flags.</summary>
    public static ulong Output(ulong map, ulong data, ulong size, ulong flags)
    {
        if ((flags & ~(NoWakeup | ForceWakeup)) != 0) return Errno.Status(Errno.EINVAL);
        var record = Reserve((Buffer*)((MapHeader*)map)->Data, size);
        if (record == null) return Errno.Status(Errno.EAGAIN);
        Unsafe.CopyBlockUnaligned(record, (byte*)data, (uint)size);
        Commit(record, 0, flags);
        return 0;
    }

    /// <summary>bpf_ringbuf_query: bytes available (0), size (1), consumer position (2), producer position (3), else 0.</summary>
    public static ulong Query(ulong map, ulong what)
    {
        var buffer = (Buffer*)((MapHeader*)map)->Data;
        var consumer = Volatile.Read(ref buffer->Consumer);
        return what switch
        {
            0 => Volatile.Read(ref buffer->Producer) - consumer,
            1 => buffer->Mask + 1,
            2 => consumer,
            3 => Volatile.Read(ref buffer->Producer),
            _ => 0,
        };
    }

    /// <summary>The record at the consumer's position once it is complete, discarded ones passed over; null when there is none.
    /// One consumer at a time.</summary>
    internal static byte* Peek(Buffer* buffer, out uint length)
    {
        while (true)
        {
            var consumer = buffer->Consumer;
            length = 0;
            if (consumer == Volatile.Read(ref buffer->Producer)) return null;
            var header = (uint*)Data(buffer, consumer);
            length = Volatile.Read(ref *header);
            if ((length & BusyBit) != 0) return null;
            if ((length & DiscardBit) == 0) return (byte*)header + RecordHeaderBytes;
            Release(buffer, length & ~DiscardBit);
        }
    }

    /// <summary>Gives the room of the record at the consumer's position back to producers.</summary>
    internal static void Release(Buffer* buffer, uint length) => Volatile.Write(ref buffer->Consumer, buffer->Consumer + Occupied(length));

    /// <summary>The byte at a position.</summary>
    internal static byte* Data(Buffer* buffer, ulong position) => (byte*)buffer + Buffer.DataAt + (position & buffer->Mask);

    private static byte* Reserve(Buffer* buffer, ulong size)
    {
        if (size > MaxRecordBytes || Occupied(size) > buffer->Mask + 1) return null;
        ValueMemory.Acquire(&buffer->Lock);
        var producer = buffer->Producer;
        var next = producer + Occupied(size);
        if (next - Volatile.Read(ref buffer->Consumer) > buffer->Mask)
        {
            ValueMemory.Release(&buffer->Lock);
            return null;
        }
        var header = (uint*)Data(buffer, producer);
        header[0] = (uint)size | BusyBit;
        // How submit finds the buffer again: the distance in 8-byte units.
        header[1] = (uint)(((byte*)header - (byte*)buffer) / 8);
        Volatile.Write(ref buffer->Producer, next);
        ValueMemory.Release(&buffer->Lock);
        return (byte*)header + RecordHeaderBytes;
    }

    private static void Commit(byte* record, uint discard, ulong flags)
    {
        var header = (uint*)(record - RecordHeaderBytes);
        var buffer = (Buffer*)((byte*)header - header[1] * 8UL);
        // A full fence between publishing the record and looking for a waiting consumer; the consumer does the reverse.
        Interlocked.Exchange(ref header[0], (header[0] & ~BusyBit) | discard);
        if ((flags & NoWakeup) == 0 && Volatile.Read(ref buffer->Armed) != 0 && Interlocked.Exchange(ref buffer->Armed, 0) != 0) Wake(buffer->Map);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Wake(MapHeader* header) => (GCHandle.FromIntPtr(header->Managed).Target as RingBufferMap)?.Signal();

    private static ulong Occupied(ulong size) => (size + RecordHeaderBytes + 7) & ~7UL;
}
