using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>Why a run ended without its program's exit.</summary>
public enum RunFault
{
    /// <summary>It ended by itself.</summary>
    None,
    /// <summary>The instruction budget of a metered program ran out (-ETIME, UB4001).</summary>
    BudgetExhausted,
}

/// <summary>
/// What one run of a program needs besides its context: stack memory, budget, execution slot. Native memory, handed to
/// engines and functions as a pointer; owned by one thread at a time (<see cref="ExecutionSlot"/>).
/// </summary>
/// <remarks>Engines keep nothing here across runs but counters; <see cref="Reset"/> prepares the next one.</remarks>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct ExecutionState
{
    /// <summary>One past the highest stack byte: r10 of the main program. Below it lie
    /// <see cref="Bytecode.Limits.Frames"/> × <see cref="Bytecode.Limits.StackBytesPerFrame"/> bytes, 16-byte aligned;
    /// a callee's r10 is its caller's minus 512.</summary>
    public byte* StackTop;
    /// <summary>The execution slot: index into per-CPU map values, result of bpf_get_smp_processor_id.</summary>
    public int Slot;

    // From here on as RunStart, which is copied over them.
    /// <summary>Instructions a metered run may still charge; below zero it has expired.</summary>
    public long Budget;
    /// <summary>What may_goto may still go round in this run.</summary>
    public int LoopRounds;
    /// <summary>Set by an engine or function that must end the run; engines look at it after calls in metered programs.</summary>
    public RunFault Fault;
    /// <summary>Tail calls made in this run.</summary>
    public int TailCalls;
    internal int CallbackDepth;
    /// <summary>Length in bytes of <see cref="Context"/>.</summary>
    public ulong ContextLength;

    /// <summary>The host's own pointer to the chain whose completion is being handled.</summary>
    public void* Chain;
    /// <summary>The context the program was started with: what kfuncs and tail calls work on.</summary>
    public byte* Context;
    /// <summary>The host of completion hooks (ring or test fixture), or null: then ring kfuncs give -EOPNOTSUPP.</summary>
    public HookHost* Host;
    /// <summary>The packet, for LD_ABS and LD_IND; null without one.</summary>
    public byte* Packet;
    /// <summary>Its length in bytes.</summary>
    public ulong PacketLength;
    /// <summary>State of this slot's pseudo-random generator; never 0.</summary>
    public ulong RandomState;
    /// <summary>Set from <see cref="Reset"/> to <see cref="Leave"/>: what the run can reach (maps, inner maps, tail-called
    /// programs) is not freed meanwhile, even if the host disposes or replaces it.</summary>
    public Activity Activity;

    /// <summary>r10 of the frame that calls a function with <see cref="Bytecode.FunctionTraits.CallsBack"/>: engines set it before
    /// such a call, every time; the function hands it to <see cref="CallbackTarget.Invoke"/>.</summary>
    public byte* CallerFrame;
    // Before the keys: what every run touches lies in the first two cache lines.
    /// <summary>Non-zero: the slot was given to another thread between runs; the next run takes one again.</summary>
    internal int Revoked;
    /// <summary>Slot of the instruction that the run last passed, as code compiled with
    /// <c>CompilerOptions.RecordSites</c> writes it down before kfunc calls and at the end of each block; else as the host left it.</summary>
    public int Site;
    /// <summary>Keys that bpf_for_each_map_elem shows to callbacks, one per nesting depth: a pointer to one stays readable.</summary>
    internal fixed ulong CallbackKeys[Bytecode.Limits.Frames];
    /// <summary>Locks and ring-buffer records that a metered program holds, as engines count them: while there are any, the
    /// run does not expire.</summary>
    public int Held;

    /// <summary>Prepares for a run. Every run begins with it: it also holds off the freeing of maps and programs.</summary>
    /// <param name="budget">Instructions a metered program may use.</param>
    /// <exception cref="Bytecode.BpfException">UB4003 when more threads than there are slots stay inside runs.</exception>
    public void Reset(long budget)
    {
        Enter();
        Prepare(new RunStart(budget, ContextLength));
        // A packet of an earlier run may be gone.
        Packet = null;
        PacketLength = 0;
    }

    /// <summary>Holds off the freeing of maps and programs until <see cref="Leave"/>: for whoever makes several runs in a row,
    /// each begun with <see cref="Prepare"/>.</summary>
    /// <exception cref="Bytecode.BpfException">UB4003 as <see cref="Reset"/>.</exception>
    public void Enter()
    {
        Activity.Enter();
        // A host's function that threw may have left some.
        Held = 0;
        // After the mark: from here on nobody takes the slot away.
        if (Volatile.Read(ref Revoked) != 0) ExecutionSlot.Acquire((ExecutionState*)Unsafe.AsPointer(ref this));
    }

    /// <summary>Prepares for one of several runs between <see cref="Enter"/> and <see cref="Leave"/>, of programs without a packet.</summary>
    /// <param name="start">How it starts.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prepare(in RunStart start) => Unsafe.As<long, RunStart>(ref Budget) = start;

    /// <summary>Rounds that may_goto allows in a run with that budget.</summary>
    public static int LoopRoundsFor(long budget) => (int)Math.Min(budget / Bytecode.Limits.InstructionsPerMayGoto, Bytecode.Limits.LoopRounds);

    /// <summary>What the run works on, the packet of packet programs included.</summary>
    internal void SetContext(Bytecode.ProgramType type, byte* context, ulong length)
    {
        Context = context;
        ContextLength = length;
        if (!type.HasPacket) return;
        // Packet contexts begin with the addresses of the packet's first byte and of its end.
        var bounds = (byte**)context;
        Packet = bounds[0];
        PacketLength = (ulong)(bounds[1] - bounds[0]);
    }

    /// <summary>Ends a run: pointers it got are dead. Forgetting it is safe, but keeps what was disposed during the run in
    /// memory until this slot's next run has ended.</summary>
    public void Leave() => Activity.Leave();
}

/// <summary>How a run starts: what is the same for each run of a program, and is set as one.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct RunStart
{
    private readonly long _budget;
    private readonly int _loopRounds;
    private readonly RunFault _fault;
    private readonly int _tailCalls;
    private readonly int _callbackDepth;
    private readonly ulong _contextLength;

    /// <summary>With nothing used up.</summary>
    /// <param name="budget">Instructions a metered program may use.</param>
    /// <param name="contextLength">Bytes of its context.</param>
    public RunStart(long budget, ulong contextLength)
    {
        _budget = budget;
        _loopRounds = ExecutionState.LoopRoundsFor(budget);
        _contextLength = contextLength;
    }
}

/// <summary>
/// The functions that completion-hook kfuncs forward to: the ring fills in its own, a test fixture recording ones. The
/// kfuncs themselves are ordinary static methods of this assembly, so a compiled program does not depend on who hosts it.
/// Every function takes the state first; results are as the kfunc's prototype says.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct HookHost
{
    /// <summary>uring_submit(op, size).</summary>
    public delegate*<ExecutionState*, byte*, uint, int> Submit;
    /// <summary>uring_cancel(user_data).</summary>
    public delegate*<ExecutionState*, ulong, int> Cancel;
    /// <summary>uring_emit(user_data, value).</summary>
    public delegate*<ExecutionState*, ulong, ulong, int> Emit;
    /// <summary>uring_buffer(index, offset, size): memory or null.</summary>
    public delegate*<ExecutionState*, uint, ulong, ulong, byte*> Buffer;
    /// <summary>uring_hold_buffer().</summary>
    public delegate*<ExecutionState*, int> HoldBuffer;
    /// <summary>uring_timeout(nanoseconds, user_data).</summary>
    public delegate*<ExecutionState*, ulong, ulong, int> Timeout;
    /// <summary>uring_handover(slot).</summary>
    public delegate*<ExecutionState*, uint, int> Handover;
    /// <summary>uring_release_buffer(buffer).</summary>
    public delegate*<ExecutionState*, uint, int> ReleaseBuffer;
    /// <summary>uring_fork(counter, count).</summary>
    public delegate*<ExecutionState*, uint, uint, int> Fork;
    /// <summary>uring_join(counter).</summary>
    public delegate*<ExecutionState*, uint, int> Join;
    /// <summary>uring_message(target, user_data, value).</summary>
    public delegate*<ExecutionState*, uint, ulong, ulong, int> Message;
    /// <summary>uring_cancel_file(slot).</summary>
    public delegate*<ExecutionState*, uint, int> CancelFile;
    /// <summary>uring_cancel_all().</summary>
    public delegate*<ExecutionState*, int> CancelAll;
}
