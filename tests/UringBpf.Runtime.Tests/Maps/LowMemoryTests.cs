using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Small maps lie where machine code names their addresses in four bytes, as long as there is room. Alone: others' maps take room too.</summary>
[Collection(nameof(AloneCollection))]
public sealed unsafe class LowMemoryTests
{
    private static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    [Theory]
    [InlineData(1)]
    [InlineData(1_000)]
    [InlineData(100_000)]
    public void SmallMapsLieBelowTwoGibibytes(int entries)
    {
        Assert.SkipUnless(IsSupported, "Linux on x86-64 only");
        using var map = BpfMap.Create(OfEntries(entries));
        Assert.True((ulong)map.Header->Data + (ulong)entries * 8 < 1UL << 31);
        Assert.Equal(0UL, (ulong)map.Header->Data % 64);
        Assert.True(new Span<byte>(map.Header->Data, entries * 8).IndexOfAnyExcept((byte)0) < 0);
        new Span<byte>(map.Header->Data, entries * 8).Fill(1);
    }

    [Fact]
    public void LargeMapsLieElsewhere()
    {
        using var map = BpfMap.Create(OfEntries((int)(LowMemory.MaxBlockBytes / 8)));
        Assert.True((ulong)map.Header->Data >= 1UL << 32);
    }

    [Fact]
    public void AllMapsDoWhenItIsOff()
    {
        var before = LowMemory.IsOn;
        LowMemory.IsOn = false;
        try
        {
            using var map = BpfMap.Create(OfEntries(1));
            Assert.True((ulong)map.Header->Data >= 1UL << 32);
        }
        finally
        {
            LowMemory.IsOn = before;
        }
    }

    [Fact]
    public void WhatFindsNoRoomLiesElsewhereAndRoomThatIsGivenBackIsUsedAgain()
    {
        Assert.SkipUnless(IsSupported, "Linux on x86-64 only");
        var maps = Enumerable.Range(0, LowMemory.MaxBlocks + 1).Select(_ => BpfMap.Create(OfEntries(1))).ToList();
        Assert.True((ulong)maps[0].Header->Data < 1UL << 31);
        Assert.True((ulong)maps[^1].Header->Data >= 1UL << 32);
        foreach (var map in maps) map.Dispose();
        maps = [.. Enumerable.Range(0, 17).Select(_ => BpfMap.Create(OfEntries((int)(LowMemory.MaxBlockBytes / 8) - 100)))];
        Assert.Contains(maps, map => (ulong)map.Header->Data < 1UL << 31);
        Assert.Contains(maps, map => (ulong)map.Header->Data >= 1UL << 32);
        foreach (var map in maps) map.Dispose();
        using var again = BpfMap.Create(OfEntries(1));
        Assert.True((ulong)again.Header->Data < 1UL << 31);
    }

    private static MapSpec OfEntries(int entries) => MapSpecs.Spec(MapType.Array, 4, 8, entries);
}
