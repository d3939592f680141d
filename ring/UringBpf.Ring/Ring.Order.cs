using System.Runtime.CompilerServices;

namespace UringBpf.Ring;

// The order between operations of one chain: links and drains. The ring keeps it itself, so that it is the same on every back
// end, a program can be a link, and no chain waits for another's operations or the host's.
public sealed unsafe partial class Ring
{
    /// <summary>Gives an operation that may have to wait its entry, cleared and tagged: in its slot. <see cref="SendInOrder"/> or
    /// <see cref="Abandon"/> must follow.</summary>
    internal Sqe* ReserveHeld(Operation* operation)
    {
        var entry = &_operations.Extra(operation)->Overflow;
        *entry = default;
        entry->UserData = operation->Tag;
        return entry;
    }

    /// <summary>The entry is filled in: it goes out when what it is linked to or drains has completed.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void SendInOrder(Chain* chain, Operation* operation, UringOpFlags flags)
    {
        var index = OperationTable.IndexOf(operation);
        var extra = _operations.Extra(operation);
        extra->Flags = flags;
        extra->Predecessor = -1;
        _recorder?.Submitted(operation, &extra->Overflow, extra, _state->Site);
        if ((chain->Marks & ChainMarks.Links) != 0)
        {
            var before = _operations[chain->LinkTail];
            _operations.Extra(before)->Successor = index;
            before->Marks |= OperationMarks.Linked;
            extra->Predecessor = chain->LinkTail;
            if (operation->Opcode == IoUringOp.LinkTimeout && (before->Marks & OperationMarks.Held) == 0)
            {
                // What it is the timer of has started.
                Release(operation);
            }
            else
            {
                // What is linked to one that waits for a drain waits with it.
                operation->Marks |= OperationMarks.Held | before->Marks & OperationMarks.Waiting;
                if ((operation->Marks & OperationMarks.Waiting) != 0) chain->Waiting++;
            }
        }
        else if ((flags & UringOpFlags.Drain) != 0 || chain->Waiting > 0 || chain->Draining > 0)
        {
            operation->Marks |= OperationMarks.Held | OperationMarks.Waiting;
            chain->Waiting++;
            extra->Next = -1;
            if (chain->FirstWaiting < 0) chain->FirstWaiting = index;
            else _operations.Extra(_operations[chain->LastWaiting])->Next = index;
            chain->LastWaiting = index;
            chain->Marks |= ChainMarks.Waits;
        }
        else
        {
            Release(operation);
        }
        chain->LinkTail = index;
        if ((flags & (UringOpFlags.Link | UringOpFlags.HardLink)) != 0) chain->Marks |= ChainMarks.Links;
        else chain->Marks &= ~ChainMarks.Links;
    }

    /// <summary>An operation that others wait for is over: what is linked to it starts, or is cancelled.</summary>
    private void CompleteOrdered(Chain* chain, Operation* operation, int result)
    {
        if ((operation->Marks & OperationMarks.Draining) != 0) chain->Draining--;
        if ((operation->Marks & OperationMarks.Linked) == 0) return;
        var extra = _operations.Extra(operation);
        var next = _operations[extra->Successor];
        if (next->Opcode == IoUringOp.LinkTimeout && (next = EndTimer(next)) == null) return;
        if ((extra->Flags & UringOpFlags.HardLink) != 0 || !Breaks(operation, result)) Start(chain, next);
        else CancelOperation(next);
    }

    /// <summary>The timer of a link is over. Where that is because its time is, the operation that it belongs to is cancelled. What is linked to both waits for
    /// that operation alone.</summary>
    private void CompleteTimer(Operation* timer, int result)
    {
        var extra = _operations.Extra(timer);
        // It never started, or its operation has ended first.
        if (extra->Predecessor < 0 || (timer->Marks & OperationMarks.Held) != 0) return;
        var timed = _operations[extra->Predecessor];
        if ((timer->Marks & OperationMarks.Linked) != 0)
        {
            _operations.Extra(timed)->Successor = extra->Successor;
            _operations.Extra(_operations[extra->Successor])->Predecessor = extra->Predecessor;
            timer->Marks &= ~OperationMarks.Linked;
        }
        else
        {
            timed->Marks &= ~OperationMarks.Linked;
        }
        extra->Predecessor = -1;
        if (result == -Errno.Time) CancelOperation(timed);
    }

    // The operation of a timer has ended first: what is linked to both, or null.
    private Operation* EndTimer(Operation* timer)
    {
        var extra = _operations.Extra(timer);
        var next = (timer->Marks & OperationMarks.Linked) != 0 ? _operations[extra->Successor] : null;
        timer->Marks &= ~OperationMarks.Linked;
        extra->Predecessor = -1;
        if (next != null) _operations.Extra(next)->Predecessor = -1;
        CancelOperation(timer);
        return next;
    }

    private static bool Breaks(Operation* operation, int result) => operation->Opcode switch
    {
        IoUringOp.Read or IoUringOp.Write or IoUringOp.ReadV or IoUringOp.WriteV => (uint)result != operation->Length,
        IoUringOp.Timeout => result is < 0 and not -Errno.Time,
        _ => result < 0,
    };

    /// <summary>Starts, of what waits for a drain, what has nothing to wait for any more.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void StartWaiting(Chain* chain)
    {
        while (chain->FirstWaiting >= 0 && chain->Draining == 0)
        {
            var first = _operations[chain->FirstWaiting];
            var extra = _operations.Extra(first);
            var drains = Drains(first);
            if (drains && chain->InFlight > chain->Waiting) return;
            chain->FirstWaiting = extra->Next;
            if (chain->FirstWaiting < 0)
            {
                chain->LastWaiting = -1;
                chain->Marks &= ~ChainMarks.Waits;
            }
            // With what is linked to it: it all drains, and it all waits no more.
            for (var one = first; ; one = _operations[_operations.Extra(one)->Successor])
            {
                if ((one->Marks & OperationMarks.Waiting) != 0) StopWaiting(chain, one);
                if (drains)
                {
                    one->Marks |= OperationMarks.Draining;
                    chain->Draining++;
                }
                if ((one->Marks & OperationMarks.Linked) == 0) break;
            }
            Start(chain, first);
        }
    }

    private bool Drains(Operation* first)
    {
        for (var one = first; ; one = _operations[_operations.Extra(one)->Successor])
        {
            if ((_operations.Extra(one)->Flags & UringOpFlags.Drain) != 0) return true;
            if ((one->Marks & OperationMarks.Linked) == 0) return false;
        }
    }

    /// <summary>True when an operation of the chain that is held works on a slot of the ring's file table.</summary>
    internal bool WaitsFor(Chain* chain, int slot)
    {
        for (var i = 0; i < chain->InFlight; i++)
        {
            var operation = _operations[chain->Operations[i]];
            if ((operation->Marks & OperationMarks.Held) == 0) continue;
            var entry = &_operations.Extra(operation)->Overflow;
            if ((entry->Flags & SqeFlags.FixedFile) != 0 && entry->Fd == slot) return true;
            if (entry->Opcode is IoUringOp.Splice or IoUringOp.Tee && entry->FileIndex == (uint)slot) return true;
        }
        return false;
    }

    // A held operation's turn has come.
    private void Start(Chain* chain, Operation* operation)
    {
        if ((operation->Marks & OperationMarks.Waiting) != 0) StopWaiting(chain, operation);
        operation->Marks &= ~OperationMarks.Held;
        _operations.Extra(operation)->Predecessor = -1;
        Release(operation);
        if ((operation->Marks & OperationMarks.Linked) == 0) return;
        var timer = _operations[_operations.Extra(operation)->Successor];
        if (timer->Opcode != IoUringOp.LinkTimeout) return;
        // Its time runs from here on; it goes on knowing whose it is.
        if ((timer->Marks & OperationMarks.Waiting) != 0) StopWaiting(chain, timer);
        timer->Marks &= ~OperationMarks.Held;
        Release(timer);
    }

    private static void StopWaiting(Chain* chain, Operation* operation)
    {
        operation->Marks &= ~OperationMarks.Waiting;
        chain->Waiting--;
    }

    // A held operation is cancelled: a NOP goes out in its place, so that its completion comes as any other.
    private void CancelHeld(Operation* operation)
    {
        var chain = operation->Chain;
        if ((operation->Marks & OperationMarks.Waiting) != 0)
        {
            StopWaiting(chain, operation);
            RemoveWaiting(chain, OperationTable.IndexOf(operation));
        }
        var extra = _operations.Extra(operation);
        // Its link is cut: the one before it may end when this slot is another's.
        if (extra->Predecessor >= 0) _operations[extra->Predecessor]->Marks &= ~OperationMarks.Linked;
        extra->Predecessor = -1;
        extra->Overflow = new Sqe { Opcode = IoUringOp.Nop, Fd = -1, UserData = operation->Tag };
        Release(operation);
    }

    // Those that wait as others' links are not in the list.
    private void RemoveWaiting(Chain* chain, int index)
    {
        for (int at = chain->FirstWaiting, before = -1; at >= 0; before = at, at = _operations.Extra(_operations[at])->Next)
        {
            if (at != index) continue;
            var next = _operations.Extra(_operations[at])->Next;
            if (before < 0) chain->FirstWaiting = next;
            else _operations.Extra(_operations[before])->Next = next;
            if (next < 0) chain->LastWaiting = before;
            break;
        }
        if (chain->FirstWaiting < 0) chain->Marks &= ~ChainMarks.Waits;
    }

    private void Release(Operation* operation)
    {
        var entry = _pendingFirst < 0 ? _backend.NextSqe() : null;
        if (entry == null) Queue(operation);
        else *entry = _operations.Extra(operation)->Overflow;
    }
}
