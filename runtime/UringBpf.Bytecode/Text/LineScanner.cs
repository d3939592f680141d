using System.Globalization;

namespace UringBpf.Bytecode;

/// <summary>What a token of assembler text is.</summary>
internal enum TokenKind : byte
{
    End,
    Word,
    Number,
    Symbol,
}

/// <summary>An error at a place of the line, on its way to <see cref="AssemblerException"/>.</summary>
internal sealed class SyntaxException(string code, int column, string message) : Exception(message)
{
    public string Code { get; } = code;
    public int Column { get; } = column;
}

/// <summary>Reads one line of assembler text token by token. Comments start with <c>;</c>, <c>#</c> or <c>//</c>.</summary>
internal ref struct LineScanner
{
    // Longest first. The signed operators start with a letter, so they are looked for before words.
    private static readonly string[] s_symbols =
    [
        "s>>=", "<<=", ">>=", "s/=", "s%=", "s>=", "s<=", "s>", "s<", "+=", "-=", "*=", "/=", "|=", "&=", "^=", "%=",
        "==", "!=", ">=", "<=", "=", "<", ">", "&", "(", ")", "[", "]", "*", "+", "-", ",", ":",
    ];

    private readonly ReadOnlySpan<char> _line;
    private int _next;

    public LineScanner(ReadOnlySpan<char> line)
    {
        _line = line;
        Advance();
    }

    public TokenKind Kind { get; private set; }

    /// <summary>Where the current token starts, from 0.</summary>
    public int Start { get; private set; }

    public readonly int Column => Start + 1;

    public readonly string Text => _line[Start.._next].ToString();

    /// <summary>The value of a number token: its 64 bits.</summary>
    public ulong Number { get; private set; }

    public readonly bool Is(string text) => Kind != TokenKind.End && _line[Start.._next].SequenceEqual(text);

    public bool Take(string text)
    {
        if (!Is(text)) return false;
        Advance();
        return true;
    }

    public void Expect(string text)
    {
        if (!Take(text)) throw Unexpected($"'{text}'");
    }

    public string Word(string what)
    {
        if (Kind != TokenKind.Word) throw Unexpected(what);
        var text = Text;
        Advance();
        return text;
    }

    public readonly SyntaxException Unexpected(string wanted) =>
        new("UB1120", Column, Kind == TokenKind.End ? $"expected {wanted} before the end of the line." : $"expected {wanted}, found '{Text}'.");

    /// <summary>Goes back to where a token started.</summary>
    public void Return(int start)
    {
        _next = start;
        Advance();
    }

    /// <summary>Skips to the end of the line: what is left is not part of the instruction.</summary>
    public void SkipRest()
    {
        Start = _next = _line.Length;
        Kind = TokenKind.End;
    }

    public void Advance()
    {
        while (_next < _line.Length && char.IsWhiteSpace(_line[_next])) _next++;
        Start = _next;
        var rest = _line[_next..];
        if (rest.IsEmpty || rest[0] is ';' or '#' || rest.StartsWith("//"))
        {
            Kind = TokenKind.End;
            return;
        }
        foreach (var symbol in s_symbols)
        {
            if (!rest.StartsWith(symbol)) continue;
            _next += symbol.Length;
            Kind = TokenKind.Symbol;
            return;
        }
        var length = 0;
        while (length < rest.Length && (char.IsAsciiLetterOrDigit(rest[length]) || rest[length] is '_' or '.' or '$')) length++;
        if (length == 0) throw new SyntaxException("UB1120", Column, $"'{rest[0]}' means nothing here.");
        _next += length;
        if (!char.IsAsciiDigit(rest[0]))
        {
            Kind = TokenKind.Word;
            return;
        }
        Kind = TokenKind.Number;
        var digits = rest[..length];
        var hex = digits.StartsWith("0x") || digits.StartsWith("0X");
        if (!ulong.TryParse(hex ? digits[2..] : digits, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            throw new SyntaxException("UB1121", Column, $"'{digits}' is not a number of 64 bits.");
        Number = value;
    }
}
