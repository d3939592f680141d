using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>`interpreters`: nanoseconds per BPF instruction of the interpreters, beside the JIT, on loops of about 20,000
/// instructions and on the kernels. Interleaved.</summary>
internal static unsafe class InterpreterComparison
{
    private const int ContextBytes = 64;

    // 2 + 2,000 × 10 + 1 instructions.
    private const string AluLoop = """
        r0 = 0x1e3779b9
        r3 = 0
        loop:
        r2 = r0
        r2 <<= 13
        r0 ^= r2
        r2 = r0
        r2 >>= 7
        r0 ^= r2
        w4 = w0
        r0 += r3
        r3 += 1
        if r3 != 2000 goto loop
        exit
        """;

    // 3 + 2,000 × 10 + 1 instructions: eight of ten touch memory, in the context and on the stack, in all sizes.
    private const string MemoryLoop = """
        r0 = 0
        r3 = 0
        *(u64 *)(r10 - 8) = r3
        loop:
        r2 = *(u64 *)(r1 + 0)
        *(u64 *)(r10 - 8) = r2
        r4 = *(u32 *)(r1 + 8)
        *(u32 *)(r1 + 16) = r4
        r5 = *(u16 *)(r10 - 8)
        *(u16 *)(r1 + 24) = r5
        r0 = *(u8 *)(r10 - 7)
        *(u8 *)(r1 + 32) = r0
        r3 += 1
        if r3 != 2000 goto loop
        exit
        """;

    public static int Run(string folder, int rounds)
    {
        var text = new StringBuilder("# Interpreters\n\nNanoseconds per BPF instruction executed: median (minimum), interleaved rounds. The JIT in the same run.\n\n" +
            "| program | instructions | interpreter | checked interpreter | jit |\n|---|---:|---:|---:|---:|\n");
        foreach (var (name, source) in new[] { ("ALU loop", AluLoop), ("memory loop", MemoryLoop) })
        {
            var spec = new ProgramSpec { Name = name, Type = ProgramTypes.Raw, Instructions = Assembler.Assemble(source) };
            Measure(text, name, ProgramVerifier.VerifyOrThrow(spec, new VerifierOptions { ContextSize = ContextBytes }), MapSet.Empty, rounds);
        }
        foreach (var kernel in Kernel.All.Skip(1))
        {
            var (verified, maps) = kernel.Load();
            using (maps) Measure(text, kernel.Title, verified, maps, rounds);
        }
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "interpreters.md"), text.ToString());
        Console.Write(text);
        return 0;
    }

    private static void Measure(StringBuilder text, string name, VerifiedProgram verified, MapSet maps, int rounds)
    {
        using var jit = ProgramCompiler.Compile(verified, maps);
        using var interpreter = InterpretedProgram.Create(verified, maps);
        using var checkedInterpreter = new CheckedInterpreter(verified.Spec, maps);
        var context = new byte[ContextBytes];
        var first = checkedInterpreter.Run(context);
        if (first.Fault != null || first.Result != jit.Run(context) || first.Result != interpreter.Run(context)) throw new InvalidOperationException($"{name}: the engines disagree.");
        List<Candidate> candidates =
        [
            new("interpreter", runs => { for (var i = 0; i < runs; i++) interpreter.Run(context); }),
            new("checked interpreter", runs => { for (var i = 0; i < runs; i++) checkedInterpreter.Run(context); }),
            new("jit", runs => { for (var i = 0; i < runs; i++) jit.Run(context); }),
        ];
        for (var i = 0; i < 3; i++)
        {
            foreach (var candidate in candidates) candidate.Run(40);
            Thread.Sleep(120);
        }
        var timings = Interleaved.Measure(candidates, rounds);
        var cells = timings.Select(t => string.Create(CultureInfo.InvariantCulture, $"{t.MedianNs / first.Instructions:0.00} ({t.MinNs / first.Instructions:0.00})"));
        text.Append(CultureInfo.InvariantCulture, $"| {name} | {first.Instructions:n0} | {string.Join(" | ", cells)} |\n");
    }
}
