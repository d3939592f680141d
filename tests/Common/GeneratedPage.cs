using Xunit;

namespace UringBpf;

/// <summary>A page of docs, or a part of one, that a test makes: UPDATE_DOCS=1 in the environment writes it anew.</summary>
internal static class GeneratedPage
{
    /// <summary>Fails when the page is not as it was made.</summary>
    /// <param name="page">From the repository's top folder, such as <c>docs/cli.md</c>.</param>
    /// <param name="written">The whole page.</param>
    public static void Check(string page, string written)
    {
        var path = Path.Combine(Repository.Root, page);
        if (Environment.GetEnvironmentVariable("UPDATE_DOCS") == "1") File.WriteAllText(path, written);
        Assert.True(File.Exists(path) && File.ReadAllText(path) == written, $"{page} is out of date: run this test with UPDATE_DOCS=1 and commit it.");
    }

    /// <summary>A page with other text between two marks, which stay.</summary>
    public static string With(string page, string begin, string end, string text)
    {
        var from = page.IndexOf(begin, StringComparison.Ordinal) + begin.Length;
        Assert.True(from >= begin.Length, $"there is no {begin.Trim()} to write after");
        var to = page.IndexOf(end, from, StringComparison.Ordinal);
        Assert.True(to >= 0, $"there is no {end.Trim()} after {begin.Trim()}");
        return page[..from] + text + page[to..];
    }
}
