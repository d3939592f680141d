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

/// <summary>The regions of one checked run, and which stack bytes have been written.</summary>
internal sealed unsafe class CheckedMemory
{
    private const int StackBytes = Limits.Frames * Limits.StackBytesPerFrame;

    private readonly List<MemoryRegion> _regions = [];
    // What calls returned, by address: a program may look up many values, and each is asked for at every access.
    private readonly SortedList<ulong, MemoryRegion> _found = [];
    private MemoryRegion _last;
    private readonly bool[] _written = new bool[StackBytes];
    private byte* _stack;

    public void Reset(byte* stackTop)
    {
        _regions.Clear();
        _found.Clear();
        _last = default;
        _stack = stackTop - StackBytes;
        Array.Clear(_written);
    }

    /// <summary>Memory the program has from its start.</summary>
    public void Add(MemoryRegion region) => _regions.Add(region);

    /// <summary>Memory that a call gave the program.</summary>
    public void AddFound(MemoryRegion region) => _found[region.Start] = _last = region;

    /// <summary>Memory from a call that the program gave back.</summary>
    public void Remove(ulong start)
    {
        _found.Remove(start);
        _last = default;
    }

    /// <summary>The frame that starts: nothing in it has been written.</summary>
    public void EnterFrame(ulong frame) => Array.Clear(_written, (int)((byte*)frame - _stack) - Limits.StackBytesPerFrame, Limits.StackBytesPerFrame);

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
        return Find(address, bytes) == null ? Outside(address, bytes) : null;
    }

    /// <summary>Null when the bytes may be written, else why not.</summary>
    public string? CheckWrite(ulong address, ulong bytes, ulong lowestFrame)
    {
        if (InStack(address, bytes, lowestFrame)) return null;
        return Find(address, bytes) is not { } region ? Outside(address, bytes)
            : region.Writable ? null : $"writes to {region.Name}, which is read-only";
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

    private MemoryRegion? Find(ulong address, ulong bytes)
    {
        if (_last.Contains(address, bytes)) return _last;
        foreach (var region in _regions)
        {
            if (region.Contains(address, bytes)) return _last = region;
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
        return _last = _found.Values[low - 1];
    }

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
