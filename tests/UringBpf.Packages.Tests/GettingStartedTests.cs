using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Packages.Tests;

/// <summary>
/// docs/getting-started.md from an empty folder: every block of commands is run, and each line of the output that the page
/// shows is printed, other numbers allowed.
/// </summary>
public sealed partial class GettingStartedTests(Feed feed)
{
    [GeneratedRegex("^```(?<kind>\\w+)(?<fails> fails)?\n(?<text>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block { get; }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number { get; }

    [Fact]
    public async Task Every_command_of_the_page_does_what_it_says()
    {
        var folder = feed.CreateFolder("start");
        var page = File.ReadAllText(Path.Combine(Feed.Root, "docs/getting-started.md"));
        // Templates and tools go to a home of the test's own.
        var setUp = $"set -e; export DOTNET_CLI_HOME='{folder}/home' DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1; export PATH=\"$DOTNET_CLI_HOME/.dotnet/tools:$PATH\"; cd \"$(cat '{folder}/where' 2>/dev/null || echo '{folder}')\"\n";
        var (output, blocks) = ("", 0);
        foreach (Match block in Block.Matches(page))
        {
            var text = block.Groups["text"].Value;
            if (block.Groups["kind"].Value == "sh")
            {
                blocks++;
                var ran = await Feed.Run(folder, "bash", "-c", $"{setUp}trap 'pwd > {folder}/where' EXIT\n{text}");
                Assert.SkipWhen(ran.Text.Contains("UB5001") || ran.Text.Contains("UB4501"), ran.Text);
                Assert.True(block.Groups["fails"].Success == (ran.Exit != 0), $"exit {ran.Exit}:\n{text}\n{ran.Text}");
                output = ran.Text;
            }
            else if (block.Groups["kind"].Value == "text")
            {
                var said = Number.Replace(output, "N");
                foreach (var line in text.TrimEnd().Split('\n')) Assert.Contains(Number.Replace(line, "N"), said);
            }
        }
        Assert.Equal(5, blocks);
    }
}
