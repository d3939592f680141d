using System.Text.RegularExpressions;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>Links in the repository's pages lead somewhere: to a file, and to a heading where one is named.</summary>
public sealed partial class LinkTests
{
    [GeneratedRegex(@"(?<!!)\[[^\]]*\]\((?<target>[^)\s]+)\)|!\[[^\]]*\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Link { get; }

    [GeneratedRegex("^(```|~~~).*?^\\1", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence { get; }

    [GeneratedRegex(@"^#+ +(?<text>.+?)\s*$", RegexOptions.Multiline)]
    private static partial Regex Heading { get; }

    public static TheoryData<string> Pages => [.. Directory.GetFiles(Tool.Root, "*.md")
        .Concat(Directory.GetFiles(Path.Combine(Tool.Root, "docs"), "*.md", SearchOption.AllDirectories))
        .Concat(Directory.GetFiles(Path.Combine(Tool.Root, "tests"), "README.md", SearchOption.AllDirectories))
        .Concat(Directory.GetFiles(Path.Combine(Tool.Root, "samples"), "README.md", SearchOption.AllDirectories))
        .Where(path => !path.Contains("/bin/") && !path.Contains("/obj/"))
        .Select(path => Path.GetRelativePath(Tool.Root, path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_somewhere(string page)
    {
        var path = Path.Combine(Tool.Root, page);
        var broken = Link.Matches(Fence.Replace(File.ReadAllText(path), ""))
            .Select(match => match.Groups["target"].Value)
            .Where(target => !target.Contains("://") && !target.StartsWith("mailto:", StringComparison.Ordinal) && !Leads(path, target));
        Assert.Empty(broken);
    }

    [Fact]
    public void Every_page_is_in_the_index()
    {
        var index = File.ReadAllText(Path.Combine(Tool.Root, "docs/README.md"));
        // package.md is the packages' readme.
        var pages = Directory.GetFiles(Path.Combine(Tool.Root, "docs"), "*.md").Select(path => Path.GetFileName(path)).Except(["README.md", "package.md"]);
        Assert.DoesNotContain(pages, page => !index.Contains($"({page})"));
    }

    private static bool Leads(string page, string target)
    {
        var parts = target.Split('#', 2);
        var path = parts[0].Length == 0 ? page : Path.Combine(Path.GetDirectoryName(page)!, Uri.UnescapeDataString(parts[0]));
        if (!File.Exists(path) && !Directory.Exists(path)) return false;
        return parts.Length == 1 || !path.EndsWith(".md", StringComparison.Ordinal) || Anchors(File.ReadAllText(path)).Contains(parts[1]);
    }

    // As GitHub makes them: lower case, punctuation dropped, spaces become dashes, repetitions numbered.
    private static HashSet<string> Anchors(string text)
    {
        var anchors = new HashSet<string>();
        foreach (Match heading in Heading.Matches(Fence.Replace(text, "")))
        {
            var slug = string.Concat(Link.Replace(heading.Groups["text"].Value, "$0").ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')).Replace(' ', '-');
            var unique = slug;
            for (var i = 1; !anchors.Add(unique); i++) unique = $"{slug}-{i}";
        }
        return anchors;
    }
}
