using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace UringBpf.Packages.Tests;

/// <summary>What is in the packages, and that a project elsewhere can use them.</summary>
public sealed partial class PackageTests(Feed feed)
{
    private static readonly string[] s_libraries = ["UringBpf", "UringBpf.Bytecode", "UringBpf.Compiler", "UringBpf.Ring", "UringBpf.Runtime", "UringBpf.Verifier"];

    [Fact]
    public void There_are_these_packages_and_no_others() => Assert.Equal(
        s_libraries.Append("UringBpf.Tool").Append("UringBpf.Templates").Order(StringComparer.Ordinal),
        Directory.GetFiles(feed.Packages, "*.nupkg").Select(file => Path.GetFileName(file)[..^$".{feed.Version}.nupkg".Length]).Order(StringComparer.Ordinal));

    [Fact]
    public void Each_has_a_readme_the_licence_a_description_and_symbols()
    {
        foreach (var name in s_libraries.Append("UringBpf.Tool").Append("UringBpf.Templates"))
        {
            var contents = feed.Contents($"{name}.{feed.Version}.nupkg");
            Assert.Contains("README.md", contents);
            Assert.Contains("LICENSE", contents);
            var metadata = XDocument.Parse(feed.Read($"{name}.{feed.Version}.nupkg", $"{name}.nuspec")).Root!.Elements().Single();
            string? Value(string element) => metadata.Elements().SingleOrDefault(child => child.Name.LocalName == element)?.Value;
            Assert.Equal(("MIT", "README.md", feed.Version), (Value("license"), Value("readme"), Value("version")));
            Assert.False(string.IsNullOrWhiteSpace(Value("description")));
            if (name == "UringBpf.Templates") continue;
            Assert.Contains(feed.Contents($"{name}.{feed.Version}.snupkg"), entry => entry.EndsWith(".pdb", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Libraries_hold_an_assembly_its_documentation_and_what_hooks_are_written_against()
    {
        foreach (var name in s_libraries)
        {
            var assembly = name == "UringBpf" ? "UringBpf.Engine" : name;
            Assert.Equal([$"lib/net10.0/{assembly}.dll", $"lib/net10.0/{assembly}.xml"], feed.Contents($"{name}.{feed.Version}.nupkg").Where(entry => entry.StartsWith("lib/", StringComparison.Ordinal)));
        }
        foreach (var header in new[] { "include/uring_bpf.h", "include/uring_bpf.rs" }) Assert.Contains(header, feed.Contents($"UringBpf.Ring.{feed.Version}.nupkg"));
        var umbrella = feed.Contents($"UringBpf.{feed.Version}.nupkg");
        Assert.Contains("buildTransitive/UringBpf.targets", umbrella);
        Assert.Contains("tools/net10.0/uringbpf.dll", umbrella);
        Assert.Contains("tools/net10.0/include/uring_bpf.h", umbrella);
        Assert.Contains("content/hook.bpf.c", feed.Contents($"UringBpf.Templates.{feed.Version}.nupkg"));
        Assert.DoesNotContain("URINGBPF_VERSION", feed.Read($"UringBpf.Templates.{feed.Version}.nupkg", "content/HookApp.csproj"));
    }

    [Fact]
    public async Task A_host_in_an_empty_folder_runs_a_hook_from_the_packages()
    {
        // Without clang: an object that was compiled elsewhere, and its class.
        var folder = feed.CreateFolder("host");
        File.Copy(Path.Combine(Feed.Root, "samples/FileSeries/hook.bpf.o"), Path.Combine(folder, "series.bpf.o"));
        File.WriteAllText(Path.Combine(folder, "host.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="UringBpf" Version="{feed.Version}" />
                <BpfProgram Include="series.bpf.o" Namespace="Mine" />
              </ItemGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(folder, "Program.cs"), """
            using UringBpf.Ring;

            using var hook = Mine.Series.Load(new() { PathCount = (uint)args.Length, BlockBytes = 4096 });
            await using var ring = Ring.Create();
            await using var link = ring.Attach(hook.Programs.FileSeries, new Grants { Paths = [.. args] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096 });
            var result = await link.StartAsync(UringOp.Nop());
            Console.WriteLine($"{hook.Globals.PathCount} files, {result.Bytes} bytes, woke {ring.HostWakeUps}");
            """);
        var built = await Feed.Run(folder, "dotnet", "build", "--nologo", "-v", "q");
        Assert.True(built.Exit == 0, built.Text);
        var data = Path.Combine(folder, "data");
        File.WriteAllBytes(data, new byte[10_000]);
        var ran = await Feed.Run(folder, "dotnet", "bin/Debug/net10.0/host.dll", data, data);
        Assert.SkipWhen(ran.Text.Contains("UB4501"), ran.Text);
        Assert.Equal("2 files, 20000 bytes, woke 1\n", ran.Text);
        // Nothing of it came from this repository's output.
        Assert.DoesNotContain(Feed.Root, File.ReadAllText(Path.Combine(folder, "obj/project.assets.json")));
    }

    [Fact]
    public async Task The_template_and_new_write_the_same_project_which_builds_and_runs()
    {
        var folder = feed.CreateFolder("template");
        var hive = Path.Combine(folder, "hive");
        var installed = await Feed.Run(folder, "dotnet", "new", "install", Path.Combine(feed.Packages, $"UringBpf.Templates.{feed.Version}.nupkg"), "--debug:custom-hive", hive);
        Assert.True(installed.Exit == 0, installed.Text);
        var made = await Feed.Run(folder, "dotnet", "new", "uringbpf-hook", "-n", "LineCounter", "-o", "made", "--no-update-check", "--debug:custom-hive", hive);
        Assert.True(made.Exit == 0, made.Text);

        var tool = await Feed.Run(folder, "dotnet", "tool", "install", "UringBpf.Tool", "--tool-path", "tools", "--version", feed.Version);
        Assert.True(tool.Exit == 0, tool.Text);
        var written = await Feed.Run(folder, Path.Combine(folder, "tools/uringbpf"), "new", "hook", "LineCounter", "-o", "written");
        Assert.True(written.Exit == 0, written.Text);
        Assert.Equal(Files(Path.Combine(folder, "made")), Files(Path.Combine(folder, "written")));

        var built = await Feed.Run(Path.Combine(folder, "made"), "dotnet", "build", "--nologo", "-v", "q");
        Assert.SkipWhen(built.Text.Contains("UB5001"), built.Text);
        Assert.True(built.Exit == 0, built.Text);
        var ran = await Feed.Run(Path.Combine(folder, "made"), "dotnet", "bin/Debug/net10.0/LineCounter.dll", "hook.bpf.c");
        Assert.SkipWhen(ran.Text.Contains("UB4501"), ran.Text);
        Assert.Contains($"hook.bpf.c: {File.ReadAllLines(Path.Combine(folder, "made/hook.bpf.c")).Length} lines", ran.Text);
        Assert.Contains("this program woke 1 time(s)", ran.Text);

        // A hook that is not safe stops the build, at its line.
        var source = Path.Combine(folder, "made/hook.bpf.c");
        File.WriteAllText(source, File.ReadAllText(source).Replace("at + i + 1 > end", "at + i > end"));
        built = await Feed.Run(Path.Combine(folder, "made"), "dotnet", "build", "--nologo", "-v", "q");
        Assert.Equal(1, built.Exit);
        Assert.Matches(UnsafeLine, built.Text);
    }

    [GeneratedRegex(@"hook\.bpf\.c\(\d+,\d+\): error UB2108: count_lines: read of 1 bytes that may lie past data_end")]
    private static partial Regex UnsafeLine { get; }

    private static IEnumerable<(string, string)> Files(string folder) => Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
        .Where(path => !path.Contains("/obj/") && !path.Contains("/bin/"))
        .Select(path => (Path.GetRelativePath(folder, path), File.ReadAllText(path)))
        .Order();
}
