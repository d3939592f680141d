using System.Buffers.Binary;
using System.Text;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>A good object with fields overwritten: what a damaged or unusual file looks like.</summary>
internal sealed class ObjectPatch(byte[] bytes)
{
    public const int SectionType = 4, SectionFlags = 8, SectionOffset = 24, SectionSize = 32, SectionLink = 40, SectionInfo = 44, SectionEntrySize = 56;
    public const int SymbolInfo = 4, SymbolOther = 5, SymbolSection = 6, SymbolValue = 8, SymbolSize = 16;
    public const int RelocationType = 8, RelocationSymbol = 12;

    private int SectionTable => (int)Get64(40);
    private int SectionCount => Get16(60);

    /// <summary>Loads the result.</summary>
    public ObjectSpec Load(LoadOptions? options = null) => ObjectSpec.Load(bytes, "patched", options);

    public ObjectPatch Set8(int at, int value)
    {
        bytes[at] = (byte)value;
        return this;
    }

    public ObjectPatch Set16(int at, int value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)value);
        return this;
    }

    public ObjectPatch Set32(int at, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value);
        return this;
    }

    public ObjectPatch Set64(int at, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
        return this;
    }

    public int Get16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));

    public uint Get32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    public ulong Get64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));

    /// <summary>Cuts the file.</summary>
    public ObjectPatch Truncate(int length) => new(bytes[..length]);

    /// <summary>Where a section's header lies.</summary>
    public int Header(string section) => SectionTable + Index(section) * 64;

    /// <summary>Where a section's contents lie.</summary>
    public int Contents(string section) => (int)Get64(Header(section) + SectionOffset);

    /// <summary>Where a section's contents end.</summary>
    public int End(string section) => Contents(section) + (int)Get64(Header(section) + SectionSize);

    /// <summary>A section's index.</summary>
    public int Index(string section)
    {
        var names = (int)Get64(SectionTable + Get16(62) * 64 + SectionOffset);
        for (var i = 0; i < SectionCount; i++)
        {
            if (Text(names + (int)Get32(SectionTable + i * 64)) == section) return i;
        }
        throw new ArgumentException($"no section '{section}'");
    }

    /// <summary>Where a symbol's entry lies.</summary>
    public int Symbol(string name)
    {
        var header = Header(".symtab");
        var names = (int)Get64(SectionTable + (int)Get32(header + SectionLink) * 64 + SectionOffset);
        for (var at = Contents(".symtab"); at < End(".symtab"); at += 24)
        {
            if (Text(names + (int)Get32(at)) == name) return at;
        }
        throw new ArgumentException($"no symbol '{name}'");
    }

    /// <summary>Where the relocation of a section at a byte lies.</summary>
    public int Relocation(string table, int index) => Contents(table) + index * 16;

    /// <summary>Overwrites a string of a section, NUL included.</summary>
    public ObjectPatch Rename(string section, string from, string to)
    {
        var found = bytes.AsSpan(Contents(section), End(section) - Contents(section)).IndexOf(Encoding.UTF8.GetBytes("\0" + from + "\0"));
        if (found < 0 || to.Length > from.Length) throw new ArgumentException($"no string '{from}', or too short");
        Encoding.UTF8.GetBytes(to + "\0").CopyTo(bytes.AsSpan(Contents(section) + found + 1));
        return this;
    }

    private string Text(int at) => Encoding.UTF8.GetString(bytes, at, Array.IndexOf(bytes, (byte)0, at) - at);
}
