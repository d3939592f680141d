using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Longest-prefix-match trie: keys are { u32 prefixlen; u8 data[] }.</summary>
internal sealed unsafe class LpmTrieMap : KeyedMap
{
    public LpmTrieMap(MapSpec spec) : base(CheckTrie(spec), LpmTrie.SizeOf(spec)) => LpmTrie.Initialize(Trie, spec);

    public override int Count
    {
        get
        {
            var activity = Enter();
            var count = Volatile.Read(ref Trie->Count);
            Leave(activity);
            return count;
        }
    }

    private LpmTrie* Trie => (LpmTrie*)Header->Data;

    private protected override bool CopyOut(byte* key, byte* value, bool locked)
    {
        while (true)
        {
            var source = LpmTrie.Lookup(Trie, key, out var link);
            if (source == null) return false;
            ValueMemory.CopyWords(value, source, Trie->ValueSize);
            if (LpmTrie.IsCurrent((LpmTrie.Node*)(source - Trie->ValueOffset), link)) return true;
        }
    }

    private protected override int CopyIn(byte* key, byte* value, MapUpdateFlags flags) => LpmTrie.Update(Trie, key, value, (ulong)flags);

    private protected override int Remove(byte* key, byte* value) => LpmTrie.Delete(Trie, key, value);

    private protected override bool Next(ref MapCursor cursor, byte* key, byte* value)
    {
        while (true)
        {
            var node = LpmTrie.Next(Trie, ref cursor.Bucket, out var link);
            if (node == null) return false;
            LpmTrie.CopyKey(Trie, node, key);
            ValueMemory.CopyWords(value, (byte*)node + Trie->ValueOffset, Trie->ValueSize);
            if (LpmTrie.IsCurrent(node, link)) return true;
        }
    }

    private static MapSpec CheckTrie(MapSpec spec)
    {
        Check(spec, 5, LpmTrie.MaxKeySize, 1, MaxValueSize, MapFlags.NoPreallocation, 1 << 29);
        // The kernel demands it; an object that forgets it would fail there.
        return (spec.Flags & MapFlags.NoPreallocation) != 0 ? spec : throw Refused(spec, "an LPM trie must be declared with BPF_F_NO_PREALLOC");
    }
}
