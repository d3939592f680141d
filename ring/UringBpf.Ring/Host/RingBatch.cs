using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// Operations that are submitted together, one after the other with nothing between: so that they can be linked
/// (<see cref="SqeFlags.Link"/>, <see cref="SqeFlags.HardLink"/>: the next entry starts when this one has succeeded, or ended) and drained (<see cref="SqeFlags.Drain"/>). Not thread-safe;
/// submitted once, or again after <see cref="Reset"/>.
/// </summary>
/// <remarks>
/// A drained entry, with what is linked to it, starts when all operations that the host submitted before have completed; what the
/// host submits after it waits until it has completed. Chains and their operations neither wait nor are waited for.
/// A short transfer breaks a link as a failure does: what follows completes with -ECANCELED. Where that is not wanted, let a
/// hook decide instead. IOSQE_CQE_SKIP_SUCCESS is refused: nobody would know when the memory is free.
/// </remarks>
public sealed class RingBatch
{
    private readonly Ring _ring;
    private readonly List<BatchItem> _items = [];
    private bool _submitted;

    internal RingBatch(Ring ring) => _ring = ring;

    /// <summary>Operations added.</summary>
    public int Count => _items.Count;

    /// <summary>Adds an operation; it starts with <see cref="Submit"/>, which must follow: until then what it holds stays held.</summary>
    /// <param name="entry">From <see cref="Prepare"/>; memory and descriptors it names stay valid until it has completed.</param>
    /// <param name="file">Kept open until then, in place of the entry's descriptor; or null.</param>
    /// <param name="delay">For a timeout or link timeout: the ring keeps the time.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel this one.</param>
    /// <returns>The result, or -errno; -ECANCELED when a link before it broke.</returns>
    /// <exception cref="InvalidOperationException">The batch was submitted.</exception>
    /// <exception cref="ArgumentException">The entry asks to skip its completion.</exception>
    public ValueTask<int> Add(in Sqe entry, SafeHandle? file = null, TimeSpan? delay = null, CancellationToken cancellationToken = default)
    {
        ThrowIfSubmitted();
        Ring.RefuseSkipping(entry);
        var host = _ring.Prepared(entry, new HostMemory { File = file, Delay = delay }, cancellationToken);
        host.InBatch = true;
        _items.Add(new BatchItem(host, null, host.Entry.Flags));
        return new ValueTask<int>(host, host.Version);
    }

    /// <summary>As <see cref="Add(in Sqe, SafeHandle, TimeSpan?, CancellationToken)"/>, judged by a policy of its own besides those that are attached; refused, it breaks its link.</summary>
    /// <param name="entry">As for the other.</param>
    /// <param name="file">As for the other.</param>
    /// <param name="policy">From <see cref="Ring.CreatePolicy"/> of this ring. Once it is disposed, the result is -ECANCELED.</param>
    /// <param name="delay">As for the other.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel this one.</param>
    /// <returns>The result, or -errno; the policy's where it refuses.</returns>
    /// <exception cref="InvalidOperationException">The batch was submitted.</exception>
    /// <exception cref="ArgumentException">The entry asks to skip its completion; or the policy is another ring's.</exception>
    public ValueTask<int> Add(in Sqe entry, SafeHandle? file, PolicyLink policy, TimeSpan? delay = null, CancellationToken cancellationToken = default)
    {
        _ring.CheckGiven(policy);
        var result = Add(entry, file, delay, cancellationToken);
        _items[^1].Operation!.Policy = policy;
        return result;
    }

    /// <summary>As <see cref="Add(HookLink, UringOp, SqeFlags, ReadOnlySpan{byte}, CancellationToken)"/>, with a policy that judges this chain's operations besides those of
    /// the ring and the attachment.</summary>
    /// <param name="hook">An attachment of this ring.</param>
    /// <param name="first">The chain's first operation.</param>
    /// <param name="policy">From <see cref="Ring.CreatePolicy"/> of this ring. Once it is disposed, what the chain submits is refused with -ECANCELED.</param>
    /// <param name="order">As for the other.</param>
    /// <param name="scratch">At most 64 bytes that the chain's scratch begins with.</param>
    /// <param name="cancellationToken">Ends the chain with -ECANCELED.</param>
    /// <returns>How the chain ended; -ECANCELED when a link before it broke.</returns>
    /// <exception cref="InvalidOperationException">The batch was submitted.</exception>
    /// <exception cref="ArgumentException">As for the other; or the policy is another ring's.</exception>
    public ValueTask<ChainResult> Add(HookLink hook, UringOp first, PolicyLink policy, SqeFlags order = SqeFlags.None, ReadOnlySpan<byte> scratch = default, CancellationToken cancellationToken = default)
    {
        _ring.CheckGiven(policy);
        var result = Add(hook, first, order, scratch, cancellationToken);
        _items[^1].Chain!.Policy = policy;
        return result;
    }

    /// <summary>
    /// Adds a chain: programs among the operations, to be linked and drained as they are (what IORING_OP_BPF is for). What is linked to it
    /// starts when the chain has ended with a result that is no error; what drains waits for its end.
    /// </summary>
    /// <param name="hook">An attachment of this ring.</param>
    /// <param name="first">The chain's first operation; <see cref="UringOp.RunProgram"/> or a NOP to begin with a program.</param>
    /// <param name="order"><see cref="SqeFlags.Link"/>, <see cref="SqeFlags.HardLink"/>, <see cref="SqeFlags.Drain"/>, or none.</param>
    /// <param name="scratch">At most 64 bytes that the chain's scratch begins with.</param>
    /// <param name="cancellationToken">Ends the chain with -ECANCELED.</param>
    /// <returns>How the chain ended; -ECANCELED when a link before it broke.</returns>
    /// <exception cref="InvalidOperationException">The batch was submitted.</exception>
    /// <exception cref="ArgumentException">The hook is another ring's, a flag has nothing to do with order, or the scratch is too long.</exception>
    public ValueTask<ChainResult> Add(HookLink hook, UringOp first, SqeFlags order = SqeFlags.None, ReadOnlySpan<byte> scratch = default, CancellationToken cancellationToken = default)
    {
        ThrowIfSubmitted();
        if (hook.Ring != _ring) throw new ArgumentException("The hook is attached to another ring.", nameof(hook));
        if ((order & ~(AnyLink | SqeFlags.Drain)) != 0) throw new ArgumentException("A chain is linked or drained; other flags are its operations'.", nameof(order));
        var chain = _ring.PreparedChain(hook, first, scratch, cancellationToken);
        _items.Add(new BatchItem(null, chain, order));
        return new ValueTask<ChainResult>(chain, chain.Version);
    }

    /// <summary>Sends them all.</summary>
    /// <exception cref="InvalidOperationException">The batch was submitted.</exception>
    /// <exception cref="BpfException">UB4511 when it has more operations than the submission queue has entries or the ring has slots: a
    /// link can't be split. All of them complete with -ENOSPC then.</exception>
    public void Submit()
    {
        ThrowIfSubmitted();
        _submitted = true;
        if (_items.Count == 0) return;
        if (_items.Count > _ring.Features.QueueEntries || _items.Count > _ring.Capacity)
        {
            foreach (var item in _items)
            {
                item.Operation?.Refuse(_ring, -Errno.NoSpc);
                item.Chain?.Refuse(_ring, -Errno.NoSpc);
            }
            throw new BpfException("UB4511", $"a batch of {_items.Count} operations: the queue has {_ring.Features.QueueEntries} entries, the ring {_ring.Capacity} slots, and a link can't be split.");
        }
        var simple = true;
        foreach (var item in _items) simple &= item.Operation != null && (item.Flags & SqeFlags.Drain) == 0 && (_ring.KernelLinks || (item.Flags & AnyLink) == 0);
        _ring.Post(simple ? Together(0, _items.Count, drains: false) : Parts());
    }

    /// <summary>Makes it empty, to be filled and submitted again: a host that keeps its batches allocates nothing for them.</summary>
    /// <exception cref="InvalidOperationException">There are operations in it that were not submitted.</exception>
    public void Reset()
    {
        if (!_submitted && _items.Count > 0) throw new InvalidOperationException("there are operations in the batch that were not submitted.");
        _items.Clear();
        _submitted = false;
    }

    internal const SqeFlags AnyLink = SqeFlags.Link | SqeFlags.HardLink;

    private BatchCommand Together(int first, int after, bool drains)
    {
        var command = _ring.TakeBatch(drains);
        for (var i = first; i < after; i++) command.Add(_items[i].Operation!);
        return command;
    }

    // One for each group of linked entries that drains or that the ring must link itself, and for what lies between.
    private BatchSequence Parts()
    {
        var sequence = _ring.TakeSequence();
        BatchCommand? between = null;
        for (int first = 0, after; first < _items.Count; first = after)
        {
            var (chains, drains) = (false, false);
            for (after = first; after < _items.Count;)
            {
                var item = _items[after++];
                chains |= item.Chain != null;
                drains |= (item.Flags & SqeFlags.Drain) != 0;
                if ((item.Flags & AnyLink) == 0) break;
            }
            if (chains || drains || !_ring.KernelLinks && after - first > 1)
            {
                if (between != null) sequence.Add(between);
                between = null;
                if (chains || !_ring.KernelLinks && after - first > 1)
                {
                    sequence.Add(_ring.TakeLinked(_items, first, after));
                    continue;
                }
                for (var i = first; i < after; i++) _items[i].Operation!.Entry.Flags |= SqeFlags.Drain;
                sequence.Add(Together(first, after, drains: true));
                continue;
            }
            between ??= _ring.TakeBatch(drains: false);
            for (var i = first; i < after; i++) between.Add(_items[i].Operation!);
        }
        if (between != null) sequence.Add(between);
        return sequence;
    }

    private void ThrowIfSubmitted()
    {
        if (_submitted) throw new InvalidOperationException("the batch was submitted.");
    }
}

/// <summary>Operations that are submitted together. What was cancelled while it waited is null. Pooled.</summary>
internal sealed class BatchCommand : IQueuedCommand
{
    private HostOperation?[] _items = new HostOperation?[8];
    private SqeFlags[] _links = new SqeFlags[8];
    private int _count;

    public Span<HostOperation?> Items => _items.AsSpan(0, _count);

    /// <summary>The entries' flags, those of cancelled ones too.</summary>
    public ReadOnlySpan<SqeFlags> Links => _links.AsSpan(0, _count);

    public int Slots => _count;

    public bool Drains { get; private set; }

    public void Begin(bool drains) => Drains = drains;

    public void Add(HostOperation operation)
    {
        if (_count == _items.Length)
        {
            Array.Resize(ref _items, 2 * _count);
            Array.Resize(ref _links, 2 * _count);
        }
        _items[_count] = operation;
        _links[_count++] = operation.Entry.Flags;
    }

    public void Run(Ring ring)
    {
        ring.Submit(this);
        ring.Recycle(this);
    }

    public void Refuse(Ring ring, int result)
    {
        foreach (var item in Items) item?.Refuse(ring, result);
        ring.Recycle(this);
    }

    /// <summary>Holds nothing any more.</summary>
    public void Clear()
    {
        Items.Clear();
        _count = 0;
    }
}

/// <summary>What is admitted one after the other. Pooled.</summary>
internal sealed class BatchSequence : IRingCommand
{
    private readonly List<IQueuedCommand> _parts = [];

    public void Add(IQueuedCommand part) => _parts.Add(part);

    public void Run(Ring ring)
    {
        var next = 0;
        try
        {
            while (next < _parts.Count) ring.Admit(_parts[next++]);
        }
        catch
        {
            // The ring is at its end, and has not heard of these.
            for (; next < _parts.Count; next++) _parts[next].Refuse(ring, -Errno.Canceled);
            throw;
        }
        Recycle(ring);
    }

    public void Refuse(Ring ring, int result)
    {
        foreach (var part in _parts) part.Refuse(ring, result);
        Recycle(ring);
    }

    private void Recycle(Ring ring)
    {
        _parts.Clear();
        ring.Recycle(this);
    }
}

public sealed unsafe partial class Ring
{
    /// <summary>Operations that can be in flight at once (<see cref="RingOptions.MaxOperations"/>).</summary>
    public int Capacity => _operations.Count;

    internal bool KernelLinks => _backend.Links;

    private readonly ConcurrentQueue<BatchCommand> _batches = [];
    private readonly ConcurrentQueue<BatchSequence> _sequences = [];
    private readonly ConcurrentQueue<LinkedCommand> _linkedPool = [];

    internal BatchCommand TakeBatch(bool drains)
    {
        if (!_batches.TryDequeue(out var batch)) batch = new BatchCommand();
        batch.Begin(drains);
        return batch;
    }

    internal void Recycle(BatchCommand batch)
    {
        batch.Clear();
        _batches.Enqueue(batch);
    }

    internal BatchSequence TakeSequence() => _sequences.TryDequeue(out var sequence) ? sequence : new BatchSequence();

    internal void Recycle(BatchSequence sequence) => _sequences.Enqueue(sequence);

    internal LinkedCommand TakeLinked(List<BatchItem> items, int first, int after)
    {
        if (!_linkedPool.TryDequeue(out var linked)) linked = new LinkedCommand();
        linked.Begin(this, items, first, after);
        return linked;
    }

    internal void Recycle(LinkedCommand linked) => _linkedPool.Enqueue(linked);

    /// <summary>A batch of operations that are submitted together, to be linked or drained.</summary>
    public RingBatch Batch() => new(this);

    internal void Submit(BatchCommand batch)
    {
        var items = batch.Items;
        // The queue was made smaller since the batch was looked at.
        if (_stopping || items.Length > _backend.QueueEntries)
        {
            foreach (var item in items) item?.Refuse(this, _stopping ? -Errno.Canceled : -Errno.NoSpc);
            return;
        }
        var next = 0;
        try
        {
            MakeRoom(items.Length);
            while (next < items.Length) Submit(batch, next++);
        }
        catch (Exception error)
        {
            // The ring is at its end, and knows nothing of those that were not submitted.
            for (; next < items.Length; next++) items[next]?.Fail(error);
            throw;
        }
    }

    private void Submit(BatchCommand batch, int index)
    {
        var items = batch.Items;
        // The last one must not be linked to what others submit next.
        const SqeFlags linked = SqeFlags.Link | SqeFlags.HardLink;
        var last = index == items.Length - 1;
        if (items[index] is { CancelRequested: false } item)
        {
            if (last) item.Entry.Flags &= ~linked;
            Submit(item, _operations.TakeForHost());
            return;
        }
        // One that was cancelled before breaks its link as any cancelled one: a failing NOP stands for it, where it has links.
        var flags = last ? 0 : batch.Links[index] & linked;
        var follows = index > 0 && (batch.Links[index - 1] & linked) != 0;
        if (flags != 0 || follows) *_backend.NextSqe() = Prepare.Nop(-Errno.Canceled) with { Flags = flags, UserData = NoSlot };
        if (items[index] is { } cancelled) Answer(cancelled, -Errno.Canceled);
    }
}
