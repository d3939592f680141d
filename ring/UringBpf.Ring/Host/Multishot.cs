using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>One completion of a multishot operation.</summary>
/// <param name="Result">A count or descriptor, or -errno.</param>
/// <param name="Flags">IORING_CQE_F_*: <see cref="CqeFlags.More"/> is missing in the last; the buffer is in <see cref="BufferId"/>.</param>
public readonly record struct Shot(int Result, CqeFlags Flags)
{
    /// <summary>The buffer of the group that was used, or -1.</summary>
    public int BufferId => (Flags & CqeFlags.Buffer) != 0 ? (int)((uint)Flags >> 16) : -1;
}

/// <summary>
/// A multishot operation of the host (accept, receive, read, poll): one submission, many completions, taken in order. One
/// reader at a time. Once it has ended, <see cref="NextAsync"/> gives the last completion and then null; the last one is the errno of a policy, or
/// -ECANCELED, where the operation was refused or cancelled before it was submitted. Disposing cancels it and waits;
/// completions not taken by then are dropped: descriptors that a dropped accept brought are closed, buffers of a <see cref="BufferRing"/> go back.
/// </summary>
public sealed class Multishot : IAsyncDisposable, IValueTaskSource<Shot?>, IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private readonly Queue<Shot> _shots = new();
    private readonly bool _closesDropped;
    private readonly BufferRing? _buffers;
    private ManualResetValueTaskSourceCore<Shot?> _core = new() { RunContinuationsAsynchronously = false };
    private readonly Ring _ring;
    private HostOperation? _operation;
    private ValueTask<int> _whole;
    // A reader waits; and until it has taken what came.
    private bool _waiting;
    private bool _asked;
    private bool _hasLast;
    private bool _ended;
    private Shot? _handed;
    private Exception? _failure;

    internal Multishot(Ring ring, bool closesDropped, BufferRing? buffers)
    {
        _ring = ring;
        _closesDropped = closesDropped;
        _buffers = buffers;
    }

    internal void Started(HostOperation operation, ValueTask<int> whole)
    {
        _operation = operation;
        _whole = whole;
    }

    /// <summary>The next completion, in order; null when the operation has ended and all were taken.</summary>
    /// <exception cref="InvalidOperationException">Another reader waits already, or has not taken yet what it waited for.</exception>
    /// <exception cref="BpfException">UB4505: the ring has failed, and all were taken that came before.</exception>
    public ValueTask<Shot?> NextAsync()
    {
        lock (_gate)
        {
            if (_asked) throw new InvalidOperationException("one reader at a time.");
            if (_shots.TryDequeue(out var shot)) return new ValueTask<Shot?>(shot);
            if (_failure != null) return ValueTask.FromException<Shot?>(_failure);
            if (_ended) return new ValueTask<Shot?>((Shot?)null);
            _core.Reset();
            _waiting = _asked = true;
            return new ValueTask<Shot?>(this, _core.Version);
        }
    }

    // Ring's thread.
    internal void Add(int result, CqeFlags flags)
    {
        lock (_gate)
        {
            _hasLast = (flags & CqeFlags.More) == 0;
            Give(new Shot(result, flags));
        }
    }

    // Ring's thread: the last completion has been added, unless it was never submitted.
    internal void End(int result)
    {
        lock (_gate)
        {
            if (!_hasLast) Give(new Shot(result, CqeFlags.None));
            _ended = true;
            _operation = null;
            if (_waiting) Hand(null);
        }
    }

    // Whoever ended the ring.
    internal void Fail(Exception error)
    {
        lock (_gate)
        {
            _failure = error;
            _operation = null;
            if (_waiting) Hand(null);
        }
    }

    private void Give(Shot shot)
    {
        if (_waiting) Hand(shot);
        else _shots.Enqueue(shot);
    }

    private void Hand(Shot? shot)
    {
        _waiting = false;
        _handed = shot;
        _ring.HandOver(this);
    }

    /// <summary>Cancels the operation and waits for its end.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        // Not under the lock: where the ring is shut down, asking it ends others. Nobody else's before its result is taken, below.
        Volatile.Read(ref _operation)?.RequestCancel();
        try
        {
            await _whole.ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                while (_shots.TryDequeue(out var shot)) Drop(shot);
            }
        }
    }

    private void Drop(in Shot shot)
    {
        if (_closesDropped && shot.Result >= 0) IoUring.Close(shot.Result);
        _buffers?.Drop(shot);
    }

    private int _disposed;

    void IThreadPoolWorkItem.Execute()
    {
        if (_handed == null && _failure is { } error) _core.SetException(error);
        else _core.SetResult(_handed);
    }

    Shot? IValueTaskSource<Shot?>.GetResult(short token)
    {
        // Asked for too early, or another reader's.
        if (_core.GetStatus(token) == ValueTaskSourceStatus.Pending) throw new InvalidOperationException("the operation has not completed: await it, or use AsTask() to wait for it.");
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            lock (_gate) _asked = false;
        }
    }

    ValueTaskSourceStatus IValueTaskSource<Shot?>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<Shot?>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

public sealed unsafe partial class Ring
{
    /// <summary>Starts a multishot operation; see <see cref="Multishot"/>.</summary>
    /// <param name="entry">Such as <see cref="Prepare.PollMultishot"/>; descriptors it names stay valid until it has ended.</param>
    /// <param name="file">Kept open until it has ended, in place of the entry's descriptor; or null.</param>
    /// <exception cref="ArgumentException">As for <see cref="SubmitAsync(in Sqe, CancellationToken)"/>.</exception>
    public Multishot StartMultishot(in Sqe entry, SafeHandle? file = null) => StartJudged(entry, file, null);

    /// <summary>As <see cref="StartMultishot(in Sqe, SafeHandle)"/>, judged once, when it is submitted, by a policy of its own besides those that are
    /// attached. Where it is refused, the one completion is the policy's errno.</summary>
    /// <param name="entry">As for the other.</param>
    /// <param name="file">As for the other.</param>
    /// <param name="policy">From <see cref="CreatePolicy"/> of this ring. Once it is disposed, the one completion is -ECANCELED.</param>
    /// <exception cref="ArgumentException">As for the other; or the policy is another ring's.</exception>
    public Multishot StartMultishot(in Sqe entry, SafeHandle? file, PolicyLink policy)
    {
        CheckGiven(policy);
        return StartJudged(entry, file, policy);
    }

    private Multishot StartJudged(in Sqe entry, SafeHandle? file, PolicyLink? given)
    {
        if ((entry.Flags & (SqeFlags.Link | SqeFlags.HardLink)) != 0) throw new ArgumentException("A multishot operation can't be linked.", nameof(entry));
        RefuseSkipping(entry);
        var buffers = (entry.Flags & SqeFlags.BufferSelect) != 0 ? _bufferRings.GetValueOrDefault(entry.BufferIndex) : null;
        var multishot = new Multishot(this, entry.Opcode == IoUringOp.Accept && entry.FileIndex == 0, buffers);
        var host = Prepared(entry, new HostMemory { File = file, Multishot = multishot }, default);
        host.Policy = given;
        multishot.Started(host, new ValueTask<int>(host, host.Version));
        Post(host);
        return multishot;
    }

    /// <summary>IORING_OP_ACCEPT, multishot (Linux 5.19): a descriptor, close-on-exec, for each connection. The taker owns it.</summary>
    public Multishot AcceptMultishot(SafeHandle socket) => StartMultishot(Prepare.AcceptMultishot(FileToCome, CloseOnExec), socket);

    /// <summary>IORING_OP_RECV, multishot (Linux 6.0), into the buffers of a ring; return each with <see cref="BufferRing.Return"/>.
    /// Ends with -ENOBUFS when there is none left: start it again after returning some.</summary>
    public Multishot ReceiveMultishot(SafeHandle socket, BufferRing buffers, uint flags = 0) =>
        StartMultishot(Prepare.ReceiveMultishot(FileToCome, buffers.Group, flags), socket);

    /// <summary>IORING_OP_READ_MULTISHOT (Linux 6.7), of a pipe or other stream; as <see cref="ReceiveMultishot"/>.</summary>
    public Multishot ReadMultishot(SafeHandle file, BufferRing buffers) => StartMultishot(Prepare.ReadMultishot(FileToCome, buffers.Group), file);

    /// <summary>IORING_OP_POLL_ADD, multishot: each result is the POLL* events that are there.</summary>
    public Multishot PollMultishot(SafeHandle file, uint events) => StartMultishot(Prepare.PollMultishot(FileToCome, events), file);
}
