using System.Collections.Immutable;
using static UringBpf.Bytecode.ArgumentKind;

namespace UringBpf.Bytecode;

/// <summary>The built-in helpers, with the numbers and semantics of the Linux ABI (<c>include/uapi/linux/bpf.h</c>, man 7 bpf-helpers).</summary>
public static class HelperPrototypes
{
    private static FunctionPrototype Define(int id, string name, ReturnKind returns, params Argument[] arguments) =>
        new() { Id = id, Name = name, Kind = FunctionKind.Helper, Returns = returns, Arguments = [.. arguments] };

    private static readonly ImmutableArray<MapType> s_keyed =
        [MapType.Hash, MapType.Array, MapType.PerCpuHash, MapType.PerCpuArray, MapType.LruHash, MapType.LruPerCpuHash, MapType.LpmTrie];

    /// <summary>void *bpf_map_lookup_elem(map, key)</summary>
    public static FunctionPrototype MapLookup { get; } = Define(1, "bpf_map_lookup_elem", ReturnKind.MapValueOrNull,
        new("map", Map), new("key", MapKey)) with
    { MapTypes = [.. s_keyed, MapType.ArrayOfMaps, MapType.HashOfMaps], Summary = "Pointer to the value of a key, or NULL." };

    /// <summary>long bpf_map_update_elem(map, key, value, flags)</summary>
    public static FunctionPrototype MapUpdate { get; } = Define(2, "bpf_map_update_elem", ReturnKind.Scalar,
        new("map", Map), new("key", MapKey), new("value", MapValue), new("flags", Scalar)) with
    { MapTypes = s_keyed, ReturnMin = Limits.MinErrno, ReturnMax = 0, Summary = "Adds or replaces a value; 0 or -errno." };

    /// <summary>long bpf_map_delete_elem(map, key)</summary>
    public static FunctionPrototype MapDelete { get; } = Define(3, "bpf_map_delete_elem", ReturnKind.Scalar,
        new("map", Map), new("key", MapKey)) with
    { MapTypes = s_keyed, ReturnMin = Limits.MinErrno, ReturnMax = 0, Summary = "Deletes a key; 0 or -errno." };

    /// <summary>u64 bpf_ktime_get_ns(void)</summary>
    public static FunctionPrototype KtimeGetNs { get; } = Define(5, "bpf_ktime_get_ns", ReturnKind.Scalar) with
    { Summary = "Monotonic time in nanoseconds." };

    /// <summary>long bpf_trace_printk(fmt, fmt_size, ...)</summary>
    public static FunctionPrototype TracePrintk { get; } = Define(6, "bpf_trace_printk", ReturnKind.Scalar,
        new("fmt", ReadMemory), new("fmt_size", Size), new("arg1", Scalar), new("arg2", Scalar), new("arg3", Scalar)) with
    { Summary = "Prints a formatted line to the engine's trace sink; bytes written or -errno." };

    /// <summary>u32 bpf_get_prandom_u32(void)</summary>
    public static FunctionPrototype GetPrandomU32 { get; } = Define(7, "bpf_get_prandom_u32", ReturnKind.Scalar) with
    { ReturnMin = 0, ReturnMax = uint.MaxValue, Summary = "A pseudo-random 32-bit number." };

    /// <summary>u32 bpf_get_smp_processor_id(void)</summary>
    public static FunctionPrototype GetSmpProcessorId { get; } = Define(8, "bpf_get_smp_processor_id", ReturnKind.Scalar) with
    { ReturnMin = 0, ReturnMax = uint.MaxValue, Summary = "The execution slot this program runs on." };

    /// <summary>long bpf_tail_call(ctx, prog_array_map, index)</summary>
    public static FunctionPrototype TailCall { get; } = Define(12, "bpf_tail_call", ReturnKind.Scalar,
        new("ctx", Context), new("prog_array_map", Map), new("index", Scalar)) with
    { MapTypes = [MapType.ProgramArray], Traits = FunctionTraits.TailCall, Summary = "Continues in another program; returns only on failure." };

    /// <summary>long bpf_loop(nr_loops, callback, ctx, flags)</summary>
    public static FunctionPrototype Loop { get; } = Define(181, "bpf_loop", ReturnKind.Scalar,
        new("nr_loops", Scalar), new("callback_fn", Callback), new("callback_ctx", CallbackContext), new("flags", Scalar)) with
    { Traits = FunctionTraits.CallsBack, ReturnMin = Limits.MinErrno, ReturnMax = Limits.LoopRounds, Summary = "Calls a subprogram up to nr_loops times; rounds made or -errno." };

    /// <summary>Every built-in helper.</summary>
    public static ImmutableArray<FunctionPrototype> All { get; } =
        [MapLookup, MapUpdate, MapDelete, KtimeGetNs, TracePrintk, GetPrandomU32, GetSmpProcessorId, TailCall, Loop];
}
