using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace UringBpf.Samples.EmbeddedPlugins;

/// <summary>Serves /metrics as text that Prometheus reads, and /health; every instrument of the meters UringBpf and EmbeddedPlugins.</summary>
internal sealed class MetricsEndpoint : BackgroundService
{
    private const string MeterName = "EmbeddedPlugins";

    private readonly HttpListener _server;
    private readonly HealthCheckService _health;
    private readonly Meter _meter = new(MeterName);
    private readonly MeterListener _listener = new();
    private readonly SortedDictionary<string, double> _values = new(StringComparer.Ordinal);

    public MetricsEndpoint(HttpListener server, PluginFolder plugins, Ring.Ring ring, HealthCheckService health)
    {
        (_server, _health) = (server, health);
        _meter.CreateObservableCounter("plugins.loaded", () => Interlocked.Read(ref plugins.Loaded));
        _meter.CreateObservableCounter("plugins.rejected", () => Interlocked.Read(ref plugins.Rejected));
        _meter.CreateObservableCounter("plugins.swapped", () => Interlocked.Read(ref plugins.Swapped));
        _meter.CreateObservableCounter("plugins.requests", () => plugins.Plugins.Select(plugin =>
            new Measurement<long>(Interlocked.Read(ref plugin.Started), new KeyValuePair<string, object?>("plugin", plugin.Name))));
        _meter.CreateObservableCounter("plugins.lines", () => plugins.Plugins.Select(plugin =>
            new Measurement<long>(Interlocked.Read(ref plugin.Lines), new KeyValuePair<string, object?>("plugin", plugin.Name))));
        _meter.CreateObservableCounter("plugins.hook.runs", () => ring.HookRuns);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name is MeterName or "UringBpf") listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>Takes the port; 0: none.</summary>
    public static void Listen(HttpListener server, int port)
    {
        if (port == 0) return;
        server.Prefixes.Add($"http://127.0.0.1:{port}/");
        server.Prefixes.Add($"http://localhost:{port}/");
        server.Start();
    }

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        if (!_server.IsListening) return;
        await using var stop = stopping.Register(_server.Stop);
        while (!stopping.IsCancellationRequested)
        {
            HttpListenerContext request;
            try
            {
                request = await _server.GetContextAsync();
            }
            catch (Exception error) when (stopping.IsCancellationRequested && error is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            var path = request.Request.Url!.AbsolutePath;
            var text = path switch { "/metrics" => Scrape(), "/health" => (await _health.CheckHealthAsync(stopping)).Status.ToString(), _ => null };
            request.Response.StatusCode = text == null ? 404 : 200;
            await request.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text ?? "see /metrics and /health\n"), CancellationToken.None);
            request.Response.Close();
        }
    }

    public override void Dispose()
    {
        _listener.Dispose();
        _meter.Dispose();
        base.Dispose();
    }

    private string Scrape()
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder();
        lock (_values)
        {
            foreach (var (series, value) in _values) text.Append(CultureInfo.InvariantCulture, $"{series} {value}\n");
        }
        return text.ToString();
    }

    // Counters report what was added, observable instruments what there is.
    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var series = instrument.Name.Replace('.', '_').Replace('-', '_');
        if (tags.Length > 0) series += $"{{{string.Join(",", tags.ToArray().Select(tag => $"{tag.Key.Replace('.', '_')}=\"{tag.Value}\""))}}}";
        lock (_values) _values[series] = instrument.IsObservable ? value : _values.GetValueOrDefault(series) + value;
    }
}
