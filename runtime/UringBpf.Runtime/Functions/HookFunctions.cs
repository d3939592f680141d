using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>
/// The kfuncs of completion hooks: they go on to the host in <see cref="ExecutionState.Host"/> (a ring, a test fixture), or
/// give -EOPNOTSUPP where there is none. Checksums are computed here. Arguments are register values.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class HookFunctions
{
    // Where struct uring_completion has data and data_end.
    private const int DataOffset = 40, DataEndOffset = 48;

    /// <summary>uring_submit(ctx, op, size)</summary>
    public static ulong Submit(ulong context, ulong operation, ulong size, ExecutionState* state) =>
        state->Host != null && state->Host->Submit != null ? Status(state->Host->Submit(state, (byte*)operation, (uint)size)) : NotSupported;

    /// <summary>uring_cancel(ctx, user_data)</summary>
    public static ulong Cancel(ulong context, ulong userData, ExecutionState* state) =>
        state->Host != null && state->Host->Cancel != null ? Status(state->Host->Cancel(state, userData)) : NotSupported;

    /// <summary>uring_emit(ctx, user_data, value)</summary>
    public static ulong Emit(ulong context, ulong userData, ulong value, ExecutionState* state) =>
        state->Host != null && state->Host->Emit != null ? Status(state->Host->Emit(state, userData, value)) : NotSupported;

    /// <summary>uring_buffer(ctx, index, offset, size): an address, or 0.</summary>
    public static ulong Buffer(ulong context, ulong index, ulong offset, ulong size, ExecutionState* state) =>
        state->Host != null && state->Host->Buffer != null && index <= uint.MaxValue ? (ulong)state->Host->Buffer(state, (uint)index, offset, size) : 0;

    /// <summary>uring_hold_buffer(ctx)</summary>
    public static ulong HoldBuffer(ulong context, ExecutionState* state) =>
        state->Host != null && state->Host->HoldBuffer != null ? Status(state->Host->HoldBuffer(state)) : NotSupported;

    /// <summary>uring_timeout(ctx, nanoseconds, user_data)</summary>
    public static ulong Timeout(ulong context, ulong nanoseconds, ulong userData, ExecutionState* state) =>
        state->Host != null && state->Host->Timeout != null ? Status(state->Host->Timeout(state, nanoseconds, userData)) : NotSupported;

    /// <summary>uring_handover(ctx, slot)</summary>
    public static ulong Handover(ulong context, ulong slot, ExecutionState* state) =>
        state->Host != null && state->Host->Handover != null ? Status(state->Host->Handover(state, (uint)slot)) : NotSupported;

    /// <summary>uring_release_buffer(ctx, buffer)</summary>
    public static ulong ReleaseBuffer(ulong context, ulong buffer, ExecutionState* state) =>
        state->Host != null && state->Host->ReleaseBuffer != null ? Status(state->Host->ReleaseBuffer(state, (uint)buffer)) : NotSupported;

    /// <summary>uring_fork(ctx, counter, count)</summary>
    public static ulong Fork(ulong context, ulong counter, ulong count, ExecutionState* state) =>
        state->Host != null && state->Host->Fork != null ? Status(state->Host->Fork(state, (uint)counter, (uint)count)) : NotSupported;

    /// <summary>uring_join(ctx, counter)</summary>
    public static ulong Join(ulong context, ulong counter, ExecutionState* state) =>
        state->Host != null && state->Host->Join != null ? Status(state->Host->Join(state, (uint)counter)) : NotSupported;

    /// <summary>uring_message(ctx, target, user_data, value)</summary>
    public static ulong Message(ulong context, ulong target, ulong userData, ulong value, ExecutionState* state) =>
        state->Host != null && state->Host->Message != null ? Status(state->Host->Message(state, (uint)target, userData, value)) : NotSupported;

    /// <summary>uring_cancel_file(ctx, slot)</summary>
    public static ulong CancelFile(ulong context, ulong slot, ExecutionState* state) =>
        state->Host != null && state->Host->CancelFile != null ? Status(state->Host->CancelFile(state, (uint)slot)) : NotSupported;

    /// <summary>uring_cancel_all(ctx)</summary>
    public static ulong CancelAll(ulong context, ExecutionState* state) =>
        state->Host != null && state->Host->CancelAll != null ? Status(state->Host->CancelAll(state)) : NotSupported;

    /// <summary>uring_crc32c(ctx, offset, len): of the bytes that are there.</summary>
    public static ulong Checksum(ulong context, ulong offset, ulong length) => ChecksumUpdate(context, 0, offset, length);

    /// <summary>uring_crc32c_update(ctx, crc, offset, len): goes on from the CRC of what came before.</summary>
    public static ulong ChecksumUpdate(ulong context, ulong crc, ulong offset, ulong length)
    {
        var data = Unsafe.ReadUnaligned<nuint>((byte*)context + DataOffset);
        var end = Unsafe.ReadUnaligned<nuint>((byte*)context + DataEndOffset);
        var available = end - data;
        if (offset >= available) return (uint)crc;
        return Crc32C.Append((uint)crc, (byte*)data + offset, (nuint)Math.Min(length, available - offset));
    }

    private static ulong NotSupported => Errno.Status(Errno.EOPNOTSUPP);

    // What the prototypes promise, whatever a host returns: programs index and branch on it unchecked.
    private static ulong Status(int status) => (ulong)(long)Math.Max(status, Bytecode.Limits.MinErrno);
}
