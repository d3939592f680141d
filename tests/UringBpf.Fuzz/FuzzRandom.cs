namespace UringBpf.Fuzz;

/// <summary>SplitMix64: a small generator whose sequence is the same in every version of .NET, so that a seed repeats a case for ever.</summary>
public sealed class FuzzRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The generator of case <paramref name="index"/> of a run.</summary>
    public static FuzzRandom ForCase(ulong seed, long index) => new(new FuzzRandom(seed ^ (ulong)index * 0x9e3779b97f4a7c15).Next());

    /// <summary>64 random bits.</summary>
    public ulong Next()
    {
        var z = _state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

    /// <summary>A number in 0..<paramref name="limit"/>-1.</summary>
    public int Below(int limit) => (int)(Next() % (uint)limit);

    /// <summary>True once in <paramref name="n"/> times.</summary>
    public bool OneIn(int n) => Below(n) == 0;

    /// <summary>One of the items.</summary>
    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];
}
