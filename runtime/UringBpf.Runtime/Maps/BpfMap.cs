using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A map: memory shared by programs and the host. Thread-safe. Disposing it while a program bound to it can still run
/// is refused by reference counting: the native memory is freed after the last program that uses it is gone.
/// </summary>
public abstract unsafe class BpfMap : IDisposable
{
    /// <summary>Takes what the map is.</summary>
    protected BpfMap(MapSpec spec) => Spec = spec;

    /// <summary>What the map is.</summary>
    public MapSpec Spec { get; }

    /// <summary>The map's name.</summary>
    public string Name => Spec.Name;

    /// <summary>The native header: the address programs use.</summary>
    public abstract MapHeader* Header { get; }

    /// <summary>Frees the map once nothing uses it.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the native memory.</summary>
    protected abstract void Dispose(bool disposing);
}
