using System.Buffers;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Typed access to a per-CPU map: one value for each execution slot. Thread-safe. While programs update their slots a reader
/// sees each 8-byte word as it was at some moment.
/// </summary>
/// <typeparam name="TKey">Unmanaged, of exactly the map's key size; <see cref="int"/> for arrays.</typeparam>
/// <typeparam name="TValue">Unmanaged, of exactly the map's value size.</typeparam>
public sealed unsafe class BpfPerCpuMap<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly KeyedMap _map;

    /// <summary>Views a map.</summary>
    /// <exception cref="BpfException">UB4104 when the map is of another kind or its sizes differ from the types'.</exception>
    public BpfPerCpuMap(BpfMap map) => _map = TypedMap.Check<KeyedMap>(map, sizeof(TKey), sizeof(TValue),
        MapType.PerCpuArray, MapType.PerCpuHash, MapType.LruPerCpuHash);

    /// <summary>The map.</summary>
    public BpfMap Map => _map;

    /// <summary>Entries; for arrays their length.</summary>
    public int Count => _map.Count;

    /// <summary>Copies out a key's value of every slot.</summary>
    /// <param name="key">The key.</param>
    /// <param name="values"><see cref="ExecutionSlot.Count"/> values.</param>
    /// <returns>False when there is no such key.</returns>
    /// <exception cref="ArgumentException">The span has another length.</exception>
    public bool TryGetValues(TKey key, Span<TValue> values)
    {
        CheckLength(values);
        var strides = ArrayPool<byte>.Shared.Rent(_map.HostValueSize);
        var found = _map.TryGet(TypedMap.Bytes(ref key), strides.AsSpan(0, _map.HostValueSize));
        for (var slot = 0; found && slot < values.Length; slot++) values[slot] = MemoryMarshal.Read<TValue>(strides.AsSpan(slot * Stride));
        ArrayPool<byte>.Shared.Return(strides);
        return found;
    }

    /// <summary>Writes a key's value of every slot.</summary>
    /// <param name="key">The key.</param>
    /// <param name="values"><see cref="ExecutionSlot.Count"/> values.</param>
    /// <param name="flags">Any, NoExist or Exist.</param>
    /// <returns>0 or -errno: see <see cref="KeyedMap.Update"/>.</returns>
    /// <exception cref="ArgumentException">The span has another length.</exception>
    public int Update(TKey key, ReadOnlySpan<TValue> values, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        CheckLength(values);
        var strides = ArrayPool<byte>.Shared.Rent(_map.HostValueSize);
        for (var slot = 0; slot < values.Length; slot++) MemoryMarshal.Write(strides.AsSpan(slot * Stride), values[slot]);
        var status = _map.Update(TypedMap.Bytes(ref key), strides.AsSpan(0, _map.HostValueSize), flags);
        ArrayPool<byte>.Shared.Return(strides);
        return status;
    }

    /// <summary>Deletes a key.</summary>
    /// <returns>False when it was not there, or the map is an array.</returns>
    public bool Remove(TKey key) => _map.Delete(TypedMap.Bytes(ref key)) == 0;

    private static int Stride => (sizeof(TValue) + 7) & ~7;

    private static void CheckLength(ReadOnlySpan<TValue> values)
    {
        if (values.Length != ExecutionSlot.Count)
            throw new ArgumentException($"There is one value for each of {ExecutionSlot.Count} execution slots, not {values.Length}.", nameof(values));
    }
}
