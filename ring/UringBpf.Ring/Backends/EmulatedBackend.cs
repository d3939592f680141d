using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>
/// Queues in ordinary memory and what io_uring does around operations: taking entries, file slots, cancelling, completions
/// that find the queue full. Who derives from it starts the operations and says when they are done. Nothing is allocated
/// per operation once the pools are filled.
/// </summary>
internal abstract unsafe class EmulatedBackend : RingBackend
{
    // Links and drains are the kernel's alone.
    private const SqeFlags KnownFlags = SqeFlags.FixedFile | SqeFlags.Async | SqeFlags.CqeSkipSuccess | SqeFlags.BufferSelect;

    private byte* _memory;
    private RingFeatures _features;
    private readonly bool[] _supported = new bool[256];
    private readonly Dictionary<ulong, EmulatedOperation> _inFlight = [];
    private readonly List<EmulatedOperation> _matches = [];
    private readonly Queue<Cqe> _overflow = new();
    private readonly Dictionary<ushort, ProvidedGroup> _groups = [];
    private EmulatedOperation? _free;
    private Descriptor?[] _files = [];

    protected EmulatedBackend(string name, uint entries, uint completionEntries, ImmutableArray<IoUringOp> operations, string? fallbackReason)
    {
        MakeQueues(entries, completionEntries);
        foreach (var operation in operations) _supported[(int)operation] = true;
        Name = name;
        _features = new RingFeatures(name, SetupFlags.None, false, SqEntries, CqEntries, operations) { FallbackReason = fallbackReason };
    }

    private void MakeQueues(uint entries, uint completionEntries)
    {
        SqEntries = BitOperations.RoundUpToPowerOf2(entries);
        CqEntries = BitOperations.RoundUpToPowerOf2(completionEntries);
        const int indexBytes = 64;
        var bytes = indexBytes + SqEntries * (nuint)sizeof(Sqe) + CqEntries * (nuint)sizeof(Cqe);
        _memory = (byte*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(_memory, bytes);
        SqHead = (uint*)_memory;
        SqTail = SqHead + 1;
        CqHead = SqHead + 2;
        CqTail = SqHead + 3;
        Sqes = (Sqe*)(_memory + indexBytes);
        Cqes = (Cqe*)(Sqes + SqEntries);
    }

    protected override int ResizeCore(uint entries, uint completionEntries)
    {
        var memory = _memory;
        var completions = Cqes;
        var mask = CqEntries - 1;
        var (submissions, head, tail) = (*SqHead, *CqHead, *CqTail);
        MakeQueues(entries, completionEntries);
        *SqHead = *SqTail = submissions;
        (*CqHead, *CqTail) = (head, tail);
        for (var position = head; position != tail; position++) *Completion(position) = completions[position & mask];
        NativeMemory.AlignedFree(memory);
        Volatile.Write(ref _features, _features with { QueueEntries = SqEntries, CompletionEntries = CqEntries });
        return 0;
    }

    public override string Name { get; }

    public override RingFeatures Features => Volatile.Read(ref _features);

    public override bool Supports(IoUringOp operation) => _supported[(int)operation];

    public override int CreateFileTable(uint count)
    {
        _files = new Descriptor?[count];
        return 0;
    }

    public override int SetFile(uint slot, int fd)
    {
        if (slot >= (uint)_files.Length) return -Errno.Inval;
        Descriptor? file = null;
        if (fd >= 0)
        {
            var result = Adopt(fd, out file);
            if (result < 0) return result;
        }
        _files[slot]?.Release();
        _files[slot] = file;
        return 0;
    }

    public override int RegisterBufferRing(nint entries, uint count, ushort group, bool incremental)
    {
        if (incremental) return -Errno.OpNotSupp;
        return _groups.TryAdd(group, new ProvidedGroup(entries, count)) ? 0 : -Errno.Exist;
    }

    public override void UnregisterBufferRing(ushort group) => _groups.Remove(group);

    /// <summary>True while completions wait for room in the queue.</summary>
    public bool HasOverflow => _overflow.Count > 0;

    /// <summary>What is in flight, as it was submitted.</summary>
    internal IEnumerable<Sqe> InFlight => _inFlight.Values.Select(operation => operation.Entry);

    /// <summary>Operations that never completed, completions that nobody took, files left in slots, when it was disposed.</summary>
    public (int Operations, int Completions, int Files) LeftBehind { get; private set; }

    public override void Dispose()
    {
        LeftBehind = (_inFlight.Count, _overflow.Count + (int)Completions, _files.Count(file => file != null));
        foreach (var file in _files) file?.Release();
        _files = [];
        NativeMemory.AlignedFree(_memory);
    }

    /// <summary>Makes a reference of its own to a descriptor of the host. 0 or -errno.</summary>
    protected abstract int Adopt(int fd, out Descriptor? file);

    protected abstract EmulatedOperation NewOperation();

    /// <summary>Starts an operation; <see cref="Finish"/> ends it, at once or later.</summary>
    protected abstract void Start(EmulatedOperation operation);

    /// <summary>An operation that has completed and goes on: <see cref="Start"/>s again when something has changed.</summary>
    protected abstract void Continue(EmulatedOperation operation);

    /// <summary>Takes an operation back before it had an effect; false when it is too late for that.</summary>
    protected abstract bool TryStop(EmulatedOperation operation);

    /// <summary>Finishes what has been done meanwhile; with <paramref name="block"/> waits for something to be.</summary>
    /// <returns>False when the wait was ended by <see cref="RingBackend.Wake"/>.</returns>
    protected abstract bool Progress(bool block);

    /// <summary>True when the next completion shall find the queue full.</summary>
    protected virtual bool ForceOverflow() => false;

    /// <summary>0, or the -errno that this call to enter shall fail with.</summary>
    protected virtual int BeforeEnter(uint submit) => 0;

    protected override int EnterCore(uint submit, uint wait)
    {
        var refused = BeforeEnter(submit);
        if (refused < 0) return refused;
        wait = Math.Min(wait, CqEntries);
        if (HasOverflow) Overflows++;
        FlushOverflow();
        for (uint i = 0; i < submit; i++)
        {
            var head = *SqHead;
            var entry = Sqes[head & (SqEntries - 1)];
            Volatile.Write(ref *SqHead, head + 1);
            Take(entry);
        }
        Progress(block: false);
        while (true)
        {
            FlushOverflow();
            if (Completions >= wait) return (int)submit;
            if (!Progress(block: true)) return (int)submit;
        }
    }

    private void Take(in Sqe entry)
    {
        if (!_supported[(int)entry.Opcode] || (entry.Flags & ~KnownFlags) != 0)
        {
            Post(entry, -Errno.OpNotSupp);
            return;
        }
        if (Refuse(entry) is var refused and not 0)
        {
            Post(entry, refused);
            return;
        }
        switch (entry.Opcode)
        {
            case IoUringOp.AsyncCancel: Post(entry, Cancel(entry)); return;
            case IoUringOp.TimeoutRemove or IoUringOp.PollRemove: Post(entry, RemoveOne(entry)); return;
        }
        var operation = _free ?? NewOperation();
        _free = operation.Next;
        operation.Begin(entry);
        // The kernel would take a second one with the same user_data; here only the first can be cancelled by it.
        _inFlight.TryAdd(entry.UserData, operation);
        if (WorksOnFile(entry.Opcode) && (entry.Flags & SqeFlags.FixedFile) != 0)
        {
            operation.File = FileAt((uint)entry.Fd);
            if (operation.File == null)
            {
                Finish(operation, -Errno.BadF);
                return;
            }
            operation.File.Hold();
        }
        if (entry.Opcode is IoUringOp.Splice or IoUringOp.Tee && (entry.OpFlags & InputIsFixed) != 0)
        {
            operation.Input = FileAt(entry.FileIndex);
            if (operation.Input == null)
            {
                Finish(operation, -Errno.BadF);
                return;
            }
            operation.Input.Hold();
        }
        Start(operation);
    }

    /// <summary>What a file slot holds, or null.</summary>
    protected Descriptor? FileAt(uint slot) => slot < (uint)_files.Length ? _files[slot] : null;

    /// <summary>Empties a file slot: 0 or -EBADF.</summary>
    public int CloseSlot(uint slot)
    {
        if (FileAt(slot) is not { } file) return -Errno.BadF;
        _files[slot] = null;
        file.Release();
        return 0;
    }

    /// <summary>Puts a new file where an entry's file_index says, as direct descriptors are; the file is released on failure.</summary>
    /// <returns>0, or the slot where any was asked for; -ENFILE when there is none, -EINVAL when the slot does not exist.</returns>
    public int Install(in Sqe entry, Descriptor file)
    {
        const int tableIsFull = 23;
        var any = entry.FileIndex == uint.MaxValue;
        var slot = any ? Array.IndexOf(_files, null) : (int)entry.FileIndex - 1;
        if (slot < 0 || slot >= _files.Length)
        {
            file.Release();
            return any ? -tableIsFull : -Errno.Inval;
        }
        _files[slot]?.Release();
        _files[slot] = file;
        return any ? slot : 0;
    }

    /// <summary>The operation is done: its completion is posted, its file let go.</summary>
    protected void Finish(EmulatedOperation operation, int result)
    {
        ref var entry = ref operation.Entry;
        var flags = result > 0 && (entry.Flags & SqeFlags.BufferSelect) != 0 && _groups.TryGetValue(entry.BufferIndex, out var group) ? group.Take() : CqeFlags.None;
        if (!operation.Lost && GoesOn(entry, result))
        {
            Post(entry, result, flags | CqeFlags.More);
            Continue(operation);
            return;
        }
        Forget(operation);
        if (entry.Opcode == IoUringOp.SendZc && result >= 0)
        {
            // What was to be sent has been copied already, so the memory is free again at once.
            Post(entry, result, CqeFlags.More);
            Post(entry, 0, CqeFlags.Notification);
        }
        else
        {
            Post(entry, result, flags);
        }
        Recycle(operation);
    }

    /// <summary>Shows an operation the provided buffer that comes next, which is taken when it is filled; false when there is none.</summary>
    protected bool ShowBuffer(EmulatedOperation operation) =>
        (operation.Entry.Flags & SqeFlags.BufferSelect) == 0 || _groups.TryGetValue(operation.Entry.BufferIndex, out var group) && group.Show(ref operation.Entry);

    // What the kernel refuses too, and what the flags ask for that is not here.
    private int Refuse(in Sqe entry)
    {
        var selects = (entry.Flags & SqeFlags.BufferSelect) != 0;
        switch (entry.Opcode)
        {
            case IoUringOp.Recv:
                if ((entry.IoPriority & ~Prepare.Multishot) != 0) return -Errno.OpNotSupp;
                return entry.IoPriority != 0 && (!selects || entry.Length != 0) ? -Errno.Inval : 0;
            case IoUringOp.ReadMultishot:
                return selects ? 0 : -Errno.Inval;
            case IoUringOp.Accept:
                if ((entry.IoPriority & ~AcceptAgain) != 0) return -Errno.OpNotSupp;
                return entry.IoPriority != 0 && entry.FileIndex is not (0 or uint.MaxValue) ? -Errno.Inval : selects ? -Errno.OpNotSupp : 0;
            case IoUringOp.PollAdd:
                return (entry.Length & ~PollAgain) != 0 || selects ? -Errno.OpNotSupp : 0;
            case IoUringOp.SendZc or IoUringOp.RecvMsg or IoUringOp.SendMsg:
                return entry.IoPriority != 0 || selects ? -Errno.OpNotSupp : 0;
            default:
                return selects ? -Errno.OpNotSupp : 0;
        }
    }

    private static bool GoesOn(in Sqe entry, int result) => entry.Opcode switch
    {
        IoUringOp.Recv => entry.IoPriority != 0 && result > 0,
        IoUringOp.ReadMultishot => result > 0,
        IoUringOp.Accept => entry.IoPriority != 0 && result >= 0,
        IoUringOp.PollAdd => entry.Length != 0 && result > 0,
        _ => false,
    };

    // IORING_ACCEPT_MULTISHOT; IORING_POLL_ADD_MULTI.
    private const ushort AcceptAgain = 1;
    // SPLICE_F_FD_IN_FIXED.
    private const uint InputIsFixed = 1u << 31;
    private const uint PollAgain = 1;

    /// <summary>Makes an operation available for another entry.</summary>
    protected void Recycle(EmulatedOperation operation)
    {
        operation.Next = _free;
        _free = operation;
    }

    /// <summary>It can't be cancelled any more and keeps no file open; its completion was or will be posted.</summary>
    protected void Forget(EmulatedOperation operation)
    {
        if (_inFlight.TryGetValue(operation.Entry.UserData, out var known) && known == operation) _inFlight.Remove(operation.Entry.UserData);
        operation.File?.Release();
        operation.Input?.Release();
        operation.File = operation.Input = null;
    }

    /// <summary>An operation that was taken back ends; override where a pool thread may still look at it.</summary>
    protected virtual void FinishStopped(EmulatedOperation operation) => Finish(operation, -Errno.Canceled);

    /// <summary>A completion of an operation that goes on.</summary>
    protected void PostMore(EmulatedOperation operation, int result) => Post(operation.Entry, result, CqeFlags.More);

    /// <summary>A timer that has run out: true when it runs again, as often as its entry says (0: without limit).</summary>
    protected static bool Repeats(ref Sqe entry)
    {
        if ((entry.OpFlags & TimerRepeats) == 0) return false;
        return entry.Offset == 0 || --entry.Offset > 0;
    }

    /// <summary>Why a timer can't be started, as -errno, or 0: relative time, and no count of completions unless it repeats, is what
    /// the ring uses.</summary>
    protected static int RefuseTimer(in Sqe entry)
    {
        if ((entry.OpFlags & ~TimerRepeats) != 0 || entry.OpFlags == 0 && entry.Offset != 0 || entry.Length != 1) return -Errno.OpNotSupp;
        var time = (IoUring.Timespec*)entry.Address;
        return time->Seconds < 0 || time->Nanoseconds < 0 ? -Errno.Inval : 0;
    }

    // IORING_TIMEOUT_MULTISHOT.
    private const uint TimerRepeats = 64;

    protected void Post(in Sqe entry, int result, CqeFlags flags = CqeFlags.None)
    {
        if (result >= 0 && (entry.Flags & SqeFlags.CqeSkipSuccess) != 0) return;
        Post(new Cqe { UserData = entry.UserData, Result = result, Flags = flags });
    }

    protected void Post(in Cqe cqe)
    {
        // Those that wait go first.
        if (_overflow.Count > 0 || Completions == CqEntries || ForceOverflow()) _overflow.Enqueue(cqe);
        else Publish(cqe);
    }

    private void Publish(in Cqe cqe)
    {
        var tail = *CqTail;
        Cqes[tail & (CqEntries - 1)] = cqe;
        Volatile.Write(ref *CqTail, tail + 1);
    }

    /// <summary>Completions that wait go into the queue, as far as there is room.</summary>
    protected void FlushOverflow()
    {
        while (_overflow.Count > 0 && Completions < CqEntries) Publish(_overflow.Dequeue());
    }

    // IORING_OP_ASYNC_CANCEL: how many were cancelled where all are asked for, else 0; -ENOENT, or -EALREADY when too late.
    private int Cancel(in Sqe entry)
    {
        const uint all = 1, byFd = 2, any = 4, fixedFd = 8, byUserData = 16, byOpcode = 32;
        if ((entry.OpFlags & ~(all | byFd | any | fixedFd | byUserData | byOpcode)) != 0) return -Errno.Inval;
        if ((entry.OpFlags & (all | byFd | any | byOpcode)) == 0) return _inFlight.TryGetValue(entry.Address, out var one) ? Stop(one) : -Errno.NoEnt;
        _matches.Clear();
        foreach (var (tag, operation) in _inFlight)
        {
            if ((entry.OpFlags & any) != 0 || Matches(entry, tag, operation)) _matches.Add(operation);
        }
        // In the order of their tags: a dictionary's own order is no order.
        _matches.Sort(static (a, b) => a.Entry.UserData.CompareTo(b.Entry.UserData));
        var (stopped, result) = (0, -Errno.NoEnt);
        foreach (var operation in _matches)
        {
            result = Stop(operation);
            if (result == 0) stopped++;
            if (result == 0 && (entry.OpFlags & (all | any)) == 0) break;
        }
        return (entry.OpFlags & (all | any)) != 0 && stopped > 0 ? stopped : result;
    }

    private static bool Matches(in Sqe cancel, ulong tag, EmulatedOperation operation)
    {
        const uint byFd = 2, fixedFd = 8, byUserData = 16, byOpcode = 32;
        var sameFile = operation.Entry.Fd == cancel.Fd && WorksOnFile(operation.Entry.Opcode)
            && (operation.Entry.Flags & SqeFlags.FixedFile) != 0 == ((cancel.OpFlags & fixedFd) != 0);
        if ((cancel.OpFlags & byFd) != 0 && !sameFile) return false;
        if ((cancel.OpFlags & byOpcode) != 0 && operation.Entry.Opcode != (IoUringOp)cancel.Length) return false;
        // Without another criterion, user_data is the one.
        return (cancel.OpFlags & (byFd | byOpcode)) != 0 && (cancel.OpFlags & byUserData) == 0 || tag == cancel.Address;
    }

    private int RemoveOne(in Sqe entry)
    {
        var opcode = entry.Opcode == IoUringOp.PollRemove ? IoUringOp.PollAdd : IoUringOp.Timeout;
        if (entry.OpFlags != 0 || entry.Length != 0) return -Errno.OpNotSupp;
        return _inFlight.TryGetValue(entry.Address, out var operation) && operation.Entry.Opcode == opcode ? Stop(operation) : -Errno.NoEnt;
    }

    private int Stop(EmulatedOperation operation)
    {
        if (!TryStop(operation)) return -Errno.Already;
        FinishStopped(operation);
        return 0;
    }

    /// <summary>True when fd of the entry is the file to work on, not a directory or something else.</summary>
    private static bool WorksOnFile(IoUringOp operation) => operation is
        IoUringOp.Read or IoUringOp.Write or IoUringOp.ReadV or IoUringOp.WriteV or IoUringOp.FSync or IoUringOp.SyncFileRange
        or IoUringOp.FAllocate or IoUringOp.FTruncate or IoUringOp.FAdvise or IoUringOp.Accept or IoUringOp.Connect or IoUringOp.Send
        or IoUringOp.Recv or IoUringOp.SendMsg or IoUringOp.RecvMsg or IoUringOp.Shutdown or IoUringOp.Bind or IoUringOp.Listen
        or IoUringOp.PollAdd or IoUringOp.ReadMultishot or IoUringOp.SendZc or IoUringOp.Splice or IoUringOp.Tee;
}

/// <summary>A group of provided buffers, as struct io_uring_buf_ring lays it out: the tail is in the padding of the first entry.</summary>
internal sealed unsafe class ProvidedGroup(nint entries, uint count)
{
    private const int EntryBytes = 16, LengthOffset = 8, IdOffset = 12, TailOffset = 14;

    private ushort _head;

    /// <summary>Puts the next buffer into an entry; false when there is none.</summary>
    public bool Show(ref Sqe entry)
    {
        if (_head == Volatile.Read(ref *(ushort*)(entries + TailOffset))) return false;
        var next = Next;
        entry.Address = *(ulong*)next;
        entry.Length = *(uint*)(next + LengthOffset);
        return true;
    }

    /// <summary>The buffer shown last is used: its flags.</summary>
    public CqeFlags Take()
    {
        var id = *(ushort*)(Next + IdOffset);
        _head++;
        return CqeFlags.Buffer | (CqeFlags)((uint)id << 16);
    }

    private byte* Next => (byte*)entries + (_head & (count - 1)) * EntryBytes;
}
