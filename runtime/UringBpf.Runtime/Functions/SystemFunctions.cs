using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>Helpers about time, chance, the running thread, and the locks in map values.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe partial class SystemFunctions
{
    private const ulong NanosecondsPerJiffy = 4_000_000;
    private static readonly uint s_processId = (uint)Environment.ProcessId;
    // clock_gettime(2) clock ids.
    private const int ClockMonotonic = 1, ClockMonotonicCoarse = 6, ClockBoottime = 7, ClockTai = 11;
    // gettid, per thread: it never changes.
    [ThreadStatic]
    private static uint t_threadId;
    [ThreadStatic]
    private static ulong t_user;
    [ThreadStatic]
    private static bool t_userKnown;

    /// <summary>bpf_ktime_get_ns</summary>
    public static ulong KtimeGetNs() => VirtualClock.TryRead(out var simulated) ? simulated : (ulong)Stopwatch.GetTimestamp() * s_nanosecondsPerTick;

    /// <summary>bpf_ktime_get_boot_ns; elsewhere than on Linux as <see cref="KtimeGetNs"/>.</summary>
    public static ulong KtimeGetBootNs() => VirtualClock.TryRead(out var simulated) ? simulated : OperatingSystem.IsLinux() ? Clock(ClockBoottime) : KtimeGetNs();

    /// <summary>bpf_ktime_get_coarse_ns; elsewhere than on Linux as <see cref="KtimeGetNs"/>.</summary>
    public static ulong KtimeGetCoarseNs() => VirtualClock.TryRead(out var simulated) ? simulated : OperatingSystem.IsLinux() ? Clock(ClockMonotonicCoarse) : KtimeGetNs();

    /// <summary>bpf_ktime_get_tai_ns; elsewhere than on Linux UTC, which lags TAI by the leap seconds.</summary>
    public static ulong KtimeGetTaiNs() => VirtualClock.TryRead(out var simulated) ? simulated : OperatingSystem.IsLinux()
        ? Clock(ClockTai)
        : (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;

    /// <summary>bpf_jiffies64</summary>
    public static ulong Jiffies64() => KtimeGetNs() / NanosecondsPerJiffy;

    /// <summary>bpf_get_prandom_u32: xorshift64*, one state per slot.</summary>
    public static ulong GetPrandomU32(ExecutionState* state)
    {
        var x = state->RandomState;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state->RandomState = x;
        return (x * 0x2545F4914F6CDD1D) >> 32;
    }

    /// <summary>bpf_get_smp_processor_id</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong GetSmpProcessorId(ExecutionState* state) => (uint)state->Slot;

    /// <summary>bpf_get_numa_node_id</summary>
    public static ulong GetNumaNodeId() => 0;

    /// <summary>bpf_get_current_pid_tgid</summary>
    public static ulong GetCurrentPidTgid()
    {
        if (t_threadId == 0) t_threadId = OperatingSystem.IsLinux() ? (uint)gettid() : (uint)Environment.CurrentManagedThreadId;
        return (ulong)s_processId << 32 | t_threadId;
    }

    /// <summary>bpf_get_current_uid_gid: as they were when the thread first asked.</summary>
    public static ulong GetCurrentUidGid()
    {
        if (!t_userKnown)
        {
            t_user = OperatingSystem.IsWindows() ? 0 : (ulong)getgid() << 32 | getuid();
            t_userKnown = true;
        }
        return t_user;
    }

    /// <summary>bpf_get_current_comm</summary>
    public static ulong GetCurrentComm(ulong buffer, ulong size)
    {
        const int prGetName = 16, commBytes = 16;
        var name = stackalloc byte[commBytes];
        new Span<byte>(name, commBytes).Clear();
        if (OperatingSystem.IsLinux()) _ = prctl(prGetName, name, 0, 0, 0);
        var target = new Span<byte>((byte*)buffer, (int)size);
        target.Clear();
        // As strscpy_pad: always a NUL at the end.
        var length = Math.Min(new ReadOnlySpan<byte>(name, commBytes).IndexOf((byte)0), target.Length - 1);
        new ReadOnlySpan<byte>(name, length).CopyTo(target);
        return 0;
    }

    /// <summary>bpf_spin_lock</summary>
    public static ulong SpinLock(ulong word)
    {
        ValueMemory.Acquire((int*)word);
        return 0;
    }

    /// <summary>bpf_spin_unlock</summary>
    public static ulong SpinUnlock(ulong word)
    {
        ValueMemory.Release((int*)word);
        return 0;
    }

    private static readonly ulong s_nanosecondsPerTick = (ulong)(1_000_000_000 / Stopwatch.Frequency);

    private static ulong Clock(int id)
    {
        Timespec time;
        return clock_gettime(id, &time) == 0 ? (ulong)time.Seconds * 1_000_000_000 + (ulong)time.Nanoseconds : KtimeGetNs();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc"), SuppressGCTransition]
    private static partial int clock_gettime(int clock, Timespec* time);

    [LibraryImport("libc")]
    private static partial int gettid();

    [LibraryImport("libc")]
    private static partial uint getuid();

    [LibraryImport("libc")]
    private static partial uint getgid();

    [LibraryImport("libc")]
    private static partial int prctl(int option, byte* name, nint a, nint b, nint c);
}
