using System.Text;
using System.Xml.Linq;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>The summaries of an assembly's XML documentation as Markdown: references read as code.</summary>
internal sealed class XmlDocumentation(string assembly)
{
    private readonly Dictionary<string, XElement?> _summaries = XDocument.Load(Path.Combine(AppContext.BaseDirectory, assembly + ".xml")).Descendants("member")
        .ToDictionary(member => member.Attribute("name")!.Value, member => member.Element("summary"));

    /// <summary>Of a member by its documentation id, such as <c>T:System.String</c>; empty when it has none.</summary>
    public string Summary(string member)
    {
        var text = new StringBuilder();
        foreach (var node in _summaries.GetValueOrDefault(member)?.Nodes() ?? [])
        {
            if (node is XText plain) text.Append(plain.Value);
            else if (node is XElement element)
            {
                var name = (element.Attribute("cref") ?? element.Attribute("name") ?? element.Attribute("langword"))?.Value;
                text.Append('`').Append(name is null ? element.Value : Last(name)).Append('`');
            }
        }
        return string.Join(' ', text.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    private static string Last(string reference)
    {
        var name = reference[(reference.IndexOf(':', StringComparison.Ordinal) + 1)..];
        var arguments = name.IndexOf('(', StringComparison.Ordinal);
        if (arguments >= 0) name = name[..arguments];
        return name[(name.LastIndexOf('.') + 1)..].Split('`')[0];
    }
}
