namespace UringBpf.Runtime;

/// <summary>
/// The native memory of all live maps, by address. Formatting helpers ask it before they follow a number as a pointer to
/// a string. Thread-safe; slow paths only.
/// </summary>
internal static unsafe class AddressSpace
{
    private static readonly Lock s_gate = new();
    private static readonly SortedList<nuint, (nuint End, bool IsFrozen)> s_ranges = [];

    /// <summary>Notes a map's memory.</summary>
    public static void Add(byte* start, ulong bytes, bool isFrozen)
    {
        lock (s_gate) s_ranges.Add((nuint)start, ((nuint)start + (nuint)bytes, isFrozen));
    }

    /// <summary>Forgets it, before it is freed.</summary>
    public static void Remove(byte* start)
    {
        lock (s_gate) s_ranges.Remove((nuint)start);
    }

    /// <summary>Bytes readable from an address on, 0 when it lies in no map. What it says holds until the run that asks
    /// ends: memory is not freed under an active run.</summary>
    /// <param name="address">Any number.</param>
    /// <param name="frozenOnly">Count global constants only.</param>
    public static ulong Readable(ulong address, bool frozenOnly)
    {
        lock (s_gate)
        {
            // The last range that starts at or below the address.
            int low = 0, high = s_ranges.Count;
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (s_ranges.GetKeyAtIndex(middle) <= address) low = middle + 1;
                else high = middle;
            }
            if (low == 0) return 0;
            var (end, isFrozen) = s_ranges.GetValueAtIndex(low - 1);
            return address < end && (isFrozen || !frozenOnly) ? end - address : 0;
        }
    }
}
