using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Hash, per-CPU hash, LRU hash and LRU per-CPU hash.</summary>
internal sealed unsafe class HashMap : KeyedMap
{
    public HashMap(MapSpec spec) : base(CheckHash(spec), HashTable.SizeOf(spec)) => HashTable.Initialize(Table, spec);

    public override int Count
    {
        get
        {
            var activity = Enter();
            var count = Math.Min(Volatile.Read(ref Table->Count), Spec.MaxEntries);
            Leave(activity);
            return count;
        }
    }

    private HashTable* Table => (HashTable*)Header->Data;

    /// <summary>The table, for typed views, where reading a value is no more than copying it: no LRU, no spin lock; else null.</summary>
    internal HashTable* Plain
    {
        get
        {
            var activity = Enter();
            var isPlain = Table->Referenced == null && Table->SpinLockOffset < 0 && Table->SlotStride == 0;
            Leave(activity);
            return isPlain ? Table : null;
        }
    }

    /// <summary>As <see cref="KeyedMap.Get"/>, compiled for the sizes of key and value.</summary>
    /// <param name="table"><see cref="Plain"/>.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, or default.</param>
    /// <param name="exists">False when there is no such key.</param>
    /// <returns>False when the ordinary way must be gone: nothing was done.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryRead<TKey, TValue>(HashTable* table, TKey key, out TValue value, out bool exists)
        where TKey : struct, IHashKey<TKey>
        where TValue : unmanaged
    {
        value = default;
        exists = false;
        if (!TryEnter(out var activity, out var stay)) return false;
        exists = HashTable.TryRead(table, key, out value);
        Reclamation.LeaveQuick(activity, stay);
        GC.KeepAlive(this);
        return true;
    }

    private protected override bool CopyOut(byte* key, byte* value, bool locked) => Header->KeySize switch
    {
        4 => CopyOut(Table, Key4.Read(key), value, locked),
        8 => CopyOut(Table, Key8.Read(key), value, locked),
        _ => CopyOut(Table, KeyBytes.Read(key), value, locked),
    };

    private static bool CopyOut<TKey>(HashTable* table, TKey key, byte* value, bool locked) where TKey : struct, IHashKey<TKey>
    {
        while (true)
        {
            var element = HashTable.Find(table, key, out var link);
            if (element == null) return false;
            if (table->Referenced != null) HashTable.Use(table, link);
            if (TryCopy(table, element, link, value, locked)) return true;
        }
    }

    private protected override int CopyIn(byte* key, byte* value, MapUpdateFlags flags) =>
        (int)MapOps.HashUpdate(Header, key, value, (ulong)flags, -1);

    private protected override int Remove(byte* key, byte* value) => (int)MapOps.HashDelete(Header, key, value);

    private protected override bool Next(ref MapCursor cursor, byte* key, byte* value)
    {
        while (HashTable.Next(Table, ref cursor, out var link))
        {
            var element = HashTable.Element(Table, link);
            new ReadOnlySpan<byte>(element + HashTable.KeyOffset, Spec.KeySize).CopyTo(new Span<byte>(key, Spec.KeySize));
            if (TryCopy(Table, element, link, value, locked: false)) return true;
        }
        return false;
    }

    // False when the element was recycled meanwhile: what was copied is not the key's value.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryCopy(HashTable* table, byte* element, ulong link, byte* value, bool locked)
    {
        var source = element + table->ValueOffset;
        if (locked) ValueMemory.Acquire((int*)(source + table->SpinLockOffset));
        ValueMemory.CopyOut(value, source, table->HostValueSize, table->SpinLockOffset);
        if (locked) ValueMemory.Release((int*)(source + table->SpinLockOffset));
        return HashTable.IsCurrent(element, link);
    }

    private static MapSpec CheckHash(MapSpec spec)
    {
        Check(spec, 1, MaxKeySize, 1, MaxValueSize, MapFlags.NoPreallocation | MapFlags.NoCommonLru | MapFlags.ZeroSeed, 1 << 30);
        return spec.Type is MapType.PerCpuHash or MapType.LruPerCpuHash ? CheckPerCpu(spec) : spec;
    }
}
