using System.Diagnostics;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Code that nothing uses is collected, and runs allocate nothing. After all other tests, whose memory would be counted.</summary>
[Collection(nameof(LifetimeTests))]
[CollectionDefinition(nameof(LifetimeTests), DisableParallelization = true)]
public sealed class LifetimeTests(ITestOutputHelper output)
{
    // Set URINGBPF_SOAK=100000 for the long form.
    private static readonly int s_rounds = int.TryParse(Environment.GetEnvironmentVariable("URINGBPF_SOAK"), out var rounds) ? rounds : 8_000;

    // A program that stays takes some 10 KiB: even after a quarter of the short form they would be 30 MiB.
    private const long MostBytes = 8 << 20;

    // For good: what they would free, another test's leak could hide in.
    private static readonly List<BpfProgram> s_kept = [];

    [Fact]
    public void CompiledAndDroppedProgramsDoNotPileUp()
    {
        // Four parts, of which the first settles what is allocated once.
        var sizes = new List<long>();
        for (var part = 0; part < 4; part++)
        {
            for (var i = 0; i < s_rounds / 4; i++) CompileRunDrop(i);
            sizes.Add(OwnMemory());
            output.WriteLine($"{(part + 1) * (s_rounds / 4)} programs: {sizes[^1] >> 10} KiB");
        }
        Assert.True(sizes.Max() - sizes[0] < MostBytes, $"{s_rounds} programs: {string.Join(", ", sizes.Select(size => $"{size >> 10} KiB"))}");
    }

    [Fact]
    public void ProgramsThatStayAreSeenToPileUp()
    {
        for (var i = 0; i < 500; i++) CompileRunDrop(i);
        var before = OwnMemory();
        for (var i = 0; i < 3_000; i++) s_kept.Add(ProgramCompiler.Compile(Numbered(i), MapSet.Empty));
        var after = OwnMemory();
        Assert.True(after - before > MostBytes, $"{s_kept.Count} programs: {after - before >> 10} KiB");
    }

    [Fact]
    public void CodeThatNothingHoldsIsCollected()
    {
        var (program, method) = CompileAndDispose();
        for (var i = 0; i < 10 && (program.IsAlive || method.IsAlive); i++) Settle();
        Assert.False(program.IsAlive, "the program is alive");
        Assert.False(method.IsAlive, "its code is alive");
    }

    [Fact]
    public void RunsAllocateNothing()
    {
        var program = new RandomPrograms(7).Make(60);
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty);
        var context = new byte[RandomPrograms.ContextBytes];
        for (var i = 0; i < 100; i++) compiled.Run(context);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) compiled.Run(context);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void AProgramOutlivesItsReferenceWhileItRuns()
    {
        // The entry point alone does not keep code alive; Run does.
        var result = RunThroughTemporary();
        Settle();
        Assert.Equal(42ul, result);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong RunThroughTemporary() => ProgramCompiler.Compile(TestPrograms.Trusted(new Instruction(0xb7, immediate: 42), new Instruction(0x95)), MapSet.Empty).Run([]);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (WeakReference Program, WeakReference Method) CompileAndDispose()
    {
        using var program = (CompiledProgram)ProgramCompiler.Compile(Numbered(7), MapSet.Empty);
        Assert.Equal(8ul, program.Run([]));
        return (new WeakReference(program), new WeakReference(program.Code.Methods.Values.Single()));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void CompileRunDrop(int i)
    {
        using var compiled = ProgramCompiler.Compile(Numbered(i), MapSet.Empty);
        Assert.Equal((ulong)i + 1, compiled.Run([]));
    }

    private static VerifiedProgram Numbered(int i) => TestPrograms.Trusted(new Instruction(0xb7, immediate: i), new Instruction(0x07, immediate: 1), new Instruction(0x95));

    private static void Settle()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    // Without what the collector keeps for the next allocations: it takes 16 MiB or more as it sees fit, whatever is alive.
    private static long OwnMemory()
    {
        for (var i = 0; i < 3; i++) Settle();
        using var process = Process.GetCurrentProcess();
        return process.PrivateMemorySize64 - GC.GetGCMemoryInfo(GCKind.Any).TotalCommittedBytes + GC.GetTotalMemory(forceFullCollection: false);
    }
}
