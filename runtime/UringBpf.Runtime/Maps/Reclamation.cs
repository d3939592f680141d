using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>
/// A thread's mark that it may hold pointers into maps or programs: a run (in its <see cref="ExecutionState"/>) or a call
/// of the host into a map. Written by its thread alone.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct Activity
{
    /// <summary>Non-zero while inside.</summary>
    internal int Active;
    /// <summary>Host calls nest.</summary>
    internal int Depth;
    /// <summary>Times it was entered: tells one stay from the next.</summary>
    internal ulong Entries;

    internal void Enter()
    {
        Entries++;
        // No fence here, on the hot path: the reclaimer issues a process-wide one before it looks.
        Volatile.Write(ref Active, 1);
    }

    internal void Leave() => Volatile.Write(ref Active, 0);
}

/// <summary>
/// Deferred freeing. What is taken out of reach (a map, an inner map, a program in a program array) is freed only when
/// every run and host call that was active at that moment has ended: nothing they hold can dangle. Thread-safe.
/// </summary>
internal static unsafe class Reclamation
{
    private const int RetryMilliseconds = 10;

    private static readonly Lock s_gate = new();
    private static readonly HashSet<nint> s_activities = [];
    private static readonly List<Retired> s_retired = [];
    private static readonly Timer s_retry = new(static _ => Collect());

    [ThreadStatic]
    private static Activity* t_host;
    [ThreadStatic]
    private static HostThread? t_owner;

    private sealed record Retired(Action Free, List<(nint Activity, ulong Entries)> Waiting);

    /// <summary>Things retired and not yet freed.</summary>
    public static int Pending
    {
        get { lock (s_gate) return s_retired.Count; }
    }

    /// <summary>Makes an activity count; it must stay allocated until <see cref="Unregister"/>.</summary>
    public static void Register(Activity* activity)
    {
        lock (s_gate) s_activities.Add((nint)activity);
    }

    /// <summary>Forgets an activity that is not active.</summary>
    public static void Unregister(Activity* activity)
    {
        lock (s_gate) s_activities.Remove((nint)activity);
    }

    /// <summary>Marks the calling thread as inside a host call; calls nest. No exception may skip <see cref="Leave"/>.</summary>
    /// <returns>What to give to Leave.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Activity* Enter()
    {
        var activity = t_host;
        if (activity == null) activity = AddHostThread();
        if (activity->Depth++ == 0) activity->Enter();
        return activity;
    }

    /// <summary>Ends what <see cref="Enter"/> began.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Leave(Activity* activity)
    {
        if (--activity->Depth == 0) activity->Leave();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Activity* AddHostThread() => t_host = (t_owner = new HostThread()).Activity;

    /// <summary>Calls <paramref name="free"/> once nothing that is active now is active any more: at once if nothing is.
    /// The caller has already made the thing unreachable.</summary>
    public static void Retire(Action free)
    {
        List<(nint, ulong)>? waiting = null;
        Interlocked.MemoryBarrierProcessWide();
        lock (s_gate)
        {
            foreach (var address in s_activities)
            {
                var activity = (Activity*)address;
                if (Volatile.Read(ref activity->Active) != 0) (waiting ??= []).Add((address, activity->Entries));
            }
            if (waiting != null)
            {
                s_retired.Add(new Retired(free, waiting));
                s_retry.Change(RetryMilliseconds, Timeout.Infinite);
            }
        }
        if (waiting == null) free();
    }

    /// <summary>Frees what can be freed by now.</summary>
    public static void Collect()
    {
        List<Action> ready = [];
        lock (s_gate)
        {
            s_retired.RemoveAll(retired =>
            {
                retired.Waiting.RemoveAll(static entry => !IsStill(entry.Activity, entry.Entries));
                if (retired.Waiting.Count > 0) return false;
                ready.Add(retired.Free);
                return true;
            });
            if (s_retired.Count > 0) s_retry.Change(RetryMilliseconds, Timeout.Infinite);
        }
        foreach (var free in ready) free();
    }

    private static bool IsStill(nint address, ulong entries)
    {
        if (!s_activities.Contains(address)) return false;
        var activity = (Activity*)address;
        return Volatile.Read(ref activity->Active) != 0 && activity->Entries == entries;
    }

    // Frees a host thread's activity after the thread has ended.
    private sealed class HostThread
    {
        public readonly Activity* Activity = (Activity*)NativeMemory.AllocZeroed((nuint)sizeof(Activity));

        public HostThread() => Register(Activity);

        ~HostThread()
        {
            Unregister(Activity);
            NativeMemory.Free(Activity);
        }
    }
}
