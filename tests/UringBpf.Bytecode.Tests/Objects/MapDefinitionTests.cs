using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Maps as objects declare them, and what programs say to name them.</summary>
public sealed class MapDefinitionTests
{
    public static TheoryData<int> Clangs => [.. Corpus.Clangs];

    [Theory]
    [MemberData(nameof(Clangs))]
    public void DefinitionsAreReadFromBtf(int clang)
    {
        var spec = Corpus.Load("maps", clang);
        Assert.Equal(["events", "filter", "inner_a", "inner_b", "jumps", "locks", "outer", "sized"], spec.Maps.Select(map => map.Name).Order());

        var locks = spec.Map("locks");
        Assert.Equal((MapType.Hash, 8, 16, 1024, MapFlags.NoPreallocation, 8), (locks.Type, locks.KeySize, locks.ValueSize, locks.MaxEntries, locks.Flags, locks.SpinLockOffset));
        Assert.Equal("locked", spec.Types.Resolve(locks.ValueTypeId).Name);
        var sized = spec.Map("sized");
        Assert.Equal((MapType.Array, 4, 24, 3, -1), (sized.Type, sized.KeySize, sized.ValueSize, sized.MaxEntries, sized.SpinLockOffset));
        // As libbpf rounds it: 5000 is not a power of two.
        Assert.Equal((MapType.RingBuffer, 0, 0, 8192), (spec.Map("events").Type, spec.Map("events").KeySize, spec.Map("events").ValueSize, spec.Map("events").MaxEntries));
        Assert.Equal((MapType.BloomFilter, 0, 4, 3ul), (spec.Map("filter").Type, spec.Map("filter").KeySize, spec.Map("filter").ValueSize, spec.Map("filter").Extra));
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void DeclaredEntriesNameMapsAndPrograms(int clang)
    {
        var spec = Corpus.Load("maps", clang);
        var outer = spec.Map("outer");
        Assert.Equal((MapType.ArrayOfMaps, 4, 4), (outer.Type, outer.ValueSize, outer.MaxEntries));
        Assert.Equal([(1, "inner_a"), (3, "inner_b")], outer.InitialEntries);
        Assert.Equal((MapType.Array, 4, 8, 8), (outer.InnerMap!.Type, outer.InnerMap.KeySize, outer.InnerMap.ValueSize, outer.InnerMap.MaxEntries));
        Assert.Equal([(1, "target")], spec.Map("jumps").InitialEntries);
    }

    [Theory]
    [MemberData(nameof(Clangs))]
    public void ProgramsNameTheirMapsByIndex(int clang)
    {
        var spec = Corpus.Load("maps", clang);
        var uses = spec.Program("uses");
        Assert.Equal(["sized", "locks", "outer", "jumps"], uses.Maps.Select(map => map.Name));
        Assert.All(uses.Maps, map => Assert.Same(spec.Map(map.Name), map));
        Assert.Empty(spec.Program("target").Maps);
        var named = Enumerable.Range(0, uses.Instructions.Length)
            .Where(slot => OpcodeTable.Find(uses.Instructions[slot])?.Wide == WideKind.MapIndex)
            .Select(slot => (uses.Instructions[slot].Immediate, uses.Instructions[slot + 1].Immediate));
        Assert.Equal([(0, 0), (1, 0), (2, 0), (3, 0)], named);
    }

    [Theory]
    [InlineData("legacy")]
    [InlineData("legacy.nodebug")]
    public void TheFormBeforeBtfIsRead(string name)
    {
        var spec = Corpus.Load(name);
        var counts = spec.Map("counts");
        Assert.Equal((MapType.Hash, 8, 16, 32, MapFlags.NoPreallocation), (counts.Type, counts.KeySize, counts.ValueSize, counts.MaxEntries, counts.Flags));
        Assert.Equal((MapType.Array, 4, 8, 4), (spec.Map("slots").Type, spec.Map("slots").KeySize, spec.Map("slots").ValueSize, spec.Map("slots").MaxEntries));
        Assert.Equal(["counts", "slots"], spec.Program("program").Maps.Select(map => map.Name));
    }
}
