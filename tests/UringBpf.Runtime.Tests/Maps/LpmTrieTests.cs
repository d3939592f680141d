using System.Buffers.Binary;
using CsCheck;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed class LpmTrieTests
{
    private static KeyedMap Create(int dataBytes, int entries) =>
        (KeyedMap)MapSpecs.Create(MapType.LpmTrie, 4 + dataBytes, 4, entries, MapFlags.NoPreallocation);

    private static byte[] Key(int length, params byte[] data) => [.. BitConverter.GetBytes(length), .. data];

    [Fact]
    public void Finds_the_longest_prefix()
    {
        using var map = Create(4, 8);
        Assert.Equal(0, map.Update(Key(8, 10, 0, 0, 0), BitConverter.GetBytes(1)));
        Assert.Equal(0, map.Update(Key(16, 10, 1, 0, 0), BitConverter.GetBytes(2)));
        Assert.Equal(0, map.Update(Key(32, 10, 1, 2, 3), BitConverter.GetBytes(3)));
        Assert.Equal(1, Get(map, Key(32, 10, 200, 0, 1)));
        Assert.Equal(2, Get(map, Key(32, 10, 1, 9, 9)));
        Assert.Equal(3, Get(map, Key(32, 10, 1, 2, 3)));
        Assert.Equal(2, Get(map, Key(24, 10, 1, 2, 3)));
        Assert.Null(Get(map, Key(32, 11, 0, 0, 0)));
        Assert.Equal(0, map.Update(Key(0, 0, 0, 0, 0), BitConverter.GetBytes(4)));
        Assert.Equal(4, Get(map, Key(32, 11, 0, 0, 0)));
    }

    [Fact]
    public void Results_are_the_kernels()
    {
        using var map = Create(4, 2);
        var value = new byte[4];
        Assert.Equal(Expect.Einval, map.Update(Key(33, 1, 2, 3, 4), value));
        Assert.Equal(Expect.Einval, map.Delete(Key(33, 1, 2, 3, 4)));
        Assert.False(map.TryGet(Key(33, 1, 2, 3, 4), value));
        Assert.Equal(Expect.Einval, map.Update(Key(32, 1, 2, 3, 4), value, (MapUpdateFlags)3));
        Assert.Equal(Expect.Enoent, map.Update(Key(32, 1, 2, 3, 4), value, MapUpdateFlags.Exist));
        Assert.Equal(0, map.Update(Key(32, 1, 2, 3, 4), value, MapUpdateFlags.NoExist));
        Assert.Equal(Expect.Eexist, map.Update(Key(32, 1, 2, 3, 4), value, MapUpdateFlags.NoExist));
        Assert.Equal(0, map.Update(Key(32, 1, 2, 3, 5), value));
        Assert.Equal(Expect.Enospc, map.Update(Key(32, 9, 2, 3, 5), value));
        Assert.Equal(0, map.Update(Key(32, 1, 2, 3, 4), value));
        Assert.Equal(Expect.Enoent, map.Delete(Key(31, 1, 2, 3, 4)));
        Assert.Equal(0, map.Delete(Key(32, 1, 2, 3, 4)));
        Assert.Equal(Expect.Enoent, map.Delete(Key(32, 1, 2, 3, 4)));
        Assert.Equal(1, map.Count);
    }

    // 1 and 256 data bytes are the limits of the key.
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(256)]
    public void Agrees_with_a_list_of_prefixes(int dataBytes)
    {
        // Few distinct bytes, so that prefixes meet.
        var genKey = Gen.Select(Gen.Int[0, dataBytes * 8], Gen.Int[0, 7].Array[dataBytes], (length, data) => (length, data: data.Select(b => (byte)(b << 5 | b)).ToArray()));
        Gen.Select(Gen.Int[0, 3], genKey, Gen.Int).Array[0, 120].Sample(steps =>
        {
            const int capacity = 20;
            using var map = Create(dataBytes, capacity);
            var model = new Dictionary<string, int>();
            foreach (var (action, (length, data), value) in steps)
            {
                var key = Key(length, data);
                var bits = Bits(data)[..length];
                if (action <= 1)
                {
                    var fits = model.ContainsKey(bits) || model.Count < capacity;
                    Assert.Equal(fits ? 0 : Expect.Enospc, map.Update(key, BitConverter.GetBytes(value)));
                    if (fits) model[bits] = value;
                }
                else if (action == 2)
                {
                    Assert.Equal(model.Remove(bits) ? 0 : Expect.Enoent, map.Delete(key));
                }
                int? longest = model.Where(e => bits.StartsWith(e.Key, StringComparison.Ordinal)).OrderByDescending(e => e.Key.Length).Select(e => (int?)e.Value).FirstOrDefault();
                Assert.Equal(longest, Get(map, key));
            }
            Assert.Equal(model.Count, map.Count);
            Assert.Equal(model.OrderBy(e => e.Key, StringComparer.Ordinal), Entries(map).OrderBy(e => e.Key, StringComparer.Ordinal));
        }, iter: dataBytes > 100 ? 30 : 200);
    }

    [Fact]
    public void Nodes_are_never_used_up_by_churn()
    {
        using var map = Create(4, 50);
        var random = new Random(1);
        var data = new byte[4];
        for (var i = 0; i < 50_000; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(data, random.Next(256) << 20);
            var key = Key(random.Next(33), data);
            if (random.Next(2) == 0) map.Update(key, new byte[4]);
            else map.Delete(key);
        }
        Assert.InRange(map.Count, 0, 50);
    }

    private static int? Get(KeyedMap map, byte[] key)
    {
        var value = new byte[4];
        return map.TryGet(key, value) ? BitConverter.ToInt32(value) : null;
    }

    private static Dictionary<string, int> Entries(KeyedMap map)
    {
        var entries = new Dictionary<string, int>();
        var cursor = default(MapCursor);
        var key = new byte[map.Spec.KeySize];
        var value = new byte[4];
        while (map.MoveNext(ref cursor, key, value)) entries.Add(Bits(key.AsSpan(4))[..BitConverter.ToInt32(key)], BitConverter.ToInt32(value));
        return entries;
    }

    private static string Bits(ReadOnlySpan<byte> data)
    {
        var text = "";
        foreach (var b in data) text += b.ToString("b8");
        return text;
    }
}
