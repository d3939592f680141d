using System.Text.Json;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>Traces as a user makes and sees them: the timeline in a browser without a window.</summary>
public sealed class TimelineTests
{
    [Fact]
    public async Task The_timeline_of_a_copy_is_a_picture_of_it()
    {
        Browser.SkipIfMissing();
        using var folder = new TemporaryFolder();
        SampleTests.Tree(folder);
        var copied = await Tool.Start("Copy", "--chains", "2", "--trace", folder["trace.html"], folder["source"], folder["target"]);
        Tool.SkipIfRefused(copied);
        Assert.Equal(0, copied.Exit);

        // What the page says once its script has run.
        var page = await Browser.Content(folder, folder["trace.html"]);
        Assert.Contains("2 chains", page);
        Assert.Contains("<tr id=\"step0\">", page);
        Assert.Contains("uring_submit(read file 0 into buffer 3, 131072 bytes at 393216)", page);
        Assert.Contains("return err ? err : URING_CONTINUE;", page);

        // What it looks like: bars and marks in the colours of the light scheme.
        var picture = await Browser.Screenshot(folder, folder["trace.html"], 1200, 700);
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
}
