using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Memory a checked run may touch.</summary>
/// <param name="Name">What it is, for messages: <c>context</c>, <c>value of map 'm'</c>, ….</param>
/// <param name="Start">Address of the first byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Writable">False for read-only memory.</param>
public readonly record struct MemoryRegion(string Name, nuint Start, nuint Length, bool Writable)
{
    /// <summary>True when all bytes of the access are inside.</summary>
    public bool Contains(ulong address, ulong bytes) => address >= Start && bytes <= Length && address - Start <= Length - bytes;
}

/// <summary>The stack from a function's frame upwards, and a byte for each of its bytes: 1 when it has been written.</summary>
internal ref struct StackView
{
    public ulong Bottom;
    public ulong Length;
    public ref byte Written;
}

/// <summary>The regions of one checked run, and which stack bytes have been written.</summary>
internal sealed unsafe class CheckedMemory
{
    private const int StackBytes = Limits.Frames * Limits.StackBytesPerFrame;

    private readonly List<MemoryRegion> _regions = [];
    // What calls returned, by address: a program may look up many values, and each is asked for at every access.
    private readonly SortedList<ulong, MemoryRegion> _found = [];
    private ulong _fields, _fieldBytes;
    // Where was last read and last written, which is likely where the next accesses go. A copy alternates.
    private ulong _readStart, _readLength, _writtenStart, _writtenLength;
    private readonly bool[] _written = new bool[StackBytes];
    private byte* _stack;

    /// <param name="stackTop">r10 of the main function.</param>
    /// <param name="fields">Where the context struct lies, whose fields alone may be touched: the quick look leaves it alone.</param>
    /// <param name="fieldBytes">Its size; 0 when the context is flat memory.</param>
    public void Reset(byte* stackTop, ulong fields, ulong fieldBytes)
    {
        (_fields, _fieldBytes) = (fields, fieldBytes);
        _regions.Clear();
        _found.Clear();
        Forget();
        _stack = stackTop - StackBytes;
        Array.Clear(_written);
    }

    /// <summary>Memory the program has from its start.</summary>
    public void Add(MemoryRegion region) => _regions.Add(region);

    /// <summary>Memory that a call gave the program.</summary>
    public void AddFound(MemoryRegion region)
    {
        if (_found.TryGetValue(region.Start, out var known))
        {
            if (known == region) return;
            Forget();
        }
        _found[region.Start] = region;
    }

    /// <summary>Memory from a call that the program gave back.</summary>
    public void Remove(ulong start)
    {
        _found.Remove(start);
        Forget();
    }

    /// <summary>The frame that starts: nothing in it has been written.</summary>
    public void EnterFrame(ulong frame) => Array.Clear(_written, (int)((byte*)frame - _stack) - Limits.StackBytesPerFrame, Limits.StackBytesPerFrame);

    /// <summary>The stack that a function may touch: its own frame and its callers'.</summary>
    public StackView View(ulong frame)
    {
        var bottom = frame - Limits.StackBytesPerFrame;
        return new()
        {
            Bottom = bottom,
            Length = (ulong)(_stack + StackBytes) - bottom,
            Written = ref Unsafe.As<bool, byte>(ref _written[(int)(bottom - (ulong)_stack)]),
        };
    }

    /// <summary>
    /// True when the bytes may be read as far as a quick look tells: all of it is written stack, or in the region of the last
    /// access. When not, <see cref="CheckRead"/> knows.
    /// </summary>
    /// <typeparam name="T">An unsigned integer of 1, 2, 4 or 8 bytes: the size of the access.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayRead<T>(ulong address, in StackView stack) where T : unmanaged
    {
        if (address - stack.Bottom <= stack.Length - (ulong)sizeof(T))
        {
            ref var written = ref Unsafe.Add(ref stack.Written, (nint)(address - stack.Bottom));
            if (sizeof(T) == 1) return written == 1;
            if (sizeof(T) == 2) return Unsafe.ReadUnaligned<ushort>(ref written) == 0x0101;
            if (sizeof(T) == 4) return Unsafe.ReadUnaligned<uint>(ref written) == 0x01010101;
            return Unsafe.ReadUnaligned<ulong>(ref written) == 0x0101010101010101;
        }
        return address - _fields >= _fieldBytes && In(_readStart, _readLength, address, (ulong)sizeof(T));
    }

    /// <summary>
    /// True when the bytes may be written as far as a quick look tells; those of the stack are then marked as written. When
    /// not, <see cref="CheckWrite"/> knows.
    /// </summary>
    /// <typeparam name="T">An unsigned integer of 1, 2, 4 or 8 bytes: the size of the access.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayWrite<T>(ulong address, in StackView stack) where T : unmanaged
    {
        if (address - stack.Bottom <= stack.Length - (ulong)sizeof(T))
        {
            ref var written = ref Unsafe.Add(ref stack.Written, (nint)(address - stack.Bottom));
            if (sizeof(T) == 1) written = 1;
            else if (sizeof(T) == 2) Unsafe.WriteUnaligned(ref written, (ushort)0x0101);
            else if (sizeof(T) == 4) Unsafe.WriteUnaligned(ref written, 0x01010101u);
            else Unsafe.WriteUnaligned(ref written, 0x0101010101010101ul);
            return true;
        }
        return address - _fields >= _fieldBytes && In(_writtenStart, _writtenLength, address, (ulong)sizeof(T));
    }

    /// <summary>Null when the bytes may be read, else why not.</summary>
    public string? CheckRead(ulong address, ulong bytes, ulong lowestFrame)
    {
        if (InStack(address, bytes, lowestFrame))
        {
            var first = (int)((byte*)address - _stack);
            for (var i = 0; i < (int)bytes; i++)
            {
                if (!_written[first + i]) return $"reads stack byte {(long)address + i - (long)(_stack + StackBytes)} (from the main frame's r10), which was never written";
            }
            return null;
        }
        if (Find(address, bytes) is not { } region) return Outside(address, bytes);
        (_readStart, _readLength) = (region.Start, region.Length);
        return null;
    }

    /// <summary>Null when the bytes may be written, else why not.</summary>
    public string? CheckWrite(ulong address, ulong bytes, ulong lowestFrame)
    {
        if (InStack(address, bytes, lowestFrame)) return null;
        if (Find(address, bytes) is not { } region) return Outside(address, bytes);
        if (!region.Writable) return $"writes to {region.Name}, which is read-only";
        (_writtenStart, _writtenLength) = (region.Start, region.Length);
        return null;
    }

    /// <summary>The program, or a function for it, has written these bytes.</summary>
    public void Written(ulong address, ulong bytes)
    {
        if ((byte*)address < _stack || (byte*)address >= _stack + StackBytes) return;
        Array.Fill(_written, true, (int)((byte*)address - _stack), (int)bytes);
    }

    // Frames below the running one do not exist yet.
    private bool InStack(ulong address, ulong bytes, ulong lowestFrame)
    {
        var bottom = lowestFrame - Limits.StackBytesPerFrame;
        return address >= bottom && address < (ulong)(_stack + StackBytes) && bytes <= (ulong)(_stack + StackBytes) - address;
    }

    // As Contains, of accesses of at least a byte, with one comparison less: that one keeps the interpreter's loop from holding
    // what it works on in registers, which costs it half again.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool In(ulong start, ulong length, ulong address, ulong bytes) =>
        address - start < length && bytes <= length - (address - start);

    private MemoryRegion? Find(ulong address, ulong bytes)
    {
        foreach (var region in _regions)
        {
            if (region.Contains(address, bytes)) return region;
        }
        var starts = _found.Keys;
        int low = 0, high = starts.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (starts[middle] <= address) low = middle + 1;
            else high = middle;
        }
        if (low == 0 || !_found.Values[low - 1].Contains(address, bytes)) return null;
        return _found.Values[low - 1];
    }

    private void Forget() => _readLength = _writtenLength = 0;

    // Says it by the nearest memory there is, if one is near.
    private string Outside(ulong address, ulong bytes)
    {
        const ulong near = 4096;
        var nearest = _regions.Concat(_found.Values).OrderBy(region => Distance(region, address)).FirstOrDefault();
        if (nearest.Name == null || Distance(nearest, address) > near) return $"{bytes} bytes at 0x{address:x}, in no memory of the program";
        var offset = (long)(address - nearest.Start);
        return $"{bytes} bytes at {nearest.Name} {(offset < 0 ? "" : "+")}{offset}, which has {nearest.Length} bytes";
    }

    private static ulong Distance(MemoryRegion region, ulong address) =>
        address < region.Start ? region.Start - address : address - region.Start < region.Length ? 0 : address - region.Start - region.Length + 1;
}
