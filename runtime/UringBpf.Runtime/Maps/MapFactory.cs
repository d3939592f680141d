using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Makes a map of the type its spec names.</summary>
internal static class MapFactory
{
    public static BpfMap Create(MapSpec spec) => spec.Type switch
    {
        MapType.Array or MapType.PerCpuArray => new ArrayMap(spec),
        MapType.Hash or MapType.PerCpuHash or MapType.LruHash or MapType.LruPerCpuHash => new HashMap(spec),
        _ => throw new BpfException("UB4101", $"map '{spec.Name}': maps of type {spec.Type} are not supported."),
    };
}
