using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// An array or hash of maps as the host sees it. It holds a reference on every inner map. A program that looked up an inner
/// map keeps it until its run ends, whatever is set meanwhile. Thread-safe.
/// </summary>
public sealed unsafe class MapOfMaps : BpfMap
{
    private readonly Lock _gate = new();
    // The maps that the native side points to, by address, and in how many places.
    private readonly Dictionary<nint, (BpfMap Map, int Places)> _inner = [];

    internal MapOfMaps(MapSpec spec) : base(CheckOuter(spec), IsArray(spec) ? (ulong)spec.MaxEntries * sizeof(ulong) : HashTable.SizeOf(Stored(spec)))
    {
        if (IsArray(spec)) Header->Stride = sizeof(ulong);
        else HashTable.Initialize(Table, Stored(spec));
    }

    private HashTable* Table => (HashTable*)Header->Data;

    /// <summary>The inner map of a key (for arrays: a 4-byte index), or null.</summary>
    /// <exception cref="ArgumentException">The key has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public BpfMap? Get(ReadOnlySpan<byte> key)
    {
        CheckKey(key);
        fixed (byte* k = key)
        {
            var activity = Enter();
            lock (_gate)
            {
                var found = _inner.GetValueOrDefault(Find(k)).Map;
                Leave(activity);
                return found;
            }
        }
    }

    /// <summary>Sets the inner map of a key, or clears it with null.</summary>
    /// <returns>0, or -errno: -E2BIG (7) full or past the array's end, -ENOENT (2) nothing to clear.</returns>
    /// <exception cref="ArgumentException">The key has the wrong size.</exception>
    /// <exception cref="BpfException">UB4108 when the map is not what <see cref="MapSpec.InnerMap"/> says.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed one of the maps.</exception>
    public int Set(ReadOnlySpan<byte> key, BpfMap? inner)
    {
        CheckKey(key);
        if (inner != null) CheckInner(inner.Spec);
        fixed (byte* k = key)
        {
            int status;
            var activity = Enter();
            try
            {
                lock (_gate) status = Exchange(k, inner);
            }
            finally
            {
                Leave(activity);
            }
            // What was replaced waited for this very call.
            Reclamation.Collect();
            return status;
        }
    }

    /// <summary>As <see cref="Set(ReadOnlySpan{byte}, BpfMap?)"/> with a 4-byte key.</summary>
    public int Set(int key, BpfMap? inner) => Set(TypedMap.Bytes(ref key), inner);

    /// <summary>As <see cref="Get(ReadOnlySpan{byte})"/> with a 4-byte key.</summary>
    public BpfMap? Get(int key) => Get(TypedMap.Bytes(ref key));

    private protected override void OnFree()
    {
        foreach (var (inner, _) in _inner.Values) inner.Release();
        _inner.Clear();
    }

    private int Exchange(byte* key, BpfMap? inner)
    {
        var old = Find(key);
        if (inner != null) Hold(inner);
        var status = Store(key, inner);
        if (status != 0)
        {
            if (inner != null) LetGo((nint)inner.Header);
            return status;
        }
        if (old != 0) LetGo(old);
        return 0;
    }

    private int Store(byte* key, BpfMap? inner)
    {
        var value = inner == null ? 0 : (ulong)inner.Header;
        if (!IsArray(Spec)) return (int)(inner == null ? MapOps.HashDelete(Header, key, null) : MapOps.HashUpdate(Header, key, (byte*)&value, 0, 0));
        var element = (ulong*)ArrayOps.Lookup((ulong)Header, (ulong)key);
        if (element == null) return -Errno.E2BIG;
        if (inner == null && *element == 0) return -Errno.ENOENT;
        Volatile.Write(ref *element, value);
        return 0;
    }

    private void Hold(BpfMap inner)
    {
        var known = _inner.GetValueOrDefault((nint)inner.Header);
        if (known.Places == 0) inner.Retain();
        _inner[(nint)inner.Header] = (inner, known.Places + 1);
    }

    private void LetGo(nint header)
    {
        var (inner, places) = _inner[header];
        if (places > 1)
        {
            _inner[header] = (inner, places - 1);
            return;
        }
        _inner.Remove(header);
        inner.Release();
    }

    private nint Find(byte* key) => (nint)(IsArray(Spec) ? MapOfMapsOps.ArrayLookup((ulong)Header, (ulong)key) : MapOfMapsOps.HashLookup((ulong)Header, (ulong)key));

    private void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length != Spec.KeySize) throw new ArgumentException($"A key of '{Name}' is {Spec.KeySize} bytes, not {key.Length}.", nameof(key));
    }

    private void CheckInner(MapSpec inner)
    {
        var template = Spec.InnerMap!;
        var isArray = inner.Type is MapType.Array or MapType.PerCpuArray;
        if (inner.Type != template.Type || inner.KeySize != template.KeySize || inner.ValueSize != template.ValueSize || inner.Flags != template.Flags
            || inner.SpinLockOffset != template.SpinLockOffset || inner.IsFrozen || (isArray && inner.MaxEntries != template.MaxEntries))
        {
            throw new BpfException("UB4108", $"map '{inner.Name}' ({inner.Type}, key {inner.KeySize}, value {inner.ValueSize}, {inner.MaxEntries} entries, flags {inner.Flags}) "
                + $"does not fit into '{Name}', whose inner maps are {template.Type}, key {template.KeySize}, value {template.ValueSize}, {template.MaxEntries} entries, flags {template.Flags}.");
        }
    }

    private static bool IsArray(MapSpec spec) => spec.Type == MapType.ArrayOfMaps;

    // Entries hold addresses, whatever size the object declares for the kernel's descriptors.
    private static MapSpec Stored(MapSpec spec) => spec with { ValueSize = sizeof(ulong) };

    private static MapSpec CheckOuter(MapSpec spec)
    {
        Check(spec, IsArray(spec) ? 4 : 1, IsArray(spec) ? 4 : HashTable.MaxKeySize, 4, 4, IsArray(spec) ? MapFlags.None : MapFlags.NoPreallocation | MapFlags.ZeroSeed, 1 << 30);
        return spec.InnerMap?.Type switch
        {
            null => throw Refused(spec, "it does not say what its inner maps are"),
            MapType.ArrayOfMaps or MapType.HashOfMaps or MapType.ProgramArray => throw Refused(spec, $"its inner maps cannot be of type {spec.InnerMap.Type}"),
            _ => spec,
        };
    }
}
