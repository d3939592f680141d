using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>
/// The interpreter does some two instructions in a row at once. Each such pair, with random operands, gives what the checked
/// interpreter gives, which takes them one by one: when both run, and when a jump meets the second.
/// </summary>
public sealed class FusedPairsTests
{
    private const int Rounds = 60;

    private static readonly (Code Code, OpcodeRow Row)[] s_entries = [.. OpcodeTable.Rows
        .Where(row => !row.IsCall && row.Operation != Operation.Exit)
        .Select(row => (Code: row.Operation == Operation.LoadImmediate64 ? Code.LoadWide : Decoder.Codes[row.Index], Row: row))
        .Where(entry => entry.Row.Operation != Operation.ToLittleEndian && entry.Row is not { Operation: Operation.LoadImmediate64, Wide: not WideKind.Number })];

    public static TheoryData<string, string> Pairs
    {
        get
        {
            var pairs = new TheoryData<string, string>();
            foreach (var (first, second) in Decoder.Pairs.Keys) pairs.Add(first.ToString(), second.ToString());
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Both_do_what_each_does(string first, string second)
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < Rounds; round++)
        {
            var text = Program(random, Row(first), Row(second));
            var spec = new ProgramSpec { Name = "pair", Type = ProgramTypes.Raw, Instructions = text };
            using var fast = InterpretedProgram.Create(ProgramVerifier.VerifyOrThrow(spec, new VerifierOptions { ContextSize = 64 }), MapSet.Empty);
            using var one = new CheckedInterpreter(spec);
            byte[] context = new byte[64], other = new byte[64];
            random.NextBytes(context);
            // Small numbers make equal operands and short shifts likely.
            for (var i = 0; i < 40; i += 8) if (random.Next(2) == 0) BitConverter.TryWriteBytes(context.AsSpan(i), (long)random.Next(-2, 3));
            // The program goes to the second at once when this is 1.
            BitConverter.TryWriteBytes(context.AsSpan(40), (long)(round % 2));
            context.CopyTo(other, 0);
            var expected = one.Run(other);
            Assert.Null(expected.Fault);
            var result = fast.Run(context);
            Assert.True(expected.Result == result && context.AsSpan().SequenceEqual(other),
                $"seed {seed}, round {round}: {result:x} for {expected.Result:x}\n{Disassembler.Format(spec)}");
        }
    }

    private static OpcodeRow Row(string code) => s_entries.First(entry => entry.Code.ToString() == code).Row;

    // Numbers in r0 to r4, the context in r6; the pair; then everything the registers hold, mixed into r0.
    private static ImmutableArray<Instruction> Program(Random random, OpcodeRow first, OpcodeRow second)
    {
        var pair = new List<Instruction>();
        Add(pair, random, first, landing: second.Slots);
        var skip = pair.Count;
        Add(pair, random, second, landing: 0);
        var before = Assembler.Assemble("""
            r6 = r1
            r0 = *(u64 *)(r6 + 0)
            r1 = *(u64 *)(r6 + 8)
            r2 = *(u64 *)(r6 + 16)
            r3 = *(u64 *)(r6 + 24)
            r4 = *(u64 *)(r6 + 32)
            r7 = 0
            """);
        var entry = Assembler.Assemble("r8 = *(u64 *)(r6 + 40)").Add(OpcodeTable.Find(Operation.JumpEqual, 64, 0, OperandSource.Immediate)!.Encode(8, 0, (short)skip, 1));
        var after = Assembler.Assemble("""
            r7 += 1
            r0 *= 31
            r0 += r1
            r0 *= 31
            r0 += r2
            r0 *= 31
            r0 += r3
            r0 *= 31
            r0 += r4
            r0 *= 31
            r0 += r7
            exit
            """);
        return [.. before, .. entry, .. pair, .. after];
    }

    private static void Add(List<Instruction> program, Random random, OpcodeRow row, int landing)
    {
        int dst = random.Next(5), src = random.Next(5);
        if (row.IsMemory)
        {
            var offset = (short)(random.Next(64 / row.AccessBytes) * row.AccessBytes);
            program.Add(row.Operation == Operation.Store ? row.Encode(6, src, offset) : row.Encode(dst, 6, offset));
        }
        else if (row.IsJump)
        {
            // To the next, past it, or one further: each leaves other registers.
            program.Add(row.Encode(row.IsConditionalJump ? dst : 0, row.Source == OperandSource.Register ? src : 0, (short)random.Next(landing + 2), (row.Uses & OperandFields.Immediate) != 0 ? random.Next(-2, 3) : 0));
        }
        else
        {
            var immediate = row.Operation is Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic ? random.Next(row.Width) : random.Next(2) == 0 ? random.Next(-2, 3) : random.Next(int.MinValue, int.MaxValue);
            program.Add(row.Encode(dst, row.Source == OperandSource.Register ? src : 0, 0, row.Source == OperandSource.Immediate ? immediate : 0));
            if (row.Slots == 2) program.Add(new Instruction(0, 0, 0, 0, random.Next()));
        }
    }
}
