using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>plugin: the protocol of bpf_conformance, whose runner writes bytes as pairs of digits and spaces.</summary>
public sealed class PluginTests
{
    // r0 = *(u32 *)(r1 + 0); r0 += r2; exit
    private const string LoadAndAdd = "61  10  00  00  00  00  00  00  0f  20  00  00  00  00  00  00  95  00  00  00  00  00  00  00  \n";

    public static TheoryData<string> AllEngines => new(Engines.All);

    // As the runner starts it: memory first, then the plug-in's own options.
    [Theory]
    [MemberData(nameof(AllEngines))]
    public async Task Runs_as_a_process(string engine)
    {
        var outcome = await Tool.StartWith(LoadAndAdd, "uringbpf", "plugin", "ef  be  ad  de  ", "--engine", engine);
        Assert.Equal(new Outcome(0, "deadbef3\n", ""), outcome);
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public async Task Memory_is_left_out_when_there_is_none(string engine) =>
        // r0 = -1; exit
        Assert.Equal(new Outcome(0, "ffffffffffffffff\n", ""), await Tool.Run("b7000000ffffffff9500000000000000", ["plugin", "--engine", engine]));

    [Theory]
    [MemberData(nameof(AllEngines))]
    public async Task Helper_5_gives_back_its_first_argument(string engine)
    {
        // r1 = -2; call 5; exit
        Assert.Equal("fffffffffffffffe\n", (await Tool.Run("b7010000feffffff85000000050000009500000000000000", ["plugin", "--engine", engine])).Out);
        // r1 = 7; r2 = 5; callx r2; exit
        Assert.Equal("7\n", (await Tool.Run("b701000007000000b7020000050000008d020000000000009500000000000000", ["plugin", "--engine", engine])).Out);
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public async Task An_object_in_place_of_bytecode(string engine)
    {
        var kernel = Convert.ToHexString(File.ReadAllBytes(Path.Combine(Tool.Root, "perf/kernels/xorshift.bpf.o")));
        Assert.Equal(new Outcome(0, "9e8b2325c8f3382d\n", ""), await Tool.Run(kernel, ["plugin", "--elf", "--engine", engine]));
    }

    [Fact]
    public async Task The_checked_engine_says_what_went_wrong()
    {
        // r0 = *(u64 *)(r1 + 0), in 4 bytes of memory
        var outcome = await Tool.Run("79100000000000009500000000000000", ["plugin", "00112233", "--engine", "checked"]);
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith("uringbpf: UB4010: plugin: instruction 0: 8 bytes at context +0, which has 4 bytes", outcome.Error);
    }

    [Fact]
    public async Task What_is_no_program_is_refused()
    {
        Assert.Equal(3, (await Tool.Run("zz", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("ff00000000000000", ["plugin"])).Exit);
        Assert.Equal(3, (await Tool.Run("9500000000000000", ["plugin", "0"])).Exit);
        Assert.Equal(3, (await Tool.Run("9500000000000000", ["plugin", "--elf"])).Exit);
        Assert.Equal(3, (await Tool.Run(Convert.ToHexString(File.ReadAllBytes(Tool.Object)), ["plugin", "--elf"])).Exit);
    }
}
