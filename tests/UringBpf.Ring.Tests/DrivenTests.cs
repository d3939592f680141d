using System.Diagnostics;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Rings that a host's loop drives.</summary>
public abstract class DrivenTests(RingBackendKind backend) : OnBackend(backend)
{
    private protected Ring Create(RingOptions? options = null) => CreateRing(options, Ring.CreateDriven);

    // The host's loop.
    private protected static T Drive<T>(Ring ring, ValueTask<T> until)
    {
        var started = Stopwatch.StartNew();
        var task = until.AsTask();
        while (!task.IsCompleted)
        {
            Assert.True(started.Elapsed < s_patience, "it does not end");
            Assert.True(ring.RunOnce(TimeSpan.FromSeconds(1)));
        }
        return task.GetAwaiter().GetResult();
    }

    [Fact]
    public void What_is_awaited_goes_on_in_a_turn_on_the_driver_s_thread()
    {
        using var folder = new TemporaryFolder();
        var ring = Create();
        using var file = File.OpenHandle(folder.File("data", [1, 2, 3]));
        var threads = new HashSet<int>();
        async ValueTask<int> ReadTwice()
        {
            var buffer = new byte[8];
            var first = await ring.ReadAsync(file, buffer, 0);
            threads.Add(Environment.CurrentManagedThreadId);
            var second = await ring.ReadAsync(file, buffer, 1);
            threads.Add(Environment.CurrentManagedThreadId);
            return 10 * first + second;
        }
        var reading = ReadTwice();
        Assert.False(reading.IsCompleted);
        Assert.Equal(32, Drive(ring, reading));
        Assert.Equal([Environment.CurrentManagedThreadId], threads);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void Chains_run_in_turns()
    {
        var ring = Create();
        var hook = ring.Attach(Compile("rearm"), new Grants());
        var result = Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(100UL)));
        Assert.Equal((Verdict.Pass, 101UL), (result.Verdict, result.Steps));
        Assert.True(hook.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        Assert.False(ring.RunOnce(Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void The_driver_s_own_runs_have_no_ring()
    {
        var ring = Create();
        var hook = ring.Attach(Compile("rearm"), new Grants());
        Assert.Equal(3UL, Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(2UL))).Steps);
        // Between turns, and in what goes on in one: a chain is there neither time, nor memory of the last one.
        using var submits = Compile("wrong_size");
        Assert.Equal(-Errno.OpNotSupp, RunByHand(submits));
        async ValueTask<int> RunInTurn()
        {
            await hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(2UL));
            return RunByHand(submits);
        }
        Assert.Equal(-Errno.OpNotSupp, Drive(ring, RunInTurn()));
        async ValueTask<int> RunInTurnOfHost()
        {
            await ring.NopAsync();
            return RunByHand(submits);
        }
        Assert.Equal(-Errno.OpNotSupp, Drive(ring, RunInTurnOfHost()));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        Assert.Equal(-Errno.OpNotSupp, RunByHand(submits));
    }

    private static int RunByHand(BpfProgram program) => (int)program.Run(new byte[ProgramTypes.Completion.Context.HostSize]);

    [Fact]
    public void The_driver_s_thread_may_release_its_state_between_turns()
    {
        var ring = Create();
        var hook = ring.Attach(Compile("rearm"), new Grants());
        for (var round = 0; round < 10; round++)
        {
            Assert.Equal(3UL, Drive(ring, hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(2UL))).Steps);
            ExecutionSlot.Release();
        }
        var link = hook.DisposeAsync();
        Assert.True(link.IsCompletedSuccessfully);
        ExecutionSlot.Release();
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void What_goes_on_in_a_turn_may_release_the_thread_s_state()
    {
        var registry = FunctionRegistry.BuiltIn.With(typeof(Looking));
        var spec = new ProgramSpec
        {
            Name = "looks",
            Type = ProgramTypes.Completion,
            Instructions = [.. Assembler.Assemble("call 0x10001\nr0 = 0\nexit")],
            Functions = registry.Prototypes,
        };
        using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), MapSet.Empty, CompilerOptions.Default with { Functions = registry });
        var ring = Create();
        var hook = ring.Attach(program, new Grants());
        var occupied = new List<nint>();
        var released = false;
        async ValueTask Release()
        {
            // It is over before the turn looks for completions.
            Assert.Equal(-Errno.Canceled, await ring.NopAsync(new CancellationToken(true)));
            ReleaseState(occupied);
            released = true;
        }
        s_ownState = null;
        var releasing = Release();
        var chain = hook.StartAsync(UringOp.Nop()).AsTask();
        while (!chain.IsCompleted) Assert.True(ring.RunOnce(TimeSpan.FromSeconds(1)));
        Assert.True(released && releasing.IsCompletedSuccessfully);
        Assert.Equal(true, s_ownState);
        Assert.True(hook.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        Free(occupied);
    }

    // And sees to it that nobody else gets that memory before it is freed.
    private static unsafe void ReleaseState(List<nint> occupied)
    {
        var state = (nint)ExecutionSlot.Current;
        ExecutionSlot.Release();
        var bytes = (nuint)(sizeof(ExecutionState) + 64 + Limits.Frames * Limits.StackBytesPerFrame);
        for (var i = 0; i < 1000 && !occupied.Contains(state); i++)
        {
            var memory = NativeMemory.AlignedAlloc(bytes, 64);
            NativeMemory.Clear(memory, bytes);
            occupied.Add((nint)memory);
        }
    }

    private static unsafe void Free(List<nint> blocks)
    {
        foreach (var block in blocks) NativeMemory.AlignedFree((void*)block);
    }

    [ThreadStatic]
    private static bool? s_ownState;

    /// <summary>What the program calls.</summary>
    public static unsafe class Looking
    {
        [BpfHelper(0x10001)]
        public static long look(ExecutionState* state)
        {
            s_ownState = state == ExecutionSlot.Current;
            return 0;
        }
    }

    [Fact]
    public void What_a_program_calls_makes_no_turn()
    {
        var ring = Create();
        var nop = ring.NopAsync(3);
        s_driven = ring;
        var code = Assembler.Assemble("call 0x10000\nexit");
        var registry = FunctionRegistry.BuiltIn.With(typeof(Turning));
        var spec = new ProgramSpec { Name = "turns", Type = ProgramTypes.Raw, Instructions = [.. code], Functions = registry.Prototypes };
        using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), MapSet.Empty, CompilerOptions.Default with { Functions = registry });
        Assert.Equal(4007UL, program.Run([]));
        Assert.Equal(3, Drive(ring, nop));
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [ThreadStatic]
    private static Ring? s_driven;

    /// <summary>What the program calls.</summary>
    public static class Turning
    {
        [BpfHelper(0x10000)]
        public static long turn()
        {
            try
            {
                return s_driven!.RunOnce(TimeSpan.Zero) ? 1 : 0;
            }
            catch (BpfException refused)
            {
                return long.Parse(refused.Code.AsSpan(2), System.Globalization.CultureInfo.InvariantCulture);
            }
        }
    }

    [Fact]
    public async Task Another_thread_s_submission_ends_the_wait()
    {
        Ring? ring = null;
        var made = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var driver = Task.Factory.StartNew(() =>
        {
            ring = Create();
            made.SetResult();
            // A simulated ring does not wait: its driver looks again.
            while (ring.RunOnce(Timeout.InfiniteTimeSpan)) Thread.Yield();
        }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await await Task.WhenAny(made.Task, driver);
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(i, await ring!.NopAsync(i).AsTask().WaitAsync(s_patience));
            // Off the driver's thread: what awaits goes on there.
            await Task.Yield();
        }
        var hook = await Task.Run(() => ring!.Attach(Compile("rearm"), new Grants()));
        Assert.Equal(11UL, (await Task.Run(() => hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(10UL)).AsTask()).WaitAsync(s_patience)).Steps);
        await Task.Run(async () => await hook.DisposeAsync()).WaitAsync(s_patience);
        await Task.Run(async () => await ring!.DisposeAsync()).WaitAsync(s_patience);
        await driver.WaitAsync(s_patience);
    }

    [Fact]
    public void A_turn_in_which_something_was_settled_at_once_does_not_wait()
    {
        var ring = Create();
        // For as long as it takes: nothing will complete.
        var canceled = ring.TimeoutAsync(TimeSpan.FromHours(1), new CancellationToken(canceled: true)).AsTask();
        Assert.True(ring.RunOnce(Timeout.InfiniteTimeSpan));
        Assert.True(canceled.IsCompleted);
        var hook = ring.Attach(Compile("rearm"), new Grants());
        Assert.True(hook.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void A_turn_takes_no_longer_than_it_may()
    {
        var ring = Create();
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1)).AsTask();
        // Without a limit these would wait an hour; a simulated ring does not wait.
        Assert.True(ring.RunOnce(TimeSpan.Zero));
        Assert.True(ring.RunOnce(TimeSpan.FromMilliseconds(1)));
        if (Backend != RingBackendKind.Simulated) Assert.False(timer.IsCompleted);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        Assert.True(timer.IsCompletedSuccessfully);
    }

    [Fact]
    public void Two_rings_take_turns_on_one_thread()
    {
        var recorded = Create(new RingOptions { Recorder = new RecorderOptions() });
        var plain = Create();
        var first = recorded.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        var second = plain.Attach(Compile("burst"), new Grants(), new ChainLimits { MaxInFlight = 128 });
        var (one, other) = (first.StartAsync(UringOp.Nop()).AsTask(), second.StartAsync(UringOp.Nop()).AsTask());
        for (var turn = 0; turn < 1000 && !(one.IsCompleted && other.IsCompleted); turn++)
        {
            recorded.RunOnce(TimeSpan.Zero);
            plain.RunOnce(TimeSpan.Zero);
        }
        var steps = Drive(recorded, new ValueTask<ChainResult>(one)).Steps;
        Assert.Equal((129UL, 129UL), (steps, Drive(plain, new ValueTask<ChainResult>(other)).Steps));
        var trace = Drive(recorded, new ValueTask<RingTrace>(recorded.TraceAsync().AsTask()));
        Assert.Equal(129, Assert.Single(trace.Model.Lanes).Bars.Count);
        Assert.True(recorded.DisposeAsync().IsCompletedSuccessfully);
        // The thread's state is not the first one's to free.
        Assert.Equal(steps, Drive(plain, second.StartAsync(UringOp.Nop())).Steps);
        Assert.True(plain.DisposeAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public void Nobody_else_drives_it_and_no_turn_is_made_in_a_turn()
    {
        var ring = Create();
        BpfException? refused = null;
        var other = new Thread(() => refused = Assert.Throws<BpfException>(() => ring.RunOnce(TimeSpan.Zero)));
        other.Start();
        other.Join();
        Assert.Equal("UB4506", refused!.Code);
        Assert.Throws<ArgumentOutOfRangeException>(() => ring.RunOnce(TimeSpan.FromSeconds(-1)));
        async ValueTask<string> Nested()
        {
            await ring.NopAsync();
            return Assert.Throws<BpfException>(() => ring.RunOnce(TimeSpan.Zero)).Code;
        }
        Assert.Equal("UB4506", Drive(ring, Nested()));
        async ValueTask<bool> DisposeInTurn()
        {
            await ring.NopAsync();
            return ring.DisposeAsync().IsCompleted;
        }
        var completed = true;
        async ValueTask Note() => completed = await DisposeInTurn();
        _ = Note().AsTask();
        while (ring.RunOnce(Timeout.InfiniteTimeSpan))
        {
        }
        Assert.False(completed);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelDrivenTests() : DrivenTests(RingBackendKind.Kernel)
{
    [Fact]
    public async Task Continuations_that_throw_end_the_ring_and_keep_no_result_from_others()
    {
        Ring? ring = null;
        Task<int>? last = null;
        var thrown = new List<string>();
        var driver = new Thread(() =>
        {
            ring = Create();
            for (var i = 0; i < 3; i++) ring.NopAsync(i).GetAwaiter().OnCompleted(() => throw new NotSupportedException("for the test"));
            last = ring.NopAsync(3).AsTask();
            for (var goesOn = true; goesOn;)
            {
                try
                {
                    goesOn = ring.RunOnce(TimeSpan.FromSeconds(1));
                }
                catch (NotSupportedException error)
                {
                    thrown.Add(error.Message);
                }
            }
        });
        driver.Start();
        Assert.True(driver.Join(s_patience));
        Assert.Equal(["for the test"], thrown);
        Assert.Equal(3, await last!.WaitAsync(s_patience));
        await Assert.ThrowsAsync<NotSupportedException>(() => ring!.DisposeAsync().AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public void Multishot_completions_are_taken_in_a_turn_on_the_driver_s_thread()
    {
        var ring = Create();
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var threads = new HashSet<int>();
        async ValueTask<int> Poll()
        {
            await using var poll = ring.PollMultishot(pipe.ClientSafePipeHandle, 1);
            var shot = await poll.NextAsync();
            threads.Add(Environment.CurrentManagedThreadId);
            return shot!.Value.Result & 1;
        }
        var polling = Poll();
        Assert.True(ring.RunOnce(TimeSpan.Zero));
        pipe.Write([1]);
        Assert.Equal(1, Drive(ring, polling));
        Assert.Equal([Environment.CurrentManagedThreadId], threads);
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
    }
}

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableDrivenTests() : DrivenTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
public sealed class SimulatedDrivenTests() : DrivenTests(RingBackendKind.Simulated);
