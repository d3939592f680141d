using System.Collections.Immutable;
using static UringBpf.Bytecode.ArgumentKind;

namespace UringBpf.Bytecode;

/// <summary>
/// The built-in helpers, with the numbers and semantics of the Linux ABI (<c>include/uapi/linux/bpf.h</c>, man 7
/// bpf-helpers). Helpers of that ABI that are not here are explained by <see cref="RefusedHelpers"/>.
/// </summary>
public static class HelperPrototypes
{
    private static FunctionPrototype Define(int id, string name, ReturnKind returns, params Argument[] arguments) =>
        new() { Id = id, Name = name, Kind = FunctionKind.Helper, Returns = returns, Arguments = [.. arguments] };

    // Most helpers give 0 or -errno.
    private static FunctionPrototype Status(int id, string name, params Argument[] arguments) =>
        Define(id, name, ReturnKind.Scalar, arguments) with { ReturnMin = Limits.MinErrno, ReturnMax = 0 };

    private static readonly ImmutableArray<MapType> s_keyed =
        [MapType.Hash, MapType.Array, MapType.PerCpuHash, MapType.PerCpuArray, MapType.LruHash, MapType.LruPerCpuHash, MapType.LpmTrie];
    private static readonly ImmutableArray<MapType> s_lookedUp =
        [MapType.Hash, MapType.Array, MapType.PerCpuHash, MapType.PerCpuArray, MapType.LruHash, MapType.LruPerCpuHash, MapType.LpmTrie, MapType.ArrayOfMaps, MapType.HashOfMaps];
    private static readonly ImmutableArray<MapType> s_walkable =
        [MapType.Hash, MapType.Array, MapType.PerCpuHash, MapType.PerCpuArray, MapType.LruHash, MapType.LruPerCpuHash];

    /// <summary>void *bpf_map_lookup_elem(map, key)</summary>
    public static FunctionPrototype MapLookup { get; } = Define(1, "bpf_map_lookup_elem", ReturnKind.MapValueOrNull,
        new("map", Map), new("key", MapKey)) with
    { MapTypes = s_lookedUp, Summary = "Pointer to the value of a key, or NULL." };

    /// <summary>long bpf_map_update_elem(map, key, value, flags)</summary>
    public static FunctionPrototype MapUpdate { get; } = Status(2, "bpf_map_update_elem",
        new("map", Map), new("key", MapKey), new("value", MapValue), new("flags", Scalar)) with
    { MapTypes = s_keyed, Traits = FunctionTraits.WritesMap, Summary = "Adds or replaces a value; 0 or -errno." };

    /// <summary>long bpf_map_delete_elem(map, key)</summary>
    public static FunctionPrototype MapDelete { get; } = Status(3, "bpf_map_delete_elem",
        new("map", Map), new("key", MapKey)) with
    { MapTypes = s_keyed, Traits = FunctionTraits.WritesMap, Summary = "Deletes a key; 0 or -errno." };

    /// <summary>u64 bpf_ktime_get_ns(void)</summary>
    public static FunctionPrototype KtimeGetNs { get; } = Define(5, "bpf_ktime_get_ns", ReturnKind.Scalar) with
    { Summary = "Monotonic time in nanoseconds, suspended time left out." };

    /// <summary>long bpf_trace_printk(fmt, fmt_size, ...)</summary>
    public static FunctionPrototype TracePrintk { get; } = Define(6, "bpf_trace_printk", ReturnKind.Scalar,
        new("fmt", ReadMemory), new("fmt_size", Size), new("arg1", Anything), new("arg2", Anything), new("arg3", Anything)) with
    {
        ReturnMin = Limits.MinErrno,
        ReturnMax = int.MaxValue,
        Summary = "Prints a formatted line to the engine's trace sink; bytes of the format (the kernel: bytes written) or -errno.",
    };

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

    /// <summary>u64 bpf_get_current_pid_tgid(void)</summary>
    public static FunctionPrototype GetCurrentPidTgid { get; } = Define(14, "bpf_get_current_pid_tgid", ReturnKind.Scalar) with
    { Summary = "Process id in the upper, thread id in the lower 32 bits." };

    /// <summary>u64 bpf_get_current_uid_gid(void)</summary>
    public static FunctionPrototype GetCurrentUidGid { get; } = Define(15, "bpf_get_current_uid_gid", ReturnKind.Scalar) with
    { Summary = "Group id in the upper, user id in the lower 32 bits; 0 where the system has none." };

    /// <summary>long bpf_get_current_comm(buf, size_of_buf)</summary>
    public static FunctionPrototype GetCurrentComm { get; } = Status(16, "bpf_get_current_comm",
        new("buf", WriteMemory), new("size_of_buf", Size)) with
    { Summary = "Fills buf with the thread's name, cut to fit and zero-padded." };

    /// <summary>long bpf_skb_load_bytes(skb, offset, to, len)</summary>
    public static FunctionPrototype SkbLoadBytes { get; } = Status(26, "bpf_skb_load_bytes",
        new("skb", Context), new("offset", Scalar), new("to", WriteMemory), new("len", Size)) with
    { ContextStruct = "__sk_buff", Summary = "Copies packet bytes; 0, or -EFAULT (and zeroes) when they are not all there." };

    /// <summary>s64 bpf_csum_diff(from, from_size, to, to_size, seed)</summary>
    public static FunctionPrototype CsumDiff { get; } = Define(28, "bpf_csum_diff", ReturnKind.Scalar,
        new("from", ReadMemory, Nullable: true), new("from_size", SizeOrZero), new("to", ReadMemory, Nullable: true), new("to_size", SizeOrZero),
        new("seed", Scalar)) with
    { ReturnMin = Limits.MinErrno, ReturnMax = uint.MaxValue, Summary = "Internet checksum of what replaces 'from' by 'to'; sizes must be multiples of 4." };

    /// <summary>long bpf_get_numa_node_id(void)</summary>
    public static FunctionPrototype GetNumaNodeId { get; } = Define(42, "bpf_get_numa_node_id", ReturnKind.Scalar) with
    { ReturnMin = 0, ReturnMax = 0, Summary = "Always 0: execution slots have no node." };

    /// <summary>long bpf_map_push_elem(map, value, flags)</summary>
    public static FunctionPrototype MapPush { get; } = Status(87, "bpf_map_push_elem",
        new("map", Map), new("value", MapValue), new("flags", Scalar)) with
    {
        MapTypes = [MapType.Queue, MapType.Stack, MapType.BloomFilter],
        Traits = FunctionTraits.WritesMap,
        Summary = "Pushes a value (BPF_EXIST drops the oldest when full), or adds it to a bloom filter; 0 or -errno.",
    };

    /// <summary>long bpf_map_pop_elem(map, value)</summary>
    public static FunctionPrototype MapPop { get; } = Status(88, "bpf_map_pop_elem",
        new("map", Map), new("value", MapValueOut)) with
    { MapTypes = [MapType.Queue, MapType.Stack], Traits = FunctionTraits.WritesMap | FunctionTraits.ReadsMap, Summary = "Takes the next value; 0, or -ENOENT (and zeroes) when empty." };

    /// <summary>long bpf_map_peek_elem(map, value)</summary>
    /// <remarks>On a bloom filter the value is an input: the verifier reads the argument as
    /// <see cref="ArgumentKind.MapValue"/> there.</remarks>
    public static FunctionPrototype MapPeek { get; } = Status(89, "bpf_map_peek_elem",
        new("map", Map), new("value", MapValueOut)) with
    {
        MapTypes = [MapType.Queue, MapType.Stack, MapType.BloomFilter],
        Traits = FunctionTraits.ReadsMap,
        Summary = "Copies the next value without taking it, or asks a bloom filter about a value; 0, or -ENOENT.",
    };

    /// <summary>void bpf_spin_lock(lock)</summary>
    public static FunctionPrototype SpinLockAcquire { get; } = Define(93, "bpf_spin_lock", ReturnKind.Void, new Argument("lock", ArgumentKind.SpinLock)) with
    { Traits = FunctionTraits.Locks, Summary = "Takes the lock in a map value; no other call is allowed until it is released." };

    /// <summary>void bpf_spin_unlock(lock)</summary>
    public static FunctionPrototype SpinLockRelease { get; } = Define(94, "bpf_spin_unlock", ReturnKind.Void, new Argument("lock", ArgumentKind.SpinLock)) with
    { Traits = FunctionTraits.Unlocks, Summary = "Releases the lock." };

    /// <summary>long bpf_strtol(buf, buf_len, flags, res)</summary>
    public static FunctionPrototype Strtol { get; } = Define(105, "bpf_strtol", ReturnKind.Scalar,
        new("buf", ReadMemory), new("buf_len", Size), new("flags", Scalar), new("res", WriteMemory, 8)) with
    { ReturnMin = Limits.MinErrno, ReturnMax = int.MaxValue, Summary = "Parses a signed number in base flags (0 guesses, 8, 10, 16); characters consumed or -errno." };

    /// <summary>long bpf_strtoul(buf, buf_len, flags, res)</summary>
    public static FunctionPrototype Strtoul { get; } = Define(106, "bpf_strtoul", ReturnKind.Scalar,
        new("buf", ReadMemory), new("buf_len", Size), new("flags", Scalar), new("res", WriteMemory, 8)) with
    { ReturnMin = Limits.MinErrno, ReturnMax = int.MaxValue, Summary = "Parses an unsigned number in base flags (0 guesses, 8, 10, 16); characters consumed or -errno." };

    /// <summary>u64 bpf_jiffies64(void)</summary>
    public static FunctionPrototype Jiffies64 { get; } = Define(118, "bpf_jiffies64", ReturnKind.Scalar) with
    { Summary = "Monotonic time in ticks of 4 ms (HZ 250)." };

    /// <summary>u64 bpf_ktime_get_boot_ns(void)</summary>
    public static FunctionPrototype KtimeGetBootNs { get; } = Define(125, "bpf_ktime_get_boot_ns", ReturnKind.Scalar) with
    { Summary = "Monotonic time in nanoseconds, suspended time included." };

    /// <summary>long bpf_ringbuf_output(ringbuf, data, size, flags)</summary>
    public static FunctionPrototype RingbufOutput { get; } = Status(130, "bpf_ringbuf_output",
        new("ringbuf", Map), new("data", ReadMemory), new("size", SizeOrZero), new("flags", Scalar)) with
    { MapTypes = [MapType.RingBuffer], Summary = "Copies a record into the ring buffer; 0, or -EAGAIN when it is full." };

    /// <summary>void *bpf_ringbuf_reserve(ringbuf, size, flags)</summary>
    public static FunctionPrototype RingbufReserve { get; } = Define(131, "bpf_ringbuf_reserve", ReturnKind.RecordOrNull,
        new("ringbuf", Map), new("size", AllocationSize), new("flags", Scalar)) with
    { MapTypes = [MapType.RingBuffer], Summary = "Reserves a record to fill in place; it must be submitted or discarded. NULL when full. Its bytes are not cleared." };

    /// <summary>void bpf_ringbuf_submit(data, flags)</summary>
    public static FunctionPrototype RingbufSubmit { get; } = Define(132, "bpf_ringbuf_submit", ReturnKind.Void,
        new("data", Record), new("flags", Scalar)) with
    { Summary = "Hands a reserved record to the host." };

    /// <summary>void bpf_ringbuf_discard(data, flags)</summary>
    public static FunctionPrototype RingbufDiscard { get; } = Define(133, "bpf_ringbuf_discard", ReturnKind.Void,
        new("data", Record), new("flags", Scalar)) with
    { Summary = "Drops a reserved record." };

    /// <summary>u64 bpf_ringbuf_query(ringbuf, flags)</summary>
    public static FunctionPrototype RingbufQuery { get; } = Define(134, "bpf_ringbuf_query", ReturnKind.Scalar,
        new("ringbuf", Map), new("flags", Scalar)) with
    { MapTypes = [MapType.RingBuffer], ReturnMin = 0, Summary = "Bytes not yet consumed (0), size (1), consumer (2) or producer position (3)." };

    /// <summary>u64 bpf_ktime_get_coarse_ns(void)</summary>
    public static FunctionPrototype KtimeGetCoarseNs { get; } = Define(160, "bpf_ktime_get_coarse_ns", ReturnKind.Scalar) with
    { Summary = "Monotonic time in nanoseconds at tick resolution; cheaper." };

    /// <summary>long bpf_for_each_map_elem(map, callback_fn, callback_ctx, flags)</summary>
    public static FunctionPrototype ForEachMapElem { get; } = Define(164, "bpf_for_each_map_elem", ReturnKind.Scalar,
        new("map", Map), new("callback_fn", Callback), new("callback_ctx", CallbackContext), new("flags", Scalar)) with
    {
        MapTypes = s_walkable,
        Traits = FunctionTraits.CallsBack,
        ReturnMin = Limits.MinErrno,
        ReturnMax = int.MaxValue,
        Summary = "Calls callback(map, key, value, ctx) for each entry until it returns 1; entries visited or -errno.",
    };

    /// <summary>long bpf_snprintf(str, str_size, fmt, data, data_len)</summary>
    public static FunctionPrototype Snprintf { get; } = Define(165, "bpf_snprintf", ReturnKind.Scalar,
        new("str", WriteMemory, Nullable: true), new("str_size", SizeOrZero), new("fmt", ConstantString),
        new("data", ReadMemory, Nullable: true), new("data_len", SizeOrZero)) with
    { ReturnMin = Limits.MinErrno, ReturnMax = int.MaxValue, Summary = "Formats numbers into memory (%s and %pI4 are -EINVAL: no pointers are passed here); the bytes the whole text takes, NUL included, or -errno." };

    /// <summary>long bpf_trace_vprintk(fmt, fmt_size, data, data_len)</summary>
    public static FunctionPrototype TraceVprintk { get; } = Define(177, "bpf_trace_vprintk", ReturnKind.Scalar,
        new("fmt", ReadMemory), new("fmt_size", Size), new("data", ReadMemory, Nullable: true), new("data_len", SizeOrZero)) with
    {
        Traits = FunctionTraits.ReadsPointers,
        ReturnMin = Limits.MinErrno,
        ReturnMax = int.MaxValue,
        Summary = "As bpf_trace_printk with up to 12 arguments in an array of 64-bit numbers.",
    };

    /// <summary>long bpf_loop(nr_loops, callback, ctx, flags)</summary>
    public static FunctionPrototype Loop { get; } = Define(181, "bpf_loop", ReturnKind.Scalar,
        new("nr_loops", Scalar), new("callback_fn", Callback), new("callback_ctx", CallbackContext), new("flags", Scalar)) with
    { Traits = FunctionTraits.CallsBack, ReturnMin = Limits.MinErrno, ReturnMax = Limits.LoopRounds, Summary = "Calls a subprogram up to nr_loops times; rounds made or -errno." };

    /// <summary>long bpf_strncmp(s1, s1_sz, s2)</summary>
    public static FunctionPrototype Strncmp { get; } = Define(182, "bpf_strncmp", ReturnKind.Scalar,
        new("s1", ReadMemory), new("s1_sz", Size), new("s2", ConstantString)) with
    { ReturnMin = -255, ReturnMax = 255, Summary = "Compares s1 (NUL-terminated or s1_sz bytes) with the constant s2." };

    /// <summary>u64 bpf_xdp_get_buff_len(xdp_md)</summary>
    public static FunctionPrototype XdpGetBuffLen { get; } = Define(188, "bpf_xdp_get_buff_len", ReturnKind.Scalar, new Argument("xdp_md", Context)) with
    { ContextStruct = "xdp_md", ReturnMin = 0, ReturnMax = int.MaxValue, Summary = "Packet bytes." };

    /// <summary>long bpf_xdp_load_bytes(xdp_md, offset, buf, len)</summary>
    public static FunctionPrototype XdpLoadBytes { get; } = Status(189, "bpf_xdp_load_bytes",
        new("xdp_md", Context), new("offset", Scalar), new("buf", WriteMemory), new("len", Size)) with
    { ContextStruct = "xdp_md", Summary = "Copies packet bytes out; 0, or -EINVAL (and zeroes, where the kernel leaves the memory as it was) when they are not all there." };

    /// <summary>long bpf_xdp_store_bytes(xdp_md, offset, buf, len)</summary>
    public static FunctionPrototype XdpStoreBytes { get; } = Status(190, "bpf_xdp_store_bytes",
        new("xdp_md", Context), new("offset", Scalar), new("buf", ReadMemory), new("len", Size)) with
    { ContextStruct = "xdp_md", Summary = "Copies bytes into the packet; 0, or -EINVAL when they do not fit." };

    /// <summary>void *bpf_map_lookup_percpu_elem(map, key, cpu)</summary>
    public static FunctionPrototype MapLookupPerCpu { get; } = Define(195, "bpf_map_lookup_percpu_elem", ReturnKind.MapValueOrNull,
        new("map", Map), new("key", MapKey), new("cpu", Scalar)) with
    { MapTypes = [MapType.PerCpuHash, MapType.PerCpuArray, MapType.LruPerCpuHash], Summary = "Pointer to another slot's value of a key, or NULL." };

    /// <summary>u64 bpf_ktime_get_tai_ns(void)</summary>
    public static FunctionPrototype KtimeGetTaiNs { get; } = Define(208, "bpf_ktime_get_tai_ns", ReturnKind.Scalar) with
    { Summary = "International Atomic Time in nanoseconds since 1970." };

    /// <summary>Every built-in helper.</summary>
    public static ImmutableArray<FunctionPrototype> All { get; } =
        [
            MapLookup, MapUpdate, MapDelete, KtimeGetNs, TracePrintk, GetPrandomU32, GetSmpProcessorId, TailCall, GetCurrentPidTgid,
            GetCurrentUidGid, GetCurrentComm, SkbLoadBytes, CsumDiff, GetNumaNodeId, MapPush, MapPop, MapPeek, SpinLockAcquire,
            SpinLockRelease, Strtol, Strtoul, Jiffies64, KtimeGetBootNs, RingbufOutput, RingbufReserve, RingbufSubmit, RingbufDiscard,
            RingbufQuery, KtimeGetCoarseNs, ForEachMapElem, Snprintf, TraceVprintk, Loop, Strncmp, XdpGetBuffLen, XdpLoadBytes,
            XdpStoreBytes, MapLookupPerCpu, KtimeGetTaiNs,
        ];
}
