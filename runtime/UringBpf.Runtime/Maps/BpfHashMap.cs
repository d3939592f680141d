using System.Collections;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Typed access to a hash, LRU hash or LPM trie map. Thread-safe, allocates nothing per call, never blocks a program's
/// lookups. The map stays owned by its <see cref="MapSet"/>.
/// </summary>
/// <typeparam name="TKey">Unmanaged, of exactly the map's key size.</typeparam>
/// <typeparam name="TValue">Unmanaged, of exactly the map's value size.</typeparam>
public sealed unsafe class BpfHashMap<TKey, TValue> : IEnumerable<KeyValuePair<TKey, TValue>>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly KeyedMap _map;
    private readonly HashMap? _hash;
    private readonly HashTable* _plain;

    /// <summary>Views a map.</summary>
    /// <exception cref="BpfException">UB4104 when the map is of another kind or its sizes differ from the types'.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public BpfHashMap(BpfMap map)
    {
        _map = TypedMap.Check<KeyedMap>(map, sizeof(TKey), sizeof(TValue), MapType.Hash, MapType.LruHash, MapType.LpmTrie);
        _hash = map as HashMap;
        if (_hash != null) _plain = _hash.Plain;
    }

    /// <summary>The map.</summary>
    public BpfMap Map => _map;

    /// <summary>Entries: a snapshot while others update.</summary>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Count => _map.Count;

    /// <summary>The value of a key.</summary>
    /// <exception cref="KeyNotFoundException">Reading a key that is not there.</exception>
    /// <exception cref="BpfException">UB4105 when writing fails: the map is full.</exception>
    public TValue this[TKey key]
    {
        get => TryGetValue(key, out var value) ? value : throw new KeyNotFoundException($"'{_map.Name}' has no such key.");
        set => TypedMap.ThrowIfFailed(_map, Update(key, value));
    }

    /// <summary>Copies a value out; never a mixture of two updates.</summary>
    /// <param name="key">The key; for an LPM trie, the longest stored prefix of it counts.</param>
    /// <param name="value">The value, or default.</param>
    /// <param name="flags"><see cref="MapUpdateFlags.Lock"/> to hold the value's spin lock while copying.</param>
    /// <returns>False when there is no such key.</returns>
    public bool TryGetValue(TKey key, out TValue value, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        if (_plain != null && flags == MapUpdateFlags.Any)
        {
            bool done, exists;
            if (sizeof(TKey) == 4) done = _hash!.TryRead(_plain, Unsafe.BitCast<TKey, Key4>(key), out value, out exists);
            else if (sizeof(TKey) == 8) done = _hash!.TryRead(_plain, Unsafe.BitCast<TKey, Key8>(key), out value, out exists);
            else done = _hash!.TryRead(_plain, KeyBytes.Read((byte*)&key), out value, out exists);
            if (done) return exists;
        }
        return TryGetSlowly(key, out value, flags);
    }

    /// <summary>Adds or replaces.</summary>
    /// <returns>0 or -errno: see <see cref="KeyedMap.Update"/>.</returns>
    public int Update(TKey key, TValue value, MapUpdateFlags flags = MapUpdateFlags.Any) =>
        _map.Set((byte*)&key, (byte*)&value, flags);

    /// <summary>Adds a key that is not there.</summary>
    /// <returns>False when it is there or the map is full.</returns>
    public bool TryAdd(TKey key, TValue value) => Update(key, value, MapUpdateFlags.NoExist) == 0;

    /// <summary>Deletes a key.</summary>
    /// <returns>False when it was not there.</returns>
    public bool Remove(TKey key) => _map.Delete(TypedMap.Bytes(ref key)) == 0;

    /// <summary>Deletes a key and gives the value it had.</summary>
    /// <returns>False when it was not there.</returns>
    public bool Remove(TKey key, out TValue value)
    {
        Unsafe.SkipInit(out value);
        if (_map.Take(TypedMap.Bytes(ref key), TypedMap.Bytes(ref value)) == 0) return true;
        value = default;
        return false;
    }

    /// <summary>Enumerates without a lock: entries that stay unchanged throughout come exactly once, others may or may not.</summary>
    public IEnumerator<KeyValuePair<TKey, TValue>> GetEnumerator()
    {
        var cursor = default(MapCursor);
        while (MoveNext(ref cursor, out var entry)) yield return entry;
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryGetSlowly(TKey key, out TValue value, MapUpdateFlags flags)
    {
        TValue found;
        var exists = _map.Get((byte*)&key, (byte*)&found, flags);
        value = exists ? found : default;
        return exists;
    }

    private bool MoveNext(ref MapCursor cursor, out KeyValuePair<TKey, TValue> entry)
    {
        TKey key;
        TValue value;
        Unsafe.SkipInit(out key);
        Unsafe.SkipInit(out value);
        var found = _map.MoveNext(ref cursor, TypedMap.Bytes(ref key), TypedMap.Bytes(ref value));
        entry = found ? new(key, value) : default;
        return found;
    }
}

/// <summary>What the typed views share.</summary>
internal static class TypedMap
{
    public static Span<byte> Bytes<T>(ref T value) where T : unmanaged => MemoryMarshal.AsBytes(new Span<T>(ref value));

    public static TMap Check<TMap>(BpfMap map, int keySize, int valueSize, params ReadOnlySpan<MapType> types) where TMap : BpfMap
    {
        if (map is not TMap typed || !types.Contains(map.Spec.Type))
            throw new BpfException("UB4104", $"map '{map.Name}' is of type {map.Spec.Type}, which this view does not show.");
        if (keySize >= 0 && keySize != map.Spec.KeySize)
            throw new BpfException("UB4104", $"map '{map.Name}' has keys of {map.Spec.KeySize} bytes, the type given has {keySize}.");
        if (valueSize != map.Spec.ValueSize)
            throw new BpfException("UB4104", $"map '{map.Name}' has values of {map.Spec.ValueSize} bytes, the type given has {valueSize}.");
        return typed;
    }

    public static void ThrowIfFailed(BpfMap map, int status)
    {
        if (status == 0) return;
        var reason = -status switch
        {
            Errno.EPERM => "it is frozen",
            Errno.E2BIG => "it is full, or the index is past its end",
            Errno.ENOSPC => "it is full",
            Errno.EINVAL => "the key or a flag is not valid",
            _ => $"errno {-status}",
        };
        throw new BpfException("UB4105", $"map '{map.Name}' refused the update: {reason}.");
    }
}
