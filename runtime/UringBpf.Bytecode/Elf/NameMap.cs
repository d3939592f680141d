namespace UringBpf.Bytecode;

/// <summary>
/// Things by name, for names that come from a <see cref="StringTable"/>: there all that refers to one name has the same string. A name
/// may be as long as the file, and any number of records may refer to it: each string is hashed once, and known by its address afterwards.
/// </summary>
/// <typeparam name="T">What is found.</typeparam>
internal sealed class NameMap<T> where T : class
{
    private sealed class Entry
    {
        public T? Value;
    }

    private readonly Dictionary<string, Entry> _byText = [];
    private readonly Dictionary<string, Entry> _byAddress = new(ReferenceEqualityComparer.Instance);

    /// <summary>What has this name, or null.</summary>
    public T? this[string name]
    {
        get => Find(name).Value;
        set => Find(name).Value = value;
    }

    /// <summary>True when nothing has a name.</summary>
    public bool IsEmpty
    {
        get
        {
            foreach (var entry in _byText.Values)
            {
                if (entry.Value is not null) return false;
            }
            return true;
        }
    }

    /// <summary>Everything, by name.</summary>
    public IEnumerable<(string Name, T Value)> All
    {
        get
        {
            foreach (var (name, entry) in _byText)
            {
                if (entry.Value is { } value) yield return (name, value);
            }
        }
    }

    /// <summary>What has this name; made when there is nothing.</summary>
    public T GetOrAdd(string name, Func<T> make)
    {
        var entry = Find(name);
        return entry.Value ??= make();
    }

    private Entry Find(string name)
    {
        if (_byAddress.TryGetValue(name, out var entry)) return entry;
        if (!_byText.TryGetValue(name, out entry)) _byText.Add(name, entry = new Entry());
        _byAddress.Add(name, entry);
        return entry;
    }
}
