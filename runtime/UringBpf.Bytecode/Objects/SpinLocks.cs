namespace UringBpf.Bytecode;

/// <summary>Finds the <c>struct bpf_spin_lock</c> in a map's value by its type.</summary>
internal static class SpinLocks
{
    private const string StructName = "bpf_spin_lock";
    private const int Bytes = 4;

    /// <summary>The byte offset of the lock in a value of the type, or -1.</summary>
    /// <exception cref="BpfException">UB1314 when there are several, or it is misaligned, or not within the value.</exception>
    public static int Find(BtfSpec btf, int valueTypeId, long valueSize, string map)
    {
        var offset = Find(btf, valueTypeId, map);
        // Types may say anything about where their members lie, and the engine takes and spares the word at this offset.
        if (offset >= 0) CheckWithin(offset, valueSize, map);
        return offset;
    }

    /// <summary>Throws unless a lock at an offset lies within values of a size.</summary>
    /// <exception cref="BpfException">UB1314.</exception>
    public static void CheckWithin(int offset, long valueSize, string map)
    {
        if (offset > valueSize - Bytes)
            throw new BpfException("UB1314", $"map '{map}' has its bpf_spin_lock at {offset}, which is not within its values of {valueSize} bytes.");
    }

    private static int Find(BtfSpec btf, int valueTypeId, string map)
    {
        var found = -1;
        switch (valueTypeId == 0 ? null : btf.Resolve(valueTypeId))
        {
            case BtfStruct { IsUnion: false } value:
                foreach (var member in value.Members) Add(member.TypeId, member.BitOffset / 8);
                break;
            case BtfDataSection data:
                foreach (var place in data.Variables)
                {
                    if (btf[place.TypeId] is BtfVariable variable) Add(variable.TypeId, place.Offset);
                }
                break;
        }
        return found;

        void Add(int typeId, int offset)
        {
            if (btf.Resolve(typeId) is not BtfStruct { Name: StructName }) return;
            if (found >= 0)
                throw new BpfException("UB1314", $"map '{map}' has two bpf_spin_locks in its value, at {found} and {offset}; one is the most.");
            if (offset % Bytes != 0)
                throw new BpfException("UB1314", $"map '{map}' has its bpf_spin_lock at {offset}; it must be aligned to 4 bytes.");
            found = offset;
        }
    }
}
