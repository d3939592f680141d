using System.Collections.Immutable;
using UringBpf.Bytecode;
using static UringBpf.Verifier.Tests.Holes;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// More of what <see cref="Edges"/> is: each program is about one part of one condition, which tests/mutate-verifier.py left out
/// without any verdict changing before it was written.
/// </summary>
internal static class Parts
{
    private const string LookUpHash = "*(u32 *)(r10 - 8) = 1\n r1 = map_by_idx(0) ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n if r0 == 0 goto out\n";

    // r6 = the context, r7 = data, r8 = data_end of a completion.
    private const string Data = "r6 = r1\n r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n";

    // 8 bytes at fp-16 that a function wrote: initialised, and nothing is known of them.
    private const string Written = "r1 = r10\n r1 += -16\n call writes_memory\n";

    private const string Out = "out: r0 = 0\n exit";

    // r9, which must not be known to be small, as an index into a value of 16 bytes.
    private static string Indexes(string what) => $"{what}\n {LookUpHash} !r0 += r9\n r0 = *(u8 *)(r0 + 0)\n {Out}";

    // Two ways that an unknown number decides meet; the first is walked first.
    private static string Meet(string first, string second, string after) =>
        $"call bpf_get_prandom_u32\n if r0 == 77 goto second\n {first}\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n goto meet\n second: {second}\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n meet: {after}";

    private static readonly FunctionPrototype s_loopByAnotherNumber = new()
    {
        Name = "loops",
        Id = 0x10011,
        Kind = FunctionKind.Helper,
        Arguments = HelperPrototypes.Loop.Arguments,
        Traits = FunctionTraits.CallsBack,
    };

    private static readonly FunctionPrototype s_kfuncWithTheLoopsNumber = new()
    {
        Name = "loops_too",
        Id = 181,
        Kind = FunctionKind.Kfunc,
        Arguments = HelperPrototypes.Loop.Arguments,
        Traits = FunctionTraits.CallsBack,
    };

    private static readonly PrototypeTable s_functions = new([.. HelperPrototypes.All, .. KfuncPrototypes.All, s_loopByAnotherNumber, s_kfuncWithTheLoopsNumber]);

    private static Case CallsBack(string name, byte kind, int id) => new(name, Rule.CallbackFunction, 5, Op.Mov(1, 3), Op.Function(2, 6), Op.Mov(3, 0), Op.Mov(4, 0), [new(0x85, 0, kind, 0, id)], Op.Return(0), Op.Return(0))
    {
        Change = spec => spec with { Functions = s_functions },
    };

    // Two arrays of one value with a lock each.
    private static Case WithLocks(Case test)
    {
        ImmutableArray<MapSpec> maps =
        [
            .. Cases.Maps,
            new() { Name = "lock1", Type = MapType.Array, KeySize = 4, ValueSize = 16, MaxEntries = 1, SpinLockOffset = 0 },
            new() { Name = "lock2", Type = MapType.Array, KeySize = 4, ValueSize = 16, MaxEntries = 1, SpinLockOffset = 0 },
        ];
        return test with { Change = spec => spec with { Maps = maps } };
    }

    // map_val of a map that the assembler does not know: kind 6, by index.
    private static Instruction[] Lock(int register, int map) => Op.MapValue(register, map, 0);

    private static readonly VerifierOptions s_proof = new() { ContextSize = 16, RequireTerminationProof = true };

    public static readonly IReadOnlyList<Case> All =
    [
        // Arguments.
        Hole("a size that goes round when it is added to an offset", Rule.ArgumentSize, $"""
            r6 = *(u64 *)(r1 + 0)
            {LookUpHash}
            if r6 s< 1 goto out
            r2 = r0
            r2 += 8
            r1 = ring ll
            r3 = r6
            r4 = 0
            !call bpf_ringbuf_output
            {Out}
            """),
        Hole("memory that may be NULL beside a size", Rule.MaybeNull, """
            *(u32 *)(r10 - 8) = 1
            r1 = map_by_idx(0) ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            r1 = r0
            r2 = 8
            r3 = 0
            r4 = 0
            r5 = 0
            !call bpf_csum_diff
            r0 = 0
            exit
            """),

        // Arithmetic.
        Hole("a copy of a moved pointer of variable offset is as far moved", Rule.StackBounds, """
            call bpf_get_prandom_u32
            r0 &= 8
            r1 = r10
            r1 += r0
            r1 += 8
            r3 = r1
            !*(u8 *)(r3 - 16) = 0
            r0 = 0
            exit
            """),

        // Callbacks that are not known.
        CallsBack("a helper that calls back under another number", 0, 0x10011),
        CallsBack("a kfunc with the number of bpf_loop", 2, 181),

        // Comparisons of pointers.
        Hole("a map value compared with data_end", Rule.PointerComparison, $"{Data} {LookUpHash.Replace("r10 - 8", "r10 - 24", StringComparison.Ordinal).Replace("r2 += -8", "r2 += -24", StringComparison.Ordinal)} !if r0 > r8 goto out\n {Out}", ProgramTypes.Completion),
        Hole("data_end compared with a map value", Rule.PointerComparison, $"{Data} {LookUpHash} !if r8 > r0 goto out\n {Out}", ProgramTypes.Completion),
        Hole("data compared with a number", Rule.PointerComparison, $"{Data} r1 = -1\n !if r7 > r1 goto out\n r0 = *(u8 *)(r7 - 1)\n {Out}", ProgramTypes.Completion),
        Hole("a number compared with data", Rule.PointerComparison, $"{Data} r1 = -1\n !if r1 < r7 goto out\n {Out}", ProgramTypes.Completion),
        Hole("data_end compared with a number", Rule.PointerComparison, $"{Data} r1 = 5\n !if r8 > r1 goto out\n {Out}", ProgramTypes.Completion),
        Hole("a number compared with data_end", Rule.PointerComparison, $"{Data} r1 = 5\n !if r1 > r8 goto out\n {Out}", ProgramTypes.Completion),
        Hole("data further on is no data_end", Rule.BufferBounds, $"{Data} r1 = r7\n r1 += 8\n r2 = r7\n r2 += 16\n if r1 > r2 goto out\n !r0 = *(u64 *)(r7 + 0)\n {Out}", ProgramTypes.Completion),
        Hole("pointers into one object compared by their lower halves", Rule.PointerComparison, "r1 = r10\n r2 = r10\n r2 += -8\n !if w1 > w2 goto out\n r0 = r9\n out: r0 = 0\n exit"),
        Hole("bits of two pointers into one object", Rule.PointerComparison, "r1 = r10\n r2 = r10\n r2 += -8\n !if r1 & r2 goto out\n out: r0 = 0\n exit"),
        Hole("bits of two data pointers", Rule.PointerComparison, $"{Data} r1 = r7\n r1 += 8\n !if r1 & r7 goto out\n {Out}", ProgramTypes.Completion),
        Hole("data before its start may be after it", Rule.UninitializedRegister, $"{Data} r1 = r7\n r1 += -8\n if r7 > r1 goto out\n !r0 = r9\n {Out}", ProgramTypes.Completion),
        Hole("data after what lies before its start", Rule.UninitializedRegister, $"{Data} r1 = r7\n r1 += -8\n if r1 < r7 goto out\n !r0 = r9\n {Out}", ProgramTypes.Completion),
        Hole("what follows a comparison of pointers that never holds", Rule.UninitializedRegister, "r1 = r10\n r1 += -8\n if r1 > r10 goto out\n !r0 = r9\n out: r0 = 0\n exit"),
        Hole("a comparison of pointers says nothing of other numbers", Rule.PointerOffset, $"""
            r6 = *(u64 *)(r1 + 0)
            r3 = *(u64 *)(r1 + 8)
            r3 &= 8
            r1 = r10
            r1 += -16
            r1 += r3
            r2 = r10
            r2 += -12
            if r1 > r2 goto out
            {LookUpHash}
            !r0 += r6
            {Out}
            """),

        // Loads and atomics.
        Hole("a data pointer loaded with its sign extended", Rule.PointerOperation, "!r0 = *(s32 *)(r1 + 0)\n r0 = 0\n exit", ProgramTypes.Xdp),
        Hole("an atomic operation through a number", Rule.NotAPointer, "r1 = 8\n r2 = 1\n !lock *(u64 *)(r1 + 0) += r2\n r0 = 0\n exit"),
        Hole("an atomic operation through what may be NULL", Rule.MaybeNull, $"{LookUpHash.Replace("if r0 == 0 goto out\n", "", StringComparison.Ordinal)} r2 = 1\n !lock *(u64 *)(r0 + 0) += r2\n r0 = 0\n exit"),

        // Resources.
        WithLocks(new("the lock of another variable released", Rule.LockMisuse, 5, Lock(1, 8), Op.Call(93), Lock(1, 9), Op.Call(94), Op.Return(0))),
        WithLocks(new("the lock of one of two variables held", Rule.LockMisuse, 19,
            Op.Call(7), Op.JumpEq(0, 77, 8), Lock(1, 8), Op.Call(93), Op.Mov(0, 0), Op.Mov(0, 0), Op.Mov(0, 0), Op.Mov(0, 0), Op.Jump(7),
            Lock(1, 9), Op.Call(93), Op.Mov(0, 0), Op.Mov(0, 0), Op.Mov(0, 0), Op.Mov(0, 0),
            Lock(1, 8), Op.Call(94), Op.Return(0))),
        Hole("an iterator before a map value", Rule.IteratorMisuse, $"{LookUpHash} r1 = r0\n r1 += -8\n r2 = 0\n r3 = 4\n !call bpf_iter_num_new\n {Out}"),

        // What a program is started with.
        Hole("no length beside a context of fields", Rule.UninitializedRegister, "!r0 = r2\n exit", ProgramTypes.Xdp),
        Hole("an address blurred where ways meet", Rule.ReturnsPointer, "r0 = r10\n if r2 == 5 goto meet\n r3 = 0\n meet: r3 = 1\n !exit"),

        // Counters.
        Hole("a number set anew in every round, at a distance from itself", Rule.ProofRequired, """
            r6 = 1
            !loop: call bpf_get_prandom_u32
            r0 &= 7
            r6 = r0
            r6 += 1
            if r6 != 8 goto loop
            r0 = 0
            exit
            """) with { Options = s_proof },
        Hole("a number set anew in every round, at a growing distance", Rule.ProofRequired, """
            r6 = 1
            r7 = 0
            !loop: if r6 == 77 goto out
            call bpf_get_prandom_u32
            r0 &= 7
            r6 = r0
            if r7 > 0 goto further
            r6 += 1
            goto meet
            further: r6 += 2
            meet: r7 = 1
            if r6 != 8 goto loop
            out: r0 = 0
            exit
            """) with { Options = s_proof },
        Hole("a walk of many steps", null, "r6 = 0\n loop: r6 += 1\n if r6 != 600 goto loop\n r0 = 0\n exit") with { Options = new() { ContextSize = 16, Widening = false } },
        Hole("a counter set back on one of two ways", Rule.ProofRequired, """
            r6 = 1
            !loop: call bpf_get_prandom_u32
            if r0 == 0 goto back
            r6 += 1
            r1 = 0
            r1 = 0
            r1 = 0
            r1 = 0
            goto meet
            back: r6 = 5
            r1 = 0
            r1 = 0
            r1 = 0
            r1 = 0
            meet: r2 = r6
            if r6 < 10 goto loop
            r0 = 0
            exit
            """) with { Options = s_proof },
        Hole("a loop that counts, with proof required", null, "r6 = 0\n loop: r6 += 1\n if r6 != 10 goto loop\n r0 = 0\n exit") with { Options = s_proof },

        // What meets.
        Hole("a loop of another number of rounds met in its callback", Rule.NotAPointer, $"""
            *(u64 *)(r10 - 8) = 0
            {Meet("r6 = 1", "r6 = 2", """
            r1 = r6
            r2 = code_addr(body) ll
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_loop
            r0 = 0
            exit
            body: r3 = *(u64 *)(r2 + 0)
            if r3 != 0 goto bad
            *(u64 *)(r2 + 0) = 1
            r0 = 0
            exit
            bad: !r0 = *(u8 *)(r3 + 0)
            r0 = 0
            exit
            """)}
            """),
        Hole("an iterator of another number of rounds met", Rule.MapValueBounds, $"""
            {LookUpHash}
            r8 = r0
            {Meet("r6 = 4", "r6 = 100", """
            r1 = r10
            r1 += -16
            r2 = 0
            r3 = r6
            call bpf_iter_num_new
            r7 = 0
            loop: r1 = r10
            r1 += -16
            call bpf_iter_num_next
            if r0 == 0 goto done
            r1 = r8
            r1 += r7
            !r2 = *(u8 *)(r1 + 0)
            r7 += 1
            goto loop
            done: r1 = r10
            r1 += -16
            call bpf_iter_num_destroy
            out: r0 = 0
            exit
            """)}
            """),
        Hole("the number of another iterator met", Rule.UninitializedRegister, $"""
            r1 = r10
            r1 += -16
            r2 = 0
            r3 = 10
            call bpf_iter_num_new
            r1 = r10
            r1 += -24
            r2 = 0
            r3 = 10
            call bpf_iter_num_new
            r1 = r10
            r1 += -16
            call bpf_iter_num_next
            r7 = r0
            r1 = r10
            r1 += -24
            call bpf_iter_num_next
            r8 = r0
            if r7 == 0 goto out
            if r8 == 0 goto out
            {Meet("r9 = r8", "r9 = r7", """
            r1 = r10
            r1 += -16
            call bpf_iter_num_destroy
            !r6 = *(u32 *)(r9 + 0)
            goto second_out
            out: r1 = r10
            r1 += -16
            call bpf_iter_num_destroy
            second_out: r1 = r10
            r1 += -24
            call bpf_iter_num_destroy
            r0 = 0
            exit
            """)}
            """),
        Hole("a record met where other memory was", Rule.UninitializedRegister, $"""
            r6 = r1
            r2 = 0
            r3 = 0
            r4 = 16
            call uring_buffer
            if r0 == 0 goto out
            r7 = r0
            r1 = ring ll
            r2 = 16
            r3 = 0
            call bpf_ringbuf_reserve
            if r0 == 0 goto out
            r8 = r0
            {Meet("r9 = r7", "r9 = r8", """
            r1 = r8
            r2 = 0
            call bpf_ringbuf_submit
            !r1 = *(u64 *)(r9 + 0)
            out: r0 = 0
            exit
            """)}
            """, ProgramTypes.Completion),
        Hole("a data pointer that lies before the one that was met", Rule.BufferBounds, $"""
            {Data}
            call bpf_get_prandom_u32
            r0 &= 4
            r3 = 0
            r3 -= r0
            r9 = r3
            {Meet("r5 = r7", "r5 = r7\n r5 += r9\n if r5 > r8 goto out", """
            r4 = r5
            r4 += 8
            if r4 > r8 goto out
            r1 = *(u64 *)(r6 + 40)
            !r0 = *(u64 *)(r1 + 0)
            out: r0 = 0
            exit
            """)}
            """, ProgramTypes.Completion),
        Hole("a pointer met that hangs on no index", Rule.StackBounds, $"""
            {string.Join('\n', Enumerable.Range(1, 8).Select(index => $"*(u64 *)(r10 - {8 * index}) = 0"))}
            r6 = r10
            r6 += -64
            r7 = 0
            loop: r8 = r6
            if r7 < 2 goto meet
            {Meet("r8 = r6", "call bpf_get_prandom_u32\n r0 &= 52\n r0 += 8\n r8 = r10\n r8 += -64\n r8 += r0", """
            if r7 > 8 goto next
            !r0 = *(u32 *)(r8 + 24)
            next: r6 += 4
            r7 += 1
            if r7 != 16 goto loop
            r0 = 0
            exit
            """)}
            """),
        Hole("a number met at another distance, of any size", Rule.MapValueBounds, $"""
            r7 = *(u64 *)(r1 + 0)
            r6 = r7
            {LookUpHash}
            r8 = r0
            {Meet("r5 = r6\n r5 += -8", "r5 = r6\n r5 += -4", """
            if r5 > 8 goto out
            r8 += r6
            !r0 = *(u64 *)(r8 - 8)
            out: r0 = 0
            exit
            """)}
            """),

        // Bytes of the stack.
        Hole("the middle of a number overwritten", Rule.PointerOffset, Indexes("call bpf_get_prandom_u32\n r0 &= 7\n *(u64 *)(r10 - 16) = r0\n call bpf_get_prandom_u32\n *(u16 *)(r10 - 14) = r0\n r9 = *(u32 *)(r10 - 16)")),
        Hole("six bytes of a number overwritten by a function", Rule.PointerOffset, Indexes("*(u64 *)(r10 - 16) = 1\n *(u64 *)(r10 - 8) = 1\n r1 = r10\n r1 += -14\n call writes_memory\n r9 = *(u32 *)(r10 - 12)")),
        Hole("the upper half beside a lower one that was stored twice", Rule.PointerOffset, Indexes($"{Written} *(u32 *)(r10 - 16) = 1\n *(u32 *)(r10 - 16) = 2\n r9 = *(u32 *)(r10 - 12)")),
        Hole("the lower half beside an upper one", Rule.PointerOffset, Indexes($"{Written} *(u32 *)(r10 - 12) = 1\n r9 = *(u32 *)(r10 - 16)")),
        Hole("more than was stored", Rule.PointerOffset, Indexes($"{Written} *(u32 *)(r10 - 16) = 1\n r9 = *(u64 *)(r10 - 16)")),
        Hole("more than a zero that was stored", Rule.PointerOffset, Indexes($"{Written} *(u32 *)(r10 - 16) = 0\n r9 = *(u64 *)(r10 - 16)")),
        Hole("more than two bytes that were stored", Rule.PointerOffset, Indexes($"{Written} *(u16 *)(r10 - 16) = 1\n r9 = *(u32 *)(r10 - 16)")),
        Hole("more than was stored in the upper half", Rule.PointerOffset, Indexes($"{Written} *(u16 *)(r10 - 12) = 1\n r9 = *(u32 *)(r10 - 12)")),
        Hole("a lower half with a hole before the upper one", Rule.PointerOffset, Indexes($"{Written} *(u16 *)(r10 - 16) = 1\n *(u32 *)(r10 - 12) = 0\n r9 = *(u64 *)(r10 - 16)")),
        Hole("an upper half with a hole", Rule.PointerOffset, Indexes($"{Written} *(u32 *)(r10 - 16) = 1\n *(u16 *)(r10 - 12) = 0\n r9 = *(u64 *)(r10 - 16)")),
        Hole("other bytes of a small number are not the number", Rule.UninitializedRegister, """
            call bpf_get_prandom_u32
            r0 &= 7
            *(u64 *)(r10 - 8) = r0
            r7 = *(u16 *)(r10 - 6)
            if r0 < 5 goto out
            if r7 > 4 goto out
            !r0 = r9
            out: r0 = 0
            exit
            """),
    ];
}
