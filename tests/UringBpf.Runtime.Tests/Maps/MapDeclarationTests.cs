using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed class MapDeclarationTests
{
    [Theory]
    // key size
    [InlineData(MapType.Array, 4, 8, 1, 0u, true)]
    [InlineData(MapType.Array, 8, 8, 1, 0u, false)]
    [InlineData(MapType.Hash, 1, 1, 1, 0u, true)]
    [InlineData(MapType.Hash, 0, 1, 1, 0u, false)]
    [InlineData(MapType.Hash, 512, 1, 1, 0u, true)]
    [InlineData(MapType.Hash, 513, 1, 1, 0u, false)]
    [InlineData(MapType.LpmTrie, 5, 1, 1, 1u, true)]
    [InlineData(MapType.LpmTrie, 4, 1, 1, 1u, false)]
    [InlineData(MapType.LpmTrie, 260, 1, 1, 1u, true)]
    [InlineData(MapType.LpmTrie, 261, 1, 1, 1u, false)]
    [InlineData(MapType.Queue, 0, 1, 1, 0u, true)]
    [InlineData(MapType.Queue, 4, 1, 1, 0u, false)]
    // value size
    [InlineData(MapType.Array, 4, 0, 1, 0u, false)]
    [InlineData(MapType.RingBuffer, 0, 4, 4096, 0u, false)]
    [InlineData(MapType.ProgramArray, 4, 4, 1, 0u, true)]
    [InlineData(MapType.ProgramArray, 4, 8, 1, 0u, false)]
    // entries
    [InlineData(MapType.Array, 4, 8, 0, 0u, false)]
    [InlineData(MapType.Hash, 4, 8, -1, 0u, false)]
    [InlineData(MapType.RingBuffer, 0, 0, 64, 0u, true)]
    [InlineData(MapType.RingBuffer, 0, 0, 32, 0u, false)]
    [InlineData(MapType.RingBuffer, 0, 0, 4097, 0u, false)]
    [InlineData(MapType.Array, 4, 1 << 28, 1 << 30, 0u, false)]
    // flags
    [InlineData(MapType.Hash, 4, 8, 1, 1u, true)]
    [InlineData(MapType.Array, 4, 8, 1, 1u, false)]
    [InlineData(MapType.Array, 4, 8, 1, 1024u, true)]
    [InlineData(MapType.Hash, 4, 8, 1, 1024u, false)]
    [InlineData(MapType.Hash, 4, 8, 1, 128u, true)]
    [InlineData(MapType.Hash, 4, 8, 1, 384u, false)]
    [InlineData(MapType.Hash, 4, 8, 1, 1u << 20, false)]
    [InlineData(MapType.LpmTrie, 8, 8, 1, 0u, false)]
    public void Declarations_are_checked(MapType type, int key, int value, int entries, uint flags, bool accepted)
    {
        if (accepted) MapSpecs.Create(type, key, value, entries, (MapFlags)flags).Dispose();
        else Assert.Equal("UB4102", Assert.Throws<BpfException>(() => MapSpecs.Create(type, key, value, entries, (MapFlags)flags)).Code);
    }

    /// <summary>All slots' values of a key are one span to the host: what does not fit one is refused, before a product of sizes wraps.</summary>
    [Theory]
    [InlineData(MapType.PerCpuArray)]
    [InlineData(MapType.PerCpuHash)]
    [InlineData(MapType.LruPerCpuHash)]
    public void Per_cpu_values_fit_one_span(MapType type)
    {
        var most = (int)((long)int.MaxValue / ExecutionSlot.Count & ~7L);
        var refused = Assert.Throws<BpfException>(() => MapSpecs.Create(type, 4, most + 8, 1));
        Assert.Equal("UB4102", refused.Code);
        Assert.Contains("execution slots", refused.Reason, StringComparison.Ordinal);
        Assert.Equal("UB4102", Assert.Throws<BpfException>(() => MapSpecs.Create(type, 4, 1 << 28, 1 << 30)).Code);
        if (type != MapType.PerCpuArray) return;
        using var map = (KeyedMap)MapSpecs.Create(type, 4, most, 1);
        Assert.Equal(most * ExecutionSlot.Count, map.HostValueSize);
    }

    [Theory]
    [InlineData(MapType.Hash, 0, true)]
    [InlineData(MapType.Array, 4, true)]
    [InlineData(MapType.Array, 2, false)]
    [InlineData(MapType.Array, 8, false)]
    [InlineData(MapType.Array, int.MaxValue - 3, false)]
    [InlineData(MapType.Hash, int.MaxValue - 3, false)]
    [InlineData(MapType.PerCpuArray, 0, false)]
    [InlineData(MapType.PerCpuHash, 0, false)]
    public void Spin_locks_lie_in_array_and_hash_values(MapType type, int offset, bool accepted)
    {
        if (accepted) MapSpecs.Create(type, 4, 8, 1, spinLock: offset).Dispose();
        else Assert.Equal("UB4102", Assert.Throws<BpfException>(() => MapSpecs.Create(type, 4, 8, 1, spinLock: offset)).Code);
    }

    [Fact]
    public void Unknown_types_and_missing_memory_have_codes()
    {
        Assert.Equal("UB4101", Assert.Throws<BpfException>(() => MapSpecs.Create((MapType)21, 4, 4, 1)).Code);
        Assert.Equal("UB4102", Assert.Throws<BpfException>(() => MapSpecs.Create(MapType.ArrayOfMaps, 4, 4, 1)).Code);
        Assert.Equal("UB4102", Assert.Throws<BpfException>(() => BpfMap.Create(MapSpecs.Spec(MapType.BloomFilter, 0, 4, 1) with { Extra = 16 })).Code);
        Assert.Equal("UB4102", Assert.Throws<BpfException>(() =>
            BpfMap.Create(MapSpecs.Spec(MapType.Array, 4, 4, 1) with { InitialValue = [1, 2] })).Code);
    }
}
