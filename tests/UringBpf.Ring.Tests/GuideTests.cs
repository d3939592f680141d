using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The examples of docs/hooks.md do what it says, on every back end.</summary>
public abstract partial class GuideTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EAccess = 13, EBadMsg = 74, ECanceled = 125;

    private static readonly ObjectSpec s_guide = Load("guide.bpf.o");

    [Fact]
    public void The_page_shows_what_is_run()
    {
        var page = File.ReadAllText(Path.Combine(Folder(), "../../docs/hooks.md"));
        var source = File.ReadAllText(Path.Combine(Folder(), "bpf/guide.bpf.c"));
        var blocks = CBlock().Matches(page).Select(match => match.Groups[1].Value.Replace("#include \"uring_bpf.h\"\n\n", "")).ToArray();
        Assert.Equal(4, blocks.Length);
        Assert.All(blocks, block => Assert.Contains(block, source));
    }

    [Fact]
    public void The_page_shows_what_is_run_in_Rust()
    {
        var page = File.ReadAllText(Path.Combine(Folder(), "../../docs/hooks.md"));
        var source = File.ReadAllText(Path.Combine(Folder(), "bpf/guide.bpf.rs"));
        var shown = Assert.Single(RustBlock().Matches(page)).Groups[1].Value;
        Assert.EndsWith(shown[shown.IndexOf("use core", StringComparison.Ordinal)..], source);
    }

    [GeneratedRegex("```rust\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex RustBlock();

    [GeneratedRegex("```c\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CBlock();

    private static string Folder([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;

    [Theory]
    [InlineData("guide.bpf.o")]
    [InlineData("guide.rs.bpf.o")]
    public async Task A_file_is_read_to_its_end_and_the_host_wakes_once(string guide)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[10_000]));
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile(Load(guide), "to_the_end"), new Grants { Files = [file], Buffers = [4096] });
        var result = await hook.StartAsync(UringOp.Read(file: 0, buffer: 0, length: 4096, offset: 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal((0, 10_000UL, 1L), (result.Result, result.Bytes, ring.HostWakeUps));
    }

    [Fact]
    public async Task Four_reads_are_joined()
    {
        using var folder = new TemporaryFolder();
        var content = new byte[2048];
        for (var i = 0; i < 4; i++) content[512 * i] = (byte)(10 * i + 1);
        using var file = File.OpenHandle(folder.File("data", content));
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile(s_guide, "four_at_once"), new Grants { Files = [file], Buffers = [512, 512, 512, 512] });
        var result = await hook.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal((Verdict.Pass, 5u), (result.Verdict, result.Steps));
        Assert.Equal(64UL, Assert.Single(Emissions(hook)).Value);
    }

    [Theory]
    [InlineData(1, 64)]
    [InlineData(0, -EBadMsg)]
    public async Task A_copy_is_checked_by_a_program_between_its_read_and_its_write(byte first, int expected)
    {
        using var folder = new TemporaryFolder();
        using var source = File.OpenHandle(folder.File("source", [first, .. new byte[63]]));
        await using var ring = CreateRing();
        // A target that the back end's own machine has.
        var opened = await ring.OpenAsync(folder.File("target", []), 2).AsTask().WaitAsync(s_patience);
        using var target = new Microsoft.Win32.SafeHandles.SafeFileHandle(opened, ownsHandle: false);
        await using var hook = ring.Attach(Compile(s_guide, "checked_copy"),
            new Grants { Files = [source, target], Buffers = [64], AllowWrite = true, Programs = [Compile(s_guide, "check")] });
        var result = await hook.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal(expected, result.Result);
        var read = await ring.ReadAsync(target, new byte[64], 0).AsTask().WaitAsync(s_patience);
        Assert.Equal(expected < 0 ? 0 : 64, read);
        await ring.CloseAsync(opened).AsTask().WaitAsync(s_patience);
    }

    [Fact]
    public async Task A_policy_allows_modest_reads_and_bare_names()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[8192]));
        await using var ring = CreateRing();
        await using var hook = ring.Attach(Compile("probe"), new Grants { Files = [file], Buffers = [8192], Directories = [folder.Path], Paths = ["data", "./data"] });
        await using var policy = hook.AttachPolicy(Compile(s_guide, "modest"));
        async Task<int> Probe(UringOp op)
        {
            await hook.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
            return (int)Emissions(hook)[^1].Value;
        }
        Assert.Equal(4096, await Probe(UringOp.Read(0, 0, 4096, 0)));
        Assert.Equal(-EAccess, await Probe(UringOp.Read(0, 0, 4097, 0)));
        Assert.Equal(1, await Probe(UringOp.OpenAt(0, 0, 1)));
        Assert.Equal(-EAccess, await Probe(UringOp.OpenAt(0, 1, 1)));
        Assert.Equal(-EAccess, await Probe(UringOp.OpenAt(0, 0, 1, openFlags: 0x800)));
        Assert.Equal(-EAccess, await Probe(UringOp.Timeout(TimeSpan.FromHours(1))));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelGuideTests() : GuideTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableGuideTests() : GuideTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedGuideTests() : GuideTests(RingBackendKind.Simulated);
