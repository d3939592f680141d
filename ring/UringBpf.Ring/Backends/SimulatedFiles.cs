namespace UringBpf.Ring;

/// <summary>Something that can be opened in a simulation.</summary>
internal abstract class SimulatedNode
{
    private readonly List<SimulatedOperation> _waiting = [];

    /// <summary>An operation waits until something about this changes: see <see cref="SimulatedOperation.Wait"/>.</summary>
    public void AddWaiter(SimulatedOperation operation) => _waiting.Add(operation);

    public void RemoveWaiter(SimulatedOperation operation) => _waiting.Remove(operation);

    /// <summary>Something changed: whoever waits looks again.</summary>
    public void Changed(SimulatedBackend machine)
    {
        // In the order in which they came.
        while (_waiting.Count > 0)
        {
            var operation = _waiting[0];
            operation.StopWaiting();
            machine.Schedule(operation);
        }
    }
}

/// <summary>A directory: names lead to it, it holds nothing itself.</summary>
internal sealed class SimulatedDirectory : SimulatedNode;

/// <summary>A regular file.</summary>
internal sealed class SimulatedFile : SimulatedNode
{
    // A file as large as this fills the disk.
    private const long LargestBytes = 1L << 28;

    private byte[] _bytes;

    public SimulatedFile(ReadOnlySpan<byte> content)
    {
        _bytes = content.ToArray();
        Length = content.Length;
    }

    public long Length { get; private set; }

    public int Read(Span<byte> into, long offset)
    {
        var count = (int)Math.Clamp(Length - offset, 0, into.Length);
        if (count > 0) _bytes.AsSpan((int)offset, count).CopyTo(into);
        return count;
    }

    public int Write(ReadOnlySpan<byte> from, long offset)
    {
        if (from.IsEmpty) return 0;
        var end = offset + from.Length;
        if (end > Length && SetLength(end) < 0) return -Errno.NoSpc;
        from.CopyTo(_bytes.AsSpan((int)offset));
        return from.Length;
    }

    public int SetLength(long length)
    {
        if (length > LargestBytes) return -Errno.NoSpc;
        if (length > _bytes.Length) Array.Resize(ref _bytes, (int)Math.Max(length, Math.Min(2L * _bytes.Length, LargestBytes)));
        // What was cut off reads as zero when the file grows again.
        if (length < Length) _bytes.AsSpan((int)length, (int)(Length - length)).Clear();
        Length = length;
        return 0;
    }
}

/// <summary>Bytes on their way in one direction: a pipe, or half of a connection.</summary>
internal sealed class SimulatedPipe : SimulatedNode
{
    private const int CapacityBytes = 1 << 16;

    private readonly byte[] _bytes = new byte[CapacityBytes];
    private int _start;

    public int Count { get; private set; }
    public int Free => CapacityBytes - Count;
    public bool ReaderGone { get; set; }
    public bool WriterGone { get; set; }

    public int Read(Span<byte> into, bool peek)
    {
        var count = Math.Min(into.Length, Count);
        var first = Math.Min(count, CapacityBytes - _start);
        _bytes.AsSpan(_start, first).CopyTo(into);
        _bytes.AsSpan(0, count - first).CopyTo(into[first..]);
        if (peek) return count;
        _start = (_start + count) % CapacityBytes;
        Count -= count;
        return count;
    }

    public int Write(ReadOnlySpan<byte> from)
    {
        var count = Math.Min(from.Length, Free);
        var at = (_start + Count) % CapacityBytes;
        var first = Math.Min(count, CapacityBytes - at);
        from[..first].CopyTo(_bytes.AsSpan(at));
        from[first..count].CopyTo(_bytes);
        Count += count;
        return count;
    }
}

/// <summary>A stream socket: not yet connected, listening, or one end of a connection.</summary>
internal sealed class SimulatedSocket : SimulatedNode
{
    /// <summary>Connections that wait to be accepted; null unless it listens.</summary>
    public Queue<SimulatedSocket>? Pending;
    public int Backlog;
    /// <summary>The address it is bound to, or null.</summary>
    public string? Address;
    /// <summary>What it receives and what it sends; null until it is connected.</summary>
    public SimulatedPipe? Incoming, Outgoing;

    public static (SimulatedSocket First, SimulatedSocket Second) Connect(SimulatedSocket? first = null)
    {
        SimulatedPipe there = new(), back = new();
        first ??= new SimulatedSocket();
        (first.Outgoing, first.Incoming) = (there, back);
        return (first, new SimulatedSocket { Outgoing = back, Incoming = there });
    }
}

/// <summary>An open file of a simulation, with its position and what it may be used for.</summary>
internal sealed class SimulatedDescriptor(SimulatedBackend machine, SimulatedNode node, bool reads, bool writes, bool appends) : Descriptor
{
    public SimulatedNode Node { get; } = node;
    public bool Reads { get; } = reads;
    public bool Writes { get; } = writes;
    public bool Appends { get; } = appends;
    public long Position { get; set; }

    protected override void Close() => machine.Closed(this);
}
