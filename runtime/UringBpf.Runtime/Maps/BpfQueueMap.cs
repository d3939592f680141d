using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Typed access to a queue or stack map. Thread-safe, allocates nothing per call.</summary>
/// <typeparam name="TValue">Unmanaged, of exactly the map's value size.</typeparam>
public sealed unsafe class BpfQueueMap<TValue> where TValue : unmanaged
{
    private readonly QueueMap _map;

    /// <summary>Views a map.</summary>
    /// <exception cref="BpfException">UB4104 when the map is of another kind or its value size differs from the type's.</exception>
    public BpfQueueMap(BpfMap map) => _map = TypedMap.Check<QueueMap>(map, 0, sizeof(TValue), MapType.Queue, MapType.Stack);

    /// <summary>The map.</summary>
    public BpfMap Map => _map;

    /// <summary>Elements in it.</summary>
    public int Count => _map.Count;

    /// <summary>Adds an element.</summary>
    /// <returns>False when full.</returns>
    public bool TryPush(TValue value) => _map.Push(TypedMap.Bytes(ref value)) == 0;

    /// <summary>Adds an element, dropping the oldest when full.</summary>
    public void Push(TValue value) => _map.Push(TypedMap.Bytes(ref value), MapUpdateFlags.Exist);

    /// <summary>Takes the next element: the oldest of a queue, the newest of a stack.</summary>
    /// <returns>False when empty.</returns>
    public bool TryPop(out TValue value)
    {
        Unsafe.SkipInit(out value);
        return _map.TryPop(TypedMap.Bytes(ref value));
    }

    /// <summary>Copies the next element without taking it.</summary>
    /// <returns>False when empty.</returns>
    public bool TryPeek(out TValue value)
    {
        Unsafe.SkipInit(out value);
        return _map.TryPeek(TypedMap.Bytes(ref value));
    }
}
