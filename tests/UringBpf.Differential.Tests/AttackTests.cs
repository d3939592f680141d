using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Fuzz;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>
/// Programs written to have an optimisation believe what is not so: each runs on every engine, with all optimisations, none,
/// each left out and each alone, and must leave the same result, context and maps.
/// </summary>
public sealed class AttackTests
{
    private const int ContextBytes = 64;

    // What each program's maps are, by name in its text.
    private static readonly MapSpec[] s_maps =
    [
        new() { Name = "one", Type = MapType.Array, KeySize = 4, ValueSize = 128, MaxEntries = 1 },
        new() { Name = "two", Type = MapType.Array, KeySize = 4, ValueSize = 128, MaxEntries = 1 },
        new() { Name = "many", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 6 },
        new() { Name = "outer", Type = MapType.ArrayOfMaps, KeySize = 4, ValueSize = 4, MaxEntries = 2, InnerMap = new() { Name = "inner", Type = MapType.Array, KeySize = 4, ValueSize = 128, MaxEntries = 1 } },
    ];

    private const string Copy = """
        r0 = *(u64 *)(r1 + 0)
        *(u64 *)(r2 + 0) = r0
        r0 = *(u64 *)(r1 + 8)
        *(u64 *)(r2 + 8) = r0
        r0 = *(u64 *)(r1 + 16)
        *(u64 *)(r2 + 16) = r0
        r0 = *(u64 *)(r1 + 24)
        *(u64 *)(r2 + 24) = r0
        r0 = *(u64 *)(r1 + 32)
        *(u64 *)(r2 + 32) = r0
        r0 = 0
        exit
        """;

    private static readonly Dictionary<string, string> s_programs = new()
    {
        ["copy between maps of which one is known on one path only"] = $"""
            r6 = *(u8 *)(r1 + 0)
            r1 = map_val(one) + 0 ll
            r2 = map_val(two) + 8 ll
            if r6 == 0 goto go
            r1 = map_val(two) + 0 ll
            go: r3 = 7
            {Copy}
            """,
        ["copy between an inner map and the map it is"] = $"""
            *(u32 *)(r10 - 4) = 0
            r1 = outer ll
            r2 = r10
            r2 += -4
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r1 = r0
            r2 = r10
            r2 += -4
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r1 = r0
            r2 = map_val(one) + 8 ll
            {Copy}
            out: r0 = 0
            exit
            """,

        // The stack, reached in other ways than by r10 and a constant.
        ["slots written by a callback, below and above the pointer it got"] = """
            r6 = *(u8 *)(r1 + 1)
            *(u64 *)(r10 - 8) = 1
            *(u64 *)(r10 - 16) = 2
            *(u64 *)(r10 - 24) = 3
            r1 = 3
            r2 = code_addr(body) ll
            r3 = r10
            r3 += -16
            r4 = 0
            call bpf_loop
            r0 = *(u64 *)(r10 - 8)
            r0 <<= 8
            r1 = *(u64 *)(r10 - 16)
            r0 ^= r1
            r0 <<= 8
            r1 = *(u64 *)(r10 - 24)
            r0 ^= r1
            r0 += r6
            exit
            body: r3 = *(u64 *)(r2 - 8)
            r3 += r1
            *(u64 *)(r2 - 8) = r3
            r4 = *(u32 *)(r2 + 8)
            r4 += 5
            *(u32 *)(r2 + 8) = r4
            *(u8 *)(r2 + 1) = r1
            r0 = 0
            exit
            """,
        ["slots written by a function that keeps its own in locals"] = """
            r6 = *(u64 *)(r1 + 8)
            *(u64 *)(r10 - 8) = r6
            *(u64 *)(r10 - 16) = 7
            r1 = r10
            r1 += -8
            r2 = r6
            call change
            r7 = r0
            r1 = r10
            r1 += -16
            r2 = 9
            call change
            r0 += r7
            r1 = *(u64 *)(r10 - 8)
            r0 ^= r1
            r1 = *(u64 *)(r10 - 16)
            r0 += r1
            exit
            change: *(u64 *)(r10 - 8) = r2
            r3 = *(u64 *)(r1 + 0)
            *(u64 *)(r10 - 16) = r3
            r2 += 1
            *(u64 *)(r1 + 0) = r2
            r0 = *(u64 *)(r10 - 8)
            r3 = *(u64 *)(r10 - 16)
            r0 ^= r3
            exit
            """,
        ["slots at a variable offset beside slots in locals"] = """
            r6 = *(u8 *)(r1 + 2)
            r6 &= 15
            *(u64 *)(r10 - 8) = 11
            *(u64 *)(r10 - 16) = 22
            *(u64 *)(r10 - 24) = 33
            *(u64 *)(r10 - 32) = 44
            r2 = r10
            r2 += -24
            r2 += r6
            *(u8 *)(r2 + 0) = 99
            r0 = *(u64 *)(r10 - 8)
            r1 = *(u64 *)(r10 - 16)
            r0 ^= r1
            r0 <<= 4
            r1 = *(u64 *)(r10 - 24)
            r0 ^= r1
            r1 = *(u64 *)(r10 - 32)
            r0 += r1
            exit
            """,
        ["a slot that a helper fills, one it reads, and one it leaves alone"] = """
            r6 = r1
            *(u64 *)(r10 - 8) = 5
            *(u64 *)(r10 - 16) = 6
            *(u8 *)(r10 - 24) = 52
            *(u8 *)(r10 - 23) = 50
            *(u64 *)(r10 - 40) = 17
            r1 = r10
            r1 += -24
            r2 = 2
            r3 = 10
            r4 = r10
            r4 += -16
            call bpf_strtol
            r1 = *(u64 *)(r10 - 16)
            r0 += r1
            r1 = *(u64 *)(r10 - 8)
            r0 ^= r1
            r1 = *(u64 *)(r10 - 40)
            r0 += r1
            exit
            """,
        ["the number of an iterator, whose place is a slot"] = """
            r6 = r1
            r7 = 0
            *(u64 *)(r10 - 8) = 3
            r1 = r10
            r1 += -16
            r2 = 2
            r3 = 9
            call bpf_iter_num_new
            next: r1 = r10
            r1 += -16
            call bpf_iter_num_next
            if r0 == 0 goto done
            r1 = *(s32 *)(r0 + 0)
            r7 += r1
            r7 *= 3
            r1 = *(u64 *)(r10 - 8)
            r1 += 1
            *(u64 *)(r10 - 8) = r1
            goto next
            done: r1 = r10
            r1 += -16
            call bpf_iter_num_destroy
            r0 = *(u64 *)(r10 - 8)
            r0 += r7
            exit
            """,
        ["pointers to two frames in one register"] = """
            r6 = *(u8 *)(r1 + 0)
            *(u64 *)(r10 - 8) = 1
            r1 = r10
            r1 += -8
            r2 = r6
            call f
            r1 = *(u64 *)(r10 - 8)
            r0 <<= 8
            r0 += r1
            exit
            f: *(u64 *)(r10 - 8) = 40
            r3 = r10
            r3 += -8
            if r2 == 0 goto own
            r3 = r1
            own: r4 = *(u64 *)(r3 + 0)
            r4 += 2
            *(u64 *)(r3 + 0) = r4
            r0 = *(u64 *)(r10 - 8)
            exit
            """,
        ["part of a slot, and a slot in parts"] = """
            r6 = *(u64 *)(r1 + 16)
            *(u64 *)(r10 - 8) = r6
            *(u16 *)(r10 - 6) = 7
            *(u32 *)(r10 - 16) = r6
            *(u32 *)(r10 - 12) = 77
            r0 = *(u64 *)(r10 - 8)
            r1 = *(u64 *)(r10 - 16)
            r0 ^= r1
            r1 = *(s16 *)(r10 - 8)
            r0 += r1
            r1 = 3
            lock *(u64 *)(r10 - 8) += r1
            r1 = *(u64 *)(r10 - 8)
            r0 ^= r1
            exit
            """,

        // Facts that hold on one way only.
        ["a divisor that is zero in one call of two"] = """
            r6 = r1
            r7 = *(u64 *)(r6 + 8)
            r1 = r7
            r2 = 3
            call divide
            r8 = r0
            r1 = r7
            r2 = *(u8 *)(r6 + 0)
            call divide
            r0 += r8
            exit
            divide: r0 = r1
            r0 /= r2
            r1 s%= r2
            r0 ^= r1
            exit
            """,
        ["the least number divided by -1 in one call of two"] = """
            r6 = r1
            r7 = *(u8 *)(r6 + 0)
            r1 = 100
            r2 = -1
            call divide
            r8 = r0
            r1 = 0x8000000000000000 ll
            r2 = r7
            r2 += -1
            call divide
            r0 ^= r8
            exit
            divide: r0 = r1
            r0 s/= r2
            r3 = r1
            r3 s%= r2
            r0 += r3
            w1 = w1
            w1 s/= w2
            r0 += r1
            exit
            """,
        ["a branch that one call of two takes"] = """
            r6 = *(u8 *)(r1 + 0)
            r1 = 5
            call choose
            r7 = r0
            r1 = r6
            call choose
            r0 += r7
            exit
            choose: r0 = 1
            if r1 > 3 goto big
            r0 = 2
            r1 <<= 3
            big: r0 += r1
            exit
            """,
        ["a condition tested three times, its opposite between"] = """
            r6 = *(u64 *)(r1 + 8)
            r7 = *(u64 *)(r1 + 16)
            r0 = 0
            if r6 s> r7 goto a
            r0 += 1
            a: r0 <<= 1
            if r6 s<= r7 goto b
            r0 += 3
            b: r0 <<= 1
            if r6 s> r7 goto c
            r6 = 0
            c: r0 += r6
            if r6 s> r7 goto d
            r0 += 5
            d: exit
            """,
        ["a key that is known on one way"] = """
            r6 = *(u8 *)(r1 + 0)
            *(u32 *)(r10 - 4) = 2
            *(u32 *)(r10 - 8) = 1
            if r6 == 0 goto go
            r7 = *(u8 *)(r1 + 3)
            r7 &= 7
            *(u32 *)(r10 - 4) = r7
            go: r1 = many ll
            r2 = r10
            r2 += -4
            call bpf_map_lookup_elem
            if r0 == 0 goto none
            r0 = *(u64 *)(r0 + 0)
            none: r1 = *(u32 *)(r10 - 8)
            r0 += r1
            r1 = *(u32 *)(r10 - 4)
            r0 ^= r1
            exit
            """,
        ["a map that depends on the way, and a key that does"] = """
            r6 = *(u8 *)(r1 + 0)
            *(u32 *)(r10 - 4) = 0
            *(u32 *)(r10 - 8) = 3
            r1 = many ll
            r2 = r10
            r2 += -8
            if r6 == 0 goto go
            r1 = two ll
            r2 = r10
            r2 += -4
            go: call bpf_map_lookup_elem
            if r0 == 0 goto out
            r0 = *(u64 *)(r0 + 0)
            out: exit
            """,
        ["an update that a load before it and one after it look at"] = """
            *(u32 *)(r10 - 4) = 1
            r6 = *(u64 *)(r1 + 8)
            *(u64 *)(r10 - 16) = r6
            r1 = many ll
            r2 = r10
            r2 += -4
            call bpf_map_lookup_elem
            if r0 == 0 goto out
            r7 = r0
            r8 = *(u64 *)(r7 + 0)
            r1 = many ll
            r2 = r10
            r2 += -4
            r3 = r10
            r3 += -16
            r4 = 0
            call bpf_map_update_elem
            r0 = *(u64 *)(r7 + 0)
            r0 -= r8
            out: exit
            """,

        // Loops on vectors, over memory that overlaps in ways known only when they run.
        ["a copy from where the target may lie"] = """
            r6 = *(u8 *)(r1 + 0)
            r7 = *(u8 *)(r1 + 4)
            r7 &= 31
            r2 = map_val(one) + 0 ll
            r3 = map_val(one) + 16 ll
            r2 += r7
            if r6 == 0 goto go
            r4 = r2
            r2 = r3
            r3 = r4
            go: r4 = 0
            next: r5 = r2
            r5 += r4
            r0 = *(u8 *)(r5 + 0)
            r5 = r3
            r5 += r4
            *(u8 *)(r5 + 0) = r0
            r4 += 1
            if r4 != 60 goto next
            r0 = 0
            exit
            """,
        ["a sum over what another register points to as well"] = """
            r7 = *(u8 *)(r1 + 4)
            r7 &= 31
            r2 = map_val(one) + 0 ll
            r3 = r2
            r3 += r7
            r0 = 0
            r4 = 0
            next: r5 = *(u16 *)(r2 + 0)
            r0 += r5
            r2 += 2
            r4 += 2
            if r4 < 60 goto next
            r5 = *(u64 *)(r3 + 0)
            r0 ^= r5
            r5 = *(u64 *)(r2 + 0)
            r0 += r5
            exit
            """,
        ["a fill with the number that is counted"] = """
            r2 = map_val(one) + 0 ll
            r4 = *(u8 *)(r1 + 5)
            r5 = 0
            next: *(u8 *)(r2 + 0) = r5
            r2 += 1
            r5 += 1
            if r5 != 100 goto next
            r2 = map_val(two) + 0 ll
            r5 = 0
            again: *(u32 *)(r2 + 0) = r4
            r2 += 4
            r5 += 1
            if r5 < 30 goto again
            r0 = r5
            exit
            """,
        ["stores of zero around slots in locals"] = """
            *(u64 *)(r10 - 8) = 9
            *(u64 *)(r10 - 48) = 0
            *(u64 *)(r10 - 40) = 0
            *(u64 *)(r10 - 32) = 0
            *(u64 *)(r10 - 24) = 0
            *(u64 *)(r10 - 16) = 0
            r6 = *(u8 *)(r1 + 2)
            r6 &= 31
            r2 = r10
            r2 += -48
            r2 += r6
            *(u8 *)(r2 + 0) = 5
            r0 = *(u64 *)(r10 - 8)
            r1 = *(u64 *)(r10 - 16)
            r0 += r1
            r1 = *(u64 *)(r10 - 24)
            r0 += r1
            r1 = *(u64 *)(r10 - 32)
            r0 ^= r1
            exit
            """,
        ["a copy within the stack that overlaps by one word"] = """
            r6 = *(u64 *)(r1 + 8)
            *(u64 *)(r10 - 48) = r6
            *(u64 *)(r10 - 40) = 2
            *(u64 *)(r10 - 32) = 3
            *(u64 *)(r10 - 24) = 4
            *(u64 *)(r10 - 16) = 5
            *(u64 *)(r10 - 8) = 6
            r1 = r10
            r1 += -48
            r2 = r10
            r2 += -40
            r0 = *(u64 *)(r1 + 0)
            *(u64 *)(r2 + 0) = r0
            r0 = *(u64 *)(r1 + 8)
            *(u64 *)(r2 + 8) = r0
            r0 = *(u64 *)(r1 + 16)
            *(u64 *)(r2 + 16) = r0
            r0 = *(u64 *)(r1 + 24)
            *(u64 *)(r2 + 24) = r0
            r0 = *(u64 *)(r10 - 8)
            r3 = *(u64 *)(r10 - 16)
            r0 ^= r3
            exit
            """,
        ["every entry of a map, changed by the callback that visits them"] = """
            *(u64 *)(r10 - 8) = 0
            r1 = many ll
            r2 = code_addr(body) ll
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_for_each_map_elem
            r1 = *(u64 *)(r10 - 8)
            r0 ^= r1
            exit
            body: r6 = r3
            r7 = r4
            r8 = *(u32 *)(r2 + 0)
            r8 += 1
            r8 &= 7
            *(u32 *)(r10 - 4) = r8
            *(u64 *)(r10 - 16) = 13
            r1 = many ll
            r2 = r10
            r2 += -4
            r3 = r10
            r3 += -16
            r4 = 0
            call bpf_map_update_elem
            r1 = *(u64 *)(r6 + 0)
            r2 = *(u64 *)(r7 + 0)
            r2 += r1
            *(u64 *)(r7 + 0) = r2
            r0 = 0
            exit
            """,
    };

    public static TheoryData<string> Programs => [.. s_programs.Keys];

    [Theory, MemberData(nameof(Programs))]
    public void Engines_agree(string name)
    {
        var text = s_programs[name];
        var code = Assembler.Assemble(text, s_maps);
        var spec = new ProgramSpec { Name = "attack", Type = ProgramTypes.Raw, Instructions = code, OwnInstructions = code.Length, Maps = [.. s_maps] };
        var verified = ProgramVerifier.VerifyOrThrow(spec, new VerifierOptions { ContextSize = ContextBytes });
        for (var input = 0; input < 8; input++)
        {
            var expected = Run(input, maps => (context => new CheckedInterpreter(spec, maps).Run(context) is { Fault: null } run ? run.Result : throw new InvalidOperationException("fault"), null));
            Assert.Equal(expected, Run(input, maps => Ran(InterpretedProgram.Create(verified, maps))));
            foreach (var options in Variants) Assert.True(expected == Run(input, maps => Ran(ProgramCompiler.Compile(verified, maps, options))), $"input {input}: {options}");
        }
    }

    private static IEnumerable<CompilerOptions> Variants =>
    [
        CompilerOptions.Default, CompilerOptions.Straight, CompilerOptions.Default with { RegionInstructions = 16 },
        .. EngineCheck.Optimisations.Select(one => EngineCheck.Without(CompilerOptions.Default, [one])),
    ];

    private static (Func<byte[], ulong>, IDisposable?) Ran(BpfProgram program) => (context => program.Run(context), program);

    // r0, context and maps after a run on new maps.
    private static string Run(int input, Func<MapSet, (Func<byte[], ulong> Run, IDisposable? Program)> make)
    {
        using var maps = MapSet.Create(s_maps);
        var random = new Random(input);
        foreach (var map in maps.All.OfType<KeyedMap>())
        {
            var value = new byte[map.HostValueSize];
            for (var key = 0; key < map.Spec.MaxEntries; key++)
            {
                random.NextBytes(value);
                map.Update(BitConverter.GetBytes(key), value);
            }
        }
        ((MapOfMaps)maps["outer"]).Set(0, maps["one"]);
        var context = new byte[ContextBytes];
        random.NextBytes(context);
        context[0] = (byte)(input & 1);
        var (run, program) = make(maps);
        var result = run(context);
        program?.Dispose();
        var text = $"{result:x} {Convert.ToHexString(context)}";
        foreach (var map in maps.All.OfType<KeyedMap>().OrderBy(map => map.Name, StringComparer.Ordinal))
        {
            var value = new byte[map.HostValueSize];
            for (var key = 0; key < map.Spec.MaxEntries; key++)
            {
                if (map.TryGet(BitConverter.GetBytes(key), value)) text += $" {map.Name}[{key}]={Convert.ToHexString(value)}";
            }
        }
        return text;
    }
}
