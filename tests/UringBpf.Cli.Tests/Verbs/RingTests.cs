using System.Text.Json;
using Xunit;

namespace UringBpf.Cli.Tests;

public sealed class RingTests
{
    [Fact]
    public async Task Events_tell_what_the_hook_did()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("ring", Tool.Object, "-p", "pass", "--files", folder.File("data", new byte[1000]), "--start", "read", "--buffers", "1x600", "--json");
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Equal(3, outcome.Lines.Length);
        Assert.Equal("""{"event":"emit","chain":1,"step":0,"user_data":7,"value":600}""", outcome.Lines[0]);
        Assert.Equal("""{"event":"end","chain":1,"result":600,"verdict":0,"steps":1,"bytes":600}""", outcome.Lines[1]);
        using var summary = JsonDocument.Parse(outcome.Lines[2]);
        Assert.Equal("summary", summary.RootElement.GetProperty("event").GetString());
        Assert.Equal((1, 600, 1), (summary.RootElement.GetProperty("chains").GetInt32(), summary.RootElement.GetProperty("bytes").GetInt32(), summary.RootElement.GetProperty("host_wakeups").GetInt32()));
    }

    [Fact]
    public async Task A_chain_that_fails_makes_the_tool_fail()
    {
        var outcome = await Tool.Run("ring", Tool.Object, "-p", "refuse", "--depth", "2", "--json");
        Tool.SkipIfRefused(outcome);
        Assert.Equal(1, outcome.Exit);
        Assert.Equal(2, outcome.Lines.Count(line => line.Contains("\"event\":\"end\"") && line.Contains("\"verdict\":-1,")));
    }

    [Fact]
    public async Task What_does_not_fit_is_a_usage_error()
    {
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--start", "read")).Exit);
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--buffers", "8")).Exit);
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--depth", "0")).Exit);
        Assert.Equal(3, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--start", "read", "--files", Tool.Object + ".missing")).Exit);
    }

    [Fact]
    public async Task A_program_of_another_type_is_refused()
    {
        var outcome = await Tool.Run("ring", Tool.Object, "-p", "count");
        Tool.SkipIfRefused(outcome);
        Assert.Equal(1, outcome.Exit);
        Assert.Contains("UB4502", outcome.Error);
    }
}
