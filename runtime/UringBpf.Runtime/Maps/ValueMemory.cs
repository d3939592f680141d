using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>Copies of map values and the spin locks in them.</summary>
internal static unsafe class ValueMemory
{
    /// <summary>Copies to or from a map in 8-byte words. Values in maps are aligned, so no such word is ever seen torn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CopyWords(byte* to, byte* from, uint bytes)
    {
        // A loop on purpose: a block copy may go byte by byte.
        uint i = 0;
        for (; i + 8 <= bytes; i += 8) Unsafe.WriteUnaligned(to + i, Unsafe.ReadUnaligned<ulong>(from + i));
        if (i < bytes) Unsafe.CopyBlockUnaligned(to + i, from + i, bytes - i);
    }

    /// <summary>As above, into a value of any type.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void CopyWords<T>(out T to, byte* from) where T : unmanaged
    {
        T copy;
        CopyWords((byte*)&copy, from, (uint)sizeof(T));
        to = copy;
    }

    /// <summary>Copies a value into a map, leaving the spin lock word there alone.</summary>
    public static void CopyIn(byte* to, byte* from, uint bytes, int lockOffset)
    {
        if (lockOffset < 0)
        {
            CopyWords(to, from, bytes);
            return;
        }
        var after = (uint)lockOffset + 4;
        CopyWords(to, from, (uint)lockOffset);
        Unsafe.CopyBlockUnaligned(to + after, from + after, bytes - after);
    }

    /// <summary>Copies a value out of a map; the spin lock word comes out as 0.</summary>
    public static void CopyOut(byte* to, byte* from, uint bytes, int lockOffset)
    {
        CopyWords(to, from, bytes);
        if (lockOffset >= 0) Unsafe.WriteUnaligned(to + lockOffset, 0);
    }

    /// <summary>Takes a <c>struct bpf_spin_lock</c>: 0 is free, 1 is held.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(int* word)
    {
        if (Interlocked.CompareExchange(ref *word, 1, 0) != 0) AcquireContended(word);
    }

    /// <summary>Releases it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(int* word) => Volatile.Write(ref *word, 0);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireContended(int* word)
    {
        var wait = new SpinWait();
        do wait.SpinOnce(sleep1Threshold: -1);
        while (Volatile.Read(ref *word) != 0 || Interlocked.CompareExchange(ref *word, 1, 0) != 0);
    }
}
