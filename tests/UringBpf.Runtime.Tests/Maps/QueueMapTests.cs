using CsCheck;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class QueueMapTests
{
    [Theory]
    [InlineData(MapType.Queue)]
    [InlineData(MapType.Stack)]
    public void Agrees_with_a_list(MapType type)
    {
        Gen.Select(Gen.Int[0, 3], Gen.Long).Array[0, 100].Sample(steps =>
        {
            const int capacity = 5;
            using var owned = MapSpecs.Create(type, 0, 8, capacity);
            var map = new BpfQueueMap<long>(owned);
            var model = new List<long>();
            foreach (var (action, value) in steps)
            {
                if (action == 0)
                {
                    Assert.Equal(model.Count < capacity, map.TryPush(value));
                    if (model.Count < capacity) model.Add(value);
                }
                else if (action == 1)
                {
                    map.Push(value);
                    if (model.Count == capacity) model.RemoveAt(0);
                    model.Add(value);
                }
                else
                {
                    var at = type == MapType.Queue ? 0 : model.Count - 1;
                    Assert.Equal(model.Count > 0, map.TryPeek(out var peeked));
                    if (model.Count > 0) Assert.Equal(model[at], peeked);
                    if (action == 2) continue;
                    Assert.Equal(model.Count > 0, map.TryPop(out var popped));
                    Assert.Equal(model.Count > 0 ? model[at] : 0, popped);
                    if (model.Count > 0) model.RemoveAt(at);
                }
                Assert.Equal(model.Count, map.Count);
            }
        }, iter: 300);
    }

    [Theory]
    [InlineData(MapType.Queue)]
    [InlineData(MapType.Stack)]
    public void Results_are_the_kernels(MapType type)
    {
        using var map = MapSpecs.Create(type, 0, 8, 1);
        var header = (ulong)map.Header;
        long value = 5;
        Expect.Status(Expect.Enoent, MapOps.Pop(header, (ulong)&value));
        Assert.Equal(0, value);
        value = 6;
        Expect.Status(Expect.Enoent, MapOps.Peek(header, (ulong)&value));
        Assert.Equal(0, value);
        Expect.Status(Expect.Einval, MapOps.Push(header, (ulong)&value, 1));
        Expect.Status(Expect.Einval, MapOps.Push(header, (ulong)&value, 3));
        Expect.Status(0, MapOps.Push(header, (ulong)&value, 0));
        Expect.Status(Expect.E2big, MapOps.Push(header, (ulong)&value, 0));
        Expect.Status(0, MapOps.Push(header, (ulong)&value, 2));
        Assert.Equal(1, ((QueueMap)map).Count);
    }
}

public sealed unsafe class BloomFilterTests
{
    [Theory]
    [InlineData(8, 0)]
    [InlineData(3, 1)]
    [InlineData(20, 15)]
    public void Never_forgets_and_is_seldom_wrong(int valueSize, int hashes)
    {
        const int entries = 1000;
        using var map = (BloomFilterMap)BpfMap.Create(MapSpecs.Spec(MapType.BloomFilter, 0, valueSize, entries) with { Extra = (ulong)hashes });
        for (var i = 0; i < entries; i++) map.Add(MapSpecs.Key(valueSize, i));
        for (var i = 0; i < entries; i++) Assert.True(map.MayContain(MapSpecs.Key(valueSize, i)));
        var wrong = Enumerable.Range(entries, 10_000).Count(i => map.MayContain(MapSpecs.Key(valueSize, i)));
        // One hash: up to half the bits are set. Five: 3 % by theory.
        Assert.InRange(wrong, 0, hashes == 1 ? 6_000 : 800);
    }

    [Fact]
    public void Results_are_the_kernels()
    {
        using var map = MapSpecs.Create(MapType.BloomFilter, 0, 8, 10);
        long value = 1;
        Expect.Status(Expect.Enoent, MapOps.Peek((ulong)map.Header, (ulong)&value));
        Assert.Equal(1, value);
        Expect.Status(Expect.Einval, MapOps.Push((ulong)map.Header, (ulong)&value, 1));
        Expect.Status(0, MapOps.Push((ulong)map.Header, (ulong)&value, 0));
        Expect.Status(0, MapOps.Peek((ulong)map.Header, (ulong)&value));
        Expect.Status(Expect.Einval, MapOps.Pop((ulong)map.Header, (ulong)&value));
    }
}
