namespace UringBpf.Bytecode;

/// <summary>What every map must satisfy, however it was declared.</summary>
internal static class MapLimits
{
    public static void Check(string name, uint type, uint keySize, uint valueSize, uint maxEntries)
    {
        if (type == 0)
            throw new BpfException("UB1305", $"map '{name}' has no type.");
        if (!Enum.IsDefined((MapType)type))
            throw new BpfException("UB1305", $"map '{name}' has type {type}, which is not supported: arrays, hashes, LRU, LPM tries, queues, stacks, bloom filters, ring buffers, program arrays and maps of maps are.");
        if (keySize > int.MaxValue || valueSize > int.MaxValue || maxEntries > int.MaxValue)
            throw new BpfException("UB1312", $"map '{name}': key {keySize}, value {valueSize} and max_entries {maxEntries} must each be below 2^31.");
    }
}
