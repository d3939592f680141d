using System.Text;

namespace UringBpf.Cli;

/// <summary>C names as C# spells them; each unique among its neighbours.</summary>
internal sealed class CSharpNames(params IEnumerable<string> taken)
{
    private static readonly HashSet<string> s_keywords =
    [
        .. """
            abstract as base bool break byte case catch char checked class const continue decimal default delegate do double else
            enum event explicit extern false finally fixed float for foreach goto if implicit in int interface internal is lock long
            namespace new null object operator out override params private protected public readonly ref return sbyte sealed short
            sizeof stackalloc static string struct switch this throw true try typeof uint ulong unchecked unsafe ushort using virtual
            void volatile while
            """.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries),
    ];

    private readonly HashSet<string> _taken = [.. taken];
    // Where to go on counting: an object may have any number of things of one name.
    private readonly Dictionary<string, int> _counts = [];

    /// <summary>on_read → OnRead; a name that is taken gets a number.</summary>
    public string Add(string name) => Unique(Pascal(name));

    /// <summary>A C identifier as it is, after an @; what can't be in one becomes _, and a name that is taken gets a number.</summary>
    public string Keep(string name)
    {
        var kept = string.Concat(name.Select(c => char.IsLetterOrDigit(c) || c == '_' ? c : '_'));
        return Unique(kept.Length == 0 || !char.IsLetter(kept[0]) && kept[0] != '_' ? $"@_{kept}" : $"@{kept}");
    }

    private string Unique(string wanted)
    {
        var unique = wanted;
        for (var i = _counts.GetValueOrDefault(wanted, 2); !_taken.Add(unique); _counts[wanted] = i) unique = $"{wanted}{i++}";
        return unique;
    }

    /// <summary>As text of an XML comment, which must not end.</summary>
    public static string Escape(string text) => OneLine(text).Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;");

    /// <summary>Without line breaks, so that a comment does not end.</summary>
    public static string OneLine(string text) => string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c));

    /// <summary>Words joined, each with a capital; what can't be in a name separates words.</summary>
    public static string Pascal(string name)
    {
        var text = new StringBuilder();
        var start = true;
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c))
            {
                start = true;
                continue;
            }
            if (text.Length == 0 && char.IsAsciiDigit(c)) text.Append('_');
            text.Append(start ? char.ToUpperInvariant(c) : c);
            start = false;
        }
        return text.Length == 0 ? "_" : text.ToString();
    }

    /// <summary>As a string literal.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var c in text) quoted.Append(c is >= ' ' and <= '~' and not ('"' or '\\') ? c.ToString() : $"\\u{(int)c:x4}");
        return quoted.Append('"').ToString();
    }

    /// <summary>True for what may be a class's name or a namespace.</summary>
    public static bool IsName(string text, bool dotted) => text.Split('.') is var parts && (dotted || parts.Length == 1) &&
        parts.All(part => part.Length > 0 && !s_keywords.Contains(part) && !char.IsAsciiDigit(part[0]) && part.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'));
}
