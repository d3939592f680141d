using System.Text;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>docs/mistakes.md: ten mistakes everyone makes, with the messages as the verifier gives them. The programs are those of
/// <see cref="RejectionExamplesTests"/>. To write the page anew: UPDATE_DOCS=1.</summary>
public sealed class MistakesPageTests
{
    private static readonly (string Code, string Title, string Text)[] s_mistakes =
    [
        ("UB2103", "Off by one on a map value", "A value of sixteen numbers, and a check that lets a seventeenth through."),
        ("UB2110", "No NULL check", "A lookup gives NULL where there is no such key."),
        ("UB2108", "Reading past data_end", "Three bytes are checked and four are read."),
        ("UB2102", "Memory that was not written", "One field is set, and all of the struct is handed out."),
        ("UB2401", "A record that is neither submitted nor discarded", "The early return forgets the record. (clang gives a function one exit, so the line of the end is the function's last.)"),
        ("UB2601", "A loop without an end", "Nothing changes what the condition looks at."),
        ("UB2303", "The wrong argument", "The key's address in place of the map's."),
        ("UB2202", "An index without bounds", "Any 64-bit number, times eight, is added to a pointer: it would go round the address space."),
        ("UB2111", "Writing to constants", "A `const` variable lies in memory that programs may only read."),
        ("UB2501", "A verdict out of range", "The result of an operation can be any number; a verdict can't."),
    ];

    [Fact]
    public void The_page_shows_the_messages_as_they_are()
    {
        var page = new StringBuilder("""
            # Ten mistakes everyone makes

            Each one as the verifier refuses it, and what makes it right. The messages are those of today: a test writes this page.
            Every code has its section, with an example, in [diagnostics](diagnostics.md); [the verifier](verifier.md) tells how it thinks.

            A message reads from the top: what is wrong, in which line; `why`, with the numbers; the steps of the `path` that
            matter; a `witness`, which is an input for which the checked interpreter was seen to go wrong; and what to do.

            """);
        foreach (var (code, title, text) in s_mistakes)
        {
            page.Append($"\n## {title}\n{text}\n\n```c\n{RejectionExamplesTests.Body(code, "bad")}\n```\n\n```text\n{RejectionExamplesTests.Message(code)}\n```\n\n");
            page.Append($"Mended:\n\n```c\n{RejectionExamplesTests.Body(code, "mended")}\n```\n");
        }
        GeneratedPage.Check("docs/mistakes.md", page.ToString());
    }
}
