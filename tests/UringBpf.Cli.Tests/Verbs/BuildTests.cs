using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Cli.Tests.Verbs;

/// <summary>uringbpf build, skeleton and new.</summary>
public sealed class BuildTests
{
    private const string Good = "#include \"uring_bpf.h\"\nSEC(\"uring/complete\") int hook(struct uring_completion *ctx) { return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS; }\n";
    private const string Bad = "#include \"uring_bpf.h\"\nSEC(\"uring/complete\")\nint hook(struct uring_completion *ctx)\n{\n    return *(unsigned char *)ctx->data;\n}\n";

    private static async Task<Outcome> Build(params string[] args)
    {
        var outcome = await Tool.Run(["build", .. args]);
        Assert.SkipWhen(outcome.Error.Contains("UB5001") && !args.Contains("--clang"), outcome.Error);
        return outcome;
    }

    [Fact]
    public async Task A_hook_in_C_becomes_an_object_beside_it()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("hook.bpf.c", Text(Good));
        var outcome = await Build(source);
        Assert.Equal((0, "", $"{folder["hook.bpf.o"]}: 1 program, 0 maps\n"), (outcome.Exit, outcome.Out, outcome.Error));
        Assert.Equal("hook", ObjectSpec.Load(File.ReadAllBytes(folder["hook.bpf.o"])).Programs.Single().Name);
        // No path of the machine is in the object.
        Assert.DoesNotContain(folder.Path, System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(folder["hook.bpf.o"])));
    }

    [Fact]
    public async Task The_skeleton_is_named_as_asked()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Build(folder.File("hook.bpf.c", Text(Good)), "-o", folder["out/h.o"], "--skeleton", folder["out/H.g.cs"], "--namespace", "My.App", "--class", "Mine", "--resource", "r.o", "--public");
        Assert.Equal(0, outcome.Exit);
        var text = File.ReadAllText(folder["out/H.g.cs"]);
        Assert.Contains("namespace My.App;", text);
        Assert.Contains("public sealed partial class Mine : ", text);
        Assert.Contains("const string name = \"r.o\";", text);
        Assert.Equal(2, (await Build(folder["hook.bpf.c"], "--skeleton", folder["x"], "--class", "9x")).Exit);
    }

    [Fact]
    public async Task Rust_is_refused_with_what_compiles_it()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("hook.bpf.rs", Text("#![no_std]\n"));
        var outcome = await Tool.Run("build", source);
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith($"uringbpf: UB5004: {source} is Rust, ", outcome.Error);
        Assert.Contains("--emit llvm-bc", outcome.Error);
        Assert.Contains($"'uringbpf build {folder["hook.bpf.o"]}'", outcome.Error);
        outcome = await Tool.Run("build", source, "--msbuild");
        Assert.Equal(1, outcome.Exit);
        Assert.StartsWith($"{source}(1,1): error UB5004: ", Assert.Single(outcome.Lines));
        foreach (var verb in (string[])["list", "verify", "run"])
        {
            outcome = await Tool.Run(verb, source);
            Assert.Equal(3, outcome.Exit);
            Assert.Contains("UB1001", outcome.Error);
            Assert.Contains("this is a source, not an object: rustc makes bitcode of it", outcome.Error);
        }
        Assert.Contains("Could not find file", (await Tool.Run("build", folder["none.rs"])).Error);
    }

    [Fact]
    public async Task A_rejected_hook_leaves_no_object()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("hook.bpf.c", Text(Bad));
        var outcome = await Build(source);
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
        Assert.StartsWith("UB2108: program 'hook'", outcome.Error);
        Assert.False(File.Exists(folder["hook.bpf.o"]));
        outcome = await Build(source, "--msbuild");
        Assert.Equal(1, outcome.Exit);
        Assert.StartsWith($"{source}(5,12): error UB2108: hook: ", Assert.Single(outcome.Lines));
        Assert.Equal(0, (await Build(source, "--no-verify")).Exit);
    }

    [Fact]
    public async Task What_the_compiler_says_is_passed_on()
    {
        using var folder = new TemporaryFolder();
        folder.File("helper.h", Text("static inline int helper(void) { int unused; return MISSING; }\n"));
        var source = folder.File("hook.bpf.c", Text("#include \"uring_bpf.h\"\n#include \"helper.h\"\nSEC(\"uring/complete\") int hook(void *ctx) { return helper(); }\n"));
        var outcome = await Build(source, "--msbuild");
        Assert.Equal(1, outcome.Exit);
        Assert.Contains($"{folder["helper.h"]}(1,53): error UB5002: use of undeclared identifier 'MISSING'", outcome.Lines);
        // -W… and -D… reach the compiler.
        outcome = await Build(source, "--flags", "-DMISSING=0 -Wno-unused-variable");
        Assert.Equal((0, ""), (outcome.Exit, outcome.Out));
        Assert.DoesNotContain("warning", outcome.Error);
        outcome = await Build(source, "--flags", "-no-such-flag");
        Assert.Equal(1, outcome.Exit);
        Assert.Contains("UB5002", (await Build(source, "--flags", "-no-such-flag", "--msbuild")).Out);
        Assert.Equal(3, (await Build(folder["missing.bpf.c"])).Exit);
    }

    [Fact]
    public async Task Without_clang_the_hint_says_how_to_get_it()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("hook.bpf.c", Text(Good));
        var (path, clang) = (Environment.GetEnvironmentVariable("PATH"), Environment.GetEnvironmentVariable("CLANG"));
        try
        {
            Environment.SetEnvironmentVariable("PATH", folder.Path);
            Environment.SetEnvironmentVariable("CLANG", null);
            var outcome = await Tool.Run("build", source);
            Assert.Equal(1, outcome.Exit);
            Assert.StartsWith("uringbpf: UB5001: no clang was found", outcome.Error);
            Assert.Contains("apt install clang", outcome.Error);
            Assert.StartsWith($"{source}(1,1): error UB5001: ", (await Tool.Run("build", source, "--msbuild")).Out);
            Environment.SetEnvironmentVariable("CLANG", "/no/such/clang");
            Assert.Contains("the environment variable CLANG asks for", (await Tool.Run("build", source)).Error);
            // An object needs none.
            Assert.Equal(0, (await Tool.Run("build", Tool.Sample("FileSeries"), "-o", folder["hook.bpf.o"], "--skeleton", folder["Hook.cs"])).Exit);
        }
        finally
        {
            Environment.SetEnvironmentVariable("PATH", path);
            Environment.SetEnvironmentVariable("CLANG", clang);
        }
    }

    [Fact]
    public async Task What_was_not_verified_is_said()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("other.bpf.c", Text("#include \"uring_bpf.h\"\nSEC(\"mine/own\") int program(void *ctx) { return 0; }\n"));
        var note = $"{source}: program was not verified: its section names no program type\n";
        var outcome = await Build(source);
        Assert.Equal((0, "", note + $"{folder["other.bpf.o"]}: 1 program, 0 maps\n"), (outcome.Exit, outcome.Out, outcome.Error));
        outcome = await Build(source, "--msbuild");
        Assert.Equal((0, note, ""), (outcome.Exit, outcome.Out, outcome.Error));
        // Who asked for it knows.
        Assert.DoesNotContain("not verified", (await Build(source, "--no-verify")).Error);
    }

    [Fact]
    public async Task Flat_programs_are_verified_for_the_context_that_is_promised()
    {
        using var folder = new TemporaryFolder();
        var source = folder.File("raw.bpf.c", Text("#include \"uring_bpf.h\"\nSEC(\"raw\") int program(__u32 *memory) { return memory[1]; }\n"));
        var unverified = await Build(source);
        Assert.Equal((0, $"{source}: program was not verified: what a program of type raw is given is for --ctx-size to say\n{folder["raw.bpf.o"]}: 1 program, 0 maps\n"), (unverified.Exit, unverified.Error));
        Assert.Equal(0, (await Build(source, "--ctx-size", "8")).Exit);
        Assert.Equal(1, (await Build(source, "--ctx-size", "7")).Exit);
        Assert.Equal(2, (await Build(source, "--ctx-size", "-1")).Exit);
    }

    [Fact]
    public async Task A_skeleton_of_an_object_from_Rust_sees_through_its_cells()
    {
        var outcome = await Tool.Run("skeleton", Path.Combine(Tool.Root, "samples/FileSeries/hook.rs.bpf.o"));
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Contains("public uint? PathCount { get; set; }", outcome.Out);
        Assert.Contains("BpfGlobal<uint>", outcome.Out);
        Assert.DoesNotContain("Cell", outcome.Out);
    }

    [Fact]
    public async Task A_skeleton_goes_to_standard_output_or_a_file()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("skeleton", Tool.Sample("FileSeries"));
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.Contains("internal sealed partial class Hook : global::System.IDisposable", outcome.Out);
        Assert.Contains("public uint? PathCount { get; set; }", outcome.Out);
        Assert.Contains("public global::UringBpf.Runtime.BpfProgram FileSeries { get; }", outcome.Out);
        Assert.Equal(0, (await Tool.Run("skeleton", Tool.Sample("FileSeries"), "-o", folder["Hook.cs"])).Exit);
        Assert.Equal(outcome.Out, File.ReadAllText(folder["Hook.cs"]));
        Assert.Equal(3, (await Tool.Run("skeleton", folder.File("x.o", [1, 2]))).Exit);
        Assert.Equal(2, (await Tool.Run("skeleton", Tool.Sample("FileSeries"), "--namespace", "a b")).Exit);
    }

    [Fact]
    public async Task New_writes_a_project_and_overwrites_none()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Run("new", "hook", "LineCounter", "-o", folder["app"]);
        Assert.Equal(0, outcome.Exit);
        Assert.Equal([".gitignore", "LineCounter.csproj", "Program.cs", "README.md", "hook.bpf.c"], Directory.GetFiles(folder["app"]).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Assert.Contains("using LineCounter;", File.ReadAllText(folder["app/Program.cs"]));
        Assert.Matches("<PackageReference Include=\"UringBpf\" Version=\"[0-9]+[.][0-9]+[.][0-9]+[^\"]*\" />", File.ReadAllText(folder["app/LineCounter.csproj"]));
        outcome = await Tool.Run("new", "hook", "LineCounter", "-o", folder["app"]);
        Assert.Equal(3, outcome.Exit);
        Assert.Contains("exists; --force overwrites it", outcome.Error);
        Assert.Equal(0, (await Tool.Run("new", "hook", "LineCounter", "-o", folder["app"], "--force")).Exit);
        Assert.Equal(2, (await Tool.Run("new", "hook", "no name")).Exit);
        Assert.Equal(0, (await Build(folder["app/hook.bpf.c"])).Exit);
    }

    private static byte[] Text(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
