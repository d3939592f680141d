using Xunit;

namespace UringBpf.Cli.Tests;

public sealed class ListTests
{
    [Fact]
    public async Task Json_names_programs_and_maps()
    {
        var outcome = await Tool.Run("list", Tool.Object, "--json");
        Assert.Equal(
            $$"""
            {"file":"{{Tool.Object}}","programs":[{"name":"add","section":"raw","type":"raw","instructions":5},{"name":"wild","section":"raw","type":"raw","instructions":3},{"name":"foreign","section":"kprobe/nothing","type":"unknown","instructions":2},{"name":"first","section":"xdp","type":"xdp","instructions":8},{"name":"count","section":"raw/count","type":"raw","instructions":24},{"name":"pass","section":"uring/complete","type":"completion","instructions":6},{"name":"refuse","section":"uring/complete","type":"completion","instructions":2}],"maps":[{"name":"counts","type":"hash","key_size":4,"value_size":8,"max_entries":16}]}

            """, outcome.Out);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
    }

    [Fact]
    public async Task A_pipe_gets_plain_columns()
    {
        // A process of its own: whether a terminal is there is the process's matter.
        var outcome = await Tool.Start("uringbpf", "list", Tool.Sample("FileSeries"));
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Equal(
            """
            program      section         type        instructions
            file_series  uring/complete  completion           268

            map      type   key bytes  value bytes  max entries
            .rodata  array          4           12            1

            """, outcome.Out);
    }

    [Fact]
    public async Task Bad_files_end_with_3_and_their_code()
    {
        using var folder = new TemporaryFolder();
        var text = folder.File("text.o", "no object"u8.ToArray());
        var outcome = await Tool.Run("list", text);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith("uringbpf: UB1001: ", outcome.Error);
        outcome = await Tool.Run("list", folder["missing.o"]);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
        Assert.Contains("missing.o", outcome.Error);
        outcome = await Tool.Run("list", folder.Path);
        Assert.Equal((3, ""), (outcome.Exit, outcome.Out));
    }
}
