using System.Collections.Immutable;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>A kfunc call that a hook made.</summary>
/// <param name="Name">The kfunc, such as <c>uring_submit</c>.</param>
/// <param name="Arguments">Its arguments without the context; for uring_submit the struct's size alone.</param>
/// <param name="Operation">What uring_submit was given: the bytes of its <c>struct uring_op</c>; empty for other calls.</param>
public sealed record HookCall(string Name, ImmutableArray<ulong> Arguments, ImmutableArray<byte> Operation);

/// <summary>
/// Runs a completion hook without a ring: builds the completion it sees and records the kfuncs it calls. For tests and for
/// trying a hook at a shell. One thread at a time.
/// </summary>
public sealed unsafe class HookTest
{
    // struct uring_completion of uring_bpf.h.
    private const int ScratchOffset = 56;

    private static readonly HookHost* s_recorder = CreateRecorder();

    private readonly List<HookCall> _calls = [];
    private readonly List<nint> _buffers = [];
    private readonly ulong[] _scratch = new ulong[8];

    /// <summary>The bytes the operation moved: what the hook finds between data and data_end, and may change.</summary>
    public byte[] Data { get; set; } = [];

    /// <summary>The operation's result; null: the length of <see cref="Data"/>.</summary>
    public int? Result { get; set; }

    /// <summary>user_data of the operation.</summary>
    public ulong UserData { get; set; }

    /// <summary>IORING_CQE_F_*.</summary>
    public uint Flags { get; set; }

    /// <summary>IORING_OP_*. Default IORING_OP_READ.</summary>
    public uint Opcode { get; set; } = 22;

    /// <summary>Completions the chain has seen. <see cref="Run(BpfProgram)"/> counts it up.</summary>
    public uint Step { get; set; }

    /// <summary>The file slot, -1 if none.</summary>
    public int File { get; set; } = -1;

    /// <summary>The buffer.</summary>
    public uint Buffer { get; set; }

    /// <summary>The file offset.</summary>
    public ulong Offset { get; set; }

    /// <summary>The chain's memory: what one run leaves the next one finds.</summary>
    public Span<ulong> Scratch => _scratch;

    /// <summary>The calls of all runs so far, in order.</summary>
    public IReadOnlyList<HookCall> Calls => _calls;

    /// <summary>What a call returns to the hook; null: 0. For uring_buffer anything but 0 means null.</summary>
    public Func<HookCall, int>? Answer { get; set; }

    /// <summary>Runs the hook on the completion described, on the calling thread.</summary>
    /// <returns>The verdict: 1 continue, 0 pass, or a negative errno.</returns>
    /// <exception cref="BpfException">UB4006 when the program is no completion hook; UB4001 when it used up its budget.</exception>
    public int Run(BpfProgram hook)
    {
        Check(hook.Verified.Type, hook.Name);
        return (int)Run(context => hook.Run(new Span<byte>((void*)context, ProgramTypes.Completion.Context.HostSize)));
    }

    /// <summary>Runs an unverified hook on the checked interpreter.</summary>
    /// <returns>The verdict is the result's low half, if it did not fault.</returns>
    /// <exception cref="BpfException">UB4006 when the program is no completion hook.</exception>
    public CheckedResult Run(CheckedInterpreter hook)
    {
        Check(hook.Spec.Type, hook.Spec.Name);
        return Run(context => hook.Run(new Span<byte>((void*)context, ProgramTypes.Completion.Context.HostSize)));
    }

    private static void Check(ProgramType? type, string name)
    {
        if (type != ProgramTypes.Completion) throw new BpfException("UB4006", $"{name} is a program of type {type?.Name ?? "unknown"}; a hook test runs completion hooks.");
    }

    private T Run<T>(Func<nint, T> run)
    {
        var state = ExecutionSlot.Current;
        var (host, chain) = ((nint)state->Host, (nint)state->Chain);
        var self = GCHandle.Alloc(this);
        var context = stackalloc byte[ProgramTypes.Completion.Context.HostSize];
        fixed (byte* data = Data)
        {
            Fill(context, data);
            state->Host = s_recorder;
            state->Chain = (void*)GCHandle.ToIntPtr(self);
            try
            {
                return run((nint)context);
            }
            finally
            {
                new ReadOnlySpan<ulong>(context + ScratchOffset, _scratch.Length).CopyTo(_scratch);
                Step++;
                state->Host = (HookHost*)host;
                state->Chain = (void*)chain;
                self.Free();
                foreach (var buffer in _buffers) NativeMemory.Free((void*)buffer);
                _buffers.Clear();
            }
        }
    }

    private void Fill(byte* context, byte* data)
    {
        *(ulong*)context = UserData;
        *(int*)(context + 8) = Result ?? Data.Length;
        *(uint*)(context + 12) = Flags;
        *(uint*)(context + 16) = Opcode;
        *(uint*)(context + 20) = Step;
        *(int*)(context + 24) = File;
        *(uint*)(context + 28) = Buffer;
        *(ulong*)(context + 32) = Offset;
        *(byte**)(context + 40) = data;
        *(byte**)(context + 48) = data + Data.Length;
        _scratch.CopyTo(new Span<ulong>(context + ScratchOffset, _scratch.Length));
    }

    private static int Record(ExecutionState* state, string name, ReadOnlySpan<ulong> arguments, ReadOnlySpan<byte> operation = default)
    {
        var test = (HookTest)GCHandle.FromIntPtr((nint)state->Chain).Target!;
        var call = new HookCall(name, [.. arguments], [.. operation]);
        test._calls.Add(call);
        return test.Answer?.Invoke(call) ?? 0;
    }

    private static HookHost* CreateRecorder()
    {
        var host = (HookHost*)NativeMemory.AllocZeroed((nuint)sizeof(HookHost));
        host->Submit = &Submit;
        host->Cancel = &Cancel;
        host->Emit = &Emit;
        host->Buffer = &GetBuffer;
        host->HoldBuffer = &HoldBuffer;
        host->Timeout = &Timeout;
        host->Handover = &Handover;
        host->ReleaseBuffer = &ReleaseBuffer;
        host->Fork = &Fork;
        host->Join = &Join;
        host->Message = &Message;
        host->CancelFile = &CancelFile;
        host->CancelAll = &CancelAll;
        return host;
    }

    private static int Submit(ExecutionState* state, byte* operation, uint size) => Record(state, "uring_submit", [size], new ReadOnlySpan<byte>(operation, (int)size));

    private static int Cancel(ExecutionState* state, ulong userData) => Record(state, "uring_cancel", [userData]);

    private static int Emit(ExecutionState* state, ulong userData, ulong value) => Record(state, "uring_emit", [userData, value]);

    private static byte* GetBuffer(ExecutionState* state, uint index, ulong offset, ulong size)
    {
        if (Record(state, "uring_buffer", [index, offset, size]) != 0) return null;
        var buffer = NativeMemory.AllocZeroed((nuint)size);
        ((HookTest)GCHandle.FromIntPtr((nint)state->Chain).Target!)._buffers.Add((nint)buffer);
        return (byte*)buffer;
    }

    private static int HoldBuffer(ExecutionState* state) => Record(state, "uring_hold_buffer", []);

    private static int Timeout(ExecutionState* state, ulong nanoseconds, ulong userData) => Record(state, "uring_timeout", [nanoseconds, userData]);

    private static int Handover(ExecutionState* state, uint slot) => Record(state, "uring_handover", [slot]);

    private static int ReleaseBuffer(ExecutionState* state, uint buffer) => Record(state, "uring_release_buffer", [buffer]);

    private static int Fork(ExecutionState* state, uint counter, uint count) => Record(state, "uring_fork", [counter, count]);

    private static int Join(ExecutionState* state, uint counter) => Record(state, "uring_join", [counter]);

    private static int CancelFile(ExecutionState* state, uint slot) => Record(state, "uring_cancel_file", [slot]);

    private static int CancelAll(ExecutionState* state) => Record(state, "uring_cancel_all", []);

    private static int Message(ExecutionState* state, uint target, ulong userData, ulong value) => Record(state, "uring_message", [target, userData, value]);
}
