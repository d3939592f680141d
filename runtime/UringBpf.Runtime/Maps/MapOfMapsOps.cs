using System.ComponentModel;
namespace UringBpf.Runtime;

/// <summary>
/// What programs do with arrays and hashes of maps: they look up an inner map. It stays usable until the run ends, even if
/// the host replaces or disposes it meanwhile. No lock.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class MapOfMapsOps
{
    /// <summary>The inner map at an index, or 0.</summary>
    public static ulong ArrayLookup(ulong map, ulong key)
    {
        var element = ArrayOps.Lookup(map, key);
        return element == 0 ? 0 : Volatile.Read(ref *(ulong*)element);
    }

    /// <summary>The inner map of a key, or 0.</summary>
    public static ulong HashLookup(ulong map, ulong key) => ((MapHeader*)map)->KeySize switch
    {
        4 => HashLookup<Key4>(map, key),
        8 => HashLookup<Key8>(map, key),
        _ => HashLookup<KeyBytes>(map, key),
    };

    private static ulong HashLookup<TKey>(ulong map, ulong key) where TKey : struct, IHashKey<TKey>
    {
        var table = HashOps.Table(map);
        while (true)
        {
            var element = HashTable.Find(table, TKey.Read((byte*)key), out var link);
            if (element == null) return 0;
            var inner = Volatile.Read(ref *(ulong*)(element + table->ValueOffset));
            // Recycled between the two reads: then it may be another key's map.
            if (HashTable.IsCurrent(element, link)) return inner;
        }
    }
}
