using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Differential.Tests;

/// <summary>The measured kernels, compiled by clang: every engine leaves the same result and the same memory.</summary>
public sealed class KernelTests
{
    public static TheoryData<string> Kernels =>
        [.. Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(name => name.EndsWith(".bpf.o", StringComparison.Ordinal)).Order()];

    [Theory, MemberData(nameof(Kernels))]
    public void Engines_agree(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var spec = ObjectSpec.Load(bytes, name);
        var verified = ProgramVerifier.VerifyOrThrow(spec.Programs[0]);
        using var jitMaps = MapSet.Create(spec.Maps);
        using var interpreterMaps = MapSet.Create(spec.Maps);
        using var jit = ProgramCompiler.Compile(verified, jitMaps);
        using var interpreter = InterpretedProgram.Create(verified, interpreterMaps);
        using var checkedMaps = MapSet.Create(spec.Maps);
        using var checkedInterpreter = new CheckedInterpreter(verified.Spec, checkedMaps);
        var random = new Random(7);
        for (var round = 0; round < 5; round++)
        {
            var input = new byte[4096];
            random.NextBytes(input);
            foreach (var maps in new[] { jitMaps, interpreterMaps, checkedMaps })
            {
                foreach (var map in maps.All.Where(map => map.Spec is { IsGlobalData: true, IsFrozen: false }))
                    input.AsSpan(0, Math.Min(input.Length, map.Spec.ValueSize)).CopyTo(Memory(map));
            }
            var result = jit.Run([]);
            Assert.Equal(result, interpreter.Run([]));
            var run = checkedInterpreter.Run([]);
            Assert.Null(run.Fault);
            Assert.Equal(result, run.Result);
            foreach (var map in spec.Maps)
            {
                Assert.True(Memory(jitMaps[map]).SequenceEqual(Memory(interpreterMaps[map])), $"{name}: {map.Name} differs");
                Assert.True(Memory(jitMaps[map]).SequenceEqual(Memory(checkedMaps[map])), $"{name}: {map.Name} differs when checked");
            }
        }
    }

    private static unsafe Span<byte> Memory(BpfMap map) => new(map.Header->Data, map.Spec.ValueSize);
}
