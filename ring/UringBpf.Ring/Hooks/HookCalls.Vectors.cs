using System.Runtime.InteropServices;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>A piece of a buffer: <c>struct uring_vec</c> of uring_bpf.h.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal readonly struct UringVector
{
    public readonly ushort Buffer;
    public readonly ushort Reserved0;
    public readonly uint Offset;
    public readonly uint Length;
    public readonly uint Reserved1;
}

// Transfers between a file and several buffers at once, whose pieces follow the struct of the operation.
internal static unsafe partial class HookCalls
{
    /// <summary>Vectors that an operation may have: the struct and all of them take 320 of the 512 bytes of a stack.</summary>
    public const int MaxVectors = 16;

    private static bool HasVectors(IoUringOp operation) => operation is IoUringOp.ReadV or IoUringOp.WriteV or IoUringOp.SendMsg or IoUringOp.RecvMsg;

    private static int SubmitVectors(ExecutionState* state, byte* op, uint size)
    {
        var bytes = size - (uint)UringOp.Size;
        if (size < UringOp.Size || bytes > MaxVectors * (uint)sizeof(UringVector)) return -Errno.Inval;
        // Copied first: other operations may write to the memory they lie in.
        var copy = *(UringOp*)op;
        var vectors = stackalloc UringVector[MaxVectors];
        System.Buffer.MemoryCopy(op + UringOp.Size, vectors, MaxVectors * (uint)sizeof(UringVector), bytes);
        return copy.Length * (ulong)sizeof(UringVector) == bytes ? Submit((Chain*)state->Chain, copy, vectors) : -Errno.Inval;
    }

    private static int PrepareVectors(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op, UringVector* vectors)
    {
        if (vectors == null) return -Errno.Inval;
        var message = op.Opcode is IoUringOp.SendMsg or IoUringOp.RecvMsg;
        var fills = op.Opcode is IoUringOp.ReadV or IoUringOp.RecvMsg;
        if ((op.OpFlags & ~(message ? SocketFlags : FileFlags)) != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        if (op.Opcode == IoUringOp.WriteV && !link.Grants.AllowWrite) return -Errno.Access;

        var count = op.Length;
        var header = (MessageHeader*)link.Ring.Operations.Allocate(operation, (uint)sizeof(MessageHeader) + count * (uint)sizeof(IoVector));
        operation->Marks = OperationMarks.Settles;
        var pieces = (IoVector*)(header + 1);
        *header = new MessageHeader { Vectors = pieces, VectorCount = count };
        ulong total = 0;
        for (uint i = 0; i < count; i++)
        {
            ref var vector = ref vectors[i];
            if ((vector.Reserved0 | vector.Reserved1) != 0) return -Errno.Inval;
            var address = ResolveBuffer(chain, link, vector.Buffer, vector.Offset, vector.Length, out var writable);
            if (address == null) return -Errno.Fault;
            if (fills && !writable) return -Errno.Access;
            pieces[i] = new IoVector((nint)address, vector.Length);
            total += vector.Length;
        }
        if (total > int.MaxValue) return -Errno.Inval;
        if (message)
        {
            var result = Name(chain, link, header, op);
            if (result < 0) return result;
        }
        // The last that can fail: what it takes, the completion gives back.
        if (!ReserveBytes(chain, operation, (uint)total)) return -Errno.DQuot;
        if (op.Opcode == IoUringOp.RecvMsg) NativeMemory.Clear(header->Name, header->NameLength);
        operation->Offset = message ? 0 : op.Offset;
        entry->Address = message ? (ulong)header : (ulong)pieces;
        entry->Length = message ? 1 : count;
        entry->Offset = operation->Offset;
        entry->OpFlags = op.Opcode == IoUringOp.SendMsg ? op.OpFlags | NoSignal : op.OpFlags;
        return 0;
    }

    // Whom a message goes to: a granted address; where its sender's address is put: Path bytes of a buffer. Control data, which could carry
    // descriptors, is not a hook's: there is never room for any, and the system closes what does not fit.
    private static int Name(Chain* chain, HookLink link, MessageHeader* header, in UringOp op)
    {
        const uint longestAddress = 128;
        if (op.Opcode == IoUringOp.SendMsg)
        {
            if (op.Path == UringOp.NoAddress) return 0;
            if (op.Path >= (uint)link.Grants.AddressCount) return -Errno.BadF;
            header->Name = link.Grants.Addresses[op.Path].Bytes;
            header->NameLength = link.Grants.Addresses[op.Path].Length;
            return 0;
        }
        if (op.Path == 0) return 0;
        if (op.Path > longestAddress) return -Errno.Inval;
        header->Name = ResolveBuffer(chain, link, op.Buffer, op.BufferOffset, op.Path, out var writable);
        if (header->Name == null) return -Errno.Fault;
        header->NameLength = op.Path;
        return writable ? 0 : -Errno.Access;
    }
}
