using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Map types, with the numbers of the Linux ABI (<c>enum bpf_map_type</c>).</summary>
public enum MapType
{
    /// <summary>No type.</summary>
    Unspecified = 0,
    /// <summary>Hash table.</summary>
    Hash = 1,
    /// <summary>Array indexed by a 32-bit key.</summary>
    Array = 2,
    /// <summary>Programs to tail call.</summary>
    ProgramArray = 3,
    /// <summary>Hash table with one value per execution slot.</summary>
    PerCpuHash = 5,
    /// <summary>Array with one value per execution slot.</summary>
    PerCpuArray = 6,
    /// <summary>Hash table that evicts the least recently used entry.</summary>
    LruHash = 9,
    /// <summary>LRU hash with one value per execution slot.</summary>
    LruPerCpuHash = 10,
    /// <summary>Longest-prefix-match trie.</summary>
    LpmTrie = 11,
    /// <summary>Array whose values are maps.</summary>
    ArrayOfMaps = 12,
    /// <summary>Hash table whose values are maps.</summary>
    HashOfMaps = 13,
    /// <summary>FIFO queue.</summary>
    Queue = 22,
    /// <summary>LIFO stack.</summary>
    Stack = 23,
    /// <summary>Ring buffer from programs to the host.</summary>
    RingBuffer = 27,
    /// <summary>Bloom filter.</summary>
    BloomFilter = 30,
}

/// <summary>Map creation flags, with the numbers of the Linux ABI (<c>BPF_F_*</c>).</summary>
[Flags]
public enum MapFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>BPF_F_NO_PREALLOC: entries are allocated on demand (required for LPM tries).</summary>
    NoPreallocation = 1,
    /// <summary>BPF_F_NO_COMMON_LRU: accepted; the LRU maps of this engine have one eviction order for all threads anyway.</summary>
    NoCommonLru = 1 << 1,
    /// <summary>BPF_F_NUMA_NODE: accepted; where memory lies is left to the system.</summary>
    NumaNode = 1 << 2,
    /// <summary>BPF_F_ZERO_SEED: hash with seed 0, for reproducible order; gives up protection against chosen keys.</summary>
    ZeroSeed = 1 << 6,
    /// <summary>BPF_F_RDONLY_PROG: programs may only read.</summary>
    ReadOnlyProgram = 1 << 7,
    /// <summary>BPF_F_WRONLY_PROG: programs may only write.</summary>
    WriteOnlyProgram = 1 << 8,
    /// <summary>BPF_F_MMAPABLE: accepted; every map of this engine is in the host's memory already.</summary>
    MemoryMappable = 1 << 10,
}

/// <summary>What a map is: declared by an object or by the host, created later as a <c>BpfMap</c>.</summary>
/// <remarks>Identity matters: two programs that name the same <see cref="MapSpec"/> instance share one map.</remarks>
public sealed record MapSpec
{
    /// <summary>The map's name: its symbol, or the section's name for global data.</summary>
    public required string Name { get; init; }
    /// <summary>The type.</summary>
    public required MapType Type { get; init; }
    /// <summary>Key bytes; 0 for maps without keys.</summary>
    public int KeySize { get; init; }
    /// <summary>Value bytes; 0 for ring buffers.</summary>
    public int ValueSize { get; init; }
    /// <summary>Capacity in entries; for a ring buffer its bytes, a power of two.</summary>
    public int MaxEntries { get; init; }
    /// <summary>Creation flags.</summary>
    public MapFlags Flags { get; init; }
    /// <summary>The kernel's <c>map_extra</c>. Bloom filter: number of hash functions, 1..15, or 0 for 5. Other types: 0.</summary>
    public ulong Extra { get; init; }
    /// <summary>For maps of maps: what every inner map must be.</summary>
    public MapSpec? InnerMap { get; init; }
    /// <summary>For maps of maps and program arrays: the entries declared in <c>.values</c> as (index, name of the map or program).</summary>
    public ImmutableArray<(int Index, string Name)> InitialEntries { get; init; } = [];
    /// <summary>For global data: the bytes of the section, <see cref="ValueSize"/> long. Empty for other maps, and for global data that starts as zeroes (<c>.bss</c>).</summary>
    public ImmutableArray<byte> InitialValue { get; init; } = [];
    /// <summary>True for global data whose contents can never change (<c>.rodata</c>): the verifier reads it as constants.</summary>
    public bool IsFrozen { get; init; }
    /// <summary>Byte offset of the <c>struct bpf_spin_lock</c> in the value, or -1.</summary>
    public int SpinLockOffset { get; init; } = -1;
    /// <summary>BTF type id of the key in the object's BTF, or 0.</summary>
    public int KeyTypeId { get; init; }
    /// <summary>BTF type id of the value (of the DATASEC for global data) in the object's BTF, or 0.</summary>
    public int ValueTypeId { get; init; }
    /// <summary>True for the one-element arrays that hold <c>.data</c>, <c>.bss</c>, <c>.rodata</c>.</summary>
    public bool IsGlobalData { get; init; }

    /// <inheritdoc />
    public bool Equals(MapSpec? other) => ReferenceEquals(this, other);

    /// <inheritdoc />
    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
}
