using System.Diagnostics;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Code that nothing uses is collected, and runs allocate nothing. After all other tests, whose memory would be counted.</summary>
[Collection(nameof(LifetimeTests))]
[CollectionDefinition(nameof(LifetimeTests), DisableParallelization = true)]
public sealed class LifetimeTests
{
    // Set URINGBPF_SOAK=100000 for the long form.
    private static readonly int s_rounds = int.TryParse(Environment.GetEnvironmentVariable("URINGBPF_SOAK"), out var rounds) ? rounds : 3_000;

    [Fact]
    public void CompiledAndDroppedProgramsDoNotPileUp()
    {
        for (var i = 0; i < 500; i++) CompileRunDrop(i);
        var before = Settle();
        for (var i = 0; i < s_rounds; i++) CompileRunDrop(i);
        var after = Settle();
        // Each program takes some 10 KiB while it lives: even the short form would grow by 30 MiB.
        Assert.True(after - before < 16 << 20, $"{s_rounds} programs: private memory went from {before >> 20} to {after >> 20} MiB");
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
    private static void CompileRunDrop(int i)
    {
        var program = TestPrograms.Trusted(new Instruction(0xb7, immediate: i), new Instruction(0x07, immediate: 1), new Instruction(0x95));
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty);
        Assert.Equal((ulong)i + 1, compiled.Run([]));
    }

    private static long Settle()
    {
        for (var i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        using var process = Process.GetCurrentProcess();
        return process.PrivateMemorySize64;
    }
}
