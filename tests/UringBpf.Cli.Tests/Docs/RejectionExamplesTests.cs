using System.Text;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>
/// The examples of docs/diagnostics.md, one C source for each of the verifier's codes that C can provoke: <c>bad</c> is
/// refused with that code, <c>mended</c> is accepted and runs, and the page shows source and message as they are. To
/// write the page anew: UPDATE_DOCS=1.
/// </summary>
public sealed partial class RejectionExamplesTests
{
    // What no C source that clang compiles and the loader takes can provoke; a table of bytecode does (CaseTests).
    private static readonly Rule[] s_bytecodeOnly =
    [
        Rule.ProgramSize, Rule.UndefinedInstruction, Rule.InvalidRegister, Rule.InvalidJump, Rule.FallsOffEnd, Rule.InvalidMapReference,
        Rule.TooManyMaps, Rule.TooManySubprograms, Rule.UnknownProgramType, Rule.InvalidCallTarget, Rule.StepBudget, Rule.MemoryBudget, Rule.Cancelled,
    ];

    private static readonly string s_page = Path.Combine(Tool.Root, "docs/diagnostics.md");

    private static string Folder => Path.Combine(Tool.Root, "tests/UringBpf.Cli.Tests/bpf/rejections");

    public static TheoryData<string> Codes => [.. Directory.GetFiles(Folder, "UB*.bpf.c").Select(path => Path.GetFileName(path)[..6]).Order()];

    [Fact]
    public void Every_rule_that_C_can_break_has_an_example() =>
        Assert.Equal(Enum.GetValues<Rule>().Except(s_bytecodeOnly).Select(rule => $"UB{(int)rule}").Order(), Directory.GetFiles(Folder, "UB*.bpf.c").Select(path => Path.GetFileName(path)[..6]).Order());

    [Theory, MemberData(nameof(Codes))]
    public void Bad_is_refused_and_mended_runs(string code)
    {
        var spec = Load(code);
        var refusal = Refusal(spec, code);
        Assert.Equal(code, refusal.Code);
        Assert.NotEmpty(refusal.Help);
        var mended = spec.Programs.Single(program => program.Name == "mended");
        var result = ProgramVerifier.Verify(mended, Options(code));
        Assert.True(result.Accepted, result.Rejection?.ToString());
        for (var length = 0; length <= 64; length += 8)
        {
            using var maps = MapSet.Create(spec.Maps);
            using var interpreter = new CheckedInterpreter(mended, maps);
            var run = Run(interpreter, mended.Type!, length);
            Assert.True(run.Fault is null, run.Fault?.ToString());
        }
    }

    [Theory, MemberData(nameof(Codes))]
    public void The_page_shows_source_and_message(string code)
    {
        var expected = Example(code);
        var page = File.ReadAllText(s_page);
        if (Environment.GetEnvironmentVariable("UPDATE_DOCS") == "1") File.WriteAllText(s_page, page = Updated(page, code, expected));
        Assert.Contains(expected, page);
    }

    /// <summary>Ten mistakes everyone makes: the message has the line, what to do, and the way there or a run that goes wrong.</summary>
    [Theory]
    [InlineData("UB2103", "v[i]", ">=")]
    [InlineData("UB2110", "g->count", "if (!p)")]
    [InlineData("UB2108", "*(volatile __u32 *)p", "data_end")]
    [InlineData("UB2102", "uring_submit", "{}")]
    [InlineData("UB2401", "}", "bpf_ringbuf_discard")] // clang gives a function's one exit to its last line
    [InlineData("UB2601", "bpf_ktime_get_ns", "condition")]
    [InlineData("UB2303", "bpf_map_lookup_elem", "map")]
    [InlineData("UB2202", "v[ctx->user_data]", "check the index")]
    [InlineData("UB2111", "limit", "const")]
    [InlineData("UB2501", "return ctx->res", "uring_err")]
    public void Classic_mistakes_name_the_line_and_the_fix(string code, string inLine, string inFix)
    {
        var rejection = Refusal(Load(code), code);
        Assert.NotNull(rejection.Source);
        Assert.Contains(inLine, rejection.Source.Text);
        Assert.Contains(inFix, rejection.Help);
        var text = rejection.ToString();
        Assert.Contains($"{code}.bpf.c:{rejection.Source.Line}", text);
        Assert.Contains("^", text);
        Assert.NotEmpty(rejection.Help);
        if (code is not "UB2601") Assert.True(rejection.Path.Length > 0 || rejection.Witness.Length > 0, text);
    }

    /// <summary>A witness is shown only after the checked interpreter went wrong on it.</summary>
    [Theory]
    [InlineData("UB2102")]
    [InlineData("UB2103")]
    [InlineData("UB2104")]
    [InlineData("UB2105")]
    [InlineData("UB2108")]
    [InlineData("UB2110")]
    [InlineData("UB2202")]
    [InlineData("UB2304")]
    [InlineData("UB2501")]
    public void A_run_that_goes_wrong_is_found(string code) => Assert.NotEqual("", Refusal(Load(code), code).Witness);

    /// <summary>One function of an example, as it is in the source, with what stands before the first.</summary>
    internal static string Body(string code, string function)
    {
        var source = File.ReadAllText(Path.Combine(Folder, code + ".bpf.c")).Replace("#include \"common.h\"\n", "", StringComparison.Ordinal).Trim();
        var second = source.LastIndexOf("HOOK mended", StringComparison.Ordinal);
        return (function == "mended" ? source[second..] : source[..second]).Trim();
    }

    /// <summary>What the verifier says of an example.</summary>
    internal static string Message(string code) => Refusal(Load(code), code).ToString();

    private static string Example(string code)
    {
        var source = File.ReadAllText(Path.Combine(Folder, code + ".bpf.c")).Replace("#include \"common.h\"\n", "", StringComparison.Ordinal).Trim();
        var text = new StringBuilder("```c\n").Append(source).Append("\n```\n\n```text\n").Append(Refusal(Load(code), code)).Append("\n```\n");
        return text.ToString();
    }

    // The example ends its section.
    private static string Updated(string page, string code, string example)
    {
        var start = page.IndexOf($"### {code} ", StringComparison.Ordinal);
        var end = NextHeading().Match(page, start + 4) is { Success: true } next ? next.Index : page.Length;
        var section = page[start..end];
        var old = section.IndexOf("```c\n", StringComparison.Ordinal);
        if (old >= 0) section = section[..old];
        return page[..start] + section.TrimEnd() + "\n\n" + example + "\n" + page[end..];
    }

    private static ObjectSpec Load(string code) => ObjectSpec.Load(File.ReadAllBytes(Path.Combine(Folder, code + ".bpf.o")), code + ".bpf.o");

    private static VerifierOptions Options(string code) => new() { ContextSize = 16, RequireTerminationProof = code == "UB2602" };

    private static Rejection Refusal(ObjectSpec spec, string code)
    {
        var bad = spec.Programs.Single(program => program.Name == "bad");
        var result = ProgramVerifier.Verify(bad, Options(code));
        Assert.False(result.Accepted);
        return WitnessRunner.Confirm(bad, result.Rejection!, contextSize: 16);
    }

    private static unsafe CheckedResult Run(CheckedInterpreter interpreter, ProgramType type, int length)
    {
        if (type == ProgramTypes.Completion) return new HookTest { Data = new byte[length], UserData = (ulong)length, Step = (uint)length }.Run(interpreter);
        var context = new byte[type.Context.IsFlat ? 16 : type.Context.HostSize];
        var data = new byte[length];
        fixed (byte* bytes = context)
        fixed (byte* start = data)
        {
            if (!type.Context.IsFlat)
            {
                // Packet contexts begin with the packet's bounds.
                ((byte**)bytes)[0] = start;
                ((byte**)bytes)[1] = start + length;
            }
            return interpreter.Run(context);
        }
    }

    [GeneratedRegex("^##", RegexOptions.Multiline)]
    private static partial Regex NextHeading();
}
