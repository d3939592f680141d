using System.Runtime.CompilerServices;

namespace UringBpf.Ring;

// The transfers that most hooks submit, one after the other: of a chain that has nothing else to look after, between a file and a buffer that
// are its own or granted. What Submit and PrepareTransfer do, in a fraction of the time.
internal static unsafe partial class HookCalls
{
    /// <summary>Operations that a hook with such grants may submit as plain transfers.</summary>
    public static ulong PlainTransfers(GrantTable grants)
    {
        var transfers = OperationSet.Bit(IoUringOp.Read) | OperationSet.Bit(IoUringOp.Recv) | OperationSet.Bit(IoUringOp.Send);
        if (grants.AllowWrite) transfers |= OperationSet.Bit(IoUringOp.Write);
        return transfers & grants.AllowedOperations;
    }

    /// <summary>Queues an operation when it is plain and nothing speaks against it. False: nothing has been done, and <see cref="Submit(Chain*, UringOp, UringVector*)"/>
    /// says whether it is allowed.</summary>
    // Each field is read once, as other operations may write to the memory they lie in; and none as a part of something wider than what programs
    // write, which the processor would make wait for the writes to reach its cache.
    private static bool SubmitPlain(Chain* chain, UringOp* op)
    {
        var hook = chain->Hook;
        var opcode = Volatile.Read(ref *(byte*)&op->Opcode);
        if (opcode >= 64 || (hook->PlainTransfers >> opcode & 1) == 0 || !Chain.IsPlain(chain) || chain->InFlight >= hook->MaxInFlight) return false;
        var words = (uint*)op;
        const int userData = 10, program = 12;
        if (((uint)Volatile.Read(ref *(byte*)&op->Flags) | Volatile.Read(ref words[program]) | Volatile.Read(ref words[program + 1]) | Volatile.Read(ref words[program + 2])
            | Volatile.Read(ref words[program + 3])) != 0) return false;

        var socket = opcode >= (byte)IoUringOp.Send;
        var operationFlags = Volatile.Read(ref op->OpFlags);
        if ((operationFlags & ~(socket ? SocketFlags : FileFlags)) != 0) return false;

        var file = Volatile.Read(ref op->File);
        int slot;
        if ((uint)file < (uint)hook->FileCount) slot = hook->Files[file];
        else if (!ResolveOwnFile(chain, file, out slot)) return false;

        var buffer = Volatile.Read(ref op->Buffer);
        ulong start = Volatile.Read(ref op->BufferOffset), length = Volatile.Read(ref op->Length);
        var fills = opcode is (byte)IoUringOp.Read or (byte)IoUringOp.Recv;
        byte* address;
        if (buffer < hook->BufferCount)
        {
            var granted = hook->Buffers + buffer;
            if (start + length > granted->Length || fills && !granted->Writable) return false;
            address = granted->Address + start;
        }
        else
        {
            var own = buffer - hook->BufferCount;
            if (own >= hook->OwnBuffers || start + length > hook->OwnBufferBytes) return false;
            address = chain->Memory + own * (ulong)hook->OwnBufferBytes + start;
        }
        if (length > hook->MaxBytes - chain->Bytes - chain->Reserved) return false;

        var ring = HookLink.Of(chain).Ring;
        if (ring.HasPolicies) return false;
        var operation = ring.Operations.Take(OperationOwner.Chain);
        if (operation == null) return false;
        // From here on nothing fails.
        var entry = ring.Reserve(operation);
        var offset = Volatile.Read(ref op->Offset);
        chain->Reserved += length;
        operation->Opcode = entry->Opcode = (IoUringOp)opcode;
        operation->UserData = Volatile.Read(ref words[userData]) | (ulong)Volatile.Read(ref words[userData + 1]) << 32;
        operation->Length = (uint)length;
        operation->File = file;
        operation->Buffer = buffer;
        operation->Offset = offset;
        if (fills) operation->Data = address;
        entry->Flags = SqeFlags.FixedFile;
        entry->Fd = slot;
        entry->Address = (ulong)address;
        entry->Length = (uint)length;
        entry->OpFlags = opcode == (byte)IoUringOp.Send ? operationFlags | NoSignal : operationFlags;
        if (!socket) entry->Offset = offset;
        Ring.Link(chain, operation);
        ring.Send(operation, entry);
        return true;
    }

    // A chain's own files follow the granted ones; they must be open.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool ResolveOwnFile(Chain* chain, int file, out int slot) => ResolveFile(chain, HookLink.Of(chain), file, out slot);
}
