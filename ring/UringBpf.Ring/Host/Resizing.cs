using System.Numerics;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

// Queues that turn out too small, or larger than they need to be.
public sealed partial class Ring
{
    /// <summary>
    /// Gives both queues new sizes while the ring runs (IORING_REGISTER_RESIZE_RINGS): between two turns, with all that is in flight and in the queues.
    /// <see cref="Overflows"/> that grow say that the completion queue is too small.
    /// </summary>
    /// <param name="queueEntries">As <see cref="RingOptions.QueueEntries"/>.</param>
    /// <param name="completionEntries">As <see cref="RingOptions.CompletionEntries"/>; not less than the other.</param>
    /// <returns>
    /// 0, and <see cref="Features"/> has the new sizes. Or -errno, and all is as before: -EOPNOTSUPP on a kernel before Linux 6.13 (other back ends can always);
    /// -EOVERFLOW when more completions wait than would fit: try again; -ENOMEM when RLIMIT_MEMLOCK or RLIMIT_AS is too low; -ECANCELED when the ring is shut down.
    /// </returns>
    /// <remarks>On Linux older than March 2026 (7.0 and the stable kernels of then) the kernel itself has a race there, between resizing and what completes in an interrupt: on
    /// those, resize while nothing is in flight. A batch that waits for its turn, and is larger than the new submission queue, completes with -ENOSPC.</remarks>
    /// <exception cref="BpfException">UB4511 when a size is out of range.</exception>
    public ValueTask<int> ResizeAsync(int queueEntries, int completionEntries)
    {
        if (queueEntries is < 1 or > MostQueueEntries || completionEntries is < 1 or > MostCompletionEntries
            || BitOperations.RoundUpToPowerOf2((uint)completionEntries) < BitOperations.RoundUpToPowerOf2((uint)queueEntries))
            throw new BpfException("UB4511", $"queue sizes out of range: {queueEntries} submissions, {completionEntries} completions.");
        return OwnerCall.Start(this, static (ring, entries, completions) => ring.Resize((uint)entries, (uint)completions) is var result && result == -Errno.Again ? null : result,
            queueEntries, completionEntries);
    }

    private int Resize(uint queueEntries, uint completionEntries)
    {
        if (_stopping) return -Errno.Canceled;
        // Then there is nothing in the submission queue.
        SubmitAll();
        var result = _backend.Resize(queueEntries, completionEntries);
        if (result < 0) return result;
        if (_deferredCount == 0) (_deferred, _firstDeferred) = ([], 0);
        if (_recorder != null) _recorder.Features = _backend.Features;
        return 0;
    }
}
