namespace UringBpf.Ring;

/// <summary>Who carries out a ring's operations (docs/backends.md).</summary>
public enum RingBackendKind
{
    /// <summary>The kernel's io_uring; where that is refused or missing, <see cref="Portable"/>, with one logged line.</summary>
    Auto,
    /// <summary>The kernel's io_uring, or UB4501.</summary>
    Kernel,
    /// <summary>The thread pool and ordinary system calls.</summary>
    Portable,
    /// <summary>A virtual clock and files, pipes and sockets in memory: one seed decides all (<see cref="SimulationOptions"/>).</summary>
    Simulated,
}
