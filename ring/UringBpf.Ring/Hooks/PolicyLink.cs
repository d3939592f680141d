using System.Collections.Immutable;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// A policy hook in place: a program of type submission that judges each operation before it is submitted. From
/// <see cref="Ring.AttachPolicy(BpfProgram, ImmutableArray{IoUringOp})"/> it judges the whole ring's, from <see cref="HookLink.AttachPolicy"/> the chains' of one attachment,
/// from <see cref="Ring.CreatePolicy"/> the operations and chains that are given with it.
/// Thread-safe. Disposing detaches it: no operation submitted afterwards is judged by it.
/// </summary>
public sealed class PolicyLink : IAsyncDisposable
{
    private readonly Ring _ring;
    private readonly HookLink? _hook;
    private readonly bool _given;
    private readonly ulong _operations;
    private long _runs;
    private long _refusals;

    // Ring's thread.
    internal PolicyProgram? Current;

    internal PolicyLink(Ring ring, HookLink? hook, ImmutableArray<IoUringOp> operations, bool given = false)
    {
        _given = given;
        _ring = ring;
        _hook = hook;
        if (operations.IsDefaultOrEmpty)
        {
            _operations = ulong.MaxValue;
            return;
        }
        foreach (var operation in operations)
        {
            if (!OperationSet.Has(operation)) throw new BpfException("UB4511", $"a policy for operation {operation}: there is no such operation.");
            _operations |= OperationSet.Bit(operation);
        }
    }

    /// <summary>Operations it judged.</summary>
    public long Runs => Volatile.Read(ref _runs);

    /// <summary>Operations it refused.</summary>
    public long Refusals => Volatile.Read(ref _refusals);

    /// <summary>Puts another program in place, between two operations: each is judged by the one or the other.</summary>
    /// <param name="program">A program of type submission. The old one may be disposed when this has completed.</param>
    /// <exception cref="BpfException">UB4502 when the program is of another type; UB4503 when the policy is detached or the ring is shut down.</exception>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public ValueTask UpdateAsync(BpfProgram program)
    {
        PolicyProgram.Check(program);
        return _ring.RunOnOwner(() =>
        {
            if (Current == null) throw new BpfException("UB4503", "the policy is detached.");
            var old = Current;
            Current = new PolicyProgram(program, _ring.Recorder);
            old.Release();
        });
    }

    /// <summary>Detaches it. May be called more than once.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await _ring.RunOnOwner(() => _ring.Detach(this, _hook));
        }
        catch (BpfException gone) when (gone.Code == "UB4503")
        {
            // The ring is shut down, and has released it.
        }
    }

    /// <summary>True when operations of this ring can be given with it.</summary>
    internal bool IsGivenOn(Ring ring) => _given && _ring == ring;

    internal bool Judges(IoUringOp operation) => (_operations & OperationSet.Bit(operation)) != 0;

    internal void Count(bool refused)
    {
        _runs++;
        if (refused) _refusals++;
    }

    internal void Release()
    {
        Current?.Release();
        Current = null;
    }
}

/// <summary>A policy's program, kept alive while it is in place.</summary>
internal sealed unsafe class PolicyProgram
{
    private readonly BpfProgram _program;
    private readonly delegate*<nint, byte*, ulong, ExecutionState*, ulong> _entry;
    private readonly nint _self;
    private readonly RunStart _start;

    public PolicyProgram(BpfProgram program, FlightRecorder? recorder)
    {
        program.Retain();
        _program = program;
        _entry = program.EntryPoint;
        _self = program.Self;
        _start = new RunStart(program.InstructionBudget, (ulong)sizeof(UringSubmission));
        TraceProgram = recorder?.IndexOf(program.Verified.Spec) ?? 0;
    }

    public ushort TraceProgram { get; }

    public static void Check(BpfProgram program)
    {
        if (program.Verified.Type.Name != ProgramTypes.Submission.Name)
            throw new BpfException("UB4502", $"{program.Name} is of type {program.Verified.Type.Name}: policies are of type {ProgramTypes.Submission.Name} (SEC(\"uring/submit\")).");
    }

    /// <summary>0, or the -errno that the operation is refused with.</summary>
    public int Run(UringSubmission* submission, ExecutionState* state)
    {
        state->Prepare(_start);
        state->Context = (byte*)submission;
        var verdict = (int)_entry(_self, (byte*)submission, (ulong)sizeof(UringSubmission), state);
        // One that did not come to a verdict has not allowed anything.
        return state->Fault != RunFault.None ? -Errno.Time : verdict;
    }

    public void Release() => _program.Release();
}

/// <summary>What a policy's r1 points to: <c>struct uring_submission</c> of uring_bpf.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct UringSubmission
{
    public const uint ByHost = 0, ByHook = 1;

    public uint Opcode;
    public uint Flags;
    public int File;
    public uint Length;
    public ulong Offset;
    public ulong UserData;
    public int Target;
    public uint Directory;
    public uint Buffer;
    public uint Origin;
    public ulong Chain;
    public uint PathLength;
    private readonly uint _reserved;
    public fixed byte Path[Limits.PathBytes];
}
