using System.Threading.Tasks.Sources;

namespace UringBpf.Ring;

/// <summary>
/// What a host awaits: pooled, one result, delivered as <see cref="Ring.HandOver"/> says. The item is its own work item: completing
/// allocates nothing.
/// </summary>
internal abstract class Waiter<TResult>(Ring ring) : IValueTaskSource<TResult>, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<TResult> _core;
    private TResult _result = default!;
    private Exception? _error;

    public short Version => _core.Version;

    protected Ring Ring => ring;

    /// <summary>Ring's thread: hands the result over.</summary>
    public void Complete(TResult result)
    {
        _result = result;
        ring.HandOver(this);
    }

    /// <summary>Ring's thread: the ring itself failed.</summary>
    public virtual void Fail(Exception error)
    {
        _error = error;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_error is { } error) _core.SetException(error);
        else _core.SetResult(_result);
    }

    TResult IValueTaskSource<TResult>.GetResult(short token)
    {
        // Asked for once too often, which the status refuses, or too early: it is another's by now, or an operation's in flight.
        if (_core.GetStatus(token) == ValueTaskSourceStatus.Pending)
            throw new InvalidOperationException("the operation has not completed: await it, or use AsTask() to wait for it.");
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            _core.Reset();
            _error = null;
            Recycle();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<TResult>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<TResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>The result was taken: back to the pool.</summary>
    protected abstract void Recycle();
}
