using System.Buffers.Binary;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>What rustc makes of bpf/rust.bpf.rs, on every engine, beside the same in C#.</summary>
public sealed class RustTests
{
    private const int ContextSize = 8;

    private static ObjectSpec Load() => Objects.Load("rust.rs.bpf.o");

    private static readonly VerifierOptions s_options = VerifierOptions.Default with { ContextSize = ContextSize };

    [Fact]
    public void Programs_maps_and_variables_are_found()
    {
        var spec = Load();
        Assert.Equal(["count", "old_map", "primes", "range", "shapes", "words"], spec.Programs.Select(program => program.Name).Order());
        Assert.Equal(("raw", "uring/complete", "MIT"), (spec.Program("count").Section, spec.Program("words").Section, spec.Program("words").License));
        var (counts, legacy) = (spec.Map("counts"), spec.Map("legacy"));
        Assert.Equal((MapType.Hash, 4, 8, 16), (counts.Type, counts.KeySize, counts.ValueSize, counts.MaxEntries));
        Assert.Equal((MapType.Array, 4, 8, 4), (legacy.Type, legacy.KeySize, legacy.ValueSize, legacy.MaxEntries));
        Assert.Equal((4, true), (spec.Global("scale").Size, spec.Global("scale").Map.IsFrozen));
        Assert.Equal((8, false), (spec.Global("calls").Size, spec.Global("calls").Map.IsFrozen));
        // A function that is not inlined is a subprogram of those that call it, and of no other.
        Assert.Equal(2, spec.Program("shapes").Subprograms.Length);
        Assert.Single(spec.Program("range").Subprograms);
    }

    [Theory]
    [InlineData("jit")]
    [InlineData("interpreter")]
    [InlineData("checked")]
    public void Programs_give_what_CSharp_gives(string engine)
    {
        var spec = Load().WithGlobal("scale", 7u);
        using var maps = MapSet.Create(spec.Maps);
        ulong Run(string name)
        {
            Span<byte> context = stackalloc byte[ContextSize];
            if (engine == "checked")
            {
                using var unverified = new CheckedInterpreter(spec.Program(name), maps);
                var result = unverified.Run(context);
                Assert.Null(result.Fault);
                return result.Result;
            }
            var verified = ProgramVerifier.VerifyOrThrow(spec.Program(name), s_options);
            using BpfProgram program = engine == "jit" ? ProgramCompiler.Compile(verified, maps) : InterpretedProgram.Create(verified, maps);
            return program.Run(context);
        }

        Assert.Equal((0u + 3 * 2 * 2 + 4 * 5) * 7, Run("shapes"));
        Assert.Equal((0u + 3 * 2 * 2 + 4 * 5) * 7, Run("shapes"));
        Assert.Equal(42UL, maps.Global<ulong>(spec.Global("calls")).Value);
        ulong odd = 3 + 5 + 7 + 11 + 13 + 17 + 19;
        Assert.Equal(((odd * 31) ^ 7) * 31 ^ 7, Run("primes"));
        Assert.Equal([1UL, 2UL, 3UL], [Run("count"), Run("count"), Run("count")]);
        Assert.Equal(3UL, new BpfHashMap<uint, ulong>(maps["counts"])[7]);
        Assert.Equal([5UL, 10UL], [Run("old_map"), Run("old_map")]);
        Assert.Equal((ulong)Enumerable.Range(0, 101).Sum(), Run("range"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(64)]
    [InlineData(65)]
    public void A_hook_reads_what_arrived_and_no_further(int length)
    {
        var spec = Load();
        var data = Enumerable.Range(0, length).Select(i => (byte)(3 * i + 1)).ToArray();
        using var maps = MapSet.Create(spec.Maps);
        using var hook = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program("words")), maps);
        var test = new HookTest { Data = data };
        Assert.Equal(0, test.Run(hook));
        var words = Math.Min(length, 64) / 2;
        var sum = Enumerable.Range(0, words).Sum(i => BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(2 * i)));
        var call = Assert.Single(test.Calls);
        Assert.Equal(("uring_emit", (ulong)(2 * words), (ulong)sum), (call.Name, call.Arguments[0], call.Arguments[1]));
    }

    [Fact]
    public void A_panic_that_stays_is_refused_by_name()
    {
        var refusal = Assert.Throws<BpfException>(() => Objects.Load("panic.rs.bpf.o"));
        Assert.Equal("UB1321", refusal.Code);
        Assert.Contains("'panics'", refusal.Message);
        Assert.Contains("panic_bounds_check", refusal.Message);
        Assert.Contains("get()", refusal.Message);
    }
}
