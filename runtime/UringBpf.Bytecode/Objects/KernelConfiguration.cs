namespace UringBpf.Bytecode;

/// <summary>
/// The <c>extern … __kconfig</c> variables of an object: constants, kept like libbpf does in a frozen array of their own.
/// </summary>
internal sealed class KernelConfiguration
{
    private const string SectionName = ".kconfig";

    private readonly Dictionary<string, int> _offsets = [];
    private MapSpec? _map;

    /// <summary>Lays out the variables that the object refers to; the map is added to <paramref name="maps"/> if there are any.</summary>
    /// <exception cref="BpfException">UB1322 for an unknown variable that is not weak, UB1323 for one whose type can't hold its value.</exception>
    public static KernelConfiguration Read(ObjectFile file, LoadOptions options, MapTable maps)
    {
        var result = new KernelConfiguration();
        if (file.Btf.Find<BtfDataSection>(SectionName) is not { } section) return result;
        var symbols = new NameMap<ElfSymbol>();
        foreach (var symbol in file.Elf.Symbols.Where(symbol => symbol.IsExtern)) symbols[symbol.Name] = symbol;

        // A name that is listed twice is one variable.
        var done = new HashSet<string>(ReferenceEqualityComparer.Instance);
        var bytes = new List<byte>();
        foreach (var place in section.Variables)
        {
            if (file.Btf[place.TypeId] is not BtfVariable variable || !done.Add(variable.Name) || symbols[variable.Name] is not { } symbol) continue;
            var size = file.Btf.SizeOf(variable.TypeId);
            if (size is not (1 or 2 or 4 or 8) || file.Btf.Resolve(variable.TypeId) is not (BtfInteger or BtfEnum))
                throw new BpfException("UB1323", $"the configuration variable '{variable.Name}' is not a number of 1, 2, 4 or 8 bytes.");
            if (result._offsets.ContainsKey(variable.Name)) continue;
            while (bytes.Count % size != 0) bytes.Add(0);
            result._offsets.Add(variable.Name, bytes.Count);
            bytes.AddRange(Encode(variable.Name, Value(variable.Name, symbol, options), (int)size));
        }
        if (bytes.Count == 0) return result;
        result._map = new MapSpec
        {
            Name = SectionName,
            Type = MapType.Array,
            KeySize = 4,
            ValueSize = bytes.Count,
            MaxEntries = 1,
            Flags = MapFlags.MemoryMappable | MapFlags.ReadOnlyProgram,
            InitialValue = [.. bytes],
            IsFrozen = true,
            IsGlobalData = true,
            ValueTypeId = section.Id,
        };
        maps.Add(result._map);
        return result;
    }

    /// <summary>Where a variable lies, or null when the symbol is not one.</summary>
    public (MapSpec Map, int Offset)? Find(ElfSymbol symbol) =>
        _map is not null && _offsets.TryGetValue(symbol.Name, out var offset) ? (_map, offset) : null;

    private static long Value(string name, ElfSymbol symbol, LoadOptions options)
    {
        if (options.KernelConfiguration.TryGetValue(name, out var value)) return value;
        if (name == "LINUX_KERNEL_VERSION") return 6 << 16 | 12 << 8;
        if (name is "LINUX_HAS_BPF_COOKIE" or "LINUX_HAS_SYSCALL_WRAPPER") return 0;
        if (symbol.Binding == ElfBinding.Weak) return 0;
        throw new BpfException("UB1322", $"the configuration variable '{name}' has no value: there is no kernel configuration here. Give it in LoadOptions.KernelConfiguration, or declare it weak.");
    }

    private static byte[] Encode(string name, long value, int size)
    {
        var fits = size == 8 || (value >= -(1L << (size * 8 - 1)) && value < 1L << (size * 8));
        if (!fits)
            throw new BpfException("UB1323", $"the configuration variable '{name}' has the value {value}, which does not fit its {size} bytes.");
        return BitConverter.GetBytes(value)[..size];
    }
}
