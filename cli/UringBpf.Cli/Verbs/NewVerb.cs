using System.CommandLine;
using System.Reflection;
using System.Text;

namespace UringBpf.Cli;

/// <summary>uringbpf new: the files of a new project; the same that 'dotnet new uringbpf-hook' writes.</summary>
internal static class NewVerb
{
    private const string ResourcePrefix = "template/", Placeholder = "HookApp", VersionPlaceholder = "URINGBPF_VERSION";

    public static Command Create() => new Verb("new", "Writes the files of a new project.", "new hook", "new hook LineCounter -o src/LineCounter")
    {
        Hook(),
    };

    private static Verb Hook()
    {
        var name = new Argument<string>("NAME") { Description = "The project's name.", DefaultValueFactory = _ => Placeholder };
        name.Validators.Add(Usage.RefuseOptions);
        var output = new Option<string?>("--output", "-o") { Description = "The folder to write to. Default: one named after the project.", HelpName = "DIR" };
        var force = new Option<bool>("--force") { Description = "Overwrite files that exist." };
        var command = new Verb("hook", "A program with an io_uring completion hook in C: counts the lines of files.", "new hook", "new hook LineCounter -o src/LineCounter") { name, output, force };
        command.SetAction(parsed =>
        {
            var project = parsed.GetRequiredValue(name);
            if (!CSharpNames.IsName(project, dotted: true)) throw new UsageException($"{project}: a project's name is one that a namespace can have, such as LineCounter.");
            var folder = parsed.GetValue(output) ?? project;
            var files = Files(project).ToArray();
            foreach (var (path, _) in files)
            {
                var target = Path.Combine(folder, path);
                if (File.Exists(target) && !parsed.GetValue(force)) throw new BadInputException($"{target} exists; --force overwrites it.");
            }
            foreach (var (path, content) in files)
            {
                Output.Write(Path.Combine(folder, path), content);
                Console.Out.WriteLine(Path.Combine(folder, path));
            }
            Console.Error.WriteLine($"Now: dotnet run --project {folder} -- FILE...");
            return ExitCode.Fine;
        });
        return command;
    }

    // The template's files, with the project's name and this version in place.
    private static IEnumerable<(string Path, byte[] Content)> Files(string project)
    {
        var assembly = typeof(NewVerb).Assembly;
        var version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
        foreach (var resource in assembly.GetManifestResourceNames().Where(resource => resource.StartsWith(ResourcePrefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
            var text = reader.ReadToEnd().Replace(Placeholder, project).Replace(VersionPlaceholder, version);
            yield return (resource[ResourcePrefix.Length..].Replace(Placeholder, project), Encoding.UTF8.GetBytes(text));
        }
    }
}
