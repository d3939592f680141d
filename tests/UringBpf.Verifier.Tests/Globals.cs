using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests;

/// <summary>
/// Global functions, which are verified once for what their BTF signature allows. A program's text names them by labels; their signatures
/// are told by the label's first letter (see <see cref="s_signatures"/>), static functions begin with s.
/// </summary>
internal static class Globals
{
    private const int Number = 1, Pair = 2, ToPair = 3, Context = 4, ToContext = 5, ConstantPair = 6, ToConstantPair = 7, ToVoid = 8;

    // What a function takes: numbers, a pair or NULL, a pair, a pair that it only reads, the context (xdp), anything; and whether it returns nothing.
    private static readonly Dictionary<char, (int[] Parameters, bool NonNull, bool IsVoid)> s_signatures = new()
    {
        ['n'] = ([Number, Number], false, false),
        ['p'] = ([ToPair], false, false),
        ['q'] = ([ToPair], true, false),
        ['r'] = ([ToConstantPair], true, false),
        ['c'] = ([ToContext], false, false),
        ['a'] = ([ToVoid], false, false),
        ['v'] = ([Number], false, true),
        ['m'] = ([ToPair, Number], false, false),
        ['b'] = ([ToPair, ToConstantPair], true, false),
    };

    private static Case Global(string name, Rule? code, string text, ProgramType? type = null)
    {
        // "!" stands before the instruction that is refused.
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var (at, slot) = (-1, 0);
        var functions = new List<(string Name, int Start)> { ("main", 0) };
        foreach (var line in lines)
        {
            if (line.Contains('!') && !line.Contains("!=", StringComparison.Ordinal)) at = slot;
            if (line.Split(':') is [['f', '_', ..] label, _]) functions.Add((label[2..], slot));
            slot += line.EndsWith(" ll", StringComparison.Ordinal) ? 2 : 1;
        }
        var clean = string.Join('\n', lines.Select(line => line.Contains("!=", StringComparison.Ordinal) ? line : line.Replace("!", "", StringComparison.Ordinal)));
        var (types, ids) = Types(functions.Skip(1).Select(function => function.Name));
        ImmutableArray<Subprogram> subprograms =
        [
            .. functions.Select((function, index) => new Subprogram(function.Name, function.Start, (index + 1 < functions.Count ? functions[index + 1].Start : slot) - function.Start,
                index > 0 && function.Name[0] != 's', ids.GetValueOrDefault(function.Name))),
        ];
        return new(name, code, at, [[.. Assembler.Assemble(clean, Cases.Maps, Cases.Functions)]])
        {
            Type = type ?? ProgramTypes.Raw,
            Options = new() { ContextSize = type is null ? 16 : 0 },
            Change = spec => spec with { Types = types, Subprograms = subprograms },
        };
    }

    private static (BtfSpec Types, Dictionary<string, int> Functions) Types(IEnumerable<string> names)
    {
        List<BtfType> types =
        [
            new BtfVoid(), new BtfInteger(Number, "long", 8, BtfIntegerEncoding.Signed, 0, 64),
            new BtfStruct(Pair, "pair", false, 16, [new("first", Number, 0, 0), new("second", Number, 64, 0)]), new BtfPointer(ToPair, Pair),
            new BtfStruct(Context, "xdp_md", false, 24, []), new BtfPointer(ToContext, Context),
            new BtfModifier(ConstantPair, "", BtfModifierKind.Const, Pair), new BtfPointer(ToConstantPair, ConstantPair), new BtfPointer(ToVoid, 0),
        ];
        var ids = new Dictionary<string, int>();
        foreach (var name in names)
        {
            if (!s_signatures.TryGetValue(name[0], out var signature)) continue;
            types.Add(new BtfPrototype(types.Count, signature.IsVoid ? 0 : Number, [.. signature.Parameters.Select((id, index) => new BtfParameter($"x{index}", id))]));
            types.Add(new BtfFunction(types.Count, name, BtfLinkage.Global, types.Count - 1));
            ids.Add(name, types.Count - 1);
            for (var index = 0; signature.NonNull && index < signature.Parameters.Length; index++) types.Add(new BtfDeclarationTag(types.Count, "arg:nonnull", ids[name], index));
        }
        return (new BtfSpec([.. types]), ids);
    }

    private const string LookUp = "*(u32 *)(r10 - 8) = 1\n r1 = map_by_idx(0) ll\n r2 = r10\n r2 += -8\n call bpf_map_lookup_elem\n";

    private const string Reserve = "r1 = ring ll\n r2 = 16\n r3 = 0\n call bpf_ringbuf_reserve\n";

    public static readonly IReadOnlyList<Case> All =
    [
        Global("a global function's pointer is not known to be none", Rule.MaybeNull, $"""
            {LookUp}
            if r0 == 0 goto out
            r1 = r0
            call f_p
            out: r0 = 0
            exit
            f_p: !r0 = *(u64 *)(r1 + 0)
            exit
            """),
        Global("a global function's pointer that is tagged is no NULL", null, $"""
            {LookUp}
            if r0 == 0 goto out
            r1 = r0
            call f_q
            out: r0 = 0
            exit
            f_q: r0 = *(u64 *)(r1 + 8)
            exit
            """),
        Global("what may be NULL passed to a pointer that is not", Rule.MaybeNull, $"""
            {LookUp}
            r1 = r0
            !call f_q
            r0 = 0
            exit
            f_q: r0 = *(u64 *)(r1 + 8)
            exit
            """),
        Global("what may be NULL passed to a pointer that may be", null, $"""
            {LookUp}
            r1 = r0
            call f_p
            r0 = 0
            exit
            f_p: if r1 == 0 goto none
            r0 = *(u64 *)(r1 + 8)
            exit
            none: r0 = 0
            exit
            """),
        Global("NULL passed to a pointer that may be", null, "r1 = 0\n call f_p\n r0 = 0\n exit\n f_p: r0 = 0\n exit"),
        Global("NULL passed beside a number", null, "r1 = 0\n r2 = 5\n call f_m\n r0 = 0\n exit\n f_m: r0 = 0\n exit"),
        Global("NULL passed to a pointer that is none", Rule.ArgumentKind, "r1 = 0\n !call f_q\n r0 = 0\n exit\n f_q: r0 = 0\n exit"),
        Global("what a call left in an argument register", Rule.UninitializedRegister, "r1 = 0\n r2 = 0\n call f_n\n !r0 = r1\n exit\n f_n: r0 = 0\n exit"),
        Global("no length beside what a global function takes", Rule.UninitializedRegister, "r1 = 0\n call f_v\n r0 = 0\n exit\n f_v: !r0 = r2\n exit"),
        Global("memory that may be written met with memory that may not", Rule.BufferReadOnly, """
            *(u64 *)(r10 - 16) = 0
            *(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -16
            r2 = r1
            call f_b
            r0 = 0
            exit
            f_b: r6 = r1
            r7 = r2
            call bpf_get_prandom_u32
            if r0 == 77 goto second
            r8 = r6
            r0 = 0
            r0 = 0
            r0 = 0
            r0 = 0
            goto meet
            second: r8 = r7
            r0 = 0
            r0 = 0
            r0 = 0
            r0 = 0
            meet: !*(u64 *)(r8 + 0) = 1
            r0 = 0
            exit
            """),
        Global("an inner map passed for memory", Rule.MaybeNull, """
            *(u32 *)(r10 - 8) = 1
            r1 = map_by_idx(7) ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            r1 = r0
            !call f_p
            r0 = 0
            exit
            f_p: r0 = 0
            exit
            """),
        Global("a global function reads past what its signature says", Rule.MemoryBounds, $"""
            *(u64 *)(r10 - 24) = 0
            *(u64 *)(r10 - 16) = 0
            *(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -24
            call f_q
            r0 = 0
            exit
            f_q: !r0 = *(u64 *)(r1 + 16)
            exit
            """),
        Global("memory too small for a global function", Rule.StackBounds, """
            *(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -8
            !call f_q
            r0 = 0
            exit
            f_q: r0 = 0
            exit
            """),
        Global("a global function writes to what it only reads", Rule.BufferReadOnly, """
            *(u64 *)(r10 - 16) = 0
            *(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -16
            call f_r
            r0 = 0
            exit
            f_r: !*(u64 *)(r1 + 0) = 1
            r0 = 0
            exit
            """),
        Global("a pointer passed for a number", Rule.PointerArgument, "r2 = 1\n !call f_n\n r0 = 0\n exit\n f_n: r0 = 0\n exit"),
        Global("what a global function may write is not known any more", Rule.PointerOffset, $"""
            *(u64 *)(r10 - 24) = 1
            *(u64 *)(r10 - 16) = 1
            r1 = r10
            r1 += -24
            call f_q
            {LookUp}
            if r0 == 0 goto out
            r1 = *(u64 *)(r10 - 24)
            !r0 += r1
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            f_q: r0 = 0
            exit
            """),
        Global("what a global function only reads is still known", null, $"""
            *(u64 *)(r10 - 24) = 1
            *(u64 *)(r10 - 16) = 1
            r1 = r10
            r1 += -24
            call f_r
            {LookUp}
            if r0 == 0 goto out
            r1 = *(u64 *)(r10 - 24)
            r0 += r1
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            f_r: r0 = 0
            exit
            """),
        Global("a pointer spilled in what is passed to a global function", Rule.PartialPointer, """
            *(u64 *)(r10 - 16) = r1
            *(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -16
            !call f_q
            r0 = 0
            exit
            f_q: r0 = 0
            exit
            """),
        Global("what a global function returns is known", null, $"""
            r1 = 1
            r2 = 2
            call f_n
            r6 = r0
            {LookUp}
            if r0 == 0 goto out
            r0 += r6
            r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            f_n: r0 = r1
            if r0 > 15 goto +1
            exit
            r0 = 15
            exit
            """),
        Global("what a global function returns may be too large", Rule.MapValueBounds, $"""
            r1 = 1
            r2 = 2
            call f_n
            r6 = r0
            {LookUp}
            if r0 == 0 goto out
            r0 += r6
            !r0 = *(u8 *)(r0 + 0)
            out: r0 = 0
            exit
            f_n: r0 = r1
            if r0 > 15 goto +1
            exit
            r0 = 16
            exit
            """),
        Global("a global function returns a pointer", Rule.ReturnsPointer, "r1 = 0\n r2 = 0\n call f_n\n r0 = 0\n exit\n f_n: r0 = r10\n !exit"),
        Global("a global function that returns nothing", Rule.UninitializedRegister, "r1 = 0\n call f_v\n !r1 = r0\n exit\n f_v: r0 = 0\n exit"),
        Global("a global function that is not handed what it takes", Rule.UninitializedRegister, "r1 = 0\n call bpf_get_prandom_u32\n !call f_v\n r0 = 0\n exit\n f_v: r0 = 0\n exit"),
        Global("a record leaked by a global function", Rule.ReferenceLeak, $"r1 = 0\n r2 = 0\n call f_n\n r0 = 0\n exit\n f_n: r0 = 0\n {Reserve}\n r0 = 0\n !exit"),
        Global("a record held over a global function without an end", Rule.LoopHoldsResource, $"""
            {Reserve}
            if r0 == 0 goto out
            r6 = r0
            r1 = 0
            r2 = 0
            !call f_n
            r1 = r6
            r2 = 0
            call bpf_ringbuf_submit
            out: r0 = 0
            exit
            f_n: call bpf_get_prandom_u32
            if r0 != 0 goto f_n
            exit
            """),
        Global("a record held over a global function with an end", null, $"""
            {Reserve}
            if r0 == 0 goto out
            r6 = r0
            r1 = 0
            r2 = 0
            call f_n
            r1 = r6
            r2 = 0
            call bpf_ringbuf_submit
            out: r0 = 0
            exit
            f_n: r0 = 0
            exit
            """),
        Global("a tail call from a global function", Rule.TailCallPlace, """
            call f_c
            r0 = 0
            exit
            f_c: r2 = programs ll
            r3 = 0
            !call bpf_tail_call
            r0 = 0
            exit
            """, ProgramTypes.Xdp),
        Global("a context passed to a global function", null, "call f_c\n r0 = 0\n exit\n f_c: r0 = *(u32 *)(r1 + 12)\n exit", ProgramTypes.Xdp),
        Global("something else passed for the context", Rule.ArgumentKind, "r1 = r10\n !call f_c\n r0 = 0\n exit\n f_c: r0 = 0\n exit", ProgramTypes.Xdp),
        // Functions that are called with the context from one place and with the stack from another: the accesses of the context are translated.
        Global("a function that a global one calls in another way", Rule.MixedContext, """
            r6 = r1
            call f_s
            r1 = 0
            r2 = 0
            call f_n
            r0 = 0
            exit
            f_n: *(u64 *)(r10 - 16) = 0
            r1 = r10
            r1 += -28
            call f_s
            r0 = 0
            exit
            f_s: !r0 = *(u32 *)(r1 + 12)
            exit
            """, ProgramTypes.Xdp),
        // Its signature says nothing of what it is handed, so it is walked with that.
        Global("a global function that takes anything", null, $"""
            {LookUp}
            if r0 == 0 goto out
            r1 = r0
            call f_a
            out: r0 = 0
            exit
            f_a: r0 = *(u64 *)(r1 + 8)
            exit
            """),
        Global("eight frames with a global function", null, """
            r1 = 0
            r2 = 0
            call f_n1
            r0 = 0
            exit
            f_n1: call f_s2
            exit
            f_s2: r1 = 0
            r2 = 0
            call f_n3
            exit
            f_n3: call f_s4
            exit
            f_s4: call f_s5
            exit
            f_s5: call f_s6
            exit
            f_s6: call f_s7
            exit
            f_s7: r0 = 0
            exit
            """),
        Global("nine frames with a global function", Rule.CallDepth, """
            r1 = 0
            r2 = 0
            !call f_n1
            r0 = 0
            exit
            f_n1: call f_s2
            exit
            f_s2: r1 = 0
            r2 = 0
            call f_n3
            exit
            f_n3: call f_s4
            exit
            f_s4: call f_s5
            exit
            f_s5: call f_s6
            exit
            f_s6: call f_s7
            exit
            f_s7: call f_s8
            exit
            f_s8: r0 = 0
            exit
            """),
    ];
}
