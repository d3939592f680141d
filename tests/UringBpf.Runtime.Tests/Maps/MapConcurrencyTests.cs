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
