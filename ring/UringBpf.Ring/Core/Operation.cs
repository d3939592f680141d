using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace UringBpf.Ring;

/// <summary>Who waits for an operation.</summary>
internal enum OperationOwner : byte
{
    None,
    /// <summary>A <see cref="HostOperation"/>.</summary>
    Host,
    /// <summary>A chain: its hook runs when the operation completes.</summary>
    Chain,
    /// <summary>The ring itself, for a chain that ends: closing what it opened.</summary>
    Closing,
}

/// <summary>What has happened to an operation, and what its completions need beyond the common path.</summary>
[Flags]
internal enum OperationMarks : byte
{
    None = 0,
    /// <summary>A cancel request was sent.</summary>
    Cancelling = 1,
    /// <summary>The hook asked to cancel it.</summary>
    CancelRequested = 2,
    /// <summary>Its completion changes what the chain owns or may still move: see Ring.Settle.</summary>
    Settles = 4,
    /// <summary>Another program than the attachment's own runs when it completes, or it is a program itself: see <see cref="OperationExtra"/>.</summary>
    Named = 8,
    /// <summary>Another operation is linked to it.</summary>
    Linked = 16,
    /// <summary>It was not sent when it was submitted: it waits for another. Where its completion still finds this, a NOP stood for
    /// it: it is cancelled.</summary>
    Held = 32,
    /// <summary>It is held for a drain.</summary>
    Waiting = 64,
    /// <summary>What was submitted after it waits for it.</summary>
    Draining = 128,
}

/// <summary>
/// An operation in flight, in native memory: what every completion needs to know, in one cache line. What only some
/// operations need is in <see cref="OperationExtra"/>. The upper half is laid out as <see cref="UringCompletion"/> from
/// its opcode on, and copied there as one: what stands in the place of the step is overwritten by it.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal unsafe struct Operation
{
    /// <summary>The user_data of the entry: slot in the lower half, generation in the upper. The generation changes when the
    /// slot is freed, so that a late completion can't be taken for another's.</summary>
    [FieldOffset(0)] public ulong Tag;
    [FieldOffset(8)] public Chain* Chain;
    [FieldOffset(16)] public ulong UserData;
    /// <summary>Place in the chain's list of operations in flight.</summary>
    [FieldOffset(24)] public int Place;
    /// <summary>A host's operation: index of the waiting object. It is in no chain.</summary>
    [FieldOffset(24)] public int Host;
    /// <summary>Bytes a transfer asked for.</summary>
    [FieldOffset(28)] public uint Length;
    /// <summary>The opcode as the hook sees it.</summary>
    [FieldOffset(32)] public IoUringOp Opcode;
    [FieldOffset(36)] public OperationOwner Owner;
    [FieldOffset(37)] public OperationMarks Marks;
    /// <summary>File slot of the chain that the operation opens, or -1.</summary>
    [FieldOffset(38)] public short Target;
    /// <summary>File slot of the chain it works on, or -1.</summary>
    [FieldOffset(40)] public int File;
    [FieldOffset(44)] public uint Buffer;
    [FieldOffset(48)] public ulong Offset;
    /// <summary>Where received bytes go; null when the operation does not fill a buffer.</summary>
    [FieldOffset(56)] public byte* Data;

    [FieldOffset(32)] private Vector256<byte> _seen;
    [FieldOffset(36)] private readonly ushort _ownerAndMarks;

    /// <summary>A chain's, without marks.</summary>
    public readonly bool IsPlainOfChain => _ownerAndMarks == (ushort)OperationOwner.Chain;

    /// <summary>Shows opcode, file, buffer, offset and data to the hook; the step must be set after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Show(Operation* operation, UringCompletion* context) => *(Vector256<byte>*)&context->Opcode = operation->_seen;

    /// <summary>Sets what is shown, and Target, to "nothing": NOP, owner as given, no marks, no file, buffer 0, offset 0, no data.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Clear(Operation* operation, OperationOwner owner)
    {
        operation->Length = 0;
        operation->_seen = Vector256.Create(0xFFFF_0000_0000_0000 | (ulong)owner << 32, uint.MaxValue, 0, 0).AsByte();
    }
}

/// <summary>The rarely used part of an operation, at the same index.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OperationExtra
{
    /// <summary>In <see cref="Occupies"/>: those that the operation's vectors name.</summary>
    public const int OccupiesVectors = -1;

    public IoUring.OpenHow How;
    public IoUring.Timespec Time;
    /// <summary>What the operation's entry points to beyond the grants: paths copied from a buffer, vectors, a message's header.
    /// Freed with the slot.</summary>
    public byte* Memory;
    /// <summary>Next in the queue of entries that found the submission queue full, or of those that wait for a drain.</summary>
    public int Next;
    /// <summary>The operation that starts after this one, where it is marked as linked.</summary>
    public int Successor;
    /// <summary>The operation that this one, held, is linked to; or -1.</summary>
    public int Predecessor;
    /// <summary>Which program runs when it completes; and, where the operation is a program, which one it is.</summary>
    public ushort Program, Runs;
    /// <summary>As it was submitted.</summary>
    public UringOpFlags Flags;
    /// <summary>The provided buffer that the operation works on, plus 1, or <see cref="OccupiesVectors"/>; 0 for none, and while the slot is free.</summary>
    public int Occupies;
    /// <summary>Requests to cancel it that did not find it.</summary>
    public int CancelTries;
    /// <summary>What a zero-copy send moved, or why it failed: its last completion says nothing of it.</summary>
    public int Sent;
    /// <summary>The entry while it waits for room in the submission queue.</summary>
    public Sqe Overflow;
}

/// <summary>The slots of operations in flight. Owner thread only.</summary>
internal sealed unsafe class OperationTable : IDisposable
{
    private readonly Operation* _slots;
    private readonly OperationExtra* _extra;
    // A stack, so that the slot used last, which is in the cache, is used next.
    // Behind it, in the same memory, one of those that are kept for the host.
    private readonly int* _free;
    private readonly int _count;
    private readonly int _shared;
    private int _available;
    private int _hostAvailable;

    /// <param name="count">Slots.</param>
    /// <param name="hostReserve">How many of them are the host's alone: chains that go on for ever never hold those.</param>
    public OperationTable(int count, int hostReserve)
    {
        _count = count;
        _shared = count - hostReserve;
        _slots = (Operation*)NativeMemory.AlignedAlloc((nuint)count * (nuint)sizeof(Operation), 64);
        _extra = (OperationExtra*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(OperationExtra));
        _free = (int*)NativeMemory.Alloc((nuint)count, sizeof(int));
        NativeMemory.Clear(_slots, (nuint)count * (nuint)sizeof(Operation));
        for (var i = 0; i < count; i++)
        {
            _slots[i].Tag = (uint)i;
            _free[i] = i < _shared ? _shared - 1 - i : i;
        }
        _available = _shared;
        _hostAvailable = hostReserve;
    }

    /// <summary>Slots.</summary>
    public int Count => _count;

    /// <summary>Slots free for the host.</summary>
    public int Available => _available + _hostAvailable;

    /// <summary>Slots free for chains.</summary>
    public int AvailableToChains => _available;

    /// <summary>Slots taken.</summary>
    public int InFlight => _count - Available;

    /// <summary>The slots that are taken. Rare: allocates.</summary>
    public IEnumerable<int> Taken()
    {
        var free = new HashSet<int>();
        for (var i = 0; i < _available; i++) free.Add(_free[i]);
        for (var i = 0; i < _hostAvailable; i++) free.Add(_free[_shared + i]);
        return Enumerable.Range(0, _count).Where(index => !free.Contains(index));
    }

    public Operation* this[int index] => _slots + (uint)index;

    public static int IndexOf(Operation* operation) => (int)(uint)operation->Tag;

    public OperationExtra* Extra(Operation* operation) => _extra + (uint)operation->Tag;

    /// <summary>A slot for a chain, or null when all that it may take are taken. Its fields are set to "nothing", <see cref="Operation.Opcode"/> to
    /// <see cref="IoUringOp.Nop"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Operation* Take(OperationOwner owner)
    {
        var available = _available - 1;
        if (available < 0) return null;
        _available = available;
        var operation = _slots + (uint)_free[(uint)available];
        Operation.Clear(operation, owner);
        return operation;
    }

    /// <summary>A slot for the host, or null when all are taken: of its own first, so that the others are left to chains.</summary>
    public Operation* TakeForHost()
    {
        if (_hostAvailable == 0) return Take(OperationOwner.Host);
        var operation = _slots + (uint)_free[_shared + --_hostAvailable];
        Operation.Clear(operation, OperationOwner.Host);
        return operation;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Free(Operation* operation)
    {
        var tag = operation->Tag;
        operation->Tag = tag + (1UL << 32);
        var index = (int)(uint)tag;
        if (index < _shared) _free[(uint)_available++] = index;
        else _free[_shared + _hostAvailable++] = index;
    }

    /// <summary>As <see cref="Free"/>, of a slot that <see cref="Take"/> gave to a chain: those are none of the host's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void FreeOfChain(Operation* operation)
    {
        // As a whole: the next use of the slot may read it as a whole before a part has reached the cache.
        var tag = operation->Tag;
        operation->Tag = tag + (1UL << 32);
        _free[(uint)_available++] = (int)(uint)tag;
    }

    /// <summary>Memory for what an operation's entry points to, freed with the slot. Once for each operation, which must be marked as one that settles.</summary>
    public byte* Allocate(Operation* operation, uint bytes) => Extra(operation)->Memory = (byte*)NativeMemory.Alloc(bytes);

    /// <summary>Frees what was allocated for an operation, if anything was.</summary>
    // Not inlined: its call into native code would cost every method it is part of.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void FreeMemory(Operation* operation)
    {
        var extra = Extra(operation);
        NativeMemory.Free(extra->Memory);
        extra->Memory = null;
    }

    /// <summary>The operation a completion is for, or null when it is not (or no longer) in flight.</summary>
    public Operation* Find(ulong tag) => Slot(tag) is var operation && Holds(operation, tag) ? operation : null;

    /// <summary>Where the operation with a tag is, if it is in flight: ask <see cref="Holds"/> before anything else.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Operation* Slot(ulong tag) => _slots + (uint)tag;

    /// <summary>True when the operation with a tag is in flight, at its <see cref="Slot"/>.</summary>
    // A slot that is free has a generation that no submission has had yet.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Holds(Operation* slot, ulong tag) => (uint)tag < (uint)_count && slot->Tag == tag;

    public void Dispose()
    {
        for (var i = 0; i < _count; i++) NativeMemory.Free(_extra[i].Memory);
        NativeMemory.AlignedFree(_slots);
        NativeMemory.Free(_extra);
        NativeMemory.Free(_free);
    }
}
