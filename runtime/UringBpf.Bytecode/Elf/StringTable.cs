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
    // One string for each offset: what refers to one name has one instance of it.
    private readonly Dictionary<int, string> _decoded = [];
    // The offsets of those that have control characters; made when there is one.
    private HashSet<int>? _unprintable;
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

    /// <summary>The name at an offset. Names end up in messages, on terminals, in generated code: a line break or an escape
    /// sequence in one would be the object's own words there.</summary>
    /// <exception cref="BpfException">The offset is outside the table, the names overlap without end, or this one has control characters.</exception>
    public string Get(uint offset)
    {
        var name = Decode(offset);
        return _unprintable is null || !_unprintable.Contains((int)offset)
            ? name
            : throw new BpfException(_code, $"{_what}: the name at byte {offset}, '{Shorten(Printable(name))}', has control characters in it.");
    }

    /// <summary>The text at an offset, such as a line of source: control characters other than tabs are replaced.</summary>
    /// <exception cref="BpfException">The offset is outside the table, or the names overlap without end.</exception>
    public string GetText(uint offset)
    {
        var text = Decode(offset);
        return _unprintable is null || !_unprintable.Contains((int)offset) ? text : Printable(text);
    }

    /// <summary>A text without control characters and line breaks; tabs stay.</summary>
    public static string Printable(string text)
    {
        if (!HasControl(text)) return text;
        return string.Create(text.Length, text, static (span, from) =>
        {
            for (var i = 0; i < span.Length; i++) span[i] = IsControl(from[i]) && from[i] != '\t' ? '\ufffd' : from[i];
        });
    }

    private static bool HasControl(string text)
    {
        foreach (var c in text)
        {
            if (IsControl(c)) return true;
        }
        return false;
    }

    // U+2028 and U+2029 end lines too, in C# for one.
    private static bool IsControl(char c) => char.IsControl(c) || c is '\u2028' or '\u2029';

    private string Decode(uint offset)
    {
        if (_decoded.TryGetValue((int)offset, out var known)) return known;
        if (offset >= (uint)_bytes.Length)
            throw new BpfException(_code, $"{_what}: a name starts at byte {offset}, but the table has {_bytes.Length} bytes.");
        var tail = _bytes.Span[(int)offset..];
        var length = tail.IndexOf((byte)0);
        if (length > _budget)
            throw new BpfException(_code, $"{_what}: its names overlap so much that together they are more than {MaxOverlap} times the table.");
        _budget -= length;
        var text = Encoding.UTF8.GetString(tail[..length]);
        if (HasControl(text)) (_unprintable ??= []).Add((int)offset);
        return _decoded[(int)offset] = text;
    }
}
