using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>Names as bpftool spells them.</summary>
internal static class Names
{
    public static string Of(MapType type) => type switch
    {
        MapType.Hash => "hash",
        MapType.Array => "array",
        MapType.ProgramArray => "prog_array",
        MapType.PerCpuHash => "percpu_hash",
        MapType.PerCpuArray => "percpu_array",
        MapType.LruHash => "lru_hash",
        MapType.LruPerCpuHash => "lru_percpu_hash",
        MapType.LpmTrie => "lpm_trie",
        MapType.ArrayOfMaps => "array_of_maps",
        MapType.HashOfMaps => "hash_of_maps",
        MapType.Queue => "queue",
        MapType.Stack => "stack",
        MapType.RingBuffer => "ringbuf",
        MapType.BloomFilter => "bloom_filter",
        _ => $"type {(int)type}",
    };
}
