using System.Buffers.Binary;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>The samples as a user runs them, checked against independent computations.</summary>
public sealed class SampleTests
{
    [Fact]
    public async Task FileSeries_prints_checksums_and_wakes_once()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(7);
        int[] sizes = [0, 9, 131_072, 131_073, 5_000_000];
        var contents = sizes.Select(size => { var bytes = new byte[size]; random.NextBytes(bytes); return bytes; }).ToArray();
        "123456789"u8.CopyTo(contents[1]);
        var paths = contents.Select((content, i) => folder.File($"file{i}", content)).ToArray();
        var outcome = await Tool.Start("FileSeries", paths);
        Tool.SkipIfRefused(outcome);
        Assert.Equal(contents.Select((content, i) => $"{Crc32C(content):x8} {paths[i]} {content.Length}"), outcome.Lines);
        // The check value of CRC-32C (Castagnoli).
        Assert.StartsWith("e3069283 ", outcome.Lines[1]);
        Assert.Contains("the host woke 1 time(s)", outcome.Error);
        Assert.Equal(0, outcome.Exit);
    }

    [Fact]
    public async Task FileSeries_skips_what_fails_or_stops_there()
    {
        using var folder = new TemporaryFolder();
        string[] paths = [folder.File("a", [1]), folder["missing"], folder.File("b", [2])];
        var outcome = await Tool.Start("FileSeries", paths);
        Tool.SkipIfRefused(outcome);
        Assert.Equal((1, 2), (outcome.Exit, outcome.Lines.Length));
        Assert.Contains($"{paths[1]}: No such file or directory (errno 2)", outcome.Error);
        outcome = await Tool.Start("FileSeries", ["--on-error", "abort", .. paths]);
        Assert.Equal((1, 1), (outcome.Exit, outcome.Lines.Length));
        Assert.Contains("aborted: No such file or directory (errno 2)", outcome.Error);
        Assert.Equal(2, (await Tool.Start("FileSeries")).Exit);
    }

    [Theory]
    [InlineData(6)]
    [InlineData(64)]
    public async Task BlockWalk_follows_the_blocks(int hops)
    {
        const int count = 300, blockBytes = 512;
        var random = new Random(11);
        var bytes = new byte[count * blockBytes];
        for (var i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes), (ulong)random.Next(count));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes + 8), (ulong)random.Next());
        }
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Start("BlockWalk", "--hops", $"{hops}", "--lookups", "5", "--file", folder.File("blocks", bytes));
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, 5), (outcome.Exit, outcome.Lines.Length));
        foreach (var line in outcome.Lines)
        {
            var start = ulong.Parse(line.Split(' ')[0]);
            ulong at = start, sum = 0, key = 0;
            for (var hop = 0; hop < hops; hop++)
            {
                key = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes + 8));
                sum += key;
                at = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes));
            }
            Assert.Equal($"{start} {hops} {key} {sum}", line);
        }
        Assert.Contains("the host woke 5 times", outcome.Error);
    }

    // Bit by bit: independent of the one the hook calls.
    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var octet in bytes)
        {
            crc ^= octet;
            for (var bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78 & (0 - (crc & 1)));
        }
        return ~crc;
    }
}
