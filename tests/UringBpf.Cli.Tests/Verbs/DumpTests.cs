using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>
/// Dumps of the samples against committed texts. After a change that is meant to alter them, renew them with
/// <c>URINGBPF_RENEW_GOLDENS=1 dotnet run -c Release --project tests/UringBpf.Cli.Tests</c> and read the difference.
/// </summary>
public sealed class DumpTests
{
    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_samples_dump_is_the_committed_one(string sample, string form)
    {
        var outcome = await Tool.Run("dump", form, Path.Combine(Tool.Root, "samples", sample), "--source");
        Assert.Equal((0, ""), (outcome.Exit, outcome.Error));
        Assert.DoesNotMatch("0x0*[1-9a-f][0-9a-f]{11}(?![0-9a-f])", outcome.Out);
        var golden = Path.Combine(Tool.Root, "tests/UringBpf.Cli.Tests/goldens", $"{sample.Replace(".bpf.o", "").Replace("/hook", "").Replace('/', '.')}.{form}.txt");
        if (Environment.GetEnvironmentVariable("URINGBPF_RENEW_GOLDENS") == "1") File.WriteAllText(golden, outcome.Out);
        Assert.True(File.Exists(golden), $"{golden} is missing");
        Assert.Equal(File.ReadAllText(golden), outcome.Out);
    }

    /// <summary>Every committed object of the samples that holds a program the verifier accepts.</summary>
    public static TheoryData<string, string> Samples
    {
        get
        {
            var samples = Path.Combine(Tool.Root, "samples");
            var data = new TheoryData<string, string>();
            foreach (var file in Directory.GetFiles(samples, "*.bpf.o", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(samples, file)).Order(StringComparer.Ordinal))
            {
                if (file.Contains("/bin/", StringComparison.Ordinal) || file.Contains("/obj/", StringComparison.Ordinal)) continue;
                foreach (var form in (string[])["bpf", "il"])
                {
                    // Refused on purpose: it has no IL.
                    if (form == "bpf" || !file.EndsWith("greedy.bpf.o", StringComparison.Ordinal)) data.Add(file, form);
                }
            }
            return data;
        }
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
        var assembly = Assembly.Load(File.ReadAllBytes(folder["hooks.dll"]));
        Assert.NotNull(assembly.GetType("Hooks.count"));
        // What it holds runs, and does what the program compiled in memory does.
        var spec = ObjectSpec.Load(File.ReadAllBytes(Tool.Object));
        var verified = ProgramVerifier.VerifyOrThrow(spec.Programs.Single(program => program.Name == "count"));
        using var maps = MapSet.Create(spec.Maps);
        using var otherMaps = MapSet.Create(spec.Maps);
        using var saved = HookAssembly.Load(assembly, verified, maps);
        using var compiled = ProgramCompiler.Compile(verified, otherMaps);
        var (left, right) = (new byte[136], new byte[136]);
        for (var run = 0; run < 3; run++)
        {
            Assert.Equal(compiled.Run(left), saved.Run(right));
            Assert.Equal(left, right);
        }
        Assert.Equal(1, (await Tool.Run("compile", Tool.Object, "-p", "wild", "-o", folder["wild.dll"])).Exit);
        Assert.False(File.Exists(folder["wild.dll"]));
        Assert.Equal(2, (await Tool.Run("compile", Tool.Object)).Exit);
    }

    [Theory]
    [InlineData("FileSeries")]
    [InlineData("Hedge")]
    [InlineData("Framing")]
    [InlineData("Proxy")]
    public async Task Machine_code_names_what_it_calls_and_says_where_moved_blocks_go_on(string sample)
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "machine code is decoded for x86-64 only");
        var outcome = await Tool.Run("dump", "asm", Tool.Sample(sample));
        Assert.Equal(0, outcome.Exit);
        Assert.DoesNotMatch(@"call r[a-z0-9]+\n", outcome.Out);
        // Both ends of each way that goes on elsewhere.
        Assert.Equal(Regex.Count(outcome.Out, "; on to "), Regex.Count(outcome.Out, "; from "));
        // Through the ring's table of functions where the kfunc is inlined; it is not while the coverage of the tests is measured.
        if (sample == "Hedge") Assert.Matches(@"call (r[a-z0-9]+ +; HookHost\.Cancel|qword \[rip\+HookFunctions\.Cancel\])\n", outcome.Out);
        // RyuJIT lays the cases of the switch out in another order: each comparison stands with its own jump.
        if (sample == "FileSeries")
        {
            foreach (var value in (int[])[3, 2, 1]) Assert.Matches($@"if r2 (==|!=) 0x{value} goto[^\n]*\n( +M\d+:\n)?( +;[^\n]*\n)? +cmp r\w+, {value}\n", outcome.Out);
        }
    }
}
