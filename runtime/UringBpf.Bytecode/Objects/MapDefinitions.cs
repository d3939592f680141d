using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// Reads the BTF map definitions of <c>.maps</c> as libbpf does: each variable is a struct whose members carry numbers
/// (<c>int (*name)[N]</c>), types (<c>T *name</c>) and the declared entries (<c>values</c>).
/// </summary>
internal sealed class MapDefinitions(ObjectFile file, ElfSection section)
{
    private const int RingBufferPage = 4096;
    private const int MaxFields = 32;

    private readonly BtfSpec _btf = file.Btf;
    private readonly Dictionary<int, int> _spinLocks = [];
    private readonly ElfRelocation[] _relocations = InOrder(file.Relocations.GetValueOrDefault(section.Index));

    /// <summary>Reads every definition of the section.</summary>
    /// <exception cref="BpfException">UB1301 to UB1309, UB1312 to UB1314.</exception>
    public static void Read(ObjectFile file, ElfSection section, MapTable maps)
    {
        if (file.Btf.Find<BtfDataSection>(section.Name) is not { } definitions)
            throw new BpfException("UB1301", $"section '{section.Name}' has map definitions, but the object has no BTF for them. Compile with -g.");
        var reader = new MapDefinitions(file, section);
        var variables = definitions.Variables.Sort((a, b) => a.Offset.CompareTo(b.Offset));
        for (var i = 0; i < variables.Length; i++)
        {
            var end = i + 1 < variables.Length ? (ulong)variables[i + 1].Offset : section.Size;
            maps.AddDefinition(section.Index, variables[i].Offset, reader.ReadMap(variables[i], end));
        }
    }

    /// <summary>What the members of one definition say.</summary>
    private sealed class Definition
    {
        public uint Type, KeySize, ValueSize, MaxEntries, Flags;
        public ulong Extra;
        public int KeyTypeId, ValueTypeId;
        public bool HasValues;
        public int ValuesOffset;
        public Definition? Inner;
    }

    private MapSpec ReadMap(BtfSectionVariable place, ulong end)
    {
        if (_btf[place.TypeId] is not BtfVariable variable)
            throw new BpfException("UB1302", $"section '{section.Name}' lists a function at byte {place.Offset}; it holds map definitions.");
        if (variable.Linkage != BtfLinkage.Global)
            throw new BpfException("UB1302", $"map '{variable.Name}' is {(variable.Linkage == BtfLinkage.Static ? "static" : "extern")}; a map definition must be a global variable.");
        if (_btf.Resolve(variable.TypeId) is not BtfStruct { IsUnion: false } type)
            throw new BpfException("UB1302", $"map '{variable.Name}' is not defined by a struct.");
        if ((ulong)place.Offset + (ulong)type.Size > section.Size)
            throw new BpfException("UB1302", $"map '{variable.Name}' ({type.Size} bytes at byte {place.Offset}) reaches past the {section.Size} bytes of section '{section.Name}'.");
        var definition = ReadDefinition(variable.Name, type, isInner: false);
        return MakeSpec(variable.Name, definition) with { InitialEntries = ReadEntries(variable.Name, definition, place.Offset, end) };
    }

    private Definition ReadDefinition(string map, BtfStruct type, bool isInner)
    {
        // Many maps may share one struct: what each costs must not depend on the file.
        if (type.Members.Length > MaxFields)
            throw new BpfException("UB1303", $"map '{map}' has {type.Members.Length} fields; map definitions have {MaxFields} at most.");
        var definition = new Definition();
        foreach (var member in type.Members)
        {
            switch (member.Name)
            {
                case "type": definition.Type = Number(map, member); break;
                case "max_entries": definition.MaxEntries = Number(map, member); break;
                case "map_flags": definition.Flags = Number(map, member); break;
                // Memory is not placed by node here.
                case "numa_node": Number(map, member); break;
                case "map_extra": definition.Extra = Number(map, member); break;
                case "key_size": definition.KeySize = Size(map, "key", definition.KeySize, Number(map, member)); break;
                case "value_size": definition.ValueSize = Size(map, "value", definition.ValueSize, Number(map, member)); break;
                case "key": definition.KeySize = Size(map, "key", definition.KeySize, TypeSize(map, member, out definition.KeyTypeId)); break;
                case "value": definition.ValueSize = Size(map, "value", definition.ValueSize, TypeSize(map, member, out definition.ValueTypeId)); break;
                case "values": ReadValues(map, definition, type, member, isInner); break;
                case "pinning": CheckPinning(map, Number(map, member), isInner); break;
                default: throw new BpfException("UB1303", $"map '{map}' has the field '{member.Name}', which is unknown.");
            }
        }
        return definition;
    }

    // Pinning puts a map in the kernel's BPF file system; there is none here, so it is accepted and has no effect.
    private static void CheckPinning(string map, uint value, bool isInner)
    {
        if (value > 1)
            throw new BpfException("UB1307", $"map '{map}' has pinning {value}; it is LIBBPF_PIN_NONE (0) or LIBBPF_PIN_BY_NAME (1), and has no effect here.");
        if (isInner)
            throw new BpfException("UB1307", $"map '{map}': an inner map can't be pinned.");
    }

    private void ReadValues(string map, Definition definition, BtfStruct type, BtfMember member, bool isInner)
    {
        if (isInner)
            throw new BpfException("UB1308", $"map '{map}': maps of maps nest one level deep.");
        if (member != type.Members[^1])
            throw new BpfException("UB1308", $"map '{map}': 'values' must be the last member.");
        var mapType = (MapType)definition.Type;
        var ofMaps = mapType is MapType.ArrayOfMaps or MapType.HashOfMaps;
        if (!ofMaps && mapType != MapType.ProgramArray)
            throw new BpfException("UB1308", $"map '{map}' has 'values', which only maps of maps and program arrays have (and 'type' must come first).");
        if (_btf.Resolve(member.TypeId) is not BtfArray array || _btf.Resolve(array.ElementTypeId) is not BtfPointer pointer)
            throw new BpfException("UB1308", $"map '{map}': 'values' must be an array of pointers.");
        var element = _btf.Resolve(pointer.TypeId);
        if (ofMaps)
        {
            if (element is not BtfStruct { IsUnion: false } inner)
                throw new BpfException("UB1308", $"map '{map}': 'values' must point to a map definition struct.");
            definition.Inner = ReadDefinition(map + ".inner", inner, isInner: true);
        }
        else if (element is not BtfPrototype)
        {
            throw new BpfException("UB1308", $"map '{map}': the 'values' of a program array must point to functions.");
        }
        // What the kernel stores is a descriptor.
        definition.ValueSize = Size(map, "value", definition.ValueSize, 4);
        definition.HasValues = true;
        definition.ValuesOffset = member.BitOffset / 8;
    }

    // __uint(name, N) is a pointer to an array of N; __ulong(name, N) an enum with the constant N.
    private uint Number(string map, BtfMember member)
    {
        var value = _btf.Resolve(member.TypeId) switch
        {
            BtfPointer pointer when _btf.Resolve(pointer.TypeId) is BtfArray array => array.Count,
            BtfEnum { Values: [var constant] } => constant.Value,
            _ => throw new BpfException("UB1306", $"map '{map}': the field '{member.Name}' is not written as __uint(…) or __ulong(…)."),
        };
        return value is >= 0 and <= uint.MaxValue
            ? (uint)value
            : throw new BpfException("UB1312", $"map '{map}': {member.Name} {value} is out of range.");
    }

    private uint TypeSize(string map, BtfMember member, out int typeId)
    {
        if (_btf.Resolve(member.TypeId) is not BtfPointer pointer)
            throw new BpfException("UB1306", $"map '{map}': the field '{member.Name}' is not written as __type(…).");
        typeId = pointer.TypeId;
        var size = _btf.SizeOf(typeId);
        return size is >= 0 and <= int.MaxValue
            ? (uint)size
            : throw new BpfException("UB1306", $"map '{map}': the type of '{member.Name}' has no size, or one that is out of range.");
    }

    private static uint Size(string map, string what, uint before, uint now) => before == 0 || before == now
        ? now
        : throw new BpfException("UB1304", $"map '{map}': its {what} size is {before} in one field and {now} in another.");

    private MapSpec MakeSpec(string name, Definition definition)
    {
        MapLimits.Check(name, definition.Type, definition.KeySize, definition.ValueSize, definition.MaxEntries);
        var type = (MapType)definition.Type;
        return new MapSpec
        {
            Name = name,
            Type = type,
            KeySize = (int)definition.KeySize,
            ValueSize = (int)definition.ValueSize,
            MaxEntries = type == MapType.RingBuffer ? RoundRingBuffer(definition.MaxEntries) : (int)definition.MaxEntries,
            Flags = (MapFlags)definition.Flags,
            Extra = definition.Extra,
            KeyTypeId = definition.KeyTypeId,
            ValueTypeId = definition.ValueTypeId,
            InnerMap = definition.Inner is { } inner ? MakeSpec(name + ".inner", inner) : null,
            SpinLockOffset = SpinLockOf(definition.ValueTypeId, definition.ValueSize, name),
        };
    }

    private int SpinLockOf(int valueTypeId, long valueSize, string map)
    {
        if (!_spinLocks.TryGetValue(valueTypeId, out var offset)) _spinLocks[valueTypeId] = offset = SpinLocks.Find(_btf, valueTypeId, valueSize, map);
        // Two maps may give one type different sizes, where it has none of its own.
        else if (offset >= 0) SpinLocks.CheckWithin(offset, valueSize, map);
        return offset;
    }

    // As libbpf: a ring buffer's size is rounded up to a power of two of at least a page.
    private static int RoundRingBuffer(uint size) => size is 0 or > 1 << 30
        ? (int)size
        : (int)Math.Max(RingBufferPage, System.Numerics.BitOperations.RoundUpToPowerOf2(size));

    // The entries of 'values' are relocations: where they lie is the index, what they name is the map or program.
    // 'values' is a flexible array, to which BTF gives no size: it ends before the next definition.
    private ImmutableArray<(int Index, string Name)> ReadEntries(string map, Definition definition, int offset, ulong end)
    {
        var entries = ImmutableArray.CreateBuilder<(int, string)>();
        for (var i = FirstRelocationFrom((ulong)offset); i < _relocations.Length && _relocations[i].Offset < end; i++)
        {
            var relocation = _relocations[i];
            var at = (long)relocation.Offset - offset - definition.ValuesOffset;
            if (!definition.HasValues || at < 0 || at % 8 != 0 || relocation.Type is not (BpfRelocationType.Absolute64 or BpfRelocationType.Load64))
                throw new BpfException("UB1309", $"map '{map}': the relocation at byte {relocation.Offset} of section '{section.Name}' is not an entry of 'values'.");
            var target = relocation.Symbol;
            var fits = definition.Inner is null
                ? target.Type == ElfSymbolType.Function && target.Section != ElfSymbol.Undefined
                : target.Section == section.Index && target.Type == ElfSymbolType.Object;
            if (!fits)
                throw new BpfException("UB1309", $"map '{map}': entry {at / 8} of 'values' names '{target.Name}', which is not a {(definition.Inner is null ? "program" : "map")} of this object.");
            if (at / 8 >= definition.MaxEntries)
                throw new BpfException("UB1309", $"map '{map}': entry {at / 8} of 'values' is past its max_entries, {definition.MaxEntries}.");
            entries.Add(((int)(at / 8), target.Name));
        }
        return entries.DrainToImmutable();
    }

    private static ElfRelocation[] InOrder(ElfRelocation[]? relocations)
    {
        ElfRelocation[] sorted = [.. relocations ?? []];
        Array.Sort(sorted, (a, b) => a.Offset.CompareTo(b.Offset));
        return sorted;
    }

    private int FirstRelocationFrom(ulong offset)
    {
        var (low, high) = (0, _relocations.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_relocations[middle].Offset < offset) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}
