using System.ComponentModel;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Map operations for any map: they look at the map's type and go on to its own. Engines that know the map at compile
/// time call the specialised method instead (<see cref="FunctionRegistry.Specialize"/>). Arguments are register values.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class MapOps
{
    /// <summary>bpf_map_lookup_elem</summary>
    public static ulong Lookup(ulong map, ulong key, ExecutionState* state)
    {
        var header = (MapHeader*)map;
        switch (header->Type)
        {
            case MapType.Array:
                return ArrayOps.Lookup(map, key);
            case MapType.PerCpuArray:
                return ArrayOps.PerCpuLookup(map, key, state);
            case MapType.Hash:
                return header->KeySize switch { 4 => HashOps.Lookup4(map, key), 8 => HashOps.Lookup8(map, key), _ => HashOps.Lookup(map, key) };
            case MapType.LruHash:
                return header->KeySize switch { 4 => HashOps.LruLookup4(map, key), 8 => HashOps.LruLookup8(map, key), _ => HashOps.LruLookup(map, key) };
            case MapType.PerCpuHash or MapType.LruPerCpuHash:
                return HashOps.SlotValue(map, key, (uint)state->Slot);
            case MapType.LpmTrie:
                return (ulong)LpmTrie.Lookup((LpmTrie*)header->Data, (byte*)key, out _);
            case MapType.ArrayOfMaps:
                return MapOfMapsOps.ArrayLookup(map, key);
            case MapType.HashOfMaps:
                return MapOfMapsOps.HashLookup(map, key);
            default:
                return 0;
        }
    }

    /// <summary>bpf_map_update_elem</summary>
    public static ulong Update(ulong map, ulong key, ulong value, ulong flags, ExecutionState* state)
    {
        var header = (MapHeader*)map;
        switch (header->Type)
        {
            case MapType.Array:
                return ArrayOps.Update(map, key, value, flags);
            case MapType.PerCpuArray:
                return ArrayOps.PerCpuUpdate(map, key, value, flags, state);
            case MapType.Hash or MapType.LruHash or MapType.PerCpuHash or MapType.LruPerCpuHash:
                return HashUpdate(header, (byte*)key, (byte*)value, flags, state->Slot);
            case MapType.LpmTrie:
                return (ulong)LpmTrie.Update((LpmTrie*)header->Data, (byte*)key, (byte*)value, flags);
            default:
                return Errno.Status(Errno.EINVAL);
        }
    }

    /// <summary>bpf_map_delete_elem</summary>
    public static ulong Delete(ulong map, ulong key)
    {
        var header = (MapHeader*)map;
        return header->Type switch
        {
            MapType.Hash or MapType.LruHash or MapType.PerCpuHash or MapType.LruPerCpuHash => HashDelete(header, (byte*)key, null),
            MapType.LpmTrie => (ulong)LpmTrie.Delete((LpmTrie*)header->Data, (byte*)key, null),
            _ => Errno.Status(Errno.EINVAL),
        };
    }

    /// <summary>bpf_map_lookup_percpu_elem: 0 for a slot that does not exist.</summary>
    public static ulong LookupPerCpu(ulong map, ulong key, ulong slot)
    {
        var header = (MapHeader*)map;
        return header->Type switch
        {
            MapType.PerCpuArray => (ulong)ArrayOps.At(header, Unsafe.ReadUnaligned<uint>((void*)key), (uint)slot),
            MapType.PerCpuHash or MapType.LruPerCpuHash => HashOps.SlotValue(map, key, (uint)slot),
            _ => 0,
        };
    }

    /// <summary>bpf_map_push_elem</summary>
    public static ulong Push(ulong map, ulong value, ulong flags) => ((MapHeader*)map)->Type switch
    {
        MapType.Queue or MapType.Stack => QueueOps.Push(map, value, flags),
        MapType.BloomFilter => BloomFilterOps.Push(map, value, flags),
        _ => Errno.Status(Errno.EINVAL),
    };

    /// <summary>bpf_map_pop_elem</summary>
    public static ulong Pop(ulong map, ulong value) => ((MapHeader*)map)->Type switch
    {
        MapType.Queue => QueueOps.PopQueue(map, value),
        MapType.Stack => QueueOps.PopStack(map, value),
        _ => Errno.Status(Errno.EINVAL),
    };

    /// <summary>bpf_map_peek_elem</summary>
    public static ulong Peek(ulong map, ulong value) => ((MapHeader*)map)->Type switch
    {
        MapType.Queue => QueueOps.PeekQueue(map, value),
        MapType.Stack => QueueOps.PeekStack(map, value),
        MapType.BloomFilter => BloomFilterOps.Peek(map, value),
        _ => Errno.Status(Errno.EINVAL),
    };

    /// <summary>Adds or replaces in any hash map; slot -1 writes the values of all slots.</summary>
    internal static ulong HashUpdate(MapHeader* header, byte* key, byte* value, ulong flags, int slot)
    {
        var table = (HashTable*)header->Data;
        return (ulong)(long)(header->KeySize switch
        {
            4 => HashTable.Update(table, Key4.Read(key), value, flags, slot),
            8 => HashTable.Update(table, Key8.Read(key), value, flags, slot),
            _ => HashTable.UpdateBytes(table, key, value, flags, slot),
        });
    }

    /// <summary>Deletes from any hash map; copies the value out first when asked.</summary>
    internal static ulong HashDelete(MapHeader* header, byte* key, byte* value)
    {
        var table = (HashTable*)header->Data;
        return (ulong)(long)(header->KeySize switch
        {
            4 => HashTable.Delete(table, Key4.Read(key), value),
            8 => HashTable.Delete(table, Key8.Read(key), value),
            _ => HashTable.Delete(table, KeyBytes.Read(key), value),
        });
    }
}
