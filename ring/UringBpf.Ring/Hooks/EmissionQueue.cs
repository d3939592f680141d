namespace UringBpf.Ring;

/// <summary>Emissions on their way from the ring's thread to one reader. Fixed size, no allocation, no lock.</summary>
internal sealed class EmissionQueue
{
    private readonly Emission[] _items;
    private long _head;
    private long _tail;
    private long _lost;

    public EmissionQueue(int capacity) => _items = new Emission[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)capacity)];

    /// <summary>Emissions that found the queue full.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Owner thread. False when full.</summary>
    public bool TryEnqueue(in Emission emission)
    {
        var tail = _tail;
        if (tail - Volatile.Read(ref _head) == _items.Length)
        {
            _lost++;
            return false;
        }
        _items[tail & (_items.Length - 1)] = emission;
        Volatile.Write(ref _tail, tail + 1);
        return true;
    }

    /// <summary>One reader at a time.</summary>
    public bool TryDequeue(out Emission emission)
    {
        var head = _head;
        if (head == Volatile.Read(ref _tail))
        {
            emission = default;
            return false;
        }
        emission = _items[head & (_items.Length - 1)];
        Volatile.Write(ref _head, head + 1);
        return true;
    }
}
