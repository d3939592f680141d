using UringBpf.Runtime;

namespace UringBpf.Ring;

// Sockets, polls, splices and ranges of files; provided buffers; what a hook cancels, hands over and sends to others.
internal static unsafe partial class HookCalls
{
    /// <summary>The shortest time between two completions of a timer, in nanoseconds.</summary>
    public const ulong ShortestPeriod = 1_000_000;

    private static bool KnowsMultishot(in UringOp op) => op.Opcode switch
    {
        IoUringOp.Timeout or IoUringOp.PollAdd => true,
        IoUringOp.Recv => (op.Flags & UringOpFlags.ProvidedBuffer) != 0,
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
            var slot = link.Ring.TakeFileSlot();
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
        const int stream = 1;
        if (op.OpFlags != 0) return -Errno.Inval;
        if (op.Path >= (uint)link.Grants.AddressCount) return -Errno.BadF;
        var result = CheckTarget(chain, link, op.Target);
        if (result < 0) return result;
        entry->Fd = link.Grants.Addresses[op.Path].Family;
        entry->Offset = stream;
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

    private static int PrepareAccept(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        if (op.OpFlags != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        var result = CheckTarget(chain, link, op.Target);
        if (result < 0) return result;
        return TakeTarget(chain, link, operation, entry, op.Target);
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
        if (!ReserveBytes(chain, operation, op.Length)) return -Errno.DQuot;
        operation->File = op.File;
        operation->Offset = op.Offset;
        entry->Flags = SqeFlags.FixedFile;
        entry->Fd = output;
        entry->Offset = ulong.MaxValue;
        entry->Address = op.Offset;
        entry->Length = op.Length;
        entry->OpFlags = op.OpFlags | inputIsFixed;
        entry->FileIndex = (uint)input;
        return 0;
    }

    private static int PrepareRange(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint lastAdvice = 5, keepSize = 1;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        if (op.Opcode != IoUringOp.FAdvise && !link.Grants.AllowWrite) return -Errno.Access;
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
            case IoUringOp.FAllocate:
                if (op.OpFlags > keepSize) return -Errno.Inval;
                entry->Length = op.OpFlags;
                entry->Address = op.Length;
                return 0;
            default:
                return op.OpFlags == 0 && op.Length == 0 ? 0 : -Errno.Inval;
        }
    }

    // unlinkat and mkdirat know no RESOLVE_BENEATH: a bare name in a granted directory, or a path granted as a whole.
    private static int PrepareName(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint removesDirectory = 0x200, permissions = 0xFFF;
        if (!link.Grants.AllowWrite) return -Errno.Access;
        if ((op.OpFlags & ~(op.Opcode == IoUringOp.UnlinkAt ? removesDirectory : 0)) != 0) return -Errno.Inval;
        var result = ResolvePath(chain, link, operation, op, out var path, out var directoryFd, out var beneath);
        if (result < 0) return result;
        if (beneath && !IsBareName(path)) return -Errno.Access;
        entry->Fd = directoryFd;
        entry->Address = (ulong)path;
        if (op.Opcode == IoUringOp.UnlinkAt) entry->OpFlags = op.OpFlags;
        else entry->Length = op.Length & permissions;
        return 0;
    }

    // A receive that picks its buffer when data has arrived.
    private static int PrepareProvided(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint known = 0x40 /* MSG_DONTWAIT */ | 0x4000 /* MSG_NOSIGNAL */;
        if (link.Grants.Provided is not { } provided) return -Errno.OpNotSupp;
        if ((op.OpFlags & ~known) != 0 || op.Length != 0 || op.BufferOffset != 0 || op.Buffer != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        var multishot = (op.Flags & UringOpFlags.Multishot) != 0;
        // How much one that goes on moves is not known when it is submitted: that has no place under a limit.
        if (multishot && chain->Hook->MaxBytes != ulong.MaxValue) return -Errno.DQuot;
        if (!ReserveBytes(chain, operation, (uint)provided.BufferBytes)) return -Errno.DQuot;
        entry->Flags |= SqeFlags.BufferSelect;
        entry->BufferIndex = provided.Group;
        entry->OpFlags = op.OpFlags;
        entry->IoPriority = multishot ? Prepare.Multishot : (ushort)0;
        return 0;
    }

    // What was provided to this chain, and is shown to it or held by it.
    private static byte* ResolveProvided(Chain* chain, HookLink link, uint id, ulong offset, ulong length, out bool writable)
    {
        writable = false;
        var holders = link.Grants.Holders;
        if (id >= (uint)holders.Length || holders[id] != chain->Id) return null;
        var bytes = (ulong)link.Grants.Provided!.BufferBytes;
        if (offset > bytes || length > bytes - offset) return null;
        writable = true;
        return link.Grants.Provided.Memory((int)id) + offset;
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

    private static int HoldBuffer(ExecutionState* state)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        if ((chain->Marks & ChainMarks.Provided) == 0) return -Errno.Inval;
        chain->Holds = true;
        return 0;
    }

    private static int ReleaseBuffer(ExecutionState* state, uint buffer)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        var link = HookLink.Of(chain);
        var id = buffer - (uint)(link.Grants.BufferCount + link.Limits.OwnBuffers);
        if (id >= (uint)link.Grants.Holders.Length || link.Grants.Holders[id] != chain->Id) return -Errno.Inval;
        // The one that is shown goes back when the hook returns, and not before.
        if ((chain->Marks & ChainMarks.Provided) != 0 && chain->ProvidedId == id)
        {
            chain->Holds = false;
            return 0;
        }
        chain->Held--;
        link.Recycle((int)id);
        return 0;
    }

    private static int Handover(ExecutionState* state, uint slot)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        var link = HookLink.Of(chain);
        var own = (long)slot - link.Grants.FileCount;
        if (own < 0 || own >= link.Limits.OwnFiles || (chain->OpenFiles >> (int)own & 1) == 0) return -Errno.BadF;
        var file = chain->Files[own];
        if (!link.Emit(new Emission(chain->Id, chain->Context.Step, slot, (ulong)chain->Context.Result) { File = file })) return -Errno.NoSpc;
        chain->OpenFiles &= ~(1u << (int)own);
        chain->Files[own] = -1;
        link.Ring.TakeOver(file);
        return 0;
    }

    private static int Message(ExecutionState* state, uint target, ulong userData, ulong value)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        const uint itself = uint.MaxValue;
        var link = HookLink.Of(chain);
        if (target == itself) return link.Send(userData, value);
        var targets = link.Grants.Targets;
        return target < (uint)targets.Length ? targets[target].Send(userData, value) : -Errno.BadF;
    }
}
