using System.Buffers.Binary;

namespace UringBpf.Bytecode;

/// <summary>Reads .BTF.ext (Linux Documentation/bpf/btf.rst, section 4.2): what ties instructions to types and source lines.</summary>
internal static class BtfExtensionReader
{
    private const int HeaderSize = 24, HeaderSizeWithRelocations = 32;
    private const ushort Magic = 0xeb9f;

    private delegate T ReadRecord<T>(ReadOnlySpan<byte> record);

    /// <summary>Reads a whole .BTF.ext section.</summary>
    /// <exception cref="BpfException">UB1220 to UB1224.</exception>
    public static BtfExtension Read(ReadOnlySpan<byte> bytes, BtfReader.Result btf)
    {
        if (bytes.Length < HeaderSize || BinaryPrimitives.ReadUInt16LittleEndian(bytes) != Magic || bytes[2] != 1 || bytes[3] != 0)
            throw new BpfException("UB1220", $".BTF.ext of {bytes.Length} bytes does not start with the header of version 1.");
        var headerSize = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        if (headerSize < HeaderSize || headerSize > (uint)bytes.Length)
            throw new BpfException("UB1220", $".BTF.ext has a header of {headerSize} bytes in a section of {bytes.Length}.");
        var header = bytes[..(int)headerSize];
        var body = bytes[(int)headerSize..];

        var result = new BtfExtension();
        var strings = btf.Strings;
        var types = btf.Types;
        ReadTable(Table(header, body, 8, "func_info"), "func_info", 8, strings, result.Functions, record =>
            new FunctionInfoRecord(Word(record, 0), CheckFunction(types, Word(record, 4))));
        ReadTable(Table(header, body, 16, "line_info"), "line_info", 16, strings, result.Lines, record =>
        {
            var position = Word(record, 12);
            return new LineInfoRecord(Word(record, 0), strings.GetText(Word(record, 4)), (int)(position >> 10), (int)(position & 0x3ff), strings.GetText(Word(record, 8)));
        });
        if (headerSize >= HeaderSizeWithRelocations)
        {
            ReadTable(Table(header, body, 24, "core_relo"), "core_relo", 16, strings, result.Relocations, record =>
                new CoreRelocationRecord(Word(record, 0), CheckType(types, Word(record, 4)), strings.Get(Word(record, 8)), Word(record, 12)));
        }
        CheckOrder(result);
        return result;
    }

    private static ReadOnlySpan<byte> Table(ReadOnlySpan<byte> header, ReadOnlySpan<byte> body, int field, string what)
    {
        var offset = Word(header, field);
        var length = Word(header, field + 4);
        if (offset % 4 != 0 || offset > (uint)body.Length || length > (uint)body.Length - offset)
            throw new BpfException("UB1221", $".BTF.ext: {what} ({length} bytes at {offset}) lies outside the {body.Length} bytes after the header, or is misaligned.");
        return body.Slice((int)offset, (int)length);
    }

    // A table: the size of a record, then for each section its name, a count and the records. Records may be longer
    // than we know; the rest of each is skipped.
    private static void ReadTable<T>(ReadOnlySpan<byte> table, string what, int knownSize, StringTable strings, NameMap<List<T>> result, ReadRecord<T> read)
    {
        if (table.Length == 0) return;
        var size = table.Length >= 4 ? Word(table, 0) : 0;
        if (size < (uint)knownSize || size % 4 != 0 || size > (uint)table.Length)
            throw new BpfException("UB1221", $".BTF.ext: {what} has records of {size} bytes; they are {knownSize} or more.");
        var rest = table[4..];
        while (rest.Length > 0)
        {
            if (rest.Length < 8)
                throw new BpfException("UB1221", $".BTF.ext: {what} ends inside the header of a section.");
            var section = strings.Get(Word(rest, 0));
            var count = Word(rest, 4);
            rest = rest[8..];
            if (count == 0 || (ulong)count * size > (ulong)rest.Length)
                throw new BpfException("UB1221", $".BTF.ext: {what} of section '{section}' has {count} records of {size} bytes in {rest.Length} bytes.");
            var records = result.GetOrAdd(section, () => []);
            records.EnsureCapacity(records.Count + (int)count);
            for (var i = 0; i < (int)count; i++) records.Add(read(rest.Slice(i * (int)size, (int)size)));
            rest = rest[((int)count * (int)size)..];
        }
    }

    private static void CheckOrder(BtfExtension extension)
    {
        foreach (var (section, lines) in extension.Lines.All)
        {
            long previous = -1;
            foreach (var line in lines) CheckAscending(section, "line_info", line.Offset, ref previous, "UB1222");
        }
        foreach (var (section, functions) in extension.Functions.All)
        {
            long previous = -1;
            foreach (var function in functions) CheckAscending(section, "func_info", function.Offset, ref previous, "UB1223");
        }
    }

    private static void CheckAscending(string section, string what, uint offset, ref long previous, string code)
    {
        if (offset <= previous || offset % Instruction.Size != 0)
            throw new BpfException(code, $".BTF.ext: {what} of section '{section}' at byte {offset} is misaligned or not after the one before ({previous}).");
        previous = offset;
    }

    private static int CheckFunction(BtfSpec types, uint id) => id < (uint)types.Types.Length && types[(int)id] is BtfFunction
        ? (int)id
        : throw new BpfException("UB1223", $".BTF.ext: func_info names type {id}, which is not a function.");

    private static int CheckType(BtfSpec types, uint id) => id < (uint)types.Types.Length
        ? (int)id
        : throw new BpfException("UB1224", $".BTF.ext: a CO-RE relocation names type {id}, which does not exist.");

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}
