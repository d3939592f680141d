using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// A kernel many times in one run: a loop that calls the kernel's program as a function. One program for both compilers, so that
/// what enters it from outside (35 ns a run with BPF_PROG_TEST_RUN, which a processor overlaps with a short program) is
/// shared by all rounds and need not be subtracted.
/// </summary>
internal sealed class RepeatedKernel : IDisposable
{
    private const long MostInstructions = 2_000_000;

    private readonly MapSet _maps;

    /// <summary>Makes it for both compilers.</summary>
    public RepeatedKernel(Kernel kernel)
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(kernel.ObjectFile), kernel.ObjectFile);
        var program = spec.Programs.Single();
        var worst = ProgramVerifier.VerifyOrThrow(program).WorstCaseInstructions;
        Rounds = (int)Math.Clamp(MostInstructions / (worst + 10), 1, 1000);
        var repeated = Repeat(program, Rounds);
        var verified = ProgramVerifier.VerifyOrThrow(repeated);
        // The fewer rounds, the more the verifier can walk them one by one where it finds no other proof.
        for (; verified.Termination == Termination.Metered && Rounds > 1; verified = ProgramVerifier.VerifyOrThrow(repeated))
            repeated = Repeat(program, Rounds /= 2);
        IsMetered = verified.Termination == Termination.Metered;
        _maps = MapSet.Create(spec.Maps);
        kernel.SetInput(spec, _maps);
        Jit = ProgramCompiler.Compile(verified, _maps);
        InKernel = kernel.LoadIntoKernel(repeated, Functions(repeated));
    }

    /// <summary>Times the kernel's program runs in one run of it.</summary>
    public int Rounds { get; }

    /// <summary>True where the verifier does not prove that the loop ends, so that this compiler's code pays for each jump back.</summary>
    public bool IsMetered { get; }

    /// <summary>Compiled by this compiler.</summary>
    public BpfProgram Jit { get; }

    /// <summary>Compiled by the running kernel; null where it refuses the program, or bpf(2) at all.</summary>
    public KernelBpf? InKernel { get; }

    public void Dispose()
    {
        InKernel?.Dispose();
        Jit.Dispose();
        _maps.Dispose();
    }

    // r0 is the sum of what the rounds returned.
    private static ProgramSpec Repeat(ProgramSpec program, int rounds)
    {
        var loop = Assembler.Assemble($"""
            r6 = {rounds}
            r7 = 0
            round:
            call kernel
            r7 += r0
            r6 -= 1
            if r6 != 0 goto round
            r0 = r7
            exit
            kernel: exit
            """);
        return program with { Instructions = [.. loop[..^1], .. program.Instructions], Subprograms = [], Lines = [], OwnInstructions = 0 };
    }

    // The program, what it calls (the kernel's program, which the running kernel then verifies once), and what that calls.
    private static (int Start, bool IsGlobal)[] Functions(ProgramSpec spec)
    {
        var starts = new SortedSet<int> { 0 };
        for (var slot = 0; slot < spec.Instructions.Length; slot++)
        {
            var instruction = spec.Instructions[slot];
            var row = OpcodeTable.Find(instruction)!;
            if (row.Operation == Operation.CallSubprogram) starts.Add(slot + 1 + instruction.Immediate);
            slot += row.Slots - 1;
        }
        return [.. starts.Select((start, index) => (start, index == 1))];
    }
}
