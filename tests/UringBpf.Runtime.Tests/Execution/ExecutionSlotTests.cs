using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Alone: one test holds all slots, which others would wait for.</summary>
[CollectionDefinition(nameof(ExecutionSlotTests), DisableParallelization = true)]
public sealed class ExecutionSlotCollection;

[Collection(nameof(ExecutionSlotTests))]
public sealed unsafe class ExecutionSlotTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private static readonly int[] s_inside = new int[ExecutionSlot.Count];
    private static int s_collisions;

    [ThreadStatic]
    private static Action? t_body;

    // The slot it ran with; counts runs that share it.
    private static ulong Exclusive(nint self, byte* context, ulong length, ExecutionState* state)
    {
        var slot = state->Slot;
        if (Interlocked.Increment(ref s_inside[slot]) != 1) Interlocked.Increment(ref s_collisions);
        t_body?.Invoke();
        Thread.SpinWait(20);
        if (state->Slot != slot) Interlocked.Increment(ref s_collisions);
        Interlocked.Decrement(ref s_inside[slot]);
        return (ulong)slot;
    }

    private static ulong Throw(nint self, byte* context, ulong length, ExecutionState* state) => throw new InvalidDataException();

    private static void InThread(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        Assert.True(thread.Join(s_patience));
        if (failure != null) throw new InvalidOperationException("on the thread", failure);
    }

    [Fact]
    public void Two_hundred_threads_run_one_after_another()
    {
        using var program = new FakeProgram(&Exclusive, MapSet.Empty);
        for (var i = 0; i < 200; i++) InThread(() => Assert.InRange(program.Run([]), 0ul, (ulong)ExecutionSlot.Count - 1));
    }

    [Fact]
    public void More_threads_than_slots_take_turns_and_never_share_one()
    {
        using var program = new FakeProgram(&Exclusive, MapSet.Empty);
        s_collisions = 0;
        var threads = Enumerable.Range(0, 4 * ExecutionSlot.Count).Select(_ => new Thread(() =>
        {
            for (var run = 0; run < 300; run++) program.Run([]);
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) Assert.True(thread.Join(s_patience));
        Assert.Equal(0, s_collisions);
    }

    [Fact]
    public void Threads_that_all_stay_inside_runs_leave_no_slot_for_another()
    {
        using var program = new FakeProgram(&Exclusive, MapSet.Empty);
        using var entered = new CountdownEvent(ExecutionSlot.Count);
        using var leave = new ManualResetEventSlim();
        var threads = Enumerable.Range(0, ExecutionSlot.Count).Select(_ => new Thread(() =>
        {
            t_body = () =>
            {
                entered.Signal();
                leave.Wait();
            };
            program.Run([]);
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        var patience = ExecutionSlot.PatienceMilliseconds;
        try
        {
            Assert.True(entered.Wait(s_patience));
            ExecutionSlot.PatienceMilliseconds = 20;
            InThread(() =>
            {
                Assert.Equal("UB4003", Assert.Throws<BpfException>(() => program.Run([])).Code);
                // Refused, it is outside.
                Assert.False(ExecutionSlot.Current->Activity.IsActive);
            });
            ExecutionSlot.PatienceMilliseconds = patience;
            // One that waits gets the slot of the first to leave.
            var waiting = new Thread(() => program.Run([]));
            waiting.Start();
            leave.Set();
            Assert.True(waiting.Join(s_patience));
        }
        finally
        {
            ExecutionSlot.PatienceMilliseconds = patience;
            leave.Set();
            foreach (var thread in threads) thread.Join();
        }
    }

    [Fact]
    public void A_function_of_the_host_that_throws_does_not_leave_the_run_open()
    {
        using var program = new FakeProgram(&Throw, MapSet.Empty);
        Assert.Throws<InvalidDataException>(() => program.Run([]));
        Assert.False(ExecutionSlot.Current->Activity.IsActive);
    }

    [Fact]
    public void A_thread_can_give_its_slot_back_and_take_one_again()
    {
        using var program = new FakeProgram(&Exclusive, MapSet.Empty);
        InThread(() =>
        {
            ExecutionSlot.Release();
            program.Run([]);
            ExecutionSlot.Release();
            program.Run([]);
            // Not from inside a run.
            t_body = ExecutionSlot.Release;
            program.Run([]);
        });
    }
}
