using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Lays listings out as text.</summary>
internal static class TextDump
{
    public static string Il(Listing listing) => Nested(listing, row => row.Il, "IL");

    public static string MachineCode(Listing listing) => Nested(listing, row => row.Machine, "machine code");

    /// <summary>Bytecode, IL and machine code in columns, source lines above.</summary>
    public static string All(Listing listing)
    {
        const int bpfWidth = 44, ilWidth = 46;
        var text = new StringBuilder();
        foreach (var method in listing.Methods)
        {
            Heading(text, listing, method, "bytecode | IL | machine code");
            foreach (var row in method.Rows)
            {
                if (row.Line is { } line) text.Append($"; {Source(line)}\n");
                var lines = Math.Max(1, Math.Max(row.Il.Count, row.Machine.Count));
                for (var i = 0; i < lines; i++)
                {
                    var bpf = i == 0 && row.Slot >= 0 ? $"{row.Slot,5}: {row.Bpf}" : "";
                    var il = i < row.Il.Count ? row.Il[i] : "";
                    var machine = i < row.Machine.Count ? row.Machine[i] : "";
                    text.Append($"{Cut(bpf, bpfWidth)} | {Cut(il, ilWidth)} | {machine}".TrimEnd()).Append('\n');
                }
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    public static string Source(LineInfo line) => $"{Path.GetFileName(line.File)}:{line.Line}  {line.Text.Trim()}";

    private static string Nested(Listing listing, Func<ListingRow, List<string>> lines, string what)
    {
        var text = new StringBuilder();
        foreach (var method in listing.Methods)
        {
            Heading(text, listing, method, what);
            foreach (var row in method.Rows)
            {
                if (row.Line is { } line) text.Append($"; {Source(line)}\n");
                if (row.Slot >= 0) text.Append($"{row.Slot,5}: {row.Bpf}\n");
                foreach (var item in lines(row)) text.Append(item.EndsWith(':') ? $"          {item}\n" : $"            {item}\n");
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    private static void Heading(StringBuilder text, Listing listing, ListingMethod method, string what)
    {
        text.Append($"{listing.Program} ({listing.Type}): {method.Name}, {what}");
        if (method.CodeBytes > 0) text.Append($", {method.CodeBytes} bytes of code");
        text.Append('\n');
    }

    private static string Cut(string text, int width) => text.Length <= width ? text.PadRight(width) : text[..(width - 1)] + "…";
}
