namespace UringBpf.Ring;

/// <summary>
/// Operations and chains of the host that start one after another: what the kernel can't link, because a program is among it or the
/// back end is not the kernel's. The ring starts each part when the one before has succeeded. Ring's thread. Pooled: nobody holds it any more when
/// all of its parts are over.
/// </summary>
internal sealed class LinkedCommand : IQueuedCommand
{
    private readonly List<BatchPart> _parts = [];
    private int _next;
    private int _outstanding;
    private bool _earlierFailed;

    /// <summary>What starts at once: a chain, or operations that the kernel links.</summary>
    private readonly record struct BatchPart(BatchCommand? Operations, ChainWaiter? Chain, SqeFlags Flags)
    {
        public int Count => Operations?.Slots ?? 1;
    }

    /// <param name="ring">The ring.</param>
    /// <param name="items">Each with its flags; all but the last are linked.</param>
    /// <param name="from">The first of them.</param>
    /// <param name="to">After the last.</param>
    public void Begin(Ring ring, List<BatchItem> items, int from, int to)
    {
        // Where runs of operations can be left to the back end.
        var kernelLinks = ring.KernelLinks;
        (_next, _outstanding, _earlierFailed, Drains) = (0, 0, false, false);
        for (var i = from; i < to; i++) Drains |= (items[i].Flags & SqeFlags.Drain) != 0;
        for (int first = from, after; first < to; first = after)
        {
            after = first + 1;
            if (items[first].Chain is { } chain)
            {
                chain.Sequence = this;
                _parts.Add(new BatchPart(null, chain, items[first].Flags));
                continue;
            }
            while (kernelLinks && after < to && items[after].Operation != null) after++;
            var run = ring.TakeBatch(drains: false);
            for (var i = first; i < after; i++)
            {
                var operation = items[i].Operation!;
                operation.Sequence = this;
                operation.Entry.Flags &= ~SqeFlags.Drain;
                if (!kernelLinks) operation.Entry.Flags &= ~RingBatch.AnyLink;
                run.Add(operation);
            }
            _parts.Add(new BatchPart(run, null, items[after - 1].Flags));
        }
    }

    public bool Drains { get; private set; }

    public int Slots => _next < _parts.Count ? _parts[_next].Count : 0;

    public void Run(Ring ring)
    {
        if (_next == 0) ring.Began(this);
        if (_next == _parts.Count)
        {
            ring.Ended(this);
            Recycle(ring);
            return;
        }
        var part = _parts[_next++];
        _outstanding = part.Count;
        _earlierFailed = false;
        if (part.Chain != null) ring.Start(part.Chain);
        else ring.Submit(part.Operations!);
    }

    /// <summary>One of a part is over.</summary>
    public void Completed(Ring ring, int result, bool failed)
    {
        if (--_outstanding > 0)
        {
            _earlierFailed |= failed;
            return;
        }
        // What fails the last of a part fails the link to the next. A hard one holds, unless one before it was broken.
        var hard = (_parts[_next - 1].Flags & SqeFlags.HardLink) != 0;
        if (failed && (!hard || result == -Errno.Canceled && _earlierFailed)) RefuseRest(ring);
        ring.Continue(this);
    }

    public void Refuse(Ring ring, int result)
    {
        foreach (var part in _parts) Refuse(ring, part, result);
        Recycle(ring);
    }

    private void Recycle(Ring ring)
    {
        foreach (var part in _parts)
        {
            if (part.Operations != null) ring.Recycle(part.Operations);
        }
        _parts.Clear();
        ring.Recycle(this);
    }

    /// <summary>The ring has failed: what was not started fails with it.</summary>
    public void Fail(Exception error)
    {
        for (; _next < _parts.Count; _next++)
        {
            var part = _parts[_next];
            part.Chain?.Fail(error);
            if (part.Operations == null) continue;
            foreach (var item in part.Operations.Items) item?.Fail(error);
        }
    }

    private void RefuseRest(Ring ring)
    {
        var first = _next;
        _next = _parts.Count;
        for (var i = first; i < _parts.Count; i++) Refuse(ring, _parts[i], -Errno.Canceled);
    }

    private static void Refuse(Ring ring, BatchPart part, int result)
    {
        if (part.Chain is { } chain)
        {
            chain.Sequence = null;
            chain.Refuse(ring, result);
            return;
        }
        foreach (var item in part.Operations!.Items)
        {
            item!.Sequence = null;
            item.Refuse(ring, result);
        }
    }
}

/// <summary>One of a batch: an operation or a chain.</summary>
internal readonly record struct BatchItem(HostOperation? Operation, ChainWaiter? Chain, SqeFlags Flags);

public sealed unsafe partial class Ring
{
    // Links of the host whose next part can start, and all that have begun and not ended.
    private readonly List<LinkedCommand> _continuing = [];
    private readonly HashSet<LinkedCommand> _linked = [];

    internal void Began(LinkedCommand command)
    {
        if (!_linked.Add(command)) return;
        _hostInFlight++;
        if (command.Drains) _draining++;
    }

    internal void Ended(LinkedCommand command)
    {
        if (!_linked.Remove(command)) return;
        _hostInFlight--;
        if (command.Drains) _draining--;
    }

    /// <summary>A part is over: the next one starts with the next turn, when there are slots for it.</summary>
    internal void Continue(LinkedCommand command) => _continuing.Add(command);

    private bool CanContinue(LinkedCommand command) => _stopping || _operations.Available >= command.Slots;

    private void ContinueLinked()
    {
        for (var i = 0; i < _continuing.Count;)
        {
            var command = _continuing[i];
            if (!CanContinue(command))
            {
                i++;
                continue;
            }
            // What it starts may be over at once, and be added again at the end.
            _continuing.RemoveAt(i);
            command.Run(this);
        }
    }
}
