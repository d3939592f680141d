using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What verdicts, limits, cancels and ends do, on every back end.</summary>
public abstract class ChainTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EBadF = 9, EAccess = 13, EFault = 14, EBusy = 16, EInval = 22, ETime = 62, EDQuot = 122, ECanceled = 125, ENoEnt = 2, EOpNotSupp = 95;

    [Fact]
    public async Task Passing_hands_the_result_to_the_host()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants());
        var result = await link.StartAsync(UringOp.Nop(42, userData: 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal((42, Verdict.Pass, 1u), (result.Result, result.Verdict, result.Steps));
    }

    [Fact]
    public async Task Every_errno_reaches_the_hook_and_its_verdict_the_host()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants());
        for (var errno = 1; errno <= 133; errno++)
        {
            var result = await link.StartAsync(UringOp.Nop(-errno, userData: 0)).AsTask().WaitAsync(s_patience);
            Assert.Equal((-errno, -errno), (result.Result, result.Verdict));
            var emitted = Assert.Single(Emissions(link));
            Assert.Equal(-errno, (long)emitted.Value);
        }
        Assert.Equal((133, 133), (ring.ChainsEnded, ring.ChainsFailed));
    }

    [Fact]
    public async Task Going_on_with_nothing_in_flight_is_passing()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("stop"), new Grants());
        var result = await link.StartAsync(UringOp.Nop(5, userData: 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal((5, Verdict.Pass), (result.Result, result.Verdict));
    }

    [Fact]
    public async Task A_chain_rearms_itself_and_the_host_wakes_once()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("rearm"), new Grants());
        var result = await link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(10_000UL)).AsTask().WaitAsync(s_patience);
        Assert.Equal((0, 10_001u), (result.Verdict, result.Steps));
        Assert.Equal(1, ring.HostWakeUps);
        Assert.Equal(10_001, ring.HookRuns);
    }

    [Theory]
    [InlineData("file", EBadF)]
    [InlineData("own file that is not open", EBadF)]
    [InlineData("path", EBadF)]
    [InlineData("directory", EBadF)]
    [InlineData("target", EBadF)]
    [InlineData("buffer", EFault)]
    [InlineData("length", EFault)]
    [InlineData("offset", EFault)]
    [InlineData("offset and length", EFault)]
    [InlineData("write", EAccess)]
    [InlineData("open for writing", EAccess)]
    [InlineData("operation not granted", EAccess)]
    [InlineData("name without directory", EAccess)]
    [InlineData("reserved", EInval)]
    [InlineData("flags", EInval)]
    [InlineData("open flags", EInval)]
    [InlineData("opcode", EOpNotSupp)]
    public async Task A_submission_outside_its_grants_is_refused_and_the_ring_goes_on(string what, int errno)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[100]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"),
            new Grants { Files = [file], Paths = [Path.Combine(folder.Path, "data")] },
            new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096 });
        var read = UringOp.Read(file: 0, buffer: 0, length: 10, offset: 0);
        var open = UringOp.OpenAt(UringOp.NoDirectory, path: 0, target: 1);
        var op = what switch
        {
            "file" => read with { File = 2 },
            "own file that is not open" => read with { File = 1 },
            "path" => open with { Path = 1 },
            "directory" => open with { Directory = 0 },
            "target" => open with { Target = 0 },
            "buffer" => read with { Buffer = 1 },
            "length" => read with { Length = 4097 },
            "offset" => read with { BufferOffset = 4097, Length = 0 },
            "offset and length" => read with { BufferOffset = 4095, Length = uint.MaxValue },
            "write" => UringOp.Write(0, 0, 10, 0),
            "open for writing" => open with { OpFlags = 1 },
            "operation not granted" => UringOp.Nop() with { Opcode = IoUringOp.Splice },
            "name without directory" => open with { Flags = UringOpFlags.PathInBuffer, Path = 5 },
            "flags" => read with { Flags = (UringOpFlags)0x80 },
            "open flags" => open with { OpFlags = 0x400000 },
            "opcode" => UringOp.Nop() with { Opcode = (IoUringOp)200 },
            _ => read,
        };
        var scratch = Bytes(op);
        if (what == "reserved") scratch[56] = 1;
        var result = await link.StartAsync(UringOp.Nop(), scratch).AsTask().WaitAsync(s_patience);
        Assert.Equal(Verdict.Pass, result.Verdict);
        Assert.Equal(-errno, (long)Assert.Single(Emissions(link)).Value);

        // The same ring still does what is granted.
        await link.StartAsync(UringOp.Nop(), Bytes(read)).AsTask().WaitAsync(s_patience);
        Assert.Equal([0L, 10L], Emissions(link).Select(emission => (long)emission.Value));
    }

    [Fact]
    public async Task A_wrong_struct_size_is_refused()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("wrong_size"), new Grants());
        Assert.Equal(-EInval, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
    }

    [Fact]
    public async Task A_first_operation_that_is_refused_ends_the_chain()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants());
        var result = await link.StartAsync(UringOp.Read(0, 0, 10, 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal((-EBadF, -EBadF, 0u), (result.Result, result.Verdict, result.Steps));
    }

    [Fact]
    public async Task Operations_in_flight_are_limited()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("hang"), new Grants(), new ChainLimits { MaxInFlight = 5 });
        using var stop = new CancellationTokenSource();
        var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(6UL), stop.Token).AsTask();
        var emission = await Emitted(link);
        Assert.Equal((5UL, -EBusy), (emission.UserData, (int)emission.Value));
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        // The five timers came back cancelled, and ran no hook.
        Assert.Equal(5, ring.LateCompletions);
        Assert.Equal(1, ring.HookRuns);
    }

    [Theory]
    [InlineData(10u, 9UL, 0)]
    [InlineData(10u, 10UL, -EDQuot)]
    public async Task Steps_are_limited(uint limit, ulong rearms, int verdict)
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("rearm"), new Grants(), new ChainLimits { MaxSteps = limit });
        var result = await link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(rearms)).AsTask().WaitAsync(s_patience);
        Assert.Equal((verdict, 10u), (result.Verdict, result.Steps));
    }

    [Theory]
    [InlineData(10UL, 0)]
    [InlineData(9UL, -EDQuot)]
    public async Task Bytes_are_limited(ulong limit, int expected)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[100]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, MaxBytes = limit });
        await link.StartAsync(UringOp.Nop(), Bytes(UringOp.Read(0, 0, 10, 0))).AsTask().WaitAsync(s_patience);
        Assert.Equal(expected, (long)Emissions(link)[0].Value);
    }

    [Fact]
    public async Task More_operations_than_the_queue_holds_wait_for_room_and_none_is_lost()
    {
        // 8 entries to submit, 16 to complete, 128 operations at once: the submission queue is full, the completion queue overflows.
        await using var ring = CreateRing(new RingOptions { QueueEntries = 8, CompletionEntries = 16, MaxOperations = 256 });
        await using var link = ring.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        for (var round = 0; round < 20; round++)
        {
            var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
            Assert.Equal((Verdict.Pass, 129u), (result.Verdict, result.Steps));
            Assert.Equal((ulong)(127 * 128 / 2), Assert.Single(Emissions(link)).Value);
        }
    }

    [Fact]
    public async Task A_hook_cancels_its_own_operation()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("cancel"), new Grants());
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        var emissions = Emissions(link);
        Assert.Equal(-ENoEnt, (long)emissions[0].Value);
        Assert.Equal((7UL, -ECanceled), (emissions[1].UserData, (int)emissions[1].Value));
    }

    [Fact]
    public async Task Join_counters_count_down_to_the_last()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("join"), new Grants());
        var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal((-ETime, Verdict.Pass, 4u), (result.Result, result.Verdict, result.Steps));
    }

    [Fact]
    public async Task A_hook_that_does_not_end_is_stopped_and_the_ring_goes_on()
    {
        var spec = Load("chains.bpf.o");
        var verified = UringBpf.Verifier.ProgramVerifier.VerifyOrThrow(spec.Program("spin"));
        Assert.Equal(Termination.Metered, verified.Termination);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("spin"), new Grants());
        Assert.Equal(-ETime, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(-ETime, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
    }

    [Fact]
    public async Task Buffers_are_memory_within_their_bounds()
    {
        using var folder = new TemporaryFolder();
        var content = Enumerable.Range(0, 64).Select(i => (byte)i).ToArray();
        using var file = File.OpenHandle(folder.File("data", content));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("buffers"), new Grants { Files = [file], Buffers = [4096] });
        Assert.Equal(Verdict.Pass, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
        var emission = Assert.Single(Emissions(link));
        Assert.Equal((64UL, 63UL * 64 / 2), (emission.UserData, emission.Value));
    }

    [Fact]
    public async Task Emissions_beyond_the_queue_are_counted_as_lost()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants(), emissionCapacity: 4);
        for (var i = 0; i < 7; i++) await link.StartAsync(UringOp.Nop(i, 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal([0UL, 1UL, 2UL, 3UL], Emissions(link).Select(emission => emission.Value));
        Assert.Equal(3, link.EmissionsLost);
    }

    [Fact]
    public async Task Updating_puts_another_program_in_place_for_new_chains()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("hang"), new Grants());
        using var stop = new CancellationTokenSource();
        var old = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL), stop.Token).AsTask();
        await Emitted(link);
        await link.UpdateAsync(Compile("stop"));
        Assert.Equal(3, (await link.StartAsync(UringOp.Nop(3, 0)).AsTask().WaitAsync(s_patience)).Result);
        Assert.False(old.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, (await old.WaitAsync(s_patience)).Verdict);
    }

    [Fact]
    public async Task Detaching_cancels_chains_and_waits_for_them()
    {
        await using var ring = CreateRing();
        var link = ring.Attach(Compile("hang"), new Grants());
        var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(3UL)).AsTask();
        await Emitted(link);
        await link.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.True(chain.IsCompleted || (await chain.WaitAsync(s_patience)).Verdict < 0);
        Assert.Equal(-ECanceled, (await chain).Verdict);
        Assert.Equal(-ECanceled, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
    }

    [Fact]
    public async Task Disposing_the_ring_cancels_and_drains_everything()
    {
        var ring = CreateRing();
        var link = ring.Attach(Compile("hang"), new Grants());
        var chains = Enumerable.Range(0, 50).Select(_ => link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(4UL)).AsTask()).ToArray();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
        await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.All(await Task.WhenAll(chains).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result.Verdict));
        Assert.Equal(-ECanceled, await timer.WaitAsync(s_patience));
        // Later calls are refused, not lost.
        Assert.Equal(-ECanceled, await ring.NopAsync().AsTask().WaitAsync(s_patience));
        await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
        await link.DisposeAsync().AsTask().WaitAsync(s_patience);
    }

    [Fact]
    public async Task Only_completion_programs_can_be_attached()
    {
        await using var ring = CreateRing();
        var spec = Load("chains.bpf.o").Program("stop") with { Type = ProgramTypes.Raw };
        using var raw = UringBpf.Compiler.ProgramCompiler.Compile(
            UringBpf.Verifier.ProgramVerifier.VerifyOrThrow(spec), UringBpf.Runtime.MapSet.Empty);
        Assert.Equal("UB4502", Assert.Throws<BpfException>(() => ring.Attach(raw, new Grants())).Code);
        Assert.Equal("UB4512", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants { Directories = ["/no/such/folder"] })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants { Paths = [""] })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants(), new ChainLimits { OwnFiles = 17 })).Code);
    }

    private static async Task<Emission> Emitted(HookLink link)
    {
        for (var wait = 0; wait < 3000; wait++)
        {
            if (link.TryReadEmission(out var emission)) return emission;
            await Task.Delay(10);
        }
        throw new TimeoutException("nothing was emitted.");
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelChainTests() : ChainTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableChainTests() : ChainTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedChainTests() : ChainTests(RingBackendKind.Simulated);
