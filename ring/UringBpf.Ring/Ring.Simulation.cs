using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>A simulated ring that its maker drives turn by turn: no other thread, so nothing but the seed decides.</summary>
public sealed unsafe partial class Ring
{
    // The owner calls Step itself, and hears of results at once.
    private bool _stepped;

    internal bool DeliversInline => _stepped;

    /// <summary>A simulated ring that the calling thread owns and drives with <see cref="Step"/>.</summary>
    internal static Ring CreateStepped(RingOptions options)
    {
        var backend = BackendChoice.Create(options with { Backend = RingBackendKind.Simulated });
        var ring = new Ring(backend, options, Thread.CurrentThread) { _state = ExecutionSlot.Current, _stepped = true };
        backend.EnterThread(ring._state);
        ring.Prepare();
        ring.Simulation.NeverWaits = true;
        return ring;
    }

    /// <summary>One turn: takes commands, submits, lets the next thing happen, runs hooks. False when the ring has come to its end.</summary>
    internal bool Step()
    {
        if (_closed) return false;
        RunCommands();
        FlushPending();
        if (_stopping && Stop())
        {
            Shutdown(null);
            return false;
        }
        if (!_backend.HasCompletion || _backend.Unsubmitted > 0) Enter(_backend.HasCompletion ? 0u : 1);
        TakeCompletions();
        return true;
    }

    /// <summary>The simulated back end.</summary>
    internal SimulatedBackend Simulation => (SimulatedBackend)_backend;

    /// <summary>File slots that nobody has.</summary>
    internal int FreeFileSlots => _freeFileSlots.Count;

    /// <summary>Hooks that are attached.</summary>
    internal IReadOnlyCollection<HookLink> Links => _links;

    /// <summary>
    /// Makes a connection in the memory of a simulated ring: two descriptors that can be granted to hooks and used for the
    /// host's operations on this ring, and nowhere else. Close each with <see cref="CloseAsync"/>; the handles own nothing.
    /// </summary>
    /// <exception cref="BpfException">UB4511 when the ring is not a simulated one; UB4503 when it is shut down.</exception>
    public (SafeFileHandle First, SafeFileHandle Second) CreateSimulatedPair()
    {
        if (_backend is not SimulatedBackend simulation) throw new BpfException("UB4511", $"the ring runs on its {_backend.Name} back end: only a simulated one has connections in memory.");
        (int First, int Second) pair = default;
        RunOnOwner(() => pair = simulation.CreateSocketPair()).AsTask().GetAwaiter().GetResult();
        return (new SafeFileHandle(pair.First, ownsHandle: false), new SafeFileHandle(pair.Second, ownsHandle: false));
    }
}
