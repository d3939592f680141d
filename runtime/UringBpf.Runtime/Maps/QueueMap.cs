using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>A queue or stack as the host sees it, untyped. Thread-safe, allocates nothing per call.</summary>
public sealed unsafe class QueueMap : BpfMap
{
    internal QueueMap(MapSpec spec)
        : base(Check(spec, 0, 0, 1, 1 << 28, MapFlags.None), QueueOps.ElementsAt + (ulong)spec.MaxEntries * RoundUp8((uint)spec.ValueSize))
    {
    }

    /// <summary>Elements in it.</summary>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Count
    {
        get
        {
            var activity = Enter();
            var count = (int)Volatile.Read(ref ((QueueOps.Queue*)Header->Data)->Count);
            Leave(activity);
            return count;
        }
    }

    /// <summary>Adds an element.</summary>
    /// <returns>0; -E2BIG (7) when full, unless <see cref="MapUpdateFlags.Exist"/> drops the oldest; -EINVAL (22) for other flags.</returns>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Push(ReadOnlySpan<byte> value, MapUpdateFlags flags = MapUpdateFlags.Any)
    {
        CheckSize(value);
        fixed (byte* v = value)
        {
            var activity = Enter();
            var status = (int)QueueOps.Push((ulong)Header, (ulong)v, (ulong)flags);
            Leave(activity);
            return status;
        }
    }

    /// <summary>Takes the next element: the oldest of a queue, the newest of a stack.</summary>
    /// <returns>False when empty.</returns>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public bool TryPop(Span<byte> value)
    {
        CheckSize(value);
        fixed (byte* v = value)
        {
            var activity = Enter();
            var status = Spec.Type == MapType.Queue ? QueueOps.PopQueue((ulong)Header, (ulong)v) : QueueOps.PopStack((ulong)Header, (ulong)v);
            Leave(activity);
            return status == 0;
        }
    }

    /// <summary>Copies the next element without taking it.</summary>
    /// <returns>False when empty.</returns>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public bool TryPeek(Span<byte> value)
    {
        CheckSize(value);
        fixed (byte* v = value)
        {
            var activity = Enter();
            var status = Spec.Type == MapType.Queue ? QueueOps.PeekQueue((ulong)Header, (ulong)v) : QueueOps.PeekStack((ulong)Header, (ulong)v);
            Leave(activity);
            return status == 0;
        }
    }

    private void CheckSize(ReadOnlySpan<byte> value)
    {
        if (value.Length != Spec.ValueSize) throw new ArgumentException($"A value of '{Name}' is {Spec.ValueSize} bytes, not {value.Length}.", nameof(value));
    }
}
