using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>Who waits for an operation.</summary>
internal enum OperationOwner : byte
{
    Free,
    /// <summary>A <see cref="HostOperation"/>.</summary>
    Host,
    /// <summary>A chain: its hook runs when the operation completes.</summary>
    Chain,
    /// <summary>The ring itself, for a chain that ends: closing what it opened.</summary>
    Closing,
}

/// <summary>An operation in flight, in native memory: what its completion needs to know.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Operation
{
    /// <summary>The entry to fill in: in the submission queue itself, or <see cref="Overflow"/> where that is full. Valid from
    /// reserving to sending.</summary>
    public Sqe* Entry;
    /// <summary>The user_data of the entry: slot and generation.</summary>
    public ulong Tag;
    /// <summary>Changes when the slot is freed, so that a late completion can't be taken for another's.</summary>
    public uint Generation;
    public OperationOwner Owner;
    public IoUringOp Opcode;
    /// <summary>A cancel request was sent.</summary>
    public bool Cancelling;
    /// <summary>The hook asked to cancel it.</summary>
    public bool CancelRequested;
    /// <summary>Next in the free list, or in the queue of entries that found the submission queue full.</summary>
    public int Next;
    /// <summary>Neighbours in the chain's list.</summary>
    public int ChainPrevious, ChainNext;
    public Chain* Chain;
    /// <summary>Index of the host's waiting object.</summary>
    public int Host;
    /// <summary>File slot of the chain it works on, or -1.</summary>
    public int File;
    /// <summary>File slot of the chain it opens, or -1.</summary>
    public int Target;
    public uint Buffer;
    public ulong Offset;
    public ulong UserData;
    /// <summary>Bytes a transfer asked for.</summary>
    public uint Length;
    /// <summary>Where received bytes go; null when the operation does not fill a buffer.</summary>
    public byte* Data;
    public IoUring.OpenHow How;
    public IoUring.Timespec Time;
    /// <summary>A path copied from a buffer, freed with the slot.</summary>
    public byte* PathCopy;
    /// <summary>The entry while it waits for room in the submission queue.</summary>
    public Sqe Overflow;
}

/// <summary>The slots of operations in flight. Owner thread only.</summary>
internal sealed unsafe class OperationTable : IDisposable
{
    private readonly Operation* _slots;
    private readonly int _count;
    private int _free;

    public OperationTable(int count)
    {
        _count = count;
        _slots = (Operation*)NativeMemory.AlignedAlloc((nuint)count * (nuint)sizeof(Operation), 64);
        NativeMemory.Clear(_slots, (nuint)count * (nuint)sizeof(Operation));
        for (var i = 0; i < count; i++) _slots[i].Next = i + 1 < count ? i + 1 : -1;
    }

    /// <summary>Slots free.</summary>
    public int Available => _count - InFlight;

    /// <summary>Slots taken.</summary>
    public int InFlight { get; private set; }

    public Operation* this[int index] => _slots + index;

    public int IndexOf(Operation* operation) => (int)(operation - _slots);

    /// <summary>A slot, or null when all are taken.</summary>
    public Operation* Take(OperationOwner owner)
    {
        if (_free < 0) return null;
        var index = _free;
        var operation = _slots + index;
        _free = operation->Next;
        InFlight++;
        operation->Tag = (ulong)operation->Generation << 32 | (uint)index;
        operation->Owner = owner;
        operation->Cancelling = operation->CancelRequested = false;
        operation->Next = -1;
        operation->Chain = null;
        operation->File = operation->Target = -1;
        operation->Buffer = 0;
        operation->Offset = 0;
        operation->Data = null;
        operation->Length = 0;
        return operation;
    }

    public void Free(Operation* operation)
    {
        if (operation->PathCopy != null)
        {
            NativeMemory.Free(operation->PathCopy);
            operation->PathCopy = null;
        }
        operation->Owner = OperationOwner.Free;
        operation->Generation++;
        operation->Next = _free;
        _free = IndexOf(operation);
        InFlight--;
    }

    /// <summary>The operation a completion is for, or null when it is not (or no longer) in flight.</summary>
    public Operation* Find(ulong tag)
    {
        var index = (uint)tag;
        if (index >= (uint)_count) return null;
        var operation = _slots + index;
        return operation->Generation == (uint)(tag >> 32) && operation->Owner != OperationOwner.Free ? operation : null;
    }

    public void Dispose() => NativeMemory.AlignedFree(_slots);
}
