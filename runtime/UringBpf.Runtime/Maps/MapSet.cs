using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>The created maps of one object, found by spec or by name. Owns them. Thread-safe after creation.</summary>
public sealed class MapSet : IDisposable
{
    private readonly Dictionary<MapSpec, BpfMap> _maps;

    private MapSet(Dictionary<MapSpec, BpfMap> maps) => _maps = maps;

    /// <summary>No maps.</summary>
    public static MapSet Empty { get; } = new([]);

    /// <summary>Creates every map, or none.</summary>
    /// <exception cref="BpfException">UB41xx when a spec can't be created.</exception>
    public static MapSet Create(IEnumerable<MapSpec> specs)
    {
        var maps = new Dictionary<MapSpec, BpfMap>();
        try
        {
            foreach (var spec in specs) maps[spec] = MapFactory.Create(spec);
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

    /// <summary>Disposes every map.</summary>
    public void Dispose()
    {
        foreach (var map in _maps.Values) map.Dispose();
    }
}
