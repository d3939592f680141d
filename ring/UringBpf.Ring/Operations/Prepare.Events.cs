namespace UringBpf.Ring;

// Poll, timeouts, cancel, futexes, processes, epoll, messages between rings.
public static unsafe partial class Prepare
{
    /// <summary>IORING_OP_POLL_ADD: completes when one of the POLL* events of poll(2) is there.</summary>
    public static Sqe PollAdd(int fd, uint events) => Entry(IoUringOp.PollAdd, fd, null, 0, 0, events);

    /// <summary>IORING_OP_POLL_ADD, multishot (IORING_POLL_ADD_MULTI).</summary>
    public static Sqe PollMultishot(int fd, uint events) => PollAdd(fd, events) with { Length = 1 };

    /// <summary>IORING_OP_EPOLL_CTL: op EPOLL_CTL_ADD 1, DEL 2, MOD 3; a struct epoll_event.</summary>
    public static Sqe EpollCtl(int epoll, int fd, int operation, void* epollEvent) => Entry(IoUringOp.EpollCtl, epoll, epollEvent, (uint)operation, (ulong)fd);

    /// <summary>IORING_OP_EPOLL_WAIT (Linux 6.15): events into an array of struct epoll_event.</summary>
    public static Sqe EpollWait(int epoll, void* events, uint count) => Entry(IoUringOp.EpollWait, epoll, events, count, 0);

    /// <summary>IORING_OP_TIMEOUT: -ETIME after a struct __kernel_timespec; 0 after <paramref name="completions"/> others where that is not 0.</summary>
    public static Sqe Timeout(Timespec* delay, uint completions = 0, uint flags = 0) => Entry(IoUringOp.Timeout, -1, delay, 1, completions, flags);

    /// <summary>IORING_OP_LINK_TIMEOUT: cancels the operation before it in a link when that takes longer.</summary>
    public static Sqe LinkTimeout(Timespec* delay, uint flags = 0) => Entry(IoUringOp.LinkTimeout, -1, delay, 1, 0, flags);

    /// <summary>IORING_OP_ASYNC_CANCEL of operations on a descriptor: all of them, or the first.</summary>
    public static Sqe CancelFile(int fd, bool all = true) => Entry(IoUringOp.AsyncCancel, fd, null, 0, 0, 2u | (all ? 1u : 0));

    /// <summary>IORING_OP_FUTEX_WAIT (Linux 6.7): until the 32-bit word is woken; -EAGAIN when it is not <paramref name="value"/>.</summary>
    /// <param name="word">Aligned, within this process's memory.</param>
    /// <param name="value">What the word must still be.</param>
    /// <param name="mask">Bits a waker must share; all by default.</param>
    public static Sqe FutexWait(uint* word, uint value, uint mask = uint.MaxValue) =>
        Entry(IoUringOp.FutexWait, Futex32Private, word, 0, value) with { Address3 = mask };

    /// <summary>IORING_OP_FUTEX_WAKE (Linux 6.7): wakes at most <paramref name="count"/> waiters.</summary>
    public static Sqe FutexWake(uint* word, uint count, uint mask = uint.MaxValue) =>
        Entry(IoUringOp.FutexWake, Futex32Private, word, 0, count) with { Address3 = mask };

    /// <summary>IORING_OP_FUTEX_WAITV (Linux 6.7): until one of several is woken; gives its index. An array of struct futex_waitv.</summary>
    public static Sqe FutexWaitV(FutexWaiter* waiters, uint count) => Entry(IoUringOp.FutexWaitV, 0, waiters, count, 0);

    /// <summary>IORING_OP_WAITID (Linux 6.7): P_* kind, id, W* options of waitid(2), a siginfo_t or null.</summary>
    public static Sqe WaitId(int kind, int id, void* information, int options) =>
        Entry(IoUringOp.WaitId, id, null, (uint)kind, (ulong)information) with { FileIndex = (uint)options };

    /// <summary>IORING_OP_MSG_RING: a completion with this result and user_data on another ring.</summary>
    public static Sqe MessageRing(int ringFd, uint result, ulong userData) => Entry(IoUringOp.MsgRing, ringFd, null, result, userData);

    // FUTEX2_SIZE_U32 | FUTEX2_PRIVATE.
    internal const int Futex32Private = 2 | 128;
}

/// <summary>struct __kernel_timespec.</summary>
/// <param name="Seconds">Whole seconds.</param>
/// <param name="Nanoseconds">0..999,999,999.</param>
public readonly record struct Timespec(long Seconds, long Nanoseconds)
{
    /// <summary>The same span of time.</summary>
    public static Timespec From(TimeSpan delay) => new(delay.Ticks / TimeSpan.TicksPerSecond, delay.Ticks % TimeSpan.TicksPerSecond * 100);
}

/// <summary>struct futex_waitv: one of several words waited for.</summary>
/// <param name="Value">What the word must still be.</param>
/// <param name="Address">The word.</param>
/// <param name="Flags">FUTEX2_*: 2 | 128 for a private 32-bit word.</param>
/// <param name="Reserved">0.</param>
public readonly record struct FutexWaiter(ulong Value, ulong Address, uint Flags, uint Reserved);
