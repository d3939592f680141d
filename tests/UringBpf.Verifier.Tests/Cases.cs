using UringBpf.Bytecode;
using static UringBpf.Verifier.Tests.Op;

namespace UringBpf.Verifier.Tests;

/// <summary>A program and what the verifier must say of it.</summary>
/// <param name="Name">What it shows.</param>
/// <param name="Code">The rule that refuses it, or null when it is accepted.</param>
/// <param name="At">The instruction that is refused.</param>
/// <param name="Instructions">The program.</param>
internal sealed record Case(string Name, Rule? Code, int At, params Instruction[][] Instructions)
{
    public ProgramType Type { get; init; } = ProgramTypes.Raw;
    public VerifierOptions Options { get; init; } = new() { ContextSize = 16 };
    /// <summary>What must hold of the accepted program beyond its verdict.</summary>
    public Func<VerifiedProgram, bool>? Holds { get; init; }

    public Func<ProgramSpec, ProgramSpec> Change { get; init; } = spec => spec;

    public ProgramSpec Spec => Change(new ProgramSpec
    {
        Name = "test",
        Type = Type,
        Instructions = [.. Instructions.SelectMany(part => part)],
        Maps = Cases.Maps,
        Functions = Cases.Functions,
    });

    public override string ToString() => Name;
}

/// <summary>The table. Maps: 0 hash of 16-byte values, 1 array of 8-byte values, 2 ring buffer, 3 frozen data (7, "abc"), 4
/// hash with a lock at 0 in 16-byte values, 5 program array, 6 array programs may not read, 7 array of hashes.</summary>
internal static class Cases
{
    public static readonly System.Collections.Immutable.ImmutableArray<MapSpec> Maps =
    [
        new() { Name = "hash", Type = MapType.Hash, KeySize = 4, ValueSize = 16, MaxEntries = 8 },
        new() { Name = "array", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 4 },
        new() { Name = "ring", Type = MapType.RingBuffer, MaxEntries = 4096 },
        new()
        {
            Name = ".rodata", Type = MapType.Array, KeySize = 4, ValueSize = 12, MaxEntries = 1, IsFrozen = true, IsGlobalData = true,
            InitialValue = [7, 0, 0, 0, (byte)'a', (byte)'b', (byte)'c', 0, 1, 1, 1, 1],
        },
        new() { Name = "locked", Type = MapType.Hash, KeySize = 4, ValueSize = 16, MaxEntries = 8, SpinLockOffset = 0 },
        new() { Name = "programs", Type = MapType.ProgramArray, KeySize = 4, ValueSize = 4, MaxEntries = 2 },
        new() { Name = "sink", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 1, Flags = MapFlags.WriteOnlyProgram },
        new()
        {
            Name = "outer", Type = MapType.ArrayOfMaps, KeySize = 4, ValueSize = 4, MaxEntries = 2,
            InnerMap = new() { Name = "inner", Type = MapType.Hash, KeySize = 4, ValueSize = 8, MaxEntries = 4 },
        },
    ];

    /// <summary>A function that needs a number known exactly.</summary>
    public static readonly FunctionPrototype TakesConstant = new()
    {
        Name = "takes_constant",
        Id = 0x10001,
        Kind = FunctionKind.Kfunc,
        Arguments = [new("value", ArgumentKind.Constant)],
    };

    /// <summary>A function that calls back in a way that the verifier knows nothing of.</summary>
    public static readonly FunctionPrototype CallsBack = new()
    {
        Name = "calls_back",
        Id = 0x10002,
        Kind = FunctionKind.Kfunc,
        Arguments = [new("count", ArgumentKind.Scalar), new("callback", ArgumentKind.Callback), new("context", ArgumentKind.CallbackContext), new("flags", ArgumentKind.Scalar)],
        Traits = FunctionTraits.CallsBack,
    };

    /// <summary>A function that writes 8 bytes.</summary>
    public static readonly FunctionPrototype WritesMemory = new()
    {
        Name = "writes_memory",
        Id = 0x10003,
        Kind = FunctionKind.Kfunc,
        Arguments = [new("memory", ArgumentKind.WriteMemory, FixedSize: 8)],
    };

    /// <summary>A host's own type: a number, and 16 bytes that may only be read.</summary>
    public static readonly ProgramType ReadOnlyFlat = new()
    {
        Name = "read_only_flat",
        Sections = ["read_only_flat"],
        Context = new()
        {
            StructName = "read_only_flat",
            Size = 24,
            HostSize = 24,
            Fields = [new("number", 0, 8), new("bytes", 8, 16, ContextFieldKind.FlatMemory, FieldAccess.Read)],
        },
    };

    public static readonly PrototypeTable Functions = new([.. HelperPrototypes.All, .. KfuncPrototypes.All, TakesConstant, CallsBack, WritesMemory]);

    private static readonly VerifierOptions s_noContext = new();

    // r0 = a reserved record of 16 bytes, or the program ends: 7 slots.
    private static readonly Instruction[] s_reserve =
        [.. Map(1, 2), .. Mov(2, 16), .. Mov(3, 0), .. Call(131), .. JumpNe(0, 0, 1), .. Exit];

    // r1 = data, r2 = data_end: 2 slots.
    private static readonly Instruction[] s_data = [.. Load(4, 2, 1, 4), .. Load(4, 1, 1, 0)];

    // A started iterator over 0..9 at fp-8: 5 slots.
    private static readonly Instruction[] s_iterate = [.. MovReg(1, 10), .. Add(1, -8), .. Mov(2, 0), .. Mov(3, 10), .. Kfunc(101)];
    private static readonly Instruction[] s_next = [.. MovReg(1, 10), .. Add(1, -8), .. Kfunc(102)];
    private static readonly Instruction[] s_destroy = [.. MovReg(1, 10), .. Add(1, -8), .. Kfunc(103)];

    // r0 = bpf_loop(r1, function at distance, 0, 0); the distance is from the function load.
    private static Instruction[] Loop(int rounds, int distance) =>
        [.. Mov(1, rounds), .. Function(2, distance), .. Mov(3, 0), .. Mov(4, 0), .. Call(181)];

    public static readonly IReadOnlyList<Case> All =
    [
        // Structure.
        new("empty program", Rule.ProgramSize, 0, []),
        new("undefined opcode", Rule.UndefinedInstruction, 0, [new Instruction(0xff)], Exit),
        new("reserved field set", Rule.UndefinedInstruction, 0, [new Instruction(0xb7, 0, 3, 0, 0)], Exit),
        new("wide immediate cut short", Rule.UndefinedInstruction, 0, [new Instruction(0x18)]),
        new("register 11", Rule.InvalidRegister, 0, Mov(11, 0), Exit),
        new("frame pointer written", Rule.InvalidRegister, 0, Mov(10, 0), Exit),
        new("jump out of the program", Rule.InvalidJump, 0, Jump(5), Exit),
        new("jump into a wide immediate", Rule.InvalidJump, 0, Jump(1), Map(1, 0), Return(0)),
        new("no exit", Rule.FallsOffEnd, 0, Mov(0, 0)),
        new("map that is not there", Rule.InvalidMapReference, 0, Map(1, 99), Return(0)),
        new("map by descriptor", Rule.InvalidMapReference, 0, Wide(1, 1), Return(0)),
        new("value of a hash by address", Rule.InvalidMapReference, 0, MapValue(1, 0, 0), Return(0)),
        new("65 maps", Rule.TooManyMaps, 0, Return(0)) { Change = spec => spec with { Maps = [.. Enumerable.Repeat(Maps[0], 65)] } },
        new("64 maps", null, 0, Return(0)) { Change = spec => spec with { Maps = [.. Enumerable.Repeat(Maps[0], 64)] } },
        new("257 functions", Rule.TooManySubprograms, 0, Return(0), [.. Enumerable.Range(0, 256).SelectMany(_ => Return(0))])
        { Change = spec => spec with { Subprograms = [.. Enumerable.Range(0, 257).Select(i => new Subprogram($"f{i}", 2 * i, 2))] } },
        new("256 functions", null, 0, Return(0), [.. Enumerable.Range(0, 255).SelectMany(_ => Return(0))])
        { Change = spec => spec with { Subprograms = [.. Enumerable.Range(0, 256).Select(i => new Subprogram($"f{i}", 2 * i, 2))] } },
        new("instruction left open by the loader", Rule.UnresolvedInstruction, 0, Return(0))
        { Change = spec => spec with { Poisoned = spec.Poisoned.Add(0, "no such field") } },
        new("the same where it can't be reached", null, 0, Jump(1), Mov(1, 1), Return(0))
        { Change = spec => spec with { Poisoned = spec.Poisoned.Add(1, "no such field") } },
        new("unknown program type", Rule.UnknownProgramType, 0, Return(0)) { Change = spec => spec with { Type = null } },
        new("function that starts nowhere", Rule.InvalidCallTarget, 0, Return(0)) { Change = spec => spec with { Subprograms = [new("f", 100, 1)] } },
        new("map with an offset", Rule.InvalidMapReference, 0, [new(0x18, 1, 5, 0, 0), new(0, 0, 0, 0, 8)], Return(0)),
        new("address past a map's value", Rule.InvalidMapReference, 0, MapValue(1, 3, 12), Return(0)),
        new("recursion", Rule.Recursion, 0, CallLocal(-1), Exit),
        new("call outside the program", Rule.InvalidCallTarget, 0, CallLocal(10), Return(0)),
        new("nine frames", Rule.CallDepth, 14, [.. Enumerable.Range(0, 8).SelectMany(_ => (Instruction[])[.. CallLocal(1), .. Exit])], Return(0)),
        new("eight frames", null, 0, [.. Enumerable.Range(0, 7).SelectMany(_ => (Instruction[])[.. CallLocal(1), .. Exit])], Return(0)),
        new("shift by 64", Rule.ImmediateShift, 1, Mov(0, 1), ShiftLeft(0, 64), Exit),
        new("shift by 63", null, 0, Mov(0, 1), ShiftLeft(0, 63), Exit),

        // Registers and stack.
        new("uninitialised register", Rule.UninitializedRegister, 0, MovReg(0, 3), Exit),
        new("uninitialised return value", Rule.UninitializedRegister, 0, Exit),
        new("argument register after a call", Rule.UninitializedRegister, 2, Mov(1, 5), Call(5), MovReg(0, 1), Exit),
        new("one path leaves it uninitialised", Rule.UninitializedRegister, 2, JumpEq(2, 20, 1), Mov(3, 1), MovReg(0, 3), Exit),
        new("uninitialised stack", Rule.UninitializedStack, 0, Load(8, 0, 10, -8), Exit),
        new("half of it initialised", Rule.UninitializedStack, 1, Store(4, 10, -8, 1), Load(8, 0, 10, -8), Exit),
        new("both halves initialised", null, 0, Store(4, 10, -8, 1), Store(4, 10, -4, 1), Load(8, 0, 10, -8), Exit),
        new("bottom of the stack", null, 0, Store(8, 10, -512, 1), Return(0)),
        new("below the stack", Rule.StackBounds, 0, Store(8, 10, -520, 1), Return(0)),
        new("above the stack", Rule.StackBounds, 0, Store(8, 10, 0, 1), Return(0)),
        new("walks beside a pointer that ends at the stack's end", Rule.StackBounds, 3, MovReg(9, 10), Add(9, -32), MovReg(8, 10), Store(1, 9, 16, 1), Add(9, 1),
            JumpLtReg(9, 8, -3), Return(0)),
        new("walks up to the stack's end", null, 0, MovReg(9, 10), Add(9, -32), MovReg(8, 10), Store(1, 9, 0, 1), Add(9, 1), JumpLtReg(9, 8, -3), Return(0)),
        new("misaligned stack", Rule.Misaligned, 0, Store(8, 10, -12, 1), Return(0)),
        new("variable stack offset", null, 0, Store(8, 10, -8, 0), Store(8, 10, -16, 0), Load(1, 3, 1), And(3, 15), MovReg(4, 10), Add(4, -16),
            AddReg(4, 3), Store(1, 4, 0, 5), Load(1, 0, 4), Exit),
        new("variable stack offset, not all initialised", Rule.UninitializedStack, 6, Store(8, 10, -8, 0), Load(1, 3, 1), And(3, 15), MovReg(4, 10),
            Add(4, -16), AddReg(4, 3), Load(1, 0, 4), Exit),
        new("variable stack offset beyond", Rule.StackBounds, 5, Load(1, 3, 1), And(3, 15), MovReg(4, 10), Add(4, -8), AddReg(4, 3), Store(1, 4, 0, 1), Return(0)),
        new("pointer stored in part", Rule.PointerStored, 0, StoreReg(4, 10, -8, 1), Return(0)),
        new("pointer stored at a variable place", Rule.PointerStored, 6, Store(8, 10, -8, 0), Store(8, 10, -16, 0), Load(8, 3, 1), And(3, 8), MovReg(4, 10), AddReg(4, 3),
            StoreReg(8, 4, -16, 1), Return(0)),
        new("pointer spilled and filled", null, 0, StoreReg(8, 10, -8, 1), Load(8, 3, 10, -8), Load(8, 0, 3), Exit),
        new("spilled pointer read in part", Rule.PartialPointer, 1, StoreReg(8, 10, -8, 1), Load(4, 0, 10, -8), Exit),
        new("spilled pointer overwritten in part, its rest read", Rule.UninitializedStack, 2, StoreReg(8, 10, -8, 1), Store(4, 10, -8, 0), Load(4, 0, 10, -4), Exit),
        new("bounds survive a spill", null, 0, Load(8, 3, 1), JumpGt(3, 8, 4), StoreReg(8, 10, -8, 3), Load(8, 4, 10, -8), AddReg(1, 4), Load(8, 0, 1), Return(0)),
        new("a check of a copy checks the original", null, 0, Load(8, 3, 1), MovReg(4, 3), JumpGt(4, 8, 2), AddReg(1, 3), Load(8, 0, 1), Return(0)),
        new("a check of a spilled copy too", null, 0, Load(8, 3, 1), StoreReg(8, 10, -8, 3), JumpGt(3, 8, 3), Load(8, 4, 10, -8), AddReg(1, 4), Load(8, 0, 1), Return(0)),

        // Context.
        new("flat context to its end", null, 0, Load(8, 0, 1, 8), Exit),
        new("flat context past its end", Rule.MemoryBounds, 0, Load(8, 0, 1, 9), Exit),
        new("flat context before its start", Rule.MemoryBounds, 0, Load(8, 0, 1, -1), Exit),
        new("flat context, unaligned", null, 0, Load(8, 0, 1, 3), Exit),
        new("flat context, unaligned atomic", Rule.Misaligned, 1, Mov(3, 1), AtomicAdd(8, 1, 3, 3), Return(0)),
        new("flat context of no bytes", Rule.MemoryBounds, 0, Load(1, 0, 1), Exit) { Options = s_noContext },
        new("pointer kept in the context", Rule.PointerStored, 0, StoreReg(8, 1, 0, 10), Return(0)),
        new("context field", null, 0, Load(8, 0, 1, 0), Return(0)) { Type = ProgramTypes.Completion },
        new("part of a context field", null, 0, Load(2, 0, 1, 8), Return(0)) { Type = ProgramTypes.Completion },
        new("context field written", Rule.ContextReadOnly, 0, Store(4, 1, 8, 1), Return(0)) { Type = ProgramTypes.Completion },
        new("between context fields", Rule.ContextField, 0, Load(8, 0, 1, 12), Return(0)) { Type = ProgramTypes.Completion },
        new("beyond the context", Rule.ContextField, 0, Load(8, 0, 1, 120), Return(0)) { Type = ProgramTypes.Completion },
        new("half of a data pointer", Rule.ContextField, 0, Load(4, 0, 1, 40), Return(0)) { Type = ProgramTypes.Completion },
        new("misaligned context field", Rule.Misaligned, 0, Load(2, 0, 1, 1), Return(0)) { Type = ProgramTypes.Completion },
        new("context at a variable offset", Rule.ContextVariableOffset, 3, Load(8, 3, 1, 0), And(3, 8), AddReg(1, 3), Load(8, 0, 1), Return(0)) { Type = ProgramTypes.Completion },
        new("scratch at a variable offset", null, 0, Load(8, 3, 1, 0), And(3, 56), AddReg(1, 3), Store(8, 1, 56, 1), Return(0)) { Type = ProgramTypes.Completion },
        new("atomic on a context field", Rule.AtomicTarget, 1, Mov(3, 1), AtomicAdd(8, 1, 0, 3), Return(0)) { Type = ProgramTypes.Completion },
        new("context field as a function's memory", Rule.ContextField, 2, MovReg(2, 1), Mov(3, 64), Kfunc(1), Return(0)) { Type = ProgramTypes.Completion },
        new("scratch as a function's memory", null, 0, MovReg(2, 1), Add(2, 56), Mov(3, 64), Kfunc(1), Return(0)) { Type = ProgramTypes.Completion },
        new("read-only flat memory written by a function", Rule.ContextReadOnly, 1, Add(1, 8), Kfunc(0x10003), Return(0)) { Type = ReadOnlyFlat },
        new("pointer kept in scratch", Rule.PointerStored, 0, StoreReg(8, 1, 56, 1), Return(0)) { Type = ProgramTypes.Completion },

        // Map values.
        new("null check", null, 0, Lookup(0), JumpEq(0, 0, 1), Load(8, 0, 0), Exit),
        new("no null check", Rule.MaybeNull, 6, Lookup(0), Load(8, 0, 0), Exit),
        new("null check of a copy", null, 0, Lookup(0), MovReg(3, 0), JumpEq(3, 0, 2), Load(8, 0, 0), Exit, Return(0)),
        new("null check of another lookup", Rule.MaybeNull, 14, Lookup(0), MovReg(6, 0), Lookup(0), JumpEq(0, 0, 2), Load(8, 0, 6), Exit, Return(0)),
        new("last bytes of a value", null, 0, Lookup(0), JumpEq(0, 0, 1), Load(8, 0, 0, 8), Exit),
        new("past a value", Rule.MapValueBounds, 7, Lookup(0), JumpEq(0, 0, 1), Load(8, 0, 0, 9), Exit),
        new("before a value", Rule.MapValueBounds, 7, Lookup(0), JumpEq(0, 0, 1), Load(8, 0, 0, -1), Exit),
        new("index checked", null, 0, Load(8, 6, 1), Lookup(0), JumpEq(0, 0, 4), JumpGt(6, 1, 3), ShiftLeft(6, 3), AddReg(0, 6), Load(8, 0, 0), Return(0)),
        new("index off by one", Rule.MapValueBounds, 11, Load(8, 6, 1), Lookup(0), JumpEq(0, 0, 4), JumpGt(6, 2, 3), ShiftLeft(6, 3), AddReg(0, 6), Load(8, 0, 0), Return(0)),
        new("index checked as signed only", Rule.PointerOffset, 10, Load(8, 6, 1), Lookup(0), JumpEq(0, 0, 4), JumpSgt(6, 1, 3), ShiftLeft(6, 3), AddReg(0, 6),
            Load(8, 0, 0), Return(0)),
        new("pointer kept in a map", Rule.PointerStored, 7, Lookup(0), JumpEq(0, 0, 1), StoreReg(8, 0, 0, 10), Return(0)),
        new("frozen data written", Rule.ReadOnlyMap, 2, MapValue(1, 3, 0), Store(1, 1, 0, 1), Return(0)),
        new("frozen data is constant", null, 0, MapValue(1, 3, 0), Load(4, 3, 1), JumpEq(3, 7, 1), Load(8, 0, 9), Return(0)),
        new("write-only map read", Rule.WriteOnlyMap, 7, Lookup(6), JumpEq(0, 0, 1), Load(8, 0, 0), Return(0)),
        new("write-only map written", null, 0, Lookup(6), JumpEq(0, 0, 1), Store(8, 0, 0, 1), Return(0)),
        new("lock read as data", Rule.LockField, 7, Lookup(4), JumpEq(0, 0, 1), Load(4, 0, 0), Return(0)),
        new("map read as memory", Rule.NotAccessible, 2, Map(1, 0), Load(8, 0, 1), Exit),
        new("number used as a pointer", Rule.NotAPointer, 1, Mov(1, 8), Load(8, 0, 1), Exit),
        new("inner map", null, 0, Lookup(7), JumpEq(0, 0, 5), MovReg(1, 0), MovReg(2, 10), Add(2, -8), Call(1), JumpNe(0, 0, 2), Return(0), Load(8, 0, 0), Exit),
        new("inner map without null check", Rule.MaybeNull, 9, Lookup(7), MovReg(1, 0), MovReg(2, 10), Add(2, -8), Call(1), Return(0)),
        new("atomic on a map value", null, 0, Lookup(0), JumpEq(0, 0, 2), Mov(3, 1), AtomicAdd(8, 0, 8, 3), Return(0)),
        new("misaligned atomic on a map value", Rule.Misaligned, 8, Lookup(0), JumpEq(0, 0, 2), Mov(3, 1), AtomicAdd(8, 0, 4, 3), Return(0)),

        // Buffers.
        new("packet checked", null, 0, s_data, MovReg(3, 1), Add(3, 4), JumpGtReg(3, 2, 1), Load(4, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("packet not checked", Rule.BufferBounds, 2, s_data, Load(1, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("packet checked for less", Rule.BufferBounds, 5, s_data, MovReg(3, 1), Add(3, 4), JumpGtReg(3, 2, 1), Load(8, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("packet checked the wrong way", Rule.BufferBounds, 5, s_data, MovReg(3, 1), Add(3, 4), JumpGtReg(2, 3, 1), Load(4, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("strict check proves one byte more", null, 0, s_data, MovReg(3, 1), Add(3, 3), JumpGtReg(2, 3, 2), Return(0), Load(4, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("data loaded again after the check", null, 0, MovReg(6, 1), s_data, Add(1, 4), JumpGtReg(1, 2, 2), Load(4, 3, 6, 0), Load(4, 0, 3), Return(0)) { Type = ProgramTypes.Xdp },
        new("before the packet", Rule.BufferBounds, 5, s_data, MovReg(3, 1), Add(3, 4), JumpGtReg(3, 2, 1), Load(1, 0, 1, -1), Return(0)) { Type = ProgramTypes.Xdp },
        new("variable packet offset", null, 0, s_data, MovReg(3, 1), Add(3, 1), JumpGtReg(3, 2, 6), Load(1, 4, 1), AddReg(1, 4), MovReg(3, 1), Add(3, 4),
            JumpGtReg(3, 2, 1), Load(4, 0, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("variable packet offset not checked again", Rule.BufferBounds, 7, s_data, MovReg(3, 1), Add(3, 1), JumpGtReg(3, 2, 2), Load(1, 4, 1), AddReg(1, 4), Load(1, 0, 1),
            Return(0)) { Type = ProgramTypes.Xdp },
        new("packet pointer compared as signed", Rule.PointerComparison, 2, s_data, JumpSgtReg(1, 2, 0), Return(0)) { Type = ProgramTypes.Xdp },
        new("packet length by subtraction", null, 0, s_data, SubReg(2, 1), MovReg(0, 2), Return(0)) { Type = ProgramTypes.Xdp },
        new("read-only buffer written", Rule.BufferReadOnly, 5, s_data, MovReg(3, 1), Add(3, 4), JumpGtReg(3, 2, 1), Store(4, 1, 0, 0), Return(0))
        { Type = ProgramTypes.Xdp with { Context = ProgramTypes.Xdp.Context with { BufferWritable = false } } },


        new("two fields by one instruction", Rule.MixedContext, 4, Load(4, 3, 1, 12), MovReg(4, 1), JumpEq(3, 0, 1), Add(4, 4), Load(4, 0, 4, 12), Return(0))
        { Type = ProgramTypes.Xdp },
        new("context or stack by one instruction", Rule.MixedContext, 6, Load(4, 3, 1, 12), Store(8, 10, -16, 0), MovReg(4, 1), JumpEq(3, 0, 2), MovReg(4, 10),
            Add(4, -28), Load(4, 0, 4, 12), Return(0)) { Type = ProgramTypes.Xdp },

        // Arithmetic.
        new("pointer multiplied", Rule.PointerOperation, 1, Mov(3, 2), MulReg(1, 3), Return(0)),
        new("pointer cut to 32 bits", Rule.PointerOperation, 0, MovReg32(3, 1), Return(0)),
        new("unbounded number added to a pointer", Rule.PointerOffset, 1, Load(8, 3, 1), AddReg(1, 3), Return(0)),
        new("offset of a pointer grown too large", Rule.PointerOffset, 1, Add(1, 500_000_000), Add(1, 500_000_000), Return(0)),
        new("arithmetic on a map", Rule.PointerOperation, 2, Map(1, 0), Add(1, 8), Return(0)),
        new("too large a constant added to a pointer", Rule.PointerOffset, 0, Add(1, 0x40000000), Return(0)),
        new("arithmetic before the null check", Rule.MaybeNullArithmetic, 6, Lookup(0), Add(0, 8), Return(0)),
        new("pointers subtracted", Rule.PointerDifference, 1, MovReg(3, 10), SubReg(3, 1), Return(0)),
        new("pointer subtracted from a number", Rule.PointerDifference, 1, Mov(3, 5), SubReg(3, 1), Return(0)),
        new("pointer compared with a number", Rule.PointerComparison, 0, JumpEq(1, 77, 0), Return(0)),
        new("pointers compared for order", Rule.PointerComparison, 0, JumpGtReg(1, 10, 0), Return(0)),
        new("division by what may be zero", null, 0, Load(8, 3, 1), Mov(0, 7), DivReg(0, 3), Exit),

        // Calls.
        new("unknown helper", Rule.UnknownFunction, 0, Call(9999), Return(0)),
        new("unknown kfunc", Rule.UnknownFunction, 0, Kfunc(9999), Return(0)),
        new("refused helper", Rule.UnknownFunction, 0, Call(4), Return(0)),
        new("kfunc of another type", Rule.FunctionNotAllowed, 3, Mov(2, 0), Mov(3, 0), Mov(4, 1), Kfunc(4), Return(0)),
        new("number where a map belongs", Rule.ArgumentKind, 3, Mov(1, 0), MovReg(2, 10), Add(2, -8), Call(1), Return(0)),
        new("number where memory belongs", Rule.ArgumentKind, 3, Map(1, 0), Mov(2, 0), Call(1), Return(0)),
        new("context pointer moved", Rule.ArgumentKind, 4, Add(1, 8), Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), Return(0)) { Type = ProgramTypes.Completion },
        new("pointer where a number belongs", Rule.PointerArgument, 2, MovReg(2, 10), Mov(3, 0), Kfunc(3), Return(0)) { Type = ProgramTypes.Completion },
        new("key not initialised", Rule.UninitializedStack, 4, Map(1, 0), MovReg(2, 10), Add(2, -8), Call(1), Return(0)),
        new("no memory of some size", Rule.ArgumentSize, 5, Mov(1, 0), Mov(2, 4), Mov(3, 0), Mov(4, 0), Mov(5, 0), Call(28), Return(0)),
        new("no memory of no size", null, 0, Mov(1, 0), Mov(2, 0), Mov(3, 0), Mov(4, 0), Mov(5, 0), Call(28), Return(0)),
        new("record of no bytes", Rule.ArgumentSize, 4, Map(1, 2), Mov(2, 0), Mov(3, 0), Call(131), Return(0)),
        new("size unbounded", Rule.ArgumentSize, 3, Load(8, 2, 1), MovReg(1, 10), Add(1, -8), Call(16), Return(0)),
        new("size zero", Rule.ArgumentSize, 3, MovReg(1, 10), Add(1, -8), Mov(2, 0), Call(16), Return(0)),
        new("size larger than the memory", Rule.StackBounds, 3, MovReg(1, 10), Add(1, -8), Mov(2, 9), Call(16), Return(0)),
        new("memory filled by the call", null, 0, MovReg(1, 10), Add(1, -8), Mov(2, 8), Call(16), Load(8, 0, 10, -8), Exit),
        new("memory filled in part by the call", Rule.UninitializedStack, 4, MovReg(1, 10), Add(1, -16), Mov(2, 8), Call(16), Load(8, 0, 10, -8), Exit),
        new("pointer in memory handed out", Rule.PartialPointer, 5, StoreReg(8, 10, -8, 1), Map(1, 0), MovReg(2, 10), Add(2, -8), Call(1), Return(0)),
        new("map of the wrong type", Rule.MapTypeMismatch, 5, Store(4, 10, -8, 1), Map(1, 2), MovReg(2, 10), Add(2, -8), Call(1), Return(0)),
        new("size of memory not constant", Rule.NotConstant, 4, Load(8, 2, 1), Mov(3, 0), MovReg(4, 2), And(4, 7), Kfunc(4), Return(0)) { Type = ProgramTypes.Completion },
        new("constant argument", null, 0, Mov(1, 7), Kfunc(0x10001), Return(0)),
        new("constant argument not constant", Rule.NotConstant, 1, Load(8, 1, 1), Kfunc(0x10001), Return(0)),
        new("memory of the ring", null, 0, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), JumpEq(0, 0, 1), Store(8, 0, 0, 1), Return(0)) { Type = ProgramTypes.Completion },
        new("past memory of the ring", Rule.MemoryBounds, 5, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), JumpEq(0, 0, 1), Store(8, 0, 1, 1), Return(0))
        { Type = ProgramTypes.Completion },
        new("string not constant", Rule.ConstantString, 6, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MovReg(3, 10), Add(3, -8), Call(182), Return(0)),
        new("constant string", null, 0, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(3, 3, 4), Call(182), Return(0)),
        new("string without end", Rule.ConstantString, 6, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(3, 3, 8), Call(182), Return(0)),
        new("callx of a known helper", null, 0, Mov(3, 5), CallX(3), Return(0)),
        new("callx of an unknown helper", Rule.IndirectCall, 1, Load(8, 3, 1), CallX(3), Return(0)),
        new("tail call", null, 0, Map(2, 5), Mov(3, 0), Call(12), Return(0)),
        new("tail call from a function", Rule.TailCallPlace, 6, CallLocal(2), Mov(0, 0), Exit, Map(2, 5), Mov(3, 0), Call(12), Return(0)),
        new("packet load", null, 0, MovReg(6, 1), PacketLoad(4, 0), Return(0)) { Type = ProgramTypes.Socket },
        new("packet load without a packet", Rule.PacketLoad, 1, MovReg(6, 1), PacketLoad(4, 0), Return(0)),
        new("packet load in a function", null, 0, MovReg(6, 1), CallLocal(2), Return(0), MovReg(6, 1), PacketLoad(4, 0), Exit) { Type = ProgramTypes.Socket },
        new("a packet load ends its function with 0", Rule.NotAPointer, 4, MovReg(6, 1), MovReg(7, 1), CallLocal(3), JumpNe(0, 0, 1), Load(4, 0, 0, 0), Exit,
            MovReg(6, 1), PacketLoad(4, 0), Return(1)) { Type = ProgramTypes.Socket },
        new("packet load in a function that returns nothing", Rule.PacketLoad, 5, MovReg(6, 1), CallLocal(2), Return(0), MovReg(6, 1), PacketLoad(4, 0), Exit)
        {
            Type = ProgramTypes.Socket,
            Change = spec => spec with
            {
                Types = new BtfSpec([new BtfVoid(), new BtfPrototype(1, 0, []), new BtfFunction(2, "f", BtfLinkage.Static, 1)]),
                Subprograms = [new("test", 0, 4), new("f", 4, 3, false, 2)],
            },
        },
        new("packet load without the context", Rule.PacketLoad, 1, MovReg(6, 10), PacketLoad(4, 0), Return(0)) { Type = ProgramTypes.Socket },
        new("callee reads its caller's stack", null, 0, Store(8, 10, -8, 1), MovReg(1, 10), Add(1, -8), CallLocal(1), Exit, Load(8, 0, 1), Exit),
        new("callee hands out its own stack", Rule.PointerToInnerFrame, 4, CallLocal(2), Return(0), MovReg(0, 10), Exit),
        new("callee stores its own stack in its caller's", Rule.PointerToInnerFrame, 5, MovReg(1, 10), Add(1, -8), CallLocal(2), Mov(0, 0), Exit, StoreReg(8, 1, 0, 10), Return(0)),
        new("callee returns nothing, result unused", null, 0, CallLocal(2), Mov(0, 0), Exit, Mov(1, 1), Exit),

        // Callbacks.
        new("callback", null, 0, Loop(10, 6), Return(0), Return(0)),
        new("callback is no function", Rule.CallbackFunction, 4, Mov(1, 1), Mov(2, 0), Mov(3, 0), Mov(4, 0), Call(181), Return(0)),
        new("callback of a function nothing is known of", Rule.CallbackFunction, 5, Mov(1, 1), Function(2, 6), Mov(3, 0), Mov(4, 0), Kfunc(0x10002), Return(0), Return(0)),
        new("callback writes to a key", Rule.BufferReadOnly, 9, Map(1, 0), Function(2, 6), Mov(3, 0), Mov(4, 0), Call(164), Return(0), Store(4, 2, 0, 1), Return(0)),
        new("callback returns 2", Rule.CallbackReturn, 9, Loop(10, 6), Return(0), Return(2)),
        new("callback leaks a record", Rule.ReferenceLeak, 15, Loop(10, 6), Return(0), Map(1, 2), Mov(2, 16), Mov(3, 0), Call(131), JumpEq(0, 0, 2), Return(0), Return(0)),

        // Resources.
        new("record submitted", null, 0, s_reserve, MovReg(1, 0), Mov(2, 0), Call(132), Return(0)),
        new("record leaked", Rule.ReferenceLeak, 8, s_reserve, Return(0)),
        new("record submitted twice", Rule.UninitializedRegister, 11, s_reserve, MovReg(6, 0), MovReg(1, 0), Mov(2, 0), Call(132), MovReg(1, 6), Mov(2, 0), Call(132), Return(0)),
        new("record used after submit", Rule.UninitializedRegister, 11, s_reserve, MovReg(6, 0), MovReg(1, 0), Mov(2, 0), Call(132), Load(8, 0, 6), Return(0)),
        new("record written past its end", Rule.MemoryBounds, 7, s_reserve, Store(8, 0, 9, 0), Return(0)),
        new("record submitted that may be NULL", Rule.MaybeNull, 7, Map(1, 2), Mov(2, 16), Mov(3, 0), Call(131), MovReg(1, 0), Mov(2, 0), Call(132), Return(0)),
        new("something else submitted", Rule.NotARecord, 3, MovReg(1, 10), Add(1, -8), Mov(2, 0), Call(132), Return(0)),
        new("record moved before submit", Rule.NotARecord, 10, s_reserve, MovReg(1, 0), Add(1, 8), Mov(2, 0), Call(132), Return(0)),
        new("lock and unlock", null, 0, Lookup(4), JumpEq(0, 0, 6), MovReg(6, 0), MovReg(1, 0), Call(93), Store(8, 6, 8, 1), MovReg(1, 6), Call(94), Return(0)),
        new("lock kept", Rule.LockLeak, 10, Lookup(4), JumpEq(0, 0, 2), MovReg(1, 0), Call(93), Return(0)),
        new("unlock without lock", Rule.LockMisuse, 8, Lookup(4), JumpEq(0, 0, 2), MovReg(1, 0), Call(94), Return(0)),
        new("lock that is none", Rule.LockMisuse, 8, Lookup(0), JumpEq(0, 0, 2), MovReg(1, 0), Call(93), Return(0)),
        new("call under the lock", Rule.CallUnderLock, 9, Lookup(4), JumpEq(0, 0, 3), MovReg(1, 0), Call(93), Call(5), Return(0)),
        new("function under the lock", Rule.CallUnderLock, 9, Lookup(4), JumpEq(0, 0, 3), MovReg(1, 0), Call(93), CallLocal(2), Return(0), Return(0)),
        new("second lock under the first", Rule.CallUnderLock, 11, Lookup(4), JumpEq(0, 0, 5), MovReg(6, 0), MovReg(1, 0), Call(93), MovReg(1, 6), Call(93), Return(0)),
        new("iterator", null, 0, s_iterate, s_next, JumpNe(0, 0, -4), s_destroy, Return(0)),
        new("iterator not destroyed", Rule.IteratorMisuse, 6, s_iterate, Return(0)),
        new("iterator at no whole slot", Rule.IteratorMisuse, 4, MovReg(1, 10), Add(1, -12), Mov(2, 0), Mov(3, 10), Kfunc(101), Return(0)),
        new("iterator not started", Rule.IteratorMisuse, 2, s_next, Return(0)),
        new("iterator overwritten", Rule.IteratorMisuse, 5, s_iterate, Store(8, 10, -8, 0), s_destroy, Return(0)),
        new("iterator started twice", Rule.IteratorMisuse, 9, s_iterate, s_iterate, s_destroy, Return(0)),
        new("iterator's number after its end", Rule.UninitializedRegister, 13, s_iterate, s_next, JumpEq(0, 0, 5), MovReg(6, 0), s_destroy, Load(4, 0, 6), Return(0), s_destroy, Return(0)),

        // Results.
        new("verdict too large", Rule.ReturnRange, 1, Return(2)) { Type = ProgramTypes.Completion },
        new("verdict too small", Rule.ReturnRange, 1, Return(-4096)) { Type = ProgramTypes.Completion },
        new("largest verdict", null, 0, Return(1)) { Type = ProgramTypes.Completion },
        new("smallest verdict", null, 0, Return(-4095)) { Type = ProgramTypes.Completion },
        new("verdict in 32 bits", null, 0, Mov32(0, -5), Exit) { Type = ProgramTypes.Completion },
        new("unbounded verdict", Rule.ReturnRange, 1, Load(4, 0, 1, 8), Exit) { Type = ProgramTypes.Completion },
        new("pointer returned", Rule.ReturnsPointer, 1, MovReg(0, 1), Exit),
        new("pointer returned for a verdict", Rule.ReturnsPointer, 1, MovReg(0, 10), Exit) { Type = ProgramTypes.Completion },

        // Termination and budgets.
        new("jump to the next instruction, where paths meet", null, 0, Mov(7, 0), Load(8, 3, 1), JumpNe(3, 0, 1), Add(3, 1), Jump(0), Add(7, 1), Return(0)),
        new("endless loop", Rule.EndlessLoop, 0, Jump(-1)),
        new("loop of unknown length", null, 0, Load(8, 3, 1), Add(3, -1), JumpNe(3, 0, -2), Return(0)),
        new("loop of unknown length with proof required", Rule.ProofRequired, 1, Load(8, 3, 1), Load(8, 3, 1), JumpNe(3, 0, -2), Return(0))
        { Options = new() { ContextSize = 16, RequireTerminationProof = true } },
        new("record held across may_goto", Rule.LoopHoldsResource, 8, s_reserve, MovReg(6, 0), MayGoto(1), Jump(-2), MovReg(1, 6), Mov(2, 0), Call(132), Return(0)),
        new("may_goto", null, 0, MayGoto(2), Mov(3, 0), Jump(-3), Return(0)),
        new("too many steps", Rule.StepBudget, 2, Mov(3, 0), Add(3, 1), JumpLt(3, 100, -2), Return(0))
        { Options = new() { ContextSize = 16, MaxSteps = 100, Widening = false } },
        new("loop of unknown length holding a record", Rule.LoopHoldsResource, 8, s_reserve, MovReg(6, 0), Call(7), JumpNe(0, 0, -2), MovReg(1, 6), Mov(2, 0), Call(132), Return(0)),
    ];
}
