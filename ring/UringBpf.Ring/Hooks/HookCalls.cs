using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// What a hook's kfuncs do: the ring's side of <see cref="HookHost"/>. Every slot, bound and limit is checked here, for
/// hooks and for the first operation of a chain alike. Ring's thread only; nothing is allocated.
/// </summary>
internal static unsafe partial class HookCalls
{
    // The flags that a hook may give. MSG_* that change what a result means (MSG_TRUNC) or where bytes go are not among them; RWF_NOWAIT,
    // RWF_DSYNC, RWF_SYNC and RWF_APPEND change neither.
    private const uint NoSignal = 0x4000; // MSG_NOSIGNAL
    private const uint SocketFlags = 0x02 /* MSG_PEEK */ | 0x40 /* MSG_DONTWAIT */ | 0x100 /* MSG_WAITALL */ | NoSignal | 0x8000 /* MSG_MORE */;
    private const uint FileFlags = 0x02 | 0x04 | 0x08 | 0x10;

    /// <summary>The functions, in native memory for the life of the process.</summary>
    public static HookHost* Table { get; } = Create();

    private static HookHost* Create()
    {
        var table = (HookHost*)NativeMemory.AllocZeroed((nuint)sizeof(HookHost));
        table->Submit = &Submit;
        table->Cancel = &Cancel;
        table->Emit = &Emit;
        table->Buffer = &Buffer;
        table->HoldBuffer = &HoldBuffer;
        table->Timeout = &Timeout;
        table->Handover = &Handover;
        table->ReleaseBuffer = &ReleaseBuffer;
        table->Fork = &Fork;
        table->Join = &Join;
        table->Message = &Message;
        table->CancelFile = &CancelFile;
        table->CancelAll = &CancelAll;
        return table;
    }

    private static int Submit(ExecutionState* state, byte* op, uint size)
    {
        // The size is the struct's version, and says how many vectors follow it.
        if (size != UringOp.Size) return SubmitVectors(state, op, size);
        var chain = (Chain*)state->Chain;
        return SubmitPlain(chain, (UringOp*)op) ? 0 : SubmitCopy(chain, (UringOp*)op);
    }

    // Copied first: other operations may write to the memory it lies in.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int SubmitCopy(Chain* chain, UringOp* op) => Submit(chain, *op);

    /// <summary>Queues an operation of a chain: 0 or -errno.</summary>
    /// <param name="chain">The chain.</param>
    /// <param name="op">The operation.</param>
    /// <param name="vectors">As many as its Length says, where it has vectors; else null.</param>
    public static int Submit(Chain* chain, UringOp op, UringVector* vectors = null)
    {
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        const UringOpFlags known = UringOpFlags.PathInBuffer | UringOpFlags.Link | UringOpFlags.HardLink | UringOpFlags.Drain | UringOpFlags.NamesProgram
            | UringOpFlags.Multishot | UringOpFlags.ProvidedBuffer;
        if (!op.ReservedIsZero || (op.Flags & ~known) != 0) return -Errno.Inval;
        // One that completes again and again has no end to be linked to; it is known where it can be had.
        if ((op.Flags & UringOpFlags.Multishot) != 0 && ((op.Flags & (UringOpFlags.Link | UringOpFlags.HardLink)) != 0 || !KnowsMultishot(op))) return -Errno.Inval;
        if ((op.Flags & UringOpFlags.ProvidedBuffer) != 0 && op.Opcode is not (IoUringOp.Recv or IoUringOp.ReadMultishot)) return -Errno.Inval;
        if (vectors != null && !HasVectors(op.Opcode)) return -Errno.Inval;
        if (!OperationSet.Has(op.Opcode)) return -Errno.OpNotSupp;
        var hook = chain->Hook;
        if ((hook->AllowedOperations & OperationSet.Bit(op.Opcode)) == 0) return -Errno.Access;
        if (op.Program > (uint)hook->NamedCount) return -Errno.Inval;
        if (chain->InFlight >= hook->MaxInFlight) return -Errno.Busy;
        var link = HookLink.Of(chain);
        var ring = link.Ring;
        if ((ring.HookOperations & OperationSet.Bit(op.Opcode)) == 0) return -Errno.OpNotSupp;

        var operation = ring.Operations.Take(OperationOwner.Chain);
        if (operation == null) return -Errno.Busy;
        // What is linked, drains, or comes after such, may have to wait: it is kept in its slot until then.
        const UringOpFlags order = UringOpFlags.Link | UringOpFlags.HardLink | UringOpFlags.Drain;
        var ordered = (op.Flags & order) != 0 || chain->Marks > ChainMarks.Cancels || chain->Draining > 0;
        var entry = ordered ? ring.ReserveHeld(operation) : ring.Reserve(operation);
        operation->Opcode = op.Opcode;
        entry->Opcode = op.Opcode;
        operation->UserData = op.UserData;
        var result = op.Opcode switch
        {
            IoUringOp.Nop => PrepareNop(operation, entry, op),
            IoUringOp.Read or IoUringOp.Write => PrepareTransfer(chain, link, operation, entry, op),
            IoUringOp.FSync => PrepareSync(chain, link, operation, entry, op),
            IoUringOp.OpenAt => PrepareOpen(chain, link, operation, entry, op),
            IoUringOp.Close => PrepareClose(chain, link, operation, entry, op),
            IoUringOp.StatX => PrepareStat(chain, link, operation, entry, op),
            IoUringOp.Timeout => PrepareTimeout(ring, operation, entry, op),
            IoUringOp.LinkTimeout => PrepareLinkTimeout(chain, ring, operation, entry, op),
            IoUringOp.Recv when (op.Flags & UringOpFlags.ProvidedBuffer) != 0 => PrepareProvided(chain, link, operation, entry, op),
            IoUringOp.ReadMultishot => PrepareProvided(chain, link, operation, entry, op),
            IoUringOp.ReadV or IoUringOp.WriteV or IoUringOp.SendMsg or IoUringOp.RecvMsg => PrepareVectors(chain, link, operation, entry, op, vectors),
            IoUringOp.Send or IoUringOp.Recv or IoUringOp.SendZc => PrepareTransfer(chain, link, operation, entry, op),
            IoUringOp.Socket => PrepareSocket(chain, link, operation, entry, op),
            IoUringOp.Connect or IoUringOp.Bind => PrepareConnect(chain, link, operation, entry, op),
            IoUringOp.Listen => PrepareListen(chain, link, operation, entry, op),
            IoUringOp.Accept => PrepareAccept(chain, link, operation, entry, op),
            IoUringOp.PollAdd => PreparePoll(chain, link, operation, entry, op),
            IoUringOp.Splice or IoUringOp.Tee => PrepareSplice(chain, link, operation, entry, op),
            IoUringOp.FTruncate or IoUringOp.FAllocate or IoUringOp.FAdvise or IoUringOp.SyncFileRange => PrepareRange(chain, link, operation, entry, op),
            IoUringOp.UnlinkAt or IoUringOp.MkdirAt => PrepareName(chain, link, operation, entry, op),
            IoUringOp.RenameAt or IoUringOp.LinkAt => PrepareTwoNames(chain, link, operation, entry, op),
            IoUringOp.Shutdown => PrepareShutdown(chain, link, operation, entry, op),
            IoUringOp.Program => PrepareProgram(chain, link, ring, operation, entry, op),
            _ => -Errno.OpNotSupp,
        };
        if (result >= 0 && ring.HasPolicies)
        {
            result = ring.Judge(chain, link, op, vectors, entry);
            // What preparing it has taken goes back, as if it had failed.
            if (result < 0)
            {
                if ((operation->Marks & OperationMarks.Settles) != 0) Ring.Settle(chain, operation, result, CqeFlags.None);
                if (op.Opcode != IoUringOp.Program) Ring.SettleBytes(chain, operation, result, CqeFlags.None);
            }
        }
        if (result < 0)
        {
            ring.Abandon(operation, entry);
            return result;
        }
        // Only what is shown to the chain, or held by it, can be named.
        if (chain->Held > 0 || (chain->Marks & ChainMarks.Provided) != 0) Occupy(chain, link, operation, entry);
        // Its completion runs the program it names; else the one that submits it.
        var handler = op.Opcode != IoUringOp.Program && (op.Flags & UringOpFlags.NamesProgram) != 0 ? (ushort)op.Program : chain->Running;
        if (handler != 0 || op.Opcode == IoUringOp.Program)
        {
            operation->Marks |= OperationMarks.Named;
            ring.Operations.Extra(operation)->Program = handler;
        }
        Ring.Link(chain, operation);
        if (ordered) ring.SendInOrder(chain, operation, op.Flags);
        else ring.Send(operation, entry);
        return 0;
    }

    // In the kernel's eyes a NOP: the program runs when it completes.
    private static int PrepareProgram(Chain* chain, HookLink link, Ring ring, Operation* operation, Sqe* entry, in UringOp op)
    {
        if (op.OpFlags != 0 || op.Offset != 0 || op.File != -1) return -Errno.Inval;
        if (op.Length > 0)
        {
            var address = ResolveBuffer(chain, link, op.Buffer, op.BufferOffset, op.Length, out _);
            if (address == null) return -Errno.Fault;
            operation->Buffer = op.Buffer;
            operation->Data = address;
            operation->Length = op.Length;
        }
        entry->Opcode = IoUringOp.Nop;
        entry->Fd = -1;
        ring.Operations.Extra(operation)->Runs = (ushort)op.Program;
        return 0;
    }

    /// <summary>A message begins a chain: its hook runs as for a completion of MSG_RING.</summary>
    public static int Receive(Chain* chain, ulong userData)
    {
        var ring = HookLink.Of(chain).Ring;
        var operation = ring.Operations.Take(OperationOwner.Chain);
        if (operation == null) return -Errno.Busy;
        var entry = ring.Reserve(operation);
        operation->Opcode = IoUringOp.MsgRing;
        operation->UserData = userData;
        entry->Opcode = IoUringOp.Nop;
        entry->Fd = -1;
        Ring.Link(chain, operation);
        ring.Send(operation, entry);
        return 0;
    }

    private static int PrepareNop(Operation* operation, Sqe* entry, in UringOp op)
    {
        // IORING_NOP_INJECT_RESULT: completes with Length as its result. For tests of hooks against the real kernel.
        const uint injectResult = 1;
        if ((op.OpFlags & ~injectResult) != 0) return -Errno.Inval;
        entry->OpFlags = op.OpFlags;
        entry->Length = op.OpFlags == injectResult ? op.Length : 0;
        entry->Fd = -1;
        return 0;
    }

    private static int PrepareTransfer(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        var socket = op.Opcode is IoUringOp.Send or IoUringOp.Recv or IoUringOp.SendZc;
        if ((op.OpFlags & ~(socket ? SocketFlags : FileFlags)) != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        var address = ResolveBuffer(chain, link, op.Buffer, op.BufferOffset, op.Length, out var writable);
        if (address == null) return -Errno.Fault;
        var fills = op.Opcode is IoUringOp.Read or IoUringOp.Recv;
        if (fills && !writable) return -Errno.Access;
        if (op.Opcode == IoUringOp.Write && !link.Grants.AllowWrite) return -Errno.Access;
        if (!ReserveBytes(chain, operation, op.Length)) return -Errno.DQuot;
        // Its second completion moves nothing.
        if (op.Opcode == IoUringOp.SendZc) operation->Marks = OperationMarks.Settles;
        operation->Buffer = op.Buffer;
        operation->Offset = op.Offset;
        operation->Data = fills ? address : null;
        entry->Address = (ulong)address;
        entry->Length = op.Length;
        // A peer that went away is a result, never a signal to the whole process.
        entry->OpFlags = op.Opcode is IoUringOp.Send or IoUringOp.SendZc ? op.OpFlags | NoSignal : op.OpFlags;
        entry->Offset = socket ? 0 : op.Offset;
        return 0;
    }

    private static int PrepareSync(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint dataOnly = 1;
        if ((op.OpFlags & ~dataOnly) != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        entry->OpFlags = op.OpFlags;
        return 0;
    }

    private static int PrepareShutdown(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint bothDirections = 2;
        if (op.OpFlags != 0 || op.Length > bothDirections) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        entry->Length = op.Length;
        return 0;
    }

    private static int PrepareClose(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        var result = CheckTarget(chain, link, op.File);
        if (result < 0) return result;
        if (!ResolveFile(chain, link, op.File, out var slot)) return -Errno.BadF;
        // From here on nothing else may be submitted on it.
        var own = 1u << (op.File - link.Grants.FileCount);
        chain->BusyFiles |= own;
        chain->OpenFiles &= ~own;
        operation->File = op.File;
        operation->Marks = OperationMarks.Settles;
        entry->FileIndex = (uint)slot + 1;
        return 0;
    }

    private static int PrepareTimeout(Ring ring, Operation* operation, Sqe* entry, in UringOp op)
    {
        const ulong second = 1_000_000_000;
        const uint multishot = 64;
        // Only what repeats has a count of completions (0: no limit).
        if (op.Offset > long.MaxValue || op.OpFlags != 0 || (op.Flags & UringOpFlags.Multishot) == 0 && op.Length != 0) return -Errno.Inval;
        // A timer that runs out at once, again and again, would leave the ring no time for anything else.
        if ((op.Flags & UringOpFlags.Multishot) != 0 && op.Offset < ShortestPeriod) return -Errno.Inval;
        var time = &ring.Operations.Extra(operation)->Time;
        *time = new IoUring.Timespec { Seconds = (long)(op.Offset / second), Nanoseconds = (long)(op.Offset % second) };
        entry->Address = (ulong)time;
        entry->Length = 1;
        if ((op.Flags & UringOpFlags.Multishot) == 0) return 0;
        entry->OpFlags = multishot;
        entry->Offset = op.Length;
        return 0;
    }

    // In the back end's eyes a timer: that it belongs to the operation before it, and ends it, is the ring's affair.
    private static int PrepareLinkTimeout(Chain* chain, Ring ring, Operation* operation, Sqe* entry, in UringOp op)
    {
        if ((chain->Marks & ChainMarks.Links) == 0 || ring.Operations[chain->LinkTail]->Opcode == IoUringOp.LinkTimeout) return -Errno.Inval;
        if (op.Length != 0 || (op.Flags & UringOpFlags.Drain) != 0) return -Errno.Inval;
        var result = PrepareTimeout(ring, operation, entry, op);
        entry->Opcode = IoUringOp.Timeout;
        operation->Marks = OperationMarks.Settles;
        return result;
    }

    // The ring's file slot of a chain's file slot: granted files first, then the chain's own, which must be open.
    private static bool ResolveFile(Chain* chain, HookLink link, int file, out int slot)
    {
        slot = -1;
        if (file < 0) return false;
        if (file < link.Grants.FileCount)
        {
            slot = link.Grants.Files[file];
            return true;
        }
        var own = file - link.Grants.FileCount;
        if (own >= link.Limits.OwnFiles || (chain->OpenFiles >> own & 1) == 0) return false;
        slot = chain->Files[own];
        return true;
    }

    // Makes an operation one on a file of the chain's.
    private static bool UseFile(Chain* chain, HookLink link, Operation* operation, Sqe* entry, int file)
    {
        if (!ResolveFile(chain, link, file, out var slot)) return false;
        operation->File = file;
        entry->Flags = SqeFlags.FixedFile;
        entry->Fd = slot;
        return true;
    }

    // What was asked for counts while it is in flight; what came counts for good. Their sum never exceeds the limit.
    private static bool ReserveBytes(Chain* chain, Operation* operation, uint bytes)
    {
        if (bytes > chain->Hook->MaxBytes - chain->Bytes - chain->Reserved) return false;
        chain->Reserved += bytes;
        operation->Length = bytes;
        return true;
    }

    // The address of length bytes of a buffer, or null when they are not inside: granted buffers first, then the chain's own.
    private static byte* ResolveBuffer(Chain* chain, HookLink link, uint index, ulong offset, ulong length, out bool writable)
    {
        writable = false;
        if (index < (uint)link.Grants.BufferCount)
        {
            ref var buffer = ref link.Grants.Buffers[index];
            if (offset > buffer.Length || length > buffer.Length - offset) return null;
            writable = buffer.Writable;
            return buffer.Address + offset;
        }
        var own = index - (uint)link.Grants.BufferCount;
        var bytes = (ulong)link.Limits.OwnBufferBytes;
        if (own >= (uint)link.Limits.OwnBuffers) return ResolveProvided(chain, link, own - (uint)link.Limits.OwnBuffers, offset, length, out writable);
        if (offset > bytes || length > bytes - offset) return null;
        writable = true;
        return chain->Memory + own * bytes + offset;
    }

    private static int Cancel(ExecutionState* state, ulong userData)
    {
        var chain = (Chain*)state->Chain;
        return chain->Phase == ChainPhase.Live ? HookLink.Of(chain).Ring.RequestCancel(chain, userData) : -Errno.Canceled;
    }

    private static int Emit(ExecutionState* state, ulong userData, ulong value)
    {
        var chain = (Chain*)state->Chain;
        if (chain->Phase != ChainPhase.Live) return -Errno.Canceled;
        return HookLink.Of(chain).Emit(new Emission(chain->Id, chain->Context.Step, userData, value)) ? 0 : -Errno.NoSpc;
    }

    private static byte* Buffer(ExecutionState* state, uint index, ulong offset, ulong size)
    {
        var chain = (Chain*)state->Chain;
        var address = ResolveBuffer(chain, HookLink.Of(chain), index, offset, size, out var writable);
        // The verifier took the memory for writable unless the program never writes: read-only grants are checked at attach.
        return address;
    }

    private static int Timeout(ExecutionState* state, ulong nanoseconds, ulong userData)
    {
        var op = UringOp.Nop(userData);
        op.Opcode = IoUringOp.Timeout;
        op.Offset = nanoseconds;
        return Submit((Chain*)state->Chain, op);
    }

    private static int Fork(ExecutionState* state, uint counter, uint count)
    {
        var chain = (Chain*)state->Chain;
        if (counter >= Chain.JoinCounters || count > int.MaxValue - chain->Counters[counter]) return -Errno.Inval;
        chain->Counters[counter] += count;
        return 0;
    }

    private static int Join(ExecutionState* state, uint counter)
    {
        var chain = (Chain*)state->Chain;
        if (counter >= Chain.JoinCounters || chain->Counters[counter] == 0) return -Errno.Inval;
        return (int)--chain->Counters[counter];
    }
}
