using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Policies: what they see, what they refuse, where they are attached and how they go, on every back end.</summary>
public abstract class PolicyTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EPerm = 1, EAccess = 13, ERange = 34, ENameTooLong = 36, ETime = 62, ECanceled = 125;
    private const int OByHost = 0, OByHook = 1;

    private static readonly ObjectSpec s_policies = Load("policies.bpf.o");

    private static BpfProgram CompilePolicy(string name, MapSet? maps = null) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(s_policies.Program(name)), maps ?? MapSet.Create(s_policies.Maps));

    // What `look` wrote down.
    [System.Runtime.CompilerServices.InlineArray(10)]
    private struct Written
    {
        private long _first;
    }

    private static long[] Seen(MapSet maps)
    {
        var written = new BpfArrayMap<Written>(maps["last"])[0];
        return ((ReadOnlySpan<long>)written).ToArray();
    }

    [Fact]
    public async Task An_operation_of_the_host_that_is_refused_completes_with_the_errno()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[2000]));
        await using var ring = CreateRing();
        var buffer = new byte[100];
        await using (var policy = ring.AttachPolicy(CompilePolicy("small_reads")))
        {
            Assert.Equal(3, await ring.NopAsync(3).AsTask().WaitAsync(s_patience));
            Assert.Equal(64, await ring.ReadAsync(file, buffer.AsMemory(0, 64), 0).AsTask().WaitAsync(s_patience));
            Assert.Equal(-EAccess, await ring.ReadAsync(file, buffer.AsMemory(0, 65), 0).AsTask().WaitAsync(s_patience));
            Assert.Equal(-ERange, await ring.ReadAsync(file, buffer.AsMemory(0, 64), 961).AsTask().WaitAsync(s_patience));
            Assert.Equal(64, await ring.ReadAsync(file, buffer.AsMemory(0, 64), 960).AsTask().WaitAsync(s_patience));
            Assert.Equal(-EAccess, await ring.FSyncAsync(file).AsTask().WaitAsync(s_patience));
            Assert.Equal(-EAccess, await ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask().WaitAsync(s_patience));
            Assert.Equal((7L, 4L), (policy.Runs, policy.Refusals));
        }
        // Detached: nothing is judged any more.
        Assert.Equal(65, await ring.ReadAsync(file, buffer.AsMemory(0, 65), 0).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_hook_hears_the_errno_from_submit_and_nothing_it_took_is_lost()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data", new byte[2000]);
        using var file = File.OpenHandle(path);
        await using var ring = CreateRing();
        // One read's worth of bytes, one file slot: a refusal must give both back.
        await using var link = ring.Attach(Compile("probe"), new Grants { Files = [file], Buffers = [100], Paths = [path] }, new ChainLimits { MaxBytes = 100, OwnFiles = 1 });
        await using var policy = link.AttachPolicy(CompilePolicy("by_user_data"));
        var read = UringOp.Read(0, 0, 100, 0, userData: EPerm);
        Assert.Equal(-EPerm, await Probe(link, read));
        Assert.Equal(100, await Probe(link, read with { UserData = 0 }));
        Assert.Equal(-ERange, await Probe(link, UringOp.OpenAt(UringOp.NoDirectory, 0, 1, userData: ERange)));
        Assert.Equal(1, await Probe(link, UringOp.OpenAt(UringOp.NoDirectory, 0, 1)));
        // The first operation of a chain is the host's choice and the chain's operation.
        var refused = await link.StartAsync(read).AsTask().WaitAsync(s_patience);
        Assert.Equal((-EPerm, -EPerm, 0u), (refused.Result, refused.Verdict, refused.Steps));
        // What only the attachment's policy judges, the host may.
        Assert.Equal(100, await ring.ReadAsync(file, new byte[100], 0).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task Every_errno_can_be_a_refusal()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants());
        await using var policy = link.AttachPolicy(CompilePolicy("by_user_data"));
        foreach (var errno in Enumerable.Range(1, 133).Append(4095)) Assert.Equal(-errno, await Probe(link, UringOp.Nop((ulong)errno)));
    }

    [Fact]
    public async Task All_policies_must_allow_and_the_rings_are_asked_first()
    {
        using var maps = MapSet.Create(s_policies.Maps);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("stop"), new Grants());
        await using var counting = link.AttachPolicy(CompilePolicy("allow", maps));
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal(1, counting.Runs);
        var denying = ring.AttachPolicy(CompilePolicy("deny", maps));
        Assert.Equal(-EAccess, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Result);
        Assert.Equal((1L, 1L), (counting.Runs, denying.Runs));
        await denying.DisposeAsync();
        await denying.DisposeAsync();
        Assert.Equal(0, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Result);
        Assert.Equal((2L, 1L), (counting.Runs, denying.Runs));
    }

    [Fact]
    public async Task A_policy_for_some_operations_judges_those_alone()
    {
        await using var ring = CreateRing();
        await using var policy = ring.AttachPolicy(CompilePolicy("deny"), [IoUringOp.Timeout, IoUringOp.FSync]);
        Assert.Equal(9, await ring.NopAsync(9).AsTask().WaitAsync(s_patience));
        Assert.Equal(-EAccess, await ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask().WaitAsync(s_patience));
        Assert.Equal((1L, 1L), (policy.Runs, policy.Refusals));
    }

    [Fact]
    public async Task A_policy_is_given_with_single_operations_and_chains()
    {
        using var maps = MapSet.Create(s_policies.Maps);
        await using var ring = CreateRing();
        await using var other = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants());
        await using var denies = ring.CreatePolicy(CompilePolicy("deny", maps), [IoUringOp.Nop]);
        await using var picks = ring.CreatePolicy(CompilePolicy("by_user_data"));
        // Of the host's: this one, not the next.
        Assert.Equal(-EAccess, await ring.SubmitAsync(Prepare.Nop(4), denies).AsTask().WaitAsync(s_patience));
        Assert.Equal(4, await ring.SubmitAsync(Prepare.Nop(4)).AsTask().WaitAsync(s_patience));
        Assert.Equal(4, await ring.SubmitAsync(Prepare.Nop(4), picks).AsTask().WaitAsync(s_patience));
        Assert.Equal(4, await ring.NopAsync(4).AsTask().WaitAsync(s_patience));
        // A chain, its first operation and what it submits: and no other chain.
        var refused = await link.StartAsync(UringOp.Nop(ERange), [], picks).AsTask().WaitAsync(s_patience);
        Assert.Equal((-ERange, -ERange, 0u), (refused.Result, refused.Verdict, refused.Steps));
        await link.StartAsync(UringOp.Nop(), Bytes(UringOp.Nop(7, EPerm)), picks).AsTask().WaitAsync(s_patience);
        Assert.Equal(-EPerm, (int)Emissions(link)[^1].Value);
        Assert.Equal(7, await Probe(link, UringOp.Nop(7, EPerm)));
        Assert.Equal((1L, 1L), (denies.Runs, denies.Refusals));
        // After those that are attached, each of which must allow.
        await using (ring.AttachPolicy(CompilePolicy("deny", maps)))
        {
            var runs = picks.Runs;
            Assert.Equal(-EAccess, await ring.SubmitAsync(Prepare.Nop(4), picks).AsTask().WaitAsync(s_patience));
            Assert.Equal(runs, picks.Runs);
        }
        // One for other operations than this.
        Assert.Equal(-ETime, await ring.TimeoutAsync(TimeSpan.FromMilliseconds(1)).AsTask().WaitAsync(s_patience));
        await denies.UpdateAsync(CompilePolicy("allow", maps));
        Assert.Equal(5, await ring.SubmitAsync(Prepare.Nop(5), denies).AsTask().WaitAsync(s_patience));
        Assert.Throws<ArgumentException>(() => { _ = other.SubmitAsync(Prepare.Nop(), denies); });
        await using var attached = ring.AttachPolicy(CompilePolicy("allow", maps));
        Assert.Throws<ArgumentException>(() => { _ = ring.SubmitAsync(Prepare.Nop(), attached); });
    }

    [Fact]
    public async Task Given_policies_judge_what_messages_start()
    {
        const int EBadF = 9;
        var reach = Load("reach.bpf.o");
        await using var ring = CreateRing();
        await using var other = CreateRing();
        await using var policy = ring.CreatePolicy(CompilePolicy("deny"), [IoUringOp.Timeout]);
        await using var hears = ring.Attach(Compile(reach, "hear"), new Grants());
        await using var posts = ring.Attach(Compile(reach, "post"), new Grants { Targets = [hears] });
        // With a value above 1000 each chain that is started asks for a timer.
        ulong[] threeTimes = [2000, 3];
        var bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes<ulong>(threeTimes).ToArray();
        await posts.StartAsync(UringOp.Nop(), bytes, policy).AsTask().WaitAsync(s_patience);
        for (var wait = 0; policy.Runs < 3 && wait < 10_000; wait++) await Task.Delay(1);
        Assert.Equal((3L, 3L), (policy.Runs, policy.Refusals));
        Assert.Equal([(3UL, 0), (0UL, -EBadF)], Emissions(posts).Select(one => (one.UserData, (int)one.Value)));
        for (var wait = 0; ring.ChainsEnded < 4 && wait < 10_000; wait++) await Task.Delay(1);
        Assert.Equal((4L, 0), (ring.ChainsEnded, ring.OperationsInFlight));
        // Those that others start are not judged by it.
        await posts.StartAsync(UringOp.Nop(), bytes).AsTask().WaitAsync(s_patience);
        for (var wait = 0; ring.OperationsInFlight < 3 && wait < 10_000; wait++) await Task.Delay(1);
        Assert.Equal((3, 3L), (ring.OperationsInFlight, policy.Runs));
        // On another ring nobody would ask it.
        await using var far = other.Attach(Compile(reach, "hear"), new Grants());
        await using var away = ring.Attach(Compile(reach, "post"), new Grants { Targets = [far] });
        await away.StartAsync(UringOp.Nop(), bytes, policy).AsTask().WaitAsync(s_patience);
        Assert.Equal([(0UL, -EAccess), (0UL, -EBadF)], Emissions(away).Select(one => (one.UserData, (int)one.Value)));
    }

    [Fact]
    public async Task Policies_are_given_in_a_batch()
    {
        await using var ring = CreateRing();
        await using var other = CreateRing();
        await using var link = ring.Attach(Compile("stop"), new Grants());
        await using var denies = ring.CreatePolicy(CompilePolicy("deny"));
        var batch = ring.Batch();
        var first = batch.Add(Prepare.Nop(1).With(SqeFlags.Link)).AsTask();
        var refused = batch.Add(Prepare.Nop(2).With(SqeFlags.Link), null, denies).AsTask();
        var after = batch.Add(Prepare.Nop(3)).AsTask();
        var chain = batch.Add(link, UringOp.Nop(), denies).AsTask();
        var free = batch.Add(link, UringOp.Nop()).AsTask();
        Assert.Throws<ArgumentException>(() => { _ = other.Batch().Add(Prepare.Nop(), null, denies); });
        batch.Submit();
        Assert.Equal((int[])[1, -EAccess, -ECanceled], await Task.WhenAll(first, refused, after).WaitAsync(s_patience));
        Assert.Equal((-EAccess, 0), ((await chain.WaitAsync(s_patience)).Verdict, (await free.WaitAsync(s_patience)).Result));
        Assert.Equal((2L, 2L), (denies.Runs, denies.Refusals));
    }

    [Fact]
    public async Task A_multishot_operation_is_given_a_policy_and_says_when_it_is_refused()
    {
        await using var ring = CreateRing();
        await using var other = CreateRing();
        await using var denies = ring.CreatePolicy(CompilePolicy("deny"));
        await using var allows = ring.CreatePolicy(CompilePolicy("allow"));
        await using (var refused = ring.StartMultishot(Prepare.Nop(4), null, denies))
        {
            Assert.Equal(new Shot(-EAccess, CqeFlags.None), await refused.NextAsync().AsTask().WaitAsync(s_patience));
            Assert.Null(await refused.NextAsync());
        }
        await using (var allowed = ring.StartMultishot(Prepare.Nop(4), null, allows))
        {
            Assert.Equal(new Shot(4, CqeFlags.None), await allowed.NextAsync().AsTask().WaitAsync(s_patience));
            Assert.Null(await allowed.NextAsync().AsTask().WaitAsync(s_patience));
        }
        Assert.Equal((1L, 1L, 1L, 0L), (denies.Runs, denies.Refusals, allows.Runs, allows.Refusals));
        // Without one it is judged by none.
        await using (var free = ring.StartMultishot(Prepare.Nop(5)))
        {
            Assert.Equal(5, (await free.NextAsync().AsTask().WaitAsync(s_patience))!.Value.Result);
        }
        Assert.Equal((1L, 1L), (denies.Runs, allows.Runs));
        Assert.Throws<ArgumentException>(() => other.StartMultishot(Prepare.Nop(), null, denies));
        // An attached one judges it too, and a given one that is gone refuses.
        await using (ring.AttachPolicy(CompilePolicy("deny")))
        {
            await using var judged = ring.StartMultishot(Prepare.Nop(6));
            Assert.Equal(-EAccess, (await judged.NextAsync().AsTask().WaitAsync(s_patience))!.Value.Result);
        }
        await allows.DisposeAsync();
        await using var gone = ring.StartMultishot(Prepare.Nop(7), null, allows);
        Assert.Equal(-ECanceled, (await gone.NextAsync().AsTask().WaitAsync(s_patience))!.Value.Result);
    }

    [Fact]
    public async Task What_was_given_with_a_policy_that_is_gone_is_refused()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("rearm"), new Grants { Operations = [IoUringOp.Nop, IoUringOp.Timeout] });
        var policy = ring.CreatePolicy(CompilePolicy("allow"));
        var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1_000_000_000UL), policy).AsTask();
        while (policy.Runs < 10) await Task.Delay(1);
        await policy.DisposeAsync();
        // It hears it from its next submit, and ends with it.
        Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        Assert.Equal(-ECanceled, await ring.SubmitAsync(Prepare.Nop(1), policy).AsTask().WaitAsync(s_patience));
        Assert.Equal(-ECanceled, (await link.StartAsync(UringOp.Nop(), [], policy).AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(0, ring.Policies);
    }

    [Fact]
    public async Task A_policy_sees_the_operation_as_its_submitter_named_it()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data.a", new byte[200]);
        using var file = File.OpenHandle(path);
        using var maps = MapSet.Create(s_policies.Maps);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("result"), new Grants { Files = [file], Buffers = [100], Paths = [path] });
        await using var policy = ring.AttachPolicy(CompilePolicy("look", maps));

        var read = await link.StartAsync(UringOp.Read(0, 0, 50, 7, userData: 77)).AsTask().WaitAsync(s_patience);
        Assert.Equal([(long)IoUringOp.Read, 0, 50, 7, 0, 77, OByHook, (long)read.Chain, -1, 0], Seen(maps));
        const int noFollow = 0x20000;
        var open = await link.StartAsync(UringOp.OpenAt(UringOp.NoDirectory, 0, 2, noFollow, userData: 5)).AsTask().WaitAsync(s_patience);
        Assert.Equal([(long)IoUringOp.OpenAt, -1, 0, 0, noFollow, 5, OByHook, (long)open.Chain, 2, path.Length], Seen(maps));

        await ring.ReadAsync(file, new byte[10], 20).AsTask().WaitAsync(s_patience);
        Assert.Equal([(long)IoUringOp.Read, (long)file.DangerousGetHandle(), 10, 20, 0, 0, OByHost, 0, -1, 0], Seen(maps));
        await ring.NopAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal([(long)IoUringOp.Nop, -1, 0, 0, 0, 0, OByHost, 0, -1, 0], Seen(maps));
    }

    [Fact]
    public async Task Paths_are_shown_whole_and_longer_ones_are_refused()
    {
        using var folder = new TemporaryFolder();
        folder.File("long-name-that-ends-well.a", [1]);
        folder.File("b", [1]);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants
        {
            Paths = [folder.Path + "/long-name-that-ends-well.a", folder.Path + "/b", new string('/', 4095) + "a", new string('/', 4096) + "a"],
        });
        await using var policy = ring.AttachPolicy(CompilePolicy("names"));
        UringOp Open(uint path) => UringOp.OpenAt(UringOp.NoDirectory, path, 0);
        Assert.Equal(0, await Probe(link, Open(0)));
        Assert.Equal(-EPerm, await Probe(link, Open(1)));
        // A shorter name after a longer one is seen without the rest of that.
        Assert.Equal(-EPerm, await Probe(link, Open(1)));
        Assert.Equal(-ENameTooLong, await Probe(link, Open(2)));
        Assert.Equal(-ENameTooLong, await Probe(link, Open(3)));
        Assert.Equal(0, await Probe(link, Open(0)));
        // The host's, by path and by two.
        Assert.Equal(-EPerm, await ring.OpenAsync(folder.Path + "/b", 0).AsTask().WaitAsync(s_patience));
        Assert.Equal(-EPerm, await ring.RenameAsync(folder.Path + "/b", folder.Path + "/c.a").AsTask().WaitAsync(s_patience));
        Assert.Equal(-EPerm, await ring.RenameAsync(folder.Path + "/long-name-that-ends-well.a", folder.Path + "/c").AsTask().WaitAsync(s_patience));
        Assert.True(File.Exists(folder.Path + "/b"));
        if (Backend != RingBackendKind.Simulated)
        {
            Assert.Equal(0, await ring.RenameAsync(folder.Path + "/long-name-that-ends-well.a", folder.Path + "/c.a").AsTask().WaitAsync(s_patience));
            Assert.True(File.Exists(folder.Path + "/c.a"));
        }
    }

    [Fact]
    public async Task Updating_puts_another_policy_in_place_at_once()
    {
        await using var ring = CreateRing();
        await using var policy = ring.AttachPolicy(CompilePolicy("deny"));
        Assert.Equal(-EAccess, await ring.NopAsync().AsTask().WaitAsync(s_patience));
        var allow = CompilePolicy("allow");
        await policy.UpdateAsync(allow);
        // The link keeps the program.
        allow.Dispose();
        Assert.Equal(4, await ring.NopAsync(4).AsTask().WaitAsync(s_patience));
        var disposed = CompilePolicy("deny");
        disposed.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => policy.UpdateAsync(disposed).AsTask());
        Assert.Equal("UB4502", (await Assert.ThrowsAsync<BpfException>(() => policy.UpdateAsync(Compile("stop")).AsTask())).Code);
        await policy.DisposeAsync();
        Assert.Equal("UB4503", (await Assert.ThrowsAsync<BpfException>(() => policy.UpdateAsync(CompilePolicy("deny")).AsTask())).Code);
        Assert.Equal(5, await ring.NopAsync(5).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_policy_runs_on_a_stack_of_its_own()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile(s_policies, "careful"), new Grants());
        await using var policy = ring.AttachPolicy(CompilePolicy("heavy"));
        Assert.Equal(0, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
        var emissions = Emissions(link);
        Assert.Equal(3, emissions.Count);
        Assert.All(emissions, emission => Assert.Equal((0UL, 0UL), (emission.UserData, emission.Value)));
        Assert.Equal(4, policy.Runs);
    }

    [Fact]
    public async Task A_policy_that_comes_to_no_verdict_refuses()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("probe"), new Grants());
        await using var policy = link.AttachPolicy(CompilePolicy("undecided"), [IoUringOp.Timeout]);
        Assert.Equal(-ETime, await Probe(link, UringOp.Timeout(TimeSpan.FromHours(1))));
        Assert.Equal(3, await Probe(link, UringOp.Nop(3, 0)));
    }

    [Fact]
    public async Task Only_policies_can_be_attached_as_policies_and_they_go_with_their_hook_and_ring()
    {
        var ring = CreateRing();
        Assert.Equal("UB4502", Assert.Throws<BpfException>(() => ring.AttachPolicy(Compile("stop"))).Code);
        Assert.Equal("UB4502", Assert.Throws<BpfException>(() => ring.Attach(CompilePolicy("allow"), new Grants())).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => ring.AttachPolicy(CompilePolicy("allow"), [(IoUringOp)64])).Code);
        var disposed = CompilePolicy("allow");
        disposed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => ring.AttachPolicy(disposed));

        var link = ring.Attach(Compile("stop"), new Grants());
        var own = link.AttachPolicy(CompilePolicy("deny"));
        await link.DisposeAsync();
        Assert.Equal("UB4503", Assert.Throws<BpfException>(() => link.AttachPolicy(CompilePolicy("deny"))).Code);
        await own.DisposeAsync();
        var rings = ring.AttachPolicy(CompilePolicy("deny"));
        await ring.DisposeAsync();
        await rings.DisposeAsync();
        Assert.Equal("UB4503", Assert.Throws<BpfException>(() => ring.AttachPolicy(CompilePolicy("deny"))).Code);
    }

    [Fact]
    public async Task Judgements_are_recorded()
    {
        await using var ring = CreateRing(new RingOptions { Recorder = new RecorderOptions() });
        await using var link = ring.Attach(Compile("probe"), new Grants());
        await using var policy = ring.AttachPolicy(CompilePolicy("by_user_data"));
        await Probe(link, UringOp.Timeout(TimeSpan.FromHours(1), (ulong)ERange));
        await using var deny = ring.AttachPolicy(CompilePolicy("deny"), [IoUringOp.Nop]);
        Assert.Equal(-EAccess, await ring.NopAsync().AsTask().WaitAsync(s_patience));
        var trace = await ring.TraceAsync();
        Assert.Equal([0, -ERange, 0, -EAccess], trace.Events.Where(entry => entry.Kind == TraceKind.Policy).Select(entry => entry.Result));
        var chain = trace.Model.Lanes.Single(lane => lane.Chain == 1);
        var calls = Assert.Single(chain.Decisions).Calls;
        Assert.Equal([("policy by_user_data(timeout file -1, length 0)", "-ERANGE"), ("uring_submit(timeout file -1, length 0)", "-ERANGE")], calls.Take(2).Select(call => (call.Text, call.Result)));
        var refused = Assert.Single(trace.Model.Lanes.Single(lane => lane.Chain == 0).Bars);
        Assert.Equal(("policy deny(nop file -1, length 0)", -EAccess, false), (refused.Text, refused.Result, refused.InFlight));
        trace.WriteChromeJson(Stream.Null);
        trace.WriteHtml(Stream.Null);
    }

    // What submit gave, or the operation's result where it was taken.
    private static async Task<long> Probe(HookLink link, UringOp op)
    {
        await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
        return (long)Emissions(link)[^1].Value;
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelPolicyTests() : PolicyTests(RingBackendKind.Kernel)
{
    [Fact]
    public async Task A_refused_operation_breaks_its_link_as_a_failing_one()
    {
        await using var ring = CreateRing();
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[10]));
        await using var policy = ring.AttachPolicy(DenyAll, [IoUringOp.FSync]);
        var batch = ring.Batch();
        var first = batch.Add(Prepare.Nop(1).With(SqeFlags.Link));
        var refused = batch.Add(Prepare.FSync(0).With(SqeFlags.Link), file);
        var last = batch.Add(Prepare.Nop(2));
        batch.Submit();
        Assert.Equal((1, -13, -125), (await first, await refused, await last));
    }

    private static BpfProgram DenyAll
    {
        get
        {
            var spec = Load("policies.bpf.o");
            return ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program("deny")), MapSet.Create(spec.Maps));
        }
    }
}

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortablePolicyTests() : PolicyTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedPolicyTests() : PolicyTests(RingBackendKind.Simulated);
