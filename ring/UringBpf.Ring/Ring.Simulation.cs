using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

// Simulated rings: no other thread than the driver, so nothing but the seed decides.
public sealed unsafe partial class Ring
{
    /// <summary>
    /// A simulated ring without a thread: the calling thread owns it and drives it with <see cref="Step"/>. What is started
    /// completes during a step, and awaiting something that has not completed gets nowhere; disposing steps to the end by itself.
    /// With equal options and equal calls in equal order, two runs are equal: for tests of hooks.
    /// </summary>
    /// <param name="options"><see cref="RingOptions.Simulation"/> says how the machine is; <see cref="RingOptions.Backend"/> is simulated in any case.</param>
    /// <exception cref="BpfException">UB4511 when an option is out of range.</exception>
    public static Ring CreateSimulated(RingOptions options)
    {
        return CreateDriven(options with { Backend = RingBackendKind.Simulated });
    }

    /// <summary>One turn of a ring that was made by <see cref="CreateSimulated"/>: takes what was started since the last one, lets the next thing
    /// happen, runs hooks.</summary>
    /// <returns>False when nothing is left that would happen without the host, or the ring has come to its end.</returns>
    /// <exception cref="BpfException">UB4506 on another thread than the one that made the ring, on a ring that has a thread of its own or is not simulated, and inside a turn.</exception>
    public bool Step()
    {
        if (IsDriver && _backend is not SimulatedBackend) throw new BpfException("UB4506", $"the ring runs on its {_backend.Name} back end: drive it with RunOnce.");
        return MakeTurn(TimeSpan.Zero);
    }

    private bool GoSimulated()
    {
        if (!HasCompletion || _behind || _backend.Unsubmitted > 0) Enter(HasCompletion ? 0u : 1);
        TakeCompletions();
        DeliverHandedOver();
        return !_inbox.IsEmpty || _pendingFirst >= 0 || HasCompletion || _backend.Unsubmitted > 0 || Simulation.HasEvents
            || Simulation.HasOverflow || _waitingChains.Count > 0 && _operations.AvailableToChains > 0 || _backlog.TryPeek(out var first) && CanStart(first) || _continuing.Exists(CanContinue);
    }

    /// <summary>Time that has passed on the clock of a simulated ring since it was made; zero for others.</summary>
    public TimeSpan SimulatedTime => _backend is SimulatedBackend simulation ? simulation.Elapsed : TimeSpan.Zero;

    /// <summary>The simulated back end.</summary>
    internal SimulatedBackend Simulation => (SimulatedBackend)_backend;

    /// <summary>File slots that nobody has.</summary>
    internal int FreeFileSlots => _freeFileSlots.Count;

    /// <summary>File slots that the host's operations opened, or hooks handed over to it.</summary>
    internal int HostFileSlots => _hostSlots.Count;

    /// <summary>Hooks that are attached.</summary>
    internal IReadOnlyCollection<HookLink> Links => _links;

    /// <summary>
    /// Makes a connection in the memory of a simulated ring: two descriptors that can be granted to hooks and used for the
    /// host's operations on this ring, and nowhere else. Close each with <see cref="CloseAsync"/>; the handles own nothing.
    /// </summary>
    /// <exception cref="BpfException">UB4506 when the ring is not a simulated one; UB4503 when it is shut down.</exception>
    public (SafeFileHandle First, SafeFileHandle Second) CreateSimulatedPair()
    {
        if (_backend is not SimulatedBackend simulation) throw new BpfException("UB4506", $"the ring runs on its {_backend.Name} back end: only a simulated one has connections in memory.");
        (int First, int Second) pair = default;
        DoOnOwner(() => pair = simulation.CreateSocketPair());
        return (new SafeFileHandle(pair.First, ownsHandle: false), new SafeFileHandle(pair.Second, ownsHandle: false));
    }
}
