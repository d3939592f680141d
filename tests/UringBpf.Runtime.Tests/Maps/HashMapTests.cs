using CsCheck;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed unsafe class HashMapTests
{
    private const int Enoent = -2, E2big = -7, Eexist = -17, Einval = -22;

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(1)]
    [InlineData(13)]
    [InlineData(64)]
    public void Holds_its_capacity_and_not_one_more(int keySize)
    {
        const int entries = 100;
        using var map = (KeyedMap)MapSpecs.Create(MapType.Hash, keySize, 8, entries);
        for (var i = 0; i < entries; i++)
            Assert.Equal(0, map.Update(MapSpecs.Key(keySize, i), BitConverter.GetBytes((long)i)));
        Assert.Equal(entries, map.Count);
        Assert.Equal(E2big, map.Update(MapSpecs.Key(keySize, entries), new byte[8]));
        Assert.Equal(entries, map.Count);
        // A full map still takes new values for its keys.
        Assert.Equal(0, map.Update(MapSpecs.Key(keySize, 7), BitConverter.GetBytes(700L)));
        var value = new byte[8];
        Assert.True(map.TryGet(MapSpecs.Key(keySize, 7), value));
        Assert.Equal(700, BitConverter.ToInt64(value));
        Assert.Equal(0, map.Delete(MapSpecs.Key(keySize, 7)));
        Assert.Equal(0, map.Update(MapSpecs.Key(keySize, entries), new byte[8]));
    }

    [Theory]
    [InlineData(MapUpdateFlags.Any, false, 0)]
    [InlineData(MapUpdateFlags.Any, true, 0)]
    [InlineData(MapUpdateFlags.NoExist, false, 0)]
    [InlineData(MapUpdateFlags.NoExist, true, Eexist)]
    [InlineData(MapUpdateFlags.Exist, false, Enoent)]
    [InlineData(MapUpdateFlags.Exist, true, 0)]
    [InlineData((MapUpdateFlags)3, true, Einval)]
    [InlineData(MapUpdateFlags.Lock, true, Einval)]
    [InlineData((MapUpdateFlags)8, false, Einval)]
    public void Update_flags_give_the_kernels_results(MapUpdateFlags flags, bool exists, int expected)
    {
        foreach (var type in new[] { MapType.Hash, MapType.LruHash })
        {
            using var map = new BpfHashMap<int, long>(MapSpecs.Create(type, 4, 8, 4)).Owned(out var view);
            if (exists) view[1] = 1;
            Assert.Equal(expected, view.Update(1, 2, flags));
        }
    }

    [Fact]
    public void Programs_see_what_the_host_wrote()
    {
        using var map = MapSpecs.Create(MapType.Hash, 8, 8, 16);
        var view = new BpfHashMap<ulong, ulong>(map) { [5] = 50 };
        ulong key = 5, value = 51;
        var header = (ulong)map.Header;
        Assert.Equal(50ul, *(ulong*)HashOps.Lookup8(header, (ulong)&key));
        Assert.Equal(0ul, HashOps.Update8(header, (ulong)&key, (ulong)&value, 0));
        Assert.Equal(51ul, view[5]);
        Assert.Equal(0ul, HashOps.Delete8(header, (ulong)&key));
        Assert.Equal(0ul, HashOps.Lookup8(header, (ulong)&key));
        Assert.Equal(unchecked((ulong)Enoent), HashOps.Delete8(header, (ulong)&key));
    }

    [Fact]
    public void Agrees_with_a_dictionary()
    {
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, 40], Gen.Long).Array[0, 400].Sample(steps =>
        {
            const int capacity = 24;
            using var owned = new BpfHashMap<int, long>(MapSpecs.Create(MapType.Hash, 4, 8, capacity)).Owned(out var map);
            var model = new Dictionary<int, long>();
            foreach (var (action, key, value) in steps)
            {
                switch (action)
                {
                    case 0:
                        var fits = model.ContainsKey(key) || model.Count < capacity;
                        Assert.Equal(fits ? 0 : E2big, map.Update(key, value));
                        if (fits) model[key] = value;
                        break;
                    case 1:
                        Assert.Equal(model.Remove(key, out var had), map.Remove(key, out var removed));
                        Assert.Equal(had, removed);
                        break;
                    default:
                        Assert.Equal(model.TryGetValue(key, out var expected), map.TryGetValue(key, out var actual));
                        Assert.Equal(expected, actual);
                        break;
                }
            }
            Assert.Equal(model.Count, map.Count);
            Assert.Equal(model.OrderBy(e => e.Key), map.OrderBy(e => e.Key));
        }, iter: 500);
    }
}

internal static class Views
{
    /// <summary>Gives the view and its map, to dispose.</summary>
    public static BpfMap Owned<TKey, TValue>(this BpfHashMap<TKey, TValue> view, out BpfHashMap<TKey, TValue> same)
        where TKey : unmanaged where TValue : unmanaged
    {
        same = view;
        return view.Map;
    }
}
