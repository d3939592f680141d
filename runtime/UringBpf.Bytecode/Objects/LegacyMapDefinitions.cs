using System.Buffers.Binary;

namespace UringBpf.Bytecode;

/// <summary>
/// Reads the maps of a <c>maps</c> section, the form before BTF: an array of <c>struct bpf_map_def</c> with five 32-bit
/// fields (type, key_size, value_size, max_entries, map_flags). Longer entries are read when the rest is zero.
/// </summary>
internal static class LegacyMapDefinitions
{
    private const int KnownSize = 20;

    /// <exception cref="BpfException">UB1305, UB1310 to UB1312.</exception>
    public static void Read(ObjectFile file, ElfSection section, MapTable maps)
    {
        var symbols = file.Elf.Symbols.Where(symbol => symbol.Section == section.Index && symbol.Type == ElfSymbolType.Object).OrderBy(symbol => symbol.Value).ToArray();
        if (symbols.Length == 0 || section.Size % (ulong)symbols.Length != 0 || section.Size / (ulong)symbols.Length < KnownSize || section.IsZeroFilled)
            throw new BpfException("UB1310", $"section '{section.Name}' ({section.Size} bytes, {symbols.Length} symbols) is not an array of map definitions of {KnownSize} bytes or more.");
        var size = section.Size / (ulong)symbols.Length;
        var bytes = file.Elf.Contents(section).Span;
        for (var i = 0; i < symbols.Length; i++)
        {
            var name = symbols[i].Name;
            if (symbols[i].Value != (ulong)i * size)
                throw new BpfException("UB1310", $"map '{name}' starts at byte {symbols[i].Value} of section '{section.Name}', not at a multiple of {size}.");
            var entry = bytes.Slice((int)((ulong)i * size), (int)size);
            if (entry[KnownSize..].ContainsAnyExcept((byte)0))
                throw new BpfException("UB1310", $"map '{name}' of section '{section.Name}' uses fields beyond the five of struct bpf_map_def. Define it in '.maps'.");
            uint Field(ReadOnlySpan<byte> from, int index) => BinaryPrimitives.ReadUInt32LittleEndian(from[(index * 4)..]);
            var (type, key, value, entries) = (Field(entry, 0), Field(entry, 1), Field(entry, 2), Field(entry, 3));
            MapLimits.Check(name, type, key, value, entries);
            maps.AddDefinition(section.Index, (int)((ulong)i * size), new MapSpec
            {
                Name = name,
                Type = (MapType)type,
                KeySize = (int)key,
                ValueSize = (int)value,
                MaxEntries = (int)entries,
                Flags = (MapFlags)Field(entry, 4),
            });
        }
    }
}
