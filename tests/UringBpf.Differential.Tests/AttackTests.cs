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
