using System.Text;
using System.Xml.Linq;
using UringBpf.Compiler;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/compiler.md shows the tool's own output and every switch of the compiler. UPDATE_DOCS=1 writes both anew.</summary>
public sealed class CompilerPageTests
{
    private const int Lines = 34;
    private static readonly string s_page = Path.Combine(Tool.Root, "docs/compiler.md");

    [Fact]
    public void The_page_shows_what_the_tool_prints_and_what_can_be_switched_off()
    {
        var golden = File.ReadAllLines(Path.Combine(Tool.Root, "tests/UringBpf.Cli.Tests/goldens/BlockWalk.il.txt"));
        var page = File.ReadAllText(s_page);
        var written = Between(page, "<!-- golden: BlockWalk.il.txt -->\n```\n", "\n```", string.Join('\n', golden.Take(Lines)));
        written = Between(written, "<!-- optimisations -->\n", "<!-- /optimisations -->", Optimisations());
        if (Environment.GetEnvironmentVariable("UPDATE_DOCS") == "1") File.WriteAllText(s_page, page = written);
        Assert.True(page == written, "docs/compiler.md is out of date: run these tests with UPDATE_DOCS=1 and commit it.");
    }

    // What is on by default and off in the straight translation.
    private static string Optimisations()
    {
        var documentation = XDocument.Load(Path.Combine(AppContext.BaseDirectory, "UringBpf.Compiler.xml")).Descendants("member")
            .ToDictionary(member => member.Attribute("name")!.Value, member => member.Element("summary")!);
        var text = new StringBuilder("| option | does |\n|---|---|\n");
        foreach (var property in typeof(CompilerOptions).GetProperties().Where(property => property.PropertyType == typeof(bool)))
        {
            if (property.GetValue(CompilerOptions.Default) is not true || property.GetValue(CompilerOptions.Straight) is not false) continue;
            var summary = documentation[$"P:{typeof(CompilerOptions).FullName}.{property.Name}"];
            foreach (var reference in summary.Elements("see").ToArray()) reference.ReplaceWith($"`{reference.Attribute("cref")!.Value.Split('.')[^1]}`");
            text.Append($"| `{property.Name}` | {string.Join(' ', summary.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))} |\n");
        }
        return text.ToString();
    }

    private static string Between(string page, string start, string end, string text)
    {
        var from = page.IndexOf(start, StringComparison.Ordinal);
        Assert.True(from >= 0, $"docs/compiler.md has no {start.Split('\n')[0]}");
        from += start.Length;
        return page[..from] + text + page[page.IndexOf(end, from, StringComparison.Ordinal)..];
    }
}
