using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>
/// What programs do with arrays: one block of elements, 8-byte strides, indexed by a 32-bit key. Updates are in place, word
/// by word. All arguments are register values: the map's header, addresses of keys and values.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class ArrayOps
{
    /// <summary>Address of an element, or 0 past the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Lookup(ulong map, ulong key)
    {
        var header = (MapHeader*)map;
        var index = Unsafe.ReadUnaligned<uint>((void*)key);
        return index < header->MaxEntries ? (ulong)header->Data + (ulong)index * header->Stride : 0;
    }

    /// <summary>Writes an element: 0, -E2BIG past the end, -EEXIST for BPF_NOEXIST, -EINVAL for other flags.</summary>
    public static ulong Update(ulong map, ulong key, ulong value, ulong flags)
    {
        var header = (MapHeader*)map;
        return Write(header, (byte*)Lookup(map, key), (byte*)value, flags);
    }

    /// <summary>Elements can't be deleted: -EINVAL.</summary>
    public static ulong Delete(ulong map, ulong key) => Errno.Status(Errno.EINVAL);

    /// <summary>Address of this slot's element of a per-CPU array, or 0 past the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong PerCpuLookup(ulong map, ulong key, ExecutionState* state)
    {
        var header = (MapHeader*)map;
        var index = Unsafe.ReadUnaligned<uint>((void*)key);
        return index < header->MaxEntries
            ? (ulong)header->Data + (ulong)state->Slot * header->SlotStride + (ulong)index * header->Stride
            : 0;
    }

    /// <summary>Writes this slot's element of a per-CPU array; results as for <see cref="Update"/>.</summary>
    public static ulong PerCpuUpdate(ulong map, ulong key, ulong value, ulong flags, ExecutionState* state)
    {
        var header = (MapHeader*)map;
        if ((flags & (ulong)MapUpdateFlags.Lock) != 0) return Errno.Status(Errno.EINVAL);
        return Write(header, (byte*)PerCpuLookup(map, key, state), (byte*)value, flags);
    }

    /// <summary>Address of a given slot's element, or 0 past the end of the array or the slots.</summary>
    internal static byte* At(MapHeader* header, uint index, uint slot) => index < header->MaxEntries && slot < (uint)ExecutionSlot.Count
        ? header->Data + slot * header->SlotStride + (ulong)index * header->Stride
        : null;

    internal static ulong Write(MapHeader* header, byte* element, byte* value, ulong flags)
    {
        var lockOffset = header->SpinLockOffset;
        var locked = (flags & (ulong)MapUpdateFlags.Lock) != 0;
        if ((flags & ~(ulong)MapUpdateFlags.Lock) > (ulong)MapUpdateFlags.Exist || (locked && lockOffset < 0)) return Errno.Status(Errno.EINVAL);
        if (element == null) return Errno.Status(Errno.E2BIG);
        if ((flags & (ulong)MapUpdateFlags.NoExist) != 0) return Errno.Status(Errno.EEXIST);
        if (locked) ValueMemory.Acquire((int*)(element + lockOffset));
        ValueMemory.CopyIn(element, value, header->ValueSize, lockOffset);
        if (locked) ValueMemory.Release((int*)(element + lockOffset));
        return 0;
    }
}
