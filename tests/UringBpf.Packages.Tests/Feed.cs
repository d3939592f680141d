using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using Xunit;

[assembly: AssemblyFixture(typeof(UringBpf.Packages.Tests.Feed))]
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace UringBpf.Packages.Tests;

/// <summary>What a command gave.</summary>
internal sealed record Outcome(int Exit, string Text);

/// <summary>
/// The packages of this build in a folder, as a feed for projects in folders of their own. Other people's packages come from
/// where this machine has them already, so nothing is downloaded.
/// </summary>
public sealed class Feed : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);
    private readonly string _folder = Directory.CreateTempSubdirectory("uringbpf-feed").FullName;

    /// <summary>The repository's top folder.</summary>
    public static string Root => Repository.Root;

    /// <summary>Debug or Release: that of these tests.</summary>
    private static string Configuration { get; } = AppContext.BaseDirectory.Contains($"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}") ? "Release" : "Debug";

    /// <summary>The .nupkg and .snupkg files.</summary>
    public string Packages => Path.Combine(_folder, "feed");

    private static string MachinePackages { get; } =
        Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    /// <summary>True when this machine has a package, in whatever version.</summary>
    public static bool HasPackage(string name) => Directory.Exists(Path.Combine(MachinePackages, name));

    /// <summary>The packages' version.</summary>
    public string Version { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        var packed = await Run(Root, "dotnet", "pack", "UringBpf.sln", "--no-build", "--nologo", "-v", "q", "-c", Configuration, "-o", Packages);
        Assert.True(packed.Exit == 0, packed.Text);
        Version = Path.GetFileName(Directory.GetFiles(Packages, "UringBpf.Tool.*.nupkg").Single())["UringBpf.Tool.".Length..^".nupkg".Length];
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>An empty folder whose projects restore from the feed alone.</summary>
    internal string CreateFolder(string name)
    {
        var folder = Path.Combine(_folder, name);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "nuget.config"), $"""
            <configuration>
              <packageSources><clear /><add key="here" value="{Packages}" /></packageSources>
              <fallbackPackageFolders><clear /><add key="machine" value="{MachinePackages}" /></fallbackPackageFolders>
              <config><add key="globalPackagesFolder" value="{Path.Combine(_folder, "restored")}" /></config>
            </configuration>
            """);
        // What the repository says of its own projects must not reach a user's.
        File.WriteAllText(Path.Combine(folder, "Directory.Build.props"), "<Project><PropertyGroup><NuGetAudit>false</NuGetAudit></PropertyGroup></Project>");
        return folder;
    }

    /// <summary>The names in a package.</summary>
    internal string[] Contents(string file)
    {
        using var package = ZipFile.OpenRead(Path.Combine(Packages, file));
        return [.. package.Entries.Select(entry => entry.FullName).Order(StringComparer.Ordinal)];
    }

    /// <summary>One file of a package, as text.</summary>
    internal string Read(string file, string entry)
    {
        using var package = ZipFile.OpenRead(Path.Combine(Packages, file));
        using var reader = new StreamReader(package.GetEntry(entry)!.Open(), Encoding.UTF8);
        return reader.ReadToEnd();
    }

    internal static async Task<Outcome> Run(string folder, string program, params string[] args)
    {
        var start = new ProcessStartInfo(program, args) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        // Nothing of the test run's own build, and no build server left behind.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray()) start.Environment.Remove(name);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["NO_COLOR"] = "1";
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(s_patience, TestContext.Current.CancellationToken);
        return new Outcome(process.ExitCode, await output + await error);
    }
}
