using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

// Rings without a thread of their own: whoever made them drives them.
public sealed unsafe partial class Ring
{
    // The owner makes the turns itself, and hears of results in them.
    private bool _driven;
    private bool _inTurn;
    private long _settled;
    private readonly Queue<IThreadPoolWorkItem> _handedOver = new();

    // The calling thread may do the owner's work now.
    private bool IsDriver => _driven && Thread.CurrentThread == _thread;

    /// <summary>
    /// Creates a ring without a thread: for hosts with a loop of their own. The calling thread owns it and drives it with
    /// <see cref="RunOnce"/>; what awaits an operation or a chain goes on inside that call, on that thread, without a thread switch.
    /// Operations and chains may be started from any thread, as on other rings; that ends a wait of the driver.
    /// </summary>
    /// <param name="options">null for the defaults; <see cref="RingOptions.ThreadName"/> means nothing here.</param>
    /// <remarks>
    /// Nothing happens between turns. Waiting for a result on the driver's thread, other than by driving, waits for ever. Where <see cref="RingOptions.Backend"/> is
    /// simulated this is <see cref="CreateSimulated"/>. When the driver's thread ends without disposing of the ring, that is the ring's end, within a second or so, on a
    /// thread of its own: what had completed gives its result, everything else -ECANCELED, and memory is released when the kernel has let go of it.
    /// </remarks>
    /// <exception cref="BpfException">UB4501 when io_uring is refused or missing and was asked for; UB4511 when an option is out of range.</exception>
    public static Ring CreateDriven(RingOptions? options = null)
    {
        options ??= new RingOptions();
        Validate(options);
        var backend = BackendChoice.Create(options, driven: true);
        if (backend is SimulatedBackend simulation) simulation.NeverWaits = true;
        var ring = Make(backend, options, Thread.CurrentThread, driven: true);
        ring.WatchDriver();
        return ring;
    }

    /// <summary>
    /// One turn of a ring that was made by <see cref="CreateDriven"/>: starts what was asked for since the last one, submits, waits until something has
    /// completed or another thread asks for something, and runs hooks and continuations for what has completed.
    /// </summary>
    /// <param name="timeout">The longest wait, to the microsecond: zero for none, <see cref="Timeout.InfiniteTimeSpan"/> for no limit. A simulated ring never waits.</param>
    /// <returns>False when the ring has come to its end: it was disposed, and nothing is in flight any more.</returns>
    /// <exception cref="BpfException">UB4506 on another thread than the one that made the ring, on a ring that has a thread of its own, and inside
    /// a turn; UB4007 inside a function that a program on this thread calls; UB4505 when the ring fails, which is its end.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is negative, and not the infinite one.</exception>
    public bool RunOnce(TimeSpan timeout)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan) throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "A wait takes no time, some, or Timeout.InfiniteTimeSpan.");
        MakeTurn(timeout);
        return !_closed;
    }

    // False when nothing is left that a simulated ring would do without the host; for others, when the ring has come to its end.
    private bool MakeTurn(TimeSpan timeout)
    {
        if (!IsDriver)
        {
            throw new BpfException("UB4506", _driven ? "a ring without a thread is driven by the thread that made it."
                : "this ring has a thread of its own: only rings made by Ring.CreateDriven or Ring.CreateSimulated are driven by hand.");
        }
        if (_inTurn) throw new BpfException("UB4506", "a turn of this ring is under way on this thread: what is called by it can't make another.");
        if (_closed) return false;
        FindState();
        if (_state->Activity.IsActive) throw new BpfException("UB4007", "a program runs on this thread: what it calls can't make a turn of a ring here.");
        // Programs that ran here since have left their own.
        _state->Site = -1;
        _inTurn = true;
        try
        {
            return Go(timeout);
        }
        catch (Exception error)
        {
            if (!_closed) FindState();
            Shutdown(error);
            DeliverLast();
            throw;
        }
        finally
        {
            _inTurn = false;
        }
    }

    private bool Go(TimeSpan timeout)
    {
        _recorder?.Stamp();
        var settled = _settled;
        RunCommands();
        FlushPending();
        if (_stopping && Stop())
        {
            Shutdown(null);
            DeliverHandedOver();
            return false;
        }
        // Its driver waits for that perhaps, and for nothing else.
        if (DeliverHandedOver() || _settled != settled) timeout = TimeSpan.Zero;
        if (_backend is SimulatedBackend) return GoSimulated();
        if (timeout == Timeout.InfiniteTimeSpan) Wait();
        else WaitFor(timeout);
        TakeCompletions();
        DeliverHandedOver();
        return true;
    }

    /// <summary>Delivers what a host awaits: on the thread pool, so that a ring's own thread never runs the host's code; for a driven ring on the
    /// driver's thread in a turn, after the batch of completions, when no hook's run is open. Any thread.</summary>
    internal void HandOver(IThreadPoolWorkItem item)
    {
        // Without another turn nobody would deliver it.
        if (IsDriver && (_inTurn || !_closed)) _handedOver.Enqueue(item);
        else ThreadPool.UnsafeQueueUserWorkItem(item, preferLocal: false);
    }

    // False when there was nothing.
    private bool DeliverHandedOver()
    {
        if (_handedOver.Count == 0) return false;
        while (_handedOver.TryDequeue(out var item)) item.Execute();
        if (!_closed) FindState();
        return true;
    }

    // There is no other turn: what one of them throws is no reason for the rest to wait for ever. The host hears of what ended the ring.
    private void DeliverLast()
    {
        while (_handedOver.TryDequeue(out var item))
        {
            try
            {
                item.Execute();
            }
            catch (Exception)
            {
            }
        }
    }

    // The host may have released its thread's state since the last turn, or in what went on in this one.
    private void FindState()
    {
        var current = ExecutionSlot.Current;
        if (current == _state) return;
        _state = current;
        _backend.EnterThread(current);
    }

    /// <summary>A command did all that it was to do, without an operation.</summary>
    internal void Settled() => _settled++;

    private void WaitFor(TimeSpan timeout)
    {
        var wait = timeout > TimeSpan.Zero ? CompletionsToWaitFor() : 0;
        // Even without waiting: what the kernel has put off it posts when it is asked.
        _enters++;
        var result = wait == 0 ? _backend.Enter(0) : _backend.EnterFor(wait, timeout);
        if (result >= 0) _submissions += (uint)result;
        else if (result != -Errno.Time) EnterFailed(result);
        Volatile.Write(ref _sleeping, 0);
    }

    /// <summary>Makes turns until something is done, where the calling thread is the driver; others wait for the driver.</summary>
    internal void Drive(Task until)
    {
        while (IsDriver && !_inTurn && !until.IsCompleted) RunOnce(Timeout.InfiniteTimeSpan);
        if (!until.IsCompleted) EndIfOrphaned();
    }
}
