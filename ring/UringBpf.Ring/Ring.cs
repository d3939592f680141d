using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// One io_uring and the thread that owns it. The owner creates the ring, submits, runs hooks and tears it down; every
/// public member may be called from any thread. Results are delivered on the thread pool, never on the owner.
/// </summary>
/// <remarks>
/// Operations give a non-negative result or -errno; no exception is thrown for a completion, and nothing is allocated for
/// one. Disposing cancels what is in flight and waits for it: memory under an operation is released only after the
/// operation's last completion.
/// </remarks>
public sealed unsafe partial class Ring : IAsyncDisposable
{
    // Of entries of the ring's own that nothing waits for.
    private const ulong NoSlot = ulong.MaxValue - 1;
    private const int MostQueueEntries = 32768, MostCompletionEntries = 65536;

    private RingBackend _backend;
    // The same, where it is the kernel's.
    private KernelBackend? _kernel;
    private readonly OperationTable _operations;
    private Thread _thread;
    private readonly ConcurrentQueue<IRingCommand> _inbox = new();
    private readonly Queue<IQueuedCommand> _backlog = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Stack<int> _freeFileSlots = new();
    private readonly HashSet<HookLink> _links = [];

    private ExecutionState* _state;
    private int _sleeping;
    // 1 from when a command is in the inbox: what a turn looks at before it looks there.
    private int _asked;
    private bool _stopping;
    private volatile bool _closed;
    private volatile bool _failed;
    private int _pendingFirst = -1;
    private int _pendingLast = -1;
    // The entry that was reserved last is in its operation's slot, not in the queue.
    private bool _reservedOverflow;
    private long _hostWakeUps;
    private long _completions;
    private long _hookRuns;
    private long _lateCompletions;
    private long _chainsEnded;
    private long _chainsFailed;
    private long _enters;
    private readonly ILogger? _logger;

    private Ring(RingBackend backend, RingOptions options, Thread thread)
    {
        _backend = backend;
        _kernel = backend as KernelBackend;
        _thread = thread;
        _logger = options.Logger;
        HookOperations = OperationSet.Bit(IoUringOp.Program);
        for (var operation = 0; OperationSet.Has((IoUringOp)operation); operation++)
        {
            // A hook's open goes out as openat2, which keeps it beneath its directory: without that there is none. The timer of a
            // link is one of the ring's own.
            var sent = (IoUringOp)operation switch
            {
                IoUringOp.OpenAt => IoUringOp.OpenAt2,
                IoUringOp.LinkTimeout => IoUringOp.Timeout,
                var same => same,
            };
            if (backend.Supports(sent)) HookOperations |= 1UL << operation;
        }
        // First, as it may refuse.
        if (options.Recorder != null) _recorder = new FlightRecorder(options.Recorder) { Features = backend.Features };
        _operations = new OperationTable(options.MaxOperations, HostReserve(options));
        _turnLimit = (uint)options.TurnLimit;
        _turnBudget = options.TurnBudget;
        for (var slot = options.FileSlots - 1; slot >= 0; slot--) _freeFileSlots.Push(slot);
    }

    /// <summary>Creates a ring and its owner thread.</summary>
    /// <param name="options">null for the defaults.</param>
    /// <exception cref="BpfException">UB4501 when io_uring is refused or missing and was asked for, with the cause; UB4511 when an option is out of range.</exception>
    public static Ring Create(RingOptions? options = null)
    {
        options ??= new RingOptions();
        Validate(options);
        var started = new TaskCompletionSource<Ring>(TaskCreationOptions.RunContinuationsAsynchronously);
        Thread? thread = null;
        thread = new Thread(() =>
        {
            Ring ring;
            try
            {
                // On this thread: a ring belongs to the task that made it.
                ring = Make(BackendChoice.Create(options), options, thread!, driven: false);
            }
            catch (Exception error)
            {
                started.SetException(error);
                return;
            }
            started.SetResult(ring);
            ring.Run();
        })
        { IsBackground = true, Name = options.ThreadName };
        thread.Start();
        return started.Task.GetAwaiter().GetResult();
    }

    // On the thread that will own it. What can't be made leaves nothing behind.
    private static Ring Make(RingBackend backend, RingOptions options, Thread thread, bool driven)
    {
        Ring? ring = null;
        try
        {
            ring = new Ring(backend, options, thread) { _state = ExecutionSlot.Current, _driven = driven };
            backend.EnterThread(ring._state);
            ring.Announce(options);
            return ring;
        }
        catch
        {
            backend.Dispose();
            ring?._operations.Dispose();
            ring?._recorder?.Dispose();
            throw;
        }
    }

    private static void Validate(RingOptions options)
    {
        if (options.QueueEntries is < 1 or > MostQueueEntries || options.CompletionEntries is < 1 or > MostCompletionEntries || options.MaxOperations is < 1 or > 1 << 20 || options.FileSlots is < 1 or > 32768)
            throw new BpfException("UB4511", $"ring options out of range: {options}.");
        if (options.HostReserve < 0 || options.HostReserve >= options.MaxOperations || options.TurnLimit is < 1 or > 65536 || options.TurnBudget < 1)
            throw new BpfException("UB4511", $"ring options out of range: HostReserve {options.HostReserve}, TurnLimit {options.TurnLimit}, TurnBudget {options.TurnBudget}.");
    }

    /// <summary>Operations that hooks can submit on this back end: bit n for IORING_OP_ n.</summary>
    internal ulong HookOperations { get; }

    /// <summary>What the ring got: back end, flags, sizes, operations.</summary>
    public RingFeatures Features => _backend.Features;

    /// <summary>Results handed to the host so far: what a host that awaits each was woken for.</summary>
    public long HostWakeUps => Volatile.Read(ref _hostWakeUps);

    /// <summary>Completions taken from the completion queue so far.</summary>
    public long Completions => Volatile.Read(ref _completions);

    /// <summary>Times a completion hook ran.</summary>
    public long HookRuns => Volatile.Read(ref _hookRuns);

    /// <summary>Completions that came after their chain's result was fixed, and ran no hook.</summary>
    public long LateCompletions => Volatile.Read(ref _lateCompletions);

    /// <summary>System calls made to submit and wait.</summary>
    public long Enters => Volatile.Read(ref _enters);

    /// <summary>Cancels everything in flight, waits for it, and frees the ring. May be called more than once.</summary>
    /// <remarks>A ring that another thread drives ends in that thread's turns. Where that thread has ended, or ends before it has made them, the ring comes to
    /// its end without it: see <see cref="CreateDriven"/>.</remarks>
    /// <exception cref="BpfException">UB4505 when the ring had failed.</exception>
    public ValueTask DisposeAsync()
    {
        RequestStop();
        // Its thread is the caller's: nobody else would take it to its end.
        Drive(_stopped.Task);
        return new ValueTask(_stopped.Task);
    }

    internal Task RequestStop()
    {
        Post(new DelegateCommand(ring => ring._stopping = true, null));
        return _stopped.Task;
    }

    /// <summary>Operations in flight now, the host's and chains' together, of at most <see cref="Capacity"/>.</summary>
    public int OperationsInFlight => _operations.InFlight;

    /// <summary>The ring came to its end by an error: operations may be in flight that it does not wait for. Known before it is closed.</summary>
    internal bool Failed => _failed;

    /// <summary>Chains that have ended so far.</summary>
    public long ChainsEnded => Volatile.Read(ref _chainsEnded);

    /// <summary>Those among them that ended with an errno: their hook's verdict, a limit, a cancel.</summary>
    public long ChainsFailed => Volatile.Read(ref _chainsFailed);

    /// <summary>Hands a command to the owner; it runs there before the owner waits again.</summary>
    internal void Post(IRingCommand command)
    {
        _inbox.Enqueue(command);
        _asked = 1;
        // The owner says that it sleeps before it looks into the inbox a last time.
        Interlocked.MemoryBarrier();
        if (_sleeping != 0 && Interlocked.Exchange(ref _sleeping, 0) != 0) _backend.Wake();
        if (_closed) RefuseInbox();
    }

    internal ValueTask RunOnOwner(Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var command = new DelegateCommand(_ => action(), done);
        // The driver would wait for itself. A function of the host that a program calls there comes in between two steps of an operation: what it asks
        // for waits for the next turn.
        if (!IsDriver || ProgramRuns) Post(command);
        else if (_closed) command.Refuse(this, -Errno.Canceled);
        else
        {
            FindState();
            command.Run(this);
        }
        EndIfOrphaned();
        return new ValueTask(done.Task);
    }

    /// <summary>As <see cref="RunOnOwner"/>, and waits for it.</summary>
    /// <exception cref="BpfException">UB4007 where the owner would wait for itself: in what a program calls on its thread.</exception>
    private void DoOnOwner(Action action)
    {
        if (Thread.CurrentThread == _thread && (!_driven || ProgramRuns))
            throw new BpfException("UB4007", "a program runs on this thread, the ring's: what it calls can't wait for the ring here.");
        RunOnOwner(action).AsTask().GetAwaiter().GetResult();
    }

    // A program's run is open on the calling thread.
    private static bool ProgramRuns => ExecutionSlot.Current->Activity.IsActive;

    // From here to LeaveHooks hooks may run: for no longer than that, as the thread's state serves other runs too, which have no chain.
    private ExecutionState* EnterHooks()
    {
        var state = _state;
        // One stay for the whole batch: what a run can reach is freed after it at the earliest.
        state->Enter();
        state->Host = _recorder == null ? HookCalls.Table : RecordedCalls.Table;
        return state;
    }

    private static void LeaveHooks(ExecutionState* state)
    {
        state->Host = null;
        state->Leave();
    }

    private void Run()
    {
        _state->Site = -1;
        try
        {
            TakeTurns();
            Shutdown(null);
        }
        catch (Exception error)
        {
            Shutdown(error);
        }
    }

    // A method of its own: no native call is inlined where exceptions are caught.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TakeTurns()
    {
        while (true)
        {
            _recorder?.Stamp();
            RunCommands();
            FlushPending();
            if (_stopping && Stop()) return;
            Wait();
            TakeCompletions();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void TakeCompletions()
    {
        BeginCompletions();
        while (HasCompletion && _turnLeft > 0)
        {
            _recorder?.Stamp();
            CompleteAll();
            FlushPending();
            if (_backend.Unsubmitted > 0) break;
        }
    }

    // One, where there is nothing else to do; whoever asks for something from here on wakes the ring.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint CompletionsToWaitFor()
    {
        if (!_backend.ArmWake() || HasCompletion || _pendingFirst >= 0) return 0;
        Volatile.Write(ref _sleeping, 1);
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _asked) == 0 ? 1u : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Wait()
    {
        var wait = CompletionsToWaitFor();
        // With completions at hand and nothing to send there is no reason for a system call. Where a turn left requests of the host
        // or completions for the next, the kernel is asked for what it has put off meanwhile.
        if (wait != 0 || _backend.Unsubmitted > 0 || _behind || _moreCommands && !HasCompletion) EnterInPlace(wait);
        Volatile.Write(ref _sleeping, 0);
    }

    /// <summary>One turn for whoever drives the ring by hand on its thread: submits, waits, handles what has completed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Turn(uint wait)
    {
        FlushPending();
        EnterInPlace(wait);
        _recorder?.Stamp();
        BeginCompletions();
        CompleteAll();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Enter(uint wait) => EnterInPlace(wait);

    // For loops, down to the system call: after one, the processor mispredicts every return, so there should be few.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void EnterInPlace(uint wait)
    {
        _enters++;
        var result = _kernel != null ? _kernel.EnterInPlace(wait) : _backend.Enter(wait);
        if (result < 0) EnterFailed(result);
        else _submissions += (uint)result;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterFailed(int result)
    {
        // EINTR: a signal. EAGAIN, EBUSY: completions must be taken first, or memory is short for a moment.
        _busy = result == -Errno.Busy;
        if (-result is Errno.Intr or Errno.Again or Errno.Busy) return;
        throw new BpfException("UB4505", $"io_uring_enter failed with {Errno.Name(-result)}: the ring can't go on.");
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void RunCommands()
    {
        if (Volatile.Read(ref _asked) != 0 || _continuing.Count > 0 || _waitingChains.Count > 0 || _backlog.Count > 0) RunCommandsNow();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RunCommandsNow()
    {
        if (_continuing.Count > 0) ContinueLinked();
        // Chains first: the host has slots of its own, which they can't take.
        if (_waitingChains.Count > 0) StartWaitingChains();
        while (_backlog.TryPeek(out var first) && CanStart(first)) _backlog.Dequeue().Run(this);
        // What comes from here on says so again.
        Interlocked.Exchange(ref _asked, 0);
        for (var left = _turnLimit; ; left--)
        {
            _moreCommands = left == 0;
            if (_moreCommands) _asked = 1;
            if (_moreCommands || !_inbox.TryDequeue(out var command)) break;
            if (command is IQueuedCommand queued) Admit(queued);
            else command.Run(this);
        }
    }

    // A queue entry for the owner itself, outside of hooks: enters when the queue is full.
    private Sqe* MakeRoom()
    {
        WaitForRoom(1);
        return _backend.NextSqe();
    }

    // For entries that are linked: a link that is split by an enter is broken. Everything before it goes first, then it fits.
    private void MakeRoom(int entries)
    {
        FlushPending();
        WaitForRoom(entries);
    }

    private void WaitForRoom(int entries)
    {
        for (var attempt = 0; _backend.Room < entries; attempt++) EnterForRoom(attempt);
    }

    private void EnterForRoom(int attempt)
    {
        _busy = false;
        Enter(0);
        if (_busy) SetAside();
        if (attempt > 100_000) throw new BpfException("UB4505", "the submission queue does not drain: the ring can't go on.");
        if (attempt > 100) Thread.Yield();
    }

    /// <summary>
    /// Gives an operation its entry, cleared and tagged. Where the submission queue is full the entry waits in the slot: a
    /// hook may be running, and nothing reaches the kernel before it returns. <see cref="Send"/> or <see cref="Abandon"/>
    /// must follow before another entry is reserved.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Sqe* Reserve(Operation* operation)
    {
        var sqe = _pendingFirst < 0 ? _backend.NextSqe() : null;
        if (sqe == null) sqe = ReserveOverflow(operation);
        *sqe = default;
        sqe->UserData = operation->Tag;
        return sqe;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Sqe* ReserveOverflow(Operation* operation)
    {
        _reservedOverflow = true;
        return &_operations.Extra(operation)->Overflow;
    }

    /// <summary>The entry is filled in: it goes out with the next turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Send(Operation* operation, Sqe* entry)
    {
        _recorder?.Submitted(operation, entry, _operations.Extra(operation), _state->Site);
        if (_reservedOverflow) Queue(operation);
    }

    /// <summary>The operation is refused: gives entry and slot back.</summary>
    internal void Abandon(Operation* operation, Sqe* entry)
    {
        if (_backend.IsInQueue(entry)) _backend.ReturnSqe();
        _reservedOverflow = false;
        FreeOperation(operation);
    }

    // A slot goes back, and what was allocated for its operation.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FreeOperation(Operation* operation)
    {
        if ((operation->Marks & OperationMarks.Settles) != 0) _operations.FreeMemory(operation);
        _operations.Free(operation);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Queue(Operation* operation)
    {
        _reservedOverflow = false;
        var index = OperationTable.IndexOf(operation);
        _operations.Extra(operation)->Next = -1;
        if (_pendingFirst < 0) _pendingFirst = index;
        else _operations.Extra(_operations[_pendingLast])->Next = index;
        _pendingLast = index;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FlushPending()
    {
        if (_pendingFirst >= 0) FlushPendingNow();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FlushPendingNow()
    {
        while (_pendingFirst >= 0)
        {
            var extra = _operations.Extra(_operations[_pendingFirst]);
            *MakeRoom() = extra->Overflow;
            _pendingFirst = extra->Next;
        }
    }

    // Everything that was handed out reaches the back end; not in a hook.
    private void SubmitAll()
    {
        FlushPending();
        for (var attempt = 0; _backend.Unsubmitted > 0; attempt++) EnterForRoom(attempt);
    }

    // Takes the completions that are there now: what hooks submit meanwhile is sent before its completions are looked at.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CompleteAll()
    {
        if (_behind | _setAside) CompleteBehind();
        else if (_recorder == null) CompleteAll<NotRecording>();
        else CompleteAll<Recording>();
    }

    // Compiled once for a ring with a recorder and once without: the second has nothing of the first.
    private void CompleteAll<TRecording>() where TRecording : struct
    {
        var head = _backend.CompletionHead;
        var last = _backend.CompletionTail;
        if (head == last) return;
        var count = Math.Min(last - head, _turnLeft);
        _turnLeft -= count;
        _turnEnd = head + count;
        var state = EnterHooks();
        var first = head;
        var backend = _backend;
        var operations = _operations;
        do
        {
            var cqe = backend.Completion(head);
            var tag = cqe->UserData;
            var outcome = cqe->Outcome;
            // Its place is free again before anything can enter.
            backend.CompletionHead = ++head;
            var operation = operations.Slot(tag);
            if (!operations.Holds(operation, tag))
            {
                CompleteUnknown(tag, (int)outcome, (CqeFlags)(outcome >> 32));
                continue;
            }
            if (typeof(TRecording) == typeof(Recording)) _recorder!.Completed(operation, (int)outcome, (CqeFlags)(outcome >> 32));
            if (operation->IsPlainOfChain) Step<TRecording>(operation->Chain, (HookProgram*)operation->Chain->Hook, operation, operations, outcome, state, marked: false);
            else CompleteOther<TRecording>(operation, (int)outcome, (CqeFlags)(outcome >> 32), state);
        }
        while (head != _turnEnd);
        _behind = head != last;
        _completions += head - first;
        LeaveHooks(state);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteOther<TRecording>(Operation* operation, int result, CqeFlags flags, ExecutionState* state) where TRecording : struct
    {
        if (operation->Owner == OperationOwner.Chain) CompleteStep<TRecording>(operation, result, flags, state);
        else if (operation->Owner == OperationOwner.Host) CompleteHost(operation, result, flags);
        else CompleteClosing(operation);
    }

    private readonly struct Recording;

    private readonly struct NotRecording;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteUnknown(ulong tag, int result, CqeFlags flags)
    {
        // A cancel request's, a wake-up, or of an operation that is over.
        if (tag >= NoSlot || (tag & CancelBit) != 0) _completions--;
        if (tag == NoSlot) return;
        if (tag > NoSlot)
        {
            _backend.Absorb(new Cqe { UserData = tag, Result = result, Flags = flags });
            return;
        }
        if ((tag & CancelBit) != 0) CancelAnswered(tag & ~CancelBit, result);
        else _lateCompletions++;
    }

    // True when nothing is left that holds memory of ours.
    private bool Stop()
    {
        foreach (var link in _links)
        {
            if (link.Detaching) continue;
            link.Detaching = true;
            CancelChains(link);
        }
        foreach (var host in _hostWaiting)
        {
            if (host is { Operation: >= 0 }) CancelOperation(_operations[host.Operation]);
        }
        RefuseWaiting();
        FinishDetached();
        ContinueLinked();
        return _operations.InFlight == 0 && _links.Count == 0;
    }

    private void Shutdown(Exception? error)
    {
        // What is called at the very end may throw, too: nothing is freed twice.
        if (_closed)
        {
            if (error != null) _stopped.TrySetException(error);
            return;
        }
        _failed = error != null;
        _closed = true;
        _backend.Dispose();
        if (error != null)
        {
            // The kernel may still write to memory of operations in flight: it is left to the process.
            foreach (var host in _hostWaiting) host?.Fail(error);
            foreach (var link in _links) FailChains(link, error);
            foreach (var command in _linked) command.Fail(error);
            RefuseWaiting();
        }
        else
        {
            _operations.Dispose();
        }
        // A function of the host that threw left the run open.
        LeaveHooks(_state);
        FreePolicies();
        _state = null;
        // A driver's thread goes on, with other rings perhaps.
        if (!_driven) ExecutionSlot.Release();
        RefuseInbox();
        _watch?.Dispose();
        EndMetrics(error);
        if (error != null) _stopped.SetException(error);
        else if (FinishRecording() is { } failure) _stopped.SetException(failure);
        else _stopped.SetResult();
    }

    private void RefuseInbox()
    {
        while (_inbox.TryDequeue(out var command)) command.Refuse(this, -Errno.Canceled);
    }
}

/// <summary>Something the owner thread is asked to do.</summary>
internal interface IRingCommand
{
    /// <summary>On the owner thread.</summary>
    void Run(Ring ring);

    /// <summary>The ring is shut down: the command will not run.</summary>
    void Refuse(Ring ring, int result);
}

/// <summary>Operations of the host, which start in the order in which they came.</summary>
internal interface IQueuedCommand : IRingCommand
{
    /// <summary>Slots that it takes at once.</summary>
    int Slots { get; }

    /// <summary>Starts when all of the host's operations before it have completed; the later ones wait for it.</summary>
    bool Drains { get; }
}

/// <summary>A rare command, such as attaching: allocates.</summary>
internal sealed class DelegateCommand(Action<Ring> action, TaskCompletionSource? done) : IRingCommand
{
    public void Run(Ring ring)
    {
        try
        {
            action(ring);
            ring.Settled();
            done?.SetResult();
        }
        catch (Exception error) when (done != null)
        {
            // The caller's mistake (a disposed program, a closed file) is the caller's to hear of, not the end of the ring.
            ring.Settled();
            done.SetException(error);
        }
    }

    public void Refuse(Ring ring, int result) => done?.TrySetException(new BpfException("UB4503", "the ring is shut down."));
}
