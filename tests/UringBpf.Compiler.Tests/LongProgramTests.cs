using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>
/// However long a program is and whatever it is made of, RyuJIT optimises each of its methods: none is beyond the sizes at
/// which it gives up. The runtime's own events say so.
/// </summary>
public sealed class LongProgramTests
{
    /// <summary>Programs of one kind of instruction, over and over.</summary>
    public static TheoryData<string> Kinds => new(s_kinds.Keys);

    private static readonly Dictionary<string, Func<int, Instruction[]>> s_kinds = new()
    {
        ["additions"] = i => [i % 7 == 0 ? new(0x0f, 0, 1) : new(0x07, 0, immediate: i)],
        // A local for each of them.
        ["moves"] = i => [new(0xbf, i % 6, (i + 1) % 6)],
        ["constants"] = i => [new(0x18, i % 6, immediate: i), new(0, immediate: i)],
        ["32-bit arithmetic"] = i => [new(0x2c, i % 6, (i + 1) % 6), new(0x1c, (i + 2) % 6, i % 6)],
        ["divisions"] = i => [new(i % 2 == 0 ? (byte)0x3f : (byte)0x9f, i % 6, (i + 1) % 6, (short)(i % 4 / 2))],
        ["byte swaps"] = i => [new(0xdc, i % 6, immediate: 16 << i % 3), new(0xd7, i % 6, immediate: 64)],
        ["sign extensions"] = i => [new(0xbf, i % 6, (i + 1) % 6, (short)(8 << i % 3))],
        ["loads"] = i => [new(0x61, i % 6, 6, (short)(i % 16 * 4))],
        ["stores"] = i => [new(0x7b, 6, i % 6, (short)(i % 8 * 8))],
        ["stack slots"] = i => [new(0x7b, 10, i % 6, (short)-(i % 60 * 8 + 8)), new(0x79, (i + 1) % 6, 10, (short)-(i % 60 * 8 + 8))],
        ["atomics"] = i => [new(0xdb, 6, i % 6, 8, new[] { 0x00, 0x01, 0x51, 0xa1, 0xe1 }[i % 5])],
        ["compare and exchange"] = _ => [new(0xdb, 6, 1, 8, 0xf1)],
        ["jumps"] = i => [new(0x1d, i % 6, (i + 1) % 6, 1), new(0x0f, i % 6, (i + 2) % 6)],
        ["jumps without a way around"] = i => [new(0x25, i % 6, 0, 1, i), new(0x7b, 6, i % 6)],
        ["loops"] = i => [new(0xb7, 7, immediate: 3), new(0x07, 0, immediate: i), new(0x17, 7, immediate: 1), new(0x55, 7, 0, -3)],
        ["may_goto"] = i => [new(0xe5, offset: 1), new(0x07, i % 6, immediate: 1)],
        ["helper calls"] = _ => [new(0x85, immediate: 5)],
        ["calls with arguments"] = _ => [.. Enumerable.Range(1, 5).Select(register => new Instruction(0xb7, register)), new(0x85, immediate: 28)],
        ["calls by register"] = _ => [.. Enumerable.Range(1, 5).Select(register => new Instruction(0xb7, register)), new(0x8d, 0)],
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void EachMethodIsOptimised(string kind)
    {
        using var listener = new MethodCodeListener();
        // One method at most, and some.
        Check(1_400, Termination.Proved, CompilerOptions.Default);
        Check(3_000, Termination.Proved, CompilerOptions.Default);
        Check(1_400, Termination.Metered, CompilerOptions.Straight);
        Check(3_000, Termination.Metered, CompilerOptions.Default with { RecordSites = true });

        void Check(int length, Termination termination, CompilerOptions options)
        {
            var code = new List<Instruction> { new(0xbf, 6, 1) };
            for (var register = 0; register < 6; register++) code.Add(new(0x79, register, 6, (short)(register * 8)));
            for (var i = 0; code.Count < length; i++) code.AddRange(s_kinds[kind](i));
            code.AddRange([new(0xb7, 0), new(0x95)]);
            var program = TestPrograms.Trusted([.. code], NumbersOfHelpers, termination: termination);
            LongProgramTests.Check(listener, program, options, $"{kind}, {termination}, {length}");
        }

        // A call by register may be one of a few.
        static void NumbersOfHelpers(InstructionFacts[] facts)
        {
            for (var i = 0; i < facts.Length; i++) (facts[i].DestinationMin, facts[i].DestinationMax) = (5, 15);
        }
    }

    [Fact]
    public void EachMethodOfRandomProgramsIsOptimised()
    {
        using var listener = new MethodCodeListener();
        for (var seed = 0; seed < 2; seed++)
        {
            var program = new RandomPrograms(seed).Make(5_000, seed % 2 == 0 ? Termination.Proved : Termination.Metered);
            Check(listener, program, CompilerOptions.Default, $"seed {seed}");
            Check(listener, program, CompilerOptions.Default with { RegionInstructions = 4_000 }, $"seed {seed}, the longest regions");
        }
    }

    [Fact]
    public void AMethodThatIsTooLongIsSeen()
    {
        // What the other tests look for is there to be found: the same additions in one method.
        using var listener = new MethodCodeListener();
        var method = new System.Reflection.Emit.DynamicMethod("long", typeof(ulong), [typeof(nint), typeof(ulong)], typeof(CompiledProgram).Module);
        var il = method.GetILGenerator();
        il.Emit(System.Reflection.Emit.OpCodes.Ldarg_1);
        for (var i = 0; i < 15_000; i++)
        {
            il.Emit(System.Reflection.Emit.OpCodes.Ldarg_1);
            il.Emit(System.Reflection.Emit.OpCodes.Add);
        }
        il.Emit(System.Reflection.Emit.OpCodes.Ret);
        Assert.Equal(15_001ul, method.CreateDelegate<Func<nint, ulong, ulong>>()(0, 1));
        Assert.True(listener.Find(method) is { FullyOptimized: false });
    }

    private static void Check(MethodCodeListener listener, VerifiedProgram program, CompilerOptions options, string what)
    {
        // The runtime drops events when listeners come and go elsewhere in the process: what it said nothing about is compiled again.
        const int attempts = 6;
        for (var attempt = 1; ; attempt++)
        {
            var graph = new ProgramGraph(program, FunctionRegistry.BuiltIn, options);
            var code = DynamicCode.Create(graph, MapSet.Empty, options);
            var found = code.Methods.Select(method => (method.Key, Code: listener.Find(method.Value))).ToArray();
            GC.KeepAlive(code);
            Assert.All(found.Where(method => method.Code != null), method => Assert.True(method.Code is { FullyOptimized: true }, $"{what}, {method.Key}: {method.Code}"));
            if (found.All(method => method.Code != null)) return;
            Assert.True(attempt < attempts, $"{what}: no word from the runtime about {found.First(method => method.Code == null).Key}");
        }
    }
}
