using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>How keys of one size are hashed, compared and stored; implemented by structs so that each gets its own code.</summary>
internal unsafe interface IHashKey
{
    /// <summary>Hash of a key, under the table's seed.</summary>
    static abstract uint Hash(HashTable* table, byte* key);

    /// <summary>Compares a stored key with one asked for.</summary>
    static abstract bool Same(HashTable* table, byte* stored, byte* key);

    /// <summary>Stores a key.</summary>
    static abstract void Write(HashTable* table, byte* stored, byte* key);
}

/// <summary>Keys of 4 bytes.</summary>
internal readonly unsafe struct Key4 : IHashKey
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(HashTable* table, byte* key) => HashMix.Final(Unsafe.ReadUnaligned<uint>(key) ^ table->Seed, table->Multiplier);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Same(HashTable* table, byte* stored, byte* key) => Volatile.Read(ref *(uint*)stored) == Unsafe.ReadUnaligned<uint>(key);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(HashTable* table, byte* stored, byte* key) => *(uint*)stored = Unsafe.ReadUnaligned<uint>(key);
}

/// <summary>Keys of 8 bytes.</summary>
internal readonly unsafe struct Key8 : IHashKey
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(HashTable* table, byte* key) => HashMix.Final(Unsafe.ReadUnaligned<ulong>(key) ^ table->Seed, table->Multiplier);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Same(HashTable* table, byte* stored, byte* key) => Volatile.Read(ref *(ulong*)stored) == Unsafe.ReadUnaligned<ulong>(key);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(HashTable* table, byte* stored, byte* key) => *(ulong*)stored = Unsafe.ReadUnaligned<ulong>(key);
}

/// <summary>Keys of any other size.</summary>
internal readonly unsafe struct KeyBytes : IHashKey
{
    public static uint Hash(HashTable* table, byte* key)
    {
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

    public static bool Same(HashTable* table, byte* stored, byte* key) =>
        new ReadOnlySpan<byte>(stored, (int)table->KeySize).SequenceEqual(new ReadOnlySpan<byte>(key, (int)table->KeySize));

    public static void Write(HashTable* table, byte* stored, byte* key) => Unsafe.CopyBlockUnaligned(stored, key, table->KeySize);
}

/// <summary>The hash: 64 × 64 bit multiplication folded to 64 bits, with a secret seed and multiplier per map.</summary>
internal static class HashMix
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Fold(ulong value, ulong multiplier)
    {
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
