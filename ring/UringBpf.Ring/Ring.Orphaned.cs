using UringBpf.Runtime;

namespace UringBpf.Ring;

// Driven rings whose driver's thread has ended without disposing of them. Nobody can go on with them: a kernel's ring of one issuer lets no other
// thread enter, and what it had put off for its own is lost. So it is ended: by whoever disposes, attaches or detaches next, or by the clock, as others may wait
// for operations that the driver started.
public sealed partial class Ring
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private int _orphaned;
    // Keeps the ring as long as its driver lives, as a ring's own thread does.
    private Timer? _watch;

    private void WatchDriver() => _watch = new Timer(static ring => ((Ring)ring!).EndIfOrphaned(), this, s_look, s_look);

    /// <summary>Where the driver's thread has ended, ends the ring on a thread of its own. Any thread.</summary>
    /// <returns>True where somebody sees to that.</returns>
    internal bool EndIfOrphaned()
    {
        if (!_driven || _closed || _thread.IsAlive) return false;
        if (Interlocked.Exchange(ref _orphaned, 1) == 0) new Thread(EndOrphan) { IsBackground = true, Name = "UringBpf ring's end" }.Start();
        return true;
    }

    private unsafe void EndOrphan()
    {
        // Everything that it wrote is seen from here on.
        _thread.Join();
        (_thread, _driven, _stopping) = (Thread.CurrentThread, false, true);
        // The old one went with its thread.
        _state = ExecutionSlot.Current;
        while (_handedOver.TryDequeue(out var item)) ThreadPool.UnsafeQueueUserWorkItem(item, preferLocal: false);
        if (_kernel is { } kernel) (_backend, _kernel) = (End(kernel), null);
        else _backend.EnterThread(_state);
        Run();
    }

    // Closes the kernel's ring and puts another in its place, which gives what was completed, and all else as cancelled.
    private unsafe EndedBackend End(KernelBackend kernel)
    {
        var left = kernel.End();
        var ended = new EndedBackend(kernel);
        var over = new HashSet<ulong>();
        for (var i = 0; i < _deferredCount; i++) Note(_deferred[(_firstDeferred + i) % _deferred.Length]);
        foreach (var cqe in left)
        {
            Note(cqe);
            ended.Give(cqe);
        }
        _pendingFirst = _pendingLast = -1;
        foreach (var index in _operations.Taken())
        {
            var operation = _operations[index];
            // One that was never sent ends with its chain, unless that had sent a NOP in its place.
            var unsent = (operation->Marks & (OperationMarks.Held | OperationMarks.Cancelling)) == OperationMarks.Held;
            if (unsent || over.Contains(operation->Tag)) continue;
            // What a zero-copy send moved was known before its memory was free.
            var flags = operation->Opcode is IoUringOp.SendZc or IoUringOp.SendMsgZc ? CqeFlags.Notification : CqeFlags.None;
            ended.Give(new Cqe { UserData = operation->Tag, Result = -Errno.Canceled, Flags = flags });
        }
        return ended;

        void Note(in Cqe cqe)
        {
            if ((cqe.Flags & CqeFlags.More) == 0) over.Add(cqe.UserData);
        }
    }
}
