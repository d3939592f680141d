using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Execution slots: what this engine has in place of CPUs. Each thread that runs programs gets one with its own stack
/// memory; per-CPU maps have one value per slot. Slots of threads that ended are reused.
/// </summary>
public static unsafe class ExecutionSlot
{
    /// <summary>Slots there can be: threads that run programs at the same time. Per-CPU maps have this many values per key.</summary>
    public static int Count { get; } = Math.Max(16, 2 * Environment.ProcessorCount);

    [ThreadStatic]
    private static Owner? t_owner;

    private static readonly object s_gate = new();
    private static readonly bool[] s_taken = new bool[Count];

    /// <summary>The calling thread's state; made at its first use, freed after the thread ended.</summary>
    /// <exception cref="BpfException">UB4003 when more than <see cref="Count"/> threads run programs.</exception>
    public static ExecutionState* Current => (t_owner ??= new Owner()).State;

    /// <summary>The calling thread's state, for a run that is about to begin. Runs of one thread share stack and budget, so one
    /// inside another (a host function that runs a program) would write over the outer one's stack.</summary>
    /// <param name="program">For the message.</param>
    /// <exception cref="BpfException">UB4003 as <see cref="Current"/>; UB4007 when a program runs on this thread already.</exception>
    internal static ExecutionState* Idle(string program)
    {
        var state = Current;
        if (state->Activity.Active != 0)
            throw new BpfException("UB4007", $"{program}: a program runs on this thread already: what it calls can't run another one here.");
        return state;
    }

    private sealed class Owner
    {
        public readonly ExecutionState* State;

        public Owner()
        {
            var slot = Take();
            if (slot < 0)
            {
                // Threads that ended give their slots back when they are finalized.
                GC.Collect();
                GC.WaitForPendingFinalizers();
                slot = Take();
            }
            if (slot < 0)
                throw new BpfException("UB4003", $"more than {Count} threads run programs at the same time.");
            const int stackBytes = Limits.Frames * Limits.StackBytesPerFrame;
            var size = (nuint)(sizeof(ExecutionState) + 64 + stackBytes);
            var memory = (byte*)NativeMemory.AlignedAlloc(size, 64);
            NativeMemory.Clear(memory, size);
            State = (ExecutionState*)memory;
            var stackBase = (byte*)(((nuint)(memory + sizeof(ExecutionState)) + 63) & ~(nuint)63);
            State->StackTop = stackBase + stackBytes;
            State->Slot = slot;
            State->RandomState = (ulong)Random.Shared.NextInt64() | 1;
            Reclamation.Register(&State->Activity);
        }

        ~Owner()
        {
            if (State == null) return;
            var slot = State->Slot;
            Reclamation.Unregister(&State->Activity);
            NativeMemory.AlignedFree(State);
            lock (s_gate) s_taken[slot] = false;
        }

        private static int Take()
        {
            lock (s_gate)
            {
                var slot = Array.IndexOf(s_taken, false);
                if (slot >= 0) s_taken[slot] = true;
                return slot;
            }
        }
    }
}
