using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// Programs written to be accepted wrongly, as assembler text over the maps of <see cref="Cases"/>. Each one was, or could
/// plausibly be, a way to memory the program has no right to; its code says what stops it.
/// </summary>
internal static class Attacks
{
    private static Case Attack(string name, Rule? code, int at, string text) => new(name, code, at, [[.. Assembler.Assemble(text, Cases.Maps, Cases.Functions)]]);

    private static Case On(ProgramType type, string name, Rule? code, int at, string text) => Attack(name, code, at, text) with { Type = type, Options = new() };

    // r1 = data, r2 = data_end of a completion.
    private const string Data = "r6 = r1\n r1 = *(u64 *)(r6 + 40)\n r2 = *(u64 *)(r6 + 48)\n";

    private const string LookUpHash = "*(u32 *)(r10 - 8) = 1\n r1 = hash ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n if r0 == 0 goto out\n";

    public static readonly IReadOnlyList<Case> All =
    [
        // Constants that are none: .rodata changed through a helper, its old contents believed afterwards.
        Attack("constant data updated by a helper", Rule.ReadOnlyMap, 10, """
            *(u32 *)(r10 - 4) = 0
            *(u64 *)(r10 - 24) = 4096
            *(u32 *)(r10 - 16) = 0
            r1 = map_by_idx(3) ll
            r2 = r10
            r2 += -4
            r3 = r10
            r3 += -24
            r4 = 0
            call bpf_map_update_elem
            r0 = 0
            exit
            """),
        Attack("constant data deleted by a helper", Rule.ReadOnlyMap, 5, """
            *(u32 *)(r10 - 4) = 0
            r1 = map_by_idx(3) ll
            r2 = r10
            r2 += -4
            call bpf_map_delete_elem
            r0 = 0
            exit
            """),
        Attack("number parsed into constant data", Rule.ReadOnlyMap, 9, """
            *(u64 *)(r10 - 8) = 49
            r1 = r10
            r1 += -8
            r2 = 8
            r3 = 10
            r4 = map_val(map_by_idx(3)) + 0 ll
            call bpf_strtol
            r0 = 0
            exit
            """) with { Code = Rule.ReadOnlyMap, At = 7 },

        // A number whose negation does not exist, added to one that has a name.
        Attack("the least number added to a copied one", null, -1, """
            r3 = r2
            r4 = 0x8000000000000000 ll
            r3 += r4
            r2 -= r4
            r0 = r3
            r0 ^= r2
            exit
            """),

        // Addresses.
        Attack("a pointer moved to address 0 is not known to be no NULL", Rule.NotAPointer, 8, $"""
            {LookUpHash}
            r0 -= 4096
            if r0 != 0 goto out
            r1 = 0
            r0 = *(u64 *)(r1 + 0)
            out: r0 = 0
            exit
            """) with { At = 10 },
        Attack("callx of a function that calls back", Rule.IndirectCall, 7, """
            r1 = 4
            r2 = code_addr(body) ll
            r3 = 0
            r4 = 0
            r6 = 181
            callx r6
            exit
            body: r0 = 0
            exit
            """) with { At = 6 },
        Attack("callx of a tail call", Rule.IndirectCall, 4, "r2 = programs ll\n r3 = 0\n r6 = 12\n callx r6\n exit"),

        // 32 and 64 bits.
        Attack("index checked in its low half only", Rule.PointerOffset, 11, $"""
            r6 = *(u64 *)(r1 + 0)
            {LookUpHash}
            if w6 > 8 goto out
            r0 += r6
            r0 = *(u64 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 9 },
        Attack("index that may be far below zero", Rule.PointerOffset, 12, $"""
            r6 = *(u32 *)(r1 + 0)
            {LookUpHash}
            if w6 s> 8 goto out
            r6 <<= 32
            r6 s>>= 32
            r0 += r6
            r0 = *(u64 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 11 },
        Attack("index checked, then changed in its upper half", Rule.PointerOffset, 12, $"""
            r6 = *(u64 *)(r1 + 0)
            {LookUpHash}
            if r6 > 8 goto out
            r7 = r6
            r7 <<= 32
            r7 |= r6
            r0 += r7
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """),
        Attack("a linked copy is not checked by a check of what was added to in 32 bits", Rule.PointerOffset, 13, $"""
            r6 = *(u64 *)(r1 + 0)
            {LookUpHash}
            r7 = r6
            w7 += 1
            if r7 > 8 goto out
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 11 },
        Attack("sign extension makes a small unsigned number negative", Rule.MapValueBounds, 11, $"""
            r6 = *(u8 *)(r1 + 0)
            {LookUpHash}
            r6 = (s8)r6
            if r6 s> 8 goto out
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """),
        Attack("a sign-extending load makes an offset negative", Rule.MapValueBounds, 10, $"""
            r6 = *(s8 *)(r1 + 0)
            {LookUpHash}
            if r6 s> 8 goto out
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """),
        Attack("shift by a count beyond the width is masked, not zero", Rule.MapValueBounds, 14, $"""
            r6 = 40
            r7 = 1
            {LookUpHash}
            w7 <<= w6
            r0 += r7
            r0 += -1
            r0 = *(u64 *)(r0 + 0)
            r0 = *(u64 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 12 },
        Attack("an atomic's old value has no bounds", Rule.PointerOffset, 12, $"""
            {LookUpHash}
            *(u64 *)(r10 - 16) = 0
            r6 = 1
            r6 = atomic_fetch_add((u64 *)(r10 - 16), r6)
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 10 },
        Attack("a compare-exchange changes r0 too", Rule.NotAPointer, 12, $"""
            {LookUpHash}
            r7 = r0
            *(u64 *)(r10 - 16) = 0
            r0 = 1
            r6 = 1
            r0 = cmpxchg_64(r10 - 16, r0, r6)
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """),

        // The stack.
        Attack("a spilled bound does not survive a narrower store into it", Rule.PointerOffset, 13, $"""
            r6 = *(u64 *)(r1 + 0)
            r8 = *(u64 *)(r1 + 8)
            {LookUpHash}
            if r6 > 8 goto out
            *(u64 *)(r10 - 16) = r6
            *(u32 *)(r10 - 12) = r8
            r7 = *(u64 *)(r10 - 16)
            r0 += r7
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """),
        Attack("a spilled bound does not survive a store at a variable offset", Rule.PointerOffset, 20, $"""
            r6 = *(u64 *)(r1 + 0)
            r8 = *(u64 *)(r1 + 8)
            {LookUpHash}
            if r6 > 8 goto out
            *(u64 *)(r10 - 16) = r6
            *(u64 *)(r10 - 24) = r6
            r9 = r8
            r9 &= 15
            r3 = r10
            r3 += -24
            r3 += r9
            *(u8 *)(r3 + 0) = r8
            r7 = *(u64 *)(r10 - 16)
            r0 += r7
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            """) with { At = 19 },
        Attack("a spilled pointer overwritten at a variable offset is gone", Rule.UninitializedStack, 8, """
            *(u64 *)(r10 - 16) = r1
            *(u64 *)(r10 - 8) = 0
            r3 = *(u64 *)(r1 + 0)
            r3 &= 15
            r4 = r10
            r4 += -16
            r4 += r3
            *(u8 *)(r4 + 0) = 1
            r5 = *(u64 *)(r10 - 16)
            r0 = *(u8 *)(r5 + 0)
            exit
            """),
        Attack("a function's stack pointer brought back through its caller's stack", Rule.PointerToInnerFrame, 8, """
            r1 = r10
            r1 += -8
            *(u64 *)(r10 - 8) = 0
            call inner
            r1 = *(u64 *)(r10 - 8)
            r0 = *(u64 *)(r1 + 0)
            exit
            inner: r2 = r10
            *(u64 *)(r1 + 0) = r2
            r0 = 0
            exit
            """),
        Attack("a helper fills only what it surely fills", Rule.UninitializedStack, 12, """
            r6 = *(u64 *)(r1 + 0)
            r6 &= 15
            r6 += 1
            r1 = r10
            r1 += -16
            r2 = r6
            call bpf_get_current_comm
            r0 = *(u8 *)(r10 - 15)
            exit
            """) with { At = 7 },

        // References, locks and iterators.
        Attack("a record used after it was submitted", Rule.UninitializedRegister, 12, """
            r1 = ring ll
            r2 = 16
            r3 = 0
            call bpf_ringbuf_reserve
            if r0 == 0 goto out
            r6 = r0
            r1 = r0
            r2 = 0
            call bpf_ringbuf_submit
            *(u64 *)(r6 + 0) = 1
            out: r0 = 0
            exit
            """) with { At = 10 },
        Attack("a record used after it was submitted, from the stack", Rule.UninitializedStack, 11, """
            r1 = ring ll
            r2 = 16
            r3 = 0
            call bpf_ringbuf_reserve
            if r0 == 0 goto out
            *(u64 *)(r10 - 8) = r0
            r1 = r0
            r2 = 0
            call bpf_ringbuf_submit
            r6 = *(u64 *)(r10 - 8)
            *(u64 *)(r6 + 0) = 1
            out: r0 = 0
            exit
            """) with { At = 10 },
        Attack("an iterator's number used after its end", Rule.UninitializedRegister, 14, """
            r1 = r10
            r1 += -8
            r2 = 0
            r3 = 10
            call bpf_iter_num_new
            r6 = r10
            r6 += -8
            r1 = r6
            call bpf_iter_num_next
            r7 = r0
            r1 = r6
            call bpf_iter_num_destroy
            if r7 == 0 goto out
            r0 = *(u32 *)(r7 + 0)
            out: r0 = 0
            exit
            """) with { At = 12 },
        Attack("an iterator's words written by the program", Rule.IteratorMisuse, 6, """
            r1 = r10
            r1 += -8
            r2 = 0
            r3 = 10
            call bpf_iter_num_new
            *(u64 *)(r10 - 8) = 0
            r0 = 0
            exit
            """) with { At = 5 },
        Attack("a callback that ends with the lock held", Rule.LockLeak, 20, """
            r1 = 1
            r2 = code_addr(body) ll
            r3 = 0
            r4 = 0
            call bpf_loop
            r0 = 0
            exit
            body: *(u32 *)(r10 - 8) = 1
            r1 = locked ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 == 0 goto none
            r1 = r0
            call bpf_spin_lock
            none: r0 = 0
            exit
            """) with { At = 18 },
        Attack("another value's lock released", Rule.LockMisuse, 18, """
            *(u32 *)(r10 - 8) = 1
            r1 = locked ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r6 = r0
            r1 = locked ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r7 = r0
            r1 = r6
            call bpf_spin_lock
            r1 = r7
            call bpf_spin_unlock
            out: r0 = 0
            exit
            """),

        // NULL checks.
        Attack("a NULL check of one lookup is none of the next", Rule.MaybeNull, 13, $"""
            {LookUpHash}
            r6 = r0
            r1 = hash ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            r0 = *(u64 *)(r0 + 0)
            out: r0 = 0
            exit
            """),
        Attack("the NULL branch gives no pointer", Rule.NotAPointer, 7, """
            *(u32 *)(r10 - 8) = 1
            r1 = hash ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 != 0 goto out
            r0 = *(u64 *)(r0 + 0)
            out: r0 = 0
            exit
            """),

        // Buffers.
        On(ProgramTypes.Completion, "data checked with one pointer, read with another of variable offset", Rule.BufferBounds, 11, $"""
            {Data}
            r3 = *(u32 *)(r6 + 20)
            r4 = r1
            r4 += r3
            r5 = r1
            r5 += 8
            if r5 > r2 goto out
            r0 = *(u8 *)(r4 + 0)
            out: r0 = 0
            exit
            """) with { At = 9 },
        On(ProgramTypes.Completion, "data checked, then the pointer moved by something else", Rule.BufferBounds, 12, $"""
            {Data}
            r3 = *(u32 *)(r6 + 20)
            r4 = r1
            r4 += r3
            r5 = r4
            r5 += 8
            if r5 > r2 goto out
            r4 += r3
            r0 = *(u8 *)(r4 + 0)
            out: r0 = 0
            exit
            """) with { At = 10 },
        On(ProgramTypes.Completion, "data read before its start", Rule.BufferBounds, 10, $"""
            {Data}
            r3 = *(u32 *)(r6 + 8)
            r3 = (s32)r3
            r1 += r3
            r5 = r1
            r5 += 8
            if r5 > r2 goto out
            r0 = *(u8 *)(r1 + 0)
            out: r0 = 0
            exit
            """) with { At = 9 },
        On(ProgramTypes.Completion, "a length that wraps round the address space", Rule.PointerOffset, 5, $"""
            {Data}
            r3 = *(u64 *)(r6 + 0)
            r4 = r1
            r4 += r3
            if r4 > r2 goto out
            r0 = *(u8 *)(r4 - 1)
            out: r0 = 0
            exit
            """),
        On(ProgramTypes.Completion, "equality with data_end shows nothing beyond it", Rule.BufferBounds, 5, $"""
            {Data}
            r3 = r1
            if r3 != r2 goto out
            r0 = *(u8 *)(r1 + 0)
            out: r0 = 0
            exit
            """),

        // Loops.
        Attack("a loop whose index passes its bound in one step", Rule.MapValueBounds, 10, $"""
            {LookUpHash}
            r6 = 0
            loop: r7 = r0
            r7 += r6
            r8 = *(u8 *)(r7 + 0)
            r6 += 7
            if r6 != 16 goto loop
            out: r0 = 0
            exit
            """),
        Attack("a pointer that moves in a loop without an end", Rule.MapValueBounds, 8, $"""
            {LookUpHash}
            loop: r8 = *(u8 *)(r0 + 0)
            r0 += 1
            if r8 != 0 goto loop
            out: r0 = 0
            exit
            """) with { At = 7 },
        Attack("a bound that the loop itself raises", Rule.MapValueBounds, 12, $"""
            {LookUpHash}
            r6 = 0
            r9 = 8
            loop: r7 = r0
            r7 += r6
            r8 = *(u8 *)(r7 + 0)
            r6 += 1
            r9 += 1
            if r6 < r9 goto loop
            out: r0 = 0
            exit
            """) with { At = 11 },
        Attack("an inner loop that resets the outer counter never ends by proof", Rule.ProofRequired, 2, """
            r6 = 0
            outer: r7 = 0
            inner: r7 += 1
            r8 = *(u8 *)(r1 + 0)
            if r8 != 0 goto reset
            if r7 < 10 goto inner
            r6 += 1
            if r6 < 10 goto outer
            r0 = 0
            exit
            reset: r6 = 0
            goto outer
            """) with { Options = new() { ContextSize = 16, RequireTerminationProof = true } },
        Attack("a counter that goes back and forth proves nothing", Rule.ProofRequired, 1, """
            r6 = 5
            loop: r8 = *(u8 *)(r1 + 0)
            if r8 != 0 goto up
            r6 -= 1
            goto test
            up: r6 += 1
            test: if r6 == 0 goto out
            if r6 == 10 goto out
            goto loop
            out: r0 = 0
            exit
            """) with { Options = new() { ContextSize = 16, RequireTerminationProof = true } },
    ];
}
