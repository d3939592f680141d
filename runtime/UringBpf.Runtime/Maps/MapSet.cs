using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// The created maps of one object, found by spec or by name. Owns them; programs bound to it keep it, so that disposing it
/// while one can still run frees the maps only after that program. Thread-safe after creation.
/// </summary>
public sealed class MapSet : IDisposable
{
    private readonly Dictionary<MapSpec, BpfMap> _maps;
    private int _references = 1;
    private int _disposed;

    private MapSet(Dictionary<MapSpec, BpfMap> maps)
    {
        _maps = maps;
        foreach (var map in maps.Values) map.Retain();
    }

    /// <summary>No maps. Disposing it does nothing.</summary>
    public static MapSet Empty { get; } = new([]);

    /// <summary>Creates every map, or none.</summary>
    /// <exception cref="BpfException">UB41xx when a spec can't be created.</exception>
    public static MapSet Create(IEnumerable<MapSpec> specs)
    {
        var maps = new Dictionary<MapSpec, BpfMap>();
        try
        {
            foreach (var spec in specs) maps[spec] = MapFactory.Create(spec);
            foreach (var map in maps.Values.OfType<MapOfMaps>()) FillIn(map, maps.Values);
        }
        catch
        {
            foreach (var map in maps.Values) map.Dispose();
            throw;
        }
        return new MapSet(maps);
    }

    /// <summary>Every map.</summary>
    public IReadOnlyCollection<BpfMap> All => _maps.Values;

    /// <summary>The map made from this spec.</summary>
    /// <exception cref="KeyNotFoundException">The set has no such map.</exception>
    public BpfMap this[MapSpec spec] => _maps[spec];

    /// <summary>The map with this name.</summary>
    /// <exception cref="KeyNotFoundException">The set has no such map.</exception>
    public BpfMap this[string name] => _maps.Values.FirstOrDefault(map => map.Name == name) ?? throw new KeyNotFoundException($"no map is named '{name}'.");

    /// <summary>A global variable, live: <c>maps.Global&lt;int&gt;(spec.Global("threshold")).Value = 5</c>.</summary>
    /// <exception cref="KeyNotFoundException">The variable's object is not the one the set was made for.</exception>
    /// <exception cref="BpfException">UB4104 when <typeparamref name="T"/> has another size.</exception>
    public BpfGlobal<T> Global<T>(GlobalVariable variable) where T : unmanaged => new(_maps[variable.Map], variable);

    /// <summary>Gives up the maps: from here on the host can't use them (<see cref="ObjectDisposedException"/>), and program arrays are
    /// empty, as their programs may hold this set. Programs bound to it go on; the maps are freed once there are none and none runs.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        foreach (var map in _maps.Values) map.Dispose();
        Release();
    }

    // The inner maps that the object declares in '.values'.
    private static void FillIn(MapOfMaps outer, IEnumerable<BpfMap> maps)
    {
        foreach (var (index, name) in outer.Spec.InitialEntries)
        {
            var inner = maps.FirstOrDefault(map => map.Name == name)
                ?? throw new BpfException("UB4102", $"map '{outer.Name}': entry {index} names '{name}', which is no map of this set.");
            var status = outer.Spec.KeySize == sizeof(int) ? outer.Set(index, inner) : -Errno.EINVAL;
            if (status != 0) throw new BpfException("UB4102", $"map '{outer.Name}': entry {index} ('{name}') cannot be set, errno {-status}.");
        }
    }

    /// <summary>Adds a program's reference.</summary>
    /// <exception cref="ObjectDisposedException">The last reference is gone.</exception>
    internal void Retain()
    {
        if (_maps.Count == 0) return;
        int references;
        do
        {
            references = Volatile.Read(ref _references);
            ObjectDisposedException.ThrowIf(references == 0, this);
        }
        while (Interlocked.CompareExchange(ref _references, references + 1, references) != references);
    }

    /// <summary>Takes a reference away; with the last go the set's own on its maps.</summary>
    internal void Release()
    {
        if (_maps.Count == 0 || Interlocked.Decrement(ref _references) != 0) return;
        foreach (var map in _maps.Values)
        {
            map.Dispose();
            map.Release();
        }
    }
}
