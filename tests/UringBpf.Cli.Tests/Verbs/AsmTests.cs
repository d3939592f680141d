using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>asm and plugin: headerless bytecode.</summary>
public sealed class AsmTests
{
    [Fact]
    public async Task Text_becomes_bytecode_and_back()
    {
        using var folder = new TemporaryFolder();
        var text = folder.File("add.s", "r0 = *(u32 *)(r1 + 0x4)\nr0 += 0x1\nexit\n"u8.ToArray());
        Assert.Equal(0, (await Tool.Run("asm", text, "-o", folder["add.bin"])).Exit);
        Assert.Equal("611004000000000007000000010000009500000000000000", Convert.ToHexStringLower(File.ReadAllBytes(folder["add.bin"])));
        var dump = await Tool.Run("dump", "bpf", "--raw", folder["add.bin"]);
        Assert.Equal("add:\n       0:\tr0 = *(u32 *)(r1 + 0x4)\n       1:\tr0 += 0x1\n       2:\texit\n", dump.Out);
        // To a pipe, the bytes themselves.
        var piped = await Tool.Start("uringbpf", "asm", folder.File("exit.s", "r0 = 0x61626364 ll\nexit\n"u8.ToArray()));
        Assert.Equal(0, piped.Exit);
        Assert.Contains("dcba", piped.Out);
    }

    [Fact]
    public async Task Mistakes_are_told_with_their_place()
    {
        using var folder = new TemporaryFolder();
        var text = folder.File("bad.s", "r0 = 0x0\nr0 plus 0x1\nfly away\nexit\n"u8.ToArray());
        var outcome = await Tool.Run("asm", text);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
        Assert.Contains($"{text}:2:", outcome.Error);
        Assert.Contains($"{text}:3:", outcome.Error);
    }

    [Theory]
    [InlineData("jit")]
    [InlineData("interpreter")]
    public async Task The_plugin_runs_what_it_gets(string engine)
    {
        // r0 = *(u32 *)(r1 + 0); r0 += r2; exit
        const string program = "61 10 00 00 00 00 00 00\n0f 20 00 00 00 00 00 00 95 00 00 00 00 00 00 00";
        var outcome = await Tool.Run(program, ["plugin", "efbeadde", "--engine", engine]);
        Assert.Equal((0, "deadbef3\n"), (outcome.Exit, outcome.Out));
        // Without memory: r0 = -1; exit
        Assert.Equal("ffffffffffffffff\n", (await Tool.Run("b7000000ffffffff9500000000000000", ["plugin", "--engine", engine])).Out);
    }

    [Fact]
    public async Task The_plugin_refuses_what_is_no_program()
    {
        Assert.Equal(3, (await Tool.Run("zz", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("ff00000000000000", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("9500000000000000", ["plugin", "0"])).Exit);
    }
}
