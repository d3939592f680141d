using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>The samples as a user runs them, checked against independent computations.</summary>
public sealed class SampleTests
{
    [Theory]
    [InlineData]
    [InlineData("--rust")]
    public async Task FileSeries_prints_checksums_and_wakes_once(params string[] options)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(7);
        int[] sizes = [0, 9, 131_072, 131_073, 5_000_000];
        var contents = sizes.Select(size => { var bytes = new byte[size]; random.NextBytes(bytes); return bytes; }).ToArray();
        "123456789"u8.CopyTo(contents[1]);
        var paths = contents.Select((content, i) => folder.File($"file{i}", content)).ToArray();
        var outcome = await Tool.Start("FileSeries", [.. options, .. paths]);
        Tool.SkipIfRefused(outcome);
        Assert.Equal(contents.Select((content, i) => $"{Crc32C(content):x8} {paths[i]} {content.Length}"), outcome.Lines);
        // The check value of CRC-32C (Castagnoli).
        Assert.StartsWith("e3069283 ", outcome.Lines[1]);
        Assert.Contains("the host woke 1 time(s)", outcome.Error);
        Assert.Equal(0, outcome.Exit);
    }

    [Theory]
    [InlineData]
    [InlineData("--rust")]
    public async Task FileSeries_skips_what_fails_or_stops_there(params string[] options)
    {
        using var folder = new TemporaryFolder();
        string[] paths = [folder.File("a", [1]), folder["missing"], folder.File("b", [2])];
        var outcome = await Tool.Start("FileSeries", [.. options, .. paths]);
        Tool.SkipIfRefused(outcome);
        Assert.Equal((1, 2), (outcome.Exit, outcome.Lines.Length));
        Assert.Contains($"{paths[1]}: No such file or directory (errno 2)", outcome.Error);
        outcome = await Tool.Start("FileSeries", ["--on-error", "abort", .. options, .. paths]);
        Assert.Equal((1, 1), (outcome.Exit, outcome.Lines.Length));
        Assert.Contains("aborted: No such file or directory (errno 2)", outcome.Error);
        Assert.Contains("\n1 files, 1 bytes, ", "\n" + outcome.Error);
        Assert.Equal(2, (await Tool.Start("FileSeries")).Exit);
    }

    [Theory]
    [InlineData(6)]
    [InlineData(64)]
    public async Task BlockWalk_follows_the_blocks(int hops)
    {
        const int count = 300, blockBytes = 512;
        var random = new Random(11);
        var bytes = new byte[count * blockBytes];
        for (var i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes), (ulong)random.Next(count));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes + 8), (ulong)random.Next());
        }
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Start("BlockWalk", "--hops", $"{hops}", "--lookups", "5", "--file", folder.File("blocks", bytes));
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, 5), (outcome.Exit, outcome.Lines.Length));
        foreach (var line in outcome.Lines)
        {
            var start = ulong.Parse(line.Split(' ')[0]);
            ulong at = start, sum = 0, key = 0;
            for (var hop = 0; hop < hops; hop++)
            {
                key = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes + 8));
                sum += key;
                at = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan((int)at * blockBytes));
            }
            Assert.Equal($"{start} {hops} {key} {sum}", line);
        }
        Assert.Contains("the host woke 5 times", outcome.Error);
    }

    [Fact]
    public async Task Copy_copies_a_tree_and_wakes_once_for_each_chain()
    {
        using var folder = new TemporaryFolder();
        var contents = Tree(folder);
        var outcome = await Tool.Start("Copy", "--chains", "3", folder["source"], folder["target"]);
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, contents.Count), (outcome.Exit, outcome.Lines.Length));
        foreach (var (name, content) in contents)
        {
            Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(folder["target"], name), TestContext.Current.CancellationToken));
            Assert.Contains($"{content.Length} {Path.Combine(folder["target"], name)}", outcome.Lines);
        }
        Assert.True(Directory.Exists(Path.Combine(folder["target"], "a/empty")));
        Assert.Equal(File.GetUnixFileMode(Path.Combine(folder["source"], "private")), File.GetUnixFileMode(Path.Combine(folder["target"], "private")));
        Assert.Contains("the host woke 3 time(s)", outcome.Error);

        // A target that can't be written is told, the rest copied.
        Directory.CreateDirectory(Path.Combine(folder["other"], "private"));
        outcome = await Tool.Start("Copy", folder["source"], folder["other"]);
        Assert.Equal((1, contents.Count - 1), (outcome.Exit, outcome.Lines.Length));
        Assert.Contains($"{Path.Combine(folder["source"], "private")}: Is a directory (errno 21)", outcome.Error);
        Assert.Equal(2, (await Tool.Start("Copy", folder["source"])).Exit);
    }

    // Sizes around a block of 128 KiB and around the four blocks that are in flight at once.
    internal static Dictionary<string, byte[]> Tree(TemporaryFolder folder)
    {
        const int block = 1 << 17;
        var random = new Random(3);
        var contents = new Dictionary<string, byte[]>();
        foreach (var (name, size) in (ReadOnlySpan<(string, int)>)[("zero", 0), ("one", 1), ("private", 300), ("a/less", block - 1), ("a/block", block), ("a/more", block + 1), ("a/b/four", 4 * block), ("a/b/five", 4 * block + 17), ("a/b/large", 11 * block + 5)])
        {
            var bytes = new byte[size];
            random.NextBytes(bytes);
            contents.Add(name, bytes);
            var path = Path.Combine(folder["source"], name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, bytes);
        }
        Directory.CreateDirectory(Path.Combine(folder["source"], "a/empty"));
        File.SetUnixFileMode(Path.Combine(folder["source"], "private"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return contents;
    }

    [Theory]
    [InlineData("100,-4,-11,-11,200,-11,700", 0, "1000 of 1000 bytes: 2 short reads, 1 interrupted, 3 pauses; the host woke 1 time(s)")]
    [InlineData("-4,-4,-4,-4,-4,-4,-4,1000", 0, "1000 of 1000 bytes: 0 short reads, 7 interrupted, 0 pauses; the host woke 1 time(s)")]
    [InlineData("400,0", 0, "400 of 1000 bytes: 1 short reads, 0 interrupted, 0 pauses; the host woke 1 time(s)")]
    // A pause that helps starts the count of pauses anew; five in a row are the limit.
    [InlineData("-11,-11,-11,-11,-11,1,-11,-11,-11,-11,-11,999", 0, "1000 of 1000 bytes: 1 short reads, 0 interrupted, 10 pauses; the host woke 1 time(s)")]
    [InlineData("-11,-11,-11,-11,-11,-11", 1, "0 of 1000 bytes: 0 short reads, 0 interrupted, 5 pauses; the host woke 1 time(s)|gave up: Resource temporarily unavailable (errno 11)")]
    [InlineData("10,-5", 1, "10 of 1000 bytes: 1 short reads, 0 interrupted, 0 pauses; the host woke 1 time(s)|gave up: Input/output error (errno 5)")]
    public async Task Retry_goes_on_where_it_should_and_stops_where_it_should(string results, int exit, string lines)
    {
        var outcome = await Tool.Start("Retry", "--bytes", "1000", "--inject", results);
        Tool.SkipIfRefused(outcome);
        Assert.SkipWhen(outcome.Out.Contains("errno 22"), "this kernel injects no results into nops (Linux 6.13)");
        Assert.Equal((exit, lines), (outcome.Exit, string.Join('|', outcome.Lines)));
    }

    [Fact]
    public async Task Retry_reads_a_file_to_its_end()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Start("Retry", "--bytes", "5000", folder.File("data", new byte[4321]));
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, "4321 of 5000 bytes: 1 short reads, 0 interrupted, 0 pauses; the host woke 1 time(s)"), (outcome.Exit, Assert.Single(outcome.Lines)));
    }

    [Fact]
    public async Task GroupCommit_syncs_once_for_each_group()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Start("GroupCommit", "--records", "200", folder["log"]);
        Tool.SkipIfRefused(outcome);
        Assert.Equal((0, "200 records in 4 groups: 4 syncs, 200 completions, 0 errors; the host woke 4 times"), (outcome.Exit, Assert.Single(outcome.Lines)));
        var log = await File.ReadAllLinesAsync(folder["log"], TestContext.Current.CancellationToken);
        Assert.Equal(Enumerable.Range(0, 200).Select(number => $"record {number}".PadRight(255)), log);
    }

    [Fact]
    public async Task Histogram_counts_every_operation()
    {
        using var folder = new TemporaryFolder();
        var outcome = await Tool.Start("Histogram", "--rounds", "50", "--depth", "3", folder.File("data", new byte[100_000]));
        Tool.SkipIfRefused(outcome);
        Assert.Equal(0, outcome.Exit);
        Assert.Equal(["open: 150 operations", "read: 150 operations", "close: 150 operations"], outcome.Lines.Where(line => line[0] != ' '));
        // Bars: from – to, count, blocks.
        var counted = outcome.Lines.Where(line => line[0] == ' ').Sum(line => int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3]));
        Assert.Equal(450, counted);
        Assert.Contains("the host woke 3 times", outcome.Error);
        Assert.Contains("Could not find file", (await Tool.Start("Histogram", folder["missing"])).Error);
    }

    [Fact]
    public async Task Policy_lets_nothing_out_of_the_directory()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(Path.Combine(folder["plugin"], "sub"));
        File.WriteAllText(Path.Combine(folder["plugin"], "inside.txt"), "inside");
        File.WriteAllText(Path.Combine(folder["plugin"], "sub/deeper.txt"), "deeper!");
        folder.File("outside.txt", [1, 2, 3]);
        File.CreateSymbolicLink(Path.Combine(folder["plugin"], "link.txt"), "../outside.txt");
        var outcome = await Tool.Start("Policy", folder["plugin"]);
        Tool.SkipIfRefused(outcome);
        Assert.Equal(0, outcome.Exit);
        Assert.Equal(["read inside.txt: 6 bytes", "read sub/deeper.txt: 7 bytes"], outcome.Lines[..2]);
        // The policy says -EACCES to all else; where a link leads only the kernel knows (RESOLVE_BENEATH, -EXDEV).
        Assert.EndsWith("(errno 18)", outcome.Lines[5]);
        Assert.All((string[])[.. outcome.Lines[2..5], .. outcome.Lines[6..]], line => Assert.EndsWith("(errno 13)", line));
        Assert.Equal(13, outcome.Lines.Length);
        Assert.Contains("refused 9", outcome.Error);
        Assert.Equal("inside", File.ReadAllText(Path.Combine(folder["plugin"], "inside.txt")));
    }

    [Theory]
    [InlineData("2000,5", "replica 1 answered 42, the other was cancelled; the host woke 1 time(s)")]
    [InlineData("5,2000", "replica 0 answered 42, the other was cancelled; the host woke 1 time(s)")]
    [InlineData("-1,200", "replica 1 answered 42, the other had failed; the host woke 1 time(s)")]
    public async Task Hedge_takes_the_first_answer(string delays, string line)
    {
        var outcome = await Tool.Start("Hedge", "--delays", delays);
        Tool.SkipIfRefused(outcome);
        // Of a replica that hung up the last completion is its own or the winner's, as the network has it.
        Assert.Equal((0, line), (outcome.Exit, Assert.Single(outcome.Lines)));
    }

    [Fact]
    public async Task Hedge_fails_when_no_replica_answers()
    {
        var outcome = await Tool.Start("Hedge", "--delays", "-1,-1");
        Tool.SkipIfRefused(outcome);
        Assert.Equal((1, ""), (outcome.Exit, outcome.Out));
        Assert.Contains("no answer: Input/output error", outcome.Error);
    }

    [Fact]
    public async Task Framing_hands_over_full_messages_however_they_are_cut()
    {
        using var sample = Tool.Launch("Framing", "0");
        using var socket = await Connect(sample);
        string[] messages = ["hello", "", new('x', 4092), "byte by byte"];
        var bytes = messages.SelectMany(message => (byte[])[.. BitConverter.GetBytes(message.Length), .. System.Text.Encoding.ASCII.GetBytes(message)]).ToArray();
        var random = new Random(5);
        for (var at = 0; at < bytes.Length;)
        {
            var length = Math.Min(at < 30 || at > 4100 ? 1 : random.Next(1, 1500), bytes.Length - at);
            socket.Send(bytes, at, length, SocketFlags.None);
            at += length;
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
        socket.Dispose();
        var (output, exit) = await Finish(sample);
        Assert.Equal(0, exit);
        Assert.Equal(["5: hello", "0: ", $"4092: {new string('x', 60)}", "12: byte by byte", "4 messages; closed by the peer"], output);
    }

    [Theory]
    [InlineData(new byte[] { 0xfd, 0x0f, 0, 0 }, "0 messages; Bad message (errno 74)")]
    [InlineData(new byte[] { 3, 0, 0, 0, 1, 2, 3, 5, 0 }, "1 messages; Protocol error (errno 71)")]
    public async Task Framing_refuses_what_is_no_message(byte[] bytes, string last)
    {
        using var sample = Tool.Launch("Framing", "0");
        using var socket = await Connect(sample);
        socket.Send(bytes);
        socket.Shutdown(SocketShutdown.Send);
        var (output, exit) = await Finish(sample);
        Assert.Equal((1, last), (exit, output[^1]));
    }

    [Fact]
    public async Task Proxy_passes_bytes_both_ways()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        // Sends back what comes, until the client has no more to say.
        var echo = Task.Run(async () =>
        {
            for (var connection = 0; connection < 2; connection++)
            {
                using var socket = await server.AcceptSocketAsync();
                await using var stream = new NetworkStream(socket);
                await stream.CopyToAsync(stream);
            }
        }, TestContext.Current.CancellationToken);
        var port = ((IPEndPoint)server.LocalEndpoint).Port;
        using var sample = Tool.Launch("Proxy", "--connections", "2", "0", $"{port}");
        var address = await Address(sample);
        foreach (var size in (int[])[3_000_000, 5])
        {
            var sent = new byte[size];
            new Random(size).NextBytes(sent);
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(address);
            // Before anything is shut down: a stream is made of a connected socket only.
            await using var stream = new NetworkStream(socket);
            var sending = Task.Run(() => { socket.Send(sent); socket.Shutdown(SocketShutdown.Send); }, TestContext.Current.CancellationToken);
            using var received = new MemoryStream();
            await stream.CopyToAsync(received, TestContext.Current.CancellationToken);
            await sending;
            Assert.Equal(sent, received.ToArray());
        }
        await echo;
        var (output, exit) = await Finish(sample);
        Assert.Equal(0, exit);
        Assert.Equal(["connection 1: 3000000 bytes up, 3000000 bytes down", "connection 2: 5 bytes up, 5 bytes down"], output.Order());
    }

    // The first line says where it listens.
    private static async Task<IPEndPoint> Address(Process sample)
    {
        var line = await sample.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        return IPEndPoint.Parse(line!["listening on ".Length..]);
    }

    private static async Task<Socket> Connect(Process sample)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(await Address(sample));
        return socket;
    }

    private static async Task<(string[] Output, int Exit)> Finish(Process sample)
    {
        var error = sample.StandardError.ReadToEndAsync();
        var output = await sample.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await sample.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.SkipWhen((await error).Contains("UB4501"), await error);
        return (output.Split('\n', StringSplitOptions.RemoveEmptyEntries), sample.ExitCode);
    }

    // Bit by bit: independent of the one the hook calls.
    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var octet in bytes)
        {
            crc ^= octet;
            for (var bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78 & (0 - (crc & 1)));
        }
        return ~crc;
    }
}
