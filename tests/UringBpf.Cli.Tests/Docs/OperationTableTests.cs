using System.Reflection;
using System.Text.RegularExpressions;
using UringBpf.Ring;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/ring.md names every operation of the kernel once, and members that exist.</summary>
public sealed partial class OperationTableTests
{
    // Linux 6.18: IORING_OP_PIPE is the last.
    private const int OperationsOfTheKernel = 63;

    [GeneratedRegex("`(?<name>[A-Za-z0-9]+)(\\([^`]*\\))?`")]
    private static partial Regex Member { get; }

    private static string[][] Rows() =>
        [.. File.ReadAllText(Path.Combine(Tool.Root, "docs", "ring.md")).Split("## Operations of Linux 6.18")[1].Split('\n')
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(1).Select(line => line.Trim('|', ' ').Split(" | "))];

    [Fact]
    public void Every_operation_is_there_once()
    {
        var named = Rows().SelectMany(row => row[0].Split(", ")).Select(name => Enum.Parse<IoUringOp>(name.Replace("_", ""), ignoreCase: true)).ToList();
        Assert.Equal(Enum.GetValues<IoUringOp>().Where(operation => operation != IoUringOp.Program), named.Order());
        Assert.Equal(OperationsOfTheKernel, named.Count);
    }

    [Fact]
    public void What_it_says_to_call_exists()
    {
        var types = typeof(Ring.Ring).Assembly.GetExportedTypes();
        var members = types.SelectMany(type => type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly))
            .Select(member => member.Name).Concat(types.Select(type => type.Name)).ToHashSet();
        var named = Rows().SelectMany(row => Member.Matches(row[1]).Select(match => match.Groups["name"].Value)).ToList();
        Assert.True(named.Count > 30);
        Assert.All(named, name => Assert.Contains(name, members));
    }

    [Fact]
    public async Task The_running_kernel_has_what_it_names()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.OSVersion.Version >= new Version(6, 18), "The table is of Linux 6.18.");
        await using var ring = Ring.Ring.Create();
        Assert.SkipUnless(ring.Features.Backend == "kernel", "io_uring is refused here.");
        Assert.Equal(OperationsOfTheKernel, ring.Features.Operations.Length);
    }
}
