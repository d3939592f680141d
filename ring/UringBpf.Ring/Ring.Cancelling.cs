using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

// Requests to cancel operations that are in flight.
public sealed unsafe partial class Ring
{
    // A request's completion carries its operation's tag with this bit, which no slot's number has.
    private const ulong CancelBit = 1UL << 31;
    // Requests that found nothing are made again after 1, 2, 4 … 512 ms.
    private const int Pauses = 10;
    private static readonly IoUring.Timespec* s_pauses = MakePauses();

    private static IoUring.Timespec* MakePauses()
    {
        const long millisecond = 1_000_000;
        var pauses = (IoUring.Timespec*)NativeMemory.AllocZeroed(Pauses, (nuint)sizeof(IoUring.Timespec));
        for (var i = 0; i < Pauses; i++) pauses[i].Nanoseconds = millisecond << i;
        return pauses;
    }

    // Asks the kernel to cancel an operation; its own completion will tell how that went.
    private void CancelOperation(Operation* operation)
    {
        if ((operation->Marks & OperationMarks.Cancelling) != 0) return;
        operation->Marks |= OperationMarks.Cancelling;
        _recorder?.Cancelled(operation);
        if ((operation->Marks & OperationMarks.Held) != 0)
        {
            CancelHeld(operation);
            return;
        }
        _operations.Extra(operation)->CancelTries = 0;
        // A request that still waits for room goes first, so that the kernel knows it.
        FlushPending();
        *MakeRoom() = Cancel(operation);
    }

    private static Sqe Cancel(Operation* operation) =>
        new() { Opcode = IoUringOp.AsyncCancel, Fd = -1, Address = operation->Tag, UserData = operation->Tag | CancelBit };

    // The kernel does not find an operation that others are linked before and that has not started, nor one that a worker thread of its own has just
    // tried and is about to wait with: what is still in flight is asked for again, after a pause. What our back ends do not find ends by itself.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CancelAnswered(ulong tag, int result)
    {
        if (result >= 0 || !_backend.Links) return;
        var operation = _operations.Find(tag);
        if (operation == null || (operation->Marks & OperationMarks.Cancelling) == 0) return;
        var tries = _operations.Extra(operation)->CancelTries++;
        if (_backend.QueueEntries >= 2)
        {
            MakeRoom(2);
            *_backend.NextSqe() = new Sqe
            {
                Opcode = IoUringOp.Timeout,
                Fd = -1,
                Address = (ulong)&s_pauses[Math.Min(tries, Pauses - 1)],
                Length = 1,
                Flags = SqeFlags.HardLink,
                UserData = NoSlot,
            };
        }
        *MakeRoom() = Cancel(operation);
    }
}
