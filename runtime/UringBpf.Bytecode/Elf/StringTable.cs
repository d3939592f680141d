using System.Text;

namespace UringBpf.Bytecode;

/// <summary>
/// A table of NUL-terminated strings addressed by byte offset (ELF string tables, BTF strings). Each offset is decoded
/// once. Hostile offsets may overlap, so the bytes decoded in total are limited to a small multiple of the table: names
/// can't make a small file allocate a lot.
/// </summary>
internal sealed class StringTable
{
    // Linkers merge tails (".rel.text" holds ".text"), so honest tables decode to little more than their own size.
    private const int MaxOverlap = 8;

    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string _code;
    private readonly string _what;
    private readonly Dictionary<int, string> _decoded = [];
    private long _budget;

    /// <param name="bytes">The table; its last byte must be NUL, which the caller has checked.</param>
    /// <param name="code">The diagnostic code of a bad offset.</param>
    /// <param name="what">What the table is, for messages.</param>
    public StringTable(ReadOnlyMemory<byte> bytes, string code, string what)
    {
        _bytes = bytes;
        _code = code;
        _what = what;
        _budget = (long)bytes.Length * MaxOverlap;
    }

    /// <summary>A name as a note on an instruction may hold it: there can be a note for every instruction, and a name can be as
    /// long as the file.</summary>
    public static string Shorten(string name) => name.Length <= 80 ? name : name[..80] + "…";

    /// <summary>The string at an offset.</summary>
    /// <exception cref="BpfException">The offset is outside the table, or the names overlap without end.</exception>
    public string Get(uint offset)
    {
        if (_decoded.TryGetValue((int)offset, out var known)) return known;
        if (offset >= (uint)_bytes.Length)
            throw new BpfException(_code, $"{_what}: a name starts at byte {offset}, but the table has {_bytes.Length} bytes.");
        var tail = _bytes.Span[(int)offset..];
        var length = tail.IndexOf((byte)0);
        if (length > _budget)
            throw new BpfException(_code, $"{_what}: its names overlap so much that together they are more than {MaxOverlap} times the table.");
        _budget -= length;
        return _decoded[(int)offset] = Encoding.UTF8.GetString(tail[..length]);
    }
}
