using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Cli.Tests;

public sealed partial class VerifyTests
{
    [GeneratedRegex("\"processed\":[0-9]+,\"microseconds\":[0-9]+")]
    private static partial Regex Effort { get; }

    [Fact]
    public async Task Json_has_a_line_for_each_program_and_file()
    {
        using var folder = new TemporaryFolder();
        var bad = folder.File("bad.o", [0x7F, (byte)'E', (byte)'L', (byte)'F']);
        var outcome = await Tool.Run("verify", Tool.Object, bad, Tool.Sample("BlockWalk"), "--json");
        Assert.Equal(3, outcome.Exit);
        Assert.Equal(9, outcome.Lines.Length);
        Assert.Equal(
            $$"""
            {"file":"{{Tool.Object}}","program":"foreign","section":"kprobe/nothing","type":"unknown","verdict":"unsupported","termination":null,"code":null,"instruction":null,"line":null,"message":"section 'kprobe/nothing' stands for no program type","instructions":2,"processed":null,"microseconds":null}
            """, outcome.Lines[2]);
        Assert.Equal(
            $$"""
            {"file":"{{Tool.Object}}","program":"first","section":"xdp","type":"xdp","verdict":"accept","termination":"proved","code":null,"instruction":null,"line":null,"message":null,"instructions":8,EFFORT}
            """, Effort.Replace(outcome.Lines[3], "EFFORT"));
        Assert.Matches(
            """^\{"file":"[^"]+","program":"wild","section":"raw","type":"raw","verdict":"reject","termination":null,"code":"UB2[0-9]{3}","instruction":1,"line":28,"message":"[^"]+","instructions":3,"processed":[0-9]+,"microseconds":[0-9]+,"why":("[^"]+"|null),"path":\[.*\],"witness":("[^"]+"|null),"help":("[^"]+"|null)\}$""",
            outcome.Lines[1]);
        Assert.Matches("""^\{"file":"[^"]+bad\.o","verdict":"error","code":"UB10[0-9]{2}","message":"[^"]+"\}$""", outcome.Lines[7]);
        Assert.Contains("\"program\":\"block_walk\"", outcome.Lines[8]);
    }

    [Fact]
    public async Task The_exit_code_is_the_worst_verdict()
    {
        Assert.Equal(0, (await Tool.Run("verify", Tool.Sample("BlockWalk"), Tool.Sample("FileSeries"))).Exit);
        Assert.Equal(0, (await Tool.Run("verify", Tool.Object, "--program", "count")).Exit);
        Assert.Equal(1, (await Tool.Run("verify", Tool.Object, "--program", "wild")).Exit);
        Assert.Equal(1, (await Tool.Run("verify", Tool.Object, "--program", "foreign")).Exit);
        Assert.Equal(0, (await Tool.Run("verify", Tool.Object, "--program", "foreign", "--type", "raw")).Exit);
        Assert.Equal(3, (await Tool.Run("verify", Tool.Object, Tool.Root)).Exit);
    }

    [Fact]
    public async Task A_raw_program_may_use_the_context_that_is_given()
    {
        using var folder = new TemporaryFolder();
        var unknown = await Tool.Run("verify", Tool.Object, "-p", "add");
        Assert.Equal(1, unknown.Exit);
        Assert.Contains("help:    say how large the context of every run is: --ctx-size", unknown.Out);
        Assert.Equal(1, (await Tool.Run("verify", Tool.Object, "-p", "add", "--ctx-size", "7")).Exit);
        Assert.Equal(0, (await Tool.Run("verify", Tool.Object, "-p", "add", "--ctx-size", "8")).Exit);
        Assert.Equal(0, (await Tool.Run("verify", Tool.Object, "-p", "add", "--ctx", folder.File("ctx", new byte[8]))).Exit);
    }

    [Fact]
    public async Task A_rejection_says_what_where_and_why()
    {
        var outcome = await Tool.Run("verify", Tool.Object, "--program", "wild");
        Assert.Contains("wild: reject\nerror UB2", outcome.Out);
        Assert.Contains("tool.bpf.c:28", outcome.Out);
        Assert.Contains("return *(volatile int *)16;", outcome.Out);
    }

    [Fact]
    public async Task The_walk_is_logged_to_standard_error()
    {
        var outcome = await Tool.Run("verify", Tool.Object, "--program", "first", "-v");
        Assert.Equal(0, outcome.Exit);
        Assert.Single(outcome.Lines);
        // Source lines, instructions, and what is known before each.
        Assert.Contains("; ./tool.bpf.c:", outcome.Error);
        Assert.Matches(@"(?m)^0: .+ \| r1=ctx", outcome.Error);
        Assert.Matches(@"(?m)^\d+: exit +\| r0=", outcome.Error);
    }

    [Fact]
    public async Task Raw_bytecode_is_named_after_its_file()
    {
        using var folder = new TemporaryFolder();
        // r0 = 7; exit
        var file = folder.File("seven.bin", Convert.FromHexString("b7000000070000009500000000000000"));
        var outcome = await Tool.Run("verify", "--raw", file, "--json");
        Assert.Equal(0, outcome.Exit);
        Assert.Contains("\"program\":\"seven\",\"section\":null,\"type\":\"raw\",\"verdict\":\"accept\"", outcome.Out);
        Assert.Equal(3, (await Tool.Run("verify", "--raw", folder.File("odd.bin", new byte[7]))).Exit);
    }
}
