using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

[Collection(nameof(AloneCollection))]
public sealed unsafe class MapConcurrencyTests
{
    [Fact]
    public void Host_updates_never_disturb_a_program() => Assert.InRange(MapStress.Run(seed: 1, TimeSpan.FromSeconds(2)), 1, long.MaxValue);

    [Fact]
    public void Queue_elements_are_neither_lost_nor_doubled()
    {
        using var map = MapSpecs.Create(MapType.Queue, 0, 8, 64);
        var view = new BpfQueueMap<long>(map);
        const int each = 30_000;
        long sum = 0;
        var threads = new[] { 1, 2 }.Select(producer => new Thread(() =>
        {
            for (var i = 1; i <= each; i++) while (!view.TryPush(i)) Thread.Yield();
        })).Append(new Thread(() =>
        {
            for (var i = 0; i < 2 * each; i++)
            {
                long value;
                while (!view.TryPop(out value)) Thread.Yield();
                sum += value;
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Assert.Equal((long)each * (each + 1), sum);
        Assert.Equal(0, view.Count);
    }

    [Fact]
    public void A_full_hash_stays_exactly_full_under_contention()
    {
        const int capacity = 50;
        using var map = MapSpecs.Create(MapType.Hash, 4, 8, capacity);
        var view = new BpfHashMap<int, long>(map);
        var threads = Enumerable.Range(0, 4).Select(seed => new Thread(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 50_000; i++)
            {
                var key = random.Next(2 * capacity);
                if (random.Next(2) == 0) view.Update(key, key);
                else view.Remove(key);
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Assert.Equal(view.Count(), view.Count);
        for (var key = 0; view.Count < capacity; key++) view.Update(key, key);
        Assert.Equal(Expect.E2big, view.Update(-1, 0));
        Assert.Equal(capacity, view.Count());
    }

    /// <summary>A program's key may lie in memory that others write to: what is stored must be what was hashed.</summary>
    [Theory]
    [InlineData(MapType.Hash, 1023)]
    [InlineData(MapType.LruHash, 1023)]
    [InlineData(MapType.LpmTrie, 127)]
    public void Keys_that_change_while_they_are_added_are_found_where_they_are(MapType type, uint most)
    {
        const int words = 4, capacity = 512;
        using var map = MapSpecs.Create(type, words * 8, 8, capacity, type == MapType.LpmTrie ? MapFlags.NoPreallocation : MapFlags.None);
        var key = stackalloc ulong[words];
        var memory = (nint)key;
        var done = false;
        var writer = new Thread(() =>
        {
            for (ulong i = 1; !Volatile.Read(ref done); i++)
            {
                for (var word = 0; word < words; word++) Volatile.Write(ref ((ulong*)memory)[word], i & most);
            }
        });
        writer.Start();
        ulong value = 1;
        try
        {
            for (var i = 0; i < 200_000; i++)
            {
                MapOps.Update((ulong)map.Header, (ulong)key, (ulong)&value, 0, ExecutionSlot.Current);
                // Room for more: full LRU tables evict by themselves.
                if (type != MapType.LruHash && i % capacity == 0) Check();
            }
        }
        finally
        {
            Volatile.Write(ref done, true);
            writer.Join();
        }
        Check();

        void Check()
        {
            var keyed = (KeyedMap)map;
            var cursor = default(MapCursor);
            Span<byte> found = stackalloc byte[words * 8], held = stackalloc byte[8];
            while (keyed.MoveNext(ref cursor, found, held)) Assert.Equal(0, keyed.Delete(found));
        }
    }

    [Fact]
    public void Operations_allocate_nothing()
    {
        using var hashMap = MapSpecs.Create(MapType.Hash, 4, 8, 16);
        using var lruMap = MapSpecs.Create(MapType.LruHash, 8, 8, 16);
        using var arrayMap = MapSpecs.Create(MapType.Array, 4, 8, 16);
        using var queueMap = MapSpecs.Create(MapType.Queue, 0, 8, 16);
        using var ring = (RingBufferMap)MapSpecs.Create(MapType.RingBuffer, 0, 0, 4096);
        var hash = new BpfHashMap<int, long>(hashMap);
        var lru = new BpfHashMap<long, long>(lruMap);
        var array = new BpfArrayMap<long>(arrayMap);
        var queue = new BpfQueueMap<long>(queueMap);
        RecordHandler ignore = static _ => { };
        var state = ExecutionSlot.Current;
        fixed (byte* format = "%d %s\0"u8)
        {
            var sink = TextFunctions.Sink;
            TextFunctions.Sink = static _ => { };
            Once(format);
            Once(format);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 100; i++) Once(format);
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
            TextFunctions.Sink = sink;
        }

        void Once(byte* format)
        {
            for (var key = 0; key < 20; key++)
            {
                hash.Update(key, key);
                hash.TryGetValue(key, out _);
                lru.Update(key, key);
                lru.TryGetValue(key, out _);
                array.Update(key, key);
                queue.TryPush(key);
            }
            hash.Remove(3);
            hash.Update(3, 3);
            while (queue.TryPop(out _))
            {
            }
            long value = 5;
            RingBufferOps.Output((ulong)ring.Header, (ulong)&value, 8, 0);
            ring.Consume(ignore);
            TextFunctions.TracePrint((ulong)format, 6, 1, 2, 3, state);
        }
    }
}
