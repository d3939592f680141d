namespace UringBpf.Verifier;

/// <summary>
/// A hash table of places and what was recorded there, in memory of a <see cref="Workspace"/>: .NET's own leaves one large
/// object more behind each time it grows, in the middle of a walk.
/// </summary>
internal sealed class PlaceTable(Workspace workspace)
{
    private const int LeastEntries = 32;

    // A power of two of them, of which half are in use at most.
    private Block<Entry> _entries;
    private int _count;

    /// <summary>What is known of a place.</summary>
    internal struct Entry
    {
        /// <summary>The place's key and 1; 0 where there is none.</summary>
        public long Key;

        /// <summary>The number of the node recorded last that is still compared, or -1.</summary>
        public int Newest;

        /// <summary>Nodes that are compared.</summary>
        public int Nodes;
    }

    public ref Entry this[int index] => ref _entries[index];

    /// <summary>Where a place's entry is, until the next one is added; -1 for none.</summary>
    public int IndexOf(long place)
    {
        if (_count == 0) return -1;
        var index = Search(place);
        return _entries[index].Key == 0 ? -1 : index;
    }

    /// <summary>As <see cref="IndexOf"/>; the entry is added where there is none.</summary>
    public int Add(long place)
    {
        if (2 * _count >= _entries.Length) Grow();
        var index = Search(place);
        ref var entry = ref _entries[index];
        if (entry.Key != 0) return index;
        (entry.Key, entry.Newest) = (place + 1, -1);
        _count++;
        return index;
    }

    // Where a place is, or would be.
    private int Search(long place)
    {
        var mask = _entries.Length - 1;
        var at = (int)((ulong)place * 0x9E37_79B9_7F4A_7C15 >> 33) & mask;
        while (_entries[at].Key != 0 && _entries[at].Key != place + 1) at = (at + 1) & mask;
        return at;
    }

    private void Grow()
    {
        var old = _entries;
        _entries = workspace.Take<Entry>(Math.Max(LeastEntries, 2 * old.Length));
        for (var index = 0; index < old.Length; index++)
        {
            if (old[index].Key != 0) _entries[Search(old[index].Key - 1)] = old[index];
        }
    }
}
