using System.Collections;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Typed access to an array map. Thread-safe, allocates nothing per call. Values of up to 8 bytes are never torn; larger
/// ones can be unless both sides use <see cref="MapUpdateFlags.Lock"/>.
/// </summary>
/// <typeparam name="TValue">Unmanaged, of exactly the map's value size.</typeparam>
public sealed unsafe class BpfArrayMap<TValue> : IReadOnlyList<TValue> where TValue : unmanaged
{
    private readonly KeyedMap _map;

    /// <summary>Views a map.</summary>
    /// <exception cref="BpfException">UB4104 when the map is of another kind or its value size differs from the type's.</exception>
    public BpfArrayMap(BpfMap map) => _map = TypedMap.Check<KeyedMap>(map, sizeof(int), sizeof(TValue), MapType.Array);

    /// <summary>The map.</summary>
    public BpfMap Map => _map;

    /// <summary>Elements.</summary>
    public int Count => _map.Count;

    /// <summary>An element.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The index is not 0..Count-1.</exception>
    /// <exception cref="BpfException">UB4105 when writing to a frozen map.</exception>
    public TValue this[int index]
    {
        get
        {
            TValue value;
            return _map.Get((byte*)&index, (byte*)&value, MapUpdateFlags.Any) ? value : throw OutOfRange(index);
        }

        set
        {
            if ((uint)index >= (uint)Count) throw OutOfRange(index);
            TypedMap.ThrowIfFailed(_map, Update(index, value));
        }
    }

    /// <summary>Writes an element.</summary>
    /// <returns>0 or -errno: see <see cref="KeyedMap.Update"/>.</returns>
    public int Update(int index, TValue value, MapUpdateFlags flags = MapUpdateFlags.Any) =>
        _map.Set((byte*)&index, (byte*)&value, flags);

    /// <summary>Reads an element, holding its spin lock when <paramref name="flags"/> is <see cref="MapUpdateFlags.Lock"/>.</summary>
    /// <returns>False past the end.</returns>
    public bool TryGetValue(int index, out TValue value, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        TValue found;
        var exists = _map.Get((byte*)&index, (byte*)&found, flags);
        value = exists ? found : default;
        return exists;
    }

    /// <inheritdoc />
    public IEnumerator<TValue> GetEnumerator()
    {
        for (var i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private ArgumentOutOfRangeException OutOfRange(int index) => new(nameof(index), index, $"'{_map.Name}' has {Count} elements.");
}
