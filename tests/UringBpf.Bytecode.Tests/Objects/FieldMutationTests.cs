using System.Diagnostics;
using UringBpf.Fuzz;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>The short form of <c>dotnet run -c Release --project tests/UringBpf.Fuzz -- fields --count 1000000</c>.</summary>
public sealed class FieldMutationTests
{
    [Fact]
    public void LiesInFieldsAreRefusedOrHarmless()
    {
        byte[][] objects = [.. Corpus.All().Where(o => o.Clang == 19).Select(o => Corpus.Bytes(o.Name, o.Clang))];
        var summary = FieldFuzzer.Run(objects, new FuzzOptions(4_000, 20_261_129, double.PositiveInfinity, 0, 0, [], []), Stopwatch.StartNew());
        Assert.Empty(summary.Failures);
        Assert.Equal(4_000, summary.Cases);
        // Otherwise the lies would say little.
        Assert.InRange(summary.Codes.Count, 40, 200);
        Assert.InRange(summary.Loaded, 400, 3600);
        Assert.InRange(summary.Runs, 200, 20_000);
    }

    /// <summary>The short form of <c>… -- text --count 1000000</c>.</summary>
    [Fact]
    public void DamagedTextIsAssembledOrRefused()
    {
        byte[][] objects = [.. Corpus.All().Where(o => o.Clang == 19).Select(o => Corpus.Bytes(o.Name, o.Clang))];
        var summary = TextFuzzer.Run(objects, new FuzzOptions(3_000, 20_261_129, double.PositiveInfinity, 0, 0, [], []), Stopwatch.StartNew());
        Assert.Empty(summary.Failures);
        Assert.InRange(summary.Loaded, 100, 2900);
        Assert.All(summary.Codes.Keys, code => Assert.StartsWith("UB112", code, StringComparison.Ordinal));
    }
}
