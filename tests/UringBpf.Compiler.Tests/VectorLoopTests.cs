using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Loops that run on vectors do what they do round by round: sums, copies (overlapping ones too), fills.</summary>
public sealed class VectorLoopTests
{
    // Context: start, limit, source offset, target offset, sum; then data.
    private const int DataAt = 64, DataBytes = 4096, MaxBytes = 1200;

    public static TheoryData<string, int, byte> Loops()
    {
        var loops = new TheoryData<string, int, byte>();
        foreach (var kind in new[] { "sum", "sum32", "copy", "fill", "fill register" })
        {
            foreach (var bytes in new[] { 1, 2, 4, 8 })
            {
                // != register, < register, <= register.
                foreach (var jump in new byte[] { 0x5d, 0xad, 0xbd }) loops.Add(kind, bytes, jump);
            }
        }
        return loops;
    }

    [Theory]
    [MemberData(nameof(Loops))]
    public void VectorsChangeNothing(string kind, int bytes, byte jump)
    {
        var program = TestPrograms.Trusted(Program(kind, bytes, jump));
        Assert.NotNull(PlanOf(program));
        using var expected = ProgramCompiler.Compile(program, MapSet.Empty, CompilerOptions.Straight);
        using var actual = ProgramCompiler.Compile(program, MapSet.Empty);
        var random = new Random(bytes * 256 + jump);
        for (var i = 0; i < 400; i++)
        {
            var rounds = i < 80 ? i + 1 : random.Next(1, MaxBytes / bytes);
            var data = new byte[DataAt + DataBytes];
            random.NextBytes(data);
            var start = (ulong)(random.Next(4) * bytes);
            var limit = start + (ulong)(rounds * bytes);
            // Below: a limit in the middle of a step; at or below the start there is one round.
            if (jump != 0x5d) limit = random.Next(8) == 0 ? start - start / 2 : limit - (ulong)random.Next(bytes);
            BitConverter.TryWriteBytes(data, start);
            BitConverter.TryWriteBytes(data.AsSpan(8), limit);
            BitConverter.TryWriteBytes(data.AsSpan(16), (ulong)(DataAt + random.Next(40)));
            BitConverter.TryWriteBytes(data.AsSpan(24), (ulong)(DataAt + random.Next(random.Next(2) == 0 ? 40 : 2000)));
            var other = (byte[])data.Clone();
            var seen = expected.Run(data);
            Assert.True(seen == actual.Run(other) && data.AsSpan().SequenceEqual(other), $"{kind} of {bytes} bytes, round {i}: start {start}, limit {limit}");
        }
    }

    [Fact]
    public void ALoopWithAStoreThatFeedsItsSumIsLeftAlone()
    {
        // sum += *p; *(p + 1) = sum: each round reads what the one before wrote.
        var program = TestPrograms.Trusted(
            new(0xb7, 3), new(0xb7, 2),
            new(0xbf, 4, 1), new(0x0f, 4, 2), new(0x71, 5, 4), new(0x0f, 3, 5), new(0x73, 4, 3, 1),
            new(0x07, 2, immediate: 1), new(0x55, 2, 0, -7, 100), new(0xbf, 0, 3), new(0x95));
        Assert.Null(PlanOf(program));
    }

    private static LoopPlan? PlanOf(VerifiedProgram program)
    {
        var graph = new ProgramGraph(program, FunctionRegistry.BuiltIn, CompilerOptions.Default);
        return graph.Functions[0].Blocks.Select(block => LoopPlan.Find(graph, graph.Functions[0], block)).FirstOrDefault(plan => plan is not null);
    }

    private static Instruction[] Program(string kind, int bytes, byte jump)
    {
        var size = bytes switch { 1 => 0x10, 2 => 0x08, 4 => 0x00, _ => 0x18 };
        var load = (byte)(0x61 | size);
        var store = (byte)(0x63 | size);
        Instruction[] body = kind switch
        {
            "sum" => [new(0xbf, 4, 7), new(0x0f, 4, 2), new(load, 5, 4), new(0x0f, 0, 5)],
            "sum32" => [new(0xbf, 4, 7), new(0x0f, 4, 2), new(load, 5, 4), new(0x0c, 0, 5)],
            "copy" => [new(0xbf, 4, 7), new(0x0f, 4, 2), new(0xbf, 5, 8), new(0x0f, 5, 2), new(load, 4, 4), new(store, 5, 4)],
            "fill" => [new(0xbf, 5, 8), new(0x0f, 5, 2), new((byte)(0x62 | size), 5, immediate: -7)],
            _ => [new(0xbf, 5, 8), new(0x0f, 5, 2), new(store, 5, 9)],
        };
        return
        [
            new(0x79, 2, 1, 0), new(0x79, 3, 1, 8),
            new(0x79, 7, 1, 16), new(0x0f, 7, 1), new(0x79, 8, 1, 24), new(0x0f, 8, 1),
            new(0x79, 9, 1, 64), new(0x79, 0, 1, 72),
            .. body,
            new(0x07, 2, immediate: bytes), new(jump, 2, 3, (short)(-body.Length - 2)), new(0x95),
        ];
    }
}
