using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// The kfuncs of a ring that records: each does what <see cref="HookCalls"/> does and writes the call down. A ring that
/// does not record never comes here, so recording costs its hooks nothing when off.
/// </summary>
internal static unsafe class RecordedCalls
{
    /// <summary>The functions, in native memory for the life of the process.</summary>
    public static HookHost* Table { get; } = Create();

    private static HookHost* Create()
    {
        var table = (HookHost*)NativeMemory.AllocZeroed((nuint)sizeof(HookHost));
        *table = *HookCalls.Table;
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

    private static readonly byte s_submit = (byte)KfuncPrototypes.Submit.Id, s_cancel = (byte)KfuncPrototypes.Cancel.Id,
        s_emit = (byte)KfuncPrototypes.Emit.Id, s_buffer = (byte)KfuncPrototypes.Buffer.Id, s_holdBuffer = (byte)KfuncPrototypes.HoldBuffer.Id,
        s_timeout = (byte)KfuncPrototypes.Timeout.Id, s_handover = (byte)KfuncPrototypes.Handover.Id, s_releaseBuffer = (byte)KfuncPrototypes.ReleaseBuffer.Id,
        s_fork = (byte)KfuncPrototypes.Fork.Id, s_join = (byte)KfuncPrototypes.Join.Id, s_message = (byte)KfuncPrototypes.Message.Id,
        s_cancelFile = (byte)KfuncPrototypes.CancelFile.Id, s_cancelAll = (byte)KfuncPrototypes.CancelAll.Id;

    private static FlightRecorder Recorder(ExecutionState* state) => HookLink.Of((Chain*)state->Chain).Ring.Recorder!;

    private static int Submit(ExecutionState* state, byte* op, uint size)
    {
        // Read before the call: other operations may write to the memory it lies in.
        var (opcode, file, length) = size >= UringOp.Size ? (((UringOp*)op)->Opcode, ((UringOp*)op)->File, ((UringOp*)op)->Length) : default;
        var result = HookCalls.Table->Submit(state, op, size);
        // One that went through has left its own event, which names the operation.
        if (result < 0) Recorder(state).Called(state, s_submit, (ulong)opcode, (uint)file, length, result);
        return result;
    }

    private static int Cancel(ExecutionState* state, ulong userData)
    {
        var result = HookCalls.Table->Cancel(state, userData);
        Recorder(state).Called(state, s_cancel, userData, 0, 0, result);
        return result;
    }

    private static int Emit(ExecutionState* state, ulong userData, ulong value)
    {
        var result = HookCalls.Table->Emit(state, userData, value);
        Recorder(state).Called(state, s_emit, userData, value, 0, result);
        return result;
    }

    private static byte* Buffer(ExecutionState* state, uint index, ulong offset, ulong size)
    {
        var address = HookCalls.Table->Buffer(state, index, offset, size);
        // Never the address itself: a trace may leave the machine.
        Recorder(state).Called(state, s_buffer, index, offset, size, address != null ? 1 : 0);
        return address;
    }

    private static int HoldBuffer(ExecutionState* state)
    {
        var result = HookCalls.Table->HoldBuffer(state);
        Recorder(state).Called(state, s_holdBuffer, 0, 0, 0, result);
        return result;
    }

    private static int Timeout(ExecutionState* state, ulong nanoseconds, ulong userData)
    {
        var result = HookCalls.Table->Timeout(state, nanoseconds, userData);
        if (result < 0) Recorder(state).Called(state, s_timeout, nanoseconds, userData, 0, result);
        return result;
    }

    private static int Handover(ExecutionState* state, uint slot)
    {
        var result = HookCalls.Table->Handover(state, slot);
        Recorder(state).Called(state, s_handover, slot, 0, 0, result);
        return result;
    }

    private static int ReleaseBuffer(ExecutionState* state, uint buffer)
    {
        var result = HookCalls.Table->ReleaseBuffer(state, buffer);
        Recorder(state).Called(state, s_releaseBuffer, buffer, 0, 0, result);
        return result;
    }

    private static int Fork(ExecutionState* state, uint counter, uint count)
    {
        var result = HookCalls.Table->Fork(state, counter, count);
        Recorder(state).Called(state, s_fork, counter, count, 0, result);
        return result;
    }

    private static int Join(ExecutionState* state, uint counter)
    {
        var result = HookCalls.Table->Join(state, counter);
        Recorder(state).Called(state, s_join, counter, 0, 0, result);
        return result;
    }

    private static int CancelFile(ExecutionState* state, uint slot)
    {
        var result = HookCalls.Table->CancelFile(state, slot);
        Recorder(state).Called(state, s_cancelFile, slot, 0, 0, result);
        return result;
    }

    private static int CancelAll(ExecutionState* state)
    {
        var result = HookCalls.Table->CancelAll(state);
        Recorder(state).Called(state, s_cancelAll, 0, 0, 0, result);
        return result;
    }

    private static int Message(ExecutionState* state, uint target, ulong userData, ulong value)
    {
        var result = HookCalls.Table->Message(state, target, userData, value);
        Recorder(state).Called(state, s_message, target, userData, value, result);
        return result;
    }
}
