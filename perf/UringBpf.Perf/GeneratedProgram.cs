using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Perf;

/// <summary>Programs of any length that look like real ones: what grows is their number of blocks, nothing else.</summary>
internal static class GeneratedProgram
{
    private static readonly MapSpec s_map = new() { Name = "values", Type = MapType.Hash, KeySize = 4, ValueSize = 64, MaxEntries = 1024 };

    // Bounds check and variable offset; look-up, NULL check and indexed access; a spill and a fill; branches that meet again.
    private static readonly string[] s_blocks =
    [
        """
            r3 = *(u64 *)(r6 + 8)
            r3 &= 31
            r4 = r6
            r4 += r3
            r5 = *(u8 *)(r4 + 0)
            r7 += r5
            *(u64 *)(r10 - 16) = r7
            if r7 > 1000 goto skip{0}
            r7 += 3
        skip{0}:
            r7 = *(u64 *)(r10 - 16)
        """,
        """
            w1 = w7
            *(u32 *)(r10 - 4) = w1
            r1 = values ll
            r2 = r10
            r2 += -4
            call bpf_map_lookup_elem
            if r0 == 0 goto skip{0}
            r1 = *(u32 *)(r6 + 4)
            if r1 > 7 goto skip{0}
            r1 <<= 3
            r0 += r1
            r2 = *(u64 *)(r0 + 0)
            r7 ^= r2
        skip{0}:
        """,
        """
            r1 = *(u32 *)(r6 + 12)
            if r1 s> 100 goto other{0}
            r7 *= 31
            r7 += r1
            goto skip{0}
        other{0}:
            r7 >>= 3
            w7 -= w1
        skip{0}:
        """,
    ];

    // The same in C; the look-up is a call of a hash table without entries, as the program's is.
    private static readonly string[] s_nativeBlocks =
    [
        """
            r7 += context[*(u64 *)(context + 8) & 31];
            spill = r7;
            if (r7 <= 1000) r7 += 3;
            r7 = spill;
        """,
        """
            key = (u32)r7;
            value = lookup(&values, &key);
            if (value && *(u32 *)(context + 4) <= 7) r7 ^= value[*(u32 *)(context + 4)];
        """,
        """
            number = *(u32 *)(context + 12);
            if ((s32)number > 100) r7 = (u32)(r7 >> 3) - number;
            else r7 = r7 * 31 + number;
        """,
    ];

    private const string NativeStart = """
        typedef unsigned char u8; typedef unsigned u32; typedef int s32; typedef unsigned long long u64;
        struct table { u32 used[2048], keys[2048]; u64 values[2048][8]; } values;
        __attribute__((noinline)) u64 *lookup(struct table *table, const u32 *key)
        {
            __asm__ volatile("" ::: "memory");
            u32 place = *key * 2654435769u >> 21;
            while (table->used[place] && table->keys[place] != *key) place = (place + 1) & 2047;
            return table->used[place] ? table->values[place] : 0;
        }
        u64 generated(u8 *context)
        {
            u64 r7 = 0, spill, *value;
            u32 key, number;

        """;

    /// <summary>A program of about so many instructions.</summary>
    public static ProgramSpec Of(int instructions)
    {
        var text = new StringBuilder("r6 = r1\nr7 = 0\n");
        foreach (var block in Blocks(instructions))
            text.AppendFormat(System.Globalization.CultureInfo.InvariantCulture, s_blocks[block % s_blocks.Length], block).Append('\n');
        text.Append("r0 = r7\nexit\n");
        var code = Assembler.Assemble(text.ToString(), [s_map]);
        return new() { Name = "generated", Type = Wide, Instructions = code, Maps = [s_map] };
    }

    /// <summary>What that program does, in C: a function <c>generated</c>, and <c>generated_end</c> behind it.</summary>
    public static string InC(int instructions)
    {
        var text = new StringBuilder(NativeStart);
        foreach (var block in Blocks(instructions)) text.Append(s_nativeBlocks[block % s_blocks.Length]).Append('\n');
        return text.Append("    return r7;\n}\nvoid generated_end(void)\n{\n}\n").ToString();
    }

    private static IEnumerable<int> Blocks(int instructions)
    {
        for (int block = 0, length = 4; length < instructions; block++)
        {
            yield return block;
            length += (block % s_blocks.Length) switch { 0 => 11, 1 => 14, _ => 7 };
        }
    }

    // 64 bytes of context memory.
    private static ProgramType Wide { get; } = ProgramTypes.Raw with
    {
        Name = "generated",
        PassesLength = false,
        Context = new() { StructName = "generated", Size = 64, HostSize = 64, Fields = [new("memory", 0, 64, ContextFieldKind.FlatMemory, FieldAccess.ReadWrite)] },
    };
}
