using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>Traces as a user makes and sees them: the timeline in a browser without a window.</summary>
public sealed class TimelineTests
{
    private const string Browser = "/usr/bin/chromium";

    [Fact]
    public async Task The_timeline_of_a_copy_is_a_picture_of_it()
    {
        Assert.SkipUnless(File.Exists(Browser), $"no {Browser} (Debian package chromium)");
        using var folder = new TemporaryFolder();
        SampleTests.Tree(folder);
        var copied = await Tool.Start("Copy", "--chains", "2", "--trace", folder["trace.html"], folder["source"], folder["target"]);
        Tool.SkipIfRefused(copied);
        Assert.Equal(0, copied.Exit);

        // What the page says once its script has run.
        var page = await Browse(folder, "--dump-dom");
        Assert.Contains("2 chains", page);
        Assert.Contains("<tr id=\"step0\">", page);
        Assert.Contains("uring_submit(read file 0 into buffer 3, 131072 bytes at 393216)", page);
        Assert.Contains("return err ? err : URING_CONTINUE;", page);

        // What it looks like: bars and marks in the colours of the light scheme.
        await Browse(folder, $"--screenshot={folder["timeline.png"]}");
        var picture = Picture.Load(folder["timeline.png"]);
        Assert.Equal((1200, 700), (picture.Width, picture.Height));
        Assert.True(picture.Count(0x3b82d6) > 100, "reads");
        Assert.True(picture.Count(0xd97a1f) > 100, "writes");
        Assert.True(picture.Count(0x2f9e76) > 100, "opens and closes");
        Assert.True(picture.Count(0x55606e) > 50, "decisions to go on");
        Assert.True(picture.Count(0x1f9254) > 10, "the ends");
    }

    [Fact]
    public async Task The_tool_writes_both_formats()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in (string[])["trace.json", "trace.html"])
        {
            var outcome = await Tool.Run("ring", Tool.Object, "-p", "pass", "--files", folder.File("data", new byte[100]), "--start", "read", "--trace", folder[file]);
            Tool.SkipIfRefused(outcome);
            Assert.Equal(0, outcome.Exit);
        }
        using var json = JsonDocument.Parse(await File.ReadAllBytesAsync(folder["trace.json"], TestContext.Current.CancellationToken));
        var slices = json.RootElement.GetProperty("traceEvents").EnumerateArray().Where(e => e.GetProperty("ph").GetString() == "X").Select(e => e.GetProperty("name").GetString());
        Assert.Equal(["read", "pass"], slices);
        Assert.StartsWith("<!doctype html>", await File.ReadAllTextAsync(folder["trace.html"], TestContext.Current.CancellationToken));

        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--trace", folder["trace.txt"])).Exit);
        Assert.Equal(3, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--trace", Path.Combine(folder["missing"], "trace.json"))).Exit);
    }

    private static async Task<string> Browse(TemporaryFolder folder, string what)
    {
        var profile = Directory.CreateDirectory(folder[$"profile-{Guid.NewGuid():N}"]).FullName;
        var start = new ProcessStartInfo(Browser,
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", $"--user-data-dir={profile}", "--hide-scrollbars", "--window-size=1200,700", what,
            $"file://{folder["trace.html"]}",
        ])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await error);
        return output;
    }
}

/// <summary>A PNG file with 8 bits a channel and no interlacing, as browsers write them.</summary>
internal sealed class Picture
{
    private readonly byte[] _pixels;
    private readonly int _channels;

    private Picture(int width, int height, int channels, byte[] pixels) => (Width, Height, _channels, _pixels) = (width, height, channels, pixels);

    public int Width { get; }
    public int Height { get; }

    /// <summary>Pixels of exactly this colour, 0xRRGGBB.</summary>
    public int Count(int colour)
    {
        var count = 0;
        for (var i = 0; i < _pixels.Length; i += _channels)
        {
            if ((_pixels[i] << 16 | _pixels[i + 1] << 8 | _pixels[i + 2]) == colour) count++;
        }
        return count;
    }

    public static Picture Load(string path)
    {
        const int signatureBytes = 8, chunkOverhead = 12;
        ReadOnlySpan<byte> file = File.ReadAllBytes(path);
        int width = 0, height = 0, channels = 0;
        using var packed = new MemoryStream();
        for (var at = signatureBytes; at < file.Length;)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(file[at..]);
            var type = file.Slice(at + 4, 4);
            var data = file.Slice(at + 8, length);
            if (type.SequenceEqual("IHDR"u8))
            {
                (width, height) = (BinaryPrimitives.ReadInt32BigEndian(data), BinaryPrimitives.ReadInt32BigEndian(data[4..]));
                Assert.Equal((8, 0), (data[8], data[12]));
                channels = data[9] switch { 2 => 3, 6 => 4, _ => throw new InvalidDataException($"PNG colour type {data[9]}") };
            }
            else if (type.SequenceEqual("IDAT"u8))
            {
                packed.Write(data);
            }
            at += length + chunkOverhead;
        }
        packed.Position = 0;
        using var unpacked = new ZLibStream(packed, CompressionMode.Decompress);
        var (row, above) = (new byte[width * channels], new byte[width * channels]);
        var pixels = new byte[width * height * channels];
        for (var y = 0; y < height; y++)
        {
            var filter = unpacked.ReadByte();
            unpacked.ReadExactly(row);
            for (var i = 0; i < row.Length; i++)
            {
                int left = i >= channels ? row[i - channels] : 0, up = above[i], corner = i >= channels ? above[i - channels] : 0;
                row[i] += (byte)(filter switch { 0 => 0, 1 => left, 2 => up, 3 => (left + up) / 2, _ => Paeth(left, up, corner) });
            }
            row.CopyTo(pixels, y * row.Length);
            (row, above) = (above, row);
        }
        return new Picture(width, height, channels, pixels);
    }

    private static int Paeth(int left, int up, int corner)
    {
        var (a, b, c) = (Math.Abs(up - corner), Math.Abs(left - corner), Math.Abs(left + up - 2 * corner));
        return a <= b && a <= c ? left : b <= c ? up : corner;
    }
}
