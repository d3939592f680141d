using Microsoft.Extensions.Logging;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>Makes the back end that the options ask for, with its file table. On the thread that will own the ring.</summary>
internal static partial class BackendChoice
{
    /// <exception cref="BpfException">UB4501: refused, with the cause; UB4511: simulation options out of range.</exception>
    public static RingBackend Create(RingOptions options, bool driven = false)
    {
        switch (options.Backend)
        {
            case RingBackendKind.Kernel:
                return CreateKernel(options, driven);
            case RingBackendKind.Portable:
                var (entries, completions) = ((uint)options.QueueEntries, (uint)options.CompletionEntries);
                return WithFiles(options.System is { } system ? new PortableBackend(entries, completions, null, system) : new PortableBackend(entries, completions, null), options);
            case RingBackendKind.Simulated:
                var simulation = options.Simulation ?? new SimulationOptions();
                simulation.Validate();
                return WithFiles(new SimulatedBackend((uint)options.QueueEntries, (uint)options.CompletionEntries, simulation), options);
            default:
                try
                {
                    return CreateKernel(options, driven);
                }
                catch (IoUringRefusedException refused)
                {
                    if (options.Logger != null) LogFallback(options.Logger, refused.Reason);
                    return WithFiles(new PortableBackend((uint)options.QueueEntries, (uint)options.CompletionEntries, refused.Reason), options);
                }
        }
    }

    private static RingBackend CreateKernel(RingOptions options, bool driven)
    {
        if (!OperatingSystem.IsLinux()) throw new IoUringRefusedException("io_uring is an interface of Linux: this system has none.");
        var backend = new KernelBackend((uint)options.QueueEntries, (uint)options.CompletionEntries);
        if (!driven) return WithFiles(backend, options);
        // The thread may end before the ring, and then the last slot tells when the kernel has let go of it.
        WithFiles(backend, options, more: 1);
        var result = backend.WatchEnd((uint)options.FileSlots);
        if (result >= 0) return backend;
        backend.Dispose();
        throw new BpfException("UB4501", $"io_uring: no pipe to watch the ring by ({Errno.Name(-result)}); RLIMIT_NOFILE is used up.");
    }

    private static RingBackend WithFiles(RingBackend backend, RingOptions options, uint more = 0)
    {
        var result = backend.CreateFileTable((uint)options.FileSlots + more);
        if (result >= 0) return backend;
        backend.Dispose();
        // Sparse tables came with Linux 5.19.
        if (result == -Errno.Inval) throw new IoUringRefusedException($"io_uring: a sparse table of {options.FileSlots} files is refused (EINVAL): this kernel is older than 5.19, which it takes at least.");
        throw new BpfException("UB4501", $"io_uring: a table of {options.FileSlots} files is refused ({Errno.Name(-result)}); RLIMIT_NOFILE must be at least that{(more > 0 ? " and one more" : "")}, or ask for fewer FileSlots.");
    }

    [LoggerMessage(EventId = 4501, Level = LogLevel.Warning, Message = "The ring runs on its portable back end: {Reason}")]
    private static partial void LogFallback(ILogger logger, string reason);
}

/// <summary>UB4501 where io_uring itself is refused or missing, and another back end would do.</summary>
internal sealed class IoUringRefusedException(string message) : BpfException("UB4501", message);
