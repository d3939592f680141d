using System.ComponentModel;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>What programs do with queues and stacks (<c>kernel/bpf/queue_stack_maps.c</c>). One lock per map.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class QueueOps
{
    /// <summary>Behind the header: positions, then the elements.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Queue
    {
        public int Lock;
        /// <summary>The oldest element.</summary>
        public uint Head;
        public uint Count;
    }

    /// <summary>Bytes before the first element.</summary>
    internal const int ElementsAt = 64;

    /// <summary>bpf_map_push_elem: 0; -E2BIG when full, unless BPF_EXIST drops the oldest; -EINVAL for other flags.</summary>
    public static ulong Push(ulong map, ulong value, ulong flags)
    {
        var header = (MapHeader*)map;
        if (flags is not ((ulong)MapUpdateFlags.Any or (ulong)MapUpdateFlags.Exist)) return Errno.Status(Errno.EINVAL);
        var queue = (Queue*)header->Data;
        ValueMemory.Acquire(&queue->Lock);
        var status = 0;
        if (queue->Count == header->MaxEntries && flags == (ulong)MapUpdateFlags.Any)
        {
            status = Errno.E2BIG;
        }
        else
        {
            if (queue->Count == header->MaxEntries)
            {
                queue->Head = Wrap(header, queue->Head + 1UL);
                queue->Count--;
            }
            ValueMemory.CopyWords(Element(header, queue->Head + (ulong)queue->Count), (byte*)value, header->ValueSize);
            queue->Count++;
        }
        ValueMemory.Release(&queue->Lock);
        return Errno.Status(status);
    }

    /// <summary>bpf_map_pop_elem on a queue: the oldest; -ENOENT, and zeroes, when empty.</summary>
    public static ulong PopQueue(ulong map, ulong value) => Read((MapHeader*)map, (byte*)value, newest: false, take: true);

    /// <summary>bpf_map_pop_elem on a stack: the newest; -ENOENT, and zeroes, when empty.</summary>
    public static ulong PopStack(ulong map, ulong value) => Read((MapHeader*)map, (byte*)value, newest: true, take: true);

    /// <summary>bpf_map_peek_elem on a queue.</summary>
    public static ulong PeekQueue(ulong map, ulong value) => Read((MapHeader*)map, (byte*)value, newest: false, take: false);

    /// <summary>bpf_map_peek_elem on a stack.</summary>
    public static ulong PeekStack(ulong map, ulong value) => Read((MapHeader*)map, (byte*)value, newest: true, take: false);

    private static ulong Read(MapHeader* header, byte* value, bool newest, bool take)
    {
        var queue = (Queue*)header->Data;
        ValueMemory.Acquire(&queue->Lock);
        var empty = queue->Count == 0;
        if (empty)
        {
            NativeMemory.Clear(value, header->ValueSize);
        }
        else
        {
            ValueMemory.CopyWords(value, Element(header, queue->Head + (newest ? queue->Count - 1UL : 0)), header->ValueSize);
            if (take)
            {
                queue->Count--;
                if (!newest) queue->Head = Wrap(header, queue->Head + 1UL);
            }
        }
        ValueMemory.Release(&queue->Lock);
        return Errno.Status(empty ? Errno.ENOENT : 0);
    }

    private static byte* Element(MapHeader* header, ulong index) => header->Data + ElementsAt + (ulong)Wrap(header, index) * header->Stride;

    private static uint Wrap(MapHeader* header, ulong index) => (uint)(index >= header->MaxEntries ? index - header->MaxEntries : index);
}
