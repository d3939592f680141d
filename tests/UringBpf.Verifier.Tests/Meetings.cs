using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// Two ways that meet: what follows was walked for the first, which is safe, and must be walked again for the second, which
/// is not, because the states differ in one thing. Each one shows that pruning looks at that thing.
/// </summary>
internal static class Meetings
{
    private const string Pad = "r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n";

    // Common code, the way walked first, the other, and what follows, with "!" before the line that is refused.
    private static Case Meet(string name, Rule code, string before, string first, string second, string after, ProgramType? type = null)
    {
        // Either way ends with a jump, so that both are as long before they meet.
        var text = $"{before}\n {Pad}\n r9 = *(u32 *)(r10 - 256)\n if r9 == 77 goto second\n {first}\n {Pad}\n goto meet\n second: {second}\n {Pad}\n goto meet\n meet: {after}";
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var at = 0;
        foreach (var line in lines.TakeWhile(line => !line.Contains('!') || line.Contains("!="))) at += line.EndsWith(" ll", StringComparison.Ordinal) ? 2 : 1;
        // An unknown number on the stack decides the way.
        string[] prologue = ["call bpf_get_prandom_u32", "*(u32 *)(r10 - 256) = r0"];
        var clean = string.Join('\n', ["r6 = r1", .. prologue, .. lines.Select(line => line.Contains("!=", StringComparison.Ordinal) ? line : line.Replace("!", "", StringComparison.Ordinal))]);
        return new(name, code, at + 3, [[.. Assembler.Assemble(clean, Cases.Maps, Cases.Functions)]])
        {
            Type = type ?? ProgramTypes.Raw,
            Options = new() { ContextSize = 16 },
        };
    }

    private const string Exit = "r0 = 0\n exit";

    private static string LookUp(string map, string into) =>
        $"*(u32 *)(r10 - 8) = 1\n r1 = {map} ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n if r0 != 0 goto +2\n r0 = 0\n exit\n {into} = r0\n";

    private const string Reserve = "r1 = ring ll\n r2 = 16\n r3 = 0\n call bpf_ringbuf_reserve\n if r0 != 0 goto +2\n r0 = 0\n exit\n r8 = r0\n";
    private const string StartIterator = "r1 = r10\n r1 += -16\n r2 = 0\n r3 = 10\n call bpf_iter_num_new\n";
    private const string Destroy = "r1 = r10\n r1 += -16\n call bpf_iter_num_destroy\n";
    private const string Number = "call bpf_get_prandom_u32\n";

    public static readonly IReadOnlyList<Case> All =
    [
        Meet("a number met as a pointer", Rule.NotAPointer, "", "r7 = r6", "r7 = 5", $"! r0 = *(u8 *)(r7 + 0)\n {Exit}"),
        Meet("a wider range met", Rule.MapValueBounds, LookUp("hash", "r8"), "r7 = 8", "r7 = 9", $"r8 += r7\n ! r0 = *(u64 *)(r8 + 0)\n {Exit}"),
        Meet("a pointer of another offset met", Rule.MapValueBounds, LookUp("hash", "r8"), "r8 += 8", "r8 += 9", $"! r0 = *(u64 *)(r8 + 0)\n {Exit}"),
        Meet("a value of another map met", Rule.MapValueBounds, LookUp("hash", "r7") + LookUp("array", "r8"), "r5 = r7\n r8 = r7", "r5 = r8", $"! r0 = *(u64 *)(r8 + 8)\n {Exit}"),
        Meet("memory of another size met", Rule.MemoryBounds, "", "r1 = r6\n r2 = 0\n r3 = 0\n r4 = 16\n call uring_buffer\n r8 = r0",
            "r1 = r6\n r2 = 0\n r3 = 0\n r4 = 8\n call uring_buffer\n r8 = r0", $"if r8 == 0 goto out\n ! r0 = *(u64 *)(r8 + 8)\n out: {Exit}", ProgramTypes.Completion),
        Meet("something that may be NULL met", Rule.MaybeNull, LookUp("hash", "r8"), "r8 = r8", "r1 = hash ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n r8 = r0",
            $"! r0 = *(u64 *)(r8 + 0)\n {Exit}"),
        Meet("nothing in the register", Rule.UninitializedRegister, "", "r8 = 1", "r1 = 0", $"! r7 = r8\n {Exit}"),
        Meet("nothing on the stack", Rule.UninitializedStack, "", "*(u64 *)(r10 - 16) = 1", "*(u32 *)(r10 - 16) = 1", $"! r0 = *(u64 *)(r10 - 16)\n {Exit}"),
        Meet("a pointer on the stack met as a number", Rule.NotAPointer, "", "*(u64 *)(r10 - 16) = r6", "*(u64 *)(r10 - 16) = 1", $"r7 = *(u64 *)(r10 - 16)\n ! r0 = *(u8 *)(r7 + 0)\n {Exit}"),
        Meet("a number on the stack met as a pointer", Rule.ReturnsPointer, "", "*(u64 *)(r10 - 16) = 1", "*(u64 *)(r10 - 16) = r6", "r0 = *(u64 *)(r10 - 16)\n ! exit"),
        Meet("a wider number on the stack", Rule.MapValueBounds, LookUp("hash", "r8"), "*(u64 *)(r10 - 16) = 8", "*(u64 *)(r10 - 16) = 9",
            $"r7 = *(u64 *)(r10 - 16)\n r8 += r7\n ! r0 = *(u64 *)(r8 + 0)\n {Exit}"),
        Meet("a wider number in a lower half of the stack", Rule.MapValueBounds, LookUp("hash", "r8"), "*(u32 *)(r10 - 16) = 8", "*(u32 *)(r10 - 16) = 9",
            $"r7 = *(u32 *)(r10 - 16)\n r8 += r7\n ! r0 = *(u64 *)(r8 + 0)\n {Exit}"),
        Meet("a wider number in an upper half of the stack", Rule.MapValueBounds, LookUp("hash", "r8"), "*(u32 *)(r10 - 12) = 8", "*(u32 *)(r10 - 12) = 9",
            $"r7 = *(u32 *)(r10 - 12)\n r8 += r7\n ! r0 = *(u64 *)(r8 + 0)\n {Exit}"),

        // Links: a check of one copy must say nothing of what is none.
        Meet("a copy met as another number", Rule.PointerOffset, LookUp("hash", "r8") + "r7 = *(u64 *)(r6 + 0)\n r5 = *(u64 *)(r6 + 8)", "r5 = r7", "r1 = 0",
            $"if r5 > 8 goto out\n ! r8 += r7\n r0 = *(u8 *)(r8 + 0)\n out: {Exit}"),
        Meet("a number at another distance", Rule.MapValueBounds, LookUp("hash", "r8") + "r7 = *(u32 *)(r6 + 0)\n r5 = r7", "r5 += 8", "r5 += 4",
            $"if r5 > 16 goto out\n r8 += r7\n ! r0 = *(u64 *)(r8 + 0)\n out: {Exit}"),
        Meet("two lookups met where one was", Rule.MaybeNull, "*(u32 *)(r10 - 8) = 1\n r1 = hash ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n r7 = r0\n r1 = hash ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n r8 = r0",
            "r8 = r7", "r1 = 0", $"if r7 == 0 goto out\n ! r0 = *(u64 *)(r8 + 0)\n out: {Exit}"),

        // What is held.
        Meet("a lock that is not held", Rule.LockMisuse, LookUp("locked", "r8"), "r1 = r8\n call bpf_spin_lock", "r1 = 0", $"r1 = r8\n ! call bpf_spin_unlock\n {Exit}"),
        Meet("a lock that is held", Rule.LockLeak, LookUp("locked", "r8"), "r1 = 0", "r1 = r8\n call bpf_spin_lock", "r0 = 0\n ! exit"),
        Meet("another lock that is held", Rule.LockMisuse, LookUp("locked", "r7") + LookUp("locked", "r8"), "r1 = r8\n call bpf_spin_lock", "r1 = r7\n call bpf_spin_lock",
            $"r1 = r8\n ! call bpf_spin_unlock\n {Exit}"),
        Meet("a record that is held", Rule.ReferenceLeak, "", Reserve + "r1 = r8\n r2 = 0\n call bpf_ringbuf_submit\n r8 = 0", Reserve + "r8 = 0", "r0 = 0\n ! exit"),
        Meet("another record in the register", Rule.UninitializedRegister,
            Reserve + "r7 = r8\n r1 = ring ll\n r2 = 16\n r3 = 0\n call bpf_ringbuf_reserve\n r8 = r0\n if r0 != 0 goto +5\n r1 = r7\n r2 = 0\n call bpf_ringbuf_submit\n r0 = 0\n exit",
            "r1 = 0", "r7 = r8", $"r1 = r7\n r2 = 0\n call bpf_ringbuf_submit\n ! r1 = r8\n r2 = 0\n call bpf_ringbuf_submit\n {Exit}"),
        Meet("an iterator that is started", Rule.IteratorMisuse, "*(u64 *)(r10 - 16) = 0", "r1 = 0", StartIterator, "r0 = 0\n ! exit"),
        Meet("an iterator that is not started", Rule.IteratorMisuse, "*(u64 *)(r10 - 16) = 0", StartIterator, "r1 = 0", $"r1 = r10\n r1 += -16\n ! call bpf_iter_num_destroy\n {Exit}"),

        // Data.
        Meet("data that was not checked", Rule.BufferBounds, "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)", "r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r5 = r7",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data that was checked for less", Rule.BufferBounds, "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)", "r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r5 = r7\n r5 += 7\n if r5 > r8 goto out",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data further on", Rule.BufferBounds, "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r1 = 0", "r7 += 1",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data that is loaded again, and was checked on one way", Rule.BufferBounds, "r8 = *(u64 *)(r6 + 48)", "r5 = *(u64 *)(r6 + 40)\n r5 += 8\n if r5 > r8 goto out", "r1 = 0",
            $"r7 = *(u64 *)(r6 + 40)\n ! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data at a variable offset that was not checked", Rule.BufferBounds,
            "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r3 = *(u32 *)(r6 + 20)\n r7 += r3", "r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r1 = 0",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data at a variable offset that was checked for less", Rule.BufferBounds,
            "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r3 = *(u32 *)(r6 + 20)\n r7 += r3", "r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r5 = r7\n r5 += 7\n if r5 > r8 goto out",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data at a variable offset, further on", Rule.BufferBounds,
            "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r3 = *(u32 *)(r6 + 20)\n r7 += r3\n r5 = r7\n r5 += 8\n if r5 > r8 goto out", "r1 = 0", "r7 += 1",
            $"! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data of another variable offset", Rule.BufferBounds,
            "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r3 = *(u32 *)(r6 + 20)\n r7 += r3\n r4 = *(u64 *)(r6 + 40)\n r3 = *(u32 *)(r6 + 28)\n r4 += r3", "r5 = r7", "r5 = r4",
            $"r5 += 8\n if r5 > r8 goto out\n ! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
        Meet("data before its start", Rule.BufferBounds,
            "r7 = *(u64 *)(r6 + 40)\n r8 = *(u64 *)(r6 + 48)\n r3 = *(u32 *)(r6 + 20)\n r3 &= 7", "r7 += r3", "r7 += -1\n r7 += r3",
            $"r5 = r7\n r5 += 8\n if r5 > r8 goto out\n ! r0 = *(u64 *)(r7 + 0)\n out: {Exit}", ProgramTypes.Completion),
    ];
}
