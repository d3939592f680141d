using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>uring_bpf.h says what the library does.</summary>
public sealed partial class HeaderTests
{
    private static readonly string s_header = File.ReadAllText(Path.Combine(Tool.Root, "ring/UringBpf.Ring/include/uring_bpf.h"));

    [GeneratedRegex(@"^extern [^;]*?\b(\w+)\(([^)]*)\) __ksym;", RegexOptions.Multiline)]
    private static partial Regex Kfunc { get; }

    [GeneratedRegex(@"^static [^;]*?\(\*const (\w+)\)\(([^;]*)\) = \(void \*\)(\d+);", RegexOptions.Multiline)]
    private static partial Regex Helper { get; }

    [Fact]
    public void Every_kfunc_is_declared_with_its_arguments() => Assert.Equal(
        KfuncPrototypes.All.Select(function => (function.Name, function.Arguments.Length)).Order(),
        Kfunc.Matches(s_header).Select(match => (match.Groups[1].Value, match.Groups[2].Value.Split(',').Length)).Order());

    [Fact]
    public void Helpers_have_the_numbers_of_the_table()
    {
        var helpers = Helper.Matches(s_header);
        Assert.True(helpers.Count > 30);
        foreach (Match match in helpers) Assert.Equal(match.Groups[1].Value, PrototypeTable.BuiltIn.Helper(int.Parse(match.Groups[3].Value))?.Name);
    }
}
