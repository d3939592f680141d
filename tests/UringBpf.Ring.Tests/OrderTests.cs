using UringBpf.Bytecode;
using UringBpf.Runtime;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Links and drains between operations of a chain, and programs as operations, on every back end.</summary>
public abstract class OrderTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EIO = 5, EFault = 14, EInval = 22, ETime = 62, ECanceled = 125;
    private const byte OLink = (byte)UringOpFlags.Link, OHardLink = (byte)UringOpFlags.HardLink;
    private const ulong Program = 255;

    private static readonly ObjectSpec s_order = Load("order.bpf.o");

    private static byte[] Scratch(params ulong[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private static (ulong, int)[] Said(HookLink link) => [.. Emissions(link).Select(emission => (emission.UserData, (int)emission.Value))];

    private async Task<(ulong, int)[]> Run(Ring ring, string program, Grants grants, params ulong[] scratch)
    {
        await using var link = ring.Attach(Compile(s_order, program), grants);
        var result = await link.StartAsync(UringOp.Nop(), Scratch(scratch)).AsTask().WaitAsync(s_patience);
        Assert.Equal(Verdict.Pass, result.Verdict);
        return Said(link);
    }

    [Theory]
    [InlineData(0, 0, OLink, new[] { 0, 0, 0, 0 })]
    [InlineData(1, -EIO, OLink, new[] { -EIO, -ECanceled, -ECanceled, -ECanceled })]
    [InlineData(2, -EIO, OLink, new[] { 0, -EIO, -ECanceled, -ECanceled })]
    [InlineData(2, 7, OLink, new[] { 0, 7, 0, 0 })]
    [InlineData(2, -EIO, OHardLink, new[] { 0, -EIO, 0, 0 })]
    [InlineData(4, -EIO, OLink, new[] { 0, 0, 0, -EIO })]
    public async Task Links_keep_their_order_and_break_where_one_fails(int which, int result, byte flags, int[] expected)
    {
        await using var ring = CreateRing();
        var said = await Run(ring, "links", new Grants(), (ulong)which, (ulong)result, flags);
        Assert.Equal(expected.Select((value, index) => ((ulong)index + 1, value)), said);
    }

    [Fact]
    public async Task A_link_ends_with_the_run_that_submitted_it()
    {
        await using var ring = CreateRing();
        Assert.Equal([(1UL, -EIO), (2UL, 0)], await Run(ring, "loose_end", new Grants()));
        // Nor does one of a chain's first operation reach the next chain.
        await using var link = ring.Attach(Compile("result"), new Grants());
        var first = link.StartAsync(UringOp.Nop(-EIO, 0) with { Flags = UringOpFlags.Link });
        var second = link.StartAsync(UringOp.Nop(3, 0) with { Flags = UringOpFlags.Drain });
        Assert.Equal((-EIO, 3), ((await first).Result, (await second).Result));
    }

    [Theory]
    [InlineData(64, 64, 0)]
    [InlineData(100, 64, -ECanceled)]
    public async Task A_short_read_breaks_its_link(int length, int read, int after)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[64]));
        await using var ring = CreateRing();
        Assert.Equal([(1UL, read), (2UL, after)], await Run(ring, "short_link", new Grants { Files = [file], Buffers = [128] }, (ulong)length));
    }

    [Fact]
    public async Task A_drained_operation_waits_for_all_before_and_holds_all_after()
    {
        await using var ring = CreateRing();
        Assert.Equal([(1UL, -ETime), (2UL, 0), (3UL, 0), (4UL, 0), (5UL, 0)], await Run(ring, "drain", new Grants(), 5_000_000));
    }

    [Fact]
    public async Task Chains_do_not_wait_for_each_others_drains()
    {
        await using var ring = CreateRing();
        await using var held = ring.Attach(Compile(s_order, "hold"), new Grants());
        using var stop = new CancellationTokenSource();
        var waiting = held.StartAsync(UringOp.Nop(), Scratch(10), stop.Token).AsTask();
        Assert.Equal(5, (await Run(ring, "drain", new Grants(), 1000)).Length);
        Assert.Equal(4, await ring.NopAsync(4).AsTask().WaitAsync(s_patience));
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, (await waiting.WaitAsync(s_patience)).Verdict);
    }

    [Theory]
    // The timer alone: all goes on when it is over.
    [InlineData(0, new[] { 1, -ECanceled, 2, 0, 3, 0, 4, 0 })]
    // The head of a link that waits: what is linked to it is cancelled, what came after goes on.
    [InlineData(2, new[] { 2, -ECanceled, 3, -ECanceled, 1, -ECanceled, 4, 0 })]
    // What is linked to it, alone.
    [InlineData(3, new[] { 3, -ECanceled, 1, -ECanceled, 2, 0, 4, 0 })]
    // What comes after.
    [InlineData(4, new[] { 4, -ECanceled, 1, -ECanceled, 2, 0, 3, 0 })]
    public async Task What_waits_can_be_cancelled(int which, int[] pairs)
    {
        await using var ring = CreateRing();
        var said = await Run(ring, "cancel_held", new Grants(), (ulong)which);
        var expected = pairs.Chunk(2).Select(pair => ((ulong)pair[0], pair[1]));
        // Two that are cancelled at once end in any order.
        Assert.Equal(expected.Order(), said.Order());
        if (which == 0) Assert.Equal(expected, said);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(40)]
    public async Task Ending_a_chain_ends_what_waits_in_it(int held)
    {
        await using var ring = CreateRing();
        var link = ring.Attach(Compile(s_order, "hold"), new Grants());
        using var stop = new CancellationTokenSource();
        var chains = Enumerable.Range(0, 3).Select(_ => link.StartAsync(UringOp.Nop(), Scratch((ulong)held), stop.Token).AsTask()).ToArray();
        while (ring.HookRuns < 3) await Task.Delay(1);
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(chains).WaitAsync(s_patience), result => Assert.Equal(-ECanceled, result.Verdict));
        Assert.Equal(3 * (held + 1), ring.LateCompletions);
        var last = link.StartAsync(UringOp.Nop(), Scratch((ulong)held)).AsTask();
        await link.DisposeAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal(-ECanceled, (await last.WaitAsync(s_patience)).Verdict);
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task More_linked_operations_than_the_queue_holds_keep_their_order()
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = 2, CompletionEntries = 4, MaxOperations = 64 });
        for (var round = 0; round < 10; round++)
        {
            var said = await Run(ring, "links", new Grants(), 0, 0, OLink);
            Assert.Equal([1UL, 2, 3, 4], said.Select(one => one.Item1));
        }
    }

    [Theory]
    [InlineData(1, new[] { 64, 1, 0 })]
    [InlineData(0, new[] { 64, -EIO, -ECanceled })]
    public async Task A_program_is_an_operation_among_others(byte content, int[] results)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", [.. Enumerable.Repeat(content, 64)]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_order, "read_then_run"), new Grants { Files = [file], Buffers = [64], Programs = [Compile(s_order, "sum")] });
        var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal((Verdict.Pass, 4u), (result.Verdict, result.Steps));
        Assert.Equal([(1UL, 64), (1000 + Program, content * 64), (2UL, results[1]), (3UL, results[2])], Said(link));
    }

    [Fact]
    public async Task A_short_read_cancels_the_program_that_is_linked_to_it()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[10]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_order, "read_then_run"), new Grants { Files = [file], Buffers = [64], Programs = [Compile(s_order, "sum")] });
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal([(1UL, 10), (2UL, -ECanceled), (3UL, -ECanceled)], Said(link));
        // The first nop, the read and the two that were cancelled: the program never ran.
        Assert.Equal(4, ring.HookRuns);
    }

    [Fact]
    public async Task What_a_program_submits_runs_that_program_when_it_completes()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_order, "run_named"), new Grants { Programs = [Compile("stop"), Compile(s_order, "other")] });
        var result = await link.StartAsync(UringOp.Nop(), Scratch(2, 0)).AsTask().WaitAsync(s_patience);
        // The timer, as it was drained; the program as the operation; its result, which the hook hears of; its nop, which it hears of itself.
        Assert.Equal([(7UL, -ETime), (2005UL, 0), (5UL, 0), (2009UL, 0)], Said(link));
        Assert.Equal((Verdict.Pass, 4u), (result.Verdict, result.Steps));
    }

    [Fact]
    public async Task A_submission_names_the_program_that_its_completion_runs()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_order, "run_named"), new Grants { Programs = [Compile(s_order, "other")] });
        // Nothing is in flight after it: going on is passing.
        await link.StartAsync(UringOp.Nop(), Scratch(1, 1)).AsTask().WaitAsync(s_patience);
        Assert.Equal([(2005UL, 0)], Said(link));
        // The attachment's own by its number.
        await link.StartAsync(UringOp.Nop(), Scratch(0, 1)).AsTask().WaitAsync(s_patience);
        Assert.Equal([(5UL, 0)], Said(link));
        // The host names one for a chain's first operation.
        await link.StartAsync(UringOp.Nop(9) with { Flags = UringOpFlags.NamesProgram, Program = 1 }).AsTask().WaitAsync(s_patience);
        Assert.Equal([(2009UL, 0)], Said(link));
        // A chain that begins with a program: it and then the hook that hears of it.
        await link.StartAsync(UringOp.RunProgram(1, 4)).AsTask().WaitAsync(s_patience);
        Assert.Equal((2004UL, 0), Said(link)[0]);
    }

    [Fact]
    public async Task Programs_and_flags_outside_the_grants_are_refused()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants { Programs = [Compile("stop")], Buffers = [64] });
        async Task<int> Probe(UringOp op)
        {
            await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
            return (int)Emissions(link)[0].Value;
        }
        Assert.Equal(0, await Probe(UringOp.RunProgram(1)));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(2)));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(uint.MaxValue)));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(1) with { Flags = UringOpFlags.None }));
        Assert.Equal(-EInval, await Probe(UringOp.Nop() with { Program = 1 }));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(1) with { Offset = 1 }));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(1) with { OpFlags = 1 }));
        Assert.Equal(-EInval, await Probe(UringOp.RunProgram(1) with { File = 0 }));
        Assert.Equal(0, await Probe(UringOp.RunProgram(1) with { Length = 64 }));
        Assert.Equal(-EFault, await Probe(UringOp.RunProgram(1) with { Length = 65 }));
        Assert.Equal(-EFault, await Probe(UringOp.RunProgram(1) with { Length = 1, Buffer = 1 }));
        Assert.Equal(-EInval, await Probe(UringOp.Nop() with { Flags = (UringOpFlags)32 }));
    }

    [Fact]
    public async Task Granted_programs_are_checked_and_kept_as_the_hook_is()
    {
        await using var ring = CreateRing();
        var wrong = Load("chains.bpf.o").Program("stop") with { Type = ProgramTypes.Raw };
        using var raw = UringBpf.Compiler.ProgramCompiler.Compile(UringBpf.Verifier.ProgramVerifier.VerifyOrThrow(wrong), MapSet.Empty);
        Assert.Equal("UB4502", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants { Programs = [raw] })).Code);
        var writer = new Grants { Programs = [Compile(s_order, "scribble")], Buffers = [64], ReadOnlyBuffers = true };
        Assert.Equal("UB4502", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), writer)).Code);
        var disposed = Compile("stop");
        disposed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => ring.Attach(Compile("stop"), new Grants { Programs = [disposed] }));

        var named = Compile(s_order, "other");
        await using var link = ring.Attach(Compile(s_order, "run_named"), new Grants { Programs = [named] });
        named.Dispose();
        await link.StartAsync(UringOp.Nop(), Scratch(1, 1)).AsTask().WaitAsync(s_patience);
        Assert.Equal([(2005UL, 0)], Said(link));
        // An update replaces the attachment's own program alone.
        await link.UpdateAsync(Compile("probe"));
        await link.StartAsync(UringOp.Nop(), Bytes(UringOp.RunProgram(1, 3))).AsTask().WaitAsync(s_patience);
        Assert.Contains((2003UL, 0), Said(link));
    }

    [Fact]
    public async Task Recorded_programs_have_their_own_lines()
    {
        await using var ring = CreateRing(new RingOptions { Recorder = new RecorderOptions() });
        await using var link = ring.Attach(Compile(s_order, "run_named"), new Grants { Programs = [Compile(s_order, "other")] });
        await link.StartAsync(UringOp.Nop(), Scratch(1, 0)).AsTask().WaitAsync(s_patience);
        var trace = await ring.TraceAsync();
        var lane = Assert.Single(trace.Model.Lanes);
        Assert.Equal("run_named", lane.Program);
        Assert.Contains(lane.Bars, bar => bar.Text == "program");
        // The hook, the program as an operation, the hook with its result, the program with its nop.
        Assert.Equal(5, lane.Decisions.Count);
        trace.WriteChromeJson(Stream.Null);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelOrderTests() : OrderTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableOrderTests() : OrderTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedOrderTests() : OrderTests(RingBackendKind.Simulated);
