using System.Reflection;
using System.Runtime.InteropServices;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>
/// Dumps of the samples against committed texts. After a change that is meant to alter them, renew them with
/// <c>URINGBPF_RENEW_GOLDENS=1 dotnet run -c Release --project tests/UringBpf.Cli.Tests</c> and read the difference.
/// </summary>
public sealed class DumpTests
{
    [Theory]
    [InlineData("FileSeries", "bpf")]
    [InlineData("FileSeries", "il")]
    [InlineData("BlockWalk", "bpf")]
    [InlineData("BlockWalk", "il")]
    public async Task A_samples_dump_is_the_committed_one(string sample, string form)
    {
        var outcome = await Tool.Run("dump", form, Tool.Sample(sample), "--source");
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        var golden = Path.Combine(Tool.Root, "tests/UringBpf.Cli.Tests/goldens", $"{sample}.{form}.txt");
        if (Environment.GetEnvironmentVariable("URINGBPF_RENEW_GOLDENS") == "1") File.WriteAllText(golden, outcome.Out);
        Assert.Equal(File.ReadAllText(golden), outcome.Out);
    }

    [Fact]
    public async Task Machine_code_is_shown_beside_what_it_came_from()
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "machine code is decoded for x86-64 only");
        foreach (var form in new[] { "asm", "all" })
        {
            var outcome = await Tool.Run("dump", form, Tool.Object, "-p", "count");
            Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
            Assert.Contains("bytes of code", outcome.Out);
            Assert.Contains("tool.bpf.c", outcome.Out);
        }
        var page = await Tool.Run("dump", "all", Tool.Object, "-p", "count", "--html");
        Assert.StartsWith("<!doctype html>", page.Out);
        Assert.DoesNotContain("http://", page.Out);
    }

    [Fact]
    public async Task Bytecode_can_be_dumped_with_its_encoding()
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("seven.bin", Convert.FromHexString("b7000000070000009500000000000000"));
        var outcome = await Tool.Run("dump", "bpf", "--raw", file, "--bytes");
        Assert.Equal("seven:\n       0:\tb7 00 00 00 07 00 00 00 \tr0 = 0x7\n       1:\t95 00 00 00 00 00 00 00 \texit\n", outcome.Out);
    }

    [Fact]
    public async Task A_rejected_program_has_no_code_to_show()
    {
        Assert.Equal(0, (await Tool.Run("dump", "bpf", Tool.Object, "-p", "wild")).Exit);
        var outcome = await Tool.Run("dump", "il", Tool.Object, "-p", "wild");
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
    }

    [Fact]
    public async Task Compile_writes_an_assembly_with_the_programs()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("compile", Tool.Object, "-p", "count", "-o", folder["hooks.dll"]);
        Assert.Equal(0, outcome.Exit);
        Assert.NotNull(Assembly.Load(File.ReadAllBytes(folder["hooks.dll"])).GetType("Hooks.count"));
        Assert.Equal(1, (await Tool.Run("compile", Tool.Object, "-p", "wild", "-o", folder["wild.dll"])).Exit);
        Assert.False(File.Exists(folder["wild.dll"]));
        Assert.Equal(2, (await Tool.Run("compile", Tool.Object)).Exit);
    }
}
