using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>From bytes to programs that run, all or nothing. Alone: they look at the maps and the trace sink of the whole process.</summary>
[Collection(nameof(EngineTests))]
[CollectionDefinition(nameof(EngineTests), DisableParallelization = true)]
public sealed class EngineTests
{
    private static readonly BpfEngine s_eight = new(BpfEngineOptions.Default with { Verifier = VerifierOptions.Default with { ContextSize = 8 } });

    [Theory]
    [InlineData(CompilationMode.Eager, "jit")]
    [InlineData(CompilationMode.InterpreterOnly, "interpreter")]
    public void An_object_is_loaded_verified_and_compiled(CompilationMode mode, string engine)
    {
        var options = BpfEngineOptions.Default with { Verifier = VerifierOptions.Default with { ContextSize = 8 }, Compiler = CompilerOptions.Default with { Mode = mode } };
        using var loaded = new BpfEngine(options).Load(Shapes.Spec);
        Assert.Equal(["target", "record", "jumper"], loaded.Programs.Select(program => program.Name));
        Assert.All(loaded.Programs, program => Assert.Equal(engine, program.Engine));
        Assert.Equal(unchecked((uint)-7), (uint)loaded["record"].Run(new byte[8]));
        loaded.Global<bool>("enabled").Value = true;
        Assert.Equal(0UL, loaded["record"].Run([1, 0, 0, 0, 2, 0, 0, 0]));
        Assert.Equal(1UL, loaded.ArrayMap<ulong>("sums")[0]);
        // The entry that the object declares in '.values'.
        Assert.Equal(42UL, loaded["jumper"].Run(new byte[8]));
    }

    [Fact]
    public void Maps_and_programs_are_found_by_name_and_type()
    {
        using var loaded = s_eight.Load(Shapes.Spec);
        Assert.Equal("UB1330", Assert.Throws<BpfException>(() => loaded["recrod"]).Code);
        Assert.Equal("UB1331", Assert.Throws<BpfException>(() => loaded.Map("evnets")).Code);
        Assert.Equal("UB1332", Assert.Throws<BpfException>(() => loaded.Global<int>("thresold")).Code);
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => loaded.HashMap<uint, ulong>("sums")).Code);
        Assert.Equal("UB4104", Assert.Throws<BpfException>(() => loaded.RingBuffer("sums")).Code);
        Assert.Equal(0, loaded.QueueMap<uint>("jobs").Count);
        Assert.Equal(1, loaded.PerCpuMap<int, long>("per_slot").Count);
        Assert.Equal(0, loaded.RingBuffer("records").Unconsumed);
    }

    [Fact]
    public void Settings_are_in_force_before_the_programs_are_verified()
    {
        using var file = new TemporaryFile(File.ReadAllBytes(Path.Combine(Repository.Root, "tests/UringBpf.Engine.Tests/bpf/shapes.bpf.o")));
        using var loaded = s_eight.LoadFile(file.Path, spec => spec.WithGlobal("scale", 1000u));
        loaded.Global<bool>("enabled").Value = true;
        loaded["record"].Run([0, 0, 0, 0, 2, 0, 0, 0]);
        Assert.Equal(2003UL, loaded.HashMap<ulong, Shapes.Event>("events")[2UL << 32].When);
    }

    [Fact]
    public void A_rejection_says_what_where_and_with_which_input()
    {
        var before = BpfMap.LiveCount;
        var rejected = Assert.Throws<BpfRejectedException>(() => s_eight.Load(Objects.Bytes("unsafe.bpf.o"), "unsafe.bpf.o"));
        Assert.Equal(("UB2103", "count"), (rejected.Code, rejected.Program));
        Assert.Contains("unsafe.bpf.c:20", rejected.Message);
        // All or nothing, although another program of the object is fine. The collector may free maps of earlier tests meanwhile.
        Assert.InRange(BpfMap.LiveCount, 0, before);
        Assert.Contains("witness: ctx[5] = 16", rejected.Message);
    }

    [Theory]
    [InlineData("tail", "14 bytes of data: ")]
    [InlineData("head", "ctx->user_data = 77, ")]
    [InlineData("leak", "")]
    public void Witnesses_know_packets_and_completions(string program, string expected)
    {
        var rejected = Assert.Throws<BpfRejectedException>(() => BpfEngine.Default.Verify(Objects.Load("packet.bpf.o").Program(program)));
        // A result above 0 may come from an operation without a buffer. A leak is no fault: it is refused without a witness.
        if (expected.Length == 0) Assert.Empty(rejected.Rejection.Witness);
        else Assert.StartsWith(expected, rejected.Rejection.Witness);
    }

    [Fact]
    public void A_host_does_not_notice_that_a_witness_is_tried()
    {
        var printed = 0;
        var sink = TextFunctions.Sink;
        TextFunctions.Sink = _ => printed++;
        try
        {
            // The program prints before it faults.
            Assert.NotEmpty(Assert.Throws<BpfRejectedException>(() => s_eight.Load(Objects.Load("unsafe.bpf.o"))).Rejection.Witness);
            Assert.Equal(0, printed);
        }
        finally
        {
            TextFunctions.Sink = sink;
        }

        HostFunctions.Calls = 0;
        var host = new BpfEngine(s_eight.Options.WithFunctions(FunctionRegistry.BuiltIn.With(typeof(HostFunctions))));
        var code = Assembler.Assemble("call 65537\nr1 = *(u64 *)(r0 + 0)\nexit");
        var program = ProgramSpec.FromBytes("host", MemoryMarshal.AsBytes(code.AsSpan())) with { Functions = host.Options.Loading.Functions };
        Assert.Empty(Assert.Throws<BpfRejectedException>(() => host.Verify(program)).Rejection.Witness);
        Assert.Equal(0, HostFunctions.Calls);
    }

    [Fact]
    public void Sections_without_a_type_are_told_apart()
    {
        var spec = Objects.Load("unsafe.bpf.o").Program("fine") with { Type = null, Section = "kprobe/x" };
        Assert.Equal("UB4004", Assert.Throws<BpfException>(() => BpfEngine.Default.Verify(spec)).Code);
    }

    [Fact]
    public void Examining_creates_nothing()
    {
        var before = BpfMap.LiveCount;
        var verdicts = s_eight.Examine(Objects.Load("unsafe.bpf.o"));
        Assert.Equal([("count", false), ("fine", true)], verdicts.Select(verdict => (verdict.Program.Name, verdict.Accepted)));
        Assert.InRange(BpfMap.LiveCount, 0, before);
    }

    private static class HostFunctions
    {
        public static int Calls;

        [BpfHelper(65537)]
        public static ulong Touch()
        {
            Calls++;
            return 0;
        }
    }
}

internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(byte[] bytes) => File.WriteAllBytes(Path, bytes);

    public string Path { get; } = System.IO.Path.GetTempFileName();

    public void Dispose() => File.Delete(Path);
}
