using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Hash, per-CPU hash, LRU hash and LRU per-CPU hash.</summary>
internal sealed unsafe class HashMap : KeyedMap
{
    public HashMap(MapSpec spec) : base(CheckHash(spec), HashTable.SizeOf(spec)) => HashTable.Initialize(Table, spec);

    public override int Count => Math.Min(Volatile.Read(ref Table->Count), Spec.MaxEntries);

    private HashTable* Table => (HashTable*)Header->Data;

    /// <summary>As <see cref="KeyedMap.Get"/> without flags, where the key's size is known when the caller is compiled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool GetSized<TKey>(TKey* key, byte* value) where TKey : unmanaged
    {
        var activity = Enter();
        var found = sizeof(TKey) switch
        {
            4 => CopyOut<Key4>(Table, (byte*)key, value, locked: false),
            8 => CopyOut<Key8>(Table, (byte*)key, value, locked: false),
            _ => CopyOut<KeyBytes>(Table, (byte*)key, value, locked: false),
        };
        Leave(activity);
        return found;
    }

    private protected override bool CopyOut(byte* key, byte* value, bool locked) => Header->KeySize switch
    {
        4 => CopyOut<Key4>(Table, key, value, locked),
        8 => CopyOut<Key8>(Table, key, value, locked),
        _ => CopyOut<KeyBytes>(Table, key, value, locked),
    };

    private static bool CopyOut<TKey>(HashTable* table, byte* key, byte* value, bool locked) where TKey : struct, IHashKey
    {
        while (true)
        {
            var element = HashTable.Find<TKey>(table, key, out var link);
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

    private static MapSpec CheckHash(MapSpec spec) => Check(spec, 1, MaxKeySize, 1, MaxValueSize,
        MapFlags.NoPreallocation | MapFlags.NoCommonLru | MapFlags.ZeroSeed, 1 << 30);
}
