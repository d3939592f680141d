namespace UringBpf.Runtime;

/// <summary>
/// The time that programs see on a thread that simulates a machine, in place of the system's. One per thread; threads that
/// set none see the system's clocks.
/// </summary>
internal static class VirtualClock
{
    // Read first: a process that simulates nothing pays for no look-up by thread.
    private static volatile bool s_used;
    [ThreadStatic]
    private static long t_nanoseconds;

    /// <summary>The calling thread's time, above zero.</summary>
    public static void Set(long nanoseconds)
    {
        t_nanoseconds = nanoseconds;
        if (!s_used) s_used = true;
    }

    /// <summary>The calling thread sees the system's clocks again.</summary>
    public static void Stop() => t_nanoseconds = 0;

    /// <summary>False when the system's clocks are to be read.</summary>
    public static bool TryRead(out ulong nanoseconds)
    {
        nanoseconds = s_used ? (ulong)t_nanoseconds : 0;
        return nanoseconds != 0;
    }
}
