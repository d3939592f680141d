using System.Buffers.Binary;
using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// An ELF64 little-endian relocatable file for BPF, its tables read and checked: every section lies in the file, every
/// name, symbol and link is in range. Works on a private copy of the bytes, so that relocations of data can be applied
/// in place.
/// </summary>
/// <remarks>System V ABI, chapters 4 (object files) and the BPF supplement. What the tables say about each other beyond
/// that, the object loader judges.</remarks>
internal sealed class ElfImage
{
    private const int HeaderSize = 64, SectionHeaderSize = 64, SymbolSize = 24, RelocationSize = 16;
    private const int MachineNone = 0, MachineBpf = 247, TypeRelocatable = 1;
    private const int FirstReservedSection = 0xff00;

    private readonly byte[] _bytes;

    private ElfImage(byte[] bytes) => _bytes = bytes;

    /// <summary>The sections, the null section first, so that an index is an ELF section index.</summary>
    public ImmutableArray<ElfSection> Sections { get; private set; } = [];

    /// <summary>The symbols, the null symbol first.</summary>
    public ImmutableArray<ElfSymbol> Symbols { get; private set; } = [];

    /// <summary>Reads and checks the tables.</summary>
    /// <exception cref="BpfException">UB1001 to UB1019.</exception>
    public static ElfImage Read(ReadOnlySpan<byte> bytes)
    {
        CheckHeader(bytes);
        var image = new ElfImage(bytes.ToArray());
        image.Sections = image.ReadSections();
        image.Symbols = image.ReadSymbols();
        return image;
    }

    /// <summary>A section's bytes in the private copy; empty for a zero-filled section.</summary>
    public Memory<byte> Contents(ElfSection section) =>
        section.IsZeroFilled ? Memory<byte>.Empty : _bytes.AsMemory((int)section.Offset, (int)section.Size);

    /// <summary>The first section with this name, or null.</summary>
    public ElfSection? Find(string name) => Sections.FirstOrDefault(section => section.Name == name);

    /// <summary>The relocations of every section that <paramref name="wanted"/> picks, by the index of the section they patch.</summary>
    /// <exception cref="BpfException">UB1014 or UB1030 when a table of them is malformed.</exception>
    public Dictionary<int, ElfRelocation[]> ReadRelocations(Func<ElfSection, bool> wanted)
    {
        var result = new Dictionary<int, ElfRelocation[]>();
        foreach (var table in Sections)
        {
            if (table.Type is not (ElfSectionType.Relocations or ElfSectionType.RelocationsWithAddend)) continue;
            if (table.Info == 0 || table.Info >= (uint)Sections.Length)
                throw new BpfException("UB1014", $"relocation section '{table.Name}' patches section {table.Info}, which does not exist.");
            var target = Sections[(int)table.Info];
            if (!wanted(target)) continue;
            if (table.Type == ElfSectionType.RelocationsWithAddend)
                throw new BpfException("UB1014", $"relocation section '{table.Name}' has explicit addends (SHT_RELA); BPF objects keep them in place (SHT_REL).");
            if (table.EntrySize != RelocationSize || table.Size % RelocationSize != 0)
                throw new BpfException("UB1014", $"relocation section '{table.Name}' has {table.Size} bytes in entries of {table.EntrySize}; entries are {RelocationSize} bytes.");
            if (table.Link >= (uint)Sections.Length || Sections[(int)table.Link].Type != ElfSectionType.SymbolTable)
                throw new BpfException("UB1014", $"relocation section '{table.Name}' refers to section {table.Link}, which is not the symbol table.");
            if (!result.TryAdd(target.Index, ReadEntries(table, target)))
                throw new BpfException("UB1014", $"section '{target.Name}' has more than one relocation section.");
        }
        return result;
    }

    private ElfRelocation[] ReadEntries(ElfSection table, ElfSection target)
    {
        var data = Contents(table).Span;
        var entries = new ElfRelocation[data.Length / RelocationSize];
        for (var at = 0; at < data.Length; at += RelocationSize)
        {
            var offset = BinaryPrimitives.ReadUInt64LittleEndian(data[at..]);
            var type = BinaryPrimitives.ReadUInt32LittleEndian(data[(at + 8)..]);
            var symbol = BinaryPrimitives.ReadUInt32LittleEndian(data[(at + 12)..]);
            if (symbol >= (uint)Symbols.Length)
                throw new BpfException("UB1030", $"relocation {at / RelocationSize} of section '{target.Name}' refers to symbol {symbol}, but there are {Symbols.Length}.");
            entries[at / RelocationSize] = new ElfRelocation(offset, (BpfRelocationType)type, Symbols[(int)symbol]);
        }
        return entries;
    }

    private static void CheckHeader(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) throw new BpfException("UB1001", "this is not an ELF file: it is empty.");
        if (bytes.Length < 4 || !bytes[..4].SequenceEqual("\u007fELF"u8))
            throw new BpfException("UB1001", "this is not an ELF file: it does not start with 7f 45 4c 46. Compile with `clang -target bpf -c`.");
        if (bytes.Length < HeaderSize)
            throw new BpfException("UB1001", $"this is not a whole ELF file: it ends after {bytes.Length} bytes, inside the {HeaderSize}-byte header.");
        if (bytes[4] != 2)
            throw new BpfException("UB1002", "this ELF file is not 64-bit. Compile with `clang -target bpf`.");
        if (bytes[5] != 1)
            throw new BpfException("UB1003", "this ELF file is not little-endian. Compile with `clang -target bpfel`.");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..]);
        if (bytes[6] != 1 || version != 1)
            throw new BpfException("UB1006", $"this ELF file has version {bytes[6]}/{version}; only version 1 exists.");
        var type = BinaryPrimitives.ReadUInt16LittleEndian(bytes[16..]);
        if (type != TypeRelocatable)
            throw new BpfException("UB1005", $"this ELF file has type {type}, not relocatable (1): link it with `bpftool gen object`, not with a system linker.");
        var machine = BinaryPrimitives.ReadUInt16LittleEndian(bytes[18..]);
        if (machine is not (MachineBpf or MachineNone))
            throw new BpfException("UB1004", $"this ELF file is for machine {machine}, not for BPF ({MachineBpf}). Compile with `clang -target bpf`.");
    }

    private ImmutableArray<ElfSection> ReadSections()
    {
        ReadOnlySpan<byte> bytes = _bytes;
        var table = BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]);
        var entrySize = BinaryPrimitives.ReadUInt16LittleEndian(bytes[58..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(bytes[60..]);
        var nameSection = BinaryPrimitives.ReadUInt16LittleEndian(bytes[62..]);
        if (count == 0)
            throw new BpfException("UB1007", "this ELF file has no section table.");
        if (entrySize != SectionHeaderSize)
            throw new BpfException("UB1007", $"the section table has entries of {entrySize} bytes; they are {SectionHeaderSize}.");
        if (table > (ulong)bytes.Length || (ulong)count * SectionHeaderSize > (ulong)bytes.Length - table)
            throw new BpfException("UB1007", $"the section table ({count} entries at byte {table}) reaches past the end of the file ({bytes.Length} bytes): the file is cut short.");

        var headers = bytes.Slice((int)table, count * SectionHeaderSize);
        if (nameSection == 0 || nameSection >= count)
            throw new BpfException("UB1009", $"the section name table is section {nameSection}, which does not exist.");
        var names = ReadStrings(ReadHeader(headers, nameSection, names: null), "section name table");

        var sections = ImmutableArray.CreateBuilder<ElfSection>(count);
        for (var index = 0; index < count; index++) sections.Add(ReadHeader(headers, index, names));
        CheckOverlap(sections);
        return sections.MoveToImmutable();
    }

    // Disjoint sections are what makes reading linear: no byte of the file is read by more than one table.
    private static void CheckOverlap(IEnumerable<ElfSection> sections)
    {
        ElfSection? previous = null;
        List<ElfSection> inFile = [.. sections.Where(section => !section.IsZeroFilled && section.Size > 0)];
        inFile.Sort((a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.Index.CompareTo(b.Index));
        foreach (var section in inFile)
        {
            if (previous is not null && section.Offset < previous.Offset + previous.Size)
                throw new BpfException("UB1016", $"sections {previous.Index} '{previous.Name}' and {section.Index} '{section.Name}' overlap in the file.");
            previous = section;
        }
    }

    private ElfSection ReadHeader(ReadOnlySpan<byte> headers, int index, StringTable? names)
    {
        var header = headers.Slice(index * SectionHeaderSize, SectionHeaderSize);
        var type = (ElfSectionType)BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
        var section = new ElfSection(
            index,
            index == 0 || names is null ? "" : names.Get(BinaryPrimitives.ReadUInt32LittleEndian(header)),
            type,
            Flags: BinaryPrimitives.ReadUInt64LittleEndian(header[8..]),
            Offset: BinaryPrimitives.ReadUInt64LittleEndian(header[24..]),
            Size: BinaryPrimitives.ReadUInt64LittleEndian(header[32..]),
            Link: BinaryPrimitives.ReadUInt32LittleEndian(header[40..]),
            Info: BinaryPrimitives.ReadUInt32LittleEndian(header[44..]),
            EntrySize: BinaryPrimitives.ReadUInt64LittleEndian(header[56..]));
        // The null section's fields mean something else, and a zero-filled section has no bytes in the file.
        if (index == 0 || type == ElfSectionType.Null) return section with { Offset = 0, Size = 0 };
        if (section.IsZeroFilled) return section;
        var length = (ulong)_bytes.Length;
        if (section.Offset > length || section.Size > length - section.Offset)
            throw new BpfException("UB1008", $"section {index} '{section.Name}' ({section.Size} bytes at byte {section.Offset}) reaches past the end of the file ({length} bytes).");
        return section;
    }

    private StringTable ReadStrings(ElfSection section, string what)
    {
        if (section.Type != ElfSectionType.StringTable)
            throw new BpfException("UB1009", $"the {what} is section {section.Index}, which is not a string table.");
        var bytes = Contents(section);
        if (bytes.Length == 0 || bytes.Span[^1] != 0)
            throw new BpfException("UB1009", $"the {what} does not end with a NUL byte.");
        return new StringTable(bytes, "UB1010", what);
    }

    private ImmutableArray<ElfSymbol> ReadSymbols()
    {
        ElfSection? table = null;
        foreach (var section in Sections)
        {
            if (section.Type != ElfSectionType.SymbolTable) continue;
            if (table is not null)
                throw new BpfException("UB1012", $"sections {table.Index} and {section.Index} are both symbol tables; an object has one.");
            table = section;
        }
        if (table is null)
            throw new BpfException("UB1013", "the object has no symbol table, so its programs can't be found: it was stripped.");
        if (table.EntrySize != SymbolSize || table.Size % SymbolSize != 0)
            throw new BpfException("UB1011", $"the symbol table has {table.Size} bytes in entries of {table.EntrySize}; entries are {SymbolSize} bytes.");
        if (table.Link == 0 || table.Link >= (uint)Sections.Length)
            throw new BpfException("UB1009", $"the symbol name table is section {table.Link}, which does not exist.");
        var names = ReadStrings(Sections[(int)table.Link], "symbol name table");

        var data = Contents(table).Span;
        var symbols = ImmutableArray.CreateBuilder<ElfSymbol>(data.Length / SymbolSize);
        for (var index = 0; index < data.Length / SymbolSize; index++)
        {
            var entry = data.Slice(index * SymbolSize, SymbolSize);
            var info = entry[4];
            var section = BinaryPrimitives.ReadUInt16LittleEndian(entry[6..]);
            var type = (ElfSymbolType)(info & 0xF);
            if (section >= Sections.Length && section < FirstReservedSection)
                throw new BpfException("UB1015", $"symbol {index} lies in section {section}, which does not exist.");
            // Section symbols have no name of their own.
            var name = type == ElfSymbolType.Section && section < Sections.Length
                ? Sections[section].Name
                : names.Get(BinaryPrimitives.ReadUInt32LittleEndian(entry));
            symbols.Add(new ElfSymbol(
                index,
                name,
                Value: BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]),
                Size: BinaryPrimitives.ReadUInt64LittleEndian(entry[16..]),
                type,
                (ElfBinding)(info >> 4),
                (ElfVisibility)(entry[5] & 3),
                section));
        }
        return symbols.MoveToImmutable();
    }
}
