using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Writes an object of code sections, functions and calls of one extern: for sizes that no compiler is asked for.</summary>
internal sealed class ElfWriter
{
    private readonly List<(string Name, uint Type, ulong Flags, byte[] Data, uint Link, uint Info, uint EntrySize)> _sections = [];
    private readonly List<(string Name, int Section, int Start, int Length, bool IsGlobal)> _functions = [];
    private readonly List<(string Name, int Section, int Start, int Length)> _objects = [];
    private string _extern = "";

    // A link to the symbol table, whose index is known at the end only.
    private const uint SymbolTable = uint.MaxValue;

    /// <summary>Adds a code section; the answer is its index.</summary>
    public int Code(string name, Instruction[] code)
    {
        _sections.Add((name, 1, 6, MemoryMarshal.AsBytes(code.AsSpan()).ToArray(), 0, 0, 0));
        return _sections.Count;
    }

    /// <summary>Adds any other section; the answer is its index.</summary>
    public int Section(string name, byte[] data, uint type = 1, ulong flags = 0)
    {
        _sections.Add((name, type, flags, data, 0, 0, 0));
        return _sections.Count;
    }

    /// <summary>Adds a function: slots of a section.</summary>
    public ElfWriter Function(string name, int section, int start, int length, bool isGlobal = true)
    {
        _functions.Add((name, section, start, length, isGlobal));
        return this;
    }

    /// <summary>Adds a variable: bytes of a section.</summary>
    public ElfWriter Object(string name, int section, int start, int length)
    {
        _objects.Add((name, section, start, length));
        return this;
    }

    /// <summary>Makes every call of a section call a weak extern.</summary>
    public ElfWriter CallExtern(string name, int section)
    {
        var code = MemoryMarshal.Cast<byte, Instruction>(_sections[section - 1].Data);
        var relocations = new List<byte>();
        for (var slot = 0; slot < code.Length; slot++)
        {
            if (code[slot].Opcode != 0x85) continue;
            relocations.AddRange(BitConverter.GetBytes(slot * 8L));
            relocations.AddRange(BitConverter.GetBytes(10));
            relocations.AddRange(BitConverter.GetBytes(1));
        }
        _extern = name;
        _sections.Add((".rel", 9, 0, [.. relocations], SymbolTable, (uint)section, 16));
        return this;
    }

    public byte[] Bytes()
    {
        var strings = new List<byte> { 0 };
        uint Text(string text)
        {
            var offset = (uint)strings.Count;
            strings.AddRange([.. Encoding.UTF8.GetBytes(text), 0]);
            return offset;
        }

        // The null symbol, the extern, then the functions and the variables.
        var symbols = new byte[(_functions.Count + _objects.Count + 2) * 24];
        BinaryPrimitives.WriteUInt32LittleEndian(symbols.AsSpan(24), Text(_extern));
        symbols[24 + 4] = 0x20;
        for (var i = 0; i < _functions.Count; i++)
        {
            var entry = symbols.AsSpan((i + 2) * 24);
            BinaryPrimitives.WriteUInt32LittleEndian(entry, Text(_functions[i].Name));
            entry[4] = (byte)((_functions[i].IsGlobal ? 0x10 : 0) | 2);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[6..], (ushort)_functions[i].Section);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], (ulong)_functions[i].Start * 8);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], (ulong)_functions[i].Length * 8);
        }
        for (var i = 0; i < _objects.Count; i++)
        {
            var entry = symbols.AsSpan((_functions.Count + i + 2) * 24);
            BinaryPrimitives.WriteUInt32LittleEndian(entry, Text(_objects[i].Name));
            entry[4] = 0x11;
            BinaryPrimitives.WriteUInt16LittleEndian(entry[6..], (ushort)_objects[i].Section);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], (ulong)_objects[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], (ulong)_objects[i].Length);
        }
        var table = _sections.ToList();
        var names = table.Count + 2;
        table.Add((".symtab", 2, 0, symbols, (uint)names, 1, 24));
        table.Add((".strtab", 3, 0, [], 0, 0, 0));
        var offsets = table.Select(section => Text(section.Name)).ToArray();
        table[^1] = table[^1] with { Data = [.. strings] };

        var bytes = new List<byte>(new byte[64]);
        var headers = new byte[(table.Count + 1) * 64];
        for (var i = 0; i < table.Count; i++)
        {
            var header = headers.AsSpan((i + 1) * 64);
            BinaryPrimitives.WriteUInt32LittleEndian(header, offsets[i]);
            BinaryPrimitives.WriteUInt32LittleEndian(header[4..], table[i].Type);
            BinaryPrimitives.WriteUInt64LittleEndian(header[8..], table[i].Flags);
            BinaryPrimitives.WriteUInt64LittleEndian(header[24..], (ulong)bytes.Count);
            BinaryPrimitives.WriteUInt64LittleEndian(header[32..], (ulong)table[i].Data.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(header[40..], table[i].Link == SymbolTable ? (uint)names - 1 : table[i].Link);
            BinaryPrimitives.WriteUInt32LittleEndian(header[44..], table[i].Info);
            BinaryPrimitives.WriteUInt64LittleEndian(header[56..], table[i].EntrySize);
            bytes.AddRange(table[i].Data);
        }
        var result = new byte[bytes.Count + headers.Length];
        bytes.CopyTo(result);
        headers.CopyTo(result, bytes.Count);
        ((byte[])[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(result, 0);
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(16), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(18), 247);
        BinaryPrimitives.WriteUInt32LittleEndian(result.AsSpan(20), 1);
        BinaryPrimitives.WriteUInt64LittleEndian(result.AsSpan(40), (ulong)bytes.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(52), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(58), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(60), (ushort)(table.Count + 1));
        BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(62), (ushort)names);
        return result;
    }
}
