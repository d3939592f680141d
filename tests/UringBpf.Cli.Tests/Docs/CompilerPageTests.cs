using System.Text;
using UringBpf.Compiler;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/compiler.md shows the tool's own output and every switch of the compiler. UPDATE_DOCS=1 writes both anew.</summary>
public sealed class CompilerPageTests
{
    private const int Lines = 34;

    [Fact]
    public void The_page_shows_what_the_tool_prints_and_what_can_be_switched_off()
    {
        var golden = File.ReadAllLines(Path.Combine(Tool.Root, "tests/UringBpf.Cli.Tests/goldens/BlockWalk.il.txt"));
        var page = File.ReadAllText(Path.Combine(Tool.Root, "docs/compiler.md"));
        page = GeneratedPage.With(page, "<!-- golden: BlockWalk.il.txt -->\n```\n", "\n```", string.Join('\n', golden.Take(Lines)));
        GeneratedPage.Check("docs/compiler.md", GeneratedPage.With(page, "<!-- optimisations -->\n", "<!-- /optimisations -->", Optimisations()));
    }

    // What is on by default and off in the straight translation.
    private static string Optimisations()
    {
        var documentation = new XmlDocumentation("UringBpf.Compiler");
        var text = new StringBuilder("| option | does |\n|---|---|\n");
        foreach (var property in typeof(CompilerOptions).GetProperties().Where(property => property.PropertyType == typeof(bool)))
        {
            if (property.GetValue(CompilerOptions.Default) is not true || property.GetValue(CompilerOptions.Straight) is not false) continue;
            text.Append($"| `{property.Name}` | {documentation.Summary($"P:{typeof(CompilerOptions).FullName}.{property.Name}")} |\n");
        }
        return text.ToString();
    }
}
