using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>How things are spelt: map types as bpftool does.</summary>
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

    /// <summary>1 map, 2 maps.</summary>
    public static string Count(long count, string thing) => $"{count} {thing}{(count == 1 ? "" : "s")}";
}
