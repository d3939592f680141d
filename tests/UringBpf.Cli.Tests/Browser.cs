using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>Chromium without a window: pages as users see them.</summary>
internal static class Browser
{
    private const string Program = "/usr/bin/chromium";

    /// <summary>Skips a test where there is no browser.</summary>
    public static void SkipIfMissing() => Assert.SkipUnless(File.Exists(Program), $"no {Program} (Debian package chromium)");

    /// <summary>A page's elements once its script has run.</summary>
    public static async Task<string> Content(TemporaryFolder folder, string page, int width = 1200, int height = 700) => await Start(folder, page, width, height, "--dump-dom");

    /// <summary>What a page looks like.</summary>
    public static async Task<Picture> Screenshot(TemporaryFolder folder, string page, int width, int height, bool dark = false)
    {
        var file = folder[$"{Guid.NewGuid():N}.png"];
        await Start(folder, page, width, height, $"--screenshot={file}", $"--blink-settings=preferredColorScheme={(dark ? 0 : 1)}");
        return Picture.Load(file);
    }

    private static async Task<string> Start(TemporaryFolder folder, string page, int width, int height, params string[] what)
    {
        var profile = Directory.CreateDirectory(folder[$"profile-{Guid.NewGuid():N}"]).FullName;
        var start = new ProcessStartInfo(Program,
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", $"--user-data-dir={profile}", "--hide-scrollbars", $"--window-size={width},{height}", .. what,
            $"file://{page}",
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
            if (ColourAt(i) == colour) count++;
        }
        return count;
    }

    /// <summary>The colour of a pixel, 0xRRGGBB.</summary>
    public int this[int x, int y] => ColourAt((y * Width + x) * _channels);

    private int ColourAt(int i) => _pixels[i] << 16 | _pixels[i + 1] << 8 | _pixels[i + 2];

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
