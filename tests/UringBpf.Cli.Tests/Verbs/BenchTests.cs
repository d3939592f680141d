using System.Text.Json;
using Xunit;

namespace UringBpf.Cli.Tests;

public sealed class BenchTests
{
    [Fact]
    public async Task Every_engine_gets_a_line()
    {
        var outcome = await Tool.Run("bench", Tool.Object, "-p", "add", "--ctx-size", "8", "--json");
        Assert.Equal(0, outcome.Exit);
        Assert.Equal(Engines.All, outcome.Lines.Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            Assert.Equal(["program", "engine", "ns_median", "ns_min", "verify_us", "compile_us", "bytes_per_run"], json.RootElement.EnumerateObject().Select(member => member.Name));
            Assert.True(json.RootElement.GetProperty("ns_min").GetDouble() > 0);
            Assert.True(json.RootElement.GetProperty("ns_median").GetDouble() >= json.RootElement.GetProperty("ns_min").GetDouble());
            Assert.Equal(0, json.RootElement.GetProperty("bytes_per_run").GetDouble());
            return json.RootElement.GetProperty("engine").GetString();
        }));
    }
}
