using System.Text;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Loops full of jumps, many of which test again what was just tested: where code is written twice or without a test.</summary>
public sealed class BranchShapeTests
{
    private const int ContextBytes = 64;

    private static readonly string[] s_comparisons = ["==", "!=", ">", "<=", "<", ">=", "s>", "s<=", "s<", "s>=", "&"];

    [Theory]
    [InlineData(Termination.Proved, long.MaxValue)]
    [InlineData(Termination.Metered, long.MaxValue)]
    [InlineData(Termination.Metered, 300)]
    public void LoopsOfRepeatedTestsDoWhatTheyDoStraight(Termination termination, long budget)
    {
        var changed = 0;
        for (var seed = 0; seed < 150; seed++)
        {
            var text = Loop(new Random(seed));
            var program = TestPrograms.Trusted([.. Assembler.Assemble(text)], null, termination: termination);
            var expected = Run(program, CompilerOptions.Straight, seed, budget);
            foreach (var (name, options) in OptimisationTests.Variants)
            {
                if (!name.Contains("Loops", StringComparison.Ordinal) && !name.Contains("Jumps", StringComparison.Ordinal) && !name.Contains("Branches", StringComparison.Ordinal) && name is not ("default" or "regions")) continue;
                Assert.True(expected == Run(program, options, seed, budget), $"seed {seed}, {name}:\n{text}");
            }
            if (ProgramDump.Il(program) != ProgramDump.Il(program, CompilerOptions.Default with { ThreadJumps = false })) changed++;
        }
        Assert.True(changed > 30, $"only {changed} programs have a test left out");
    }

    [Theory]
    [InlineData(Termination.Proved, long.MaxValue)]
    [InlineData(Termination.Metered, long.MaxValue)]
    [InlineData(Termination.Metered, 300)]
    public void LoopsOfManyWaysDoWhatTheyDoStraight(Termination termination, long budget)
    {
        var changed = 0;
        for (var seed = 0; seed < 150; seed++)
        {
            var text = Ways(new Random(seed));
            var program = TestPrograms.Trusted([.. Assembler.Assemble(text)], null, termination: termination);
            var expected = Run(program, CompilerOptions.Straight, seed, budget);
            foreach (var options in (CompilerOptions[])[CompilerOptions.Default, CompilerOptions.Default with { RepeatLoops = false }, CompilerOptions.Default with { AvoidBranches = false, RepeatLoops = false },
                CompilerOptions.Straight with { CopyLoopEnds = true }, CompilerOptions.Default with { RegionInstructions = 64 }, CompilerOptions.Default with { RecordSites = true }])
            {
                Assert.True(expected == Run(program, options, seed, budget), $"seed {seed}, {options}:\n{text}");
            }
            if (ProgramDump.Il(program) != ProgramDump.Il(program, CompilerOptions.Default with { CopyLoopEnds = false })) changed++;
        }
        Assert.True(changed > 50, $"only {changed} programs have a loop's end written more than once");
    }

    // A loop of several ways that meet at its end, which stands before or behind them; some jump there by their test, some leave.
    private static string Ways(Random random)
    {
        var text = new StringBuilder("r6 = r1\n");
        for (var register = 0; register < 6; register++) text.Append(register == 1 ? "r1 = 9\n" : $"r{register} = *(u64 *)(r6 + {register * 8})\n");
        text.Append("r7 = 0\n");
        var ways = random.Next(2, 7);
        var endFirst = random.Next(2) == 0;
        if (endFirst) End("goto loop");
        text.Append("loop:\n");
        for (var way = 0; way < ways; way++)
        {
            text.Append($"if {(random.Next(2) == 0 ? "r" : "w")}{random.Next(6)} {s_comparisons[random.Next(s_comparisons.Length)]} {random.Next(-3, 12)} goto way{way}\n");
            Compute();
            if (random.Next(4) != 0) text.Append(random.Next(6) == 0 ? "goto out\n" : "goto next\n");
            text.Append($"way{way}:\n");
        }
        Compute();
        if (endFirst) text.Append("goto next\n");
        else End("");
        return text.Append("out: r0 ^= r1\nr0 += r2\nr0 ^= r3\nr0 += r4\nr0 ^= r5\nr0 += r7\nexit\n").ToString();

        void End(string before)
        {
            text.Append(before).Append("\nnext:\nr7 += 1\n");
            if (random.Next(2) == 0) text.Append("r1 ^= r7\n");
            text.Append(before.Length > 0 ? $"if r7 > {random.Next(1, 40)} goto out\n" : $"if r7 != {random.Next(1, 40)} goto loop\n");
        }

        void Compute()
        {
            for (var count = random.Next(1, 4); count > 0; count--)
            {
                var (to, from) = (random.Next(6), random.Next(6));
                text.Append(random.Next(5) switch
                {
                    0 => $"r{to} += 1\n",
                    1 => $"w{to} -= w{from}\n",
                    2 => $"r{to} = {random.Next(-2, 9)}\n",
                    3 => $"*(u32 *)(r6 + {random.Next(12) * 4}) = r{from}\n",
                    _ => $"r{to} = *(u16 *)(r6 + {random.Next(28) * 2})\n",
                });
            }
        }
    }

    // A loop whose rounds start anywhere in its body, with tests, repeated tests, opposite tests and ways out of it.
    private static string Loop(Random random)
    {
        var text = new StringBuilder("r6 = r1\n");
        for (var register = 0; register < 6; register++) text.Append(register == 1 ? "r1 = 9\n" : $"r{register} = *(u64 *)(r6 + {register * 8})\n");
        text.Append("r7 = 0\n");
        var steps = random.Next(1, 4);
        if (random.Next(3) == 0) text.Append($"goto step{random.Next(steps)}\n");
        text.Append("loop:\n");
        for (var step = 0; step < steps; step++)
        {
            text.Append($"step{step}:\n");
            var width = random.Next(2) == 0 ? "r" : "w";
            var (left, right) = ($"{width}{random.Next(6)}", random.Next(2) == 0 ? $"{width}{random.Next(6)}" : $"{random.Next(-3, 12)}");
            var comparison = random.Next(s_comparisons.Length);
            text.Append($"if {left} {s_comparisons[comparison]} {right} goto join{step}\n");
            Compute(random.Next(1, 3));
            text.Append($"join{step}:\n");
            Compute(random.Next(4));
            // The same, the opposite, or something near.
            var again = random.Next(4) switch { 0 => random.Next(s_comparisons.Length), 1 or 2 when comparison < 10 => comparison ^ 1, _ => comparison };
            text.Append($"if {left} {s_comparisons[again]} {right} goto {(random.Next(8) == 0 ? "end" : $"next{step}")}\n");
            Compute(random.Next(1, 3));
            text.Append($"next{step}:\n");
        }
        if (random.Next(3) == 0) text.Append("if r0 s> 0x7ffffff0 goto end\n");
        text.Append("r7 += 1\n");
        text.Append(random.Next(2) == 0 ? $"if r7 != {random.Next(1, 40)} goto loop\n" : $"if r7 > {random.Next(40)} goto end\ngoto loop\n");
        return text.Append("end: r0 ^= r1\nr0 += r2\nr0 ^= r3\nr0 += r4\nr0 ^= r5\nr0 += r7\nexit\n").ToString();

        void Compute(int count)
        {
            for (; count > 0; count--)
            {
                var (to, from) = (random.Next(6), random.Next(6));
                text.Append(random.Next(8) switch
                {
                    0 => $"r{to} += 1\n",
                    1 => $"w{to} -= w{from}\n",
                    2 => $"r{to} = {random.Next(-2, 9)}\n",
                    3 => $"r{to} = r{from}\n",
                    4 => $"w{to} ^= {random.Next(99)}\n",
                    5 => $"*(u32 *)(r6 + {random.Next(12) * 4}) = r{from}\n",
                    6 => $"r{to} = *(u16 *)(r6 + {random.Next(28) * 2})\n",
                    _ => $"r{to} >>= {random.Next(1, 9)}\n",
                });
            }
        }
    }

    private static unsafe string Run(VerifiedProgram program, CompilerOptions options, int seed, long budget)
    {
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty, options);
        var context = new byte[ContextBytes];
        new Random(~seed).NextBytes(context);
        // Small numbers, so that equal ones meet.
        for (var i = 0; i < 48; i++) context[i] = (byte)(i % 8 < 2 ? context[i] & 7 : seed % 3 == 0 && i % 8 == 7 ? 255 : 0);
        var state = ExecutionSlot.Current;
        state->Reset(budget);
        fixed (byte* pointer = context)
        {
            var result = compiled.EntryPoint(compiled.Self, pointer, (ulong)context.Length, state);
            state->Leave();
            return $"{(state->Fault == RunFault.None ? result.ToString("x") : state->Fault)} {state->Budget} {Convert.ToHexString(context)}";
        }
    }
}
