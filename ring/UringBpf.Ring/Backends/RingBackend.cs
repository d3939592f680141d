using System.Numerics;
using System.Runtime.CompilerServices;

namespace UringBpf.Ring;

/// <summary>
/// A pair of queues in memory, as io_uring defines them, and whatever carries out the submissions: the kernel, the thread
/// pool, or a simulation. The ring above is the same for all; only entering, waking and the file table differ. Every
/// member but <see cref="Wake"/> and the two of granted directories is for the owner thread alone.
/// </summary>
internal abstract unsafe class RingBackend : IDisposable
{
    protected uint* SqHead;
    protected uint* SqTail;
    protected Sqe* Sqes;
    protected uint SqEntries;
    protected uint* CqHead;
    protected uint* CqTail;
    protected Cqe* Cqes;
    protected uint CqEntries;

    // Entries handed out; the shared tail follows when they are published.
    private uint _tail;
    // The consumer's head as it was last read: it only moves on.
    private uint _knownHead;
    private uint _published;

    /// <summary>kernel, portable or simulated.</summary>
    public abstract string Name { get; }

    /// <summary>Enters that found completions held back, as the completion queue was full.</summary>
    public long Overflows { get; protected set; }

    /// <summary>Entries handed out and not yet submitted.</summary>
    public uint Unsubmitted => _tail - Volatile.Read(ref *SqHead);

    public uint QueueEntries => SqEntries;

    public uint CompletionEntries => CqEntries;

    /// <summary>True when a completion can be read without entering.</summary>
    public bool HasCompletion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => *CqHead != Volatile.Read(ref *CqTail);
    }

    /// <summary>An entry to overwrite as a whole, or null when the queue is full: enter first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Sqe* NextSqe()
    {
        if (_tail - _knownHead >= SqEntries)
        {
            _knownHead = Volatile.Read(ref *SqHead);
            if (_tail - _knownHead >= SqEntries) return null;
        }
        return Sqes + (_tail++ & (SqEntries - 1));
    }

    /// <summary>Takes back the entry that was handed out last and is not submitted.</summary>
    public void ReturnSqe() => _tail--;

    /// <summary>Completions that can be read now.</summary>
    protected uint Completions => CompletionTail - CompletionHead;

    /// <summary>Position after the last completion that can be read now.</summary>
    public uint CompletionTail
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Volatile.Read(ref *CqTail);
    }

    /// <summary>Position of the next completion to take; setting it frees the places before it.</summary>
    public uint CompletionHead
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => *CqHead;
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set => Volatile.Write(ref *CqHead, value);
    }

    /// <summary>The completion at a position from <see cref="CompletionHead"/> on, before <see cref="CompletionTail"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Cqe* Completion(uint position) => Cqes + (position & (CqEntries - 1));

    /// <summary>True for an entry of the submission queue, false for one that waits elsewhere.</summary>
    public bool IsInQueue(Sqe* entry) => (ulong)((byte*)entry - (byte*)Sqes) < SqEntries * (ulong)sizeof(Sqe);

    /// <summary>Submits what was handed out and waits until at least <paramref name="wait"/> completions are there.</summary>
    /// <returns>Entries submitted, or -errno.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Enter(uint wait)
    {
        Publish();
        return EnterCore(Unsubmitted, wait);
    }

    protected abstract int EnterCore(uint submit, uint wait);

    /// <summary>As <see cref="Enter"/>, and waits no longer than this; -ETIME when nothing came and nothing was submitted.</summary>
    public int EnterFor(uint wait, TimeSpan timeout)
    {
        Publish();
        return EnterForCore(Unsubmitted, wait, timeout);
    }

    // The consumer sees what was handed out.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected void Publish()
    {
        if (_published == _tail) return;
        Volatile.Write(ref *SqTail, _tail);
        _published = _tail;
    }

    protected abstract int EnterForCore(uint submit, uint wait, TimeSpan timeout);

    /// <summary>Gives both queues new sizes, with what is in them. Nothing may be unsubmitted, and no entry or completion looked at meanwhile.</summary>
    /// <returns>0 or -errno, and then all is as before: -EOVERFLOW when more completions are there than fit, -EOPNOTSUPP where that is
    /// not possible; -EAGAIN when it is not now, and will be when the completions that are there have been taken.</returns>
    /// <exception cref="Bytecode.BpfException">UB4505: the queues are lost.</exception>
    public int Resize(uint entries, uint completionEntries)
    {
        if (Completions > BitOperations.RoundUpToPowerOf2(completionEntries)) return -Errno.Overflow;
        // Linux 6.18 copies from the first position while it is less than the last: none, where positions start again at zero between the two.
        return CompletionTail < CompletionHead ? -Errno.Again : ResizeCore(entries, completionEntries);
    }

    protected abstract int ResizeCore(uint entries, uint completionEntries);

    /// <summary>Ends a wait in <see cref="Enter"/>; from any thread.</summary>
    public abstract void Wake();

    /// <summary>Makes sure that <see cref="Wake"/> can end the next wait; false when the queue is full and must be entered first.</summary>
    public virtual bool ArmWake() => true;

    /// <summary>Takes a completion with user_data <see cref="ulong.MaxValue"/>: the back end's own, a wake-up.</summary>
    public virtual void Absorb(in Cqe cqe)
    {
    }

    /// <summary>Prepares what the owner thread's programs see besides their ring.</summary>
    public virtual void EnterThread(Runtime.ExecutionState* state)
    {
    }

    /// <summary>Makes a table of empty file slots. 0 or -errno.</summary>
    public abstract int CreateFileTable(uint count);

    /// <summary>Entries that can be handed out before the queue is full.</summary>
    public uint Room => SqEntries - Unsubmitted;

    /// <summary>Cancels what is in flight on a descriptor and waits for it. 0 or -errno.</summary>
    public virtual int CancelFile(int fd, TimeSpan patience) => -Errno.OpNotSupp;

    /// <summary>Registers a ring of provided buffers, whose memory stays until it is unregistered. 0 or -errno.</summary>
    public virtual int RegisterBufferRing(nint entries, uint count, ushort group, bool incremental) => -Errno.OpNotSupp;

    /// <summary>Ends a group of provided buffers.</summary>
    public virtual void UnregisterBufferRing(ushort group)
    {
    }

    /// <summary>Registers memory for fixed reads and writes, which stays until it is unregistered. 0 or -errno.</summary>
    public virtual int RegisterBuffers(IoVector* buffers, uint count) => -Errno.OpNotSupp;

    /// <summary>Ends the registration.</summary>
    public virtual void UnregisterBuffers()
    {
    }

    /// <summary>False where a file slot is no more than a name for the host's descriptor, which must stay open as long as it is in it.</summary>
    public virtual bool CopiesDescriptors => true;

    /// <summary>Puts a descriptor into a file slot; -1 empties it. 0 or -errno.</summary>
    public abstract int SetFile(uint slot, int fd);

    /// <summary>A descriptor that paths beneath this directory are opened from, or -errno; from any thread.</summary>
    public virtual int OpenDirectory(string path)
    {
        const int directoryPathCloseOnExec = 0x10000 | 0x200000 | 0x80000;
        return IoUring.Open(path, directoryPathCloseOnExec);
    }

    /// <summary>Gives back what <see cref="OpenDirectory"/> gave; from any thread.</summary>
    public virtual void CloseDirectory(int directory) => IoUring.Close(directory);

    /// <summary>True when entries can be linked.</summary>
    public virtual bool Links => false;

    /// <summary>True when the operation can be submitted.</summary>
    public abstract bool Supports(IoUringOp operation);

    /// <summary>What was set up, for people.</summary>
    public abstract RingFeatures Features { get; }

    public abstract void Dispose();
}
