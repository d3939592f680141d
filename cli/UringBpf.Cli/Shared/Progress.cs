using System.Diagnostics;

namespace UringBpf.Cli;

/// <summary>
/// Tells a person at a terminal what takes so long: a line on standard error that comes after half a second, counts the
/// seconds, and goes without a trace. Nothing for pipes and files.
/// </summary>
internal sealed class Progress : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500), s_tick = TimeSpan.FromMilliseconds(250);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Lock _gate = new();
    private readonly string _what;
    private readonly Timer _timer;
    private bool _shown, _ended;

    private Progress(string what)
    {
        _what = what;
        _timer = new Timer(_ => Draw(), null, s_patience, s_tick);
    }

    /// <summary>Starts; null where nobody looks.</summary>
    public static Progress? Show(string what) => Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") is null or "dumb" ? null : new Progress(what);

    public void Dispose()
    {
        lock (_gate)
        {
            if (_ended) return;
            _ended = true;
            _timer.Dispose();
            if (_shown) Console.Error.Write("\r\u001b[K");
        }
    }

    private void Draw()
    {
        lock (_gate)
        {
            if (_ended) return;
            _shown = true;
            var text = $"{_what}, {_clock.Elapsed.TotalSeconds:F0} s …";
            Console.Error.Write($"\r\u001b[K{text[..Math.Min(text.Length, Math.Max(20, Console.WindowWidth - 1))]}");
        }
    }
}
