using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Global data as maps, and its variables by name.</summary>
public sealed class GlobalDataTests
{
    [Fact]
    public void SectionsAreArraysOfOneElement()
    {
        var spec = Corpus.Load("globals");
        Assert.Equal([".bss", ".data", ".data.named", ".rodata", ".rodata.str1.1"], spec.Maps.Select(map => map.Name).Order(StringComparer.Ordinal));
        Assert.All(spec.Maps, map => Assert.Equal((MapType.Array, 4, 1, true), (map.Type, map.KeySize, map.MaxEntries, map.IsGlobalData)));
        Assert.All(spec.Maps, map => Assert.Equal(map.Name.StartsWith(".rodata", StringComparison.Ordinal), map.IsFrozen));
        Assert.All(spec.Maps, map => Assert.Equal(map.Name == ".bss" ? 0 : map.ValueSize, map.InitialValue.Length));
        Assert.All(spec.Maps.Where(map => map.IsFrozen), map => Assert.True(map.Flags.HasFlag(MapFlags.ReadOnlyProgram)));
    }

    [Theory]
    [InlineData("globals")]
    [InlineData("globals.nodebug")]
    public void VariablesAreFoundByName(string name)
    {
        var spec = Corpus.Load(name);
        Assert.Equal(5u, spec.GlobalValue<uint>("threshold"));
        Assert.Equal(7ul, spec.GlobalValue<ulong>("counter"));
        Assert.Equal(9u, spec.GlobalValue<uint>("internal"));
        Assert.Equal(11u, spec.GlobalValue<uint>("named"));
        Assert.Equal(0ul, spec.GlobalValue<ulong>("zeroed"));
        Assert.Equal(1, spec.GlobalValue<int>("reads.calls"));
        Assert.Equal((100u, (byte)2, (byte)1, (byte)2, (byte)3), spec.GlobalValue<(uint, byte, byte, byte, byte)>("settings"));
        Assert.Equal((".bss", 32), (spec.Global("also_zeroed").Map.Name, spec.Global("also_zeroed").Size));
        Assert.Equal(name == "globals", spec.Global("threshold").TypeId != 0);
    }

    [Fact]
    public void VariablesHaveTheirTypes()
    {
        var spec = Corpus.Load("globals");
        Assert.Equal("settings", spec.Types.Resolve(spec.Global("settings").TypeId).Name);
        Assert.All(spec.Globals.Where(global => global.TypeId != 0), global => Assert.Equal(global.Size, spec.Types.SizeOf(global.TypeId)));
    }

    [Fact]
    public void AChangedVariableIsANewObjectThroughout()
    {
        var before = Corpus.Load("globals");
        var after = before.WithGlobal("threshold", 42u).WithGlobal("zeroed", 1ul);
        Assert.Equal((5u, 0ul), (before.GlobalValue<uint>("threshold"), before.GlobalValue<ulong>("zeroed")));
        Assert.Equal((42u, 1ul), (after.GlobalValue<uint>("threshold"), after.GlobalValue<ulong>("zeroed")));
        Assert.Equal(11u, after.GlobalValue<uint>("named"));
        foreach (var map in new[] { ".rodata", ".bss" })
        {
            Assert.NotSame(before.Map(map), after.Map(map));
            Assert.Contains(after.Map(map), after.Program("reads").Maps);
            Assert.DoesNotContain(before.Map(map), after.Program("reads").Maps);
            Assert.All(after.Globals.Where(global => global.Map.Name == map), global => Assert.Same(after.Map(map), global.Map));
        }
        Assert.Same(before.Map(".data"), after.Map(".data"));
        Assert.All(after.Programs.SelectMany(program => program.Maps), map => Assert.Contains(map, after.Maps));
        Assert.Equal(before.Program("reads").Instructions, after.Program("reads").Instructions);
    }

    [Fact]
    public void LoadsOfVariablesPointIntoTheirSections()
    {
        var spec = Corpus.Load("globals");
        var reads = spec.Program("reads");
        var loads = Enumerable.Range(0, reads.Instructions.Length)
            .Where(slot => OpcodeTable.Find(reads.Instructions[slot])?.Wide == WideKind.MapValueIndex)
            .Select(slot => (reads.Maps[reads.Instructions[slot].Immediate], reads.Instructions[slot + 1].Immediate))
            .ToHashSet();
        foreach (var name in new[] { "counter", "threshold", "internal", "zeroed", "named", "reads.calls" })
            Assert.Contains((spec.Global(name).Map, spec.Global(name).Offset), loads);
    }

    [Fact]
    public void PointersInDataAreOffsetsInTheirSection()
    {
        var spec = Corpus.Load("globals");
        var strings = spec.Map(".rodata.str1.1").InitialValue.AsSpan().ToArray();
        var words = spec.Global("words");
        var bytes = words.Map.InitialValue.AsSpan().Slice(words.Offset, words.Size).ToArray();
        Assert.Equal(["alpha", "beta", "gamma"], Enumerable.Range(0, 3).Select(i =>
        {
            var at = (int)BitConverter.ToInt64(bytes, i * 8);
            return System.Text.Encoding.UTF8.GetString(strings, at, Array.IndexOf(strings, (byte)0, at) - at);
        }));
    }
}
