using System.Net;
using System.Text;

namespace UringBpf.Compiler;

/// <summary>Lays a listing out as one self-contained page: a row per BPF instruction, a column per level.</summary>
internal static class HtmlDump
{
    public static string Format(Listing listing)
    {
        var text = new StringBuilder();
        text.Append($"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Escape(listing.Program)}</title>
            <style>{Style}</style>
            </head>
            <body>
            <h1>{Escape(listing.Program)} <small>{Escape(listing.Type)}</small></h1>
            <p>Each row is a BPF instruction: where it comes from, and what became of it. Machine code that lies elsewhere than its
            instruction stands with it all the same: “; on to 78” and “; from 26” name the rows that run after and before it.</p>

            """);
        foreach (var method in listing.Methods) Method(text, method);
        text.Append($"<script>{Script}</script>\n</body>\n</html>\n");
        return text.ToString();
    }

    private static void Method(StringBuilder text, ListingMethod method)
    {
        text.Append($"<h2>{Escape(method.Name)} <small>{method.CodeBytes} bytes of machine code</small></h2>\n<table>\n");
        text.Append("<thead><tr><th>source</th><th>BPF</th><th>IL</th><th>machine code</th></tr></thead>\n<tbody>\n");
        var line = "";
        foreach (var row in method.Rows)
        {
            if (row.Line is { } info) line = $"{info.File}:{info.Line}";
            // A line of a header may come without its text: then where it is.
            var source = row.Line is { } start ? $"<span class=\"n\">{start.Line}</span> {(start.Text.Trim().Length > 0 ? Escape(start.Text.TrimEnd()) : $"<small>{Escape(Path.GetFileName(start.File))}</small>")}" : "";
            var bpf = row.Slot >= 0 ? $"<span class=\"n\">{row.Slot}</span> {Escape(row.Bpf)}" : "";
            text.Append($"<tr data-line=\"{Escape(line)}\"><td>{source}</td><td>{bpf}</td><td>{Lines(row.Il)}</td><td>{Lines(row.Machine)}</td></tr>\n");
        }
        text.Append("</tbody>\n</table>\n");
    }

    private static string Lines(List<string> lines) =>
        string.Join("\n", lines.Select(line => line.EndsWith(':') ? $"<b>{Escape(line)}</b>" : "  " + Remark(line)));

    // What stands behind a semicolon is a remark.
    private static string Remark(string line) =>
        line.IndexOf(';') is >= 0 and var at ? $"{Escape(line[..at].TrimEnd())}{(at > 0 ? "  " : "")}<i>{Escape(line[at..])}</i>" : Escape(line);

    private static string Escape(string text) => WebUtility.HtmlEncode(text);

    private const string Style = """

        :root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #6a737d; --line: #e1e4e8; --row: #eef4ff; --same: #f6f8fa; --label: #8250df; }
        @media (prefers-color-scheme: dark) {
          :root { --back: #0d1117; --text: #e6edf3; --dim: #8b949e; --line: #30363d; --row: #1f3352; --same: #161b22; --label: #d2a8ff; }
        }
        body { margin: 1rem; background: var(--back); color: var(--text); font: 14px/1.4 system-ui, sans-serif; }
        h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; } small { color: var(--dim); font-weight: normal; }
        table { border-collapse: collapse; width: 100%; table-layout: fixed; }
        th { text-align: left; position: sticky; top: 0; background: var(--back); border-bottom: 2px solid var(--line); padding: .3rem .5rem; }
        td { vertical-align: top; border-bottom: 1px solid var(--line); padding: .2rem .5rem; font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
        th:nth-child(1) { width: 25%; } th:nth-child(2) { width: 22%; } th:nth-child(3) { width: 24%; }
        .n { color: var(--dim); display: inline-block; min-width: 2.2em; } b { color: var(--label); font-weight: normal; } i { color: var(--dim); font-style: normal; }
        p { color: var(--dim); margin: .5rem 0 0; max-width: 60rem; }
        tr.same td { background: var(--same); } tr.on td { background: var(--row); }

        """;

    private const string Script = """

        // The row under the pointer lights up across the columns; rows of the same source line faintly.
        for (const body of document.querySelectorAll("tbody")) {
          body.addEventListener("mouseover", event => {
            const row = event.target.closest("tr");
            if (!row) return;
            for (const other of body.rows) {
              other.classList.toggle("on", other === row);
              other.classList.toggle("same", other !== row && row.dataset.line !== "" && other.dataset.line === row.dataset.line);
            }
          });
          body.addEventListener("mouseleave", () => { for (const row of body.rows) row.classList.remove("on", "same"); });
        }

        """;
}
