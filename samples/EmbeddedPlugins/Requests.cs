using Microsoft.Extensions.Hosting;
using UringBpf.Ring;

namespace UringBpf.Samples.EmbeddedPlugins;

/// <summary>The load: workers that ask every plug-in about one block after the other.</summary>
internal sealed class Requests(Options options, PluginFolder plugins) : BackgroundService
{
    public const int BlockBytes = 4096;

    protected override Task ExecuteAsync(CancellationToken stopping) =>
        Task.WhenAll(Enumerable.Range(0, options.Workers).Select(worker => Task.Run(() => Work(worker, stopping), CancellationToken.None)));

    private async Task Work(int worker, CancellationToken stopping)
    {
        var blocks = Math.Max(1, new FileInfo(options.File).Length / BlockBytes);
        for (long request = worker; !stopping.IsCancellationRequested; request++)
        {
            if (plugins.Plugins.Count == 0) await Task.Delay(10, CancellationToken.None);
            foreach (var plugin in plugins.Plugins)
            {
                Interlocked.Increment(ref plugin.Started);
                var result = await plugin.Link.StartAsync(UringOp.Read(file: 0, buffer: 0, BlockBytes, (ulong)(request % blocks * BlockBytes)), CancellationToken.None);
                if (result.Verdict < 0) Interlocked.Increment(ref plugin.Failed);
                if (worker == 0) TakeEmissions(plugin);
            }
        }
    }

    /// <summary>Takes what a plug-in has told of so far: one emission for each request that it completed.</summary>
    public static void TakeEmissions(Plugin plugin)
    {
        // One reader at a time.
        lock (plugin)
        {
            while (plugin.Link.TryReadEmission(out var emission))
            {
                plugin.Completed++;
                plugin.Lines += (long)emission.Value;
                plugin.CompletedByVersion.AddOrUpdate(emission.UserData, 1, (_, count) => count + 1);
            }
        }
    }
}
