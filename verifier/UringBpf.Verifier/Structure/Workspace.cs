using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Verifier;

/// <summary>
/// Memory that one verification needs only while it runs. What is large comes from the process's pool and goes back there
/// at the end, so that the garbage collector has none of it to clear, move or follow. Nothing that outlives the verification
/// may hold on to a block. Not thread-safe.
/// </summary>
internal sealed class Workspace : IDisposable
{
    // Below this, allocating is as cheap.
    private const int LeastRented = 4096;

    private readonly Pile<byte[]> _rented = new();

    /// <summary>So many elements, all zero.</summary>
    public Block<T> Take<T>(int count) where T : unmanaged
    {
        var bytes = checked(count * Unsafe.SizeOf<T>());
        if (bytes < LeastRented) return Block<T>.New(count);
        // Of bytes, which the runtime's own libraries use: code for a pool of another type would have to be compiled first.
        var memory = ArrayPool<byte>.Shared.Rent(bytes);
        _rented.Push(memory);
        memory.AsSpan(0, bytes).Clear();
        return new(memory, count);
    }

    /// <summary>Gives everything back.</summary>
    public void Dispose()
    {
        while (_rented.TryPop(out var memory)) ArrayPool<byte>.Shared.Return(memory);
    }
}

/// <summary>An array of plain numbers in memory of a <see cref="Workspace"/>. The default is empty.</summary>
internal readonly struct Block<T> where T : unmanaged
{
    private readonly byte[]? _memory;

    public Block(byte[] memory, int length) => (_memory, Length) = (memory, length);

    /// <summary>Elements of its own, all zero, which the garbage collector takes back.</summary>
    public static Block<T> New(int count) => new(new byte[checked(count * Unsafe.SizeOf<T>())], count);

    public int Length { get; }

    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)index >= (uint)Length) ThrowOutside();
            return ref Unsafe.Add(ref Unsafe.As<byte, T>(ref MemoryMarshal.GetArrayDataReference(_memory!)), (nint)(uint)index);
        }
    }

    public Span<T> Span => MemoryMarshal.Cast<byte, T>(_memory.AsSpan())[..Length];

    private static void ThrowOutside() => throw new IndexOutOfRangeException();
}
