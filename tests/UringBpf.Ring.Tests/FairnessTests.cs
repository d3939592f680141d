using System.Diagnostics;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>
/// Chains that go on for ever, hooks that take long and hosts that never pause: who gets how many turns. On rings driven by hand, so that turns
/// are counted, not timed.
/// </summary>
public abstract class FairnessTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int ECanceled = 125, ETime = 62;
    private static readonly byte[] s_forEver = BitConverter.GetBytes(ulong.MaxValue);
    private static readonly ChainLimits s_unlimited = new() { MaxSteps = uint.MaxValue };

    private Ring Create(RingOptions options) => CreateRing(options, Ring.CreateDriven);

    // A ring that does not end would be driven for ever.
    private static void DriveUntil(Ring ring, Func<bool> done, Action? eachTurn = null)
    {
        var started = Stopwatch.StartNew();
        while (!done())
        {
            Assert.True(started.Elapsed < s_patience, "it does not come to that");
            Assert.True(ring.RunOnce(TimeSpan.FromMilliseconds(1)));
            eachTurn?.Invoke();
        }
    }

    private static T Drive<T>(Ring ring, ValueTask<T> until)
    {
        var task = until.AsTask();
        DriveUntil(ring, () => task.IsCompleted);
        return task.GetAwaiter().GetResult();
    }

    private static void Close(Ring ring) => Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);

    [Fact]
    public void Chains_that_never_end_leave_slots_to_the_host()
    {
        var ring = Create(new RingOptions { MaxOperations = 16, HostReserve = 2 });
        var hook = ring.Attach(Compile("rearm"), new Grants(), s_unlimited);
        // More than there are slots: the others wait.
        var chains = Enumerable.Range(0, 20).Select(_ => hook.StartAsync(UringOp.Nop(), s_forEver).AsTask()).ToArray();
        DriveUntil(ring, () => ring.HookRuns >= 100);
        Assert.InRange(ring.OperationsInFlight, 1, 14);
        for (var i = 0; i < 100; i++)
        {
            var before = ring.HookRuns;
            Assert.Equal(i, Drive(ring, ring.NopAsync(i)));
            // A few turns of at most 14 chains.
            Assert.InRange(ring.HookRuns - before, 0, 14 * 16);
        }
        Assert.All(chains, chain => Assert.False(chain.IsCompleted));
        Close(ring);
        Assert.All(chains, chain => Assert.Equal(-ECanceled, chain.Result.Verdict));
        Assert.Equal(14, chains.Count(chain => chain.Result.Steps > 0));
    }

    [Fact]
    public void An_attachment_leaves_file_slots_to_others()
    {
        const int most = 24, EMFile = 24;
        using var folder = new TemporaryFolder();
        var ring = Create(new RingOptions { FileSlots = 32 });
        var grants = new Grants { Paths = [folder.File("a", [1])] };
        var greedy = ring.Attach(Compile("hang"), grants, new ChainLimits { OwnFiles = 1 });
        var modest = ring.Attach(Compile("hang"), grants, new ChainLimits { OwnFiles = 2 });
        var open = UringOp.OpenAt(UringOp.NoDirectory, 0, 0);
        // Each opens a file and keeps it.
        Task<ChainResult>[] Start(HookLink hook, int chains, int slot = 0) => [.. Enumerable.Range(0, chains).Select(_ => hook.StartAsync(open with { Target = slot }, BitConverter.GetBytes(1UL)).AsTask())];
        var first = Start(greedy, most);
        DriveUntil(ring, () => ring.HookRuns == 16);
        Assert.Equal(16, ring.FreeFileSlots);
        var second = Start(modest, most);
        DriveUntil(ring, () => ring.HookRuns == 24);
        Assert.Equal(8, ring.FreeFileSlots);
        // The host and whoever is attached later find some.
        using var file = File.OpenHandle(folder.Path + "/a");
        var late = ring.Attach(Compile("hang"), grants with { Files = [file, file] }, new ChainLimits { OwnFiles = 1 });
        var third = Start(late, 4, slot: 2);
        DriveUntil(ring, () => ring.HookRuns == 27);
        Assert.Equal((3, 3), (ring.FreeFileSlots, third.Count(chain => !chain.IsCompleted)));
        Assert.All(first.Concat(second).Concat(third).Where(chain => chain.IsCompleted), chain => Assert.Equal((-EMFile, 0u), (chain.Result.Verdict, chain.Result.Steps)));
        // What one gives back the others may have, and a chain of it again.
        Assert.True(greedy.DisposeAsync().IsCompletedSuccessfully);
        Assert.Equal(19, ring.FreeFileSlots);
        var more = Start(modest, most);
        DriveUntil(ring, () => ring.HookRuns == 33);
        Assert.Equal(13, ring.FreeFileSlots);
        Close(ring);
        Assert.Equal(6, more.Count(chain => chain.Result.Verdict == -ECanceled));
    }

    [Fact]
    public void A_chain_has_its_own_files_where_the_table_is_small()
    {
        using var folder = new TemporaryFolder();
        var ring = Create(new RingOptions { FileSlots = 3 });
        var hook = ring.Attach(Compile("hang"), new Grants { Paths = [folder.File("a", [1])] }, new ChainLimits { OwnFiles = 3 });
        for (var i = 0; i < 3; i++) _ = hook.StartAsync(UringOp.OpenAt(UringOp.NoDirectory, 0, i), BitConverter.GetBytes(1UL)).AsTask();
        DriveUntil(ring, () => ring.HookRuns == 3);
        Assert.Equal(0, ring.FreeFileSlots);
        Close(ring);
    }

    [Fact]
    public void A_chain_among_many_that_never_end_has_its_share()
    {
        var ring = Create(new RingOptions { MaxOperations = 128 });
        var hook = ring.Attach(Compile("rearm"), new Grants(), s_unlimited);
        for (var i = 0; i < 63; i++) _ = hook.StartAsync(UringOp.Nop(), s_forEver).AsTask();
        DriveUntil(ring, () => ring.HookRuns >= 1000);
        var before = ring.HookRuns;
        Assert.Equal(101u, Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(100UL))).Steps);
        // Sixty-four that take turns; a simulated machine completes in any order.
        Assert.InRange(ring.HookRuns - before, 101, 64 * 101 * 2);
        Close(ring);
    }

    [Fact]
    public void More_chains_than_slots_wait_their_turn()
    {
        var ring = Create(new RingOptions { MaxOperations = 8, HostReserve = 1 });
        var hook = ring.Attach(Compile("rearm"), new Grants());
        var chains = Enumerable.Range(0, 200).Select(_ => hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(5UL)).AsTask()).ToArray();
        var most = 0;
        DriveUntil(ring, () => chains.All(chain => chain.IsCompleted), () => most = Math.Max(most, ring.OperationsInFlight));
        Assert.All(chains, chain => Assert.Equal((Verdict.Pass, 6u), (chain.Result.Verdict, chain.Result.Steps)));
        Assert.InRange(most, 0, 7);
        // In the order in which they were started.
        Assert.Equal(Enumerable.Range(1, 200).Select(i => (ulong)i), chains.Select(chain => chain.Result.Chain));
        Close(ring);
    }

    [Fact]
    public void A_chain_that_waits_for_a_slot_is_cancelled_detached_and_disposed_of_at_once()
    {
        var ring = Create(new RingOptions { MaxOperations = 2, HostReserve = 1 });
        var holds = ring.Attach(Compile("rearm"), new Grants(), s_unlimited);
        var waits = ring.Attach(Compile("rearm"), new Grants(), s_unlimited);
        var first = holds.StartAsync(UringOp.Nop(), s_forEver).AsTask();
        using var stop = new CancellationTokenSource();
        var cancelled = holds.StartAsync(UringOp.Nop(), s_forEver, stop.Token).AsTask();
        var detached = waits.StartAsync(UringOp.Nop(), s_forEver).AsTask();
        var disposed = holds.StartAsync(UringOp.Nop(), s_forEver).AsTask();
        DriveUntil(ring, () => ring.HookRuns >= 10);
        stop.Cancel();
        DriveUntil(ring, () => cancelled.IsCompleted);
        Assert.True(waits.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(detached.IsCompletedSuccessfully);
        Assert.False(disposed.IsCompleted || first.IsCompleted);
        Close(ring);
        Assert.Equal([(-ECanceled, 0u), (-ECanceled, 0u), (-ECanceled, 0u)], new[] { cancelled, detached, disposed }.Select(chain => (chain.Result.Verdict, chain.Result.Steps)));
        Assert.Equal(-ECanceled, Drive(ring, new ValueTask<ChainResult>(first)).Verdict);
    }

    [Fact]
    public void A_chain_that_messages_itself_for_ever_lets_others_start()
    {
        var ring = Create(new RingOptions { MaxOperations = 2, HostReserve = 1 });
        var relay = ring.Attach(Compile(Load("reach.bpf.o"), "relay"), new Grants());
        var hook = ring.Attach(Compile("rearm"), new Grants());
        _ = relay.StartAsync(UringOp.Nop(), s_forEver).AsTask();
        DriveUntil(ring, () => ring.ChainsEnded >= 20);
        for (var i = 0; i < 20; i++)
        {
            var before = ring.ChainsEnded;
            Assert.Equal(Verdict.Pass, Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(3UL))).Verdict);
            Assert.InRange(ring.ChainsEnded - before, 1, 8);
        }
        var ended = ring.ChainsEnded;
        DriveUntil(ring, () => ring.ChainsEnded >= ended + 20);
        Close(ring);
    }

    [Fact]
    public void A_turn_handles_no_more_completions_than_its_limit()
    {
        var ring = Create(new RingOptions { MaxOperations = 64, TurnLimit = 4 });
        var hook = ring.Attach(Compile("rearm"), new Grants());
        var chains = Enumerable.Range(0, 40).Select(_ => hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(10UL)).AsTask()).ToArray();
        var last = 0L;
        var most = 0L;
        DriveUntil(ring, () => chains.All(chain => chain.IsCompleted), () =>
        {
            most = Math.Max(most, ring.HookRuns - last);
            last = ring.HookRuns;
        });
        Assert.InRange(most, 1, 4);
        Assert.Equal(40 * 11, ring.HookRuns);
        Assert.All(chains, chain => Assert.Equal((Verdict.Pass, 11u), (chain.Result.Verdict, chain.Result.Steps)));
        Close(ring);
    }

    [Fact]
    public void The_host_does_not_wait_for_hooks_that_take_long()
    {
        var ring = Create(new RingOptions());
        // Each uses up a whole turn's budget.
        var hook = ring.Attach(Compile("spin"), new Grants());
        var chains = Enumerable.Range(0, 30).Select(_ => hook.StartAsync(UringOp.Nop()).AsTask()).ToArray();
        DriveUntil(ring, () => ring.HookRuns > 0);
        var last = ring.HookRuns;
        Assert.InRange(last, 1, 1);
        var host = ring.NopAsync(7).AsTask();
        var turns = 0;
        DriveUntil(ring, () => host.IsCompleted, () =>
        {
            Assert.InRange(ring.HookRuns - last, 0, 1);
            last = ring.HookRuns;
            turns++;
        });
        // Not behind the thirty that completed before it.
        Assert.InRange(ring.HookRuns, 1, 10);
        DriveUntil(ring, () => chains.All(chain => chain.IsCompleted), () =>
        {
            Assert.InRange(ring.HookRuns - last, 0, 1);
            last = ring.HookRuns;
        });
        Assert.All(chains, chain => Assert.Equal(-ETime, chain.Result.Verdict));
        Close(ring);
    }

    [Fact]
    public void A_host_that_never_pauses_lets_chains_go_on()
    {
        var ring = Create(new RingOptions { MaxOperations = 8, TurnLimit = 64 });
        var hook = ring.Attach(Compile("rearm"), new Grants());
        var stop = false;
        var finished = 0L;
        async Task Flood()
        {
            while (!stop)
            {
                Assert.Equal(1, await ring.NopAsync(1));
                finished++;
            }
        }
        // Far more than there are slots.
        var floods = Enumerable.Range(0, 100).Select(_ => Flood()).ToArray();
        // A request that asks for itself again: with it the inbox is never empty.
        var requests = 0L;
        void Again(Ring _)
        {
            requests++;
            if (!stop) ring.Post(new DelegateCommand(Again, null));
        }
        ring.Post(new DelegateCommand(Again, null));
        DriveUntil(ring, () => finished >= 200 && requests > 1000);
        var before = finished;
        Assert.Equal(101u, Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(100UL))).Steps);
        Assert.InRange(finished - before, 1, 8 * 101 * 8);
        stop = true;
        DriveUntil(ring, () => floods.All(flood => flood.IsCompleted));
        Assert.All(floods, flood => Assert.True(flood.IsCompletedSuccessfully));
        Close(ring);
    }

    [Fact]
    public void Every_completion_that_a_turn_put_off_reaches_its_chain_in_order()
    {
        var ring = Create(new RingOptions { QueueEntries = 16, CompletionEntries = 32, MaxOperations = 512, TurnLimit = 3 });
        var burst = ring.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        var chains = Enumerable.Range(0, 3).Select(_ => burst.StartAsync(UringOp.Nop()).AsTask()).ToArray();
        var host = 0;
        DriveUntil(ring, () => chains.All(chain => chain.IsCompleted), () =>
        {
            if (!ring.NopAsync(host).IsCompleted) host++;
        });
        Assert.All(chains, chain => Assert.Equal((Verdict.Pass, 129u), (chain.Result.Verdict, chain.Result.Steps)));
        Assert.All(Emissions(burst), emission => Assert.Equal((128UL, 127UL * 128 / 2), (emission.UserData, emission.Value)));
        Close(ring);
        Assert.Equal(0, ring.OperationsInFlight);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelFairnessTests() : FairnessTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableFairnessTests() : FairnessTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedFairnessTests() : FairnessTests(RingBackendKind.Simulated);
