using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A program ready to run, interpreted or compiled: the two are interchangeable. Re-entrant: any number of threads may
/// run it at once, each with its own <see cref="ExecutionState"/>. It keeps its maps alive.
/// </summary>
public abstract unsafe class BpfProgram : IDisposable
{
    private int _references = 1;
    private int _disposed;

    /// <summary>Takes the verified program and the maps it is bound to.</summary>
    /// <exception cref="BpfException">UB4106 when a program array it tail calls through holds a program it must not enter.</exception>
    protected BpfProgram(VerifiedProgram verified, MapSet maps)
    {
        Verified = verified;
        Maps = maps;
        foreach (var spec in verified.Spec.Maps)
        {
            if (spec.Type == MapType.ProgramArray) ((ProgramArrayMap)maps[spec]).AddCaller(verified);
        }
        maps.Retain();
    }

    /// <summary>What was verified.</summary>
    public VerifiedProgram Verified { get; }

    /// <summary>The program's name.</summary>
    public string Name => Verified.Spec.Name;

    /// <summary>The maps it is bound to; shared with the other programs of its object.</summary>
    public MapSet Maps { get; }

    /// <summary>The engine's name: <c>jit</c> or <c>interpreter</c>.</summary>
    public abstract string Engine { get; }

    /// <summary>
    /// The allocation-free entry: (<see cref="Self"/>, r1, r2, state) → r0. The caller has set up the state
    /// (<see cref="ExecutionState.Reset"/>, Context, ContextLength). Valid until the program is disposed or collected.
    /// </summary>
    public abstract delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint { get; }

    /// <summary>First argument of <see cref="EntryPoint"/>: how an interpreter finds its program; 0 for compiled code.</summary>
    public abstract nint Self { get; }

    /// <summary>Instructions a metered run may charge. Default <see cref="Limits.MaxInstructionsPerRun"/>.</summary>
    public long InstructionBudget { get; init; } = Limits.MaxInstructionsPerRun;

    /// <summary>
    /// Runs once on the calling thread's execution slot. Allocates nothing.
    /// </summary>
    /// <param name="context">The context struct as the host lays it out (<see cref="ContextLayout.HostSize"/>), or flat memory.
    /// Programs may write to it. It is pinned for the call.</param>
    /// <returns>r0.</returns>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    /// <exception cref="BpfException">UB4002 when the context is shorter than the program was verified for; UB4001 when a
    /// metered program ran out of instructions; UB4007 when called from a function that a program on this thread calls;
    /// UB4003 when more threads than <see cref="ExecutionSlot.Count"/> stay inside runs.</exception>
    public ulong Run(Span<byte> context)
    {
        var needed = Verified.Type.Context.IsFlat ? Verified.ContextSize : Verified.Type.Context.HostSize;
        if (context.Length < needed)
            throw new BpfException("UB4002", $"{Name}: the context is {context.Length} bytes, the program was verified for {needed}.");
        var state = ExecutionSlot.Idle(Name);
        fixed (byte* pointer = context)
        {
            ulong result;
            state->Reset(InstructionBudget);
            try
            {
                state->SetContext(Verified.Type, pointer, (ulong)context.Length);
                // Looked at after Reset: from there on, disposing waits for this run.
                if (Volatile.Read(ref _disposed) != 0) throw new ObjectDisposedException(Name);
                result = EntryPoint(Self, pointer, (ulong)context.Length, state);
            }
            finally
            {
                // Also when a host's function throws.
                state->Leave();
            }
            GC.KeepAlive(this);
            if (state->Fault != RunFault.None)
                throw new BpfException("UB4001", $"{Name}: the run used up its budget of {InstructionBudget} instructions.");
            return result;
        }
    }

    /// <summary>Gives up the owner's reference. What the engine holds is freed once no program array holds the program and
    /// no run that could reach it is active; the maps follow when nothing else holds them.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0) Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the engine holds. Called once, on any thread, when no run can reach it.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>Adds a reference, to be taken away with <see cref="Release"/>: for whoever keeps <see cref="EntryPoint"/> (a ring's
    /// hook, a program array). Until then disposing frees nothing.</summary>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public void Retain()
    {
        int references;
        do
        {
            references = Volatile.Read(ref _references);
            ObjectDisposedException.ThrowIf(references == 0, this);
        }
        while (Interlocked.CompareExchange(ref _references, references + 1, references) != references);
    }

    /// <summary>Takes a reference away that <see cref="Retain"/> added.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) != 0) return;
        Reclamation.Retire(() =>
        {
            Dispose(true);
            Maps.Release();
        });
    }
}
