using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// What every generated program finds: the same few maps, so that one set of them (ours, and the kernel's) serves all
/// programs of a run.
/// </summary>
public static class Scenery
{
    /// <summary>The indices of the maps in <see cref="Maps"/>.</summary>
    public const int Cells = 0, Globals = 1, Constants = 2, Table = 3, Ring = 4,
        Recent = 5, Slots = 6, SlotTable = 7, Prefixes = 8, Locked = 9, Queue = 10, Stack = 11, Bloom = 12, Texts = 13, Outer = 14, OuterTable = 15, RecentSlots = 16, Targets = 17;

    /// <summary>The first maps, which the kernel's programs have too; the others are for programs that it does not see.</summary>
    public const int KernelMaps = 5;

    /// <summary>What a program looks up keys in beside <see cref="Cells"/> and <see cref="Table"/>.</summary>
    public static ImmutableArray<int> MoreKeyed { get; } = [Recent, Slots, SlotTable, RecentSlots, Prefixes];

    /// <summary>Value sizes, in bytes.</summary>
    public const int CellBytes = 48, GlobalBytes = 64, ConstantBytes = 32, TableBytes = 24;

    /// <summary>Elements of the array and of the hash table.</summary>
    public const int CellCount = 4, TableCount = 6;

    /// <summary>What the frozen map holds: numbers at the edges of their ranges.</summary>
    public static ImmutableArray<byte> ConstantValue { get; } =
        [7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f, 40, 0, 3, 0, 1, 0x80, 0xff, 8];

    /// <summary>Offset of the lock in the values of <see cref="Locked"/>; what it guards lies before it.</summary>
    public const int LockOffset = 16;

    /// <summary>Bytes of values in the maps that <see cref="Outer"/> and <see cref="OuterTable"/> hold.</summary>
    public const int InnerBytes = 16;

    /// <summary>What <see cref="Texts"/> holds: formats and words, each with its NUL.</summary>
    public static ImmutableArray<string> Words { get; } = ["%d %llx", "12abc", "", "%5u|%-4x|%%", "%c", "%s", "-0x7f"];

    /// <summary>Where each of <see cref="Words"/> begins.</summary>
    public static ImmutableArray<int> WordOffsets { get; } = [.. Words.Select((_, index) => Words.Take(index).Sum(word => word.Length + 1))];

    private static readonly ImmutableArray<byte> s_texts = [.. System.Text.Encoding.ASCII.GetBytes(string.Join('\0', Words) + '\0')];

    /// <summary>What the inner maps are.</summary>
    public static MapSpec Inner { get; } = new() { Name = "inner", Type = MapType.Array, KeySize = 4, ValueSize = InnerBytes, MaxEntries = 2 };

    /// <summary>The maps, by index. The ring buffer is not offered to programs that the kernel runs too: its records are not cleared.</summary>
    public static ImmutableArray<MapSpec> Maps { get; } =
    [
        new() { Name = "cells", Type = MapType.Array, KeySize = 4, ValueSize = CellBytes, MaxEntries = CellCount },
        new() { Name = "globals", Type = MapType.Array, KeySize = 4, ValueSize = GlobalBytes, MaxEntries = 1 },
        new() { Name = "constants", Type = MapType.Array, KeySize = 4, ValueSize = ConstantBytes, MaxEntries = 1, IsFrozen = true, IsGlobalData = true, InitialValue = ConstantValue },
        new() { Name = "table", Type = MapType.Hash, KeySize = 8, ValueSize = TableBytes, MaxEntries = TableCount, Flags = MapFlags.ZeroSeed },
        new() { Name = "ring", Type = MapType.RingBuffer, MaxEntries = 4096 },
        new() { Name = "recent", Type = MapType.LruHash, KeySize = 8, ValueSize = 16, MaxEntries = 3, Flags = MapFlags.ZeroSeed },
        new() { Name = "slots", Type = MapType.PerCpuArray, KeySize = 4, ValueSize = 16, MaxEntries = 2 },
        new() { Name = "slot_table", Type = MapType.PerCpuHash, KeySize = 8, ValueSize = 16, MaxEntries = 3, Flags = MapFlags.ZeroSeed },
        new() { Name = "prefixes", Type = MapType.LpmTrie, KeySize = 8, ValueSize = 16, MaxEntries = 4, Flags = MapFlags.NoPreallocation },
        new() { Name = "locked", Type = MapType.Array, KeySize = 4, ValueSize = LockOffset + 8, MaxEntries = 2, SpinLockOffset = LockOffset },
        new() { Name = "queue", Type = MapType.Queue, ValueSize = 16, MaxEntries = 3 },
        new() { Name = "stack", Type = MapType.Stack, ValueSize = 16, MaxEntries = 3 },
        new() { Name = "bloom", Type = MapType.BloomFilter, ValueSize = 16, MaxEntries = 8 },
        new() { Name = "texts", Type = MapType.Array, KeySize = 4, ValueSize = s_texts.Length, MaxEntries = 1, IsFrozen = true, IsGlobalData = true, InitialValue = s_texts },
        new() { Name = "outer", Type = MapType.ArrayOfMaps, KeySize = 4, ValueSize = 4, MaxEntries = 3, InnerMap = Inner },
        new() { Name = "outer_table", Type = MapType.HashOfMaps, KeySize = 8, ValueSize = 4, MaxEntries = 3, InnerMap = Inner, Flags = MapFlags.ZeroSeed },
        new() { Name = "recent_slots", Type = MapType.LruPerCpuHash, KeySize = 8, ValueSize = 16, MaxEntries = 3, Flags = MapFlags.ZeroSeed },
        new() { Name = "targets", Type = MapType.ProgramArray, KeySize = 4, ValueSize = 4, MaxEntries = TargetCount },
    ];

    /// <summary>Entries of a program array. The last one is empty.</summary>
    public const int TargetCount = 3;

    // A program array has programs of one type.
    private static readonly Dictionary<ProgramType, ImmutableArray<MapSpec>> s_mapsOf = ProgramTypes.All.ToDictionary(type => type, type => Maps.SetItem(Targets, Maps[Targets] with { }));

    /// <summary>The maps of all of them.</summary>
    public static IEnumerable<MapSpec> AllMaps => s_mapsOf.Values.SelectMany(maps => maps).Distinct();

    /// <summary>The maps of programs of a type.</summary>
    public static ImmutableArray<MapSpec> MapsOf(ProgramType type) => s_mapsOf[type];

    /// <summary>Lengths of flat contexts.</summary>
    public static ImmutableArray<int> ContextSizes { get; } = [16, 32, 64];

    /// <summary>Shortest packet: what the kernel's test run demands.</summary>
    public const int PacketMin = 14;

    /// <summary>Longest packet.</summary>
    public const int PacketMax = 96;
}
