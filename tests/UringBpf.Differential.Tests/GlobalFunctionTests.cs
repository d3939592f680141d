using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>
/// Global functions, verified by their BTF signature. A program's name is its verdict: ok_… is accepted, bad_CODE_… refused
/// with that code. <c>tests/kernel-selftests.sh --object</c> asks the running kernel about the same object; docs/kernel-agreement.md has its answers.
/// </summary>
public sealed class GlobalFunctionTests
{
    private static readonly ObjectSpec s_spec = Load();

    public static TheoryData<string> Programs => [.. s_spec.Programs.Select(program => program.Name)];

    public static TheoryData<string> Accepted => [.. s_spec.Programs.Select(program => program.Name).Where(name => name.StartsWith("ok_", StringComparison.Ordinal))];

    private static ObjectSpec Load()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("globals")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ObjectSpec.Load(bytes, "globals");
    }

    private static ProgramSpec Named(string name) => s_spec.Programs.Single(program => program.Name == name);

    [Theory, MemberData(nameof(Programs))]
    public void The_verdict_is_as_named(string name)
    {
        var result = ProgramVerifier.Verify(Named(name));
        Assert.Equal(name.StartsWith("ok_", StringComparison.Ordinal) ? null : name.Split('_')[1], result.Rejection?.Code);
        // Walked without pruning and without generalising too (where loops end).
        if (name is "ok_waits" or "bad_UB2603_record_over_a_call_without_end") return;
        foreach (var (pruning, widening) in new[] { (false, false), (true, false) })
        {
            var again = ProgramVerifier.Verify(Named(name), new() { Pruning = pruning, Widening = widening });
            Assert.Equal((result.Rejection?.Code, result.Rejection?.Instruction), (again.Rejection?.Code, again.Rejection?.Instruction));
        }
    }

    [Fact]
    public void What_fails_in_a_global_function_names_its_signature()
    {
        var rejection = ProgramVerifier.Verify(Named("bad_UB2110_null_not_checked")).Rejection!;
        Assert.Equal("unchecked", rejection.Function);
        Assert.Contains("unchecked() is global, so it is verified once, for all that its signature allows: int unchecked(struct pair *p)", rejection.Help, StringComparison.Ordinal);
        Assert.Contains("static", rejection.Help, StringComparison.Ordinal);
    }

    [Fact]
    public void A_function_is_walked_once_whatever_the_number_of_its_calls()
    {
        // Each level calls the next twice: 2^7 calls of the last when they are walked at each one.
        var spec = Named("ok_doubling");
        Assert.True(ProgramVerifier.Verify(spec).Processed < 100);
        var unnamed = spec with { Subprograms = [.. spec.Subprograms.Select(function => function with { IsGlobal = false })] };
        Assert.True(ProgramVerifier.Verify(unnamed).Processed > 500);
    }

    [Fact]
    public void What_a_function_costs_counts_for_its_caller()
    {
        var one = ProgramVerifier.Verify(Named("ok_counts")).Program!;
        var over = ProgramVerifier.Verify(Named("ok_record_over_a_call")).Program!;
        Assert.Equal(Termination.Proved, one.Termination);
        Assert.InRange(one.WorstCaseInstructions, 500, 5000);
        Assert.True(over.WorstCaseInstructions > one.WorstCaseInstructions);
        Assert.Equal(Termination.Metered, ProgramVerifier.Verify(Named("ok_waits")).Termination);
        Assert.True(ProgramVerifier.Verify(Named("ok_deep")).Program!.StackBytes >= 7 * 512);
    }

    [Theory, MemberData(nameof(Accepted))]
    public unsafe void Engines_agree(string name)
    {
        if (name == "ok_waits") return; // It waits for a random number.
        var verified = ProgramVerifier.VerifyOrThrow(Named(name));
        var results = new List<ulong>();
        for (var engine = 0; engine < 3; engine++)
        {
            using var maps = MapSet.Create(s_spec.Maps);
            var value = (ulong*)maps[s_spec.Maps.Single(map => map.Name == "pairs")].Header->Data;
            for (var index = 0; index < 16; index++) value[index] = (ulong)index * 0x0102030405060709;
            var packet = new byte[200];
            fixed (byte* data = packet)
            {
                var context = new byte[verified.Type.Context.HostSize];
                fixed (byte* bytes = context)
                {
                    ((byte**)bytes)[0] = data;
                    ((byte**)bytes)[1] = data + packet.Length;
                    var length = verified.Type.Context.Fields.Single(field => field.Name == "len");
                    *(uint*)(bytes + length.HostOffset) = (uint)packet.Length;
                }
                if (engine == 2)
                {
                    using var checkedInterpreter = new CheckedInterpreter(verified.Spec, maps);
                    var run = checkedInterpreter.Run(context);
                    Assert.True(run.Fault is null, run.Fault?.ToString());
                    results.Add(run.Result);
                    continue;
                }
                using BpfProgram program = engine == 0 ? ProgramCompiler.Compile(verified, maps) : InterpretedProgram.Create(verified, maps);
                results.Add(program.Run(context));
            }
        }
        Assert.Equal(results[0], results[1]);
        Assert.Equal(results[0], results[2]);
    }
}
