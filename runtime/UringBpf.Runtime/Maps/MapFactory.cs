using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Makes a map of the type its spec names.</summary>
internal static class MapFactory
{
    public static BpfMap Create(MapSpec spec) => spec.Type switch
    {
        MapType.Array or MapType.PerCpuArray => new ArrayMap(spec),
        MapType.Hash or MapType.PerCpuHash or MapType.LruHash or MapType.LruPerCpuHash => new HashMap(spec),
        MapType.LpmTrie => new LpmTrieMap(spec),
        MapType.Queue or MapType.Stack => new QueueMap(spec),
        MapType.BloomFilter => new BloomFilterMap(spec),
        MapType.RingBuffer => new RingBufferMap(spec),
        MapType.ProgramArray => new ProgramArrayMap(spec),
        MapType.ArrayOfMaps or MapType.HashOfMaps => new MapOfMaps(spec),
        _ => throw new BpfException("UB4101", $"map '{spec.Name}': maps of type {spec.Type} are not supported."),
    };
}
