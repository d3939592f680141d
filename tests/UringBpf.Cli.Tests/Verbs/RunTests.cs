using System.Security.Cryptography;
using System.Text.Json;
using Xunit;

namespace UringBpf.Cli.Tests;

public sealed class RunTests
{
    private static readonly string s_nothing = Convert.ToHexStringLower(SHA256.HashData([]));

    [Theory]
    [InlineData("jit")]
    [InlineData("interpreter")]
    [InlineData("checked")]
    public async Task Runs_carry_the_context_on(string engine)
    {
        using var folder = new TemporaryFolder();
        var context = folder.File("ctx", [3, 0, 0, 0, 10, 0, 0, 0, 99]);
        var outcome = await Tool.Run("run", Tool.Object, "-p", "add", "--ctx", context, "--repeat", "4", "--engine", engine, "--json");
        var hash = Convert.ToHexStringLower(SHA256.HashData([3, 0, 0, 0, 22, 0, 0, 0, 99]));
        Assert.Equal(
            $$"""
            {"program":"add","engine":"{{engine}}","r0":"0x16","context_sha256":"{{hash}}"}

            """, outcome.Out);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        // The file itself is left alone.
        Assert.Equal([3, 0, 0, 0, 10, 0, 0, 0, 99], File.ReadAllBytes(context));
    }

    [Theory]
    [InlineData("jit")]
    [InlineData("interpreter")]
    [InlineData("checked")]
    public async Task Maps_live_as_long_as_the_run(string engine)
    {
        var outcome = await Tool.Run("run", Tool.Object, "-p", "count", "--repeat", "5", "--engine", engine, "--json");
        Assert.Equal($"{{\"program\":\"count\",\"engine\":\"{engine}\",\"r0\":\"0x5\",\"context_sha256\":\"{s_nothing}\"}}\n", outcome.Out);
    }

    [Theory]
    [InlineData("jit", "2a07", "0x2a")]
    [InlineData("interpreter", "2a07", "0x2a")]
    [InlineData("jit", "", "0xffffffff")]
    [InlineData("interpreter", "", "0xffffffff")]
    [InlineData("checked", "2a07", "0x2a")]
    [InlineData("checked", "", "0xffffffff")]
    public async Task A_packet_program_gets_the_file_as_its_packet(string engine, string packet, string result)
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("run", Tool.Object, "-p", "first", "--ctx", folder.File("packet", Convert.FromHexString(packet)), "--engine", engine, "--json");
        using var json = JsonDocument.Parse(outcome.Out);
        Assert.Equal(result, json.RootElement.GetProperty("r0").GetString()!.Replace("0xffffffffffffffff", "0xffffffff"));
    }

    [Fact]
    public async Task A_completion_hook_sees_the_data_and_has_no_ring()
    {
        using var folder = new TemporaryFolder();
        // uring_emit without a ring: -EOPNOTSUPP, which the hook returns.
        var outcome = await Tool.Run("run", Tool.Object, "-p", "pass", "--data", folder.File("data", [1, 2, 3]));
        Assert.Equal(0, outcome.Exit);
        Assert.Contains("(-95)", outcome.Out);
    }

    [Fact]
    public async Task Unverified_bytecode_runs_on_the_checked_engine_only()
    {
        using var folder = new TemporaryFolder();
        // Whether the access is inside depends on the memory: r3 = *(u8 *)(r1 + 0); r1 += r3; r0 = *(u8 *)(r1 + 0); exit
        var code = folder.File("walk.bin", Convert.FromHexString("71130000000000000f3100000000000071100000000000009500000000000000"));
        var inside = folder.File("inside", [2, 0, 7]);
        var outside = folder.File("outside", [3, 0, 7]);
        foreach (var engine in Engines.Unchecked)
        {
            var refused = await Tool.Run("run", "--raw", code, "--ctx", inside, "--engine", engine);
            Assert.Equal((1, ""), (refused.Exit, refused.Out));
            Assert.StartsWith("uringbpf: UB2", refused.Error);
            Assert.Contains($"the {engine} runs verified programs only; '--engine checked' runs any, safely", refused.Error);
        }
        Assert.Contains("\"r0\":\"0x7\"", (await Tool.Run("run", "--raw", code, "--ctx", inside, "--engine", "checked", "--json")).Out);
        var faulted = await Tool.Run("run", "--raw", code, "--ctx", outside, "--engine", "checked", "--json");
        Assert.Equal((1, ""), (faulted.Exit, faulted.Out));
        Assert.Equal("uringbpf: UB4010: walk: instruction 2: 1 bytes at context +3, which has 3 bytes.\n", faulted.Error);
        // Chains of a ring run verified hooks.
        Assert.Equal(2, (await Tool.Run("ring", Tool.Object, "--engine", "checked")).Exit);
    }

    [Fact]
    public async Task What_cannot_run_says_why()
    {
        var outcome = await Tool.Run("run", Tool.Object, "-p", "wild", "--json");
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith("uringbpf: UB2", outcome.Error);
        outcome = await Tool.Run("run", Tool.Object, "-p", "foreign");
        Assert.Equal(1, outcome.Exit);
        Assert.Contains("--type", outcome.Error);
        outcome = await Tool.Run("run", Tool.Object);
        Assert.Equal(2, outcome.Exit);
        Assert.Contains("add, wild, foreign", outcome.Error);
        outcome = await Tool.Run("run", Tool.Object, "-p", "ad");
        Assert.Equal(2, outcome.Exit);
        Assert.Contains("did you mean 'add'?", outcome.Error);
        Assert.Equal(2, (await Tool.Run("run", Tool.Object, "-p", "add", "--repeat", "0")).Exit);
        Assert.Equal(2, (await Tool.Run("run", Tool.Object, "-p", "add", "--type", "rav")).Exit);
    }
}
