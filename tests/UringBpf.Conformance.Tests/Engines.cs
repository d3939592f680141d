using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Conformance.Tests;

/// <summary>Runs cases on every engine.</summary>
internal static class Engines
{
    /// <summary><c>jit-unoptimised</c> is the compiler without its optimisations and without the verifier's facts.</summary>
    public static readonly string[] Names = ["jit", "jit-unoptimised", "interpreter"];

    /// <summary>Runs a case and checks what comes of it.</summary>
    public static void Check(ConformanceCase test, string engine)
    {
        var size = test.Runs.Length == 0 ? 0 : test.Runs.Min(run => run.Memory.Length);
        var verification = ProgramVerifier.Verify(test.Spec, VerifierOptions.Default with { ContextSize = size });
        if (test.Outcome != Outcome.Result)
        {
            Assert.False(verification.Accepted, $"{test.Name}: the verifier accepts it");
            return;
        }
        using var program = Create(test, engine, verification, size);
        foreach (var run in test.Runs)
        {
            var memory = (byte[])run.Memory.Clone();
            var result = test.Packet is null ? program.Run(memory) : RunOnPacket(program, test.Packet);
            Assert.True(result == run.Result, $"{test.Name} on {engine}: r0 is 0x{result:x}, must be 0x{run.Result:x}\n{Explain(test, run)}");
            if (run.After is not null)
                Assert.True(memory.AsSpan().SequenceEqual(run.After), $"{test.Name} on {engine}: memory is {Convert.ToHexString(memory)}, must be {Convert.ToHexString(run.After)}\n{Explain(test, run)}");
        }
    }

    // What the RFC defines and the verifier refuses (shift counts out of range) runs unverified.
    private static BpfProgram Create(ConformanceCase test, string engine, VerificationResult verification, int size)
    {
        // Accesses to a packet program's context are translated by the verifier's facts.
        var trusted = verification.Program is not null && (engine != "jit-unoptimised" || test.Packet is not null)
            ? verification.Program : UnsafeTrust.Verified(test.Spec, size);
        return engine switch
        {
            "jit" => ProgramCompiler.Compile(trusted, MapSet.Empty),
            "jit-unoptimised" => ProgramCompiler.Compile(trusted, MapSet.Empty, CompilerOptions.Straight),
            "interpreter" => InterpretedProgram.Create(trusted, MapSet.Empty),
            _ => throw new ArgumentOutOfRangeException(nameof(engine)),
        };
    }

    private static unsafe ulong RunOnPacket(BpfProgram program, byte[] packet)
    {
        var layout = ProgramTypes.Socket.Context;
        var context = new byte[layout.HostSize];
        fixed (byte* start = packet)
        {
            MemoryMarshal.Write(context, (ulong)start);
            MemoryMarshal.Write(context.AsSpan(8), (ulong)(start + packet.Length));
            MemoryMarshal.Write(context.AsSpan(layout.Fields.Single(field => field.Name == "len").HostOffset), packet.Length);
            return program.Run(context);
        }
    }

    private static string Explain(ConformanceCase test, CaseRun run) => $"memory {Convert.ToHexString(run.Memory)}\n{Disassembler.Format(test.Spec)}";
}
