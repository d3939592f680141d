using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// A completion hook attached to a ring: a program, its grants and its limits. Chains are started on it. Thread-safe.
/// Disposing detaches: chains that run are cancelled and waited for, then grants and buffers are freed.
/// </summary>
public sealed unsafe class HookLink : IAsyncDisposable
{
    private readonly Ring _ring;
    private readonly EmissionQueue _emissions;
    private readonly MessageQueue _messages;
    private GCHandle _self;
    private readonly Lazy<Task> _detached;

    // All below belongs to the ring's thread.
    internal readonly GrantTable Grants;
    internal readonly ChainLimits Limits;
    internal HookVersion* Current;
    internal Chain* FirstChain;
    internal int LiveChains;
    internal bool Detaching;

    /// <summary>The name of the program in place.</summary>
    internal string Name { get; private set; }
    internal PolicyLink[] Policies = [];
    /// <summary>Chains that messages started.</summary>
    internal int MessageChains;
    /// <summary>Slots of the ring's file table that its chains hold.</summary>
    internal int FileSlots;
    internal readonly Stack<nint> FreeMemory = new();
    internal readonly Stack<nint> FreeChains = new();
    /// <summary>Blocks of chains' own buffers that are not freed, in use or not.</summary>
    internal int MemoryBlocks;

    internal HookLink(Ring ring, BpfProgram program, GrantTable grants, ChainLimits limits, int emissionCapacity)
    {
        _ring = ring;
        Name = program.Name;
        Grants = grants;
        Limits = limits;
        _emissions = new EmissionQueue(emissionCapacity);
        _messages = new MessageQueue(this, limits.MaxMessageChains);
        _detached = new Lazy<Task>(() => ring.DetachAsync(this));
        _self = GCHandle.Alloc(this);
        try
        {
            Current = NewVersion(program);
        }
        catch (ObjectDisposedException)
        {
            _self.Free();
            throw;
        }
    }

    /// <summary>The ring it is attached to.</summary>
    public Ring Ring => _ring;

    /// <summary>Emissions that were lost because the queue was full.</summary>
    public long EmissionsLost => _emissions.Lost;

    /// <summary>The next emission of this hook's chains, in order. One reader at a time; never waits.</summary>
    public bool TryReadEmission(out Emission emission) => _emissions.TryDequeue(out emission);

    /// <summary>
    /// Starts a chain with its first operation, which is checked as if the hook had submitted it. The hook runs when it
    /// completes, and decides from there.
    /// </summary>
    /// <param name="first">The operation.</param>
    /// <param name="cancellationToken">Ends the chain with -ECANCELED.</param>
    /// <returns>How the chain ended, when nothing of it is in flight any more. An operation that is refused ends the chain
    /// at once with the errno that a hook would have got.</returns>
    /// <remarks>When the hook is detached or the ring is shut down, the chain ends at once with -ECANCELED.</remarks>
    public ValueTask<ChainResult> StartAsync(UringOp first, CancellationToken cancellationToken = default) =>
        StartAsync(first, [], cancellationToken);

    /// <summary>As <see cref="StartAsync(UringOp, CancellationToken)"/>, with the first bytes of the chain's scratch.</summary>
    /// <param name="first">The operation.</param>
    /// <param name="scratch">At most 64 bytes; the rest is zero.</param>
    /// <param name="cancellationToken">Ends the chain with -ECANCELED.</param>
    /// <returns>How the chain ended.</returns>
    /// <exception cref="ArgumentException">More than 64 bytes of scratch.</exception>
    public ValueTask<ChainResult> StartAsync(UringOp first, ReadOnlySpan<byte> scratch, CancellationToken cancellationToken = default) =>
        _ring.StartChain(this, first, scratch, cancellationToken);

    /// <summary>As <see cref="StartAsync(UringOp, ReadOnlySpan{byte}, CancellationToken)"/>, with a policy that judges this chain's operations, the first one included,
    /// besides those of the ring and the attachment.</summary>
    /// <param name="first">The operation.</param>
    /// <param name="scratch">At most 64 bytes; the rest is zero.</param>
    /// <param name="policy">From <see cref="Ring.CreatePolicy"/> of the same ring. Once it is disposed, what the chain submits is refused with -ECANCELED.</param>
    /// <param name="cancellationToken">Ends the chain with -ECANCELED.</param>
    /// <returns>How the chain ended.</returns>
    /// <remarks>It judges the chains that this one starts by messages too; a message to a hook of another ring is refused with -EACCES, as no policy of this ring is asked there.</remarks>
    /// <exception cref="ArgumentException">More than 64 bytes of scratch; or the policy is another ring's.</exception>
    public ValueTask<ChainResult> StartAsync(UringOp first, ReadOnlySpan<byte> scratch, PolicyLink policy, CancellationToken cancellationToken = default)
    {
        _ring.CheckGiven(policy);
        return _ring.StartChain(this, first, scratch, cancellationToken, policy);
    }

    /// <summary>
    /// Puts another program in place. Chains that run finish on the program they started with; new ones use this one. The
    /// old program may be disposed at once: the link keeps what those chains need. Any thread.
    /// </summary>
    /// <param name="program">A completion program.</param>
    /// <exception cref="BpfException">UB4502 when the program is of another type or writes to read-only buffers; UB4503 when the
    /// hook is detached or the ring is shut down.</exception>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public ValueTask UpdateAsync(BpfProgram program)
    {
        return _ring.RunOnOwner(() =>
        {
            if (Detaching) throw new BpfException("UB4503", "the hook is detached.");
            _ring.CheckProgram(program, Grants);
            var old = Current;
            Current = NewVersion(program);
            Release(old);
            Name = program.Name;
            RingEvents.Log.HookReplaced(_ring.Number, Name);
        });
    }

    /// <summary>
    /// Attaches a policy to this attachment's chains: its program judges each operation that they are about to submit, the first one
    /// included, after the policies of the ring. Attach it before the first chain is started. It goes with the hook.
    /// </summary>
    /// <param name="program">A program of type submission (<c>SEC("uring/submit")</c>): 0 allows, -errno refuses. The link keeps it alive.</param>
    /// <param name="operations">Operations to judge; default: all.</param>
    /// <exception cref="BpfException">UB4502 when the program is of another type; UB4503 when the hook is detached or the ring is shut down;
    /// UB4511 when there is no such operation.</exception>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public PolicyLink AttachPolicy(BpfProgram program, System.Collections.Immutable.ImmutableArray<IoUringOp> operations = default) =>
        _ring.AttachPolicy(this, program, operations);

    /// <summary>Detaches: new chains are refused, running ones are cancelled; completes when all has been freed.</summary>
    public ValueTask DisposeAsync()
    {
        var detached = RequestDetach();
        _ring.Drive(detached);
        return new ValueTask(detached);
    }

    internal Task RequestDetach() => _detached.Value;

    /// <summary>Any thread: a message for this hook.</summary>
    internal int Send(in HookMessage message) => _messages.Send(message);

    internal void AwaitTurn() => _messages.AwaitTurn();

    internal bool TryReceive(out HookMessage message) => _messages.TryReceive(out message);

    /// <summary>A provided buffer goes back to the kernel.</summary>
    internal void Recycle(int id)
    {
        Grants.Holders[id] = default;
        Grants.Provided!.Return(id);
    }

    internal void RecycleAll(ulong chain)
    {
        for (var id = 0; id < Grants.Holders.Length; id++)
        {
            if (Grants.Holders[id].Chain == chain) Recycle(id);
        }
    }

    internal bool Emit(in Emission emission) => _emissions.TryEnqueue(emission);

    internal static HookLink Of(Chain* chain) => System.Runtime.CompilerServices.Unsafe.As<HookLink>(GCHandle.FromIntPtr(chain->Hook->Link).Target!);

    internal void Release(HookVersion* version)
    {
        if (--version->References > 0) return;
        FreeVersion(version);
    }

    private static void FreeVersion(HookVersion* version)
    {
        for (var i = 0; i <= version->NamedCount; i++)
        {
            var handle = HookVersion.ProgramAt(version, i)->Handle;
            if (handle == 0) continue;
            var program = GCHandle.FromIntPtr(handle);
            ((BpfProgram)program.Target!).Release();
            program.Free();
        }
        NativeMemory.Free(version);
    }

    // Ring's thread, after the last chain.
    internal void Free()
    {
        Release(Current);
        Current = null;
        _messages.Close();
        _ring.ReleasePolicies(this);
        while (FreeChains.TryPop(out var chain)) NativeMemory.AlignedFree((void*)chain);
        while (FreeMemory.TryPop(out var memory))
        {
            NativeMemory.AlignedFree((void*)memory);
            MemoryBlocks--;
        }
        Grants.Dispose();
        _self.Free();
    }

    private HookVersion* NewVersion(BpfProgram program)
    {
        var named = Grants.Programs;
        var version = (HookVersion*)NativeMemory.AllocZeroed((nuint)(sizeof(HookVersion) + named.Length * sizeof(HookProgram)));
        version->Named = (HookProgram*)(version + 1);
        version->NamedCount = named.Length;
        try
        {
            Fill(&version->Program, program);
            for (var i = 0; i < named.Length; i++) Fill(version->Named + i, named[i]);
        }
        catch (ObjectDisposedException)
        {
            FreeVersion(version);
            throw;
        }
        version->Link = GCHandle.ToIntPtr(_self);
        version->References = 1;
        version->MaxSteps = Limits.MaxSteps;
        version->MaxInFlight = Limits.MaxInFlight;
        version->MaxBytes = Limits.MaxBytes;
        version->AllowedOperations = Grants.AllowedOperations;
        version->PlainTransfers = HookCalls.PlainTransfers(Grants) & _ring.HookOperations;
        version->Files = Grants.Files;
        version->FileCount = Grants.FileCount;
        version->Buffers = Grants.Buffers;
        version->BufferCount = (uint)Grants.BufferCount;
        version->OwnBuffers = (uint)Limits.OwnBuffers;
        version->OwnBufferBytes = (uint)Limits.OwnBufferBytes;
        return version;
    }

    private void Fill(HookProgram* entry, BpfProgram program)
    {
        // The entry point below stays callable though the host disposes the program.
        program.Retain();
        entry->Handle = GCHandle.ToIntPtr(GCHandle.Alloc(program));
        entry->Entry = program.EntryPoint;
        entry->Self = program.Self;
        entry->Start = new RunStart(program.InstructionBudget, (ulong)sizeof(UringCompletion));
        entry->Meter = program.Verified.Termination == Termination.Metered ? program.InstructionBudget : 0;
        entry->TraceProgram = _ring.Recorder?.IndexOf(program.Verified.Spec) ?? 0;
    }
}
