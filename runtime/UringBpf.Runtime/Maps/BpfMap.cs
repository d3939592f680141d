using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A map: memory shared by programs and the host. Thread-safe. Its native memory is preallocated and never moves, so a
/// pointer a program got stays readable and writable until its run ends, whatever other threads do; an element that was
/// deleted meanwhile may be in use for another key by then, as with the kernel's preallocated maps.
/// </summary>
/// <remarks>
/// References keep the memory: the owner's (until <see cref="Dispose()"/>), that of the <see cref="MapSet"/> its programs
/// are bound to, of outer maps, of ring-buffer consumers. After the last one it is freed as soon as no run or host call that
/// was active then still is. A map nobody disposes is freed with its last managed reference.
/// </remarks>
public abstract unsafe class BpfMap : IDisposable
{
    // Large enough for any real map, small enough that sizes never overflow.
    private const ulong MaxBytes = 1UL << 36;
    private static int s_liveMaps;
    private static long s_liveBytes;

    private readonly MapHeader* _header;
    private readonly bool _isLow;
    private int _references = 1;
    private int _disposed;
    private int _freed;

    /// <summary>Allocates the native side.</summary>
    /// <param name="spec">What the map is.</param>
    /// <param name="dataBytes">Zeroed, 64-byte aligned bytes behind <see cref="MapHeader.Data"/>; untouched pages cost nothing.</param>
    private protected BpfMap(MapSpec spec, ulong dataBytes)
    {
        Spec = spec;
        const ulong header = 128;
        if (dataBytes > MaxBytes)
            throw Refused(spec, $"it needs {dataBytes} bytes, more than the limit of {MaxBytes}");
        var total = header + dataBytes + 64;
        var block = LowMemory.TryAllocate(total);
        _isLow = block != null;
        try
        {
            if (block == null) block = (byte*)NativeMemory.AllocZeroed((nuint)total);
        }
        catch (OutOfMemoryException e)
        {
            throw new BpfException("UB4103", $"map '{spec.Name}': the system has no {total} bytes for it.", inner: e);
        }
        _header = (MapHeader*)block;
        *_header = new MapHeader
        {
            Type = spec.Type,
            KeySize = (uint)spec.KeySize,
            ValueSize = (uint)spec.ValueSize,
            MaxEntries = (uint)spec.MaxEntries,
            Stride = RoundUp8((uint)spec.ValueSize),
            Flags = spec.Flags,
            Data = (byte*)(((nuint)block + (nuint)header + 63) & ~(nuint)63),
            Managed = GCHandle.ToIntPtr(GCHandle.Alloc(this, GCHandleType.Weak)),
            SpinLockOffset = spec.SpinLockOffset,
            Bytes = total,
        };
        Interlocked.Increment(ref s_liveMaps);
        Interlocked.Add(ref s_liveBytes, (long)total);
        AddressSpace.Add(_header->Data, dataBytes);
    }

    /// <summary>Creates a map that belongs to no set: an inner map of a map of maps, or one the host works with alone.</summary>
    /// <exception cref="BpfException">UB4101..UB4103 when the spec can't be created.</exception>
    public static BpfMap Create(MapSpec spec) => MapFactory.Create(spec);

    /// <summary>Maps whose native memory is allocated.</summary>
    public static int LiveCount => Volatile.Read(ref s_liveMaps);

    /// <summary>Bytes of native memory all maps hold (reserved; pages never touched are not resident).</summary>
    public static long LiveBytes => Volatile.Read(ref s_liveBytes);

    /// <summary>What the map is.</summary>
    public MapSpec Spec { get; }

    /// <summary>The map's name.</summary>
    public string Name => Spec.Name;

    /// <summary>The native header: the address programs use. Valid while the map has references.</summary>
    public MapHeader* Header => _header;

    /// <summary>Gives up the owner's reference: the host can't use the map any more; programs bound to it can.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            OnDispose();
            Release();
        }
        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory of a map that nothing refers to: no object does, but a run may have found its address in a map of maps that holds it
    /// no longer.</summary>
    ~BpfMap() => Reclamation.Retire(Free);

    /// <inheritdoc />
    public override string ToString() => $"{Name} ({Spec.Type})";

    /// <summary>True once the native memory is gone.</summary>
    internal bool IsFreed => Volatile.Read(ref _freed) != 0;

    /// <summary>Adds a reference.</summary>
    internal void Retain()
    {
        int references;
        do
        {
            references = Volatile.Read(ref _references);
            ObjectDisposedException.ThrowIf(references == 0, this);
        }
        while (Interlocked.CompareExchange(ref _references, references + 1, references) != references);
    }

    /// <summary>Takes a reference away; frees after the last.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0) Reclamation.Retire(Free);
    }

    /// <summary>Called once, when the host gives the map up; programs may still use it.</summary>
    private protected virtual void OnDispose()
    {
    }

    /// <summary>Called once, just before the memory goes, with every reference gone: releases what the map refers to.</summary>
    private protected virtual void OnFree()
    {
    }

    /// <summary>Starts a host call: the memory stays until <see cref="Leave"/>.</summary>
    /// <returns>What to give to Leave.</returns>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected Activity* Enter()
    {
        var activity = Reclamation.Enter();
        if (Volatile.Read(ref _disposed) != 0) LeaveDisposed(activity);
        return activity;
    }

    /// <summary>As <see cref="Enter"/>; false, with nothing begun, where that has more to do than to make a mark.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected bool TryEnter(out Activity* activity, out ulong stay)
    {
        if (!Reclamation.TryEnter(out activity, out stay)) return false;
        if (Volatile.Read(ref _disposed) == 0) return true;
        Reclamation.LeaveQuick(activity, stay);
        return false;
    }

    /// <summary>Ends a host call.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected void Leave(Activity* activity)
    {
        Reclamation.Leave(activity);
        GC.KeepAlive(this);
    }

    private protected static uint RoundUp8(uint value) => (value + 7) & ~7u;

    private protected static BpfException Refused(MapSpec spec, string reason) => new("UB4102", $"map '{spec.Name}' ({spec.Type}): {reason}.");

    /// <summary>Throws UB4102 unless the spec is in range.</summary>
    private protected static MapSpec Check(MapSpec spec, int keyMin, int keyMax, int valueMin, int valueMax, MapFlags allowed, int maxEntries = int.MaxValue)
    {
        allowed |= MapFlags.ReadOnlyProgram | MapFlags.WriteOnlyProgram | MapFlags.NumaNode;
        if (spec.KeySize < keyMin || spec.KeySize > keyMax)
            throw Refused(spec, keyMin == keyMax ? $"its key must be {keyMin} bytes, not {spec.KeySize}" : $"its key must be {keyMin}..{keyMax} bytes, not {spec.KeySize}");
        if (spec.ValueSize < valueMin || spec.ValueSize > valueMax)
            throw Refused(spec, valueMin == valueMax ? $"its value must be {valueMin} bytes, not {spec.ValueSize}" : $"its value must be {valueMin}..{valueMax} bytes, not {spec.ValueSize}");
        if (spec.MaxEntries < 1 || spec.MaxEntries > maxEntries)
            throw Refused(spec, $"max_entries must be 1..{maxEntries}, not {spec.MaxEntries}");
        if ((spec.Flags & ~allowed) != 0)
            throw Refused(spec, $"flags 0x{(uint)(spec.Flags & ~allowed):x} are not known for this type");
        const MapFlags both = MapFlags.ReadOnlyProgram | MapFlags.WriteOnlyProgram;
        if ((spec.Flags & both) == both)
            throw Refused(spec, "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other");
        if (spec.SpinLockOffset >= 0 && (spec.SpinLockOffset % 4 != 0 || spec.SpinLockOffset > spec.ValueSize - 4))
            throw Refused(spec, $"a spin lock at offset {spec.SpinLockOffset} is not an aligned part of the {spec.ValueSize}-byte value");
        if (spec.SpinLockOffset >= 0 && spec.Type is not (MapType.Array or MapType.Hash or MapType.LruHash))
            throw Refused(spec, "spin locks are for values of array and hash maps");
        return spec;
    }

    private void LeaveDisposed(Activity* activity)
    {
        Reclamation.Leave(activity);
        throw new ObjectDisposedException(Name, $"The map '{Name}' was disposed.");
    }

    private void Free()
    {
        // The finalizers of maps that refer to each other run in any order: a late release must not free twice.
        if (_header == null || Interlocked.Exchange(ref _freed, 1) != 0) return;
        GC.SuppressFinalize(this);
        OnFree();
        AddressSpace.Remove(_header->Data);
        Interlocked.Decrement(ref s_liveMaps);
        Interlocked.Add(ref s_liveBytes, -(long)_header->Bytes);
        GCHandle.FromIntPtr(_header->Managed).Free();
        if (_isLow) LowMemory.Free((byte*)_header, _header->Bytes);
        else NativeMemory.Free(_header);
    }
}
