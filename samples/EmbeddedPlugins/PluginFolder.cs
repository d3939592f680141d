using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using UringBpf.Bytecode;
using UringBpf.Ring;

namespace UringBpf.Samples.EmbeddedPlugins;

/// <summary>One plug-in in force.</summary>
internal sealed class Plugin(string name, BpfObject code, HookLink link)
{
    public string Name { get; } = name;
    public BpfObject Code { get; set; } = code;
    public HookLink Link { get; } = link;

    public long Started, Completed, Failed, Lines;
    public readonly ConcurrentDictionary<ulong, long> CompletedByVersion = new();
}

/// <summary>The plug-ins: what is in the folder, if it is safe. Looks again five times a second.</summary>
internal sealed class PluginFolder(Options options, BpfEngine engine, Ring.Ring ring, ILogger<PluginFolder> log) : BackgroundService
{
    private readonly ConcurrentDictionary<string, Plugin> _plugins = new();
    private readonly Dictionary<string, (DateTime Written, long Length)> _seen = [];
    private readonly List<Plugin> _detached = [];
    private FileStream? _file;

    /// <summary>Those in force.</summary>
    public ICollection<Plugin> Plugins => _plugins.Values;

    public long Loaded, Rejected, Swapped;

    /// <summary>What was asked of plug-ins and what came of it; 1 if anything was lost.</summary>
    public int Summarize()
    {
        var lost = 0L;
        foreach (var plugin in _detached)
        {
            lost += plugin.Started - plugin.Completed - plugin.Failed + plugin.Link.EmissionsLost;
            var versions = string.Join(", ", plugin.CompletedByVersion.OrderBy(version => version.Key).Select(version => $"version {version.Key}: {version.Value}"));
            Console.WriteLine($"{plugin.Name}: {plugin.Started} started, {plugin.Completed} completed ({versions}), {plugin.Failed} cancelled, {plugin.Link.EmissionsLost} emissions lost");
        }
        return lost == 0 ? 0 : 1;
    }

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        _file = File.OpenRead(options.File);
        try
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            do
            {
                await Look();
            }
            while (await timer.WaitForNextTickAsync(stopping));
        }
        catch (OperationCanceledException)
        {
            foreach (var name in _plugins.Keys) await Detach(name);
            await _file.DisposeAsync();
        }
    }

    private async Task Look()
    {
        var present = new DirectoryInfo(options.Folder).GetFiles("*.bpf.o");
        foreach (var file in present)
        {
            var state = (file.LastWriteTimeUtc, file.Length);
            if (_seen.TryGetValue(file.Name, out var before) && before == state) continue;
            _seen[file.Name] = state;
            await Load(file);
        }
        foreach (var gone in _seen.Keys.Except(present.Select(file => file.Name)).ToArray())
        {
            _seen.Remove(gone);
            await Detach(gone);
        }
    }

    private async Task Load(FileInfo file)
    {
        BpfObject code;
        try
        {
            code = engine.LoadFile(file.FullName);
        }
        catch (Exception error) when (error is BpfException or IOException)
        {
            // Not safe, or no object at all: what is in force stays in force.
            Interlocked.Increment(ref Rejected);
            log.LogWarning("{Plugin}: rejected: {Reason}", file.Name, error.Message);
            return;
        }
        try
        {
            if (_plugins.TryGetValue(file.Name, out var plugin))
            {
                // Requests in flight finish on the version they began with.
                await plugin.Link.UpdateAsync(code.Programs[0]);
                (var old, plugin.Code) = (plugin.Code, code);
                old.Dispose();
                Interlocked.Increment(ref Swapped);
                log.LogInformation("{Plugin}: swapped", file.Name);
                return;
            }
            // The one file it may read, and a block of its own for each request: nothing else.
            var link = ring.Attach(code.Programs[0], new Grants { Files = [_file!.SafeFileHandle], ReadOnlyBuffers = true, Operations = [IoUringOp.Read] },
                new ChainLimits { OwnBuffers = 1, OwnBufferBytes = Requests.BlockBytes, MaxSteps = 64, MaxInFlight = 1 }, emissionCapacity: 1 << 16);
            _plugins[file.Name] = new Plugin(file.Name, code, link);
            Interlocked.Increment(ref Loaded);
            log.LogInformation("{Plugin}: attached {Program} on the {Engine}", file.Name, code.Programs[0].Name, code.Programs[0].Engine);
        }
        catch (BpfException error)
        {
            // Safe, but no hook for this place.
            code.Dispose();
            Interlocked.Increment(ref Rejected);
            log.LogWarning("{Plugin}: rejected: {Reason}", file.Name, error.Message);
        }
    }

    private async Task Detach(string name)
    {
        if (!_plugins.TryRemove(name, out var plugin)) return;
        await plugin.Link.DisposeAsync();
        Requests.TakeEmissions(plugin);
        plugin.Code.Dispose();
        _detached.Add(plugin);
        log.LogInformation("{Plugin}: detached", name);
    }
}
