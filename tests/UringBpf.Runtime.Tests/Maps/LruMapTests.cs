using CsCheck;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class LruMapTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(100)]
    public void Keeps_its_capacity_and_the_newest(int capacity)
    {
        using var map = MapSpecs.Create(MapType.LruHash, 4, 8, capacity);
        var view = new BpfHashMap<int, long>(map);
        for (var i = 0; i < 5 * capacity; i++)
        {
            Assert.Equal(0, view.Update(i, i));
            Assert.True(view.TryGetValue(i, out var value) && value == i);
            Assert.Equal(Math.Min(i + 1, capacity), view.Count);
        }
        Assert.Equal(capacity, view.Count());
    }

    [Fact]
    public void Without_lookups_the_oldest_goes_first()
    {
        const int capacity = 16;
        using var map = MapSpecs.Create(MapType.LruHash, 8, 8, capacity);
        var view = new BpfHashMap<long, long>(map);
        for (long i = 0; i < 100; i++) view[i] = i;
        Assert.Equal(Enumerable.Range(100 - capacity, capacity).Select(i => (long)i), view.Select(e => e.Key).Order());
    }

    [Fact]
    public void What_is_used_between_evictions_stays()
    {
        using var map = MapSpecs.Create(MapType.LruHash, 4, 8, 64);
        var view = new BpfHashMap<int, long>(map) { [-1] = 1 };
        for (var i = 0; i < 10_000; i++)
        {
            Assert.True(view.TryGetValue(-1, out _), $"evicted after {i} insertions");
            view[i] = i;
        }
    }

    [Fact]
    public void Agrees_with_a_dictionary_on_what_it_still_has()
    {
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, 40], Gen.Long).Array[0, 400].Sample(steps =>
        {
            const int capacity = 16;
            using var owned = MapSpecs.Create(MapType.LruHash, 4, 8, capacity);
            var map = new BpfHashMap<int, long>(owned);
            var model = new Dictionary<int, long>();
            foreach (var (action, key, value) in steps)
            {
                var had = map.TryGetValue(key, out var actual);
                if (had) Assert.Equal(model[key], actual);
                if (action == 0)
                {
                    map[key] = value;
                    model[key] = value;
                }
                else if (action == 1)
                {
                    Assert.Equal(had, map.Remove(key));
                    model.Remove(key);
                }
                Assert.InRange(map.Count, 0, capacity);
            }
            var entries = map.ToList();
            Assert.Equal(map.Count, entries.Count);
            foreach (var (key, value) in entries) Assert.Equal(model[key], value);
        }, iter: 500);
    }

    [Fact]
    public void Per_cpu_variant_evicts_and_keeps_slots_apart()
    {
        using var map = (KeyedMap)MapSpecs.Create(MapType.LruPerCpuHash, 4, 8, 4);
        var header = (ulong)map.Header;
        ExecutionState first = new() { Slot = 1 }, second = new() { Slot = 2 };
        for (var key = 0; key < 20; key++)
        {
            long one = key, two = -key;
            Expect.Status(0, MapOps.Update(header, (ulong)&key, (ulong)&one, 0, &first));
            Assert.Equal(0, *(long*)MapOps.Lookup(header, (ulong)&key, &second));
            Expect.Status(0, MapOps.Update(header, (ulong)&key, (ulong)&two, 0, &second));
            Assert.Equal(key, *(long*)MapOps.Lookup(header, (ulong)&key, &first));
            Assert.Equal(-key, *(long*)MapOps.LookupPerCpu(header, (ulong)&key, 2));
        }
        Assert.Equal(4, map.Count);
    }
}
