using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

public sealed class RingBufferTests
{
    private static RingBufferMap Create(int bytes) => (RingBufferMap)MapSpecs.Create(MapType.RingBuffer, 0, 0, bytes);

    private static unsafe int Output(BpfMap map, params byte[] data)
    {
        fixed (byte* bytes = data) return (int)RingBufferOps.Output((ulong)map.Header, (ulong)bytes, (ulong)data.Length, 0);
    }

    private static List<byte[]> Drain(RingBufferMap map)
    {
        var records = new List<byte[]>();
        map.Consume(record => records.Add(record.ToArray()));
        return records;
    }

    [Fact]
    public unsafe void Records_come_in_order_of_reservation()
    {
        using var map = Create(4096);
        var header = (ulong)map.Header;
        var first = (byte*)RingBufferOps.Reserve(header, 3, 0);
        var second = (byte*)RingBufferOps.Reserve(header, 1, 0);
        var third = (byte*)RingBufferOps.Reserve(header, 8, 0);
        new Span<byte>(first, 3).Fill(1);
        *second = 2;
        new Span<byte>(third, 8).Fill(3);
        RingBufferOps.Submit((ulong)third, 0);
        Assert.Empty(Drain(map));
        RingBufferOps.Submit((ulong)first, 0);
        RingBufferOps.Discard((ulong)second, 0);
        Assert.Equal([[1, 1, 1], [3, 3, 3, 3, 3, 3, 3, 3]], Drain(map));
        Assert.Equal(0, map.Unconsumed);
    }

    [Fact]
    public unsafe void Holds_what_the_kernel_holds_and_not_one_record_more()
    {
        using var map = Create(64);
        var header = (ulong)map.Header;
        // 64 bytes: records of 8 + 8 bytes; the last byte is never used, so three fit.
        for (var i = 0; i < 3; i++) Assert.Equal(0, Output(map, 1, 2, 3, 4, 5, 6, 7, 8));
        Assert.Equal(Expect.Eagain, Output(map, 1, 2, 3, 4, 5, 6, 7, 8));
        Assert.Equal(0ul, RingBufferOps.Reserve(header, 8, 0));
        Assert.Equal(0, Output(map));
        Assert.Equal(Expect.Eagain, Output(map));
        Assert.Equal(56ul, RingBufferOps.Query(header, 0));
        Assert.Equal(64ul, RingBufferOps.Query(header, 1));
        Assert.Equal(0ul, RingBufferOps.Query(header, 2));
        Assert.Equal(56ul, RingBufferOps.Query(header, 3));
        Assert.Equal(0ul, RingBufferOps.Query(header, 4));
        Assert.Equal(4, Drain(map).Count);
        Assert.Equal(56ul, RingBufferOps.Query(header, 2));
    }

    [Fact]
    public unsafe void Largest_record_and_bad_arguments()
    {
        using var map = Create(64);
        var header = (ulong)map.Header;
        Assert.Equal(0ul, RingBufferOps.Reserve(header, 8, 1));
        Assert.Equal(0ul, RingBufferOps.Reserve(header, 49, 0));
        Assert.Equal(0ul, RingBufferOps.Reserve(header, ulong.MaxValue, 0));
        Assert.Equal(0ul, RingBufferOps.Reserve(header, uint.MaxValue / 4 + 1UL, 0));
        Expect.Status(Expect.Einval, RingBufferOps.Output(header, header, 8, 4));
        Assert.NotEqual(0ul, RingBufferOps.Reserve(header, 48, 0));
    }

    [Fact]
    public void Records_across_the_end_stay_whole()
    {
        using var map = Create(256);
        var random = new Random(3);
        var expected = new Queue<byte[]>();
        for (var i = 0; i < 5000; i++)
        {
            var record = new byte[random.Next(120)];
            random.NextBytes(record);
            if (Output(map, record) == 0) expected.Enqueue(record);
            else foreach (var read in Drain(map)) Assert.Equal(expected.Dequeue(), read);
        }
        foreach (var read in Drain(map)) Assert.Equal(expected.Dequeue(), read);
        Assert.Empty(expected);
    }

    [Fact]
    public async Task Reader_waits_reads_and_is_cancelled()
    {
        using var map = Create(4096);
        using var cancel = new CancellationTokenSource();
        var read = new List<byte>();
        var three = new TaskCompletionSource();
        var reader = Task.Run(async () =>
        {
            await foreach (var record in map.ReadAllAsync(cancel.Token))
            {
                read.Add(record.Span[0]);
                if (read.Count == 3) three.SetResult();
            }
        });
        for (byte i = 1; i <= 3; i++)
        {
            Output(map, i);
            await Task.Delay(5);
        }
        await three.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reader.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal([1, 2, 3], read);
        // The consumer's place is free again.
        Output(map, 4);
        Assert.Single(Drain(map));
    }

    [Fact]
    public async Task Disposing_ends_the_reader_after_the_last_record()
    {
        var map = Create(4096);
        var read = new List<byte>();
        var reader = Task.Run(async () =>
        {
            await foreach (var record in map.ReadAllAsync()) read.Add(record.Span[0]);
        });
        while (read.Count == 0)
        {
            Output(map, 1);
            await Task.Delay(1);
        }
        map.Dispose();
        await reader.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Throws<ObjectDisposedException>(() => map.Unconsumed);
    }

    [Fact]
    public void One_consumer_at_a_time()
    {
        using var map = Create(4096);
        Output(map, 1);
        map.Consume(_ => Assert.Equal("UB4107", Assert.Throws<BpfException>(() => map.Consume(_ => { })).Code));
        Assert.Equal(0, map.Consume(_ => { }));
    }

    [Fact]
    public void A_record_whose_handler_throws_is_consumed()
    {
        using var map = Create(4096);
        Output(map, 1);
        Output(map, 2);
        Assert.Throws<InvalidOperationException>(() => map.Consume(_ => throw new InvalidOperationException()));
        Assert.Equal([[2]], Drain(map));
    }

    [Fact]
    public async Task Many_producers_one_reader_nothing_lost()
    {
        using var map = Create(1 << 14);
        const int producers = 3, each = 20_000;
        var threads = Enumerable.Range(0, producers).Select(producer => new Thread(() =>
        {
            for (var i = 0; i < each; i++)
            {
                while (Output(map, BitConverter.GetBytes((long)producer << 32 | (uint)i)) != 0) Thread.Yield();
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        var next = new int[producers];
        var left = producers * each;
        await foreach (var record in map.ReadAllAsync())
        {
            var value = BitConverter.ToInt64(record.Span);
            Assert.Equal(next[value >> 32]++, (int)value);
            if (--left == 0) break;
        }
        threads.ForEach(thread => thread.Join());
        Assert.All(next, count => Assert.Equal(each, count));
    }
}
