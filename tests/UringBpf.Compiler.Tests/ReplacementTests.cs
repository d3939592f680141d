using System.Runtime.CompilerServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>The program in a program array is replaced while other threads tail call it as fast as they can.</summary>
[Collection(nameof(LifetimeTests))]
public sealed class ReplacementTests
{
    private const int Versions = 300;

    private static readonly MapSpec s_array = new() { Name = "programs", Type = MapType.ProgramArray, KeySize = 4, ValueSize = 4, MaxEntries = 1 };

    [Theory]
    [InlineData(CompilationMode.Eager)]
    [InlineData(CompilationMode.Tiered)]
    public async Task EachRunIsByOneVersionAndOldOnesAreCollected(CompilationMode mode)
    {
        using var maps = MapSet.Create([s_array]);
        var array = (ProgramArrayMap)maps[s_array];
        var options = CompilerOptions.Default with { Mode = mode };
        // tail_call(ctx, programs, 0); return 0.
        using var entry = ProgramCompiler.Compile(TestPrograms.Trusted(
            [new(0x18, 2, 5), new(), new(0xb7, 3), new(0x85, immediate: 12), new(0xb7, 0), new(0x95)], null, maps: [s_array], termination: Termination.Metered), maps, options);
        var old = new List<WeakReference> { Set(1) };
        // Begun is put before a version is, Ended after: a run that starts in between may be by either.
        var (begun, ended, runs, done) = (1, 1, 0L, false);
        var running = Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(() =>
        {
            var context = new byte[24];
            for (var count = 0L; !Volatile.Read(ref done); count++)
            {
                context.AsSpan().Clear();
                var oldest = Volatile.Read(ref ended);
                var result = entry.Run(context);
                var newest = Volatile.Read(ref begun);
                Assert.InRange((long)result, oldest, newest);
                for (var part = 0; part < context.Length; part += 8) Assert.Equal(result + (ulong)part, BitConverter.ToUInt64(context, part));
                Interlocked.Increment(ref runs);
            }
        }, TaskCreationOptions.LongRunning)).ToArray();
        for (var version = 2; version <= Versions; version++)
        {
            var before = Volatile.Read(ref runs);
            Volatile.Write(ref begun, version);
            old.Add(Set(version));
            Volatile.Write(ref ended, version);
            while (Volatile.Read(ref runs) < before + 100 && !running.Any(task => task.IsCompleted)) await Task.Yield();
        }
        Volatile.Write(ref done, true);
        await Task.WhenAll(running);
        for (var attempt = 0; attempt < 2000 && old[..^1].Any(program => program.IsAlive); attempt++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Delay(5);
        }
        Assert.Equal(0, old[..^1].Count(program => program.IsAlive));

        [MethodImpl(MethodImplOptions.NoInlining)]
        WeakReference Set(int version)
        {
            using var program = Compile(version, maps, options);
            array.Set(0, program);
            return new WeakReference(program);
        }
    }

    // Writes its number to three places, adding to it; returns it.
    private static BpfProgram Compile(int version, MapSet maps, CompilerOptions options)
    {
        var code = new List<Instruction> { new(0xb7, 0, immediate: version) };
        for (short part = 0; part < 24; part += 8) code.AddRange([new(0xb7, 2, immediate: version + part), new(0x7b, 1, 2, part)]);
        code.Add(new(0x95));
        return ProgramCompiler.Compile(TestPrograms.Trusted([.. code], null, termination: Termination.Metered), maps, options);
    }
}
