using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Programs start on the interpreter and go on as machine code.</summary>
public sealed class TieringTests
{
    private static readonly VerifiedProgram s_program = TestPrograms.Trusted(new Instruction(0x79, 0, 1), new Instruction(0x07, immediate: 1), new Instruction(0x95));

    [Fact]
    public async Task ATieredProgramSwitchesWhileItRuns()
    {
        using var program = (TieredProgram)ProgramCompiler.Compile(s_program, MapSet.Empty, CompilerOptions.Default with { Mode = CompilationMode.Tiered });
        var entry = EntryOf(program);
        var context = new byte[8];
        context[0] = 41;
        Assert.Equal(42ul, program.Run(context));
        await program.Compilation;
        Assert.Equal("jit", program.Engine);
        Assert.Equal(42ul, program.Run(context));
        // Who took the entry point before the switch need not take it again.
        Assert.Equal(entry, EntryOf(program));
    }

    [Fact]
    public async Task UntilItIsCompiledItRunsOnTheInterpreter()
    {
        using var release = new ManualResetEventSlim();
        using var program = new TieredProgram(InterpretedProgram.Create(s_program, MapSet.Empty), () =>
        {
            release.Wait();
            return ProgramCompiler.Compile(s_program, MapSet.Empty);
        });
        Assert.Equal("interpreter", program.Engine);
        Assert.Equal(1ul, program.Run(new byte[8]));
        release.Set();
        await program.Compilation.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("jit", program.Engine);
    }

    [Fact]
    public async Task WhenCompilingFailsTheInterpreterStays()
    {
        using var program = new TieredProgram(InterpretedProgram.Create(s_program, MapSet.Empty), () => throw new BpfException("UB3001", "no"));
        await Assert.ThrowsAsync<BpfException>(() => program.Compilation);
        Assert.Equal("interpreter", program.Engine);
        Assert.Equal(1ul, program.Run(new byte[8]));
    }

    [Fact]
    public void InterpreterOnlyNeverCompiles()
    {
        using var program = ProgramCompiler.Compile(s_program, MapSet.Empty, CompilerOptions.Default with { Mode = CompilationMode.InterpreterOnly });
        Assert.IsType<InterpretedProgram>(program);
        Assert.Equal(1ul, program.Run(new byte[8]));
    }

    [Fact]
    public void BothEnginesAgreeOnRandomPrograms()
    {
        for (var seed = 1000; seed < 1300; seed++)
        {
            var program = new RandomPrograms(seed).Make(50, seed % 2 == 0 ? Termination.Proved : Termination.Metered);
            using var compiled = ProgramCompiler.Compile(program, MapSet.Empty);
            using var interpreted = InterpretedProgram.Create(program, MapSet.Empty);
            var first = new byte[RandomPrograms.ContextBytes];
            new Random(seed).NextBytes(first);
            var second = (byte[])first.Clone();
            var (left, right) = (Run(compiled, first, seed % 200), Run(interpreted, second, seed % 200));
            Assert.True(left == right, $"seed {seed}: {left} and {right}");
            Assert.True(first.AsSpan().SequenceEqual(second) || left.Fault, $"seed {seed}");
        }
    }

    private static unsafe (bool Fault, ulong Result, long Budget) Run(BpfProgram program, byte[] context, long budget)
    {
        var state = ExecutionSlot.Current;
        state->Reset(budget);
        fixed (byte* pointer = context)
        {
            var result = program.EntryPoint(program.Self, pointer, (ulong)context.Length, state);
            state->Leave();
            return state->Fault == RunFault.None ? (false, result, state->Budget) : (true, 0, state->Budget);
        }
    }

    private static unsafe nint EntryOf(BpfProgram program) => (nint)program.EntryPoint;

    [Fact]
    public async Task MapsStayUntilCompilingHasEndedThoughTheyAreDisposedBefore()
    {
        // The map's memory is read while it compiles: a while after everything was disposed.
        var spec = new MapSpec { Name = "values", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 1 };
        var maps = MapSet.Create([spec]);
        using var go = new SemaphoreSlim(0);
        var read = 0UL;
        var interpreter = InterpretedProgram.Create(TestPrograms.Trusted([new(0xb7, 0), new(0x95)]), maps);
        var tiered = new TieredProgram(interpreter, () =>
        {
            go.Wait(TestContext.Current.CancellationToken);
            unsafe { read = (ulong)maps[spec].Header->Data[0] + maps[spec].Header->ValueSize; }
            throw new BpfException("UB3001", "enough");
        });
        tiered.Dispose();
        maps.Dispose();
        go.Release();
        await Assert.ThrowsAsync<BpfException>(() => tiered.Compilation);
        Assert.Equal(8UL, read);
    }

    [Theory]
    [InlineData(CompilationMode.Eager)]
    [InlineData(CompilationMode.Tiered)]
    [InlineData(CompilationMode.InterpreterOnly)]
    public void MapsThatAreDisposedAreRefusedBeforeTheirMemoryIsRead(CompilationMode mode)
    {
        var spec = new MapSpec { Name = "values", Type = MapType.Array, KeySize = 4, ValueSize = 8, MaxEntries = 1 };
        var program = TestPrograms.Trusted([new(0x18, 1, 6), new(), new(0x79, 0, 1), new(0x95)], null, maps: [spec]);
        var maps = MapSet.Create([spec]);
        maps.Dispose();
        Assert.Throws<ObjectDisposedException>(() => ProgramCompiler.Compile(program, maps, CompilerOptions.Default with { Mode = mode }));
    }
}
