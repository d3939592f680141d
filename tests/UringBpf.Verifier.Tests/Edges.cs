using UringBpf.Bytecode;
using static UringBpf.Verifier.Tests.Op;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// Where one part of a condition decides: found by tests/mutate-verifier.py, which leaves out one part at a time. Without the
/// part that a program here is about, its verdict would be another.
/// </summary>
internal static class Edges
{
    // r3 = 0 or 8, unknown; uses the first 8 bytes of the flat context. 2 slots.
    private static readonly Instruction[] s_zeroOrEight = [.. Load(8, 3, 1), .. And(3, 8)];

    // r1 = data, r2 = data_end of a packet: 2 slots.
    private static readonly Instruction[] s_data = [.. Load(4, 2, 1, 4), .. Load(4, 1, 1, 0)];

    private static readonly Instruction[] s_iterate = [.. MovReg(1, 10), .. Add(1, -8), .. Mov(2, 0), .. Mov(3, 10), .. Kfunc(101)];
    private static readonly Instruction[] s_next = [.. MovReg(1, 10), .. Add(1, -8), .. Kfunc(102)];
    private static readonly Instruction[] s_destroy = [.. MovReg(1, 10), .. Add(1, -8), .. Kfunc(103)];

    // Reads through a number: refused wherever a path gets to it.
    private static readonly Instruction[] s_bad = [.. Mov(5, 8), .. Load(8, 0, 5)];

    private static Instruction[] One(byte opcode, int dst, int src = 0, int offset = 0, int immediate = 0) => [new(opcode, dst, src, (short)offset, immediate)];

    private static Case Text(string name, Rule? code, int at, string text) => new(name, code, at, [[.. Assembler.Assemble(text, Cases.Maps, Cases.Functions)]]);

    // By 0 or 8.
    private static string RecordMoved(string operation) => $"""
        r6 = *(u64 *)(r1 + 0)
        r6 &= 8
        r1 = ring ll
        r2 = 16
        r3 = 0
        call bpf_ringbuf_reserve
        if r0 != 0 goto +2
        r0 = 0
        exit
        r1 = r0
        r1 {operation} r6
        r2 = 0
        call bpf_ringbuf_submit
        r0 = 0
        exit
        """;

    private static Func<ProgramSpec, ProgramSpec> WithMap(int index, Func<MapSpec, MapSpec> change) => spec => spec with { Maps = spec.Maps.SetItem(index, change(spec.Maps[index])) };

    public static readonly IReadOnlyList<Case> All =
    [
        // Arguments.
        new("stack pointer for the context", Rule.ArgumentKind, 4, MovReg(1, 10), Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), Return(0)) { Type = ProgramTypes.Completion },
        new("context moved on, perhaps", Rule.ArgumentKind, 6, s_zeroOrEight, AddReg(1, 3), Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), Return(0)) { Type = ProgramTypes.Completion, At = 6 },
        new("context moved back, perhaps", Rule.ArgumentKind, 6, s_zeroOrEight, SubReg(1, 3), Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), Return(0)) { Type = ProgramTypes.Completion },
        new("memory of the ring submitted as a record", Rule.NotARecord, 9, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), JumpNe(0, 0, 2), Return(0), MovReg(1, 0), Mov(2, 0), Call(132), Return(0))
        { Type = ProgramTypes.Completion },
        new("memory of the ring, or NULL, submitted as a record", Rule.NotARecord, 6, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), MovReg(1, 0), Mov(2, 0), Call(132), Return(0))
        { Type = ProgramTypes.Completion },
        Text("record moved on, perhaps, before submit", Rule.NotARecord, 14, RecordMoved("+=")) with { At = 13 },
        Text("record moved back, perhaps, before submit", Rule.NotARecord, 13, RecordMoved("-=")),
        new("lock before the value", Rule.LockMisuse, 9, Lookup(0), JumpEq(0, 0, 3), MovReg(1, 0), Add(1, -1), Call(93), Return(0)),
        new("lock at another place of the value", Rule.LockMisuse, 9, Lookup(4), JumpEq(0, 0, 3), MovReg(1, 0), Add(1, 8), Call(93), Return(0)),
        new("lock at a variable place", Rule.LockMisuse, 12, Load(8, 6, 1), And(6, 8), Lookup(4), JumpEq(0, 0, 4), MovReg(1, 0), AddReg(1, 6), Mov(2, 0), Call(93), Return(0)),
        new("stack pointer for a lock", Rule.LockMisuse, 1, MovReg(1, 10), Call(93), Return(0)),
        new("callback's context is a number", Rule.ArgumentKind, 5, Mov(1, 1), Function(2, 6), Mov(3, 5), Mov(4, 0), Call(181), Return(0), Return(0)),
        new("callback's context on the stack", null, 0, Mov(1, 1), Function(2, 6), MovReg(3, 10), Mov(4, 0), Call(181), Return(0), Return(0)),
        new("pointer for a constant", Rule.NotConstant, 0, Kfunc(0x10001), Return(0)),
        new("size beyond all memory", Rule.ArgumentSize, 4, Load(8, 2, 1), ShiftRight(2, 20), MovReg(1, 10), Add(1, -8), Call(16), Return(0)),
        new("size that may be zero where it may", null, 0, s_zeroOrEight, MovReg(2, 3), Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(3, 0), Mov(4, 0), Mov(5, 0), Call(28), Return(0)),
        new("map for a key", Rule.ArgumentKind, 3, Map(1, 0), MovReg(2, 1), Call(1), Return(0)),
        new("string in memory that may change", Rule.ConstantString, 6, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(3, 3, 4), Call(182), Return(0))
        { Change = WithMap(3, map => map with { IsFrozen = false }) },
        new("string before the data", Rule.ConstantString, 7, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(3, 3, 4), Add(3, -5), Call(182), Return(0)),
        new("string past the data", Rule.ConstantString, 7, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(3, 3, 4), Add(3, 100), Call(182), Return(0)),
        new("string at a variable place", Rule.ConstantString, 9, s_zeroOrEight, Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -8), Mov(2, 8), MapValue(4, 3, 0), AddReg(3, 4), Call(182), Return(0)),

        // What is known of keys: engines find the value at its place.
        new("constant key", null, 0, Lookup(1), Return(0)) { Holds = program => program.Facts[5].ConstantKey == 1 },
        new("constant key out of range", null, 0, Store(4, 10, -8, 9), Map(1, 1), MovReg(2, 10), Add(2, -8), Call(1), Return(0)) { Holds = program => program.Facts[5].ConstantKey == -1 },
        new("constant key of a hash", null, 0, Lookup(0), Return(0)) { Holds = program => program.Facts[5].ConstantKey == -1 },
        new("key at a variable place", null, 0, Load(8, 3, 1), And(3, 4), Store(4, 10, -8, 1), Store(4, 10, -4, 2), Map(1, 1), MovReg(2, 10), Add(2, -8), AddReg(2, 3), Call(1), Return(0))
        { Holds = program => program.Facts[9].ConstantKey == -1 },
        new("key over two slots", null, 0, Store(8, 10, -8, 1), Store(8, 10, -16, 1), Map(1, 1), MovReg(2, 10), Add(2, -10), Call(1), Return(0)) { Holds = program => program.Facts[6].ConstantKey == -1 },
        new("key in frozen data", null, 0, Map(1, 1), MapValue(2, 3, 8), Call(1), Return(0)) { Holds = program => program.Facts[4].ConstantKey == -1 },

        // Arithmetic.
        new("sign extension of a pointer", Rule.PointerOperation, 0, One(0xbf, 3, 1, 8), Return(0)),
        new("pointer negated", Rule.PointerOperation, 0, One(0x87, 1), Return(0)),
        new("32-bit addition to a pointer", Rule.PointerOperation, 0, One(0x04, 1, 0, 0, 8), Return(0)),
        new("pointer added to a number", null, 0, Mov(3, 8), AddReg(3, 1), Load(8, 0, 3), Return(0)),
        new("offset of a pointer fallen too low", Rule.PointerOffset, 1, Add(1, -500_000_000), Add(1, -500_000_000), Return(0)),
        new("an unknown number added to a copy says nothing of the original", Rule.PointerOffset, 5, Load(8, 3, 1), Load(8, 5, 1, 8), MovReg(4, 3), AddReg(4, 5), JumpGt(4, 8, 2), AddReg(1, 3),
            Load(8, 0, 1), Return(0)),
        new("bits cut off a copy say nothing of the original", Rule.PointerOffset, 4, Load(8, 3, 1), MovReg(4, 3), And(4, 7), JumpGt(4, 3, 2), AddReg(1, 3), Load(8, 0, 1), Return(0)),
        new("two data pointers added", Rule.PointerDifference, 2, s_data, AddReg(1, 2), Return(0)) { Type = ProgramTypes.Xdp },
        new("data subtracted from the stack", Rule.PointerDifference, 3, s_data, MovReg(3, 10), SubReg(3, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("the stack subtracted from data", Rule.PointerDifference, 2, s_data, SubReg(1, 10), Return(0)) { Type = ProgramTypes.Xdp },
        new("the length of the data is not known", Rule.NotAPointer, 5, s_data, SubReg(2, 1), JumpEq(2, 0, 2), s_bad, Return(0)) { Type = ProgramTypes.Xdp },
        new("nor is its negative", Rule.NotAPointer, 5, s_data, SubReg(1, 2), JumpEq(1, 0, 2), s_bad, Return(0)) { Type = ProgramTypes.Xdp },
        new("nor is a distance that varies", Rule.NotAPointer, 12, s_data, MovReg(3, 1), Add(3, 1), JumpGtReg(3, 2, 7), Load(1, 4, 1), MovReg(3, 1), AddReg(3, 4), SubReg(3, 1), JumpEq(3, 0, 2),
            s_bad, Return(0)) { Type = ProgramTypes.Xdp, At = 11 },
        new("a distance that is known", null, 0, s_data, MovReg(3, 1), Add(3, 5), SubReg(3, 1), JumpEq(3, 5, 2), s_bad, Return(0)) { Type = ProgramTypes.Xdp },
        new("value of an array without entries", Rule.InvalidMapReference, 0, MapValue(1, 1, 0), Return(0)) { Change = WithMap(1, map => map with { MaxEntries = 0 }) },

        // Calls.
        new("tail call with a record held", Rule.ReferenceLeak, 14, MovReg(7, 1), Map(1, 2), Mov(2, 16), Mov(3, 0), Call(131), JumpNe(0, 0, 2), Return(0), MovReg(6, 0), MovReg(1, 7), Map(2, 5), Mov(3, 0),
            Call(12), Return(0)),
        new("argument register after a packet load", Rule.UninitializedRegister, 2, MovReg(6, 1), PacketLoad(4, 0), MovReg(0, 1), Exit) { Type = ProgramTypes.Socket },
        new("argument register after a function", Rule.UninitializedRegister, 1, CallLocal(2), MovReg(0, 1), Exit, Return(0)),
        new("iterator left in a function", Rule.IteratorMisuse, 9, CallLocal(2), Mov(0, 0), Exit, s_iterate, Return(0)),
        new("callx of a pointer", Rule.IndirectCall, 0, CallX(1), Return(0)),
        new("packet load with the context moved on, perhaps", Rule.PacketLoad, 4, Load(4, 3, 1), And(3, 8), MovReg(6, 1), AddReg(6, 3), PacketLoad(4, 0), Return(0)) { Type = ProgramTypes.Socket },
        new("packet load with the context moved back, perhaps", Rule.PacketLoad, 4, Load(4, 3, 1), And(3, 8), MovReg(6, 1), SubReg(6, 3), PacketLoad(4, 0), Return(0)) { Type = ProgramTypes.Socket },
        new("callee returns its caller's pointer", null, 0, Store(8, 10, -8, 1), MovReg(1, 10), Add(1, -8), CallLocal(2), Load(8, 0, 0), Exit, MovReg(0, 1), Exit),
        new("callback returns a pointer", Rule.CallbackReturn, 9, Mov(1, 10), Function(2, 6), Mov(3, 0), Mov(4, 0), Call(181), Return(0), MovReg(0, 10), Exit),
        new("callback returns -1", Rule.CallbackReturn, 9, Mov(1, 10), Function(2, 6), Mov(3, 0), Mov(4, 0), Call(181), Return(0), Return(-1)),
        new("callback reads a key", null, 0, Map(1, 0), Function(2, 6), Mov(3, 0), Mov(4, 0), Call(164), Return(0), Load(4, 0, 2), Return(0)),

        // Comparisons.
        new("bit test of a pointer with itself", Rule.PointerOperation, 0, One(0x4d, 1, 1), Return(0)),
        new("number compared with a pointer", Rule.PointerComparison, 1, Mov(3, 5), One(0x1d, 3, 1), Return(0)),
        new("pointer compared with NULL in 32 bits", Rule.PointerComparison, 6, Lookup(0), One(0x16, 0), Return(0)),
        new("pointer ordered with NULL", Rule.PointerComparison, 6, Lookup(0), JumpGt(0, 0, 0), Return(0)),
        new("NULL compared with a pointer", null, 0, Lookup(0), Mov(3, 0), One(0x1d, 3, 0, 1), Load(8, 0, 0), Return(0)),
        new("NULL compared with a pointer in 32 bits", Rule.PointerComparison, 7, Lookup(0), Mov(3, 0), One(0x1e, 3, 0, 0), Return(0)),
        new("NULL ordered with a pointer", Rule.PointerComparison, 7, Lookup(0), Mov(3, 0), JumpGtReg(3, 0, 0), Return(0)),
        new("a number that is not NULL compared with a pointer", Rule.PointerComparison, 7, Lookup(0), Mov(3, 5), One(0x1d, 3, 0, 0), Return(0)),
        new("data compared with its end in 32 bits", Rule.PointerComparison, 2, s_data, One(0x2e, 1, 2), Return(0)) { Type = ProgramTypes.Xdp },
        new("the end of data compared in 32 bits", Rule.PointerComparison, 2, s_data, One(0x2e, 2, 1), Return(0)) { Type = ProgramTypes.Xdp },
        new("pointers to different things compared for equality", null, 0, One(0x1d, 1, 10), Return(0)),
        new("data compared with data of another offset", null, 0, s_data, MovReg(3, 1), Add(3, 1), JumpGtReg(3, 2, 4), Load(1, 4, 1), MovReg(3, 1), AddReg(3, 4), JumpGtReg(3, 1, 0), Return(0))
        { Type = ProgramTypes.Xdp },
        new("a pointer far before its object may be above it", Rule.NotAPointer, 10, Lookup(0), JumpEq(0, 0, 5), MovReg(3, 0), Add(3, -1000), JumpLtReg(3, 0, 2), s_bad, Return(0)) { At = 11 },
        new("and one far behind it below it", Rule.NotAPointer, 10, Lookup(0), JumpEq(0, 0, 5), MovReg(3, 0), Add(3, 1000), JumpGtReg(3, 0, 2), s_bad, Return(0)) { At = 11 },
        new("empty data may lie at NULL", Rule.NotAPointer, 5, s_data, JumpNe(1, 0, 2), s_bad, Return(0)) { Type = ProgramTypes.Xdp, At = 4 },
        new("its end too", Rule.NotAPointer, 5, s_data, JumpNe(2, 0, 2), s_bad, Return(0)) { Type = ProgramTypes.Xdp, At = 4 },

        // Memory.
        new("misaligned read of the stack", Rule.Misaligned, 2, Store(8, 10, -8, 0), Store(8, 10, -16, 0), Load(4, 0, 10, -14), Exit),
        new("stack at a variable, unaligned offset", Rule.Misaligned, 5, Load(8, 3, 1), And(3, 4), MovReg(4, 10), Add(4, -16), AddReg(4, 3), Store(8, 4, 0, 0), Return(0)),
        new("atomic with a pointer", Rule.PointerOperation, 7, Lookup(0), JumpEq(0, 0, 1), AtomicAdd(8, 0, 8, 10), Return(0)),
        new("atomic into the frame pointer", Rule.InvalidRegister, 0, One(0xdb, 1, 10, 0, 1), Return(0)),
        new("reading memory of the ring writes nothing", null, 0, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), JumpEq(0, 0, 1), Load(8, 3, 0), Return(0))
        { Type = ProgramTypes.Completion, Holds = program => !program.WritesBuffers },
        new("writing it does", null, 0, Mov(2, 0), Mov(3, 0), Mov(4, 8), Kfunc(4), JumpEq(0, 0, 1), Store(8, 0, 0, 1), Return(0))
        { Type = ProgramTypes.Completion, Holds = program => program.WritesBuffers },
        new("writing a record does not", null, 0, Map(1, 2), Mov(2, 16), Mov(3, 0), Call(131), JumpEq(0, 0, 4), Store(8, 0, 0, 1), MovReg(1, 0), Mov(2, 0), Call(132), Return(0))
        { Holds = program => !program.WritesBuffers },
        new("data before the lock", null, 0, Lookup(4), JumpEq(0, 0, 1), Load(8, 0, 0), Return(0)) { Change = WithMap(4, map => map with { SpinLockOffset = 8 }) },
        new("write to a map that programs may only read", Rule.ReadOnlyMap, 7, Lookup(1), JumpEq(0, 0, 1), Store(8, 0, 0, 1), Return(0)) { Change = WithMap(1, map => map with { Flags = MapFlags.ReadOnlyProgram }) },
        new("data that is not frozen is not believed", Rule.NotAPointer, 5, MapValue(1, 3, 0), Load(4, 3, 1), JumpEq(3, 7, 2), s_bad, Return(0)) { Change = WithMap(3, map => map with { IsFrozen = false }) },
        new("nor is frozen data at a variable place", Rule.NotAPointer, 9, Load(8, 4, 1), And(4, 8), MapValue(1, 3, 0), AddReg(1, 4), Load(4, 3, 1), JumpEq(3, 7, 2), s_bad, Return(0)) { At = 8 },
        new("frozen data that is shorter than its value", null, 0, MapValue(1, 3, 12), Load(4, 3, 1), Return(0)) { Change = WithMap(3, map => map with { ValueSize = 16 }) },

        // The stack.
        new("half a slot at a variable offset", Rule.UninitializedStack, 7, Store(4, 10, -8, 0), Store(8, 10, -16, 0), Load(1, 3, 1), And(3, 15), MovReg(4, 10), Add(4, -16), AddReg(4, 3), Load(1, 0, 4), Exit),
        new("own stack pointer on the stack", null, 0, StoreReg(8, 10, -8, 10), Return(0)),
        new("the halves of a spilled number", null, 0, [new(0x18, 3, 0, 0, 3), new(0, 0, 0, 0, 7)], StoreReg(8, 10, -8, 3), Load(4, 4, 10, -8), JumpNe(4, 3, 3), Load(4, 4, 10, -4), JumpEq(4, 7, 2), s_bad, Return(0))
        { Code = null },
        new("two halves stored apart", null, 0, Store(4, 10, -8, 3), Store(4, 10, -4, 7), Load(4, 4, 10, -4), JumpNe(4, 7, 1), Jump(2), s_bad, Return(0)),
        new("a half that was overwritten", Rule.NotAPointer, 8, Load(8, 6, 1), Store(4, 10, -8, 3), Store(4, 10, -4, 7), StoreReg(1, 10, -3, 6), Load(4, 4, 10, -4), JumpEq(4, 7, 2), s_bad, Return(0)) { At = 7 },
        new("the other half stays", null, 0, Load(8, 6, 1), Store(4, 10, -8, 3), Store(4, 10, -4, 7), StoreReg(1, 10, -3, 6), Load(4, 4, 10, -8), JumpEq(4, 3, 2), s_bad, Return(0)),

        new("a pointer that a helper may have overwritten", Rule.UninitializedStack, 9, Load(8, 6, 1), And(6, 8), StoreReg(8, 10, -16, 1), Store(8, 10, -8, 0), MovReg(1, 10), Add(1, -16), AddReg(1, 6),
            Mov(2, 8), Call(16), Load(8, 3, 10, -16), Load(8, 0, 3), Exit),
        new("a number that a helper may have overwritten", Rule.NotAPointer, 12, Load(8, 6, 1), And(6, 8), Add(6, 8), Store(8, 10, -8, 7), MovReg(1, 10), Add(1, -16), MovReg(2, 6), Call(16),
            Load(8, 3, 10, -8), JumpEq(3, 7, 2), s_bad, Return(0)) { At = 11 },

        // Loops and jumps.
        new("a value lives on over a jump to the next instruction", null, 0, Mov(0, 1), JumpEq(2, 20, 1), Mov(0, 2), Jump(0), Exit),
        Text("a number drawn anew each round is no counter", Rule.ProofRequired, 0, """
            loop: call bpf_get_prandom_u32
            r7 = r0
            r7 += 1
            r0 = r7
            if r7 < 100 goto loop
            r0 = 0
            exit
            """) with { Options = new() { ContextSize = 16, RequireTerminationProof = true } },
        Text("a counter that is set back where another number decides", Rule.ProofRequired, 1, """
            r6 = 0
            loop: r6 += 1
            call bpf_get_prandom_u32
            if r0 != 5 goto on
            r6 = 0
            on: if r6 < 100 goto loop
            r0 = 0
            exit
            """) with { Options = new() { ContextSize = 16, RequireTerminationProof = true } },

        // Iterators.
        new("argument register after an iterator's start", Rule.UninitializedRegister, 5, s_iterate, MovReg(0, 2), Exit),
        new("argument register after an iterator's step", Rule.UninitializedRegister, 8, s_iterate, s_next, MovReg(0, 1), Exit),
        new("argument register after an iterator's end", Rule.UninitializedRegister, 8, s_iterate, s_destroy, MovReg(0, 1), Exit),
        new("iterator in a map value", Rule.IteratorMisuse, 10, Lookup(0), JumpEq(0, 0, 4), MovReg(1, 0), Mov(2, 0), Mov(3, 10), Kfunc(101), Return(0)),
        new("iterator at a variable place", Rule.IteratorMisuse, 7, s_zeroOrEight, MovReg(1, 10), Add(1, -16), AddReg(1, 3), Mov(2, 0), Mov(3, 10), Kfunc(101), Return(0)),
        new("iterator above the stack", Rule.IteratorMisuse, 3, MovReg(1, 10), Mov(2, 0), Mov(3, 10), Kfunc(101), Return(0)),
        new("iterator read by the program", Rule.PartialPointer, 5, s_iterate, Load(8, 0, 10, -8), s_destroy, Return(0)),
        new("iterator filled by a helper", Rule.IteratorMisuse, 8, s_iterate, MovReg(1, 10), Add(1, -8), Mov(2, 8), Call(16), s_destroy, Return(0)),
        new("iterator overwritten at a variable place", Rule.IteratorMisuse, 12, Load(8, 6, 1), And(6, 8), s_iterate, Store(8, 10, -16, 0), MovReg(4, 10), Add(4, -16), AddReg(4, 6), Mov(5, 0), Store(8, 4, 0, 0),
            s_destroy, Return(0)),

        // Structure.
        new("source register 11", Rule.InvalidRegister, 0, MovReg(0, 11), Exit),
        new("function that starts before the program", Rule.InvalidCallTarget, 0, Return(0)) { Change = spec => spec with { Subprograms = [new("f", -1, 1)] } },
        new("function that starts within an immediate", Rule.InvalidCallTarget, 0, Map(1, 0), Return(0)) { Change = spec => spec with { Subprograms = [new("f", 1, 1)] } },
        new("call before the program", Rule.InvalidCallTarget, 0, CallLocal(-5), Return(0)),
        new("call into an immediate", Rule.InvalidCallTarget, 0, CallLocal(1), Map(1, 0), Return(0)),
        new("jump back into another function", Rule.InvalidJump, 3, CallLocal(1), Exit, Mov(0, 0), Jump(-3), Exit),
        // Links through the stack, and numbers added to stack pointers that nobody uses.
        .. new[] { (1, "u8", 255), (2, "u16", 65535), (4, "u32", 0x7fffffff) }.Select(size => Text($"a number of {size.Item1} bytes on the stack hangs together with its register", null, 0, $"""
            call bpf_get_prandom_u32
            r0 &= {size.Item3}
            *({size.Item2} *)(r10 - 8) = r0
            r7 = *({size.Item2} *)(r10 - 8)
            if r0 > 8 goto out
            if r7 <= 8 goto out
            r9 = r8
            out: r0 = 0
            exit
            """)),
        Text("a number cut on its way to the stack hangs on nothing", Rule.UninitializedRegister, 5, """
            call bpf_get_prandom_u32
            *(u8 *)(r10 - 8) = r0
            r7 = *(u8 *)(r10 - 8)
            if r0 > 8 goto out
            if r7 <= 7 goto out
            r9 = r8
            out: r0 = 0
            exit
            """),
        Text("the lower half of a number that fits hangs together with it", null, 0, """
            call bpf_get_prandom_u32
            *(u64 *)(r10 - 8) = r0
            r7 = *(u32 *)(r10 - 8)
            if r0 > 8 goto out
            if r7 <= 8 goto out
            r9 = r8
            out: r0 = 0
            exit
            """),
        Text("the lower half of a number that does not fit hangs on nothing", Rule.UninitializedRegister, 6, """
            call bpf_get_prandom_u32
            r0 <<= 1
            *(u64 *)(r10 - 8) = r0
            r7 = *(u32 *)(r10 - 8)
            if r0 > 8 goto out
            if r7 <= 7 goto out
            r9 = r8
            out: r0 = 0
            exit
            """),
        Text("a number added to a stack pointer that nobody uses", null, 0, """
            call bpf_get_prandom_u32
            if r0 > 7 goto out
            if r0 > 3 goto next
            r1 = 0
            next: r3 = r10
            r3 += r0
            out: r0 = 0
            exit
            """),
    ];
}
