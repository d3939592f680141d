using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>The page of <c>dump all --html</c> as a browser shows it.</summary>
public sealed partial class DumpPageTests
{
    private const int Width = 1500, Height = 900;

    // Runs in the page after its own script: points at a row's last cell and writes down what can be seen then.
    private const string Probe = """
        <script>
        const row = [...document.querySelectorAll("tbody tr")].find(r => r.cells[0].textContent !== "" && r.cells[3].textContent !== "");
        const header = [...document.querySelectorAll("thead th")].slice(0, 4).map(cell => Math.round(cell.getBoundingClientRect().left));
        const rows = [...document.querySelector("tbody").rows];
        const colour = cell => getComputedStyle(cell).backgroundColor;
        const aligned = rows.every(r => r.cells.length === 4 && [...r.cells].every((cell, i) => Math.round(cell.getBoundingClientRect().left) === header[i]
          && Math.round(cell.getBoundingClientRect().top) === Math.round(r.cells[0].getBoundingClientRect().top)));
        const plain = colour(row.cells[0]);
        row.cells[3].dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
        const lit = [...row.cells].map(colour);
        const highlighted = lit.every(c => c === lit[0] && c !== plain) && document.querySelectorAll("tr.on").length === 1;
        row.parentElement.dispatchEvent(new MouseEvent("mouseleave"));
        const restored = [...row.cells].every(cell => colour(cell) === plain);
        document.body.dataset.probe = `aligned=${aligned} highlighted=${highlighted} restored=${restored} columns=${header} rows=${rows.length}`;
        </script>
        """;

    [Fact]
    public async Task The_page_shows_four_aligned_columns_in_light_and_dark()
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "machine code is decoded for x86-64 only");
        Browser.SkipIfMissing();
        using var folder = new TemporaryFolder();
        var page = folder["page.html"];
        var outcome = await Tool.Run("dump", "all", Tool.Sample("FileSeries"), "--html", page);
        Assert.Equal((0, "", ""), (outcome.Exit, outcome.Out, outcome.Error));
        var text = await File.ReadAllTextAsync(page, TestContext.Current.CancellationToken);
        Assert.StartsWith("<!doctype html>", text);
        Assert.DoesNotMatch("(src|href|url)\\s*[=(]", text);

        await File.WriteAllTextAsync(folder["probe.html"], text.Replace("</body>", Probe + "</body>", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        var probe = ProbeResult().Match(await Browser.Content(folder, folder["probe.html"], Width, Height));
        Assert.True(probe.Success, "the probe did not run");
        Assert.Equal(("true", "true", "true"), (probe.Groups["aligned"].Value, probe.Groups["highlighted"].Value, probe.Groups["restored"].Value));
        var columns = probe.Groups["columns"].Value.Split(',').Select(left => int.Parse(left, CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(4, columns.Length);

        foreach (var (dark, back) in ((bool, int)[])[(false, 0xffffff), (true, 0x0d1117)])
        {
            var picture = await Browser.Screenshot(folder, page, Width, Height, dark);
            Assert.Equal((Width, Height), (picture.Width, picture.Height));
            Assert.True(picture.Count(back) > Width * Height / 2, $"dark {dark}: the background");
            for (var column = 0; column < 4; column++)
            {
                // Ink in the column, and none on the edge between it and the one before; lines between rows apart.
                var right = column < 3 ? columns[column + 1] : Width - 20;
                Assert.True(Ink(picture, columns[column], right, back) > 500, $"dark {dark}: column {column} is empty");
                if (column > 0) Assert.True(RowsWithInk(picture, columns[column] - 1, columns[column] + 4, back) < Height / 10, $"dark {dark}: column {column} runs into the one before");
            }
        }
    }

    [GeneratedRegex("aligned=(?<aligned>\\w+) highlighted=(?<highlighted>\\w+) restored=(?<restored>\\w+) columns=(?<columns>[0-9,]+) rows")]
    private static partial Regex ProbeResult();

    private static int Ink(Picture picture, int left, int right, int back)
    {
        var count = 0;
        for (var y = 0; y < picture.Height; y++)
        {
            for (var x = left; x < right; x++) count += picture[x, y] == back ? 0 : 1;
        }
        return count;
    }

    private static int RowsWithInk(Picture picture, int left, int right, int back) =>
        Enumerable.Range(0, picture.Height).Count(y => Enumerable.Range(left, right - left).Any(x => picture[x, y] != back));
}
