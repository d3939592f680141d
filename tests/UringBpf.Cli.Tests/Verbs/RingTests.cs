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

    [Theory]
    [InlineData("kernel")]
    [InlineData("portable")]
    [InlineData("simulated")]
    public async Task Every_back_end_does_the_same(string backend)
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("ring", Tool.Object, "-p", "pass", "--files", folder.File("data", new byte[1000]), "--start", "read", "--buffers", "1x600", "--backend", backend, "--json");
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Equal("""{"event":"end","chain":1,"result":600,"verdict":0,"steps":1,"bytes":600}""", outcome.Lines[1]);
        Assert.Contains($"\"backend\":\"{backend}\"", outcome.Lines[2]);
    }

    [Fact]
    public async Task A_simulation_repeats_to_the_byte()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("data", new byte[5000]);
        var trace = Path.Combine(folder.Path, "trace.json");
        async Task<(string Out, string Events, string Trace)> Run(string seed)
        {
            var outcome = await Tool.Run("ring", Tool.Sample("FileSeries"), "--files", data, "--depth", "8", "--backend", "simulated", "--seed", seed, "--faults", "0.1", "--events", "--trace", trace, "--json");
            return (outcome.Out, outcome.Error, await File.ReadAllTextAsync(trace, TestContext.Current.CancellationToken));
        }
        var first = await Run("5");
        Assert.Equal(first, await Run("5"));
        Assert.NotEqual(first.Events, (await Run("6")).Events);
        Assert.Contains("(injected)", first.Events);
        Assert.Equal(8, first.Out.Split('\n').Count(line => line.Contains("\"event\":\"end\"")));
    }

    [Fact]
    public async Task Options_of_the_simulation_without_one_are_a_usage_error()
    {
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--seed", "7")).Exit);
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--backend", "simulated", "--faults", "2")).Exit);
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "-p", "pass", "--backend", "windows")).Exit);
    }

    [Fact]
    public void Where_io_uring_is_refused_the_portable_back_end_does_it_and_one_line_says_so()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("data", "abc"u8.ToArray());
        var outcome = Sandbox.Start([Sandbox.IoUringSetup], "ring", Tool.Sample("FileSeries"), "--files", data, "--json");
        var line = Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("portable", line);
        Assert.Contains("EPERM", line);
        Assert.Equal(0, outcome.Exit);
        Assert.Contains("\"result\":0,\"verdict\":0,\"steps\":5,\"bytes\":3}", outcome.Out);
        Assert.Contains("\"backend\":\"portable\"", outcome.Lines[^1]);

        var kernel = Sandbox.Start([Sandbox.IoUringSetup], "ring", Tool.Sample("FileSeries"), "--files", data, "--backend", "kernel");
        Assert.Equal(1, kernel.Exit);
        Assert.Contains("UB4501", kernel.Error);
    }

    [Fact]
    public void Where_openat2_is_refused_too_a_hook_opens_no_path()
    {
        using var folder = new TemporaryFolder();
        var outcome = Sandbox.Start([Sandbox.IoUringSetup, Sandbox.OpenAt2], "ring", Tool.Sample("FileSeries"), "--files", folder.File("data", "abc"u8.ToArray()), "--json");
        // The sample hands an errno over in the low half of a value beyond every checksum.
        const long notSupported = 1L << 32 | 95;
        Assert.Contains($"\"value\":{notSupported}", outcome.Out);
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
