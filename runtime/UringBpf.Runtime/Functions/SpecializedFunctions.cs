using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>The map helpers per map type and key size: what a compiler calls in place of the general ones.</summary>
internal static class SpecializedFunctions
{
    private static readonly Dictionary<(FunctionPrototype, string), FunctionImplementation> s_cache = [];

    /// <summary>The special method, or null when there is none.</summary>
    public static FunctionImplementation? Find(FunctionPrototype prototype, MapSpec map)
    {
        if (prototype == HelperPrototypes.MapPop) return map.Type == MapType.Queue ? Queue(prototype, nameof(QueueOps.PopQueue)) : Queue(prototype, nameof(QueueOps.PopStack));
        if (prototype == HelperPrototypes.MapPush && map.Type != MapType.BloomFilter) return Queue(prototype, nameof(QueueOps.Push));
        var operation = prototype == HelperPrototypes.MapLookup ? "Lookup"
            : prototype == HelperPrototypes.MapUpdate ? "Update"
            : prototype == HelperPrototypes.MapDelete ? "Delete"
            : null;
        if (operation == null) return null;
        var size = map.KeySize switch { 4 => "4", 8 => "8", _ => "" };
        return (map.Type, operation) switch
        {
            (MapType.Array, _) => Array(prototype, operation),
            (MapType.PerCpuArray, "Lookup" or "Update") => Array(prototype, "PerCpu" + operation),
            (MapType.Hash or MapType.LruHash or MapType.PerCpuHash or MapType.LruPerCpuHash, "Delete") => Hash(prototype, operation + size),
            (MapType.Hash, _) or (MapType.LruHash, "Update") => Hash(prototype, operation + size),
            (MapType.LruHash, "Lookup") => Hash(prototype, "LruLookup" + size),
            (MapType.PerCpuHash or MapType.LruPerCpuHash, _) => Hash(prototype, "PerCpu" + operation + size),
            (MapType.ArrayOfMaps, "Lookup") => Inner(prototype, nameof(MapOfMapsOps.ArrayLookup)),
            (MapType.HashOfMaps, "Lookup") => Inner(prototype, nameof(MapOfMapsOps.HashLookup)),
            _ => null,
        };
    }

    private static FunctionImplementation Queue(FunctionPrototype prototype, string name) =>
        Cached(prototype, name, () => BuiltInFunctions.Bind(prototype, typeof(QueueOps), name));

    private static FunctionImplementation Inner(FunctionPrototype prototype, string name) =>
        Cached(prototype, "Inner" + name, () => BuiltInFunctions.Bind(prototype, typeof(MapOfMapsOps), name));

    private static FunctionImplementation Array(FunctionPrototype prototype, string name) =>
        Cached(prototype, "Array" + name, () => BuiltInFunctions.Bind(prototype, typeof(ArrayOps), name));

    private static FunctionImplementation Hash(FunctionPrototype prototype, string name) =>
        Cached(prototype, name, () => BuiltInFunctions.Bind(prototype, typeof(HashOps), name));

    private static FunctionImplementation Cached(FunctionPrototype prototype, string name, Func<FunctionImplementation> make)
    {
        lock (s_cache)
        {
            if (!s_cache.TryGetValue((prototype, name), out var found)) s_cache[(prototype, name)] = found = make();
            return found;
        }
    }
}
