using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

// Chains of completion hooks: starting, running the hook at each completion, ending.
public sealed unsafe partial class Ring
{
    private readonly ConcurrentQueue<ChainWaiter> _chainPool = [];
    private readonly List<ChainWaiter?> _chainWaiting = [];
    private readonly Stack<int> _chainWaitingFree = new();
    private ulong _nextChain = 1;

    internal ValueTask<ChainResult> StartChain(HookLink link, in UringOp first, ReadOnlySpan<byte> scratch, CancellationToken cancellationToken, PolicyLink? policy = null)
    {
        var waiter = PreparedChain(link, first, scratch, cancellationToken);
        waiter.Policy = policy;
        var task = new ValueTask<ChainResult>(waiter, waiter.Version);
        Post(waiter);
        return task;
    }

    internal ChainWaiter PreparedChain(HookLink link, in UringOp first, ReadOnlySpan<byte> scratch, CancellationToken cancellationToken)
    {
        if (scratch.Length > 64) throw new ArgumentException("A chain's scratch is 64 bytes.", nameof(scratch));
        if (!_chainPool.TryDequeue(out var waiter)) waiter = new ChainWaiter(this);
        waiter.Begin(link, first, scratch, cancellationToken);
        return waiter;
    }

    internal void Recycle(ChainWaiter waiter) => _chainPool.Enqueue(waiter);

    internal void Start(ChainWaiter waiter)
    {
        var link = waiter.Link!;
        if (link.Detaching || waiter.CancelRequested)
        {
            _hostWakeUps++;
            waiter.Finish(new ChainResult(0, -Errno.Canceled, -Errno.Canceled, 0, 0));
            return;
        }
        if (MustWait())
        {
            AwaitTurn(waiter);
            return;
        }
        var chain = NewChain(link);
        if (_chainWaitingFree.TryPop(out chain->Host))
        {
            _chainWaiting[chain->Host] = waiter;
        }
        else
        {
            chain->Host = _chainWaiting.Count;
            _chainWaiting.Add(waiter);
        }
        waiter.Chain = chain;
        waiter.CopyScratch(new Span<byte>(chain->Context.Scratch, 64));
        _recorder?.ChainStarted(chain);
        var refused = HookCalls.Submit(chain, waiter.First);
        // Nothing follows it that could be linked.
        chain->Marks &= ~ChainMarks.Links;
        if ((chain->Marks & ChainMarks.Waits) != 0) StartWaiting(chain);
        if (refused < 0) End(chain, refused, refused);
    }

    internal void Cancel(ChainWaiter waiter, short version)
    {
        if (waiter.Version != version) return;
        if (waiter.Chain != null) End(waiter.Chain, -Errno.Canceled, -Errno.Canceled);
        else CancelUnstarted(waiter, version);
    }

    // A method of its own: what it captures is allocated.
    private void CancelUnstarted(ChainWaiter waiter, short version)
    {
        if (_waitingChains.Count == 0 || !RefuseWaiting(one => one == waiter)) waiter.CancelledUse = (ushort)version;
    }

    private Chain* NewChain(HookLink link)
    {
        // No more can be in flight than the ring has slots for.
        var most = (nuint)Math.Min(link.Limits.MaxInFlight, _operations.Count);
        var chain = link.FreeChains.TryPop(out var free) ? (Chain*)free : (Chain*)NativeMemory.AlignedAlloc((nuint)sizeof(Chain) + (most + Chain.MaxOwnFiles) * sizeof(int), 64);
        *chain = default;
        chain->Operations = (int*)(chain + 1);
        chain->Hook = link.Current;
        chain->Hook->References++;
        chain->Id = _nextChain++;
        chain->StepLimit = link.Limits.MaxSteps;
        for (var i = 0; i < Chain.MaxOwnFiles; i++) chain->Files[i] = -1;
        chain->FirstWaiting = chain->LastWaiting = -1;
        chain->Next = link.FirstChain;
        if (chain->Next != null) chain->Next->Previous = chain;
        link.FirstChain = chain;
        link.LiveChains++;
        if (link.Limits.OwnBuffers > 0) chain->Memory = TakeMemory(link);
        return chain;
    }

    // As O_DIRECT needs it for what fits into them. Small ones all at the start of a page would fall on the same few places of the processor's cache,
    // and take a page each of what it knows addresses by.
    private static nuint OwnBufferAlignment(ChainLimits limits)
    {
        const int cacheLine = 64, page = 4096;
        return (nuint)Math.Clamp(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)limits.OwnBufferBytes), cacheLine, page);
    }

    // A chain's own buffers start as zeroes, so that it never sees what another left there.
    private static byte* TakeMemory(HookLink link)
    {
        var bytes = (nuint)link.Limits.OwnBuffers * (nuint)link.Limits.OwnBufferBytes;
        if (!link.FreeMemory.TryPop(out var free))
        {
            free = (nint)NativeMemory.AlignedAlloc(Math.Max(bytes, 1), OwnBufferAlignment(link.Limits));
            link.MemoryBlocks++;
        }
        var memory = (byte*)free;
        NativeMemory.Clear(memory, bytes);
        return memory;
    }

    // The path of every completion of a hook: what is rare is in methods of its own. What it costs is mostly what it writes,
    // so things are laid out to be written together.
    // Inlined twice: into the loop of completions for operations without marks, and below for all.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Step<TRecording>(Chain* chain, HookProgram* program, Operation* operation, OperationTable operations, ulong outcome, ExecutionState* state, bool marked)
        where TRecording : struct
    {
        var context = (UringCompletion*)chain;
        var result = (int)outcome;
        var flags = (CqeFlags)(outcome >> 32);
        context->UserData = operation->UserData;
        context->Outcome = outcome;
        Operation.Show(operation, context);
        context->Step = chain->Steps;
        var end = operation->Data;
        if (operation->Length > 0)
        {
            // Never past what was asked for, whatever the result claims.
            if (result > 0 && end != null) end += Math.Min((uint)result, operation->Length);
            SettleBytes(chain, operation, result, flags);
        }
        context->DataEnd = end;
        if ((flags & CqeFlags.More) == 0)
        {
            Unlink(chain, operation, operations);
            if (marked) FreeOperation(operation);
            else operations.FreeOfChain(operation);
        }
        if (chain->Steps >= chain->StepLimit)
        {
            if (marked) chain->Running = 0;
            CompleteLate(chain);
            return;
        }
        chain->Steps++;
        _hookRuns++;

        var verdict = RunHook<TRecording>(chain, program, state);
        if (marked) chain->Running = 0;
        if (verdict == Verdict.Continue && chain->InFlight > 0 && chain->Marks == ChainMarks.None) return;

        Decide(chain, verdict);
    }

    private void CompleteStep<TRecording>(Operation* operation, int result, CqeFlags flags, ExecutionState* state) where TRecording : struct
    {
        var chain = operation->Chain;
        var outcome = operation->Marks != OperationMarks.None ? CompleteMarked(chain, operation, result, flags, state) : (uint)result | (ulong)flags << 32;
        Step<TRecording>(chain, HookVersion.ProgramAt(chain->Hook, chain->Running), operation, _operations, outcome, state, marked: true);
    }

    /// <summary>Bytes that a transfer has moved, and what it may still move: of all that reserve some, but zero-copy sends.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void SettleBytes(Chain* chain, Operation* operation, int result, CqeFlags flags)
    {
        if (result > 0) chain->Bytes += (uint)result;
        if ((flags & CqeFlags.More) == 0) chain->Reserved -= operation->Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int RunHook<TRecording>(Chain* chain, HookProgram* program, ExecutionState* state) where TRecording : struct
    {
        state->Prepare(program->Start);
        // The chain, and the context, with which it begins.
        *(Vector128<ulong>*)&state->Chain = Vector128.Create((ulong)chain);
        long started = 0;
        if (typeof(TRecording) == typeof(Recording) && _recorder!.HookDurations) started = System.Diagnostics.Stopwatch.GetTimestamp();
        var verdict = (int)program->Entry(program->Self, (byte*)chain, (ulong)sizeof(UringCompletion), state);
        if (program->Meter != 0) Charge(program->Meter - state->Budget);
        if (state->Fault != RunFault.None) verdict = -Errno.Time;
        if (typeof(TRecording) == typeof(Recording)) _recorder!.HookRan(chain, verdict, state, started);
        return verdict;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Decide(Chain* chain, int verdict)
    {
        // The hook can't write to it.
        var result = chain->Context.Result;
        chain->Marks &= ~ChainMarks.Links;
        if ((chain->Marks & ChainMarks.Provided) != 0) HookCalls.KeepOrRecycle(chain);
        if ((chain->Marks & ChainMarks.Releases) != 0) HookCalls.RecycleReleased(chain);
        if ((chain->Marks & ChainMarks.Cancels) != 0) CancelRequested(chain);
        if (verdict < 0) _aborts++;
        else if (verdict == Verdict.Pass) _passes++;
        if (verdict < 0) End(chain, verdict, verdict);
        else if (verdict == Verdict.Pass || chain->InFlight == 0) End(chain, result, Verdict.Pass);
        else if ((chain->Marks & ChainMarks.Waits) != 0) StartWaiting(chain);
    }

    /// <summary>Does what a completion changes beyond its chain's step: what other operations wait for it, what the chain owns; runs it, where
    /// it is a program.</summary>
    /// <returns>The result as the hook sees it, in the lower half, and the flags; which program that is, is in the chain.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private ulong CompleteMarked(Chain* chain, Operation* operation, int result, CqeFlags flags, ExecutionState* state)
    {
        var marks = operation->Marks;
        if ((flags & CqeFlags.More) != 0 && (marks & OperationMarks.Cancelling) != 0)
        {
            // The request came while it was between two completions, where the kernel does not find it: once more.
            operation->Marks &= ~OperationMarks.Cancelling;
            CancelOperation(operation);
        }
        // What stood for it came to an end; it never started.
        if ((marks & OperationMarks.Held) != 0) result = -Errno.Canceled;
        if ((marks & OperationMarks.Named) != 0)
        {
            var extra = _operations.Extra(operation);
            if (operation->Opcode == IoUringOp.Program)
            {
                if (result >= 0 && chain->Steps < chain->StepLimit) result = RunOperation(chain, operation, extra->Runs, state);
                // What the hook sees next is a result, and moved no bytes.
                operation->Data = null;
                operation->Length = 0;
            }
            chain->Running = extra->Program;
        }
        if ((marks & OperationMarks.Settles) != 0)
        {
            var accepted = operation->Opcode == IoUringOp.Accept && result >= 0;
            result = Settle(chain, operation, result, flags);
            if (accepted && HookCalls.AcceptAgain(chain, operation)) flags |= CqeFlags.More;
            if (operation->Opcode == IoUringOp.LinkTimeout) CompleteTimer(operation, result);
        }
        if ((flags & CqeFlags.Buffer) != 0) ShowProvided(chain, operation, (int)((uint)flags >> 16));
        if (operation->Opcode == IoUringOp.SendZc && (flags & CqeFlags.More) != 0) _operations.Extra(operation)->Sent = result;
        if ((flags & CqeFlags.More) == 0 && (marks & (OperationMarks.Linked | OperationMarks.Draining)) != 0)
            CompleteOrdered(chain, operation, (flags & CqeFlags.Notification) != 0 ? _operations.Extra(operation)->Sent : result);
        return (uint)result | (ulong)flags << 32;
    }

    // A program as an operation: it sees what it was given, and what it returns is the result.
    private int RunOperation(Chain* chain, Operation* operation, int index, ExecutionState* state)
    {
        var context = &chain->Context;
        context->UserData = operation->UserData;
        context->Result = 0;
        context->CqeFlags = 0;
        Operation.Show(operation, context);
        context->Step = chain->Steps;
        context->DataEnd = context->Data + operation->Length;
        chain->Running = (ushort)index;
        _hookRuns++;
        _programRuns++;
        var program = HookVersion.ProgramAt(chain->Hook, index);
        var result = _recorder == null ? RunHook<NotRecording>(chain, program, state) : RunHook<Recording>(chain, program, state);
        chain->Marks &= ~ChainMarks.Links;
        return result;
    }

    // The chain is ending already, or has used up its steps.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteLate(Chain* chain)
    {
        if (chain->Phase == ChainPhase.Live)
        {
            End(chain, -Errno.DQuot, -Errno.DQuot);
            return;
        }
        _lateCompletions++;
        if (chain->InFlight == 0) CloseFiles(chain);
    }

    /// <summary>Does what an operation's completion changes besides its chain's step: files opened and closed, what a zero-copy send moved,
    /// provided buffers that are free again.</summary>
    /// <returns>The result as the hook sees it.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static int Settle(Chain* chain, Operation* operation, int result, CqeFlags flags)
    {
        switch (operation->Opcode)
        {
            case IoUringOp.OpenAt or IoUringOp.Accept or IoUringOp.Socket:
                var opened = 1u << (operation->Target - HookLink.Of(chain).Grants.FileCount);
                if (operation->Opcode != IoUringOp.Accept) operation->File = operation->Target;
                chain->BusyFiles &= ~opened;
                if (result < 0) break;
                chain->OpenFiles |= opened;
                return operation->Target;
            case IoUringOp.Close:
                var closed = 1u << (operation->File - HookLink.Of(chain).Grants.FileCount);
                chain->BusyFiles &= ~closed;
                // A close that was cancelled has not closed: the chain's end will.
                if (result < 0) chain->OpenFiles |= closed;
                break;
            case IoUringOp.SendZc:
                // It has moved its bytes when it says so first; its second completion gives back the memory alone.
                SettleBytes(chain, operation, result, CqeFlags.None);
                operation->Length = 0;
                break;
        }
        if (chain->Occupying > 0 && (flags & CqeFlags.More) == 0) HookCalls.Vacate(chain, operation);
        return result;
    }

    // The buffer that data came in is the hook's until it returns.
    private static void ShowProvided(Chain* chain, Operation* operation, int id)
    {
        var link = HookLink.Of(chain);
        if (link.Grants.Provided is not { } provided || (uint)id >= (uint)provided.Count) return;
        // No hook will see it.
        if (chain->Steps >= chain->StepLimit)
        {
            provided.Return(id);
            return;
        }
        link.Grants.Holders[id] = new ProvidedHolder { Chain = chain->Id };
        chain->ProvidedId = id;
        chain->Holds = false;
        chain->Marks |= ChainMarks.Provided;
        operation->Data = provided.Memory(id);
        operation->Buffer = (uint)(link.Grants.BufferCount + link.Limits.OwnBuffers + id);
    }

    /// <summary>Marks a chain's operations on a file slot, or all of them; they are cancelled when the hook has returned.</summary>
    internal int RequestCancel(Chain* chain, int file, bool all)
    {
        var found = false;
        for (var i = 0; i < chain->InFlight; i++)
        {
            var operation = _operations[chain->Operations[i]];
            if (!all && operation->File != file) continue;
            operation->Marks |= OperationMarks.CancelRequested;
            found = true;
        }
        if (found) chain->Marks |= ChainMarks.Cancels;
        return found ? 0 : -Errno.NoEnt;
    }

    /// <summary>A slot of the file table becomes the host's.</summary>
    internal void TakeOver(int slot) => _hostSlots.Add(slot);

    /// <summary>Marks a chain's operations with that user_data; they are cancelled when the hook has returned.</summary>
    internal int RequestCancel(Chain* chain, ulong userData)
    {
        var found = false;
        for (var i = 0; i < chain->InFlight; i++)
        {
            var operation = _operations[chain->Operations[i]];
            if (operation->UserData != userData) continue;
            operation->Marks |= OperationMarks.CancelRequested;
            found = true;
        }
        if (found) chain->Marks |= ChainMarks.Cancels;
        return found ? 0 : -Errno.NoEnt;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CancelRequested(Chain* chain)
    {
        chain->Marks &= ~ChainMarks.Cancels;
        for (var i = 0; i < chain->InFlight; i++)
        {
            var operation = _operations[chain->Operations[i]];
            if ((operation->Marks & OperationMarks.CancelRequested) != 0) CancelOperation(operation);
        }
    }

    // The last of the list takes the place of the one that goes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Unlink(Chain* chain, Operation* operation, OperationTable operations)
    {
        var place = operation->Place;
        var left = chain->InFlight - 1;
        chain->InFlight = left;
        if (place == left) return;
        var last = chain->Operations[(uint)left];
        chain->Operations[(uint)place] = last;
        operations[last]->Place = place;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Link(Chain* chain, Operation* operation)
    {
        var place = chain->InFlight++;
        operation->Chain = chain;
        operation->Place = place;
        chain->Operations[(uint)place] = OperationTable.IndexOf(operation);
    }

    internal OperationTable Operations => _operations;

    internal int TakeFileSlot() => _freeFileSlots.TryPop(out var slot) ? slot : -1;

    /// <summary>A slot of the file table for a chain of an attachment, or -1 when that has its share: as many as it leaves free, so that there is always
    /// something for others; and what one chain may have, where there is that much.</summary>
    internal int TakeFileSlot(HookLink link)
    {
        if (link.FileSlots >= Math.Max(_freeFileSlots.Count, link.Limits.OwnFiles)) return -1;
        var slot = TakeFileSlot();
        if (slot >= 0) link.FileSlots++;
        return slot;
    }

    // Fixes the result and cancels what is in flight; the host hears of it when nothing is.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void End(Chain* chain, int result, int verdict)
    {
        if (chain->Phase != ChainPhase.Live) return;
        chain->Phase = ChainPhase.Ending;
        chain->Result = result;
        chain->Verdict = verdict;
        chain->StepLimit = 0;
        _recorder?.ChainEnding(chain);
        chain->FirstWaiting = chain->LastWaiting = -1;
        for (var i = 0; i < chain->InFlight; i++) CancelOperation(_operations[chain->Operations[i]]);
        chain->Marks = ChainMarks.None;
        if (chain->InFlight == 0) CloseFiles(chain);
    }

    internal void CancelChains(HookLink link)
    {
        // Ending one may free it and unlink it from the list.
        for (var chain = link.FirstChain; chain != null;)
        {
            var next = chain->Next;
            End(chain, -Errno.Canceled, -Errno.Canceled);
            chain = next;
        }
    }

    private void CloseFiles(Chain* chain)
    {
        if (chain->Phase == ChainPhase.Ending)
        {
            chain->Phase = ChainPhase.Closing;
            for (var i = 0; i < Chain.MaxOwnFiles; i++)
            {
                if ((chain->OpenFiles >> i & 1) == 0) continue;
                var operation = _operations.Take(OperationOwner.Closing);
                if (operation == null)
                {
                    // No slot for a close in the queue: do it at once.
                    _backend.SetFile((uint)chain->Files[i], -1);
                    continue;
                }
                var entry = Reserve(operation);
                entry->Opcode = operation->Opcode = IoUringOp.Close;
                entry->FileIndex = (uint)chain->Files[i] + 1;
                Link(chain, operation);
                Send(operation, entry);
            }
            chain->OpenFiles = 0;
        }
        if (chain->InFlight == 0) Finish(chain);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteClosing(Operation* operation)
    {
        var chain = operation->Chain;
        Unlink(chain, operation, _operations);
        _operations.Free(operation);
        if (chain->InFlight == 0) Finish(chain);
    }

    private void Finish(Chain* chain)
    {
        var link = HookLink.Of(chain);
        for (var i = 0; i < Chain.MaxOwnFiles; i++)
        {
            if (chain->Files[i] < 0) continue;
            _freeFileSlots.Push(chain->Files[i]);
            link.FileSlots--;
        }
        if (chain->Memory != null) link.FreeMemory.Push((nint)chain->Memory);
        if (chain->Held > 0) link.RecycleAll(chain->Id);
        if (chain->Previous != null) chain->Previous->Next = chain->Next;
        else link.FirstChain = chain->Next;
        if (chain->Next != null) chain->Next->Previous = chain->Previous;
        link.LiveChains--;
        _recorder?.ChainEnded(chain);
        _chainsEnded++;
        if (chain->Verdict < 0)
        {
            _chainsFailed++;
            RingEvents.Log.ChainFailed(Number, (long)chain->Id, -chain->Verdict);
        }
        var result = new ChainResult(chain->Id, chain->Result, chain->Verdict, chain->Steps, chain->Bytes);
        var host = chain->Host;
        link.Release(chain->Hook);
        link.FreeChains.Push((nint)chain);

        if (host < 0)
        {
            link.MessageChains--;
            if (_givenByMessage.Count > 0) _givenByMessage.Remove(result.Chain);
            if (link.Detaching) FinishDetached();
            else Deliver(link);
            return;
        }
        var waiter = _chainWaiting[host]!;
        _chainWaiting[host] = null;
        _chainWaitingFree.Push(host);
        waiter.Chain = null;
        _hostWakeUps++;
        waiter.Finish(result);
        if (link.Detaching) FinishDetached();
    }

    private void FailChains(HookLink link, Exception error)
    {
        for (var chain = link.FirstChain; chain != null; chain = chain->Next)
        {
            if (chain->Host >= 0) _chainWaiting[chain->Host]?.Fail(error);
        }
        if (_detaching.Remove(link, out var freed)) freed.SetException(error);
    }
}

/// <summary>Whoever waits for a chain: pooled, one result.</summary>
internal sealed unsafe class ChainWaiter(Ring ring) : Waiter<ChainResult>(ring), IRingCommand
{
    private static readonly Action<object?, CancellationToken> s_cancel = static (state, _) => ((ChainWaiter)state!).RequestCancel();

    private readonly byte[] _scratch = new byte[64];
    private CancellationTokenRegistration _registration;
    private CancelCommand? _cancel;

    public HookLink? Link { get; private set; }
    public UringOp First { get; private set; }
    /// <summary>The chain while it lives; ring's thread.</summary>
    public Chain* Chain;
    /// <summary>As <see cref="HostOperation.CancelledUse"/>.</summary>
    public int CancelledUse = -1;
    public bool CancelRequested => CancelledUse == (ushort)Version;
    /// <summary>What starts when it has ended, or null.</summary>
    public LinkedCommand? Sequence;
    /// <summary>What judges the chain's operations besides the policies of ring and attachment, or null.</summary>
    public PolicyLink? Policy;

    public void Begin(HookLink link, in UringOp first, ReadOnlySpan<byte> scratch, CancellationToken cancellationToken)
    {
        Link = link;
        First = first;
        Policy = null;
        CancelledUse = -1;
        scratch.CopyTo(_scratch);
        _scratch.AsSpan(scratch.Length).Clear();
        if (cancellationToken.CanBeCanceled) _registration = cancellationToken.UnsafeRegister(s_cancel, this);
    }

    public void CopyScratch(Span<byte> scratch) => _scratch.CopyTo(scratch);

    public void Run(Ring owner) => owner.Start(this);

    public void Refuse(Ring owner, int result) => Finish(new ChainResult(0, result, result, 0, 0));

    public void Finish(in ChainResult result)
    {
        _registration.Dispose();
        _registration = default;
        Link = null;
        Policy = null;
        var sequence = Sequence;
        Sequence = null;
        Complete(result);
        sequence?.Completed(Ring, result.Result, failed: result.Verdict < 0 || result.Result < 0);
    }

    protected override void Recycle() => Ring.Recycle(this);

    private void RequestCancel()
    {
        (_cancel ??= new CancelCommand((owner, version) => owner.Cancel(this, version))).Post(Ring, Version);
    }
}
