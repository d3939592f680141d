using System.Runtime.InteropServices;

namespace UringBpf.Ring;

// Poll, timeouts, cancel, futexes, processes. Each gives the result, or -errno.
public sealed partial class Ring
{
    /// <summary>IORING_OP_TIMEOUT: -ETIME after the delay.</summary>
    public unsafe ValueTask<int> TimeoutAsync(TimeSpan delay, CancellationToken cancellationToken = default) =>
        Start(Prepare.Timeout(null), new HostMemory { Delay = delay }, cancellationToken);

    /// <summary>IORING_OP_POLL_ADD: the POLL* events of poll(2) that are there (1 in, 4 out, 8 error, 16 hang-up).</summary>
    public ValueTask<int> PollAsync(SafeHandle file, uint events, CancellationToken cancellationToken = default) =>
        Start(Prepare.PollAdd(FileToCome, events), new HostMemory { File = file }, cancellationToken);

    /// <summary>IORING_OP_ASYNC_CANCEL of everything in flight on a file, whoever started it: how many were found.</summary>
    public ValueTask<int> CancelFileAsync(SafeHandle file) => Start(Prepare.CancelFile(FileToCome), new HostMemory { File = file }, default);

    /// <summary>
    /// IORING_REGISTER_SYNC_CANCEL of everything that was started on a file before, on the owner thread: when it completes,
    /// none of them runs any more. The owner waits meanwhile.
    /// </summary>
    /// <param name="file">Kept open until it is done.</param>
    /// <param name="patience">How long the owner waits at most.</param>
    /// <returns>0, also when there was nothing to cancel; -ETIME when it took longer; -EOPNOTSUPP where the back end is not the kernel; -ECANCELED when the ring is shut down.</returns>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ValueTask<int> CancelFileAndWaitAsync(SafeHandle file, TimeSpan patience) =>
        OwnerCall.Start(this, static (ring, fd, ticks) => ring.CancelFile((int)fd, new TimeSpan(ticks)), file.DangerousGetHandle(), patience.Ticks, file);

    // The kernel finds what it has been told of: what this turn has gathered is submitted first, and what waits for a slot
    // is never sent.
    private int CancelFile(int fd, TimeSpan patience)
    {
        if (_backlog.Count > 0) CancelWaitingOn(fd);
        SubmitAll();
        return _backend.CancelFile(fd, patience);
    }

    // A method of its own: what it captures is allocated.
    private void CancelWaitingOn(int fd) => CancelWaiting(host => host.Entry.Fd == fd && (host.Entry.Flags & SqeFlags.FixedFile) == 0);

    /// <summary>IORING_OP_FUTEX_WAIT (Linux 6.7) on a 32-bit word that the caller keeps in place: 0 when woken, -EAGAIN when it is not <paramref name="value"/>.</summary>
    public unsafe ValueTask<int> FutexWaitAsync(uint* word, uint value, CancellationToken cancellationToken = default) => Start(Prepare.FutexWait(word, value), default, cancellationToken);

    /// <summary>IORING_OP_FUTEX_WAKE (Linux 6.7): waiters woken.</summary>
    public unsafe ValueTask<int> FutexWakeAsync(uint* word, uint count, CancellationToken cancellationToken = default) => Start(Prepare.FutexWake(word, count), default, cancellationToken);

    /// <summary>IORING_OP_FUTEX_WAITV (Linux 6.7): the index of the one that was woken.</summary>
    /// <param name="waiters">Pinned until the operation completes; the words they name are the caller's to keep.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public unsafe ValueTask<int> FutexWaitAnyAsync(Memory<FutexWaiter> waiters, CancellationToken cancellationToken = default)
    {
        var pin = waiters.Pin();
        return Start(Prepare.FutexWaitV((FutexWaiter*)pin.Pointer, (uint)waiters.Length), new HostMemory { Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_WAITID (Linux 6.7): 0 when the child changed state as W* options ask (4 exited, 2 stopped, 8 continued).</summary>
    /// <param name="processId">A child of this process.</param>
    /// <param name="information">A 128-byte siginfo_t, or empty; pinned until the operation completes.</param>
    /// <param name="options">W* of waitid(2); default: exited.</param>
    /// <param name="cancellationToken">As for reads.</param>
    /// <exception cref="ArgumentException"><paramref name="information"/> is neither empty nor long enough.</exception>
    public unsafe ValueTask<int> WaitIdAsync(int processId, Memory<byte> information = default, int options = 4, CancellationToken cancellationToken = default)
    {
        const int processKind = 1, signalInformationBytes = 128;
        if (information.Length is not 0 and < signalInformationBytes) throw new ArgumentException($"siginfo_t takes {signalInformationBytes} bytes.", nameof(information));
        var pin = information.Pin();
        return Start(Prepare.WaitId(processKind, processId, information.IsEmpty ? null : pin.Pointer, options), new HostMemory { Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_EPOLL_CTL: 1 add, 2 delete, 3 modify, with the events and data of a struct epoll_event.</summary>
    public unsafe ValueTask<int> EpollControlAsync(SafeHandle epoll, int operation, int fd, uint events, ulong data, CancellationToken cancellationToken = default)
    {
        // Packed on x86-64: 12 bytes; 16 with padding elsewhere.
        var native = (byte*)NativeMemory.AllocZeroed(16);
        *(uint*)native = events;
        *(ulong*)(native + (RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8)) = data;
        return Start(Prepare.EpollCtl(FileToCome, fd, operation, native), new HostMemory { File = epoll, Native = native }, cancellationToken);
    }
}
