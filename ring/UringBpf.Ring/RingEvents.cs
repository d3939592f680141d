using System.Diagnostics.Tracing;

namespace UringBpf.Ring;

/// <summary>
/// The event source <c>UringBpf</c>: rings that come and go, hooks that are attached, replaced and detached, chains that fail.
/// For <c>dotnet-trace collect --providers UringBpf</c>. Nothing is written for a completion: that is what the flight recorder is for.
/// </summary>
[EventSource(Name = "UringBpf")]
internal sealed class RingEvents : EventSource
{
    public static readonly RingEvents Log = new();

    private RingEvents()
    {
    }

    [NonEvent]
    public void Created(long ring, RingFeatures features)
    {
        if (IsEnabled(EventLevel.Informational, EventKeywords.None)) RingCreated(ring, features.Backend, features.FallbackReason ?? $"{features.QueueEntries} + {features.CompletionEntries} entries, {features.Setup}");
    }

    [NonEvent]
    public void Closed(long ring, Exception? error)
    {
        if (!IsEnabled()) return;
        if (error == null) RingClosed(ring);
        else RingFailed(ring, error.Message);
    }

    [Event(1, Level = EventLevel.Informational, Message = "Ring {0} is on the {1} back end: {2}")]
    private void RingCreated(long ring, string backend, string features) => WriteEvent(1, ring, backend, features);

    [Event(2, Level = EventLevel.Informational, Message = "Ring {0} has come to its end.")]
    private void RingClosed(long ring) => WriteEvent(2, ring);

    [Event(3, Level = EventLevel.Error, Message = "Ring {0} has failed: {1}")]
    private void RingFailed(long ring, string reason) => WriteEvent(3, ring, reason);

    [Event(4, Level = EventLevel.Informational, Message = "Hook {1} is attached to ring {0}.")]
    public void HookAttached(long ring, string program)
    {
        if (IsEnabled(EventLevel.Informational, EventKeywords.None)) WriteEvent(4, ring, program);
    }

    [Event(5, Level = EventLevel.Informational, Message = "A hook on ring {0} is replaced by {1}.")]
    public void HookReplaced(long ring, string program)
    {
        if (IsEnabled(EventLevel.Informational, EventKeywords.None)) WriteEvent(5, ring, program);
    }

    [Event(6, Level = EventLevel.Informational, Message = "Hook {1} is detached from ring {0}.")]
    public void HookDetached(long ring, string program)
    {
        if (IsEnabled(EventLevel.Informational, EventKeywords.None)) WriteEvent(6, ring, program);
    }

    [Event(7, Level = EventLevel.Warning, Message = "Chain {1} of ring {0} ended with errno {2}.")]
    public void ChainFailed(long ring, long chain, long errno)
    {
        if (IsEnabled(EventLevel.Warning, EventKeywords.None)) WriteEvent(7, ring, chain, errno);
    }
}
