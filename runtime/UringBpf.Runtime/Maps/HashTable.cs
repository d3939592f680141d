using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// The native hash table behind hash, per-CPU hash, LRU hash and hash-of-maps. Buckets are chains through a pool of
/// preallocated elements.
/// </summary>
/// <remarks>
/// A link names an element and its generation: <c>generation &lt;&lt; 32 | index</c>, index 0 is the end. An element gets a
/// new generation before it is filled for another key, so a reader that arrives on, or leaves, an element whose generation
/// is not the link's knows that it was recycled under its feet and starts again. Readers take no lock and never wait.
/// Writers lock a bucket by bit 31 of its head. Replacing a value puts a new element at the old one's place with one store:
/// readers see the old value or the new one, never neither, never a mixture.
/// An element that left its chain keeps its link until it is recycled, so stale readers find their way.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HashTable
{
    /// <summary>Bytes of the longest key.</summary>
    public const int MaxKeySize = 512;

    /// <summary>Offsets in an element: link, generation, free-list link, key; the value follows the key, 8-byte aligned.</summary>
    public const int LinkOffset = 0, GenerationOffset = 8, FreeOffset = 12, KeyOffset = 16;

    private const ulong LockBit = 1u << 31;
    private const uint IndexMask = int.MaxValue;

    public ulong* Buckets;
    /// <summary>Element 0 is not used.</summary>
    public byte* Elements;
    /// <summary>LRU tables: one byte per element, set when it is looked up; else null.</summary>
    public byte* Referenced;
    public uint BucketMask;
    public uint ElementSize;
    public uint ValueOffset;
    public uint KeySize;
    public uint ValueSize;
    /// <summary>Bytes of an entry's value as the host copies it: all slots' strides in per-CPU tables.</summary>
    public uint HostValueSize;
    /// <summary>Bytes from one slot's value to the next in per-CPU tables; 0 in others.</summary>
    public uint SlotStride;
    public int SpinLockOffset;
    public int Capacity;
    public uint PoolSize;
    public ulong Seed, Multiplier;

    // Written by updates: kept off the line that lookups read.
    private readonly ulong _pad0, _pad1, _pad2, _pad3, _pad4, _pad5, _pad6, _pad7;
    /// <summary>The free list's head: a counter against ABA in the upper half, an element index in the lower.</summary>
    public ulong FreeHead;
    /// <summary>Elements ever handed out; the rest of the pool was never touched.</summary>
    public uint Fresh;
    /// <summary>Entries, and transiently those being inserted or evicted.</summary>
    public int Count;
    /// <summary>Where the eviction clock stands.</summary>
    public uint Hand;

    /// <summary>Bytes behind a header for a table of this spec.</summary>
    public static ulong SizeOf(MapSpec spec)
    {
        var layout = Layout(spec);
        return layout.BucketsAt + layout.BucketBytes + layout.ReferencedBytes + layout.ElementBytes;
    }

    /// <summary>Lays out a table in zeroed memory of <see cref="SizeOf"/> bytes.</summary>
    public static void Initialize(HashTable* table, MapSpec spec)
    {
        var layout = Layout(spec);
        var memory = (byte*)table + layout.BucketsAt;
        table->Buckets = (ulong*)memory;
        table->Referenced = layout.ReferencedBytes > 0 ? memory + layout.BucketBytes : null;
        table->Elements = memory + layout.BucketBytes + layout.ReferencedBytes;
        table->BucketMask = (uint)(layout.BucketBytes / sizeof(ulong)) - 1;
        table->ElementSize = layout.ElementSize;
        table->KeySize = (uint)spec.KeySize;
        table->ValueOffset = KeyOffset + RoundUp8((uint)spec.KeySize);
        table->ValueSize = (uint)spec.ValueSize;
        table->SlotStride = IsPerCpu(spec) ? RoundUp8((uint)spec.ValueSize) : 0;
        table->HostValueSize = IsPerCpu(spec) ? table->SlotStride * (uint)ExecutionSlot.Count : table->ValueSize;
        table->SpinLockOffset = spec.SpinLockOffset;
        table->Capacity = spec.MaxEntries;
        table->PoolSize = layout.PoolSize;
        var zeroSeed = (spec.Flags & MapFlags.ZeroSeed) != 0;
        table->Seed = zeroSeed ? 0 : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
        table->Multiplier = (zeroSeed ? 0x9E3779B97F4A7C15 : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8))) | 1;
    }

    /// <summary>The element a link names.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Element(HashTable* table, ulong link) => table->Elements + (ulong)((uint)link & IndexMask) * table->ElementSize;

    /// <summary>The bucket's first link, lock bit left out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong First(HashTable* table, uint hash) => Volatile.Read(ref table->Buckets[hash & table->BucketMask]) & ~LockBit;

    /// <summary>The element with this key and its link, or null. Takes no lock.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Find<TKey>(HashTable* table, TKey key, out ulong link) where TKey : struct, IHashKey<TKey>
    {
        var hash = key.Hash(table);
    restart:
        link = First(table, hash);
        while ((uint)link != 0)
        {
            var element = Element(table, link);
            var same = key.Same(table, element + KeyOffset);
            var next = Volatile.Read(ref *(ulong*)element);
            // Read last: everything above was the element's own if its generation is still the link's.
            if (!IsCurrent(element, link)) goto restart;
            if (same) return element;
            link = next;
        }
        return null;
    }

    /// <summary>Copies a key's value out; never a mixture of two. For tables whose values have neither locks nor marks of use.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead<TKey, TValue>(HashTable* table, TKey key, out TValue value)
        where TKey : struct, IHashKey<TKey>
        where TValue : unmanaged
    {
        var hash = key.Hash(table);
    restart:
        for (var link = First(table, hash); (uint)link != 0;)
        {
            var element = Element(table, link);
            if (key.Same(table, element + KeyOffset))
            {
                if (sizeof(TValue) == 8) value = Unsafe.ReadUnaligned<TValue>(element + table->ValueOffset);
                else ValueMemory.CopyWords(out value, element + table->ValueOffset);
                // Read last: key and value were one entry's if the generation is still the link's.
                if (!IsCurrent(element, link)) goto restart;
                return true;
            }
            var next = Volatile.Read(ref *(ulong*)element);
            if (!IsCurrent(element, link)) goto restart;
            link = next;
        }
        value = default;
        return false;
    }

    /// <summary>True while the element is the one the link named.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsCurrent(byte* element, ulong link)
    {
        Volatile.ReadBarrier();
        return *(uint*)(element + GenerationOffset) == (uint)(link >> 32);
    }

    /// <summary>Notes that an LRU table's element was used.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Use(HashTable* table, ulong link)
    {
        // Read first: a line that is written by every lookup would bounce between the cores.
        var mark = &table->Referenced[(uint)link & IndexMask];
        if (*mark == 0) *mark = 1;
    }

    /// <summary>Adds or replaces. Slot is the execution slot whose value is written in per-CPU tables, or -1 to write
    /// all of them from a value of that many strides.</summary>
    public static int Update<TKey>(HashTable* table, TKey key, byte* value, ulong flags, int slot) where TKey : struct, IHashKey<TKey>
    {
        var locked = (flags & (ulong)MapUpdateFlags.Lock) != 0;
        flags &= ~(ulong)MapUpdateFlags.Lock;
        if (flags > (ulong)MapUpdateFlags.Exist || (locked && table->SpinLockOffset < 0)) return -Errno.EINVAL;

        var hash = key.Hash(table);
        var bucket = &table->Buckets[hash & table->BucketMask];
        var wait = new SpinWait();
        while (true)
        {
            var head = Lock(bucket);
            var at = Search<TKey>(table, bucket, head, key, out var place);
            if (at != 0 ? flags == (ulong)MapUpdateFlags.NoExist : flags == (ulong)MapUpdateFlags.Exist)
            {
                Volatile.Write(ref *bucket, head);
                return at != 0 ? -Errno.EEXIST : -Errno.ENOENT;
            }
            if (at != 0 && (locked || table->SlotStride != 0))
            {
                WriteInPlace(table, Element(table, at), value, slot, locked);
                Volatile.Write(ref *bucket, head);
                return 0;
            }
            var adds = at == 0;
            if (adds && Interlocked.Increment(ref table->Count) > table->Capacity && table->Referenced == null)
            {
                Interlocked.Decrement(ref table->Count);
                Volatile.Write(ref *bucket, head);
                return -Errno.E2BIG;
            }
            var link = Take(table);
            if (link == 0)
            {
                // Every spare element is in the hands of another writer for a moment. Waiting for it here, with the
                // bucket locked, could wait for a writer that waits for this bucket.
                if (adds) Interlocked.Decrement(ref table->Count);
                Volatile.Write(ref *bucket, head);
                wait.SpinOnce(sleep1Threshold: -1);
                continue;
            }
            var element = Element(table, link);
            key.Write(table, element + KeyOffset);
            if (table->Referenced != null) table->Referenced[(uint)link & IndexMask] = (byte)(adds ? 0 : 1);
            if (adds)
            {
                WriteNew(table, element, value, slot);
                Volatile.Write(ref *(ulong*)element, head);
                Volatile.Write(ref *bucket, link);
                if (table->Referenced != null && Volatile.Read(ref table->Count) > table->Capacity) Evict<TKey>(table, link);
                return 0;
            }
            WriteNew(table, element, value, slot);
            Volatile.Write(ref *(ulong*)element, *(ulong*)Element(table, at));
            Replace(bucket, head, place, link);
            Give(table, at);
            return 0;
        }
    }

    /// <summary>As Update, with a key of any size, which others may write to meanwhile: what is stored is what was hashed. An entry in
    /// another bucket than its key's could be neither deleted nor evicted.</summary>
    [SkipLocalsInit]
    public static int UpdateBytes(HashTable* table, byte* key, byte* value, ulong flags, int slot)
    {
        var copy = stackalloc byte[MaxKeySize];
        Unsafe.CopyBlockUnaligned(copy, key, table->KeySize);
        return Update(table, KeyBytes.Read(copy), value, flags, slot);
    }

    /// <summary>Removes a key; copies its value out first when <paramref name="value"/> is not null.</summary>
    public static int Delete<TKey>(HashTable* table, TKey key, byte* value = null) where TKey : struct, IHashKey<TKey>
    {
        var bucket = &table->Buckets[key.Hash(table) & table->BucketMask];
        var head = Lock(bucket);
        var at = Search<TKey>(table, bucket, head, key, out var place);
        if (at == 0)
        {
            Volatile.Write(ref *bucket, head);
            return -Errno.ENOENT;
        }
        var element = Element(table, at);
        if (value != null)
        {
            var source = element + table->ValueOffset;
            if (table->SpinLockOffset >= 0) ValueMemory.Acquire((int*)(source + table->SpinLockOffset));
            ValueMemory.CopyOut(value, source, table->HostValueSize, table->SpinLockOffset);
            if (table->SpinLockOffset >= 0) ValueMemory.Release((int*)(source + table->SpinLockOffset));
        }
        Replace(bucket, head, place, *(ulong*)element);
        Give(table, at);
        Interlocked.Decrement(ref table->Count);
        return 0;
    }

    /// <summary>The next element of a walk over the table. Elements that stay in it throughout come exactly once.</summary>
    public static bool Next(HashTable* table, ref MapCursor cursor, out ulong link)
    {
        while (cursor.Taken == cursor.Filled)
        {
            if (cursor.Bucket > table->BucketMask)
            {
                link = 0;
                return false;
            }
            Fill(table, ref cursor);
        }
        link = cursor.Links[cursor.Taken++];
        return true;
    }

    // Takes the links of one bucket, under its lock; what does not fit is left for another round.
    private static void Fill(HashTable* table, ref MapCursor cursor)
    {
        cursor.Taken = cursor.Filled = 0;
        var bucket = &table->Buckets[cursor.Bucket];
        if ((uint)Volatile.Read(ref *bucket) != 0)
        {
            var head = Lock(bucket);
            var skip = cursor.Skip;
            var link = head;
            for (; (uint)link != 0 && cursor.Filled < MapCursor.LinkBuffer.Capacity; link = *(ulong*)Element(table, link))
            {
                if (skip > 0) skip--;
                else cursor.Links[cursor.Filled++] = link;
            }
            Volatile.Write(ref *bucket, head);
            if ((uint)link != 0)
            {
                cursor.Skip += cursor.Filled;
                return;
            }
        }
        cursor.Skip = 0;
        cursor.Bucket++;
    }

    private static ulong Lock(ulong* bucket)
    {
        var head = Volatile.Read(ref *bucket);
        if ((head & LockBit) == 0 && Interlocked.CompareExchange(ref *bucket, head | LockBit, head) == head) return head;
        return LockContended(bucket);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong LockContended(ulong* bucket)
    {
        var wait = new SpinWait();
        while (true)
        {
            wait.SpinOnce(sleep1Threshold: -1);
            var head = Volatile.Read(ref *bucket);
            if ((head & LockBit) == 0 && Interlocked.CompareExchange(ref *bucket, head | LockBit, head) == head) return head;
        }
    }

    // The link of the key's element in a locked bucket, or 0; place is where that link is stored.
    private static ulong Search<TKey>(HashTable* table, ulong* bucket, ulong head, TKey key, out ulong* place) where TKey : struct, IHashKey<TKey>
    {
        place = bucket;
        for (var link = head; (uint)link != 0; link = *place)
        {
            var element = Element(table, link);
            if (key.Same(table, element + KeyOffset)) return link;
            place = (ulong*)element;
        }
        return 0;
    }

    // Puts a link in a place of a locked bucket and unlocks it.
    private static void Replace(ulong* bucket, ulong head, ulong* place, ulong link)
    {
        if (place != bucket)
        {
            Volatile.Write(ref *place, link);
            link = head;
        }
        Volatile.Write(ref *bucket, link);
    }

    private static void WriteInPlace(HashTable* table, byte* element, byte* value, int slot, bool locked)
    {
        var target = element + table->ValueOffset;
        if (table->SlotStride != 0)
        {
            if (slot < 0) ValueMemory.CopyWords(target, value, table->HostValueSize);
            else ValueMemory.CopyWords(target + (ulong)slot * table->SlotStride, value, table->ValueSize);
            return;
        }
        if (locked) ValueMemory.Acquire((int*)(target + table->SpinLockOffset));
        ValueMemory.CopyIn(target, value, table->ValueSize, table->SpinLockOffset);
        if (locked) ValueMemory.Release((int*)(target + table->SpinLockOffset));
    }

    private static void WriteNew(HashTable* table, byte* element, byte* value, int slot)
    {
        // A new entry of a per-CPU table starts at zero in the other slots.
        if (table->SlotStride != 0 && slot >= 0) NativeMemory.Clear(element + table->ValueOffset, table->HostValueSize);
        // A program may hold the lock of the key that the element was for: it must not write into the middle of the copy.
        WriteInPlace(table, element, value, slot, locked: table->SpinLockOffset >= 0);
    }

    // Takes an element from the pool and gives it a new generation: its link, or 0 when there is none at the moment.
    private static ulong Take(HashTable* table)
    {
        while (true)
        {
            var head = Volatile.Read(ref table->FreeHead);
            var index = (uint)head;
            if (index == 0)
            {
                var fresh = Volatile.Read(ref table->Fresh);
                if (fresh >= table->PoolSize) return 0;
                if (Interlocked.CompareExchange(ref table->Fresh, fresh + 1, fresh) != fresh) continue;
                index = fresh + 1;
            }
            else
            {
                var next = *(uint*)(Element(table, index) + FreeOffset);
                if (Interlocked.CompareExchange(ref table->FreeHead, ((head >> 32) + 1) << 32 | next, head) != head) continue;
            }
            var generation = (uint*)(Element(table, index) + GenerationOffset);
            var number = *generation + 1;
            *generation = number;
            // Before anything else in the element changes, readers must be able to tell.
            Volatile.WriteBarrier();
            return (ulong)number << 32 | index;
        }
    }

    // Puts an element back that is in no chain any more.
    private static void Give(HashTable* table, ulong link)
    {
        var index = (uint)link & IndexMask;
        var free = (uint*)(Element(table, index) + FreeOffset);
        while (true)
        {
            var head = Volatile.Read(ref table->FreeHead);
            *free = (uint)head;
            if (Interlocked.CompareExchange(ref table->FreeHead, ((head >> 32) + 1) << 32 | index, head) == head) return;
        }
    }

    // Second chance: the clock hand goes round the pool, forgives elements looked up since its last visit and
    // takes the first that was not. Elements are handed out in pool order, so without lookups this is first in, first out.
    private static void Evict<TKey>(HashTable* table, ulong newest) where TKey : struct, IHashKey<TKey>
    {
        var wait = new SpinWait();
        for (uint tries = 1; ; tries++)
        {
            var index = Interlocked.Increment(ref table->Hand) % Volatile.Read(ref table->Fresh) + 1;
            if (table->Referenced[index] != 0) table->Referenced[index] = 0;
            else if (index != ((uint)newest & IndexMask) && TryRemove<TKey>(table, index)) return;
            // Another thread's eviction may have made room while this one found every bucket locked.
            if (tries % (4 * table->PoolSize) == 0)
            {
                if (Volatile.Read(ref table->Count) <= table->Capacity) return;
                wait.SpinOnce(sleep1Threshold: -1);
            }
        }
    }

    // Removes the element with this index if it is in a bucket that is not locked.
    private static bool TryRemove<TKey>(HashTable* table, uint index) where TKey : struct, IHashKey<TKey>
    {
        var element = Element(table, index);
        // The key may change under our eyes: then the element is not found in the bucket, and nothing happens.
        var bucket = &table->Buckets[TKey.Read(element + KeyOffset).Hash(table) & table->BucketMask];
        var head = Volatile.Read(ref *bucket);
        if ((head & LockBit) != 0 || Interlocked.CompareExchange(ref *bucket, head | LockBit, head) != head) return false;
        var place = bucket;
        for (var link = head; (uint)link != 0; link = *place)
        {
            if ((uint)link == index)
            {
                Replace(bucket, head, place, *(ulong*)element);
                Give(table, link);
                Interlocked.Decrement(ref table->Count);
                return true;
            }
            place = (ulong*)Element(table, link);
        }
        Volatile.Write(ref *bucket, head);
        return false;
    }

    private static bool IsPerCpu(MapSpec spec) => spec.Type is MapType.PerCpuHash or MapType.LruPerCpuHash;

    private static (ulong BucketsAt, ulong BucketBytes, ulong ReferencedBytes, ulong ElementBytes, uint ElementSize, uint PoolSize) Layout(MapSpec spec)
    {
        var isLru = spec.Type is MapType.LruHash or MapType.LruPerCpuHash;
        var values = RoundUp8((uint)spec.ValueSize) * (ulong)(IsPerCpu(spec) ? ExecutionSlot.Count : 1);
        var elementSize = KeyOffset + RoundUp8((uint)spec.KeySize) + values;
        // Spare elements: what writers hold between taking a new element and giving the old one back.
        var pool = (ulong)spec.MaxEntries + 64;
        // Two for each entry: most chains then have one element, and a lookup's branches go as predicted.
        var buckets = 2 * (ulong)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)spec.MaxEntries) * sizeof(ulong);
        var referenced = isLru ? (pool + 64) & ~63UL : 0;
        return (((ulong)sizeof(HashTable) + 63) & ~63UL, Math.Max(buckets, 64), referenced, (pool + 1) * elementSize, (uint)elementSize, (uint)pool);
    }

    private static uint RoundUp8(uint value) => (value + 7) & ~7u;
}
