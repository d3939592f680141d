using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace UringBpf.Runtime;

/// <summary>A key: by value where its size is that of a register. Implemented by structs so that each size gets its own code.</summary>
internal unsafe interface IHashKey<TSelf> where TSelf : struct, IHashKey<TSelf>
{
    /// <summary>The key at an address, which stays readable while it is used.</summary>
    static abstract TSelf Read(byte* key);

    /// <summary>Its hash, under the table's seed.</summary>
    uint Hash(HashTable* table);

    /// <summary>Compares with a stored key.</summary>
    bool Same(HashTable* table, byte* stored);

    /// <summary>Stores it.</summary>
    void Write(HashTable* table, byte* stored);
}

/// <summary>A key of 4 bytes.</summary>
internal readonly unsafe struct Key4(uint value) : IHashKey<Key4>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Key4 Read(byte* key) => new(Unsafe.ReadUnaligned<uint>(key));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Hash(HashTable* table) => HashMix.Final(value ^ table->Seed, table->Multiplier);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Same(HashTable* table, byte* stored) => Volatile.Read(ref *(uint*)stored) == value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(HashTable* table, byte* stored) => *(uint*)stored = value;
}

/// <summary>A key of 8 bytes.</summary>
internal readonly unsafe struct Key8(ulong value) : IHashKey<Key8>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Key8 Read(byte* key) => new(Unsafe.ReadUnaligned<ulong>(key));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Hash(HashTable* table) => HashMix.Final(value ^ table->Seed, table->Multiplier);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Same(HashTable* table, byte* stored) => Volatile.Read(ref *(ulong*)stored) == value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(HashTable* table, byte* stored) => *(ulong*)stored = value;
}

/// <summary>A key of any other size: where it is.</summary>
internal readonly unsafe struct KeyBytes : IHashKey<KeyBytes>
{
    private readonly byte* _key;

    private KeyBytes(byte* key) => _key = key;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KeyBytes Read(byte* key) => new(key);

    public uint Hash(HashTable* table)
    {
        var key = _key;
        var size = table->KeySize;
        var state = table->Seed ^ size;
        while (size > 8)
        {
            state = HashMix.Fold(Unsafe.ReadUnaligned<ulong>(key) ^ state, table->Multiplier);
            key += 8;
            size -= 8;
        }
        ulong last = 0;
        Unsafe.CopyBlockUnaligned(&last, key, size);
        return HashMix.Final(last ^ state, table->Multiplier);
    }

    public bool Same(HashTable* table, byte* stored) =>
        new ReadOnlySpan<byte>(stored, (int)table->KeySize).SequenceEqual(new ReadOnlySpan<byte>(_key, (int)table->KeySize));

    public void Write(HashTable* table, byte* stored) => Unsafe.CopyBlockUnaligned(stored, _key, table->KeySize);
}

/// <summary>The hash: 64 × 64 bit multiplication folded to 64 bits, with a secret seed and multiplier per map.</summary>
internal static class HashMix
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Fold(ulong value, ulong multiplier)
    {
        // Asked for both halves at once, the compiler sends the lower one through memory.
        if (Bmi2.X64.IsSupported) return Bmi2.X64.MultiplyNoFlags(value, multiplier) ^ value * multiplier;
        var high = Math.BigMul(value, multiplier, out ulong low);
        return high ^ low;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Final(ulong value, ulong multiplier)
    {
        var mixed = Fold(value, multiplier);
        return (uint)(mixed ^ (mixed >> 32));
    }
}
