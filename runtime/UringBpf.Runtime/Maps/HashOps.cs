using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>
/// What programs do with hash maps, one method per operation, key size (4, 8, other) and kind of table. All arguments are
/// register values: the map's header, addresses of keys and values. Results are addresses (0 for none) or 0 / -errno.
/// Lookups take no lock. They are called, not inlined: the call costs a tenth of a lookup, while the lookup in place would
/// take RyuJIT longer to compile than all the rest of a short hook.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class HashOps
{
    /// <summary>Value address: hash, 4-byte keys.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Lookup4(ulong map, ulong key) => Value<Key4>(map, key);

    /// <summary>Value address: LRU hash, 4-byte keys; counts as a use.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong LruLookup4(ulong map, ulong key) => UsedValue<Key4>(map, key);

    /// <summary>Address of this slot's value: per-CPU and LRU per-CPU hash, 4-byte keys.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong PerCpuLookup4(ulong map, ulong key, ExecutionState* state) => SlotValue<Key4>(map, key, (uint)state->Slot);

    /// <summary>Adds or replaces: hash and LRU hash, 4-byte keys.</summary>
    public static ulong Update4(ulong map, ulong key, ulong value, ulong flags) => (ulong)HashTable.Update(Table(map), Key4.Read((byte*)key), (byte*)value, flags, 0);

    /// <summary>Adds or replaces this slot's value: per-CPU and LRU per-CPU hash, 4-byte keys.</summary>
    public static ulong PerCpuUpdate4(ulong map, ulong key, ulong value, ulong flags, ExecutionState* state) => (ulong)HashTable.Update(Table(map), Key4.Read((byte*)key), (byte*)value, flags, state->Slot);

    /// <summary>Deletes: every kind, 4-byte keys.</summary>
    public static ulong Delete4(ulong map, ulong key) => (ulong)HashTable.Delete(Table(map), Key4.Read((byte*)key));

    /// <summary>Value address: hash, 8-byte keys.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Lookup8(ulong map, ulong key) => Value<Key8>(map, key);

    /// <summary>Value address: LRU hash, 8-byte keys; counts as a use.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong LruLookup8(ulong map, ulong key) => UsedValue<Key8>(map, key);

    /// <summary>Address of this slot's value: per-CPU and LRU per-CPU hash, 8-byte keys.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong PerCpuLookup8(ulong map, ulong key, ExecutionState* state) => SlotValue<Key8>(map, key, (uint)state->Slot);

    /// <summary>Adds or replaces: hash and LRU hash, 8-byte keys.</summary>
    public static ulong Update8(ulong map, ulong key, ulong value, ulong flags) => (ulong)HashTable.Update(Table(map), Key8.Read((byte*)key), (byte*)value, flags, 0);

    /// <summary>Adds or replaces this slot's value: per-CPU and LRU per-CPU hash, 8-byte keys.</summary>
    public static ulong PerCpuUpdate8(ulong map, ulong key, ulong value, ulong flags, ExecutionState* state) => (ulong)HashTable.Update(Table(map), Key8.Read((byte*)key), (byte*)value, flags, state->Slot);

    /// <summary>Deletes: every kind, 8-byte keys.</summary>
    public static ulong Delete8(ulong map, ulong key) => (ulong)HashTable.Delete(Table(map), Key8.Read((byte*)key));

    /// <summary>Value address: hash, keys of any size.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Lookup(ulong map, ulong key) => Value<KeyBytes>(map, key);

    /// <summary>Value address: LRU hash, keys of any size; counts as a use.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong LruLookup(ulong map, ulong key) => UsedValue<KeyBytes>(map, key);

    /// <summary>Address of this slot's value: per-CPU and LRU per-CPU hash, keys of any size.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong PerCpuLookup(ulong map, ulong key, ExecutionState* state) => SlotValue<KeyBytes>(map, key, (uint)state->Slot);

    /// <summary>Adds or replaces: hash and LRU hash, keys of any size.</summary>
    public static ulong Update(ulong map, ulong key, ulong value, ulong flags) => (ulong)HashTable.UpdateBytes(Table(map), (byte*)key, (byte*)value, flags, 0);

    /// <summary>Adds or replaces this slot's value: per-CPU and LRU per-CPU hash, keys of any size.</summary>
    public static ulong PerCpuUpdate(ulong map, ulong key, ulong value, ulong flags, ExecutionState* state) => (ulong)HashTable.UpdateBytes(Table(map), (byte*)key, (byte*)value, flags, state->Slot);

    /// <summary>Deletes: every kind, keys of any size.</summary>
    public static ulong Delete(ulong map, ulong key) => (ulong)HashTable.Delete(Table(map), KeyBytes.Read((byte*)key));

    internal static HashTable* Table(ulong map) => (HashTable*)((MapHeader*)map)->Data;

    /// <summary>Address of a given slot's value in a per-CPU table, or 0.</summary>
    internal static ulong SlotValue(ulong map, ulong key, uint slot) => ((MapHeader*)map)->KeySize switch
    {
        _ when slot >= (uint)ExecutionSlot.Count => 0,
        4 => SlotValue<Key4>(map, key, slot),
        8 => SlotValue<Key8>(map, key, slot),
        _ => SlotValue<KeyBytes>(map, key, slot),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Value<TKey>(ulong map, ulong key) where TKey : struct, IHashKey<TKey>
    {
        var table = Table(map);
        var element = HashTable.Find(table, TKey.Read((byte*)key), out _);
        return element == null ? 0 : (ulong)(element + table->ValueOffset);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong UsedValue<TKey>(ulong map, ulong key) where TKey : struct, IHashKey<TKey>
    {
        var table = Table(map);
        var element = HashTable.Find(table, TKey.Read((byte*)key), out var link);
        if (element == null) return 0;
        HashTable.Use(table, link);
        return (ulong)(element + table->ValueOffset);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong SlotValue<TKey>(ulong map, ulong key, uint slot) where TKey : struct, IHashKey<TKey>
    {
        var table = Table(map);
        var element = HashTable.Find(table, TKey.Read((byte*)key), out var link);
        if (element == null) return 0;
        if (table->Referenced != null) HashTable.Use(table, link);
        return (ulong)(element + table->ValueOffset + (ulong)slot * table->SlotStride);
    }
}
