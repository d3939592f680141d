using System.Collections.Immutable;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The machine that a simulation runs on, as a host that tests its hooks sees it.</summary>
public sealed class SimulatedMachineTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_submitted_while_completions_overflow_is_submitted_when_they_are_taken(bool recorded)
    {
        const int most = 60;
        for (ulong seed = 1; seed <= 40; seed++)
        {
            var ring = Ring.CreateSimulated(new RingOptions
            {
                QueueEntries = 1,
                CompletionEntries = 2,
                MaxOperations = 4 * most,
                Recorder = recorded ? new RecorderOptions() : null,
                // Queues that never drain would be waited for.
                Simulation = new SimulationOptions { Seed = seed, BusyOnOverflow = true, OverflowRate = 0.1 },
            });
            var hook = ring.Attach(Hooks.Compile("hang"), new Grants());
            var bursts = ring.Attach(Hooks.Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
            using var stop = new CancellationTokenSource();
            var chain = hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes((ulong)most), stop.Token).AsTask();
            var timers = Enumerable.Range(0, 20).Select(i => ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token).AsTask()).ToArray();
            while (ring.HookRuns == 0) Assert.True(ring.Step());
            // Each timer that is cancelled brings two completions, and the queue has room for two.
            stop.Cancel();
            var burst = bursts.StartAsync(UringOp.Nop()).AsTask();
            var nops = Enumerable.Range(0, 20).Select(i => ring.NopAsync(i).AsTask()).ToArray();
            while (ring.Step())
            {
            }
            Assert.Equal((-ECanceled, 1u), (Of(chain).Verdict, Of(chain).Steps));
            Assert.All(timers, timer => Assert.Equal(-ECanceled, timer.Result));
            Assert.Equal(Enumerable.Range(0, 20), nops.Select(nop => nop.Result));
            Assert.Equal((Verdict.Pass, 129u), (Of(burst).Verdict, Of(burst).Steps));
            Assert.True(ring.Overflows > 0);
            Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        }

        static ChainResult Of(Task<ChainResult> ended) => ended.IsCompleted ? ended.Result : throw new InvalidOperationException("a chain has not ended");
    }

    private const int ENoEnt = 2, EIntr = 4, EIo = 5, EAgain = 11, EXDev = 18, ETime = 62, ECanceled = 125;

    private static readonly SimulationOptions s_machine = new()
    {
        Files = ImmutableDictionary<string, ReadOnlyMemory<byte>>.Empty.Add("/data/a", "0123456789"u8.ToArray()).Add("/secret", "s"u8.ToArray()),
    };

    private static Ring Create(SimulationOptions? machine = null) => Ring.CreateSimulated(new RingOptions { Simulation = machine ?? s_machine });

    private static int Await(Ring ring, ValueTask<int> operation)
    {
        while (!operation.IsCompleted) Assert.True(ring.Step() || operation.IsCompleted, "nothing is left to happen.");
        return operation.Result;
    }

    private static ChainResult Await(Ring ring, ValueTask<ChainResult> chain)
    {
        while (!chain.IsCompleted) Assert.True(ring.Step() || chain.IsCompleted, "nothing is left to happen.");
        return chain.Result;
    }

    [Fact]
    public void A_hook_reads_files_that_are_in_memory_alone()
    {
        var ring = Create();
        var spec = Load("file_series.bpf.o").WithGlobal("path_count", 2u).WithGlobal("block_bytes", 4u);
        var link = ring.Attach(Compile(spec, "file_series"), new Grants { Paths = ["/data/a", "/data/missing"] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4 });
        var result = Await(ring, link.StartAsync(UringOp.Nop()));
        Assert.Equal((Verdict.Pass, 10UL), (result.Verdict, result.Bytes));
        Assert.Equal([SlowCrc32C.Compute("0123456789"u8), 1UL << 32 | ENoEnt], Emissions(link).Chunk(2).Select(pair => pair[0].Value));
        Assert.True(link.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void Paths_stay_beneath_their_directory()
    {
        var ring = Create();
        var link = ring.Attach(Compile("probe"), new Grants { Directories = ["/data"], Paths = ["a", "../secret", "/secret", "../data/a", "none"] }, new ChainLimits { OwnFiles = 1 });
        for (uint path = 0; path < 5; path++) Await(ring, link.StartAsync(UringOp.Nop(), Bytes(UringOp.OpenAt(directory: 0, path, target: 0))));
        Assert.Equal([0, -EXDev, -EXDev, -EXDev, -ENoEnt], Emissions(link).Chunk(2).Select(pair => (int)pair[1].Value));
        Assert.Equal("UB4512", Assert.Throws<BpfException>(() => ring.Attach(Compile("probe"), new Grants { Directories = ["/none"] })).Code);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void The_disk_is_read_where_that_is_wanted_and_never_written()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data", "disk"u8.ToArray());
        var ring = Create(new SimulationOptions { ReadsHostFiles = true });
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
        {
            Assert.Equal(3, Await(ring, ring.WriteAsync(file, "new"u8.ToArray(), 0)));
            var buffer = new byte[10];
            Assert.Equal(4, Await(ring, ring.ReadAsync(file, buffer, 0)));
            Assert.Equal("newk"u8, buffer.AsSpan(0, 4));
        }
        // The same file by its name.
        Assert.Equal(0, Await(ring, ring.StatXAsync(path, new byte[256])));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        Assert.Equal("disk"u8, File.ReadAllBytes(path));
        var without = Create();
        Assert.Equal(-ENoEnt, Await(without, without.StatXAsync(path, new byte[256])));
        Assert.True(without.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void A_connection_carries_bytes_and_a_reader_waits_for_them()
    {
        var ring = Create();
        var (first, second) = ring.CreateSimulatedPair();
        var buffer = new byte[10];
        var read = ring.ReadAsync(second, buffer, -1);
        while (ring.Step()) { }
        Assert.False(read.IsCompleted);
        Assert.Equal(5, Await(ring, ring.WriteAsync(first, "hello"u8.ToArray(), -1)));
        Assert.Equal(5, Await(ring, read));
        Assert.Equal("hello"u8, buffer.AsSpan(0, 5));
        // The other end goes away: the end of the stream.
        Assert.Equal(0, Await(ring, ring.CloseAsync((int)first.DangerousGetHandle())));
        Assert.Equal(0, Await(ring, ring.ReadAsync(second, buffer, -1)));
        using var stop = new CancellationTokenSource();
        var (third, _) = ring.CreateSimulatedPair();
        var waits = ring.ReadAsync(third, buffer, -1, stop.Token);
        while (ring.Step()) { }
        stop.Cancel();
        Assert.Equal(-ECanceled, Await(ring, waits));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void Time_is_the_simulations_own()
    {
        var ring = Create();
        Assert.Equal(-ETime, Await(ring, ring.TimeoutAsync(TimeSpan.FromHours(5))));
        Assert.InRange(ring.SimulatedTime, TimeSpan.FromHours(5), TimeSpan.FromHours(5) + TimeSpan.FromSeconds(1));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void A_hook_sees_the_simulations_clock_and_its_random_numbers()
    {
        var seen = new List<Emission[]>();
        foreach (var seed in (ulong[])[3, 3, 4])
        {
            var ring = Create(s_machine with { Seed = seed });
            var link = ring.Attach(Compile("senses"), new Grants());
            Await(ring, link.StartAsync(UringOp.Nop()));
            seen.Add([.. Emissions(link)]);
            Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        }
        Assert.Equal(seen[0], seen[1]);
        Assert.NotEqual(seen[0], seen[2]);
        // A minute passed between the two.
        Assert.InRange(seen[0][1].UserData - seen[0][0].UserData, 60_000_000_000UL, 61_000_000_000UL);
    }

    [Theory]
    [InlineData("interrupt", -EIntr)]
    [InlineData("again", -EAgain)]
    [InlineData("error", -EIo)]
    public void Faults_come_at_the_rate_that_is_asked_for(string what, int errno)
    {
        var machine = what switch
        {
            "interrupt" => new SimulationOptions { InterruptRate = 0.5 },
            "again" => new SimulationOptions { AgainRate = 0.5 },
            _ => new SimulationOptions { ErrorRate = 0.5 },
        };
        var ring = Create(machine);
        var (file, _) = ring.CreateSimulatedPair();
        var failures = 0;
        for (var i = 0; i < 400; i++)
        {
            var result = Await(ring, ring.WriteAsync(file, new byte[10], -1));
            Assert.True(result == errno || result == 10);
            if (result == errno) failures++;
        }
        Assert.InRange(failures, 150, 250);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void Transfers_fall_short_where_that_is_asked_for()
    {
        var ring = Create(s_machine with { ShortRate = 1 });
        var fd = Await(ring, ring.OpenAsync("/data/a"));
        using var file = new Microsoft.Win32.SafeHandles.SafeFileHandle(fd, ownsHandle: false);
        for (var i = 0; i < 20; i++) Assert.InRange(Await(ring, ring.ReadAsync(file, new byte[10], 0)), 1, 9);
        Assert.Equal(0, Await(ring, ring.CloseAsync(fd)));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void What_can_not_be_is_refused()
    {
        foreach (var machine in (SimulationOptions[])
        [
            new() { ErrorRate = 1.5 }, new() { ShortRate = double.NaN }, new() { ErrorRate = 0.6, AgainRate = 0.6 }, new() { EnterFailureRate = 1 },
            new() { MinDelay = TimeSpan.FromSeconds(2), MaxDelay = TimeSpan.FromSeconds(1) },
            new() { Files = ImmutableDictionary<string, ReadOnlyMemory<byte>>.Empty.Add("relative", default) },
        ]) Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Create(machine)).Code);
        var ring = Create();
        BpfException? refused = null;
        var other = new Thread(() => refused = Assert.Throws<BpfException>(() => ring.Step()));
        other.Start();
        other.Join();
        Assert.Equal("UB4506", refused!.Code);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_ring_with_a_thread_of_its_own_is_not_driven_by_hand()
    {
        await using var portable = Ring.Create(new RingOptions { Backend = RingBackendKind.Portable });
        Assert.Equal("UB4506", Assert.Throws<BpfException>(() => portable.Step()).Code);
        Assert.Equal("UB4506", Assert.Throws<BpfException>(() => portable.CreateSimulatedPair()).Code);
    }

    [Fact]
    public void A_disposed_ring_is_collected_though_its_threads_live_on()
    {
        var rings = Enumerable.Range(0, 8).Select(_ => UseOne()).ToArray();
        for (var attempt = 0; attempt < 10 && rings.Any(ring => ring.IsAlive); attempt++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.DoesNotContain(rings, ring => ring.IsAlive);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference UseOne()
        {
            var ring = Create();
            Assert.Equal(0, Await(ring, ring.NopAsync()));
            Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
            return new WeakReference(ring);
        }
    }
}
