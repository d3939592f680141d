using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>
/// Results that the running kernel is made to give (IORING_NOP_INJECT_RESULT): every errno a hook can see, short counts, and more
/// completions than the queue holds.
/// </summary>
public sealed class InjectionTests() : OnBackend(RingBackendKind.Kernel)
{
    private const int ECanceled = 125, LastErrno = 133, MaxErrno = 4095;

    private static readonly ObjectSpec s_order = Load("order.bpf.o");
    private static readonly ObjectSpec s_reach = Load("reach.bpf.o");

    private static byte[] Scratch(params ulong[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    public static TheoryData<int> Errnos => [.. Enumerable.Range(1, LastErrno).Append(512).Append(MaxErrno)];

    [Fact]
    public async Task Every_errno_reaches_the_hook_as_it_is()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants());
        await using var named = ring.Attach(Compile(s_order, "run_named"), new Grants { Programs = [Compile("result")] });
        foreach (var errno in Errnos.Select(row => (int)row.Data))
        {
            var result = await link.StartAsync(UringOp.Nop(-errno, 0));
            Assert.Equal((-errno, -errno, 1u), (result.Result, result.Verdict, result.Steps));
            Assert.Equal(-errno, (int)Assert.Single(Emissions(link)).Value);
            // Through a program that the submission names.
            result = await named.StartAsync(UringOp.Nop(-errno, 0) with { Flags = UringOpFlags.NamesProgram, Program = 1 });
            Assert.Equal(-errno, result.Verdict);
            Assert.Equal(-errno, (int)Assert.Single(Emissions(named)).Value);
            // The host's own.
            Assert.Equal(-errno, await ring.NopAsync(-errno));
        }
    }

    [Fact]
    public async Task Every_errno_breaks_a_link_and_no_hard_one()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_order, "links"), new Grants());
        foreach (var errno in Errnos.Select(row => (int)row.Data))
        {
            foreach (var flags in (UringOpFlags[])[UringOpFlags.Link, UringOpFlags.HardLink])
            {
                await link.StartAsync(UringOp.Nop(), Scratch(2, unchecked((ulong)-errno), (ulong)flags));
                var broken = flags == UringOpFlags.Link ? -ECanceled : 0;
                Assert.Equal([0, -errno, broken, broken], Emissions(link).Select(emission => (int)emission.Value));
            }
        }
    }

    [Fact]
    public async Task Counts_reach_the_hook_and_show_no_bytes_that_were_not_moved()
    {
        await using var ring = CreateRing();
        await using var counts = ring.Attach(Compile("result"), new Grants());
        await using var bytes = ring.Attach(Compile("extent"), new Grants { Buffers = [64] });
        foreach (var count in (int[])[0, 1, 2, 63, 64, 65, 4095, 4096, 65536, int.MaxValue])
        {
            Assert.Equal(count, (await counts.StartAsync(UringOp.Nop(count, 0))).Result);
            Assert.Equal((ulong)count, Assert.Single(Emissions(counts)).Value);
            // An operation that fills no buffer shows none, whatever its result claims.
            await bytes.StartAsync(UringOp.Nop(count, 0));
            Assert.Equal(0UL, Assert.Single(Emissions(bytes)).Value);
        }
    }

    [Theory]
    [InlineData(8, 16, 64)]
    [InlineData(2, 4, 200)]
    public async Task Injected_results_survive_a_queue_that_overflows(int entries, int completions, int atOnce)
    {
        await using var ring = CreateRing(new RingOptions { QueueEntries = entries, CompletionEntries = completions, MaxOperations = 512 });
        await using var link = ring.Attach(Compile(s_reach, "show"), new Grants());
        for (var round = 0; round < 5; round++)
        {
            var chains = new Task<ChainResult>[atOnce];
            for (var i = 0; i < atOnce; i++) chains[i] = link.StartAsync(UringOp.Nop(), Bytes(UringOp.Nop(i % 2 == 0 ? -1 - i : i, 0))).AsTask();
            var results = await Task.WhenAll(chains).WaitAsync(s_patience);
            Assert.Equal(Enumerable.Range(0, atOnce).Select(i => i % 2 == 0 ? -1 - i : i), results.Select(result => result.Result));
            Assert.Equal(results.Select(result => result.Result).Order(), Emissions(link).Select(emission => (int)emission.Value).Order());
        }
        Assert.Equal(0, ring.OperationsInFlight);
    }

    [Fact]
    public async Task A_completion_of_nothing_that_is_in_flight_is_counted_and_runs_no_hook()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("hang"), new Grants());
        using var stop = new CancellationTokenSource();
        var chain = link.StartAsync(UringOp.Nop(), Scratch(3), stop.Token).AsTask();
        while (ring.HookRuns < 1) await Task.Delay(1);
        // The kernel is made to complete user_data that no slot has, and one that a slot had long ago.
        await ring.RunOnOwner(() => Forge(ring));
        while (ring.LateCompletions < 2) await Task.Delay(1);
        Assert.Equal((1L, 2L), (ring.HookRuns, ring.LateCompletions));
        Assert.False(chain.IsCompleted);
        await stop.CancelAsync();
        Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        Assert.Equal(5, ring.LateCompletions);
    }

    private static unsafe void Forge(Ring ring)
    {
        foreach (var tag in (ulong[])[7UL << 40 | 12345, 0])
        {
            // An operation of the ring's own, whose tag is changed before it goes out.
            var operation = ring.Operations.Take(OperationOwner.Host);
            var entry = ring.Reserve(operation);
            *entry = Prepare.Nop(-5) with { UserData = tag };
            ring.Operations.Free(operation);
        }
    }
}
