namespace UringBpf.Bytecode;

/// <summary>Finds the <c>struct bpf_spin_lock</c> in a map's value by its type.</summary>
internal static class SpinLocks
{
    private const string StructName = "bpf_spin_lock";

    /// <summary>The byte offset of the lock in a value of the type, or -1.</summary>
    /// <exception cref="BpfException">UB1314 when there are several, or it is misaligned.</exception>
    public static int Find(BtfSpec btf, int valueTypeId, string map)
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
            if (offset % 4 != 0)
                throw new BpfException("UB1314", $"map '{map}' has its bpf_spin_lock at {offset}; it must be aligned to 4 bytes.");
            found = offset;
        }
    }
}
