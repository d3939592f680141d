using Spectre.Console;

namespace UringBpf.Cli;

/// <summary>Tables on standard output: drawn to a terminal's width, plain columns into a pipe.</summary>
internal static class Tables
{
    public static void Print(string[] headers, IEnumerable<string[]> rows, int[]? right = null)
    {
        right ??= [];
        var lines = rows.ToArray();
        if (Console.IsOutputRedirected)
        {
            var widths = headers.Select((header, i) => lines.Select(line => line[i].Length).Append(header.Length).Max()).ToArray();
            foreach (var line in lines.Prepend(headers))
            {
                Console.Out.WriteLine(string.Join("  ", line.Select((cell, i) => right.Contains(i) ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]))).TrimEnd());
            }
            return;
        }
        var table = new Table { Border = TableBorder.Simple };
        for (var i = 0; i < headers.Length; i++)
        {
            var column = new TableColumn(Markup.Escape(headers[i]));
            // The first column names what the row is about: it stays in one piece.
            if (i == 0) column.NoWrap();
            table.AddColumn(right.Contains(i) ? column.RightAligned() : column);
        }
        foreach (var line in lines) table.AddRow(line.Select(Markup.Escape).ToArray());
        AnsiConsole.Write(table);
    }

    /// <summary>Lines of a name and what is to be said of it; on a terminal, long ones go on below themselves.</summary>
    public static void PrintFacts(params IEnumerable<(string Name, string Text)> facts)
    {
        const int indent = 14;
        var width = Console.IsOutputRedirected ? int.MaxValue : Math.Max(Console.WindowWidth, indent + 40);
        foreach (var (name, text) in facts)
        {
            var line = name.PadRight(indent);
            foreach (var word in text.Split(' '))
            {
                if (line.Length > indent && line.Length + word.Length >= width)
                {
                    Console.Out.WriteLine(line.TrimEnd());
                    line = new string(' ', indent);
                }
                line += word + " ";
            }
            Console.Out.WriteLine(line.TrimEnd());
        }
    }
}
