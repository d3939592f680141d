using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Makes one-element arrays of the data sections, and finds the variables in them.</summary>
internal static class GlobalData
{
    // Far more than a map of this kind is used for; a section header alone can claim any size for .bss.
    private const ulong MaxBytes = 1 << 30;

    /// <summary>The array that holds a data section.</summary>
    /// <exception cref="BpfException">UB1017, UB1312, UB1314.</exception>
    public static MapSpec MakeMap(ObjectFile file, ElfSection section)
    {
        var frozen = ObjectFile.IsConstants(section);
        if (section.Size > MaxBytes)
            throw new BpfException("UB1312", $"section '{section.Name}' has {section.Size} bytes; global data is at most {MaxBytes}.");
        if (frozen && section.IsZeroFilled)
            throw new BpfException("UB1017", $"section '{section.Name}' holds constants but has no contents in the file.");
        var type = file.Btf.Find<BtfDataSection>(section.Name);
        return new MapSpec
        {
            Name = section.Name,
            Type = MapType.Array,
            KeySize = 4,
            ValueSize = (int)section.Size,
            MaxEntries = 1,
            Flags = frozen ? MapFlags.MemoryMappable | MapFlags.ReadOnlyProgram : MapFlags.MemoryMappable,
            InitialValue = [.. file.Elf.Contents(section).Span],
            IsFrozen = frozen,
            IsGlobalData = true,
            ValueTypeId = type?.Id ?? 0,
            SpinLockOffset = SpinLocks.Find(file.Btf, type?.Id ?? 0, (long)section.Size, section.Name),
        };
    }

    /// <summary>The variables of every data section: its object symbols, with their types where BTF has them.</summary>
    /// <exception cref="BpfException">UB1019 when a symbol lies outside its section.</exception>
    public static ImmutableArray<GlobalVariable> FindVariables(ObjectFile file, MapTable maps)
    {
        // By section, then by name.
        var types = new NameMap<NameMap<BtfVariable>>();
        foreach (var section in file.Btf.Types.OfType<BtfDataSection>())
        {
            var named = types.GetOrAdd(section.Name, () => new NameMap<BtfVariable>());
            foreach (var place in section.Variables)
            {
                if (file.Btf[place.TypeId] is BtfVariable variable) named[variable.Name] = variable;
            }
        }

        var variables = ImmutableArray.CreateBuilder<GlobalVariable>();
        foreach (var symbol in file.Elf.Symbols)
        {
            if (symbol.Type != ElfSymbolType.Object || maps.OfData(symbol.Section) is not { } map) continue;
            if (symbol.Value > (ulong)map.ValueSize || symbol.Size > (ulong)map.ValueSize - symbol.Value)
                throw new BpfException("UB1019", $"variable '{symbol.Name}' ({symbol.Size} bytes at byte {symbol.Value}) reaches past the {map.ValueSize} bytes of section '{map.Name}'.");
            var type = types[map.Name]?[symbol.Name]?.TypeId ?? 0;
            variables.Add(new GlobalVariable(symbol.Name, map, (int)symbol.Value, (int)symbol.Size, type));
        }
        return variables.DrainToImmutable();
    }
}
