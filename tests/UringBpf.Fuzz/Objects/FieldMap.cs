using System.Buffers.Binary;

namespace UringBpf.Fuzz;

/// <summary>What a field of an object means: what is put into it depends on that.</summary>
public enum FieldKind : byte
{
    /// <summary>A number of no special meaning.</summary>
    Number,
    /// <summary>Bytes of something, or a count.</summary>
    Size,
    /// <summary>A place in the file.</summary>
    FileOffset,
    /// <summary>A place in a section or a table.</summary>
    Offset,
    /// <summary>A section's number.</summary>
    Section,
    /// <summary>sh_type.</summary>
    SectionType,
    /// <summary>A symbol's number.</summary>
    Symbol,
    /// <summary>st_info.</summary>
    SymbolInfo,
    /// <summary>A place in an ELF string table.</summary>
    Name,
    /// <summary>A relocation's type.</summary>
    RelocationType,
    /// <summary>A BTF type's number.</summary>
    Type,
    /// <summary>A place in the BTF strings.</summary>
    BtfName,
    /// <summary>A BTF type's kind, with its flag.</summary>
    BtfKind,
    /// <summary>How many members a BTF type has.</summary>
    BtfCount,
    /// <summary>A CO-RE relocation's kind.</summary>
    CoreKind,
    /// <summary>An opcode.</summary>
    Opcode,
    /// <summary>Two registers, or a register and a selector.</summary>
    Registers,
    /// <summary>A character of a name.</summary>
    Character,
}

/// <summary>A field: where it lies, and what it means.</summary>
/// <param name="At">Its first byte.</param>
/// <param name="Bytes">1, 2, 4 or 8.</param>
/// <param name="Kind">What it means.</param>
public readonly record struct Field(int At, int Bytes, FieldKind Kind);

/// <summary>Every field of an object that loads, record by record: ELF headers and tables, BTF, .BTF.ext, instructions, names.</summary>
public sealed class FieldMap
{
    private const int HeaderSize = 64;

    private readonly byte[] _bytes;
    private readonly List<Field[]> _records = [];

    /// <summary>Reads an object that a compiler wrote.</summary>
    public FieldMap(byte[] bytes)
    {
        _bytes = bytes;
        Header();
        for (var i = 0; i < SectionCount; i++) Section(i);
        ByKind = _records.SelectMany(record => record).ToLookup(field => field.Kind).ToDictionary(same => same.Key, same => same.ToArray());
        Tables = [.. _records.GroupBy(record => (record[0].Kind, record.Length)).Select(same => same.ToArray())];
    }

    /// <summary>Records of one form each: a section header, a symbol, a member of a struct.</summary>
    public IReadOnlyList<Field[][]> Tables { get; }

    /// <summary>Fields of one meaning.</summary>
    public IReadOnlyDictionary<FieldKind, Field[]> ByKind { get; }

    /// <summary>Where the section headers start.</summary>
    public int SectionTable => (int)U64(40);

    /// <summary>Sections.</summary>
    public int SectionCount => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(60));

    /// <summary>The contents of the first section with this name, or null.</summary>
    public byte[]? Contents(string name)
    {
        for (var i = 0; i < SectionCount; i++)
        {
            if (SectionName(i) == name) return _bytes[SectionStart(i)..(SectionStart(i) + SectionSize(i))];
        }
        return null;
    }

    private void Header() => Add(0,
        (16, 2, FieldKind.Number), (18, 2, FieldKind.Number), (20, 4, FieldKind.Number), (40, 8, FieldKind.FileOffset), (52, 2, FieldKind.Size),
        (58, 2, FieldKind.Size), (60, 2, FieldKind.Size), (62, 2, FieldKind.Section));

    private void Section(int index)
    {
        var header = SectionTable + index * HeaderSize;
        Add(header, (0, 4, FieldKind.Name), (4, 4, FieldKind.SectionType), (8, 8, FieldKind.Number), (24, 8, FieldKind.FileOffset), (32, 8, FieldKind.Size),
            (40, 4, FieldKind.Section), (44, 4, FieldKind.Section), (56, 8, FieldKind.Size));
        var (type, start, size, name) = ((int)U32(header + 4), SectionStart(index), SectionSize(index), SectionName(index));
        // Debug information other than BTF is not read: damage there says nothing.
        if (type is 0 or 8 || name.StartsWith(".debug", StringComparison.Ordinal) || name.StartsWith(".rel.debug", StringComparison.Ordinal)) return;
        switch (name, type)
        {
            case (".BTF", _): Btf(start); break;
            case (".BTF.ext", _): BtfExtension(start, size); break;
            case (_, 2): Table(start, size, 24, (0, 4, FieldKind.Name), (4, 1, FieldKind.SymbolInfo), (5, 1, FieldKind.Number), (6, 2, FieldKind.Section), (8, 8, FieldKind.Offset), (16, 8, FieldKind.Size)); break;
            case (_, 9): Table(start, size, 16, (0, 8, FieldKind.Offset), (8, 4, FieldKind.RelocationType), (12, 4, FieldKind.Symbol)); break;
            case (_, 3): Table(start, size, 1, (0, 1, FieldKind.Character)); break;
            case (_, 1) when (U64(header + 8) & 4) != 0:
                Table(start, size, 8, (0, 1, FieldKind.Opcode), (1, 1, FieldKind.Registers), (2, 2, FieldKind.Offset), (4, 4, FieldKind.Number));
                break;
            default: Table(start, size, 4, (0, 4, FieldKind.Number)); break;
        }
    }

    private void Btf(int start)
    {
        Add(start, (0, 2, FieldKind.Number), (2, 1, FieldKind.Number), (3, 1, FieldKind.Number), (4, 4, FieldKind.Size), (8, 4, FieldKind.Offset), (12, 4, FieldKind.Size), (16, 4, FieldKind.Offset), (20, 4, FieldKind.Size));
        var header = (int)U32(start + 4);
        var at = start + header + (int)U32(start + 8);
        for (var end = at + (int)U32(start + 12); at < end;)
        {
            var info = U32(at + 4);
            var (kind, count) = ((int)(info >> 24 & 0x1f), (int)(info & 0xffff));
            // The third word is a type's number or a size.
            var refers = kind is 2 or 8 or 9 or 10 or 11 or 12 or 13 or 14 or 17 or 18;
            Add(at, (0, 4, FieldKind.BtfName), (4, 2, FieldKind.BtfCount), (7, 1, FieldKind.BtfKind), (8, 4, refers ? FieldKind.Type : FieldKind.Size));
            at += 12;
            switch (kind)
            {
                case 1: at = Add(at, (0, 4, FieldKind.Number)); break;
                case 3: at = Add(at, (0, 4, FieldKind.Type), (4, 4, FieldKind.Type), (8, 4, FieldKind.Size)); break;
                case 4 or 5:
                    for (; count > 0; count--) at = Add(at, (0, 4, FieldKind.BtfName), (4, 4, FieldKind.Type), (8, 4, FieldKind.Offset));
                    break;
                case 6:
                    for (; count > 0; count--) at = Add(at, (0, 4, FieldKind.BtfName), (4, 4, FieldKind.Number));
                    break;
                case 13:
                    for (; count > 0; count--) at = Add(at, (0, 4, FieldKind.BtfName), (4, 4, FieldKind.Type));
                    break;
                case 14 or 17: at = Add(at, (0, 4, FieldKind.Number)); break;
                case 15:
                    for (; count > 0; count--) at = Add(at, (0, 4, FieldKind.Type), (4, 4, FieldKind.Offset), (8, 4, FieldKind.Size));
                    break;
                case 19:
                    for (; count > 0; count--) at = Add(at, (0, 4, FieldKind.BtfName), (4, 4, FieldKind.Number), (8, 4, FieldKind.Number));
                    break;
            }
        }
        Table(start + header + (int)U32(start + 16), (int)U32(start + 20), 1, (0, 1, FieldKind.Character));
    }

    private void BtfExtension(int start, int size)
    {
        var header = (int)U32(start + 4);
        Add(start, (0, 4, FieldKind.Number), (4, 4, FieldKind.Size));
        for (var field = 8; field < header; field += 8)
        {
            Add(start + field, (0, 4, FieldKind.Offset), (4, 4, FieldKind.Size));
            var (at, length) = (start + header + (int)U32(start + field), (int)U32(start + field + 4));
            if (length == 0) continue;
            var record = (int)U32(at);
            var end = Math.Min(at + length, start + size);
            for (at = Add(at, (0, 4, FieldKind.Size)); at < end;)
            {
                var count = (int)U32(at + 4);
                for (at = Add(at, (0, 4, FieldKind.BtfName), (4, 4, FieldKind.Size)); count > 0; count--, at += record)
                {
                    switch (field)
                    {
                        case 8: Add(at, (0, 4, FieldKind.Offset), (4, 4, FieldKind.Type)); break;
                        case 16: Add(at, (0, 4, FieldKind.Offset), (4, 4, FieldKind.BtfName), (8, 4, FieldKind.BtfName), (12, 4, FieldKind.Number)); break;
                        default: Add(at, (0, 4, FieldKind.Offset), (4, 4, FieldKind.Type), (8, 4, FieldKind.BtfName), (12, 4, FieldKind.CoreKind)); break;
                    }
                }
            }
        }
    }

    private void Table(int start, int size, int unit, params (int At, int Bytes, FieldKind Kind)[] fields)
    {
        for (var at = start; at + unit <= start + size; at += unit) Add(at, fields);
    }

    // The answer is where the record ends.
    private int Add(int start, params (int At, int Bytes, FieldKind Kind)[] fields)
    {
        _records.Add([.. fields.Select(field => new Field(start + field.At, field.Bytes, field.Kind))]);
        return start + fields[^1].At + fields[^1].Bytes;
    }

    private int SectionStart(int index) => (int)U64(SectionTable + index * HeaderSize + 24);

    private int SectionSize(int index) => (int)U64(SectionTable + index * HeaderSize + 32);

    private string SectionName(int index)
    {
        var names = SectionStart(BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(62)));
        var name = _bytes.AsSpan(names + (int)U32(SectionTable + index * HeaderSize));
        return System.Text.Encoding.UTF8.GetString(name[..name.IndexOf((byte)0)]);
    }

    private uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(at));

    private ulong U64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(at));
}
