using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace UringBpf.Perf;

/// <summary>
/// Ping-pong over loopback: a hook for each connection, async sockets in C#, epoll in C. Servers are processes of their own, the
/// client is one in C; what counts is the server's processor time for each round trip.
/// </summary>
internal static class EchoComparison
{
    private const int MessageBytes = 64;

    public static int Run(string folder, int rounds, double seconds)
    {
        var peer = CCompiler.TryCompile("echo.c");
        if (peer == null)
        {
            Console.Error.WriteLine("no C compiler: the client is in C.");
            return 1;
        }
        try
        {
            var text = new StringBuilder("# Echo and framing over loopback\n\n");
            text.Append(CultureInfo.InvariantCulture, $"Processor time of the server's process for each round trip of {MessageBytes} bytes, in microseconds (thousand round trips a second); medians of {rounds} interleaved rounds of {seconds} s. Framing: a message comes in two pieces, 4 bytes of length and the rest, and is answered by 4 bytes.\n\n");
            text.Append("| | connections | ring, hook | Socket async | C, epoll | ring's CPU to Socket | to epoll |\n|---|---:|---:|---:|---:|---:|---:|\n");
            foreach (var kind in (string[])["echo", "framing"])
            {
                foreach (var connections in (int[])[1, 64])
                {
                    var samples = new Dictionary<string, List<(double Cpu, double Rate)>> { ["ring"] = [], ["socket"] = [], ["epoll"] = [] };
                    for (var round = 0; round < rounds; round++)
                    {
                        foreach (var (server, list) in samples) list.Add(Measure(peer, server, kind, connections, seconds));
                    }
                    var medians = samples.ToDictionary(pair => pair.Key, pair => (Cpu: Median(pair.Value.Select(s => s.Cpu)), Rate: Median(pair.Value.Select(s => s.Rate))));
                    text.Append(CultureInfo.InvariantCulture, $"| {kind} | {connections} | {Cell(medians["ring"])} | {Cell(medians["socket"])} | {Cell(medians["epoll"])} | {medians["ring"].Cpu / medians["socket"].Cpu:F2} | {medians["ring"].Cpu / medians["epoll"].Cpu:F2} |\n");
                }
            }
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "echo.md"), text.ToString());
            Console.Write(text.ToString());
            return 0;
        }
        finally
        {
            File.Delete(peer);
        }
    }

    private static string Cell((double Cpu, double Rate) load) => string.Create(CultureInfo.InvariantCulture, $"{load.Cpu:F2} ({load.Rate / 1000:F0})");

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static (double Cpu, double Rate) Measure(string peer, string server, string kind, int connections, double seconds)
    {
        var start = server == "epoll"
            ? new ProcessStartInfo(peer, ["server", kind])
            : new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "UringBpf.Perf.dll"), "echo-server", server, kind]);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        try
        {
            var port = process.StandardOutput.ReadLine()!;
            // Compiles what is to be compiled.
            Ask(peer, port, connections, 0.5, kind);
            var before = Cpu(process.Id);
            var trips = Ask(peer, port, connections, seconds, kind);
            return ((Cpu(process.Id) - before) / 1000 / trips, trips / seconds);
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    private static double Ask(string peer, string port, int connections, double seconds, string kind)
    {
        var start = new ProcessStartInfo(peer, ["client", port, $"{connections}", $"{MessageBytes}", seconds.ToString(CultureInfo.InvariantCulture), kind]) { RedirectStandardOutput = true };
        using var client = Process.Start(start)!;
        var output = client.StandardOutput.ReadToEnd();
        client.WaitForExit();
        return client.ExitCode == 0 ? double.Parse(output, CultureInfo.InvariantCulture) : throw new InvalidOperationException("the client failed.");
    }

    // Nanoseconds on a processor, of all threads: the first number of each schedstat.
    private static double Cpu(int process) =>
        Directory.EnumerateDirectories($"/proc/{process}/task").Sum(task => double.Parse(File.ReadAllText(Path.Combine(task, "schedstat")).Split(' ')[0], CultureInfo.InvariantCulture));
}
