using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Verified programs that reach stack slots in every way there is, and numbers whose upper halves come and go: the same on each
/// engine, with each optimisation alone, wherever functions are cut into regions.</summary>
public sealed class StackPointerTests
{
    private const int ContextBytes = 64;

    private static readonly MapSpec[] s_maps =
    [
        new() { Name = "cells", Type = MapType.Array, KeySize = 4, ValueSize = 16, MaxEntries = 4 },
        new() { Name = "table", Type = MapType.Hash, KeySize = 8, ValueSize = 8, MaxEntries = 8 },
    ];

    private static readonly (string Name, string Text)[] s_programs =
    [
        ("parts of a slot", """
            r2 = *(u64 *)(r1 + 0)
            *(u64 *)(r10 - 8) = r2
            *(u32 *)(r10 - 8) = 7
            *(u8 *)(r10 - 1) = 255
            *(u16 *)(r10 - 14) = r2
            *(u16 *)(r10 - 16) = r2
            r3 = *(s16 *)(r10 - 14)
            r0 = *(u64 *)(r10 - 8)
            r0 += r3
            r3 = *(s8 *)(r10 - 1)
            r0 += r3
            r3 = *(s32 *)(r10 - 4)
            r0 ^= r3
            exit
            """),
        ("a helper reads and writes what was a local", """
            r6 = r1
            r2 = *(u64 *)(r1 + 0)
            r2 &= 3
            *(u64 *)(r10 - 8) = r2
            *(u64 *)(r10 - 16) = 11
            *(u64 *)(r10 - 24) = 5
            r1 = table ll
            r2 = r10
            r2 += -8
            r3 = r10
            r3 += -16
            r4 = 0
            call bpf_map_update_elem
            r1 = table ll
            r2 = r10
            r2 += -8
            call bpf_map_lookup_elem
            r7 = *(u64 *)(r10 - 24)
            if r0 == 0 goto out
            r1 = *(u64 *)(r0 + 0)
            r1 += 1
            *(u64 *)(r0 + 0) = r1
            r2 = *(u64 *)(r10 - 16)
            r7 += r1
            r7 += r2
            out: r0 = r7
            exit
            """),
        ("a function writes its caller's slot", """
            r6 = r1
            r2 = *(u64 *)(r1 + 0)
            *(u64 *)(r10 - 8) = r2
            *(u64 *)(r10 - 16) = 3
            r1 = r10
            r1 += -8
            call add
            r2 = *(u64 *)(r10 - 8)
            r3 = *(u64 *)(r10 - 16)
            r0 += r2
            r0 *= r3
            exit
            add: *(u64 *)(r10 - 8) = 100
            r2 = *(u64 *)(r1 + 0)
            r3 = *(u64 *)(r10 - 8)
            r2 += r3
            *(u64 *)(r1 + 0) = r2
            *(u64 *)(r1 - 8) = 9
            r0 = *(u64 *)(r10 - 8)
            exit
            """),
        ("a callback adds to its caller's slot", """
            r6 = r1
            *(u64 *)(r10 - 8) = 1
            *(u64 *)(r10 - 16) = 2
            r1 = 5
            r2 = code_addr(round) ll
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_loop
            r1 = *(u64 *)(r10 - 8)
            r2 = *(u64 *)(r10 - 16)
            r0 += r1
            r0 += r2
            exit
            round: *(u64 *)(r10 - 8) = r1
            r3 = *(u64 *)(r2 + 0)
            r3 += r1
            r4 = *(u64 *)(r10 - 8)
            r3 += r4
            *(u64 *)(r2 + 0) = r3
            r0 = 0
            exit
            """),
        ("a place that depends on the context", """
            *(u64 *)(r10 - 8) = 0x11
            *(u64 *)(r10 - 16) = 0x22
            *(u64 *)(r10 - 24) = 0x33
            *(u64 *)(r10 - 32) = 0x44
            r2 = *(u8 *)(r1 + 0)
            r2 &= 8
            r3 = r10
            r3 += -24
            r3 += r2
            r4 = *(u64 *)(r3 + 0)
            *(u64 *)(r3 + 0) = 0x55
            r0 = *(u64 *)(r10 - 8)
            r0 <<= 8
            r5 = *(u64 *)(r10 - 16)
            r0 |= r5
            r0 <<= 8
            r5 = *(u64 *)(r10 - 24)
            r0 |= r5
            r0 <<= 8
            r5 = *(u64 *)(r10 - 32)
            r0 |= r5
            r0 <<= 8
            r0 |= r4
            exit
            """),
        ("one of two slots by the same register", """
            r2 = *(u64 *)(r1 + 0)
            *(u64 *)(r10 - 8) = 1
            *(u64 *)(r10 - 16) = 2
            *(u64 *)(r10 - 24) = 3
            r3 = r10
            r3 += -8
            if r2 > 5 goto other
            r3 = r10
            r3 += -16
            other: *(u64 *)(r3 + 0) = r2
            r0 = *(u64 *)(r10 - 8)
            r4 = *(u64 *)(r10 - 16)
            r0 += r4
            r4 = *(u64 *)(r10 - 24)
            r0 += r4
            exit
            """),
        ("atomics", """
            r2 = *(u64 *)(r1 + 0)
            *(u64 *)(r10 - 8) = r2
            *(u64 *)(r10 - 16) = 6
            r3 = 10
            lock *(u64 *)(r10 - 8) += r3
            r0 = r2
            r0 += 10
            r4 = 77
            r0 = cmpxchg_64(r10 - 8, r0, r4)
            r5 = *(u64 *)(r10 - 8)
            r0 += r5
            r5 = *(u64 *)(r10 - 16)
            r0 += r5
            exit
            """),
        ("pointers in slots", """
            r6 = r1
            *(u64 *)(r10 - 8) = r1
            r7 = 3
            *(u32 *)(r10 - 12) = r7
            r1 = cells ll
            r2 = r10
            r2 += -12
            call bpf_map_lookup_elem
            if r0 == 0 goto none
            *(u64 *)(r10 - 24) = r0
            r7 = 0
            r8 = 0
            again: r1 = *(u64 *)(r10 - 24)
            r2 = *(u64 *)(r10 - 8)
            r3 = *(u64 *)(r2 + 8)
            *(u64 *)(r1 + 8) = r3
            r8 += r3
            r7 += 1
            if r7 != 4 goto again
            r1 = *(u64 *)(r10 - 24)
            r0 = *(u64 *)(r1 + 8)
            r0 += r8
            exit
            none: r0 = 1
            exit
            """),
        ("upper halves that come later", """
            r2 = *(u32 *)(r1 + 0)
            r3 = *(u32 *)(r1 + 4)
            r0 = 0
            r4 = 0
            again: if r2 s> r3 goto less
            r0 += 1
            less: if r2 & 0x40000000 goto skip
            r0 += 16
            skip: r2 += r2
            r5 = r2
            r5 &= 0x7fffffff
            r0 ^= r5
            r4 += 1
            if r4 < 5 goto again
            r2 >>= 33
            r0 += r2
            exit
            """),
        ("sign extension after 32 bits", """
            r2 = *(u64 *)(r1 + 0)
            r3 = *(u64 *)(r1 + 8)
            w4 = w2
            w4 <<= w3
            r5 = (s32)r4
            r0 = r5
            w4 s>>= 31
            r0 += r4
            w5 = (s8)w2
            r0 ^= r5
            r5 = (s16)r3
            r0 += r5
            r4 = r2
            r4 = bswap32 r4
            if r4 s< 0 goto never
            if w4 s< 0 goto low
            r0 += 3
            low: r4 = r3
            r4 = bswap16 r4
            r0 += r4
            if r0 & -2147483648 goto end
            r0 += 1
            end: if w0 & -2147483648 goto never
            r0 += 5
            never: exit
            """),
        ("a mask, a move and its reader", """
            r2 = *(u64 *)(r1 + 0)
            r3 = r2
            r3 &= 0x7fffffff
            r4 = r3
            r4 += r2
            r5 = r4
            w5 = w5
            if r5 == r3 goto same
            r3 = 0
            same: r0 = r3
            r0 += r5
            r2 = r4
            r2 >>= 40
            if r2 >= r5 goto end
            r0 += 7
            end: exit
            """),
    ];

    public static TheoryData<string> Names => [.. s_programs.Select(program => program.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void TheEnginesAgree(string name)
    {
        var spec = new ProgramSpec { Name = "test", Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(s_programs.First(program => program.Name == name).Text, s_maps), Maps = [.. s_maps] };
        var verified = Verifier.ProgramVerifier.VerifyOrThrow(spec, new() { ContextSize = ContextBytes });
        var expected = Checked(spec);
        Assert.Equal(expected, Run(verified, CompilerOptions.Default with { Mode = CompilationMode.InterpreterOnly }));
        foreach (var (variant, options) in OptimisationTests.Variants)
        {
            foreach (var region in (int[])[options.RegionInstructions, 1])
                Assert.True(expected == Run(verified, options with { RegionInstructions = region }), $"{variant}, regions of {region}");
        }
    }

    // Numbers at the borders of 8, 16, 32 and 64 bits.
    private static byte[] Input(int seed)
    {
        ulong[] numbers = [0, 1, 0x7f, 0x80, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, ulong.MaxValue];
        var context = new byte[ContextBytes];
        for (var at = 0; at < ContextBytes; at += 8) BitConverter.TryWriteBytes(context.AsSpan(at), numbers[(seed + at / 8 * 5) % numbers.Length]);
        return context;
    }

    private static string Checked(ProgramSpec spec)
    {
        using var maps = MapSet.Create(s_maps);
        using var interpreter = new CheckedInterpreter(spec, maps);
        return States(maps, context =>
        {
            var result = interpreter.Run(context);
            Assert.Null(result.Fault);
            return result.Result;
        });
    }

    private static string Run(VerifiedProgram program, CompilerOptions options)
    {
        using var maps = MapSet.Create(s_maps);
        using var compiled = ProgramCompiler.Compile(program, maps, options);
        return States(maps, context => compiled.Run(context));
    }

    // One run after the other on the same maps.
    private static string States(MapSet maps, Func<byte[], ulong> run)
    {
        var states = new StringBuilder();
        for (var seed = 0; seed < 12; seed++)
        {
            var context = Input(seed);
            states.AppendLine(State(run(context), context, maps));
        }
        return states.ToString();
    }

    private static string State(ulong result, byte[] context, MapSet maps)
    {
        var values = new List<string>();
        foreach (var map in maps.All.Cast<KeyedMap>())
        {
            var cursor = default(MapCursor);
            var (key, value) = (new byte[map.Spec.KeySize], new byte[map.HostValueSize]);
            while (map.MoveNext(ref cursor, key, value)) values.Add($"{Convert.ToHexString(key)}={Convert.ToHexString(value)}");
        }
        return $"0x{result:x} {Convert.ToHexString(context)} {string.Join(' ', values.Order())}";
    }
}
