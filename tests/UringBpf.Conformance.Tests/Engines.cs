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
    /// <summary><c>jit-straight</c> is the compiler without its optimisations and without the verifier's facts.</summary>
    public static readonly string[] Names = ["jit", "jit-straight", "interpreter", "checked"];

    /// <summary>Runs a case and checks what comes of it.</summary>
    public static void Check(ConformanceCase test, string engine)
    {
        using var maps = MapSet.Create(test.Maps);
        var size = test.Runs.Min(run => run.Memory.Length);
        var verification = ProgramVerifier.Verify(test.Spec, VerifierOptions.Default with { ContextSize = size });
        if (test.Outcome != Outcome.Result) Assert.False(verification.Accepted, $"{test.Name}: the verifier accepts it");
        if (engine == "checked")
        {
            using var interpreter = new CheckedInterpreter(test.Spec, maps);
            foreach (var run in test.Runs) CheckRun(test, run, interpreter);
        }
        else if (test.Outcome == Outcome.Result)
        {
            using var program = Create(test, engine, verification, size, maps);
            foreach (var run in test.Runs)
            {
                var memory = (byte[])run.Memory.Clone();
                Compare(test, run, engine, test.Packet is { } packet ? OnPacket(packet, context => program.Run(context)) : program.Run(memory), memory);
            }
        }
    }

    /// <summary>The compiler with each of its optimisations off alone, and on alone.</summary>
    public static readonly (string Name, CompilerOptions Options)[] Switched = [.. Switches()];

    /// <summary>Runs a case on machine code with each optimisation off alone and on alone, as far as it is other IL than a variant before it.</summary>
    /// <returns>How many kinds of IL there were.</returns>
    public static int CheckSwitched(ConformanceCase test)
    {
        if (test.Outcome != Outcome.Result) return 0;
        var size = test.Runs.Min(run => run.Memory.Length);
        var trusted = ProgramVerifier.Verify(test.Spec, VerifierOptions.Default with { ContextSize = size }).Program ?? UnsafeTrust.Verified(test.Spec, size);
        var seen = new HashSet<string>();
        foreach (var (name, options) in Switched)
        {
            if (!seen.Add(ProgramDump.Il(trusted, options))) continue;
            // Maps of its own: what a run leaves there is not for the next.
            using var maps = MapSet.Create(test.Maps);
            using var program = Compile(trusted, maps, options);
            foreach (var run in test.Runs)
            {
                var memory = (byte[])run.Memory.Clone();
                Compare(test, run, $"jit {name}", test.Packet is { } packet ? OnPacket(packet, context => program.Run(context)) : program.Run(memory), memory);
            }
        }
        return seen.Count;
    }

    private static IEnumerable<(string, CompilerOptions)> Switches()
    {
        foreach (var property in typeof(CompilerOptions).GetProperties().Where(property => property.PropertyType == typeof(bool)))
        {
            if (!(bool)property.GetValue(CompilerOptions.Default)! || (bool)property.GetValue(CompilerOptions.Straight)!) continue;
            // Narrow registers are live ranges.
            var (without, alone) = (CompilerOptions.Default with { }, CompilerOptions.Straight with { SplitLiveRanges = property.Name == nameof(CompilerOptions.NarrowRegisters) });
            property.SetValue(without, false);
            property.SetValue(alone, true);
            yield return ($"without {property.Name}", without);
            yield return ($"with {property.Name} alone", alone);
        }
    }

    // What the RFC defines and the verifier refuses (shift counts out of range) runs unverified.
    private static BpfProgram Create(ConformanceCase test, string engine, VerificationResult verification, int size, MapSet maps)
    {
        // Accesses to a packet program's context are translated by the verifier's facts.
        var trusted = verification.Program is not null && (engine != "jit-straight" || test.Packet is not null)
            ? verification.Program : UnsafeTrust.Verified(test.Spec, size);
        return engine switch
        {
            "jit" => Compile(trusted, maps, CompilerOptions.Default),
            "jit-straight" => Compile(trusted, maps, CompilerOptions.Straight),
            "interpreter" => InterpretedProgram.Create(trusted, maps),
            _ => throw new ArgumentOutOfRangeException(nameof(engine)),
        };
    }

    // The runtime would take some IL that is not well formed, and makes what it likes of it.
    private static BpfProgram Compile(VerifiedProgram program, MapSet maps, CompilerOptions options)
    {
        IlChecker.Check(program, options);
        return ProgramCompiler.Compile(program, maps, options);
    }

    private static void CheckRun(ConformanceCase test, CaseRun run, CheckedInterpreter interpreter)
    {
        var memory = (byte[])run.Memory.Clone();
        var result = test.Packet is { } packet ? OnPacket(packet, context => interpreter.Run(context)) : interpreter.Run(memory);
        var expected = test.Outcome switch { Outcome.Fault => test.FaultCode, Outcome.Refused => "UB4014", _ => null };
        Assert.True(result.Fault?.Code == expected, $"{test.Name} on checked: faults with '{result.Fault}', must be '{expected}'\n{Explain(test, run)}");
        if (expected is null) Compare(test, run, "checked", result.Result, memory);
    }

    private static void Compare(ConformanceCase test, CaseRun run, string engine, ulong result, byte[] memory)
    {
        Assert.True(result == run.Result, $"{test.Name} on {engine}: r0 is 0x{result:x}, must be 0x{run.Result:x}\n{Explain(test, run)}");
        if (run.After is not null)
            Assert.True(memory.AsSpan().SequenceEqual(run.After), $"{test.Name} on {engine}: memory is {Convert.ToHexString(memory)}, must be {Convert.ToHexString(run.After)}\n{Explain(test, run)}");
    }

    private static unsafe T OnPacket<T>(byte[] packet, Func<byte[], T> run)
    {
        var layout = ProgramTypes.Socket.Context;
        var context = new byte[layout.HostSize];
        fixed (byte* start = packet)
        {
            MemoryMarshal.Write(context, (ulong)start);
            MemoryMarshal.Write(context.AsSpan(8), (ulong)(start + packet.Length));
            MemoryMarshal.Write(context.AsSpan(layout.Fields.Single(field => field.Name == "len").HostOffset), packet.Length);
            return run(context);
        }
    }

    private static string Explain(ConformanceCase test, CaseRun run) => $"memory {Convert.ToHexString(run.Memory)}\n{Disassembler.Format(test.Spec)}";
}
