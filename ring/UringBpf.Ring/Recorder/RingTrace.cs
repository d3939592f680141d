using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// What a flight recorder held at one moment: submissions, completions, hook decisions, kfunc calls, chains' starts and ends.
/// Immutable; thread-safe.
/// </summary>
public sealed class RingTrace
{
    private readonly Lazy<TraceModel> _model;

    internal RingTrace(TraceEvent[] events, long recorded, ProgramSpec[] programs, RingFeatures features)
    {
        Events = events;
        Recorded = recorded;
        Programs = programs;
        Backend = features.Backend;
        _model = new Lazy<TraceModel>(() => TraceModel.Of(this));
    }

    /// <summary>Events recorded since the ring was made, those included that have given way.</summary>
    public long Recorded { get; }

    /// <summary>The oldest events, which gave way to newer ones.</summary>
    public long Lost => Recorded - Events.Length;

    /// <summary>The ring's back end: kernel, portable or simulated.</summary>
    public string Backend { get; }

    internal TraceEvent[] Events { get; }

    internal ProgramSpec[] Programs { get; }

    internal TraceModel Model => _model.Value;

    /// <summary>Writes the trace to a file: by its extension a timeline for a browser (.html) or Chrome's trace format (.json).</summary>
    /// <exception cref="ArgumentException">Another extension.</exception>
    /// <exception cref="IOException">The file can't be written.</exception>
    public void Save(string path)
    {
        CheckPath(path);
        using var file = File.Create(path);
        if (path.EndsWith(".html", StringComparison.OrdinalIgnoreCase)) WriteHtml(file);
        else WriteChromeJson(file);
    }

    /// <summary>Refuses a path that <see cref="Save"/> would refuse, before there is anything to save.</summary>
    /// <exception cref="ArgumentException">Its extension is neither .json nor .html.</exception>
    public static void CheckPath(string path)
    {
        if (Path.GetExtension(path).ToLowerInvariant() is not (".json" or ".html"))
            throw new ArgumentException($"'{path}': a trace is a .json (Chrome trace, opens in Perfetto) or an .html file (a timeline).", nameof(path));
    }

    /// <summary>
    /// Writes Chrome's trace event format, which ui.perfetto.dev and chrome://tracing open: a track for each chain with its
    /// operations as slices and its hook's decisions as instants, and one for the hooks that ran, where they were timed.
    /// </summary>
    public void WriteChromeJson(Stream stream) => ChromeTraceWriter.Write(this, stream);

    /// <summary>Writes a timeline as one HTML file that needs nothing else: no network, no other file.</summary>
    public void WriteHtml(Stream stream) => TimelineWriter.Write(this, stream);
}
