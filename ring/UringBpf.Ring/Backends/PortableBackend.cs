using System.Diagnostics;

namespace UringBpf.Ring;

/// <summary>
/// For machines where io_uring is refused, or that are not Linux. What may block on a disk runs on the thread pool; what
/// waits for a peer is tried without blocking and polled for by the ring's own thread, so that it can be cancelled at any
/// time; timers are the ring's too. Completions are posted by the ring's thread alone.
/// </summary>
internal sealed class PortableBackend : EmulatedBackend
{
    private readonly PortableSystem _system;
    private readonly OperationHeap _timers = new();
    private readonly List<PortableOperation> _waiting = [];
    private PortableOperation? _done;
    private ulong _order;
    private int _woken;
    private long _deadline = long.MaxValue;

    public PortableBackend(uint entries, uint completionEntries, string? fallbackReason)
        : this(entries, completionEntries, fallbackReason, OperatingSystem.IsLinux() ? new LinuxSystem() : new ManagedSystem())
    {
    }

    internal PortableBackend(uint entries, uint completionEntries, string? fallbackReason, PortableSystem system)
        : base("portable", entries, completionEntries, system.Operations, fallbackReason) => _system = system;

    public override void Wake()
    {
        Volatile.Write(ref _woken, 1);
        _system.Wake();
    }

    public override int OpenDirectory(string path) => _system.OpenDirectory(path);

    public override void CloseDirectory(int directory) => _system.CloseDirectory(directory);

    public override void Dispose()
    {
        base.Dispose();
        _system.Dispose();
    }

    public override bool CopiesDescriptors => _system.CopiesDescriptors;

    protected override int Adopt(int fd, out Descriptor? file) => _system.Adopt(fd, out file);

    protected override EmulatedOperation NewOperation() => new PortableOperation(this);

    protected override void Start(EmulatedOperation operation)
    {
        var started = (PortableOperation)operation;
        switch (started.Entry.Opcode)
        {
            case IoUringOp.Nop:
                Finish(started, Nop(started.Entry));
                break;
            case IoUringOp.Timeout:
                StartTimer(started);
                break;
            case IoUringOp.Close when started.Entry.FileIndex != 0:
                Finish(started, CloseSlot(started.Entry.FileIndex - 1));
                break;
            default:
                Try(started);
                break;
        }
    }

    protected override bool TryStop(EmulatedOperation operation)
    {
        var stopped = (PortableOperation)operation;
        if (stopped.HeapIndex >= 0)
        {
            _timers.Remove(stopped);
            return true;
        }
        if (stopped.WaitingIndex >= 0)
        {
            StopWaiting(stopped);
            _system.Undo(stopped);
            return true;
        }
        // On its way to a pool thread: whoever comes first.
        return stopped.TryClaim();
    }

    protected override void FinishStopped(EmulatedOperation operation)
    {
        var stopped = (PortableOperation)operation;
        if (!stopped.OnPool)
        {
            Finish(stopped, -Errno.Canceled);
            return;
        }
        // The pool still holds the object, and gives it back when it comes to it.
        Forget(stopped);
        Post(stopped.Entry, -Errno.Canceled);
    }

    protected override bool Progress(bool block)
    {
        if (TakeDone() | ExpireTimers() | (!block && Poll(0))) return true;
        if (!block) return false;
        if (Interlocked.Exchange(ref _woken, 0) != 0) return false;
        var due = Math.Min(_deadline, _timers.Count > 0 ? _timers.First.Due : long.MaxValue);
        if (_deadline <= Now) return false;
        Poll(due == long.MaxValue ? -1 : Math.Max(0, due - Now));
        TakeDone();
        ExpireTimers();
        return Interlocked.Exchange(ref _woken, 0) == 0;
    }

    protected override int EnterForCore(uint submit, uint wait, TimeSpan timeout)
    {
        _deadline = Now + (long)Math.Min(timeout.TotalNanoseconds, long.MaxValue / 2);
        var result = EnterCore(submit, wait);
        _deadline = long.MaxValue;
        return result;
    }

    /// <summary>Pool thread: carries the operation out, unless it was cancelled meanwhile, and hands it back.</summary>
    internal void Run(PortableOperation operation)
    {
        if (operation.TryClaim()) operation.Result = _system.Run(operation);
        else operation.Stopped = true;
        PortableOperation? first;
        do
        {
            first = Volatile.Read(ref _done);
            operation.Next = first;
        }
        while (Interlocked.CompareExchange(ref _done, operation, first) != first);
        // One that found the list empty tells the owner of all that follow.
        if (first == null) _system.Wake();
    }

    private static long Now => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    private static int Nop(in Sqe entry)
    {
        const uint injectResult = 1;
        if ((entry.OpFlags & ~injectResult) != 0) return -Errno.Inval;
        return entry.OpFlags == injectResult ? (int)entry.Length : 0;
    }

    // Not tried at once: one that always finds more to do would leave the ring no time for anything else.
    protected override void Continue(EmulatedOperation operation)
    {
        var continued = (PortableOperation)operation;
        continued.Progress = 0;
        _system.Again(continued);
        WaitFor(continued);
    }

    private void WaitFor(PortableOperation operation)
    {
        operation.Ready = 0;
        operation.WaitingIndex = _waiting.Count;
        _waiting.Add(operation);
    }

    // At once where that does not block; else polled for, or run by the pool.
    private void Try(PortableOperation operation)
    {
        if (!ShowBuffer(operation))
        {
            Complete(operation, -Errno.NoBufs);
            return;
        }
        var result = _system.Attempt(operation);
        switch (result)
        {
            case PortableSystem.Later:
                WaitFor(operation);
                break;
            case PortableSystem.MayBlock:
                operation.OnPool = true;
                ThreadPool.UnsafeQueueUserWorkItem(operation, preferLocal: false);
                break;
            default:
                Complete(operation, result);
                break;
        }
    }

    private void Complete(PortableOperation operation, int result)
    {
        if (operation.OnPool && _system.TriesAgain(operation, result))
        {
            operation.BackFromPool();
            Try(operation);
            return;
        }
        if (result >= 0 && operation.Entry.FileIndex != 0 && operation.Entry.Opcode is IoUringOp.OpenAt or IoUringOp.OpenAt2 or IoUringOp.Accept or IoUringOp.Socket)
            result = Install(operation.Entry, _system.Own(result));
        Finish(operation, result);
    }

    private bool TakeDone()
    {
        var done = Interlocked.Exchange(ref _done, null);
        if (done == null) return false;
        // Last in is first here: turn it round.
        PortableOperation? ordered = null;
        while (done != null)
        {
            var next = (PortableOperation?)done.Next;
            done.Next = ordered;
            ordered = done;
            done = next;
        }
        while (ordered != null)
        {
            var next = (PortableOperation?)ordered.Next;
            if (ordered.Stopped) Recycle(ordered);
            else Complete(ordered, ordered.Result);
            ordered = next;
        }
        return true;
    }

    private void StartTimer(PortableOperation operation)
    {
        if (RefuseTimer(operation.Entry) is var refused and not 0)
        {
            Finish(operation, refused);
            return;
        }
        operation.Due = Now + operation.Period();
        operation.Order = _order++;
        _timers.Add(operation);
    }

    private bool ExpireTimers()
    {
        if (_timers.Count == 0) return false;
        var expired = false;
        for (var now = Now; _timers.Count > 0 && _timers.First.Due <= now; expired = true)
        {
            var timer = _timers.First;
            _timers.Remove(timer);
            if (!Repeats(ref timer.Entry))
            {
                Finish(timer, -Errno.Time);
                continue;
            }
            PostMore(timer, -Errno.Time);
            timer.Due = timer.DueAgain(now);
            _timers.Add(timer);
        }
        return expired;
    }

    // Waits for descriptors, pool threads or a wake-up; tries again what has become possible.
    private bool Poll(long nanoseconds)
    {
        if (nanoseconds == 0 && _waiting.Count == 0) return false;
        // What was done before this look needs no waiting for.
        if (Volatile.Read(ref _done) != null) nanoseconds = 0;
        if (!_system.Wait(_waiting, nanoseconds)) return false;
        var any = false;
        for (var i = _waiting.Count - 1; i >= 0; i--)
        {
            var operation = _waiting[i];
            if (operation.Ready == 0) continue;
            StopWaiting(operation);
            Try(operation);
            any = true;
        }
        return any;
    }

    private void StopWaiting(PortableOperation operation)
    {
        var index = operation.WaitingIndex;
        operation.WaitingIndex = -1;
        var last = _waiting[^1];
        _waiting.RemoveAt(_waiting.Count - 1);
        if (last == operation) return;
        _waiting[index] = last;
        last.WaitingIndex = index;
    }
}

/// <summary>An operation of the portable back end: its own work item.</summary>
internal sealed class PortableOperation(PortableBackend owner) : EmulatedOperation, IThreadPoolWorkItem
{
    private int _claimed;

    /// <summary>Place in the list of those that are polled for, or -1.</summary>
    public int WaitingIndex = -1;
    /// <summary>POLL* it waits for, and what poll said; 0 when nothing.</summary>
    public short Events, Ready;
    /// <summary>Descriptor to poll.</summary>
    public int PollFd;
    /// <summary>Bytes moved so far by a transfer that goes on until it is complete; or a state of the operation's own.</summary>
    public int Progress;
    /// <summary>The epoll of a poll that goes on, or -1.</summary>
    public int Epoll = -1;
    public int Result;
    /// <summary>It was given to the pool.</summary>
    public bool OnPool;
    /// <summary>It was cancelled before the pool came to it, and has been completed.</summary>
    public bool Stopped;

    public override void Begin(in Sqe entry)
    {
        base.Begin(entry);
        _claimed = 0;
        WaitingIndex = -1;
        Events = Ready = 0;
        PollFd = -1;
        Progress = 0;
        OnPool = Stopped = false;
    }

    /// <summary>True for one of the two: the pool thread that runs it, or the owner that cancels it.</summary>
    public bool TryClaim() => Interlocked.Exchange(ref _claimed, 1) == 0;

    /// <summary>Another attempt, which may go to the pool again.</summary>
    public void BackFromPool()
    {
        _claimed = 0;
        OnPool = false;
    }

    void IThreadPoolWorkItem.Execute() => owner.Run(this);
}

/// <summary>What the portable back end needs of the operating system.</summary>
internal abstract class PortableSystem : IDisposable
{
    /// <summary>From <see cref="Attempt"/>: poll for Events on PollFd, then attempt again.</summary>
    public const int Later = int.MinValue;
    /// <summary>From <see cref="Attempt"/>: have a pool thread <see cref="Run"/> it.</summary>
    public const int MayBlock = int.MinValue + 1;

    /// <summary>The operations there are.</summary>
    public abstract System.Collections.Immutable.ImmutableArray<IoUringOp> Operations { get; }

    /// <summary>Owner thread: the result, or <see cref="Later"/>, or <see cref="MayBlock"/>. Never blocks.</summary>
    public abstract int Attempt(PortableOperation operation);

    /// <summary>Owner thread: an operation has completed and goes on; sets what it waits for.</summary>
    public virtual void Again(PortableOperation operation)
    {
    }

    /// <summary>Owner thread: an operation that waited is cancelled.</summary>
    public virtual void Undo(PortableOperation operation)
    {
    }

    /// <summary>Owner thread: the pool's result says only that it was not the time for it.</summary>
    public virtual bool TriesAgain(PortableOperation operation, int result) => false;

    /// <summary>Pool thread: the result; may block.</summary>
    public abstract int Run(PortableOperation operation);

    /// <summary>As <see cref="RingBackend.CopiesDescriptors"/>.</summary>
    public virtual bool CopiesDescriptors => true;

    /// <summary>A file slot's own reference to a descriptor of the host.</summary>
    public abstract int Adopt(int fd, out Descriptor? file);

    /// <summary>A file slot's reference to what an operation has just opened.</summary>
    public abstract Descriptor Own(int fd);

    public abstract int OpenDirectory(string path);

    public abstract void CloseDirectory(int directory);

    /// <summary>Waits until one of them is ready, <see cref="Wake"/> is called, or the time (-1: no limit) is over; sets Ready of each.</summary>
    /// <returns>True when one is ready.</returns>
    public abstract bool Wait(List<PortableOperation> operations, long nanoseconds);

    /// <summary>Ends the wait, or the next one; from any thread.</summary>
    public abstract void Wake();

    public abstract void Dispose();
}
