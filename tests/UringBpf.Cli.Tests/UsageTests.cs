using System.CommandLine;
using System.Diagnostics;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>Help, misspellings, exit codes.</summary>
public sealed class UsageTests
{
    public static TheoryData<string> Verbs => [.. CommandLine.Create().Subcommands.SelectMany(verb => verb.Subcommands.Select(sub => $"{verb.Name} {sub.Name}").Prepend(verb.Name))];

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Help_shows_two_examples_that_parse(string verb)
    {
        var outcome = await Tool.Run([.. verb.Split(' '), "--help"]);
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        var examples = outcome.Out[outcome.Out.IndexOf("Examples:", StringComparison.Ordinal)..].Split('\n')[1..].Select(line => line.Trim()).Where(line => line.Length > 0).ToArray();
        Assert.Equal(2, examples.Length);
        foreach (var example in examples.SelectMany(line => line.Split(" && ")))
        {
            Assert.StartsWith("uringbpf ", example);
            var words = example.Split(' ')[1..].TakeWhile(word => word is not ("<" or ">")).ToArray();
            Assert.Empty(CommandLine.Create().Parse(words).Errors);
        }
    }

    [Fact]
    public async Task Nothing_asked_for_gets_the_help_and_2()
    {
        var outcome = await Tool.Run();
        Assert.Equal((2, ""), (outcome.Exit, outcome.Out));
        Assert.Contains("Usage:", outcome.Error);
    }

    [Theory]
    [InlineData("verfy", "verify")]
    [InlineData("benhc", "bench")]
    [InlineData("list x.o --jsom", "--json")]
    [InlineData("verify --jsno x.o", "--json")]
    [InlineData("run x.o --reapet 3", "--repeat")]
    [InlineData("dump asmm x.o", "asm")]
    [InlineData("new hok", "hook")]
    public async Task A_misspelling_gets_the_nearest_word(string line, string meant)
    {
        var outcome = await Tool.Run(line.Split(' '));
        Assert.Equal((2, ""), (outcome.Exit, outcome.Out));
        Assert.Contains($"Did you mean '{meant}'?", outcome.Error);
    }

    [Theory]
    [InlineData("run", "'run' needs OBJ: ")]
    [InlineData("dump", "'dump' needs one of: bpf, il, asm, all.")]
    [InlineData("new", "'new' needs one of: hook.")]
    [InlineData("run x.o --engine jti", "--engine jti: one of jit, interpreter, checked; did you mean 'jit'?")]
    [InlineData("compile x.o", "Option '--output' is required.")]
    [InlineData("dump il", "'dump il' needs OBJ: ")]
    [InlineData("run x.o --repeat abc", "--repeat abc: a number is needed, at most 2147483647.")]
    [InlineData("run x.o --ctx-size 99999999999", "--ctx-size 99999999999: a number is needed, at most 2147483647.")]
    [InlineData("ring x.o --seed x", "--seed x: a number is needed, 0 to 18446744073709551615.")]
    [InlineData("ring x.o --faults many", "--faults many: a number is needed, such as 0.1.")]
    public async Task What_is_missing_or_wrong_is_named(string line, string expected)
    {
        var outcome = await Tool.Run(line.Split(' '));
        Assert.Equal((2, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith($"uringbpf: {expected}", outcome.Error);
        Assert.Equal(2, outcome.Error.Trim().Split('\n').Length);
    }

    [Fact]
    public async Task A_program_or_type_that_is_not_there_gets_the_nearest()
    {
        Assert.Contains("did you mean 'count'?", (await Tool.Run("run", Tool.Object, "-p", "cuont")).Error);
        Assert.Contains("'zzzzzz'. It has: ", (await Tool.Run("run", Tool.Object, "-p", "zzzzzz")).Error);
        Assert.Contains("did you mean 'raw'?", (await Tool.Run("run", Tool.Object, "-p", "add", "--type", "rwa")).Error);
    }

    [Fact]
    public async Task The_executable_is_named_uringbpf_and_exits_as_it_says()
    {
        Assert.Equal(0, (await Tool.Start("uringbpf", "--version")).Exit);
        var outcome = await Tool.Start("uringbpf", "verify", Tool.Object, "-p", "wild", "--json");
        Assert.Equal((1, ""), (outcome.Exit, outcome.Error));
        Assert.Equal(2, (await Tool.Start("uringbpf", "verfy")).Exit);
        Assert.Equal(3, (await Tool.Start("uringbpf", "list", Tool.Root)).Exit);
    }

    [Theory]
    [InlineData("")]
    [InlineData("class")]
    [InlineData("My.int")]
    [InlineData("9lives")]
    [InlineData("a-b")]
    public async Task What_csharp_does_not_take_for_a_name_makes_no_project(string name)
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("new", "hook", name, "-o", folder["new"]);
        Assert.Equal((2, "", false), (outcome.Exit, outcome.Out, Directory.Exists(folder["new"])));
    }

    [Fact]
    public async Task A_file_that_is_no_object_is_named_once_with_what_to_do()
    {
        using var folder = new TemporaryFolder();
        var (source, empty) = (folder.File("hook.bpf.c", "int x;"u8.ToArray()), folder.File("empty.o", []));
        foreach (var verb in (string[])["verify", "list", "run", "skeleton"])
        {
            var outcome = await Tool.Run(verb, source);
            Assert.Equal(3, outcome.Exit);
            Assert.Equal(verb == "verify" ? $"{source}: UB1001: " : $"uringbpf: UB1001: {source}: ", outcome.Error[..outcome.Error.IndexOf("this is", StringComparison.Ordinal)]);
            Assert.Contains($"this is a source, not an object. 'uringbpf build {source}' compiles it.", outcome.Error);
        }
        Assert.Equal($"{empty}: UB1001: this is not an ELF file: it is empty.\n", (await Tool.Run("verify", empty)).Error);
        Assert.Contains("is a directory; --directory grants one", (await Tool.Run("ring", Tool.Sample("Copy"), "--files", folder.Path, "--start", "read")).Error);
    }

    [Theory]
    [InlineData("> /dev/full")]
    [InlineData(">&-")]
    public async Task Output_that_can_not_be_written_is_no_bug_of_ours(string where)
    {
        var tool = Path.Combine(AppContext.BaseDirectory, "uringbpf.dll");
        var start = new System.Diagnostics.ProcessStartInfo("/bin/sh", ["-c", $"dotnet '{tool}' list '{Tool.Object}' {where}"]) { RedirectStandardError = true };
        using var process = System.Diagnostics.Process.Start(start)!;
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, process.ExitCode);
        Assert.StartsWith("uringbpf: the output can't be written", error);
    }

    [Fact]
    public async Task Features_are_told_as_one_object()
    {
        var outcome = await Tool.Run("features", "--json");
        Assert.Equal(0, outcome.Exit);
        Assert.Matches("""^\{"system":"[^"]+","architecture":"[^"]+","runtime":"[^"]+","dynamic_code":true,"io_uring":(true|false),"io_uring_refusal":""", Assert.Single(outcome.Lines));
        Assert.Matches(""","kernel_bpf":(true,"kernel_bpf_refusal":null|false,"kernel_bpf_refusal":"[^"]+"),"program_types":\["completion",.*"map_types":\[.*"hash".*"helpers":\["bpf_map_lookup_elem",.*"kfuncs":\["uring_submit",[^\]]+\]\}$""", outcome.Out.TrimEnd());
        var text = await Tool.Run("features");
        Assert.Equal(0, text.Exit);
        foreach (var line in (string[])["io_uring", "kernel BPF", "helpers", "kfuncs", "maps", "types"]) Assert.Contains($"\n{line} ", text.Out);
    }

    [Fact]
    public async Task Completion_scripts_let_the_shell_ask_the_tool()
    {
        Assert.SkipWhen(!File.Exists("/bin/bash") && !File.Exists("/usr/bin/bash"), "no bash here");
        // As bash calls it: the line so far, the cursor at its end.
        var script = $$"""
            uringbpf() { dotnet '{{Path.Combine(AppContext.BaseDirectory, "uringbpf.dll")}}' "$@"; }
            source <(uringbpf completion bash)
            for COMP_LINE in 'uringbpf veri' 'uringbpf run {{Tool.Object}} --engine ' 'uringbpf run {{Tool.Object}} --program cou'; do
                COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<< "$COMP_LINE"; [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _uringbpf; echo "${COMPREPLY[*]}"
            done
            """;
        using var process = Process.Start(new ProcessStartInfo("bash", ["-c", script]) { RedirectStandardOutput = true })!;
        Assert.Equal("verify\nchecked interpreter jit\ncount\n", await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal(2, (await Tool.Run("completion", "tcsh")).Exit);
        Assert.Contains("compdef", (await Tool.Run("completion", "zsh")).Out);
        Assert.Contains("commandline -cp", (await Tool.Run("completion", "fish")).Out);
    }
}
