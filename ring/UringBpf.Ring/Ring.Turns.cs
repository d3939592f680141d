using System.Runtime.CompilerServices;

namespace UringBpf.Ring;

// What keeps chains, the host and the loop itself from starving each other: slots that are the host's alone, chains that wait for
// a slot in the order in which they came, and turns that end.
public sealed unsafe partial class Ring
{
    // Chains that were started, and messages that start some, while no slot was free for their first operation.
    private readonly Queue<IRingCommand> _waitingChains = new();
    // One of those is being started.
    private bool _chainTurn;

    private readonly uint _turnLimit;
    private readonly long _turnBudget;
    // Completions that this turn may still handle, and where in the queue it ends.
    private uint _turnLeft;
    private uint _turnEnd;
    // A turn ended before the queue was empty.
    private bool _behind;
    // Completions of chains that were taken from the queue to get at those of the host behind them: a ring of CompletionEntries places.
    // Where more is set aside it grows.
    private Cqe[] _deferred = [];
    private int _firstDeferred;
    private int _deferredCount;
    // The last enter took nothing before completions are taken; and those that were are among the deferred, the host's and the ring's own too.
    private bool _busy;
    private bool _setAside;
    // Instructions of metered programs.
    private long _turnSpent;
    // The last turn left requests of the host for the next.
    private bool _moreCommands;

    private static int HostReserve(RingOptions options) =>
        options.HostReserve ?? Math.Min(Math.Clamp(options.MaxOperations / 8, 1, 64), options.MaxOperations - 1);

    // Something can be handled without entering.
    private bool HasCompletion => _backend.HasCompletion || _deferredCount > 0;

    private void BeginCompletions()
    {
        _turnLeft = _turnLimit;
        _turnSpent = 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteBehind()
    {
        if (_recorder == null) CompleteBehind<NotRecording>();
        else CompleteBehind<Recording>();
    }

    // Where hooks have more to do than a turn takes, the host's completions don't wait for those before them. A chain's own stay in their order.
    private void CompleteBehind<TRecording>() where TRecording : struct
    {
        if (_deferred.Length == 0) _deferred = new Cqe[_backend.CompletionEntries];
        var state = EnterHooks();
        // Nothing overtakes what was set aside.
        for (var left = _turnLimit; !_setAside && left > 0 && _deferredCount < _deferred.Length && _backend.HasCompletion; left--)
        {
            var cqe = *_backend.Completion(_backend.CompletionHead);
            _backend.CompletionHead++;
            _completions++;
            var operation = _operations.Find(cqe.UserData);
            if (operation == null)
            {
                CompleteUnknown(cqe.UserData, cqe.Result, cqe.Flags);
            }
            else if (operation->Owner == OperationOwner.Host)
            {
                if (typeof(TRecording) == typeof(Recording)) _recorder!.Completed(operation, cqe.Result, cqe.Flags);
                CompleteHost(operation, cqe.Result, cqe.Flags);
            }
            else
            {
                Defer(cqe);
            }
        }
        while (_deferredCount > 0 && _turnLeft > 0)
        {
            _turnLeft--;
            var cqe = _deferred[_firstDeferred];
            _firstDeferred = (_firstDeferred + 1) % _deferred.Length;
            _deferredCount--;
            var operation = _operations.Find(cqe.UserData);
            if (operation == null)
            {
                CompleteUnknown(cqe.UserData, cqe.Result, cqe.Flags);
                continue;
            }
            if (typeof(TRecording) == typeof(Recording)) _recorder!.Completed(operation, cqe.Result, cqe.Flags);
            CompleteOther<TRecording>(operation, cqe.Result, cqe.Flags, state);
        }
        if (_deferredCount == 0) _setAside = false;
        _behind = HasCompletion;
        LeaveHooks(state);
    }

    private void Defer(in Cqe cqe)
    {
        if (_deferredCount == _deferred.Length) GrowDeferred();
        _deferred[(_firstDeferred + _deferredCount++) % _deferred.Length] = cqe;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void GrowDeferred()
    {
        var larger = new Cqe[Math.Max(2 * _deferred.Length, (int)_backend.CompletionEntries)];
        for (var i = 0; i < _deferredCount; i++) larger[i] = _deferred[(_firstDeferred + i) % _deferred.Length];
        (_deferred, _firstDeferred) = (larger, 0);
    }

    /// <summary>
    /// The kernel submits nothing while completions wait for room in their queue (-EBUSY, on Linux 5.5 to 5.12), and the caller, who may be in the middle of handling one, can't go on
    /// before something is submitted: takes all that are there from the queue. They are handled in their order.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void SetAside()
    {
        var (head, tail) = (_backend.CompletionHead, _backend.CompletionTail);
        if (head == tail) return;
        // The batch under way, if there is one, ends with the completion that is being handled, and not with one that was set aside already.
        if (!_setAside) _turnEnd = head;
        _completions += tail - head;
        for (; head != tail; head++) Defer(*_backend.Completion(head));
        _backend.CompletionHead = tail;
        _setAside = true;
    }

    /// <summary>True when a chain can't start now: there is no slot for its first operation, or others came before it.</summary>
    private bool MustWait()
    {
        var turn = _chainTurn;
        _chainTurn = false;
        return _operations.AvailableToChains == 0 || !turn && _waitingChains.Count > 0;
    }

    /// <summary>What starts a chain runs again when it is its turn and there is a slot.</summary>
    internal void AwaitTurn(IRingCommand command) => _waitingChains.Enqueue(command);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void StartWaitingChains()
    {
        while (_operations.AvailableToChains > 0 && _waitingChains.TryDequeue(out var command))
        {
            _chainTurn = true;
            command.Run(this);
            _chainTurn = false;
        }
    }

    // Answers, of the chains that wait for a slot, those at once. False when there is none.
    private bool RefuseWaiting(Predicate<ChainWaiter> which)
    {
        List<ChainWaiter>? found = null;
        for (var left = _waitingChains.Count; left > 0; left--)
        {
            var command = _waitingChains.Dequeue();
            if (command is ChainWaiter one && which(one)) (found ??= []).Add(one);
            else _waitingChains.Enqueue(command);
        }
        // Last: what is told may be the host's code at once.
        found?.ForEach(Refuse);
        return found != null;
    }

    private void Refuse(ChainWaiter waiter)
    {
        _hostWakeUps++;
        waiter.Refuse(this, -Errno.Canceled);
    }

    // Everything that waits for a slot, the host's operations too: the ring stops, or has failed.
    private void RefuseWaiting()
    {
        while (_backlog.TryDequeue(out var command)) command.Refuse(this, -Errno.Canceled);
        while (_waitingChains.TryDequeue(out var command))
        {
            if (command is ChainWaiter waiter) Refuse(waiter);
            else command.Refuse(this, -Errno.Canceled);
        }
    }

    /// <summary>A metered program has run: what it has used up counts against the turn, which ends with this completion when that is too much.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Charge(long spent)
    {
        _turnSpent += spent;
        if (_turnSpent <= _turnBudget) return;
        // Where completions were set aside, it does already.
        if (!_setAside) _turnEnd = _backend.CompletionHead;
        _turnLeft = 0;
    }
}
