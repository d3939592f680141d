using UringBpf.Ring;

namespace UringBpf.Hosting;

/// <summary>What <c>AddUringBpf</c> sets up. Read once, when the first service is asked for.</summary>
public sealed class UringBpfOptions
{
    /// <summary>The engine's options.</summary>
    public BpfEngineOptions Engine { get; set; } = BpfEngineOptions.Default;

    /// <summary>The ring's options; null for the defaults.</summary>
    public RingOptions? Ring { get; set; }

    /// <summary>True to create the ring when the host starts, so that a machine without io_uring stops it there (UB4501); false
    /// when first asked for. Default true.</summary>
    public bool StartRing { get; set; } = true;

    /// <summary>How long the health check waits for the ring to answer. Default 2 seconds.</summary>
    public TimeSpan HealthTimeout { get; set; } = TimeSpan.FromSeconds(2);
}
