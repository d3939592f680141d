using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>asm: text to headerless bytecode.</summary>
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

    public static TheoryData<string> Objects =>
        [.. new[] { "samples", "perf" }.SelectMany(folder => Directory.GetFiles(Path.Combine(Tool.Root, folder), "*.bpf.o", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Tool.Root, file)).Where(file => !file.Split('/').Any(part => part is "bin" or "obj")).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Objects))]
    public async Task What_dump_prints_of_an_object_asm_reads(string path)
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(Tool.Root, path);
        var programs = ObjectSpec.Load(File.ReadAllBytes(file), path).Programs;
        Assert.NotEmpty(programs);
        foreach (var program in programs)
        {
            var dump = await Tool.Run("dump", "bpf", file, "--program", program.Name);
            Assert.Equal(0, dump.Exit);
            var text = folder.File($"{program.Name}.s", System.Text.Encoding.UTF8.GetBytes(dump.Out));
            Assert.Equal(new Outcome(0, "", ""), await Tool.Run("asm", text, "-o", folder[program.Name]));
            Assert.Equal(program.Instructions.AsSpan().ToArray(), MemoryMarshal.Cast<byte, Instruction>(File.ReadAllBytes(folder[program.Name])).ToArray());
        }
    }

    [Fact]
    public async Task Bytecode_taken_for_an_object_is_told_apart_from_other_files()
    {
        using var folder = new TemporaryFolder();
        var code = folder.File("code.bin", Convert.FromHexString("b7000000000000009500000000000000"));
        var outcome = await Tool.Run("verify", code);
        Assert.Equal(3, outcome.Exit);
        Assert.Contains("add --raw", outcome.Error);
        Assert.Equal(0, (await Tool.Run("verify", "--raw", code)).Exit);
        Assert.DoesNotContain("--raw", (await Tool.Run("verify", folder.File("notes.txt", "16 bytes of text"u8.ToArray()))).Error);
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
}
