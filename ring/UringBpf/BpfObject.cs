using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf;

/// <summary>
/// An object that runs: its maps, created, and its programs, verified and bound to them. Owns both. Thread-safe; see
/// <see cref="BpfProgram"/> and <see cref="MapSet"/> for what disposing means to runs in progress and to attached hooks.
/// </summary>
public sealed class BpfObject : IDisposable
{
    internal BpfObject(ObjectSpec spec, MapSet maps, ImmutableArray<BpfProgram> programs)
    {
        Spec = spec;
        Maps = maps;
        Programs = programs;
    }

    /// <summary>What it was made from.</summary>
    public ObjectSpec Spec { get; }

    /// <summary>Its maps, global data included.</summary>
    public MapSet Maps { get; }

    /// <summary>Its programs, in section order.</summary>
    public ImmutableArray<BpfProgram> Programs { get; }

    /// <summary>The program with this name.</summary>
    /// <exception cref="BpfException">UB1330 when there is none.</exception>
    public BpfProgram this[string program] => Programs[Spec.Programs.IndexOf(Spec.Program(program))];

    /// <summary>Typed access to a hash, LRU hash or LPM trie map.</summary>
    /// <exception cref="BpfException">UB1331 when there is no such map; UB4104 when its kind or sizes differ.</exception>
    public BpfHashMap<TKey, TValue> HashMap<TKey, TValue>(string name) where TKey : unmanaged where TValue : unmanaged => new(Map(name));

    /// <summary>Typed access to an array map.</summary>
    /// <exception cref="BpfException">UB1331 when there is no such map; UB4104 when its kind or size differ.</exception>
    public BpfArrayMap<TValue> ArrayMap<TValue>(string name) where TValue : unmanaged => new(Map(name));

    /// <summary>Typed access to a per-CPU map.</summary>
    /// <exception cref="BpfException">UB1331 when there is no such map; UB4104 when its kind or sizes differ.</exception>
    public BpfPerCpuMap<TKey, TValue> PerCpuMap<TKey, TValue>(string name) where TKey : unmanaged where TValue : unmanaged => new(Map(name));

    /// <summary>Typed access to a queue or stack map.</summary>
    /// <exception cref="BpfException">UB1331 when there is no such map; UB4104 when its kind or size differ.</exception>
    public BpfQueueMap<TValue> QueueMap<TValue>(string name) where TValue : unmanaged => new(Map(name));

    /// <summary>The ring buffer with this name.</summary>
    /// <exception cref="BpfException">UB1331 when there is no such map; UB4104 when it is of another kind.</exception>
    public RingBufferMap RingBuffer(string name) => Map(name) as RingBufferMap ?? throw new BpfException("UB4104", $"map '{name}' is of type {Map(name).Spec.Type}, not a ring buffer.");

    /// <summary>A global variable, live.</summary>
    /// <exception cref="BpfException">UB1332 when there is no such variable; UB4104 when <typeparamref name="T"/> has another size.</exception>
    public BpfGlobal<T> Global<T>(string name) where T : unmanaged => Maps.Global<T>(Spec.Global(name));

    /// <summary>The map with this name.</summary>
    /// <exception cref="BpfException">UB1331 when there is none.</exception>
    public BpfMap Map(string name) => Maps[Spec.Map(name)];

    /// <summary>Gives up the programs and the maps. Hooks attached to a ring go on until they are detached.</summary>
    public void Dispose()
    {
        foreach (var program in Programs) program.Dispose();
        Maps.Dispose();
    }
}
