namespace UringBpf.Ring;

/// <summary>An operation that a back end of ours carries out itself. Pooled; the owner's, but while a pool thread runs it.</summary>
internal class EmulatedOperation
{
    public Sqe Entry;
    /// <summary>What it works on, held until it is done; null for operations on no file and on descriptors of the process.</summary>
    public Descriptor? File;
    /// <summary>Of a splice or tee what it takes from, held as well; null for a descriptor of the process.</summary>
    public Descriptor? Input;
    /// <summary>When it is due, in nanoseconds of the back end's clock; <see cref="Order"/> decides between equals.</summary>
    public long Due;
    public ulong Order;
    /// <summary>Place in the <see cref="OperationHeap"/>, or -1.</summary>
    public int HeapIndex = -1;
    /// <summary>Next in the list it is in: free ones, or those that pool threads have done.</summary>
    public EmulatedOperation? Next;

    /// <summary>A cancel request has come too late for it: it goes on no more.</summary>
    public bool Lost;

    /// <summary>Of a timer: how long it runs, in nanoseconds.</summary>
    public long Duration;

    /// <summary>Takes down how long a timer runs, cut to what a clock can count.</summary>
    public unsafe long Period()
    {
        const long longest = long.MaxValue / 4;
        var time = (IoUring.Timespec*)Entry.Address;
        return Duration = time->Seconds > longest / 1_000_000_000 ? longest : time->Seconds * 1_000_000_000 + time->Nanoseconds;
    }

    /// <summary>When a timer that has run out and repeats is due again. What was missed is not made up for.</summary>
    public long DueAgain(long now) => Math.Max(Due, now - Duration) + Duration;

    /// <summary>Ready for another entry.</summary>
    public virtual void Begin(in Sqe entry)
    {
        Entry = entry;
        File = Input = null;
        Next = null;
        Lost = false;
    }
}

/// <summary>An open file of a back end of ours: what a file slot holds. Operations on it keep it open. Owner thread only.</summary>
internal abstract class Descriptor
{
    private int _references = 1;

    /// <summary>A closed one that is opened again, for pools.</summary>
    protected void Reopen() => _references = 1;

    public void Hold() => _references++;

    public void Release()
    {
        if (--_references == 0) Close();
    }

    protected abstract void Close();
}

/// <summary>Operations by the time at which they are due: the earliest first, any can be taken out.</summary>
internal sealed class OperationHeap
{
    private EmulatedOperation[] _items = new EmulatedOperation[64];

    public int Count { get; private set; }

    public EmulatedOperation First => _items[0];

    public void Add(EmulatedOperation operation)
    {
        if (Count == _items.Length) Array.Resize(ref _items, 2 * Count);
        Rise(Count++, operation);
    }

    public void Remove(EmulatedOperation operation)
    {
        var index = operation.HeapIndex;
        operation.HeapIndex = -1;
        var last = _items[--Count];
        _items[Count] = null!;
        if (last == operation) return;
        if (index > 0 && IsBefore(last, _items[(index - 1) / 2])) Rise(index, last);
        else Sink(index, last);
    }

    private void Rise(int index, EmulatedOperation operation)
    {
        for (; index > 0; index = (index - 1) / 2)
        {
            var parent = _items[(index - 1) / 2];
            if (!IsBefore(operation, parent)) break;
            Put(index, parent);
        }
        Put(index, operation);
    }

    private void Sink(int index, EmulatedOperation operation)
    {
        while (true)
        {
            var child = 2 * index + 1;
            if (child >= Count) break;
            if (child + 1 < Count && IsBefore(_items[child + 1], _items[child])) child++;
            if (!IsBefore(_items[child], operation)) break;
            Put(index, _items[child]);
            index = child;
        }
        Put(index, operation);
    }

    private void Put(int index, EmulatedOperation operation)
    {
        _items[index] = operation;
        operation.HeapIndex = index;
    }

    private static bool IsBefore(EmulatedOperation a, EmulatedOperation b) => a.Due != b.Due ? a.Due < b.Due : a.Order < b.Order;
}
