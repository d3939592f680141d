using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Engine.Tests;

/// <summary>The sample as its users run it: plug-ins come, go and are replaced while it serves.</summary>
public sealed partial class EmbeddedPluginsTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [GeneratedRegex(@"^lines\.bpf\.o: (\d+) started, (\d+) completed \(version 1: (\d+), version 2: (\d+)\), (\d+) cancelled, 0 emissions lost$")]
    private static partial Regex Summary { get; }

    [Fact]
    public async Task Plugins_are_loaded_refused_and_swapped_under_load()
    {
        var folder = Directory.CreateTempSubdirectory("plugins");
        var cancellation = TestContext.Current.CancellationToken;
        var port = FreePort();
        var data = Path.Combine(folder.FullName, "data");
        File.WriteAllText(data, string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i}\n\n")));
        using var host = Start(folder.FullName, data, port, out var lines);
        try
        {
            Copy("lines", "lines");
            await Says("lines.bpf.o: attached lines on the jit");
            await Metric("plugins_requests{plugin=\"lines.bpf.o\"}", value => value > 1000);

            Copy("greedy", "greedy");
            Assert.Contains("UB2108", await Says("greedy.bpf.o: rejected"));
            File.WriteAllText(Path.Combine(folder.FullName, "torn.bpf.o"), "\u007fELF");
            Assert.Contains("UB1001", await Says("torn.bpf.o: rejected"));

            // A rejected version leaves the old one in force; the next one takes over.
            Copy("greedy", "lines");
            await Says("lines.bpf.o: rejected");
            var before = await Metric("plugins_lines{plugin=\"lines.bpf.o\"}", value => value > 0);
            Copy("lines-2", "lines");
            await Says("lines.bpf.o: swapped");
            await Metric("plugins_lines{plugin=\"lines.bpf.o\"}", value => value > before + 1000);
            await Metric("plugins_rejected", value => value == 3);
            await Metric("plugins_swapped", value => value == 1);
            using var http = new HttpClient();
            Assert.Equal("Healthy", await http.GetStringAsync($"http://127.0.0.1:{port}/health", cancellation));
        }
        finally
        {
            using var kill = Process.Start("kill", ["-TERM", $"{host.Id}"]);
            await host.WaitForExitAsync(cancellation).WaitAsync(s_patience, cancellation);
            folder.Delete(recursive: true);
        }
        var summary = lines.Select(line => Summary.Match(line)).Single(match => match.Success).Groups.Values.Skip(1).Select(group => long.Parse(group.Value)).ToArray();
        // Not one lost: every request that was started completed, on one version or the other, or was cancelled at the end.
        Assert.Equal(summary[0], summary[1] + summary[4]);
        Assert.Equal(summary[1], summary[2] + summary[3]);
        Assert.True(summary[2] > 0 && summary[3] > 0, $"{summary[2]} on version 1, {summary[3]} on version 2");
        Assert.Equal(0, host.ExitCode);

        void Copy(string plugin, string name)
        {
            // As a careful deployer does: the file is whole when it appears.
            var temporary = Path.Combine(folder.FullName, "incoming");
            File.Copy(Path.Combine(AppContext.BaseDirectory, "plugins", $"{plugin}.bpf.o"), temporary);
            File.SetLastWriteTimeUtc(temporary, DateTime.UtcNow);
            File.Move(temporary, Path.Combine(folder.FullName, $"{name}.bpf.o"), overwrite: true);
        }

        async Task<string> Says(string text)
        {
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < s_patience)
            {
                if (lines.FirstOrDefault(line => line.Contains(text)) is { } said) return said;
                Assert.SkipWhen(lines.Any(line => line.Contains("UB4501")), "no io_uring here");
                Assert.False(host.HasExited, string.Join('\n', lines));
                await Task.Delay(20, cancellation);
            }
            throw new TimeoutException($"'{text}' was not said; but:\n{string.Join('\n', lines)}");
        }

        async Task<double> Metric(string series, Func<double, bool> expected)
        {
            using var http = new HttpClient();
            var clock = Stopwatch.StartNew();
            var text = "";
            while (clock.Elapsed < s_patience)
            {
                text = await http.GetStringAsync($"http://127.0.0.1:{port}/metrics", cancellation);
                var line = text.Split('\n').FirstOrDefault(line => line.StartsWith(series + " ", StringComparison.Ordinal));
                if (line != null && double.Parse(line[(series.Length + 1)..]) is var value && expected(value)) return value;
                await Task.Delay(20, cancellation);
            }
            throw new TimeoutException($"{series} is not as expected:\n{text}");
        }
    }

    [Fact]
    public async Task An_occupied_port_is_said_in_one_line()
    {
        var folder = Directory.CreateTempSubdirectory("plugins");
        try
        {
            var data = Path.Combine(folder.FullName, "data");
            File.WriteAllText(data, "a line\n");
            using var other = new TcpListener(IPAddress.Loopback, 0);
            other.Start();
            var port = ((IPEndPoint)other.LocalEndpoint).Port;
            using var host = Start(folder.FullName, data, port, out var lines);
            await host.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(s_patience, TestContext.Current.CancellationToken);
            // Their ends are read, too.
            host.WaitForExit();
            Assert.Equal(1, host.ExitCode);
            Assert.StartsWith($"--metrics {port}: ", Assert.Single(lines, line => line.Length > 0));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static Process Start(string folder, string data, int port, out ConcurrentQueue<string> lines)
    {
        var said = lines = new ConcurrentQueue<string>();
        var process = new Process
        {
            StartInfo = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "EmbeddedPlugins.dll"), folder, "--file", data, "--metrics", $"{port}"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        process.OutputDataReceived += (_, line) => said.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => said.Enqueue(line.Data ?? "");
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
