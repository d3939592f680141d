using System.Buffers.Binary;
using System.Text;

namespace UringBpf.Bytecode.Tests.Btf;

/// <summary>Writes BTF word by word, right or wrong.</summary>
internal sealed class BtfImage
{
    public const int KindInteger = 1, KindPointer = 2, KindArray = 3, KindStruct = 4, KindUnion = 5, KindEnum = 6, KindForward = 7, KindTypedef = 8, KindVolatile = 9, KindConst = 10,
        KindRestrict = 11, KindFunction = 12, KindPrototype = 13, KindVariable = 14, KindDataSection = 15, KindFloat = 16, KindDeclarationTag = 17, KindTypeTag = 18, KindEnum64 = 19;

    private readonly List<uint> _words = [];
    private readonly List<byte> _strings = [0];

    /// <summary>Overwrites header bytes before writing.</summary>
    public Action<byte[]> Header { get; init; } = _ => { };

    /// <summary>A string's offset.</summary>
    public uint Text(string text)
    {
        if (text.Length == 0) return 0;
        var offset = (uint)_strings.Count;
        _strings.AddRange([.. Encoding.UTF8.GetBytes(text), 0]);
        return offset;
    }

    /// <summary>Adds a type: its three words, then what its kind has after them.</summary>
    public BtfImage Type(int kind, string name, uint sizeOrType, int count = 0, bool flag = false, params uint[] rest) =>
        Words([Text(name), (uint)count | (uint)kind << 24 | (flag ? 1u << 31 : 0), sizeOrType, .. rest]);

    /// <summary>int, the usual type 1.</summary>
    public BtfImage Int() => Type(KindInteger, "int", 4, rest: [1u << 24 | 32]);

    public BtfImage Words(params uint[] words)
    {
        _words.AddRange(words);
        return this;
    }

    public byte[] Bytes()
    {
        var bytes = new byte[24 + _words.Count * 4 + _strings.Count];
        uint[] header = [0x0001eb9f, 24, 0, (uint)_words.Count * 4, (uint)_words.Count * 4, (uint)_strings.Count];
        for (var i = 0; i < header.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i * 4), header[i]);
        for (var i = 0; i < _words.Count; i++) BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(24 + i * 4), _words[i]);
        _strings.CopyTo(bytes, 24 + _words.Count * 4);
        Header(bytes);
        return bytes;
    }

    public BtfSpec Parse() => BtfSpec.Parse(Bytes());
}
