using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>The maps of an object, found by where their definition or their data lies.</summary>
internal sealed class MapTable
{
    // By section in the upper half and offset in the lower: .NET has no code made ahead for keys of two parts.
    private readonly Dictionary<long, MapSpec> _defined = [];
    private readonly Dictionary<int, MapSpec> _data = [];
    private readonly HashSet<string> _names = [];
    private readonly List<MapSpec> _all = [];

    /// <summary>Every map: definitions in order of offset, then global data in order of section.</summary>
    public IReadOnlyList<MapSpec> All => _all;

    /// <summary>The map defined at a byte of a section, or null.</summary>
    public MapSpec? DefinedAt(int section, ulong offset) =>
        offset <= int.MaxValue && _defined.TryGetValue(Key(section, (int)offset), out var map) ? map : null;

    /// <summary>The array that holds a data section, or null.</summary>
    public MapSpec? OfData(int section) => _data.TryGetValue(section, out var map) ? map : null;

    /// <summary>Adds a defined map.</summary>
    public void AddDefinition(int section, int offset, MapSpec map)
    {
        Add(map);
        if (!_defined.TryAdd(Key(section, offset), map))
            throw new BpfException("UB1302", $"map '{map.Name}' is defined where another map is, at byte {offset} of its section.");
    }

    /// <summary>Adds the array of a data section.</summary>
    public void AddData(int section, MapSpec map)
    {
        Add(map);
        _data.Add(section, map);
    }

    /// <summary>Adds a map that no relocation finds by place.</summary>
    public void Add(MapSpec map)
    {
        if (!_names.Add(map.Name))
            throw new BpfException("UB1313", $"two maps are named '{map.Name}'.");
        _all.Add(map);
    }

    private static long Key(int section, int offset) => (long)section << 32 | (uint)offset;
}
