using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>
/// Tests of what every back end must do alike: an abstract class holds them, a sealed one per back end runs them.
/// </summary>
public abstract class OnBackend(RingBackendKind backend)
{
    private protected static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    // The hour-long timers of hooks that wait to be cancelled never fire here.
    private static readonly SimulationOptions s_machine = new() { ReadsHostFiles = true, LongestIdle = TimeSpan.FromMinutes(1) };

    /// <summary>The back end under test.</summary>
    protected RingBackendKind Backend { get; } = backend;

    /// <summary>A ring on the back end under test; skips, with the reason, where the kernel refuses io_uring.</summary>
    protected Ring CreateRing(RingOptions? options = null) => CreateRing(options, Ring.Create);

    private protected Ring CreateRing(RingOptions? options, Func<RingOptions, Ring> create)
    {
        options = (options ?? new RingOptions()) with { Backend = Backend };
        if (Backend == RingBackendKind.Simulated) options = options with { Simulation = options.Simulation ?? s_machine };
        try
        {
            return create(options);
        }
        catch (BpfException refused) when (refused.Code == "UB4501" && Backend == RingBackendKind.Kernel)
        {
            Assert.Skip(refused.Reason);
            throw;
        }
    }
}
