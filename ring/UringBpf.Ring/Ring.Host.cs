using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

// How the host's own operations are started, cancelled and completed. The operations themselves are in Operations.
public sealed unsafe partial class Ring
{
    // Not a bag: a bag keeps what a thread put back in that thread, and with it the ring, as long as the thread lives.
    private readonly ConcurrentQueue<HostOperation> _hostPool = [];
    private readonly List<HostOperation?> _hostWaiting = [];
    private readonly Stack<int> _hostFree = new();
    // Operations of the host that are in flight, and those among them that drain.
    private int _hostInFlight;
    private int _draining;
    /// <summary>Stands in an entry for the descriptor of a handle that is given with it. Without one the operation is refused: no number
    /// of a descriptor, least of all 0, which is a good one.</summary>
    internal const int FileToCome = int.MinValue;

    // Slots of the file table that operations of the host opened.
    private readonly HashSet<int> _hostSlots = [];

    /// <summary>Submits an entry that <see cref="Prepare"/> or the caller filled in; its user_data is the ring's to set.</summary>
    /// <param name="entry">What it names (descriptors, memory) stays valid until the operation has completed: the caller's duty.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel: the result is then -ECANCELED, or the operation's own when that came first.</param>
    /// <returns>The result, or -errno. A zero-copy send completes when its memory is free again, with what was sent; of a
    /// multishot operation only the last result is given: see <see cref="StartMultishot(in Sqe, SafeHandle)"/>.</returns>
    /// <exception cref="ArgumentException">The entry has a flag that only makes sense in a <see cref="RingBatch"/> (links), or skips its completion:
    /// then nobody could know when its memory is free.</exception>
    public ValueTask<int> SubmitAsync(in Sqe entry, CancellationToken cancellationToken = default)
    {
        if ((entry.Flags & (SqeFlags.Link | SqeFlags.HardLink)) != 0) throw new ArgumentException("An entry that is linked to the next belongs into a RingBatch.", nameof(entry));
        RefuseSkipping(entry);
        return Start(entry, default, cancellationToken);
    }

    /// <summary>As <see cref="SubmitAsync(in Sqe, CancellationToken)"/>, judged by a policy of its own besides those that are attached.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="policy">From <see cref="CreatePolicy"/> of this ring. Once it is disposed, the result is -ECANCELED.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel.</param>
    /// <returns>The result, or -errno; the policy's where it refuses.</returns>
    /// <exception cref="ArgumentException">As for the other; or the policy is another ring's.</exception>
    public ValueTask<int> SubmitAsync(in Sqe entry, PolicyLink policy, CancellationToken cancellationToken = default)
    {
        if ((entry.Flags & (SqeFlags.Link | SqeFlags.HardLink)) != 0) throw new ArgumentException("An entry that is linked to the next belongs into a RingBatch.", nameof(entry));
        RefuseSkipping(entry);
        CheckGiven(policy);
        var host = Prepared(entry, default, cancellationToken);
        host.Policy = policy;
        var task = new ValueTask<int>(host, host.Version);
        Post(host);
        return task;
    }

    internal void CheckGiven(PolicyLink policy)
    {
        if (!policy.IsGivenOn(this)) throw new ArgumentException("The policy was not made by CreatePolicy of this ring.", nameof(policy));
    }

    internal static void RefuseSkipping(in Sqe entry)
    {
        if ((entry.Flags & SqeFlags.CqeSkipSuccess) != 0)
            throw new ArgumentException("An operation whose completion is skipped can't be awaited, and nobody would know when its memory is free.", nameof(entry));
    }

    private ValueTask<int> Start(in Sqe entry, in HostMemory memory, CancellationToken cancellationToken)
    {
        var host = Prepared(entry, memory, cancellationToken);
        var task = new ValueTask<int>(host, host.Version);
        Post(host);
        return task;
    }

    /// <summary>An operation that is ready to be posted.</summary>
    /// <exception cref="ObjectDisposedException">A file is closed: nothing was started, and all that was pinned or allocated is released.</exception>
    /// <exception cref="ArgumentNullException">A file is missing: as above.</exception>
    internal HostOperation Prepared(in Sqe entry, in HostMemory memory, CancellationToken cancellationToken)
    {
        if (!_hostPool.TryDequeue(out var host)) host = new HostOperation(this);
        try
        {
            host.Begin(entry, memory, cancellationToken);
            return host;
        }
        catch (Exception error) when (error is ObjectDisposedException or ArgumentNullException)
        {
            memory.Pin.Dispose();
            memory.SecondPin.Dispose();
            NativeMemory.Free(memory.Native);
            Recycle(host);
            throw;
        }
    }

    internal void Recycle(HostOperation host) => _hostPool.Enqueue(host);

    // In their order: one that waits for slots, or drains, holds up what comes after it.
    internal void Admit(IQueuedCommand command)
    {
        if (_backlog.Count > 0 || !CanStart(command)) _backlog.Enqueue(command);
        else command.Run(this);
    }

    // IOSQE_IO_DRAIN is kept here, among the host's operations alone: the kernel's would wait for everything on the ring, the
    // timers of chains and the owner's own wake-up included, and hold back everything after it, cancels included.
    private bool CanStart(IQueuedCommand command) =>
        _operations.Available >= command.Slots && _draining == 0 && (!command.Drains || _hostInFlight == 0);

    internal void Submit(HostOperation host)
    {
        if (!Refused(host)) Submit(host, _operations.TakeForHost());
    }

    // A ring that stops takes nothing new, or it might never come to an end.
    internal bool Refused(HostOperation host)
    {
        if (!host.CancelRequested && !_stopping) return false;
        Answer(host, -Errno.Canceled);
        return true;
    }

    /// <exception cref="Exception">A policy's function threw, which is the ring's end; the operation has failed with it.</exception>
    internal void Submit(HostOperation host, Operation* operation)
    {
        var entry = Reserve(operation);
        *entry = host.Entry;
        entry->UserData = operation->Tag;
        operation->Opcode = host.Entry.Opcode;
        entry->Flags &= ~SqeFlags.Drain;
        var refused = host.TakesSlot ? TakeSlot(host, entry) : host.Slot >= 0 && !_hostSlots.Remove(host.Slot) ? -Errno.BadF : 0;
        if (refused < 0)
        {
            host.Slot = -1;
            Abandon(operation, entry);
            Answer(host, refused);
            return;
        }
        if (host.HasDelay)
        {
            var time = &_operations.Extra(operation)->Time;
            *time = host.Delay;
            entry->Address = (ulong)time;
        }
        if (HasPolicies && Judge(host, entry) is var verdict and < 0)
        {
            if (host.TakesSlot) _freeFileSlots.Push(host.Slot);
            // One that was not closed stays the host's.
            else if (host.Slot >= 0) _hostSlots.Add(host.Slot);
            host.Slot = -1;
            if (!host.InBatch)
            {
                Abandon(operation, entry);
                Answer(host, verdict);
                return;
            }
            // It breaks its link as one that fails: it goes out as a failing NOP.
            var flags = entry->Flags & ~(SqeFlags.FixedFile | SqeFlags.BufferSelect);
            *entry = Prepare.Nop(verdict) with { Flags = flags, UserData = operation->Tag };
        }
        operation->Host = Wait(host);
        host.Operation = OperationTable.IndexOf(operation);
        _hostInFlight++;
        if (host.Drains) _draining++;
        Send(operation, entry);
    }

    // What a policy calls may throw: that ends the ring, which does not know of this operation yet.
    private int Judge(HostOperation host, Sqe* entry)
    {
        try
        {
            return Judge(entry, host.Policy);
        }
        catch (Exception error)
        {
            host.Fail(error);
            throw;
        }
    }

    private int TakeSlot(HostOperation host, Sqe* entry)
    {
        host.Slot = TakeFileSlot();
        if (host.Slot < 0) return -Errno.NFile;
        entry->FileIndex = (uint)host.Slot + 1;
        return 0;
    }

    internal void Answer(HostOperation host, int result)
    {
        _hostWakeUps++;
        host.Finish(result);
    }

    internal void Cancel(HostOperation host, short version)
    {
        if (host.Version != version) return;
        if (host.Operation >= 0) CancelOperation(_operations[host.Operation]);
        else CancelUnsent(host, version);
    }

    // A method of its own: what it captures is allocated.
    private void CancelUnsent(HostOperation host, short version)
    {
        if (_backlog.Count == 0 || !CancelWaiting(one => one == host)) host.CancelledUse = (ushort)version;
    }

    // Answers those that wait for their turn at once. False when there was none.
    private bool CancelWaiting(Predicate<HostOperation> which)
    {
        var found = new List<HostOperation>();
        for (var left = _backlog.Count; left > 0; left--)
        {
            var command = _backlog.Dequeue();
            if (command is HostOperation one && which(one))
            {
                found.Add(one);
                continue;
            }
            _backlog.Enqueue(command);
            if (command is not BatchCommand batch) continue;
            var items = batch.Items;
            for (var i = 0; i < items.Length; i++)
            {
                if (items[i] is not { } item || !which(item)) continue;
                found.Add(item);
                items[i] = null;
            }
        }
        // Last: what is told may be the host's code at once, which may start and cancel.
        foreach (var one in found) Answer(one, -Errno.Canceled);
        return found.Count > 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteHost(Operation* operation, int result, CqeFlags flags)
    {
        var host = _hostWaiting[operation->Host]!;
        host.Multishot?.Add(result, flags);
        if ((flags & CqeFlags.More) != 0)
        {
            // What a zero-copy send moved: its notification, which frees the memory, says nothing of it.
            host.Early = result;
            host.HasEarly = true;
            if ((operation->Marks & OperationMarks.Cancelling) != 0)
            {
                // The request came while it was between two completions, where the kernel does not find it: once more.
                operation->Marks &= ~OperationMarks.Cancelling;
                CancelOperation(operation);
            }
            return;
        }
        if (host.HasEarly && (flags & CqeFlags.Notification) != 0) result = host.Early;
        _hostWaiting[operation->Host] = null;
        _hostFree.Push(operation->Host);
        _hostInFlight--;
        if (host.Drains) _draining--;
        _operations.Free(operation);
        if (host.Slot >= 0)
        {
            // A slot that was opened into, or not closed, is the host's; one that was closed, or not opened, is free.
            if (host.TakesSlot == (result < 0)) _freeFileSlots.Push(host.Slot);
            else _hostSlots.Add(host.Slot);
            if (host.TakesSlot && result >= 0) result = host.Slot;
        }
        Answer(host, result);
    }

    private int Wait(HostOperation host)
    {
        if (_hostFree.TryPop(out var index))
        {
            _hostWaiting[index] = host;
            return index;
        }
        _hostWaiting.Add(host);
        return _hostWaiting.Count - 1;
    }
}

/// <summary>What an operation of the host holds until it has completed.</summary>
internal unsafe struct HostMemory
{
    public SafeHandle? File;
    /// <summary>Goes into <see cref="Sqe.FileIndex"/>, where splice and tee have their input.</summary>
    public SafeHandle? Input;
    public MemoryHandle Pin, SecondPin;
    /// <summary>Freed with the operation.</summary>
    public byte* Native;
    public TimeSpan? Delay;
    /// <summary>Opens into a slot of the file table, which is taken when the operation is submitted.</summary>
    public bool TakesSlot;
    /// <summary>Closes this slot of the file table, plus 1.</summary>
    public int ClosesSlot;
    public Multishot? Multishot;
}

/// <summary>A host's operation on its way: pooled, one result.</summary>
internal sealed unsafe class HostOperation(Ring ring) : Waiter<int>(ring), IQueuedCommand
{
    private static readonly Action<object?, CancellationToken> s_cancel = static (state, _) => ((HostOperation)state!).RequestCancel();

    public Sqe Entry;
    /// <summary>Slot in flight, or -1.</summary>
    public int Operation = -1;
    /// <summary>The use of this object that was cancelled before it was submitted, or when it was over and the object about to be another's.</summary>
    public int CancelledUse = -1;
    public bool CancelRequested => CancelledUse == (ushort)Version;
    public bool HasEarly;
    /// <summary>Others may be linked to it.</summary>
    public bool InBatch;
    /// <summary>What starts when it has completed, or null.</summary>
    public LinkedCommand? Sequence;
    public int Early;
    public bool HasDelay;
    public IoUring.Timespec Delay;
    public bool TakesSlot;
    /// <summary>Slot of the file table that it opens or closes, or -1.</summary>
    public int Slot = -1;
    public Multishot? Multishot;
    /// <summary>What judges it besides the ring's policies, or null.</summary>
    public PolicyLink? Policy;
    public int Slots => 1;
    public bool Drains => (Entry.Flags & SqeFlags.Drain) != 0;
    private SafeHandle? _file;
    private SafeHandle? _input;
    private MemoryHandle _pin;
    private MemoryHandle _secondPin;
    private byte* _native;
    private CancellationTokenRegistration _registration;
    private CancelCommand? _cancel;

    public void Begin(in Sqe entry, in HostMemory memory, CancellationToken cancellationToken)
    {
        Entry = entry;
        HasEarly = InBatch = false;
        CancelledUse = -1;
        // First, as it is what can throw.
        if (memory.File == null && entry.Fd == Ring.FileToCome) throw new ArgumentNullException("file");
        if (memory.Input == null && entry is { Opcode: IoUringOp.Splice or IoUringOp.Tee, FileIndex: unchecked((uint)Ring.FileToCome) }) throw new ArgumentNullException("input");
        if (memory.File != null) Entry.Fd = Hold(memory.File);
        _file = memory.File;
        if (memory.Input != null)
        {
            try
            {
                Entry.FileIndex = (uint)Hold(memory.Input);
            }
            catch (ObjectDisposedException)
            {
                _file?.DangerousRelease();
                _file = null;
                throw;
            }
        }
        _input = memory.Input;
        _pin = memory.Pin;
        _secondPin = memory.SecondPin;
        _native = memory.Native;
        Multishot = memory.Multishot;
        Policy = null;
        TakesSlot = memory.TakesSlot;
        Slot = memory.ClosesSlot - 1;
        HasDelay = memory.Delay != null;
        if (memory.Delay is { } delay) Delay = new IoUring.Timespec { Seconds = delay.Ticks / TimeSpan.TicksPerSecond, Nanoseconds = delay.Ticks % TimeSpan.TicksPerSecond * 100 };
        if (cancellationToken.CanBeCanceled) _registration = cancellationToken.UnsafeRegister(s_cancel, this);
    }

    private static int Hold(SafeHandle handle)
    {
        var added = false;
        handle.DangerousAddRef(ref added);
        return (int)handle.DangerousGetHandle();
    }

    public void Run(Ring owner) => owner.Submit(this);

    public void Refuse(Ring owner, int result) => Finish(result);

    /// <summary>Everything the kernel held is the caller's again; then the result.</summary>
    public void Finish(int result)
    {
        Operation = -1;
        _registration.Dispose();
        _registration = default;
        _pin.Dispose();
        _secondPin.Dispose();
        _file?.DangerousRelease();
        _input?.DangerousRelease();
        NativeMemory.Free(_native);
        _native = null;
        _file = _input = null;
        Multishot?.End(result);
        Multishot = null;
        var (sequence, failed) = (Sequence, Fails(result));
        Sequence = null;
        Complete(result);
        sequence?.Completed(Ring, result, failed);
    }

    public override void Fail(Exception error)
    {
        Multishot?.Fail(error);
        base.Fail(error);
    }

    // As io_uring sees it for links: a read or write that moves less than was asked for fails.
    private bool Fails(int result) => result < 0
        || Entry.Opcode is IoUringOp.Read or IoUringOp.Write or IoUringOp.ReadFixed or IoUringOp.WriteFixed && (uint)result != Entry.Length;

    protected override void Recycle() => Ring.Recycle(this);

    /// <summary>Asks the owner to cancel it, unless it is over by then.</summary>
    public void RequestCancel()
    {
        (_cancel ??= new CancelCommand((owner, version) => owner.Cancel(this, version))).Post(Ring, Version);
    }
}

/// <summary>Asks to cancel what one pooled object stands for; goes back and forth with it, so that asking again allocates nothing.</summary>
internal sealed class CancelCommand(Action<Ring, short> cancel) : IRingCommand
{
    private int _posted;
    private int _version;

    /// <summary>Any thread. Where a request is under way already, it becomes this one: what it was for is over.</summary>
    /// <param name="ring">The ring.</param>
    /// <param name="version">The object's use that is meant.</param>
    public void Post(Ring ring, short version)
    {
        Volatile.Write(ref _version, version);
        if (Interlocked.Exchange(ref _posted, 1) == 0) ring.Post(this);
    }

    public void Run(Ring ring)
    {
        // First: a request that comes from here on is posted again.
        Interlocked.Exchange(ref _posted, 0);
        cancel(ring, (short)Volatile.Read(ref _version));
    }

    public void Refuse(Ring ring, int result) => Interlocked.Exchange(ref _posted, 0);
}
