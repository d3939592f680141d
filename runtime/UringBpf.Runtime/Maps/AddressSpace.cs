namespace UringBpf.Runtime;

/// <summary>
/// The native memory of all live maps, by address. Formatting helpers ask it before they follow a number as a pointer to
/// a string. Thread-safe; slow paths only.
/// </summary>
internal static unsafe class AddressSpace
{
    private static readonly Lock s_gate = new();
    // By start. Few maps come and go, so a list does.
    private static readonly List<Range> s_ranges = [];

    private sealed record Range(ulong Start, ulong End);

    /// <summary>Notes a map's memory.</summary>
    public static void Add(byte* start, ulong bytes)
    {
        lock (s_gate) s_ranges.Insert(After((ulong)start), new Range((ulong)start, (ulong)start + bytes));
    }

    /// <summary>Forgets it, before it is freed.</summary>
    public static void Remove(byte* start)
    {
        lock (s_gate)
        {
            var at = After((ulong)start) - 1;
            if (at >= 0 && s_ranges[at].Start == (ulong)start) s_ranges.RemoveAt(at);
        }
    }

    /// <summary>Bytes readable from an address on, 0 when it lies in no map. What it says holds until the run that asks
    /// ends: memory is not freed under an active run.</summary>
    /// <param name="address">Any number.</param>
    public static ulong Readable(ulong address)
    {
        lock (s_gate)
        {
            var after = After(address);
            if (after == 0) return 0;
            var range = s_ranges[after - 1];
            return address < range.End ? range.End - address : 0;
        }
    }

    // The first range that starts above an address.
    private static int After(ulong address)
    {
        int low = 0, high = s_ranges.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (s_ranges[middle].Start <= address) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}
