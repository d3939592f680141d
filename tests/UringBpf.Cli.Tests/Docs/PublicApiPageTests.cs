using System.ComponentModel;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using Xunit;

namespace UringBpf.Cli.Tests.Docs;

/// <summary>
/// docs/public-api.md shows the whole public surface: what each type is for, from its XML documentation, and every member, from
/// the lists that the build checks. tests/public-api.sh writes both anew.
/// </summary>
public sealed class PublicApiPageTests
{
    // A package's name, its folder, its assembly and who its types are for.
    private static readonly (string Package, string Folder, string Assembly, string For)[] s_packages =
    [
        ("UringBpf", "ring/UringBpf", "UringBpf.Engine", "Hosts: one reference that brings the others."),
        ("UringBpf.Ring", "ring/UringBpf.Ring", "UringBpf.Ring", "Hosts that do I/O: the ring, its operations, links of hooks, the recorder."),
        ("UringBpf.Compiler", "compiler/UringBpf.Compiler", "UringBpf.Compiler", "Hosts that compile on their own terms, and tools that show IL and machine code."),
        ("UringBpf.Verifier", "verifier/UringBpf.Verifier", "UringBpf.Verifier", "Hosts and tools that verify without running."),
        ("UringBpf.Runtime", "runtime/UringBpf.Runtime", "UringBpf.Runtime", "Hosts: maps, functions of their own, interpreters, tests of hooks without a ring."),
        ("UringBpf.Bytecode", "runtime/UringBpf.Bytecode", "UringBpf.Bytecode", "Tools: instructions, assembler, ELF objects, BTF, prototypes; and what the other packages exchange."),
    ];

    [Fact]
    public void The_page_shows_what_is_public() => GeneratedPage.Check("docs/public-api.md", Write());

    [Fact]
    public void Every_public_type_says_what_it_is_for()
    {
        var silent = s_packages.SelectMany(package => Types(package.Assembly).Where(type => type.For.Length == 0).Select(type => type.Name));
        Assert.Empty(silent);
    }

    private static string Write()
    {
        var text = new StringBuilder("""
            # The public API

            Every public type and what it is for, then every member, as the build checks them (`PublicAPI.*.txt` beside each project;
            `tests/public-api.sh` writes lists and page anew). A type is public when a host, a tool or a compiled program uses it:
            programs compiled into an assembly (`uringbpf compile`) call the runtime by name, so that part of it is public too. It is
            listed apart, hidden from editors, and not for calling by hand.

            """);
        foreach (var (package, folder, assembly, purpose) in s_packages)
        {
            text.Append($"\n## {package}\n\n{purpose}\n");
            var types = Types(assembly);
            Table(text, types.Where(type => !type.Hidden), "");
            Table(text, types.Where(type => type.Hidden), "\nCalled by compiled programs:\n");
            var members = new[] { "PublicAPI.Shipped.txt", "PublicAPI.Unshipped.txt" }
                .SelectMany(list => File.ReadAllLines(Path.Combine(Tool.Root, folder, list)))
                .Where(line => line.Length > 0 && line[0] != '#').Order(StringComparer.Ordinal).ToArray();
            text.Append($"\n<details><summary>All {members.Length} members</summary>\n\n```text\n").AppendJoin('\n', members).Append("\n```\n\n</details>\n");
        }
        return text.ToString();
    }

    private static void Table(StringBuilder text, IEnumerable<(string Name, string Kind, string For, bool Hidden)> types, string title)
    {
        var rows = types.ToArray();
        if (rows.Length == 0) return;
        text.Append(title).Append("\n| type | | for |\n|---|---|---|\n");
        foreach (var (name, kind, purpose, _) in rows) text.Append($"| `{name}` | {kind} | {purpose.Replace("|", "\\|")} |\n");
    }

    private static (string Name, string Kind, string For, bool Hidden)[] Types(string assembly)
    {
        var documentation = new XmlDocumentation(assembly);
        return [.. Assembly.Load(assembly).GetExportedTypes().Where(type => !type.IsDefined(typeof(CompilerGeneratedAttribute))).OrderBy(Name, StringComparer.Ordinal).Select(type =>
            (Name(type), Kind(type), FirstSentence(documentation.Summary("T:" + type.FullName!.Replace('+', '.'))),
                type.GetCustomAttribute<EditorBrowsableAttribute>() is { State: EditorBrowsableState.Never }))];
    }

    private static string Name(Type type)
    {
        var name = type.IsNested ? $"{Name(type.DeclaringType!)}.{type.Name}" : type.Name;
        return type.IsGenericType ? $"{name[..name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(argument => argument.Name))}>" : name;
    }

    private static string Kind(Type type) =>
        type.IsEnum ? "enum"
        : type.IsAssignableTo(typeof(Delegate)) ? "delegate"
        : type.IsValueType ? "struct"
        : type.IsAssignableTo(typeof(Attribute)) ? "attribute"
        : type.IsAssignableTo(typeof(Exception)) ? "exception"
        : type is { IsAbstract: true, IsSealed: true } ? "static class"
        : type.IsInterface ? "interface" : "class";

    // For a table.
    private static string FirstSentence(string summary)
    {
        var end = summary.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? summary : summary[..(end + 1)];
    }
}
