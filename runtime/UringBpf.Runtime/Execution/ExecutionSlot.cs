using System.Diagnostics;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Execution slots: what this engine has in place of CPUs. Any number of threads may run programs; each has its own stack
/// memory and keeps the slot of its first run. Per-CPU maps have one value per slot, and no two threads run with the same
/// slot at once: where all slots are given out, a thread takes over the slot of one that is not inside a run.
/// </summary>
public static unsafe class ExecutionSlot
{
    /// <summary>Slots there are: threads that can be inside a run at the same moment. Twice the processors, at least 16. Per-CPU
    /// maps have this many values per key.</summary>
    public static int Count { get; } = Math.Max(16, 2 * Environment.ProcessorCount);

    private static readonly object s_gate = new();
    // Who has each slot; null: nobody.
    private static readonly ExecutionState*[] s_holders = new ExecutionState*[Count];
    // Where the search for a holder that is not running begins, so that not always the same thread loses its slot.
    private static int s_hand;

    [ThreadStatic]
    private static Owner? t_owner;

    /// <summary>How long a run waits for a slot when as many threads as there are slots stay inside runs, in milliseconds.</summary>
    internal static int PatienceMilliseconds { get; set; } = 10_000;

    /// <summary>The calling thread's state; made at its first use, freed after the thread ended.</summary>
    public static ExecutionState* Current => (t_owner ??= new Owner()).State;

    /// <summary>The calling thread's state, for a run that is about to begin. Runs of one thread share stack and budget, so one
    /// inside another (a host function that runs a program) would write over the outer one's stack.</summary>
    /// <param name="program">For the message.</param>
    /// <exception cref="BpfException">UB4007 when a program runs on this thread already.</exception>
    internal static ExecutionState* Idle(string program)
    {
        var state = Current;
        if (state->Activity.IsActive)
            throw new BpfException("UB4007", $"{program}: a program runs on this thread already: what it calls can't run another one here.");
        return state;
    }

    /// <summary>
    /// Frees the calling thread's state and gives its slot back: for threads that are about to end, which otherwise do so when
    /// the garbage collector finds them gone. Pointers from <see cref="Current"/> are dead afterwards. Does nothing when the thread has
    /// none, or is inside a run.
    /// </summary>
    public static void Release()
    {
        if (t_owner == null || t_owner.State->Activity.IsActive) return;
        t_owner.Dispose();
        t_owner = null;
    }

    // A state with its stack; AlignedFree frees both.
    internal static ExecutionState* Allocate()
    {
        const int stackBytes = Limits.Frames * Limits.StackBytesPerFrame;
        var size = (nuint)(sizeof(ExecutionState) + 64 + stackBytes);
        var memory = (byte*)NativeMemory.AlignedAlloc(size, 64);
        NativeMemory.Clear(memory, size);
        var state = (ExecutionState*)memory;
        var stackBase = (byte*)(((nuint)(memory + sizeof(ExecutionState)) + 63) & ~(nuint)63);
        state->StackTop = stackBase + stackBytes;
        return state;
    }

    // The slow path of ExecutionState.Reset: the state's slot was given to another thread while it was not running.
    internal static void Acquire(ExecutionState* state)
    {
        var started = Stopwatch.GetTimestamp();
        for (var wait = new SpinWait(); ; wait.SpinOnce())
        {
            lock (s_gate)
            {
                // Zero: whoever tried to take it saw that this thread is inside a run, and left it alone.
                if (state->Revoked == 0 || TryTake(state)) return;
            }
            if (Stopwatch.GetElapsedTime(started).TotalMilliseconds < PatienceMilliseconds) continue;
            state->Leave();
            throw new BpfException("UB4003", $"more than {Count} threads are inside a run at the same time, for {PatienceMilliseconds} ms.");
        }
    }

    // Under the gate.
    private static bool TryTake(ExecutionState* state)
    {
        var slot = 0;
        while (slot < Count && s_holders[slot] != null) slot++;
        if (slot == Count) slot = Revoke();
        if (slot < 0) return false;
        s_holders[slot] = state;
        state->Slot = slot;
        state->Revoked = 0;
        return true;
    }

    // Takes a slot from a state that is not inside a run; -1 when all are. Under the gate.
    private static int Revoke()
    {
        for (var looked = 0; looked < Count; looked++)
        {
            s_hand = (s_hand + 1) % Count;
            var holder = s_holders[s_hand];
            if (holder->Activity.IsActive) continue;
            Volatile.Write(ref holder->Revoked, 1);
            // A run marks itself active, then looks whether its slot was revoked, without a fence in between. After this one
            // either its mark is seen here, or it sees that the slot is gone.
            Interlocked.MemoryBarrierProcessWide();
            if (!holder->Activity.IsActive)
            {
                s_holders[s_hand] = null;
                return s_hand;
            }
            Volatile.Write(ref holder->Revoked, 0);
        }
        return -1;
    }

    private sealed class Owner
    {
        public readonly ExecutionState* State;

        public Owner()
        {
            State = Allocate();
            State->RandomState = (ulong)Random.Shared.NextInt64() | 1;
            // The first run takes a slot, as one whose slot was taken does; until then 0 is a slot like any other.
            State->Revoked = 1;
            lock (s_gate) TryTake(State);
            Reclamation.Register(&State->Activity);
        }

        ~Owner() => Dispose();

        public void Dispose()
        {
            GC.SuppressFinalize(this);
            Reclamation.Unregister(&State->Activity);
            lock (s_gate)
            {
                if (State->Revoked == 0) s_holders[State->Slot] = null;
            }
            NativeMemory.AlignedFree(State);
        }
    }
}
