using System.Runtime.CompilerServices;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>An attachment is given new programs, each compiled meanwhile, while chains run as fast as they can.</summary>
public abstract class ReplacementTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int Versions = 200, Chains = 16;

    private static readonly ObjectSpec s_versions = Hooks.Load("versions.bpf.o");

    [Theory]
    [InlineData(CompilationMode.Eager)]
    [InlineData(CompilationMode.Tiered)]
    public async Task Each_chain_runs_on_one_version_that_was_in_place_when_it_started(CompilationMode mode)
    {
        await using var ring = CreateRing();
        var old = new List<WeakReference>();
        // Begun is put before an update, Ended after it: a chain that starts in between may have either.
        var (begun, ended, chains, done) = (1, 1, 0, false);
        var link = AttachFirst(ring, mode, old);
        var running = Enumerable.Range(0, Chains).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref done))
            {
                var oldest = Volatile.Read(ref ended);
                var result = await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
                var newest = Volatile.Read(ref begun);
                Assert.InRange(-result.Verdict, oldest, newest);
                Assert.Equal(4u, result.Steps);
                Interlocked.Increment(ref chains);
            }
        })).ToArray();
        for (var version = 2; version <= Versions; version++)
        {
            var before = Volatile.Read(ref chains);
            var next = Compile(version, mode);
            Volatile.Write(ref begun, version);
            await link.UpdateAsync(next).AsTask().WaitAsync(s_patience);
            Volatile.Write(ref ended, version);
            // The link keeps it: here nothing does any more.
            next.Dispose();
            old.Add(new WeakReference(next));
            // Each version has chains of its own.
            while (Volatile.Read(ref chains) < before + Chains && !running.Any(task => task.IsCompleted)) await Task.Yield();
        }
        Volatile.Write(ref done, true);
        await Task.WhenAll(running).WaitAsync(s_patience);
        Assert.True(chains >= Versions * Chains, $"{chains} chains");

        // All but the last can be collected while the attachment is in place, and the last after it.
        await Collected(old[..^1]);
        await link.DisposeAsync();
        await Collected(old);
    }

    // In a method of its own: what it leaves in registers and on the stack does not keep a program alive.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static HookLink AttachFirst(Ring ring, CompilationMode mode, List<WeakReference> old)
    {
        using var first = Compile(1, mode);
        old.Add(new WeakReference(first));
        return ring.Attach(first, new Grants());
    }

    private static BpfProgram Compile(int version, CompilationMode mode)
    {
        var spec = s_versions.WithGlobal("version", (uint)version);
        return ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program("versioned")), MapSet.Create(spec.Maps), CompilerOptions.Default with { Mode = mode });
    }

    private static async Task Collected(List<WeakReference> programs)
    {
        for (var attempt = 0; attempt < 1000 && programs.Any(program => program.IsAlive); attempt++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Delay(10);
        }
        Assert.Equal(0, programs.Count(program => program.IsAlive));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelReplacementTests() : ReplacementTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableReplacementTests() : ReplacementTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedReplacementTests() : ReplacementTests(RingBackendKind.Simulated);
