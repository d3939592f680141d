using Xunit;

namespace UringBpf.Packages.Tests;

/// <summary>A host compiled ahead of time runs a hook on the interpreter.</summary>
public sealed class NativeAotTests(Feed feed)
{
    [Fact]
    public async Task A_NativeAOT_host_runs_a_hook()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64, "for linux-x64");
        Assert.SkipUnless(Feed.HasPackage("runtime.linux-x64.microsoft.dotnet.ilcompiler"),
            "the compiler is not here; 'dotnet restore tests/UringBpf.Packages.Tests/aot' fetches it");
        var folder = feed.CreateFolder("aot");
        foreach (var file in Directory.GetFiles(Path.Combine(Feed.Root, "tests/UringBpf.Packages.Tests/aot"))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        File.Copy(Path.Combine(Feed.Root, "samples/FileSeries/hook.bpf.o"), Path.Combine(folder, "series.bpf.o"));
        var published = await Feed.Run(folder, "dotnet", "publish", "--nologo", "-v", "q", "-o", "out", $"-p:UringBpfVersion={feed.Version}");
        Assert.SkipWhen(published.Text.Contains("Platform linker not found"), published.Text);
        Assert.True(published.Exit == 0, published.Text);
        // Nothing that is cut off could be missed: no warning of the trimmer or the compiler.
        Assert.DoesNotContain("warning", published.Text);

        var data = Path.Combine(folder, "data");
        File.WriteAllBytes(data, new byte[10_000]);
        var ran = await Feed.Run(folder, Path.Combine(folder, "out/host"), data, data, data);
        Assert.SkipWhen(ran.Text.Contains("UB4501"), ran.Text);
        Assert.Equal("interpreter: 3 files, 30000 bytes, woke 1\n", ran.Text);
        Assert.False(File.Exists(Path.Combine(folder, "out/host.dll")));
    }
}
