using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A program ready to run, interpreted or compiled: the two are interchangeable. Re-entrant: any number of threads may
/// run it at once, each with its own <see cref="ExecutionState"/>. It keeps its maps alive.
/// </summary>
public abstract unsafe class BpfProgram : IDisposable
{
    /// <summary>Takes the verified program and the maps it is bound to.</summary>
    protected BpfProgram(VerifiedProgram verified, MapSet maps)
    {
        Verified = verified;
        Maps = maps;
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
    /// <exception cref="BpfException">UB4002 when the context is shorter than the program was verified for; UB4001 when a
    /// metered program ran out of instructions.</exception>
    public ulong Run(Span<byte> context)
    {
        var needed = Verified.Type.Context.IsFlat ? Verified.ContextSize : Verified.Type.Context.HostSize;
        if (context.Length < needed)
            throw new BpfException("UB4002", $"{Name}: the context is {context.Length} bytes, the program was verified for {needed}.");
        var state = ExecutionSlot.Current;
        fixed (byte* pointer = context)
        {
            state->Reset(InstructionBudget);
            state->Context = pointer;
            state->ContextLength = (ulong)context.Length;
            var result = EntryPoint(Self, pointer, (ulong)context.Length, state);
            GC.KeepAlive(this);
            if (state->Fault != RunFault.None)
                throw new BpfException("UB4001", $"{Name}: the run used up its budget of {InstructionBudget} instructions.");
            return result;
        }
    }

    /// <summary>Frees what the engine holds. The maps are not disposed.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the engine holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
