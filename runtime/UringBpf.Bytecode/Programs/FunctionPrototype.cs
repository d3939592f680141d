using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>How a program names a function of the host.</summary>
public enum FunctionKind : byte
{
    /// <summary>By helper number (call imm).</summary>
    Helper,
    /// <summary>By symbol name through an extern, linked to the prototype's number (call with source 2).</summary>
    Kfunc,
}

/// <summary>What a function wants in an argument register. The verifier checks it, engines trust it.</summary>
public enum ArgumentKind : byte
{
    /// <summary>Any initialised number.</summary>
    Scalar,
    /// <summary>A number the verifier knows exactly.</summary>
    Constant,
    /// <summary>The program's context pointer, unmodified.</summary>
    Context,
    /// <summary>A map, named by a 64-bit immediate.</summary>
    Map,
    /// <summary>Pointer to the map's key_size readable initialised bytes.</summary>
    MapKey,
    /// <summary>Pointer to the map's value_size readable initialised bytes.</summary>
    MapValue,
    /// <summary>Pointer to the map's value_size writable bytes that the function fills.</summary>
    MapValueOut,
    /// <summary>Pointer to readable initialised memory; its length is the next argument, or <see cref="Argument.FixedSize"/>.</summary>
    ReadMemory,
    /// <summary>Pointer to writable memory, initialised or not, that the function fills completely; length as for <see cref="ReadMemory"/>.</summary>
    WriteMemory,
    /// <summary>Pointer to initialised memory that the function reads and writes; length as for <see cref="ReadMemory"/>.</summary>
    ReadWriteMemory,
    /// <summary>Length in bytes of the previous argument, at least 1.</summary>
    Size,
    /// <summary>Length in bytes of the previous argument; 0 is allowed.</summary>
    SizeOrZero,
    /// <summary>A known number: the bytes of memory the function returns.</summary>
    AllocationSize,
    /// <summary>A ring-buffer record from reserve; the call releases it.</summary>
    Record,
    /// <summary>A subprogram of this program, loaded with a 64-bit immediate of kind function.</summary>
    Callback,
    /// <summary>What is handed to the callback: a stack pointer or 0.</summary>
    CallbackContext,
    /// <summary>Pointer to the <c>struct bpf_spin_lock</c> in a map value.</summary>
    SpinLock,
    /// <summary>Pointer to a NUL-terminated string in frozen global data.</summary>
    ConstantString,
    /// <summary>Pointer to a <c>struct bpf_iter_num</c> (8 bytes, aligned) on the stack that is not in use: the call starts it.</summary>
    IteratorNew,
    /// <summary>Pointer to a started <c>struct bpf_iter_num</c> on the stack.</summary>
    Iterator,
    /// <summary>As <see cref="Iterator"/>; the call ends it.</summary>
    IteratorDestroy,
    /// <summary>Whatever the register holds: a number, a pointer, or nothing initialised (the variable arguments of
    /// bpf_trace_printk). The function treats it as a number that reaches the host only, never the program.</summary>
    Anything,
}

/// <summary>One argument of a function.</summary>
/// <param name="Name">Its C name.</param>
/// <param name="Kind">What it must be.</param>
/// <param name="FixedSize">Bytes of pointed-to memory when no size argument follows; 0 otherwise.</param>
/// <param name="Nullable">True when 0 is accepted in place of a pointer.</param>
public sealed record Argument(string Name, ArgumentKind Kind, int FixedSize = 0, bool Nullable = false);

/// <summary>What a function leaves in r0.</summary>
public enum ReturnKind : byte
{
    /// <summary>Nothing: r0 is unreadable after the call.</summary>
    Void,
    /// <summary>A number.</summary>
    Scalar,
    /// <summary>Pointer to a value of the map argument, or NULL; for a map of maps an inner map, or NULL.</summary>
    MapValueOrNull,
    /// <summary>Pointer to <see cref="ArgumentKind.AllocationSize"/> bytes valid until the program returns, or NULL.</summary>
    MemoryOrNull,
    /// <summary>As <see cref="MemoryOrNull"/>, and it must be released before the program ends (ring-buffer record).</summary>
    RecordOrNull,
    /// <summary>Pointer to the iterator's current 32-bit number, or NULL at its end.</summary>
    IteratorValueOrNull,
}

/// <summary>What the verifier and the engines must treat specially.</summary>
[Flags]
public enum FunctionTraits
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>Does not return on success: the tail call.</summary>
    TailCall = 1,
    /// <summary>Takes the lock.</summary>
    Locks = 2,
    /// <summary>Releases the lock.</summary>
    Unlocks = 4,
    /// <summary>Invokes its callback.</summary>
    CallsBack = 8,
    /// <summary>Memory returned may be read only.</summary>
    ReturnsReadOnly = 16,
    /// <summary>Needs the ring: unavailable to a program run without one, where it returns -EOPNOTSUPP.</summary>
    NeedsRing = 32,
    /// <summary>Memory it reads may hold pointers the program spilled there: what it makes of them reaches the host only
    /// (bpf_trace_vprintk). Without this trait, spilled pointers in memory handed to a function are refused.</summary>
    ReadsPointers = 64,
    /// <summary>Changes entries of its map argument: refused for maps that programs may only read (frozen global data, BPF_F_RDONLY_PROG).</summary>
    WritesMap = 128,
    /// <summary>Reads entries of its map argument into the program's memory: refused for maps that programs may only write (BPF_F_WRONLY_PROG).</summary>
    ReadsMap = 256,
}

/// <summary>
/// The typed prototype of a helper or kfunc. Loader, verifier and engines read the same one; built-in functions are
/// declared in the same vocabulary as the host's own.
/// </summary>
public sealed record FunctionPrototype
{
    /// <summary>The C name, such as <c>bpf_map_lookup_elem</c>.</summary>
    public required string Name { get; init; }
    /// <summary>The number: the kernel's for helpers, ours (published, stable) for kfuncs. Host-defined ones start at 0x10000.</summary>
    public required int Id { get; init; }
    /// <summary>Helper or kfunc.</summary>
    public required FunctionKind Kind { get; init; }
    /// <summary>The arguments in r1..r5.</summary>
    public ImmutableArray<Argument> Arguments { get; init; } = [];
    /// <summary>What r0 holds after the call.</summary>
    public ReturnKind Returns { get; init; } = ReturnKind.Scalar;
    /// <summary>Lowest value of a scalar result, signed.</summary>
    public long ReturnMin { get; init; } = long.MinValue;
    /// <summary>Highest value of a scalar result, signed.</summary>
    public long ReturnMax { get; init; } = long.MaxValue;
    /// <summary>What the verifier and the engines must treat specially.</summary>
    public FunctionTraits Traits { get; init; }
    /// <summary>The map types a <see cref="ArgumentKind.Map"/> argument may have; empty for all.</summary>
    public ImmutableArray<MapType> MapTypes { get; init; } = [];
    /// <summary>The C name of the context struct the function works on: only programs with that context may call it.
    /// Empty when it works with any.</summary>
    public string ContextStruct { get; init; } = "";
    /// <summary>One line: what it does, for reference pages.</summary>
    public string Summary { get; init; } = "";

    /// <summary>After it the program holds a lock, or, when it does not return 0, a record: a metered run does not expire then.</summary>
    public bool Acquires => (Traits & FunctionTraits.Locks) != 0 || Returns == ReturnKind.RecordOrNull;

    /// <summary>After it the program holds one thing less.</summary>
    public bool Releases => (Traits & FunctionTraits.Unlocks) != 0 || Arguments.Any(argument => argument.Kind == ArgumentKind.Record);

    /// <inheritdoc />
    public bool Equals(FunctionPrototype? other) => ReferenceEquals(this, other);

    /// <inheritdoc />
    public override int GetHashCode() => (int)Kind << 30 ^ Id;
}
