using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A global variable of an object, live: the host reads and writes what programs see. Thread-safe; values of up to 8 bytes
/// are never torn. From <see cref="MapSet.Global{T}"/>.
/// </summary>
/// <typeparam name="T">Unmanaged, of exactly the variable's size.</typeparam>
public sealed unsafe class BpfGlobal<T> where T : unmanaged
{
    private readonly ArrayMap _map;
    private readonly GlobalVariable _variable;

    internal BpfGlobal(BpfMap map, GlobalVariable variable)
    {
        _map = TypedMap.Check<ArrayMap>(map, sizeof(int), map.Spec.ValueSize, MapType.Array);
        _variable = variable;
        if (sizeof(T) != variable.Size || variable.Offset < 0 || variable.Offset + variable.Size > map.Spec.ValueSize)
            throw new BpfException("UB4104", $"the variable '{variable.Name}' has {variable.Size} bytes at {variable.Offset} of {map.Spec.ValueSize}, the type given has {sizeof(T)}.");
    }

    /// <summary>The variable's name.</summary>
    public string Name => _variable.Name;

    /// <summary>Its value.</summary>
    /// <exception cref="BpfException">UB4105 when writing to a constant (<c>.rodata</c>).</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public T Value
    {
        get
        {
            T value;
            _map.Read((uint)_variable.Offset, (byte*)&value, (uint)sizeof(T));
            return value;
        }
        set => TypedMap.ThrowIfFailed(_map, _map.Write((uint)_variable.Offset, (byte*)&value, (uint)sizeof(T)));
    }
}
