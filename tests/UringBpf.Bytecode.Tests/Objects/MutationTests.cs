using System.Diagnostics;
using UringBpf.Fuzz;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>The short form of <c>dotnet run -c Release --project tests/UringBpf.Fuzz -- verify --count 1000000</c>.</summary>
public sealed class MutationTests
{
    [Fact]
    public void DamagedObjectsLoadOrAreRefusedWithinBounds()
    {
        byte[][] objects = [.. Corpus.All().Select(o => Corpus.Bytes(o.Name, o.Clang))];
        var summary = ObjectFuzzer.Run(objects, new FuzzOptions(10_000, 20_261_123, double.PositiveInfinity, 0, 0, [], []), Stopwatch.StartNew(), verify: true);
        Assert.Empty(summary.Failures);
        Assert.Equal(10_000, summary.Cases);
        // Otherwise the damage would say little.
        Assert.InRange(summary.Codes.Count, 40, 200);
        Assert.InRange(summary.Loaded, 1000, 9000);
    }
}
