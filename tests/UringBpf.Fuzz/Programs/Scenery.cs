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
    public const int Cells = 0, Globals = 1, Constants = 2, Table = 3, Ring = 4;

    /// <summary>Value sizes, in bytes.</summary>
    public const int CellBytes = 48, GlobalBytes = 64, ConstantBytes = 32, TableBytes = 24;

    /// <summary>Elements of the array and of the hash table.</summary>
    public const int CellCount = 4, TableCount = 6;

    /// <summary>What the frozen map holds: numbers at the edges of their ranges.</summary>
    public static ImmutableArray<byte> ConstantValue { get; } =
        [7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f, 40, 0, 3, 0, 1, 0x80, 0xff, 8];

    /// <summary>The maps, by index. The ring buffer is not offered to programs that the kernel runs too: its records are not cleared.</summary>
    public static ImmutableArray<MapSpec> Maps { get; } =
    [
        new() { Name = "cells", Type = MapType.Array, KeySize = 4, ValueSize = CellBytes, MaxEntries = CellCount },
        new() { Name = "globals", Type = MapType.Array, KeySize = 4, ValueSize = GlobalBytes, MaxEntries = 1 },
        new() { Name = "constants", Type = MapType.Array, KeySize = 4, ValueSize = ConstantBytes, MaxEntries = 1, IsFrozen = true, IsGlobalData = true, InitialValue = ConstantValue },
        new() { Name = "table", Type = MapType.Hash, KeySize = 8, ValueSize = TableBytes, MaxEntries = TableCount, Flags = MapFlags.ZeroSeed },
        new() { Name = "ring", Type = MapType.RingBuffer, MaxEntries = 4096 },
    ];

    /// <summary>Lengths of flat contexts.</summary>
    public static ImmutableArray<int> ContextSizes { get; } = [16, 32, 64];

    /// <summary>Shortest packet: what the kernel's test run demands.</summary>
    public const int PacketMin = 14;

    /// <summary>Longest packet.</summary>
    public const int PacketMax = 96;
}
