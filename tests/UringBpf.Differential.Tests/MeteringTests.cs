using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Fuzz;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>
/// Programs that do most of their work where no jump goes back: a metered run of no engine may execute much more than its budget.
/// Each counts, in the first 8 bytes of its context, how often the long part was entered.
/// </summary>
public sealed class MeteringTests
{
    private const int Budget = 20_000, LongPart = 150;

    private static readonly string s_work = string.Join('\n', Enumerable.Repeat("r0 *= 17", LongPart));

    // The callback's context is a slot of the stack that holds the program's.
    private static readonly Dictionary<string, string> s_programs = new()
    {
        ["callbacks in callbacks"] = $"""
            *(u64 *)(r10 - 8) = r1
            r1 = 3000
            r2 = code_addr(outer) ll
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_loop
            r0 = 0
            exit
            outer: r1 = 3000
            r3 = r2
            r2 = code_addr(inner) ll
            r4 = 0
            call bpf_loop
            r0 = 0
            exit
            inner: r1 = *(u64 *)(r2 + 0)
            r2 = *(u64 *)(r1 + 0)
            r2 += 1
            *(u64 *)(r1 + 0) = r2
            r0 = 0
            exit
            """,
        ["a long callback"] = $"""
            *(u64 *)(r10 - 8) = r1
            loop: r1 = 3000
            r2 = code_addr(long) ll
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_loop
            r1 = *(u64 *)(r10 - 8)
            r2 = *(u64 *)(r1 + 8)
            if r2 == 0 goto loop
            r0 = 0
            exit
            long: r1 = *(u64 *)(r2 + 0)
            r2 = *(u64 *)(r1 + 0)
            r2 += 1
            *(u64 *)(r1 + 0) = r2
            r0 = r2
            {s_work}
            r0 = 0
            exit
            """,
        ["a long function in an endless loop"] = $"""
            r6 = r1
            loop: r1 = r6
            call long
            r2 = *(u64 *)(r6 + 8)
            if r2 == 0 goto loop
            r0 = 0
            exit
            long: r2 = *(u64 *)(r1 + 0)
            r2 += 1
            *(u64 *)(r1 + 0) = r2
            r0 = r2
            {s_work}
            exit
            """,
        // The way that is taken is after a jump backwards that goes over nothing.
        ["a function whose long part comes after a jump back"] = $"""
            r6 = r1
            loop: r1 = r6
            call long
            r2 = *(u64 *)(r6 + 8)
            if r2 == 0 goto loop
            r0 = 0
            exit
            long: goto on
            back: goto work
            on: goto back
            work: r2 = *(u64 *)(r1 + 0)
            r2 += 1
            *(u64 *)(r1 + 0) = r2
            r0 = r2
            {s_work}
            exit
            """,
    };

    public static TheoryData<string> Programs => [.. s_programs.Keys];

    [Theory, MemberData(nameof(Programs))]
    public void Budgets_hold_on_every_engine(string name)
    {
        var code = Assembler.Assemble(s_programs[name]);
        var spec = new ProgramSpec { Name = "metered", Type = ProgramTypes.Raw, Instructions = code, OwnInstructions = code.Length };
        var verified = ProgramVerifier.VerifyOrThrow(spec, new VerifierOptions { ContextSize = 16 });
        Assert.Equal(Termination.Metered, verified.Termination);
        var most = name.Contains("long", StringComparison.Ordinal) ? (Budget / LongPart) + 1 : Budget;

        var (entered, left) = Run(InterpretedProgram.Create(verified, MapSet.Empty));
        Assert.InRange(entered, 1, most);
        foreach (var options in Variants) Assert.Equal((entered, left), Run(ProgramCompiler.Compile(verified, MapSet.Empty, options)));
    }

    private static IEnumerable<CompilerOptions> Variants =>
    [
        CompilerOptions.Default, CompilerOptions.Straight, CompilerOptions.Default with { RegionInstructions = 16 },
        .. EngineCheck.Optimisations.Select(one => EngineCheck.Without(CompilerOptions.Default, [one])),
    ];

    private static unsafe (long Entered, long Left) Run(BpfProgram program)
    {
        using var _ = program;
        var context = new byte[16];
        var state = ExecutionSlot.Current;
        state->Reset(Budget);
        fixed (byte* pointer = context)
        {
            state->Context = pointer;
            state->ContextLength = (ulong)context.Length;
            program.EntryPoint(program.Self, pointer, (ulong)context.Length, state);
            state->Leave();
        }
        Assert.Equal(RunFault.BudgetExhausted, state->Fault);
        return (BitConverter.ToInt64(context), state->Budget);
    }
}
