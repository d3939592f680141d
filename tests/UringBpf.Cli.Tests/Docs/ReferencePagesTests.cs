using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/helpers.md, docs/maps.md and docs/instructions.md are made from the tables that loader, verifier and engines
/// read: UPDATE_DOCS=1 in the environment writes them anew.</summary>
public sealed class ReferencePagesTests
{
    // What the tables do not say: limits are tried out below.
    private static readonly (MapType Type, string Keys, string Values, string Host, string Notes)[] s_maps =
    [
        (MapType.Array, "4 (an index)", "1 to 2^28", "`BpfArrayMap<T>`, `BpfGlobal<T>`", "Elements exist from the start and can't be deleted. Global data (`.data`, `.bss`, `.rodata`, `.kconfig`) is a one-element array named after its section."),
        (MapType.PerCpuArray, "4 (an index)", "1 to 2^28", "`BpfPerCpuMap<TKey, TValue>`", "One value for each execution slot; a program sees its own."),
        (MapType.Hash, "1 to 512", "1 to 2^28", "`BpfHashMap<TKey, TValue>`", "An update replaces the whole value with one store. Preallocated, with or without BPF_F_NO_PREALLOC."),
        (MapType.PerCpuHash, "1 to 512", "1 to 2^28", "`BpfPerCpuMap<TKey, TValue>`", "One value for each execution slot, zero until that slot writes it."),
        (MapType.LruHash, "1 to 512", "1 to 2^28", "`BpfHashMap<TKey, TValue>`", "When full, an update evicts an entry not looked up lately (second chance)."),
        (MapType.LruPerCpuHash, "1 to 512", "1 to 2^28", "`BpfPerCpuMap<TKey, TValue>`", "As both of these."),
        (MapType.LpmTrie, "5 to 260", "1 to 2^28", "`BpfHashMap<TKey, TValue>`", "A key is a 32-bit prefix length and up to 256 bytes; a lookup finds the longest stored prefix. Needs BPF_F_NO_PREALLOC."),
        (MapType.Queue, "none", "1 to 2^28", "`BpfQueueMap<T>`", "First in, first out."),
        (MapType.Stack, "none", "1 to 2^28", "`BpfQueueMap<T>`", "Last in, first out."),
        (MapType.BloomFilter, "none", "1 to 2^20", "`BloomFilterMap`", "`map_extra` is the number of hash functions, 1 to 15, 5 when 0."),
        (MapType.RingBuffer, "none", "none", "`RingBufferMap.ReadAllAsync`", "`max_entries` is its size in bytes: a power of two, at least a page. One consumer; it never blocks a program."),
        (MapType.ProgramArray, "4 (an index)", "4", "`ProgramArrayMap`", "Programs for tail calls; set by the host or by `.values`."),
        (MapType.ArrayOfMaps, "4 (an index)", "4", "`MapOfMaps`", "Its values are maps like the one declared in `.values`; a lookup gives a map. One level deep."),
        (MapType.HashOfMaps, "1 to 512", "4", "`MapOfMaps`", "As array_of_maps, by key."),
    ];

    public static TheoryData<string> Pages => ["helpers", "maps", "instructions"];

    [Theory]
    [MemberData(nameof(Pages))]
    public void The_page_says_what_the_tables_say(string page) =>
        GeneratedPage.Check($"docs/{page}.md", page switch { "helpers" => Helpers(), "maps" => Maps(), _ => Instructions() });

    [Fact]
    public void Every_function_has_a_summary_and_every_map_type_a_row()
    {
        Assert.Empty(PrototypeTable.BuiltIn.All.Where(function => function.Summary.Length == 0).Select(function => function.Name));
        Assert.Equal(Enum.GetValues<MapType>().Where(type => type != MapType.Unspecified).Order(), s_maps.Select(map => map.Type).Order());
    }

    [Fact]
    public void Sizes_are_what_the_page_says()
    {
        foreach (var (type, keys, values, _, _) in s_maps)
        {
            var (keyMin, keyMax) = Range(keys);
            var (valueMin, valueMax) = Range(values);
            // The largest values would need the memory.
            var valueFits = Math.Min(valueMax, 64);
            Created(type, keyMin, valueMin);
            Created(type, keyMax, valueFits);
            Refused(type, keyMin - 1, valueFits);
            Refused(type, keyMax + 1, valueFits);
            Refused(type, keyMin, valueMin - 1);
            Refused(type, keyMin, valueMax + 1);
        }

        static (int Min, int Max) Range(string text)
        {
            if (text == "none") return (0, 0);
            var words = text.Split(' ');
            var min = int.Parse(words[0], CultureInfo.InvariantCulture);
            if (words.ElementAtOrDefault(1) != "to") return (min, min);
            return (min, words[2].StartsWith("2^", StringComparison.Ordinal) ? 1 << int.Parse(words[2][2..], CultureInfo.InvariantCulture) : int.Parse(words[2], CultureInfo.InvariantCulture));
        }
    }

    private static MapSpec Spec(MapType type, int key, int value) => new()
    {
        Name = "m",
        Type = type,
        KeySize = key,
        ValueSize = value,
        MaxEntries = type == MapType.RingBuffer ? 4096 : 1,
        Flags = type == MapType.LpmTrie ? MapFlags.NoPreallocation : MapFlags.None,
        InnerMap = type is MapType.ArrayOfMaps or MapType.HashOfMaps ? Spec(MapType.Array, 4, 8) : null,
    };

    private static void Created(MapType type, int key, int value)
    {
        using var map = BpfMap.Create(Spec(type, key, value));
        Assert.Equal(type, map.Spec.Type);
    }

    private static void Refused(MapType type, int key, int value)
    {
        var error = Assert.Throws<BpfException>(() => BpfMap.Create(Spec(type, key, value)).Dispose());
        Assert.True(error.Code == "UB4102", $"{type}, key {key}, value {value}: {error.Message}");
    }

    private static string Helpers()
    {
        var text = new StringBuilder("""
            # Helpers and kfuncs

            Generated by a test from the prototypes that verifier and engines read. Helpers are called by number, kfuncs by symbol name
            (`extern … __ksym`). A host adds its own: [embedding](embedding.md).

            `size` is the length of the memory before it, at least 1 where no `0…` is shown; memory marked `in` must be initialised,
            `out` is filled by the function. `-errno` stands for -4095..-1.

            ## Helpers

            | number | prototype | does | maps |
            |---:|---|---|---|

            """);
        foreach (var function in HelperPrototypes.All.OrderBy(function => function.Id))
            text.Append($"| {function.Id} | `{Prototype(function)}` | {Cell(function.Summary)} | {string.Join(' ', function.MapTypes.Select(Names.Of))} |\n");
        text.Append("\n## Kfuncs\n\nFor completion hooks, except where the context is `any`. Without a ring those that need one return -EOPNOTSUPP.\n\n| number | prototype | context | does |\n|---:|---|---|---|\n");
        foreach (var function in KfuncPrototypes.All.OrderBy(function => function.Id))
            text.Append($"| {function.Id} | `{Prototype(function)}` | {(function.ContextStruct.Length > 0 ? $"`{function.ContextStruct}`" : "any")} | {Cell(function.Summary)} |\n");
        text.Append("\n## Refused\n\nHelpers of Linux that are known and refused, with the reason that the message gives (UB2301).\n\n| number | name | it |\n|---:|---|---|\n");
        for (var id = 0; id < 1000; id++)
        {
            if (RefusedHelpers.Find(id) is { } refused) text.Append($"| {id} | `{refused.Name}` | {Cell(refused.Reason)} |\n");
        }
        return text.ToString();
    }

    private static string Prototype(FunctionPrototype function) =>
        $"{Result(function)} {function.Name}({string.Join(", ", function.Arguments.Select(Describe))})";

    private static string Result(FunctionPrototype function) => function.Returns switch
    {
        ReturnKind.Void => "void",
        ReturnKind.MapValueOrNull => "value or NULL",
        ReturnKind.MemoryOrNull => "memory or NULL",
        ReturnKind.RecordOrNull => "record or NULL",
        ReturnKind.IteratorValueOrNull => "int * or NULL",
        _ when function is { ReturnMin: Limits.MinErrno, ReturnMax: 0 } => "0 or -errno",
        _ when function.ReturnMin == function.ReturnMax => function.ReturnMin.ToString(CultureInfo.InvariantCulture),
        _ => "number",
    };

    private static string Describe(Argument argument)
    {
        var what = argument.Kind switch
        {
            ArgumentKind.Scalar or ArgumentKind.Context or ArgumentKind.Map or ArgumentKind.Size or ArgumentKind.Anything => "",
            ArgumentKind.Constant or ArgumentKind.AllocationSize => "constant ",
            ArgumentKind.SizeOrZero => "0… ",
            ArgumentKind.MapKey or ArgumentKind.MapValue or ArgumentKind.ReadMemory or ArgumentKind.ConstantString => "in ",
            ArgumentKind.MapValueOut or ArgumentKind.WriteMemory => "out ",
            ArgumentKind.ReadWriteMemory => "in out ",
            ArgumentKind.Callback => "function ",
            ArgumentKind.Record => "record ",
            ArgumentKind.SpinLock => "lock ",
            ArgumentKind.CallbackContext => "stack ",
            _ => "iterator ",
        };
        return what + argument.Name + (argument.FixedSize > 0 ? $"[{argument.FixedSize}]" : "") + (argument.Nullable ? "?" : "");
    }

    private static string Maps()
    {
        var text = new StringBuilder("""
            # Maps

            Generated by a test; the sizes are tried out, the functions come from their prototypes. Sizes are in bytes. Map types and
            flags have Linux's numbers; declarations are libbpf's (`.maps`), or the five fields of the old `maps` section.

            | type | number | key | value | host side | |
            |---|---:|---|---|---|---|

            """);
        foreach (var (type, keys, values, host, notes) in s_maps)
            text.Append($"| {Names.Of(type)} | {(int)type} | {keys} | {values} | {host} | {Cell(notes)} |\n");
        text.Append("\n## What programs call\n\n| type | functions |\n|---|---|\n");
        foreach (var map in s_maps)
        {
            var functions = PrototypeTable.BuiltIn.All.Where(function => function.Arguments.Any(argument => argument.Kind == ArgumentKind.Map) && (function.MapTypes.IsEmpty || function.MapTypes.Contains(map.Type)));
            text.Append($"| {Names.Of(map.Type)} | {string.Join(' ', functions.Select(function => $"`{function.Name}`"))} |\n");
        }
        text.Append("""

            ## Rules for all

            - Memory is native, allocated when the map is created, and does not move. A pointer a program got stays valid until its
              run ends, whatever other threads do; an entry deleted meanwhile may hold another key by then.
            - Lookups take no lock. Every operation is safe from any number of threads, programs and hosts alike.
            - Values of up to 8 bytes are never seen torn, nor are hash values that a host copies out. For larger array values put a
              `struct bpf_spin_lock` into the value: programs take it, hosts pass `MapUpdateFlags.Lock`.
            - Update flags: BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK, with the kernel's results (-EEXIST, -ENOENT, -E2BIG …).
            - Map flags: BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are enforced by the verifier; BPF_F_MMAPABLE, BPF_F_NUMA_NODE and
              BPF_F_NO_COMMON_LRU are accepted and change nothing; BPF_F_ZERO_SEED gives up protection against chosen keys.
            - Execution slots are what this engine has in place of CPUs: twice the processors, at least 16. Two threads never run
              with the same one at once.
            - `pinning` in a definition is accepted for LIBBPF_PIN_NONE and LIBBPF_PIN_BY_NAME; maps live in the process, so nothing
              is pinned.

            """);
        return text.ToString();
    }

    private static string Instructions()
    {
        var text = new StringBuilder("""
            # Instructions

            Generated by a test from the table that decoder, assembler, verifier and engines read: RFC 9669 and what Linux and clang
            have beyond it (group `linux`). The text is what `uringbpf dump bpf` prints and `uringbpf asm` reads.

            Division by zero gives 0, modulo by zero leaves the destination; the lowest number by -1 gives itself, remainder 0. Shift
            counts are masked to the width. 32-bit operations clear the upper half. Atomics need aligned addresses.

            | opcode | selected by | text | group |
            |---|---|---|---|

            """);
        foreach (var row in OpcodeTable.Rows)
        {
            var first = row.Encode(
                row.Uses.HasFlag(OperandFields.Destination) ? 1 : 0, row.Uses.HasFlag(OperandFields.Source) ? 2 : 0,
                row.Uses.HasFlag(OperandFields.Offset) ? (short)4 : (short)0, row.Uses.HasFlag(OperandFields.Immediate) ? 7 : 0);
            var line = Disassembler.Format(first, new Instruction(0));
            // The same bytes, read back: the page shows nothing that the assembler would not take.
            Assert.Equal(first, Assembler.Assemble(line)[0]);
            var selector = row.Selector == RowSelector.None ? "" : $"{row.Selector.ToString().ToLowerInvariant()} {row.SelectorValue:#,0}".Replace(",", "");
            text.Append($"| 0x{row.Opcode:x2} | {selector} | `{Cell(line)}` | {row.Group.ToString().ToLowerInvariant()} |\n");
        }
        return text.ToString();
    }

    private static string Cell(string text) => text.Replace("|", "\\|");
}
