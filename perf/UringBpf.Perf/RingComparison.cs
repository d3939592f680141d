using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>
/// NOPs per second through the ring, with an empty compiled hook on each completion and without, against the same loop in
/// C with liburing. All in one process, in turn, on one thread each.
/// </summary>
internal static unsafe class RingComparison
{
    private const int OperationsPerSample = 1 << 13;
    private static readonly int[] s_batches = [1, 8, 32, 128];

    public static int Run(string folder, int rounds)
    {
        using var peer = CPeer.TryCreate();
        if (peer == null) Console.Error.WriteLine("no C compiler or no liburing (Debian package liburing-dev): C is left out.");
        var spec = ObjectSpec.Load(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "hooks", "empty.bpf.o")), "empty.bpf.o");
        using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Empty);
        var ring = Ring.Ring.Create();
        Console.WriteLine($"ring: {ring.Features.Setup}, registered ring {ring.Features.RegisteredRing}");
        var link = ring.Attach(program, new Grants(), new ChainLimits { MaxInFlight = 1024, MaxSteps = uint.MaxValue });
        // A timer keeps the chain alive between batches.
        var chain = link.StartAsync(UringOp.Timeout(TimeSpan.FromHours(1)));

        var text = new StringBuilder("# NOPs through the ring\n\n");
        text.Append(CultureInfo.InvariantCulture, $"Nanoseconds per NOP, median of {rounds} interleaved rounds of {OperationsPerSample} operations.\n\n");
        text.Append("| batch | C, liburing, handler | ring, empty hook | ring, no hook | hook adds | rate of ring with hook to C |\n|---:|---:|---:|---:|---:|---:|\n");
        foreach (var batch in s_batches)
        {
            var c = new List<double>();
            var hooked = new List<double>();
            var plain = new List<double>();
            for (var round = 0; round <= rounds; round++)
            {
                var batches = OperationsPerSample / batch;
                var samples = (C: peer?.Run(batch, batches) ?? double.NaN, Hooked: Measure(ring, link, batch, batches, true), Plain: Measure(ring, link, batch, batches, false));
                // The first round warms up.
                if (round == 0) continue;
                c.Add(samples.C);
                hooked.Add(samples.Hooked);
                plain.Add(samples.Plain);
            }
            double cMedian = Median(c), hookedMedian = Median(hooked), plainMedian = Median(plain);
            text.Append(CultureInfo.InvariantCulture, $"| {batch} | {cMedian:F1} | {hookedMedian:F1} | {plainMedian:F1} | {hookedMedian - plainMedian:F1} | {cMedian / hookedMedian:F2} |\n");
        }
        ring.DisposeAsync().AsTask().GetAwaiter().GetResult();
        chain.AsTask().GetAwaiter().GetResult();
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "ring.md"), text.ToString());
        Console.Write(text.ToString());
        return 0;
    }

    // On the ring's thread: submits batches and takes their completions, as its own loop does.
    internal static double Measure(Ring.Ring ring, HookLink link, int batch, int batches, bool hook)
    {
        var nanoseconds = 0.0;
        ring.RunOnOwner(() =>
        {
            var chain = link.FirstChain;
            // A chain that is ending takes its completions without running the hook: the same path but for the call.
            chain->Phase = hook ? ChainPhase.Live : ChainPhase.Ending;
            chain->StepLimit = hook ? uint.MaxValue : 0;
            var start = Stopwatch.GetTimestamp();
            for (var round = 0; round < batches; round++) Batch(ring, chain, (uint)batch);
            nanoseconds = Stopwatch.GetElapsedTime(start).TotalNanoseconds / ((double)batch * batches);
            chain->Phase = ChainPhase.Live;
            chain->StepLimit = uint.MaxValue;
        }).AsTask().GetAwaiter().GetResult();
        return nanoseconds;
    }

    // Part of the loop, as all is in the ring's own and in C.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Batch(Ring.Ring ring, Chain* chain, uint batch)
    {
        for (uint i = 0; i < batch; i++)
        {
            var operation = ring.Operations.Take(OperationOwner.Chain);
            var entry = ring.Reserve(operation);
            entry->Opcode = operation->Opcode = IoUringOp.Nop;
            entry->Fd = -1;
            Ring.Ring.Link(chain, operation);
            ring.Send(operation, entry);
        }
        ring.Turn(batch);
    }

    internal static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }

    /// <summary>perf/c/nop.c, compiled at run time.</summary>
    private sealed class CPeer : IDisposable
    {
        private readonly nint _library;
        private readonly nint _ring;

        private CPeer(nint library)
        {
            _library = library;
            _ring = ((delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "nop_open"))();
            if (_ring == 0) throw new InvalidOperationException("the C peer could not open its ring.");
        }

        public static CPeer? TryCreate()
        {
            var output = CCompiler.TryCompile("nop.c", "-shared", "-fPIC", "-luring");
            if (output == null) return null;
            var peer = new CPeer(NativeLibrary.Load(output));
            File.Delete(output);
            return peer;
        }

        public double Run(int batch, int batches)
        {
            var total = ((delegate* unmanaged<nint, uint, uint, double>)NativeLibrary.GetExport(_library, "nop_run"))(_ring, (uint)batch, (uint)batches);
            if (total < 0) throw new InvalidOperationException("the C peer failed.");
            return total / ((double)batch * batches);
        }

        public void Dispose()
        {
            ((delegate* unmanaged<nint, void>)NativeLibrary.GetExport(_library, "nop_close"))(_ring);
            NativeLibrary.Free(_library);
        }
    }
}
