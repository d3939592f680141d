using System.CommandLine;
using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>The options that name a skeleton; the same for skeleton and build.</summary>
internal sealed class SkeletonInput
{
    public Option<string?> ClassName { get; } = new("--class") { Description = "The class's name. Default: from the file's name.", HelpName = "NAME" };
    public Option<string?> Namespace { get; } = new("--namespace") { Description = "The class's namespace. Default: none.", HelpName = "NAME" };
    public Option<string?> Resource { get; } = new("--resource") { Description = "The embedded resource that holds the object. Default: the object's file name.", HelpName = "NAME" };
    public Option<bool> Public { get; } = new("--public") { Description = "Make the class public; else it is internal." };

    public void AddTo(Command command)
    {
        command.Options.Add(ClassName);
        command.Options.Add(Namespace);
        command.Options.Add(Resource);
        command.Options.Add(Public);
    }

    /// <summary>The C# text for an object.</summary>
    /// <exception cref="UsageException">A name is no C# name.</exception>
    public byte[] Write(ParseResult parsed, ObjectSpec spec, string objectFile)
    {
        var className = parsed.GetValue(ClassName) ?? CSharpNames.Pascal(Path.GetFileName(objectFile).Split('.')[0]);
        var space = parsed.GetValue(Namespace) ?? "";
        if (!CSharpNames.IsName(className, dotted: false)) throw new UsageException($"--class {className}: no name of a C# class.");
        if (space.Length > 0 && !CSharpNames.IsName(space, dotted: true)) throw new UsageException($"--namespace {space}: no C# namespace.");
        return Encoding.UTF8.GetBytes(Skeleton.Write(spec, new SkeletonOptions(className, space, parsed.GetValue(Resource) ?? Path.GetFileName(objectFile), parsed.GetValue(Public))));
    }
}

/// <summary>uringbpf skeleton: typed access to an object, as C#.</summary>
internal static class SkeletonVerb
{
    public static Command Create()
    {
        var file = ProgramInput.File(orRaw: false);
        file.Description = "An object compiled by clang -target bpf -g.";
        var input = new SkeletonInput();
        var output = new Option<string?>("--output", "-o") { Description = "The file to write. Default: standard output.", HelpName = "FILE" };
        var command = new Verb("skeleton", "Writes a C# class with the programs, maps and global variables of an object.",
            "skeleton hook.bpf.o -o Hook.g.cs --namespace MyApp", "skeleton hook.bpf.o --class Hook --public")
        { file, output };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var text = input.Write(parsed, ProgramInput.LoadObject(ProgramInput.Read(path), path), path);
            if (parsed.GetValue(output) is { } target) Output.Write(target, text);
            else Console.Out.Write(Encoding.UTF8.GetString(text));
            return ExitCode.Fine;
        });
        return command;
    }
}
