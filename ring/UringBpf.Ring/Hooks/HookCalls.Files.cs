using UringBpf.Runtime;

namespace UringBpf.Ring;

// Sockets, polls, splices and ranges of files; what a hook cancels, hands over and sends to others.
internal static unsafe partial class HookCalls
{
    /// <summary>The shortest time between two completions of a timer, in nanoseconds.</summary>
    public const ulong ShortestPeriod = 1_000_000;

    private static bool KnowsMultishot(in UringOp op) => op.Opcode switch
    {
        IoUringOp.Timeout or IoUringOp.PollAdd or IoUringOp.Accept => true,
        IoUringOp.Recv or IoUringOp.ReadMultishot => (op.Flags & UringOpFlags.ProvidedBuffer) != 0,
        _ => false,
    };

    // A slot of the chain's own that an operation may fill or close: what the host granted is not the chain's. One at a time,
    // so that what a slot holds never depends on which of two came first.
    private static int CheckTarget(Chain* chain, HookLink link, int target)
    {
        var own = target - link.Grants.FileCount;
        if (own < 0 || own >= link.Limits.OwnFiles) return -Errno.BadF;
        return (chain->BusyFiles >> own & 1) != 0 ? -Errno.Busy : 0;
    }

    private static int TakeTarget(Chain* chain, HookLink link, Operation* operation, Sqe* entry, int target)
    {
        var own = target - link.Grants.FileCount;
        if (chain->Files[own] < 0)
        {
            var slot = link.Ring.TakeFileSlot(link);
            if (slot < 0) return -Errno.MFile;
            chain->Files[own] = slot;
        }
        chain->BusyFiles |= 1u << own;
        operation->Target = (short)target;
        operation->Marks |= OperationMarks.Settles;
        entry->FileIndex = (uint)chain->Files[own] + 1;
        return 0;
    }

    private static int PrepareSocket(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint stream = 1, datagram = 2, packets = 5;
        if (op.OpFlags != 0 || op.Length is not (0 or stream or datagram or packets)) return -Errno.Inval;
        if (op.Path >= (uint)link.Grants.AddressCount) return -Errno.BadF;
        var result = CheckTarget(chain, link, op.Target);
        if (result < 0) return result;
        entry->Fd = link.Grants.Addresses[op.Path].Family;
        entry->Offset = op.Length == 0 ? stream : op.Length;
        return TakeTarget(chain, link, operation, entry, op.Target);
    }

    private static int PrepareConnect(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        if (op.OpFlags != 0) return -Errno.Inval;
        if (op.Path >= (uint)link.Grants.AddressCount) return -Errno.BadF;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        ref var address = ref link.Grants.Addresses[op.Path];
        entry->Address = (ulong)address.Bytes;
        entry->Offset = address.Length;
        return 0;
    }

    private static int PrepareListen(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        if (op.OpFlags != 0 || op.Length > int.MaxValue) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        entry->Length = op.Length;
        return 0;
    }

    private static int PrepareAccept(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        if (op.OpFlags != 0) return -Errno.Inval;
        link.Ring.Operations.Extra(operation)->Flags = op.Flags;
        if ((op.Flags & UringOpFlags.Multishot) != 0)
        {
            // Each into whichever slot is free.
            if (op.Target != -1) return -Errno.Inval;
            return FillAccept(chain, link, operation, entry, op.File);
        }
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        var result = CheckTarget(chain, link, op.Target);
        if (result < 0) return result;
        return TakeTarget(chain, link, operation, entry, op.Target);
    }

    private static int FillAccept(Chain* chain, HookLink link, Operation* operation, Sqe* entry, int file)
    {
        if (!UseFile(chain, link, operation, entry, file)) return -Errno.BadF;
        var free = System.Numerics.BitOperations.TrailingZeroCount(~(chain->OpenFiles | chain->BusyFiles));
        return free >= link.Limits.OwnFiles ? -Errno.MFile : TakeTarget(chain, link, operation, entry, link.Grants.FileCount + free);
    }

    /// <summary>
    /// An accept that goes on has brought a connection: submits it again, into the next slot that is free. The kernel's own
    /// multishot accept would choose among all slots of the ring's file table, chains' and the host's.
    /// </summary>
    /// <returns>False when it has come to its end.</returns>
    public static bool AcceptAgain(Chain* chain, Operation* operation)
    {
        var link = HookLink.Of(chain);
        var ring = link.Ring;
        if ((ring.Operations.Extra(operation)->Flags & UringOpFlags.Multishot) == 0 || chain->Phase != ChainPhase.Live || chain->Steps >= chain->StepLimit
            || (operation->Marks & (OperationMarks.Cancelling | OperationMarks.CancelRequested)) != 0) return false;
        Sqe again = default;
        if (FillAccept(chain, link, operation, &again, operation->File) < 0) return false;
        again.Opcode = IoUringOp.Accept;
        again.UserData = operation->Tag;
        var entry = ring.Reserve(operation);
        *entry = again;
        ring.Send(operation, entry);
        return true;
    }

    private static int PreparePoll(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint events = 0x1 | 0x2 | 0x4 | 0x2000 /* POLLIN, POLLPRI, POLLOUT, POLLRDHUP */, multishot = 1;
        if ((op.OpFlags & ~events) != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        entry->OpFlags = op.OpFlags;
        entry->Length = (op.Flags & UringOpFlags.Multishot) != 0 ? multishot : 0;
        return 0;
    }

    // From file, at offset, to target at its current position: one of the two is a pipe.
    private static int PrepareSplice(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint known = 0x2 | 0x4 /* SPLICE_F_NONBLOCK, SPLICE_F_MORE */, inputIsFixed = 1u << 31;
        if ((op.OpFlags & ~known) != 0) return -Errno.Inval;
        if (!link.Grants.AllowWrite) return -Errno.Access;
        if (!ResolveFile(chain, link, op.File, out var input) || !ResolveFile(chain, link, op.Target, out var output)) return -Errno.BadF;
        // From one pipe to another, whose bytes stay: there is no offset.
        var copies = op.Opcode == IoUringOp.Tee;
        if (copies && op.Offset != 0) return -Errno.Inval;
        if (!ReserveBytes(chain, operation, op.Length)) return -Errno.DQuot;
        operation->File = op.File;
        operation->Offset = op.Offset;
        entry->Flags = SqeFlags.FixedFile;
        entry->Fd = output;
        entry->Offset = copies ? 0 : ulong.MaxValue;
        entry->Address = op.Offset;
        entry->Length = op.Length;
        entry->OpFlags = op.OpFlags | inputIsFixed;
        entry->FileIndex = (uint)input;
        return 0;
    }

    private static int PrepareRange(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint lastAdvice = 5, keepSize = 1, syncFlags = 7;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        if (op.Opcode is not (IoUringOp.FAdvise or IoUringOp.SyncFileRange) && !link.Grants.AllowWrite) return -Errno.Access;
        if (op.Offset > long.MaxValue) return -Errno.Inval;
        operation->Offset = op.Offset;
        entry->Offset = op.Offset;
        switch (op.Opcode)
        {
            case IoUringOp.FAdvise:
                if (op.OpFlags > lastAdvice) return -Errno.Inval;
                entry->Length = op.Length;
                entry->OpFlags = op.OpFlags;
                return 0;
            case IoUringOp.SyncFileRange:
                if (op.OpFlags > syncFlags) return -Errno.Inval;
                entry->Length = op.Length;
                entry->OpFlags = op.OpFlags;
                return 0;
            case IoUringOp.FAllocate:
                if (op.OpFlags > keepSize) return -Errno.Inval;
                entry->Length = op.OpFlags;
                entry->Address = op.Length;
                return 0;
            default:
                return op.OpFlags == 0 && op.Length == 0 ? 0 : -Errno.Inval;
        }
    }

    private static int CancelFile(ExecutionState* state, uint slot)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        return HookLink.Of(chain).Ring.RequestCancel(chain, slot <= int.MaxValue ? (int)slot : -2, all: false);
    }

    private static int CancelAll(ExecutionState* state)
    {
        var chain = (Chain*)state->Chain;
        return chain->Phase == ChainPhase.Live ? HookLink.Of(chain).Ring.RequestCancel(chain, -1, all: true) : -Errno.Canceled;
    }

    private static int Handover(ExecutionState* state, uint slot)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        var link = HookLink.Of(chain);
        var own = (long)slot - link.Grants.FileCount;
        if (own < 0 || own >= link.Limits.OwnFiles || (chain->OpenFiles >> (int)own & 1) == 0) return -Errno.BadF;
        // Something is being opened into it: that would end up in a slot that is the host's.
        if ((chain->BusyFiles >> (int)own & 1) != 0) return -Errno.Busy;
        var file = chain->Files[own];
        // What waits for its turn names the slot by its number, which will be the host's, and after it anybody's.
        if (link.Ring.WaitsFor(chain, file)) return -Errno.Busy;
        if (!link.Emit(new Emission(chain->Id, chain->Context.Step, slot, (ulong)chain->Context.Result) { File = file })) return -Errno.NoSpc;
        chain->OpenFiles &= ~(1u << (int)own);
        chain->Files[own] = -1;
        link.FileSlots--;
        link.Ring.TakeOver(file);
        return 0;
    }

    private static int Message(ExecutionState* state, uint target, ulong userData, ulong value)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        const uint itself = uint.MaxValue;
        var link = HookLink.Of(chain);
        var targets = link.Grants.Targets;
        if (target != itself && target >= (uint)targets.Length) return -Errno.BadF;
        var to = target == itself ? link : targets[target];
        // What the chain was given with judges what it starts, or a message to itself would be a way around it.
        var policy = link.Ring.GivenWith(chain);
        return policy != null && to.Ring != link.Ring ? -Errno.Access : to.Send(new HookMessage(userData, value, policy));
    }
}
