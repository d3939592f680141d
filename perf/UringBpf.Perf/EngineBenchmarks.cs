using BenchmarkDotNet.Attributes;
using UringBpf.Compiler;
using UringBpf.Runtime;

namespace UringBpf.Perf;

/// <summary>The JIT against the interpreter, in BenchmarkDotNet's own table: every kernel, nanoseconds and bytes allocated per run.</summary>
[MemoryDiagnoser]
public class EngineBenchmarks
{
    private BpfProgram _jit = null!;
    private BpfProgram _interpreter = null!;

    /// <summary>The kernels by name.</summary>
    public static IEnumerable<string> Names => UringBpf.Perf.Kernel.All.Select(kernel => kernel.Name);

    /// <summary>The kernel to run.</summary>
    [ParamsSource(nameof(Names))]
    public string Kernel { get; set; } = "";

    /// <summary>Loads, verifies and compiles the kernel for both engines.</summary>
    [GlobalSetup]
    public void Setup()
    {
        var kernel = UringBpf.Perf.Kernel.All.Single(candidate => candidate.Name == Kernel);
        var (verified, jitMaps) = kernel.Load();
        _jit = ProgramCompiler.Compile(verified, jitMaps);
        var (sameVerified, interpreterMaps) = kernel.Load();
        _interpreter = InterpretedProgram.Create(sameVerified, interpreterMaps);
    }

    /// <summary>Compiled.</summary>
    [Benchmark(Baseline = true)]
    public ulong Jit() => _jit.Run([]);

    /// <summary>Interpreted.</summary>
    [Benchmark]
    public ulong Interpreter() => _interpreter.Run([]);

    /// <summary>Frees both.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _jit.Dispose();
        _interpreter.Dispose();
        _jit.Maps.Dispose();
        _interpreter.Maps.Dispose();
    }
}
