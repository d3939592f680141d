using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Where an enumeration of a map stands. The default value is its beginning.</summary>
public struct MapCursor
{
    /// <summary>The bucket, or the array index, to go to next.</summary>
    internal uint Bucket;
    /// <summary>Elements of the bucket already taken into <see cref="Links"/>.</summary>
    internal int Skip;
    internal int Taken, Filled;
    internal LinkBuffer Links;

    [InlineArray(Capacity)]
    internal struct LinkBuffer
    {
        public const int Capacity = 16;
        private ulong _first;
    }
}

/// <summary>
/// A map of keys and values as the host sees it, untyped: spans of bytes. Thread-safe; nothing here blocks a program's
/// lookups, and no call allocates. Typed access: <see cref="BpfHashMap{TKey, TValue}"/>, <see cref="BpfArrayMap{TValue}"/>.
/// </summary>
/// <remarks>
/// A value copied out of a hash map is never a mixture of two updates; of an array it can be, beyond 8 bytes, unless both
/// sides use <see cref="MapUpdateFlags.Lock"/>. In per-CPU maps a value is one stride (the value size rounded up to 8) for
/// each of <see cref="ExecutionSlot.Count"/> slots.
/// </remarks>
public abstract unsafe class KeyedMap : BpfMap
{
    private protected const int MaxKeySize = HashTable.MaxKeySize, MaxValueSize = 1 << 28;

    private readonly bool _isFrozen;

    private protected KeyedMap(MapSpec spec, ulong dataBytes) : base(spec, dataBytes)
    {
        _isFrozen = spec.IsFrozen;
        HostValueSize = spec.Type is MapType.PerCpuArray or MapType.PerCpuHash or MapType.LruPerCpuHash
            ? (int)PerCpuBytes(spec)
            : spec.ValueSize;
    }

    /// <summary>Throws UB4102 when the values of all slots are more than one span holds. Sizes computed from such a spec do not wrap.</summary>
    private protected static MapSpec CheckPerCpu(MapSpec spec) => PerCpuBytes(spec) <= int.MaxValue
        ? spec
        : throw Refused(spec, $"its values of {spec.ValueSize} bytes for each of {ExecutionSlot.Count} execution slots are more than {int.MaxValue} bytes together");

    private static long PerCpuBytes(MapSpec spec) => (long)RoundUp8((uint)spec.ValueSize) * ExecutionSlot.Count;

    /// <summary>Bytes of a value as the host reads and writes it: in per-CPU maps all slots'.</summary>
    public int HostValueSize { get; }

    /// <summary>Entries; for arrays their length. A snapshot while others update.</summary>
    /// <exception cref="ObjectDisposedException">The host has disposed the map, which is no array.</exception>
    public abstract int Count { get; }

    /// <summary>Copies a value out.</summary>
    /// <param name="key">KeySize bytes.</param>
    /// <param name="value">HostValueSize bytes, filled when the key exists.</param>
    /// <param name="flags"><see cref="MapUpdateFlags.Lock"/> to hold the value's spin lock while copying, else none.</param>
    /// <returns>False when there is no such key.</returns>
    /// <exception cref="ArgumentException">A span has the wrong size, or Lock was asked of values without one.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public bool TryGet(ReadOnlySpan<byte> key, Span<byte> value, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        CheckSizes(key, value);
        fixed (byte* k = key, v = value) return Get(k, v, flags);
    }

    /// <summary>As TryGet, of KeySize and HostValueSize bytes.</summary>
    internal bool Get(byte* key, byte* value, MapUpdateFlags flags)
    {
        var locked = flags == MapUpdateFlags.Lock;
        if (flags != MapUpdateFlags.Any && (!locked || Spec.SpinLockOffset < 0))
            throw new ArgumentException("Only Lock, on values with a spin lock, has a meaning here.", nameof(flags));
        var activity = Enter();
        var found = CopyOut(key, value, locked);
        Leave(activity);
        return found;
    }

    /// <summary>Adds or replaces a value.</summary>
    /// <returns>0, or -errno as the kernel's: -E2BIG (7) full or past the array's end, -EEXIST (17), -ENOENT (2), -EINVAL (22)
    /// flags, -ENOSPC (28) trie full, -EPERM (1) frozen.</returns>
    /// <exception cref="ArgumentException">A span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Update(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        CheckSizes(key, value);
        fixed (byte* k = key, v = value) return Set(k, v, flags);
    }

    /// <summary>As Update, of KeySize and HostValueSize bytes.</summary>
    internal int Set(byte* key, byte* value, MapUpdateFlags flags)
    {
        if (_isFrozen) return -Errno.EPERM;
        var activity = Enter();
        var result = CopyIn(key, value, flags);
        Leave(activity);
        return result;
    }

    /// <summary>Deletes a key.</summary>
    /// <returns>0, -ENOENT (2), or -EINVAL (22) for arrays.</returns>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Delete(ReadOnlySpan<byte> key)
    {
        CheckKey(key);
        fixed (byte* k = key)
        {
            var activity = Enter();
            var result = Remove(k, null);
            Leave(activity);
            return result;
        }
    }

    /// <summary>Deletes a key and copies out the value it had, as one step.</summary>
    /// <returns>0, -ENOENT (2), or -EINVAL (22) for arrays.</returns>
    /// <exception cref="ArgumentException">A span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Take(ReadOnlySpan<byte> key, Span<byte> value)
    {
        CheckSizes(key, value);
        fixed (byte* k = key, v = value)
        {
            var activity = Enter();
            var result = Remove(k, v);
            Leave(activity);
            return result;
        }
    }

    /// <summary>Copies out the next entry of an enumeration. Entries that exist, unchanged, from its beginning to its end come
    /// exactly once; others may come or not.</summary>
    /// <returns>False at the end.</returns>
    /// <exception cref="ArgumentException">A span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public bool MoveNext(ref MapCursor cursor, Span<byte> key, Span<byte> value)
    {
        CheckSizes(key, value);
        fixed (byte* k = key, v = value)
        {
            var activity = Enter();
            var found = Next(ref cursor, k, v);
            Leave(activity);
            return found;
        }
    }

    private protected abstract bool CopyOut(byte* key, byte* value, bool locked);

    private protected abstract int CopyIn(byte* key, byte* value, MapUpdateFlags flags);

    private protected abstract int Remove(byte* key, byte* value);

    private protected abstract bool Next(ref MapCursor cursor, byte* key, byte* value);

    private void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length != Spec.KeySize) throw new ArgumentException($"A key of '{Name}' is {Spec.KeySize} bytes, not {key.Length}.", nameof(key));
    }

    private void CheckSizes(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        CheckKey(key);
        if (value.Length != HostValueSize) throw new ArgumentException($"A value of '{Name}' is {HostValueSize} bytes here, not {value.Length}.", nameof(value));
    }
}
