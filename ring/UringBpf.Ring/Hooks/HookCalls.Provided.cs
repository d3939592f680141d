using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>To whom a provided buffer belongs while the kernel does not have it.</summary>
internal struct ProvidedHolder
{
    /// <summary>The chain that was shown it, or holds it; 0 while it is the kernel's to fill.</summary>
    public ulong Chain;
    /// <summary>How often operations in flight name it.</summary>
    public int Uses;
    /// <summary>The chain has given it back: it goes when the hook has returned and no operation works on it.</summary>
    public bool Parting;
}

// Provided buffers: what receives pick from, whom they belong to meanwhile, and when they go back.
internal static unsafe partial class HookCalls
{
    // A receive, or a read that goes on, which picks its buffer when data has arrived.
    private static int PrepareProvided(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint known = 0x40 /* MSG_DONTWAIT */ | 0x4000 /* MSG_NOSIGNAL */;
        var reads = op.Opcode == IoUringOp.ReadMultishot;
        if (reads && ((op.Flags & UringOpFlags.Multishot) == 0 || op.OpFlags != 0)) return -Errno.Inval;
        if (link.Grants.Provided is not { } provided) return -Errno.OpNotSupp;
        if ((op.OpFlags & ~known) != 0 || op.Length != 0 || op.BufferOffset != 0 || op.Buffer != 0) return -Errno.Inval;
        if (!UseFile(chain, link, operation, entry, op.File)) return -Errno.BadF;
        var multishot = (op.Flags & UringOpFlags.Multishot) != 0;
        // How much one that goes on moves is not known when it is submitted: that has no place under a limit.
        if (multishot && chain->Hook->MaxBytes != ulong.MaxValue) return -Errno.DQuot;
        if (!ReserveBytes(chain, operation, (uint)provided.BufferBytes)) return -Errno.DQuot;
        // It is shown to the hook.
        operation->Marks = OperationMarks.Settles;
        entry->Flags |= SqeFlags.BufferSelect;
        entry->BufferIndex = provided.Group;
        entry->OpFlags = op.OpFlags;
        if (reads) entry->Offset = ulong.MaxValue;
        else entry->IoPriority = multishot ? Prepare.Multishot : (ushort)0;
        return 0;
    }

    // What was provided to this chain, is shown to it or held by it, and not given back.
    private static byte* ResolveProvided(Chain* chain, HookLink link, uint id, ulong offset, ulong length, out bool writable)
    {
        writable = false;
        var holders = link.Grants.Holders;
        if (id >= (uint)holders.Length || holders[id].Chain != chain->Id || holders[id].Parting) return null;
        var bytes = (ulong)link.Grants.Provided!.BufferBytes;
        if (offset > bytes || length > bytes - offset) return null;
        writable = true;
        return link.Grants.Provided.Memory((int)id) + offset;
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
        if (id >= (uint)link.Grants.Holders.Length) return -Errno.Inval;
        ref var holder = ref link.Grants.Holders[id];
        if (holder.Chain != chain->Id || holder.Parting) return -Errno.Inval;
        // The one that is shown goes back when the hook returns, and not before.
        if ((chain->Marks & ChainMarks.Provided) != 0 && chain->ProvidedId == id)
        {
            chain->Holds = false;
            return 0;
        }
        // So do others: the hook may have the address of one.
        holder.Parting = true;
        link.Grants.Released[link.Grants.ReleasedCount++] = (int)id;
        chain->Marks |= ChainMarks.Releases;
        return 0;
    }

    /// <summary>The hook has returned: the buffer that it was shown goes back, unless it holds it.</summary>
    public static void KeepOrRecycle(Chain* chain)
    {
        chain->Marks &= ~ChainMarks.Provided;
        chain->Held++;
        if (chain->Holds) return;
        var link = HookLink.Of(chain);
        link.Grants.Holders[chain->ProvidedId].Parting = true;
        Part(chain, link, chain->ProvidedId);
    }

    /// <summary>The hook has returned: what it has released goes back.</summary>
    public static void RecycleReleased(Chain* chain)
    {
        chain->Marks &= ~ChainMarks.Releases;
        var link = HookLink.Of(chain);
        while (link.Grants.ReleasedCount > 0) Part(chain, link, link.Grants.Released[--link.Grants.ReleasedCount]);
    }

    // A buffer that was given back goes, unless operations work on it: then with the last of them.
    private static void Part(Chain* chain, HookLink link, int id)
    {
        ref var holder = ref link.Grants.Holders[id];
        if (!holder.Parting || holder.Uses > 0) return;
        chain->Held--;
        link.Recycle(id);
    }

    /// <summary>An operation that is about to go out may work on buffers that were provided to its chain: those stay the chain's until it has completed.</summary>
    private static void Occupy(Chain* chain, HookLink link, Operation* operation, Sqe* entry)
    {
        var provided = link.Grants.Provided!;
        var extra = link.Ring.Operations.Extra(operation);
        if (HasVectors(operation->Opcode))
        {
            extra->Occupies = OperationExtra.OccupiesVectors;
            if (!CountVectors(chain, link, extra, 1)) extra->Occupies = 0;
        }
        else
        {
            var address = operation->Opcode switch
            {
                // No bytes at the end of one are at the start of another.
                IoUringOp.Read or IoUringOp.Write or IoUringOp.Send or IoUringOp.SendZc or IoUringOp.Recv when entry->Length > 0 => (byte*)entry->Address,
                IoUringOp.StatX => (byte*)entry->Offset,
                IoUringOp.Program => operation->Data,
                _ => null,
            };
            extra->Occupies = provided.IdAt(address) + 1;
            if (extra->Occupies > 0) link.Grants.Holders[extra->Occupies - 1].Uses++;
        }
        if (extra->Occupies == 0) return;
        chain->Occupying++;
        operation->Marks |= OperationMarks.Settles;
    }

    /// <summary>An operation has completed for the last time: what it worked on, and its chain has given back, goes.</summary>
    public static void Vacate(Chain* chain, Operation* operation)
    {
        var link = HookLink.Of(chain);
        var extra = link.Ring.Operations.Extra(operation);
        var occupied = extra->Occupies;
        if (occupied == 0) return;
        extra->Occupies = 0;
        chain->Occupying--;
        if (occupied == OperationExtra.OccupiesVectors)
        {
            CountVectors(chain, link, extra, -1);
            return;
        }
        link.Grants.Holders[occupied - 1].Uses--;
        Part(chain, link, occupied - 1);
    }

    // The pieces of a transfer, and where the sender's name goes.
    private static bool CountVectors(Chain* chain, HookLink link, OperationExtra* extra, int uses)
    {
        var header = (MessageHeader*)extra->Memory;
        var any = Count(chain, link, header->Name, uses);
        for (nuint i = 0; i < header->VectorCount; i++) any |= header->Vectors[i].Length > 0 && Count(chain, link, (byte*)header->Vectors[i].Address, uses);
        return any;
    }

    private static bool Count(Chain* chain, HookLink link, byte* address, int uses)
    {
        var id = link.Grants.Provided!.IdAt(address);
        if (id < 0) return false;
        link.Grants.Holders[id].Uses += uses;
        Part(chain, link, id);
        return true;
    }
}
