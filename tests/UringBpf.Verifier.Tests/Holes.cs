using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests;

/// <summary>Programs that an earlier verifier accepted, found by reading it as an attacker would.</summary>
internal static class Holes
{
    internal static Case Hole(string name, Rule? code, string text, ProgramType? type = null)
    {
        // "!" stands before the instruction that is refused.
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var at = code is null ? -1 : 0;
        foreach (var line in lines.TakeWhile(line => code is not null && !IsMarked(line))) at += line.EndsWith(" ll", StringComparison.Ordinal) ? 2 : 1;
        var clean = string.Join('\n', lines.Select(line => IsMarked(line) ? line.Replace("!", "", StringComparison.Ordinal) : line));
        return new(name, code, at, [[.. Assembler.Assemble(clean, Cases.Maps, Cases.Functions)]]) { Type = type ?? ProgramTypes.Raw, Options = new() { ContextSize = type is null ? 16 : 0 } };
    }

    private static bool IsMarked(string line) => line.Contains('!') && !line.Contains("!=", StringComparison.Ordinal);

    // r7 = data + 40..1040, r8 = data_end of a completion in r6.
    private const string MovedData = """
        r6 = r1
        r7 = *(u64 *)(r6 + 40)
        r8 = *(u64 *)(r6 + 48)
        call bpf_get_prandom_u32
        if r0 > 1000 goto out
        r0 += 40
        r7 += r0

        """;

    private const string Reserve = "r1 = ring ll\n r2 = 16\n r3 = 0\n call bpf_ringbuf_reserve\n";

    public static readonly IReadOnlyList<Case> All =
    [
        // Nothing known is not "one byte before the pointer is known".
        Hole("inequality with data_end of a pointer one before what is not known", Rule.BufferBounds, $"""
            {MovedData}
            r7 += -1
            if r7 == r8 goto out
            !r0 = *(u64 *)(r7 - 7)
            out: r0 = 0
            exit
            """, ProgramTypes.Completion),
        Hole("a data pointer moved on, and back by less, never compared", Rule.BufferBounds, $"""
            {MovedData}
            r7 += -40
            !r0 = *(u64 *)(r7 + 0)
            out: r0 = 0
            exit
            """, ProgramTypes.Completion),
        Hole("a data pointer made anew in every round, never compared", Rule.BufferBounds, $"""
            {MovedData}
            r9 = 0
            r7 += -40
            loop: if r9 == 20 goto done
            call bpf_get_prandom_u32
            r0 &= 1023
            r0 += 40
            r7 = *(u64 *)(r6 + 40)
            r7 += r0
            r7 += -40
            r9 += 1
            goto loop
            done: r1 = 0
            !r0 = *(u64 *)(r7 + 0)
            out: r0 = 0
            exit
            """, ProgramTypes.Completion),

        // A context of no bytes is an empty span, whose address is 0.
        Hole("an empty context that is NULL", Rule.UninitializedRegister, """
            if r1 != 0 goto out
            !r0 = r9
            out: r0 = 1
            exit
            """) with { Options = new() },

        // A lock that is held for hours.
        Hole("a lock held in a loop that ends, but not within a run", Rule.LoopHoldsResource, """
            *(u32 *)(r10 - 8) = 1
            r1 = map_by_idx(4) ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r7 = r0
            r1 = r7
            call bpf_spin_lock
            r8 = 0
            !loop: r8 += 1
            if r8 < 0x40000000 goto loop
            r1 = r7
            call bpf_spin_unlock
            out: r0 = 0
            exit
            """),
        Hole("a lock held only within the rounds of a loop of unknown length", null, """
            r6 = r1
            loop: *(u32 *)(r10 - 8) = 1
            r1 = map_by_idx(4) ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r7 = r0
            r1 = r7
            call bpf_spin_lock
            r8 = 0
            inner: r8 += 1
            if r8 < 10 goto inner
            r1 = r7
            call bpf_spin_unlock
            r1 = *(u8 *)(r6 + 0)
            if r1 != 0 goto loop
            out: r0 = 0
            exit
            """),

        // Two states that share a frame, in which one and the same record is another by its place in the order.
        Hole("a record submitted twice, by way of a callee that another path left with another one", Rule.UninitializedRegister, $"""
            {Reserve}
            if r0 == 0 goto out
            r7 = r0
            {Reserve}
            if r0 != 0 goto both
            r1 = r7
            r2 = 0
            call bpf_ringbuf_submit
            out: r0 = 0
            exit
            both: r6 = r0
            call bpf_get_prandom_u32
            r3 = r0
            r1 = r7
            r2 = r6
            r7 = 0
            call pick
            r1 = r6
            r2 = 0
            call bpf_ringbuf_submit
            r0 = 0
            exit
            pick: r8 = r2
            if r3 == 7 goto second
            r2 = 0
            call bpf_ringbuf_submit
            {Reserve}
            if r0 != 0 goto +1
            exit
            r8 = r0
            goto meet
            second: r9 = 0
            r9 = 0
            r9 = 0
            r9 = 0
            meet: r1 = r8
            r2 = 0
            call bpf_ringbuf_submit
            r0 = 0
            exit
            """) with { At = 25 },
    ];
}
