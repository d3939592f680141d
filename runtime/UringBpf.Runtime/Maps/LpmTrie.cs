using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// The native longest-prefix-match trie (<c>kernel/bpf/lpm_trie.c</c>). A key is <c>{ u32 prefixlen; u8 data[]; }</c>, most
/// significant bit first. A node holds an entry, or only splits its two children.
/// </summary>
/// <remarks>
/// Links carry the node's generation as in <see cref="HashTable"/>: lookups take no lock and start again when a node was
/// recycled under their feet. Updates hold one lock per map and publish every change with a single store.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LpmTrie
{
    /// <summary>The fixed part of a node; prefix bytes and value follow.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Node
    {
        public ulong Child0, Child1;
        public uint Generation;
        /// <summary>The next free node; <see cref="InUse"/> in a node that is not free.</summary>
        public uint NextFree;
        public uint PrefixLength;
        /// <summary>1 for an entry, 0 for a node that only splits. Kept when freed: stale readers still look at it.</summary>
        public uint IsEntry;
    }

    /// <summary>Bytes of the longest key.</summary>
    public const int MaxKeySize = 260;

    private const uint InUse = uint.MaxValue;

    public ulong Root;
    public byte* Nodes;
    public uint NodeSize;
    public uint ValueOffset;
    public uint DataBytes;
    public uint ValueSize;
    public int Capacity;
    public int Lock;
    public int Count;
    public uint FreeHead;
    public uint Fresh;

    public static ulong SizeOf(MapSpec spec) => (ulong)HeaderBytes + (NodeCount(spec) + 1) * SizeOfNode(spec);

    public static void Initialize(LpmTrie* trie, MapSpec spec)
    {
        trie->Nodes = (byte*)trie + HeaderBytes;
        trie->NodeSize = (uint)SizeOfNode(spec);
        trie->DataBytes = (uint)spec.KeySize - sizeof(uint);
        trie->ValueOffset = (uint)sizeof(Node) + RoundUp8(trie->DataBytes);
        trie->ValueSize = (uint)spec.ValueSize;
        trie->Capacity = spec.MaxEntries;
    }

    /// <summary>Address of the value of the longest stored prefix of a key, or null.</summary>
    public static byte* Lookup(LpmTrie* trie, byte* key, out ulong link)
    {
        var length = Unsafe.ReadUnaligned<uint>(key);
        link = 0;
        if (length > trie->DataBytes * 8) return null;
    restart:
        Node* found = null;
        link = 0;
        var current = Volatile.Read(ref trie->Root);
        while (current != 0)
        {
            var node = At(trie, current);
            var prefix = Volatile.Read(ref node->PrefixLength);
            var match = Match(trie, node, prefix, key, length);
            var isEntry = Volatile.Read(ref node->IsEntry) != 0;
            // A torn prefix length of a recycled node may lie past the key: the generation says so below.
            var next = prefix < trie->DataBytes * 8 ? Volatile.Read(ref *Child(node, Bit(key + 4, prefix))) : 0;
            if (!IsCurrent(node, current)) goto restart;
            if (match < prefix) break;
            if (isEntry)
            {
                found = node;
                link = current;
            }
            if (match == length) break;
            current = next;
        }
        return found == null ? null : (byte*)found + trie->ValueOffset;
    }

    /// <summary>Adds or replaces: 0, -EINVAL, -EEXIST, -ENOENT, -ENOSPC.</summary>
    [SkipLocalsInit]
    public static int Update(LpmTrie* trie, byte* key, byte* value, ulong flags)
    {
        // Others may write to the key meanwhile, and it is looked at more than once.
        var copy = stackalloc byte[MaxKeySize];
        Unsafe.CopyBlockUnaligned(copy, key, sizeof(uint) + trie->DataBytes);
        var length = Unsafe.ReadUnaligned<uint>(copy);
        if (flags > (ulong)MapUpdateFlags.Exist || length > trie->DataBytes * 8) return -Errno.EINVAL;
        ValueMemory.Acquire(&trie->Lock);
        var result = UpdateLocked(trie, copy, length, value, flags);
        ValueMemory.Release(&trie->Lock);
        return result;
    }

    /// <summary>Deletes exactly this prefix, after copying its value out when asked: 0, -EINVAL, -ENOENT.</summary>
    public static int Delete(LpmTrie* trie, byte* key, byte* value)
    {
        var length = Unsafe.ReadUnaligned<uint>(key);
        if (length > trie->DataBytes * 8) return -Errno.EINVAL;
        ValueMemory.Acquire(&trie->Lock);
        var result = DeleteLocked(trie, key, length, value);
        ValueMemory.Release(&trie->Lock);
        return result;
    }

    /// <summary>The next entry in pool order from <paramref name="index"/> on, with its link; null at the end. Takes no lock.</summary>
    public static Node* Next(LpmTrie* trie, ref uint index, out ulong link)
    {
        while (index < Volatile.Read(ref trie->Fresh))
        {
            var node = At(trie, ++index);
            link = (ulong)Volatile.Read(ref node->Generation) << 32 | index;
            if (Volatile.Read(ref node->IsEntry) != 0 && Volatile.Read(ref node->NextFree) == InUse) return node;
        }
        link = 0;
        return null;
    }

    /// <summary>Writes a node's prefix as a key.</summary>
    public static void CopyKey(LpmTrie* trie, Node* node, byte* key)
    {
        Unsafe.WriteUnaligned(key, node->PrefixLength);
        Unsafe.CopyBlockUnaligned(key + 4, Data(node), trie->DataBytes);
    }

    /// <summary>True while the node is the one the link named.</summary>
    public static bool IsCurrent(Node* node, ulong link)
    {
        Volatile.ReadBarrier();
        return node->Generation == (uint)(link >> 32);
    }

    private static int UpdateLocked(LpmTrie* trie, byte* key, uint length, byte* value, ulong flags)
    {
        var place = &trie->Root;
        Node* node = null;
        uint match = 0;
        while (*place != 0)
        {
            node = At(trie, *place);
            match = Match(trie, node, node->PrefixLength, key, length);
            if (match != node->PrefixLength || node->PrefixLength == length) break;
            place = Child(node, Bit(key + 4, node->PrefixLength));
            node = null;
        }

        var same = node != null && match == node->PrefixLength && match == length;
        var exists = same && node->IsEntry != 0;
        if (exists ? flags == (ulong)MapUpdateFlags.NoExist : flags == (ulong)MapUpdateFlags.Exist) return exists ? -Errno.EEXIST : -Errno.ENOENT;
        if (!exists && trie->Count == trie->Capacity) return -Errno.ENOSPC;

        var added = Take(trie, out var link);
        added->PrefixLength = length;
        added->IsEntry = 1;
        added->Child0 = added->Child1 = 0;
        Unsafe.CopyBlockUnaligned(Data(added), key + 4, trie->DataBytes);
        ValueMemory.CopyWords((byte*)added + trie->ValueOffset, value, trie->ValueSize);
        if (!exists) trie->Count++;

        if (node == null)
        {
            Volatile.Write(ref *place, link);
        }
        else if (same)
        {
            // In the old node's place, with its children.
            (added->Child0, added->Child1) = (node->Child0, node->Child1);
            var old = *place;
            Volatile.Write(ref *place, link);
            Give(trie, old);
        }
        else if (match == length)
        {
            // The new prefix is shorter: it becomes the parent.
            *Child(added, Bit(Data(node), match)) = *place;
            Volatile.Write(ref *place, link);
        }
        else
        {
            // They part at bit 'match': a node that only splits goes above both.
            var split = Take(trie, out var splitLink);
            split->PrefixLength = match;
            split->IsEntry = 0;
            Unsafe.CopyBlockUnaligned(Data(split), Data(node), trie->DataBytes);
            var bit = Bit(key + 4, match);
            *Child(split, bit) = link;
            *Child(split, bit ^ 1) = *place;
            Volatile.Write(ref *place, splitLink);
        }
        return 0;
    }

    private static int DeleteLocked(LpmTrie* trie, byte* key, uint length, byte* value)
    {
        ulong* place = &trie->Root, parentPlace = null;
        Node* node = null;
        while (*place != 0)
        {
            node = At(trie, *place);
            var match = Match(trie, node, node->PrefixLength, key, length);
            if (match != node->PrefixLength) return -Errno.ENOENT;
            if (match == length) break;
            parentPlace = place;
            place = Child(node, Bit(key + 4, node->PrefixLength));
            node = null;
        }
        if (node == null || node->IsEntry == 0) return -Errno.ENOENT;
        if (value != null) ValueMemory.CopyWords(value, (byte*)node + trie->ValueOffset, trie->ValueSize);
        trie->Count--;

        if (node->Child0 != 0 && node->Child1 != 0)
        {
            // Still needed to split its children.
            Volatile.Write(ref node->IsEntry, 0);
            return 0;
        }
        var old = *place;
        var child = node->Child0 != 0 ? node->Child0 : node->Child1;
        if (child == 0 && parentPlace != null && At(trie, *parentPlace)->IsEntry == 0)
        {
            // The parent only split this node from its sibling: the sibling takes the parent's place.
            var parentLink = *parentPlace;
            var parent = At(trie, parentLink);
            Volatile.Write(ref *parentPlace, parent->Child0 == old ? parent->Child1 : parent->Child0);
            Give(trie, parentLink);
        }
        else
        {
            Volatile.Write(ref *place, child);
        }
        Give(trie, old);
        return 0;
    }

    // Bits that the node's prefix and the key have in common, at most the shorter length.
    private static uint Match(LpmTrie* trie, Node* node, uint prefix, byte* key, uint length)
    {
        var limit = Math.Min(prefix, length);
        byte* a = Data(node), b = key + 4;
        uint at = 0;
        for (; at + 4 <= trie->DataBytes && at * 8 < limit; at += 4)
        {
            var difference = BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(a + at) ^ Unsafe.ReadUnaligned<uint>(b + at));
            if (difference != 0) return Math.Min(limit, at * 8 + (uint)BitOperations.LeadingZeroCount(difference));
        }
        for (; at < trie->DataBytes && at * 8 < limit; at++)
        {
            var difference = (uint)(a[at] ^ b[at]) << 24;
            if (difference != 0) return Math.Min(limit, at * 8 + (uint)BitOperations.LeadingZeroCount(difference));
        }
        return limit;
    }

    private static uint Bit(byte* data, uint index) => (uint)(data[index / 8] >> (int)(7 - index % 8)) & 1;

    private static ulong* Child(Node* node, uint bit) => &node->Child0 + bit;

    private static byte* Data(Node* node) => (byte*)(node + 1);

    private static Node* At(LpmTrie* trie, ulong link) => (Node*)(trie->Nodes + (ulong)(uint)link * trie->NodeSize);

    // There are nodes for every entry, every split, and one replacement: it never runs dry.
    private static Node* Take(LpmTrie* trie, out ulong link)
    {
        var index = trie->FreeHead;
        if (index == 0)
        {
            index = trie->Fresh + 1;
            Volatile.Write(ref trie->Fresh, index);
        }
        else
        {
            trie->FreeHead = At(trie, index)->NextFree;
        }
        var node = At(trie, index);
        var generation = node->Generation + 1;
        node->Generation = generation;
        // Readers must be able to tell before anything else in the node changes.
        Volatile.WriteBarrier();
        node->NextFree = InUse;
        link = (ulong)generation << 32 | index;
        return node;
    }

    private static void Give(LpmTrie* trie, ulong link)
    {
        var node = At(trie, link);
        node->NextFree = trie->FreeHead;
        trie->FreeHead = (uint)link;
    }

    private static int HeaderBytes => (sizeof(LpmTrie) + 63) & ~63;

    private static ulong NodeCount(MapSpec spec) => 2UL * (ulong)spec.MaxEntries + 1;

    private static ulong SizeOfNode(MapSpec spec) => (ulong)sizeof(Node) + RoundUp8((uint)spec.KeySize - sizeof(uint)) + RoundUp8((uint)spec.ValueSize);

    private static uint RoundUp8(uint value) => (value + 7) & ~7u;
}
