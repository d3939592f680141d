using UringBpf.Bytecode;

namespace UringBpf.Ring;

// The flight recorder, where there is one (RingOptions.Recorder).
public sealed partial class Ring
{
    private readonly FlightRecorder? _recorder;

    internal FlightRecorder? Recorder => _recorder;

    /// <summary>What the flight recorder holds now: a copy, taken on the ring's thread.</summary>
    /// <exception cref="BpfException">UB4503 when the ring is shut down (<see cref="RecorderOptions.Exiting"/> gets the record then);
    /// UB4514 when it was made without <see cref="RingOptions.Recorder"/>.</exception>
    public async ValueTask<RingTrace> TraceAsync()
    {
        var recorder = _recorder ?? throw new BpfException("UB4514", "the ring records nothing: give RingOptions.Recorder when it is created.");
        RingTrace? trace = null;
        await RunOnOwner(() => trace = recorder.Snapshot(Features)).ConfigureAwait(false);
        return trace!;
    }

    // The ring is at rest: the last record to whoever wants it. What that throws is for DisposeAsync to throw.
    private Exception? FinishRecording()
    {
        try
        {
            _recorder?.Exit(Features);
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
        finally
        {
            _recorder?.Dispose();
        }
    }
}
