using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// In the place of a kernel's ring that has gone, while its operations are brought to their end: gives the completions that it is given, and carries nothing out.
/// </summary>
internal sealed class EndedBackend(RingBackend ended) : EmulatedBackend(ended.Name, ended.QueueEntries, ended.CompletionEntries, [], null)
{
    private readonly RingFeatures _features = ended.Features;
    private int _idle;

    public override RingFeatures Features => _features;

    /// <summary>A completion that the ring is to hear of.</summary>
    public void Give(in Cqe cqe) => Post(cqe);

    // What is asked of it, closes and cancels, is not supported: it is answered at once.
    protected override bool Progress(bool block)
    {
        if (block && ++_idle > 100_000) throw new BpfException("UB4505", "an operation of a ring whose thread has ended does not come to its end.");
        return false;
    }

    public override void Wake()
    {
    }

    protected override int EnterForCore(uint submit, uint wait, TimeSpan timeout) => EnterCore(submit, wait);

    protected override int Adopt(int fd, out Descriptor? file)
    {
        file = null;
        return -Errno.BadF;
    }

    protected override EmulatedOperation NewOperation() => new();

    protected override void Start(EmulatedOperation operation) => Finish(operation, -Errno.Canceled);

    protected override void Continue(EmulatedOperation operation)
    {
    }

    protected override bool TryStop(EmulatedOperation operation) => false;
}
