using System.Runtime.CompilerServices;
using System.Text;
using UringBpf.Bytecode;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>The class that the build made of bpf/shapes.bpf.o: what the program writes, typed properties read.</summary>
public sealed class SkeletonTests
{
    private static readonly BpfEngine s_engine = new(BpfEngineOptions.Default with { Verifier = VerifierOptions.Default with { ContextSize = 8 } });

    [Fact]
    public void Programs_maps_and_globals_are_properties()
    {
        Shapes.UshortArray3 weights = default;
        weights[2] = 40;
        using var shapes = Shapes.Load(new Shapes.Settings { Scale = 10, Weights = weights }, s_engine);
        Assert.Equal((10u, 40), (shapes.Globals.Scale, shapes.Globals.Weights[2]));
        Assert.Equal((-7, false, Shapes.Kind.KIND_READ), (shapes.Globals.Threshold, shapes.Globals.Enabled, shapes.Globals.LastKind));
        shapes.Globals.Threshold = -21;
        Assert.Equal(-21, (int)shapes.Programs.Record.Run(new byte[8]));

        shapes.Globals.Enabled = true;
        Assert.Equal(0UL, shapes.Programs.Record.Run([7, 0, 0, 0, 5, 0, 0, 0]));
        var key = new Shapes.Key { Id = 7, Port = 5 };
        Assert.True(shapes.Maps.Events.TryGetValue(key, out var value));
        Assert.Equal((90UL, Shapes.Kind.KIND_FAR, -21, true), (value.When, value.Kind, value.Number, value.Done));
        Assert.Equal("hi", Encoding.UTF8.GetString(value.Name).TrimEnd('\0'));
        Assert.Equal((-21, -2), (BitConverter.ToInt32(value.Octets), value.Corners[1].Y));
        Assert.Equal((90UL, Shapes.Kind.KIND_NONE), (shapes.Globals.Latest.When, shapes.Globals.LastKind));
        Assert.Equal(7UL, shapes.Maps.Sums[0]);
        Assert.True(shapes.Maps.Jobs.TryPop(out var job));
        Assert.Equal(7u, job);
        Assert.Equal(1, shapes.Maps.Records.Consume(record => Assert.Equal(5, BitConverter.ToUInt16(record[4..]))));

        Shapes.ByteArray3 plain = default;
        plain[0] = 1;
        shapes.Maps.Plain[plain] = 9;
        Assert.Equal(9u, shapes.Maps.Plain[plain]);
        Assert.Equal(42UL, shapes.Programs.Jumper.Run(new byte[8]));
        Assert.Equal(1, shapes.Globals.JumperJumps);
        Assert.Same(shapes.Programs.Target, shapes.Maps.Jump[1]);
    }

    [Fact]
    public void Structs_have_the_layout_of_C() => Assert.Equal(
        (48, 8, 4, 3),
        (Unsafe.SizeOf<Shapes.Event>(), Unsafe.SizeOf<Shapes.Key>(), Unsafe.SizeOf<Shapes.PointT>(), Unsafe.SizeOf<Shapes.ByteArray3>()));

    [Fact]
    public void Each_load_has_maps_of_its_own()
    {
        using var first = Shapes.Load(engine: s_engine);
        using var second = Shapes.Load(engine: s_engine);
        first.Globals.Threshold = 1;
        Assert.Equal((1, -7), (first.Globals.Threshold, second.Globals.Threshold));
        first.Dispose();
        Assert.Throws<ObjectDisposedException>(() => first.Globals.Threshold);
    }
}
