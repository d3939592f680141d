using UringBpf.Bytecode;

namespace UringBpf.Compiler.Tests;

/// <summary>Stack slots of functions made of regions: in locals inside a region, in memory between two of them.</summary>
public sealed class RegionSlotTests
{
    private const int Slots = 14;

    /// <summary>
    /// Few registers and many slots, of 1, 2, 4 and 8 bytes each at its own place: written, read, left alone for long; with jumps forwards
    /// that skip writes, and loops that carry slots round.
    /// </summary>
    [Theory]
    [InlineData(2)]
    [InlineData(9)]
    [InlineData(40)]
    public void SlotsAreTheSameWhereverTheFunctionIsCut(int regionInstructions)
    {
        for (var seed = 0; seed < 12; seed++)
        {
            var program = Make(seed);
            var context = new byte[RandomPrograms.ContextBytes];
            new Random(seed).NextBytes(context);
            var other = (byte[])context.Clone();
            var expected = TestPrograms.Run(program, CompilerOptions.Straight, context);
            foreach (var options in (CompilerOptions[])[CompilerOptions.Default, CompilerOptions.Default with { SplitLiveRanges = false }, CompilerOptions.Default with { StackSlotsInLocals = false }])
                Assert.True(expected == TestPrograms.Run(program, options with { RegionInstructions = regionInstructions }, other), $"seed {seed}, {options}");
        }
    }

    [Fact]
    public void ASlotThatStaysInsideARegionIsNeverMemory()
    {
        // The first slot is read in its own region only; the second one also in the next.
        var body = string.Join('\n', Enumerable.Range(0, 40).Select(i => $"r0 += {i}\nif r0 == {i} goto l{i}\nr0 ^= 1\nl{i}: r0 += 2"));
        var source = $"r0 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 8) = r0\n*(u64 *)(r10 - 16) = r0\nr2 = *(u64 *)(r10 - 8)\nr0 += r2\n{body}\nr2 = *(u64 *)(r10 - 16)\nr0 += r2\nexit";
        var program = TestPrograms.Trusted([.. Assembler.Assemble(source)]);
        var text = ProgramDump.Il(program, CompilerOptions.Default with { RegionInstructions = 100 });
        Assert.Contains("stack-8", text);
        Assert.Contains("stack-16", text);
        // A store at each way out of the first, a load in the last.
        Assert.InRange(Count("ldc.i4     -16"), 2, 4);
        Assert.Equal(0, Count("ldc.i4     -8"));

        int Count(string part) => text.Split(part).Length - 1;
    }

    private static VerifiedProgram Make(int seed)
    {
        var random = new Random(seed);
        var code = new List<Instruction> { new(0xbf, 6, 1) };
        for (var register = 0; register < 4; register++) code.Add(new(0x79, register, 6, (short)(register * 8)));
        for (var slot = 0; slot < Slots; slot++) code.Add(Access(slot, store: true, slot % 4));
        for (var part = 0; part < 40; part++)
        {
            // A loop, a jump over the part, or neither.
            var kind = random.Next(3);
            if (kind == 0) code.Add(new(0xb7, 7, immediate: random.Next(1, 5)));
            var start = code.Count;
            var steps = random.Next(1, 12);
            if (kind == 1) code.Add(new(0x2d, random.Next(4), random.Next(4), (short)steps));
            for (var i = 0; i < steps; i++) code.Add(Step());
            if (kind != 0) continue;
            code.Add(new(0x17, 7, immediate: 1));
            code.Add(new(0x55, 7, 0, (short)(start - code.Count - 1)));
        }
        for (var slot = 0; slot < Slots; slot++)
        {
            code.Add(Access(slot, store: false, 1));
            code.Add(new(0x27, 0, immediate: 31));
            code.Add(new(0x0f, 0, 1));
        }
        code.Add(new(0x95));
        return TestPrograms.Trusted([.. code]);

        Instruction Step() => random.Next(3) switch
        {
            0 => Access(random.Next(Slots), store: true, random.Next(4)),
            1 => Access(random.Next(Slots), store: false, random.Next(4)),
            _ => new(random.Next(2) == 0 ? (byte)0x0f : (byte)0xaf, random.Next(4), random.Next(4)),
        };

        // By number: 8, 4, 2 or 1 bytes in eight of its own.
        static Instruction Access(int slot, bool store, int register)
        {
            var opcode = (store ? 0x63 : 0x61) | ((slot % 4) switch { 0 => 0x18, 1 => 0, 2 => 0x08, _ => 0x10 });
            var offset = (short)(-8 * (slot + 1));
            return store ? new((byte)opcode, 10, register, offset) : new((byte)opcode, register, 10, offset);
        }
    }
}
