using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>
/// A thread's mark that it may hold pointers into maps or programs: a run (in its <see cref="ExecutionState"/>) or a call
/// of the host into a map. Written by its thread alone.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
[EditorBrowsable(EditorBrowsableState.Never)]
public struct Activity
{
    /// <summary>Odd while inside; never the same odd number twice, so it tells one stay from the next.</summary>
    internal ulong Stay;

    internal bool IsActive => (Volatile.Read(ref Stay) & 1) != 0;

    /// <summary>Begins a stay, also when the one before was never left.</summary>
    // No fence here, on the hot path: the reclaimer issues a process-wide one before it looks.
    internal void Enter() => Volatile.Write(ref Stay, (Stay + 1) | 1);

    /// <summary>Ends it; does nothing outside.</summary>
    internal void Leave() => Volatile.Write(ref Stay, (Stay + 1) & ~1UL);
}

/// <summary>
/// Deferred freeing. What is taken out of reach (a map, an inner map, a program in a program array) is freed only when
/// every run and host call that was active at that moment has ended: nothing they hold can dangle. Thread-safe.
/// </summary>
internal static unsafe class Reclamation
{
    private const int RetryMilliseconds = 10;

    private static readonly Lock s_gate = new();
    // Of long, for which .NET has code made ahead of time.
    private static readonly HashSet<long> s_activities = [];
    private static readonly List<Retired> s_retired = [];
    private static readonly Timer s_retry = new(static _ => Collect());

    [ThreadStatic]
    private static Activity* t_host;
    [ThreadStatic]
    private static HostThread? t_owner;

    private sealed record Retired(Action Free, List<(nint Activity, ulong Stay)> Waiting);

    /// <summary>Things retired and not yet freed.</summary>
    public static int Pending
    {
        get { lock (s_gate) return s_retired.Count; }
    }

    /// <summary>Makes an activity count; it must stay allocated until <see cref="Unregister"/>.</summary>
    public static void Register(Activity* activity)
    {
        lock (s_gate) s_activities.Add((long)activity);
    }

    /// <summary>Forgets an activity that is not active.</summary>
    public static void Unregister(Activity* activity)
    {
        lock (s_gate) s_activities.Remove((long)activity);
    }

    /// <summary>Marks the calling thread as inside a host call. No exception may skip <see cref="Leave"/>.</summary>
    /// <returns>What to give to Leave: null inside another host call, whose end counts.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Activity* Enter()
    {
        var activity = t_host;
        if (activity == null) activity = AddHostThread();
        var stay = activity->Stay;
        if ((stay & 1) != 0) return null;
        // As in Activity.Enter, no fence.
        Volatile.Write(ref activity->Stay, stay + 1);
        return activity;
    }

    /// <summary>Ends what <see cref="Enter"/> began.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Leave(Activity* activity)
    {
        if (activity != null) Volatile.Write(ref activity->Stay, activity->Stay + 1);
    }

    /// <summary>As <see cref="Enter"/> for the most frequent calls: refuses where there is more to do than to make the mark.</summary>
    /// <param name="activity">What to give to <see cref="LeaveQuick"/>, with <paramref name="stay"/>.</param>
    /// <param name="stay">The mark.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryEnter(out Activity* activity, out ulong stay)
    {
        activity = t_host;
        stay = 0;
        if (activity == null) return false;
        stay = activity->Stay + 1;
        if ((stay & 1) == 0) return false;
        Volatile.Write(ref activity->Stay, stay);
        return true;
    }

    /// <summary>Ends what <see cref="TryEnter"/> began.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LeaveQuick(Activity* activity, ulong stay) => Volatile.Write(ref activity->Stay, stay + 1);

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
                var stay = Volatile.Read(ref activity->Stay);
                if ((stay & 1) != 0) (waiting ??= []).Add(((nint)address, stay));
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
                retired.Waiting.RemoveAll(static entry => !IsStill(entry.Activity, entry.Stay));
                if (retired.Waiting.Count > 0) return false;
                ready.Add(retired.Free);
                return true;
            });
            if (s_retired.Count > 0) s_retry.Change(RetryMilliseconds, Timeout.Infinite);
        }
        foreach (var free in ready) free();
    }

    private static bool IsStill(nint address, ulong stay) =>
        s_activities.Contains(address) && Volatile.Read(ref ((Activity*)address)->Stay) == stay;

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
