using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Cli;

/// <summary>uringbpf build: C to a verified object and its C# class. What a project's build runs for each BpfProgram.</summary>
internal static class BuildVerb
{
    private sealed record Message(string File, int Line, int Column, string Kind, string Code, string Text, string Detail = "");

    public static Command Create()
    {
        var source = new Argument<string>("SOURCE") { Description = "A hook in C (hook.bpf.c), or an object that is compiled already (hook.bpf.o)." };
        source.Validators.Add(Usage.RefuseOptions);
        var output = new Option<string?>("--output", "-o") { Description = "The object to write. Default: beside the source.", HelpName = "FILE" };
        var skeleton = new Option<string?>("--skeleton") { Description = "Write a C# class for the object to this file.", HelpName = "FILE" };
        var names = new SkeletonInput();
        var clang = new Option<string?>("--clang") { Description = "The compiler. Default: $CLANG, else the clang on the PATH.", HelpName = "PATH" };
        var include = new Option<string[]>("--include", "-I") { Description = "Folders of headers; uring_bpf.h is found by itself.", HelpName = "DIR" };
        var flags = new Option<string?>("--flags") { Description = "More flags for clang, separated by spaces.", HelpName = "FLAGS" };
        var size = new Option<int?>("--ctx-size") { Description = "Bytes of context that programs on flat memory are verified for; without it they are not verified here.", HelpName = "N" };
        var unverified = new Option<bool>("--no-verify") { Description = "Leave verifying to the program that loads the object." };
        var msbuild = new Option<bool>("--msbuild") { Description = "Print messages as builds expect them: file(line,column): error CODE: text.", Hidden = true };
        var command = new Verb("build", "Compiles a hook in C with the clang of this machine, and verifies it.",
            "build hook.bpf.c", "build hook.bpf.c -o obj/hook.bpf.o --skeleton obj/Hook.g.cs --namespace MyApp")
        { source, output, skeleton, clang, include, flags, size, unverified, msbuild };
        names.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var path = parsed.GetRequiredValue(source);
            var target = parsed.GetValue(output) ?? (IsObject(path) ? path : Path.ChangeExtension(path, ".o"));
            var builds = parsed.GetValue(msbuild);
            var messages = new List<Message>();
            var notes = new List<string>();
            try
            {
                var bytes = IsObject(path)
                    ? ProgramInput.Read(path)
                    : await Compile(path, parsed.GetValue(clang), parsed.GetValue(include) ?? [], parsed.GetValue(flags), messages, cancellation);
                var spec = bytes == null ? null : ObjectSpec.Load(bytes, Path.GetFileName(target));
                if (spec != null && !parsed.GetValue(unverified)) Verify(path, spec, parsed.GetValue(size), messages, notes);
                if (bytes == null || messages.Any(message => message.Kind == "error"))
                {
                    Print(messages, builds);
                    return ExitCode.Failed;
                }
                Output.Write(target, bytes);
                if (parsed.GetValue(skeleton) is { } file) Output.Write(file, names.Write(parsed, spec!, target));
                Print(messages, builds);
                foreach (var note in notes) (builds ? Console.Out : Console.Error).WriteLine($"{path}: {note}");
                if (!builds) Console.Error.WriteLine($"{target}: {Names.Count(spec!.Programs.Length, "program")}, {Names.Count(spec.Maps.Length, "map")}");
                return ExitCode.Fine;
            }
            catch (BpfException error) when (builds)
            {
                Print([.. messages, new Message(Path.GetFullPath(path), 1, 1, "error", error.Code, error.Reason)], builds);
                return ExitCode.Of(error);
            }
        });
        return command;
    }

    private static bool IsObject(string path) => path.EndsWith(".o", StringComparison.Ordinal);

    // The object's bytes; null when clang refused the source.
    private static async Task<byte[]?> Compile(string path, string? asked, string[] includes, string? flags, List<Message> messages, CancellationToken cancellation)
    {
        if (!File.Exists(path)) throw new BadInputException($"Could not find file '{Path.GetFullPath(path)}'.");
        if (RustSource.Is(path)) throw new BpfException("UB5004", $"{path} is Rust, which is not compiled here: {RustSource.Help(path)}");
        var compiler = Clang.Find(asked);
        var scratch = Directory.CreateTempSubdirectory("uringbpf");
        try
        {
            var made = Path.Combine(scratch.FullName, "made.o");
            var (exit, said, text) = await Clang.Compile(compiler, path, made, includes, (flags ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries), cancellation);
            messages.AddRange(said.Select(message => new Message(message.File, message.Line, message.Column, message.Kind, "UB5002", message.Text)));
            if (exit == 0) return await File.ReadAllBytesAsync(made, cancellation);
            if (messages.All(message => message.Kind != "error"))
                messages.Add(new Message(Path.GetFullPath(path), 1, 1, "error", "UB5002", $"{compiler} failed with exit code {exit}: {text}"));
            return null;
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    private static void Verify(string path, ObjectSpec spec, int? contextSize, List<Message> messages, List<string> notes)
    {
        if (contextSize < 0) throw new UsageException($"--ctx-size {contextSize}: not negative.");
        var engine = new BpfEngine(BpfEngineOptions.Default with { Verifier = VerifierOptions.Default with { ContextSize = contextSize ?? 0 } });
        foreach (var program in spec.Programs)
        {
            // What a flat context holds only the caller knows; a section without a type is for other loaders.
            if (program.Type == null || program.Type.Context.IsFlat && contextSize == null)
            {
                var why = program.Type == null ? "its section names no program type" : $"what a program of type {program.Type.Name} is given is for --ctx-size to say";
                notes.Add($"{program.Name} was not verified: {why}");
                continue;
            }
            try
            {
                engine.Verify(program);
            }
            catch (BpfRejectedException rejected)
            {
                var at = rejected.Rejection.Source;
                var file = at == null || Path.GetFileName(at.File) == Path.GetFileName(path) ? Path.GetFullPath(path) : at.File;
                var text = $"{program.Name}: {rejected.Rejection.Message}";
                if (rejected.Rejection.Why.Length > 0) text += $"; {rejected.Rejection.Why}";
                if (rejected.Rejection.Help.Length > 0) text += $". {Sentence(rejected.Rejection.Help)}";
                if (rejected.Rejection.Witness.Length > 0) text += $". With {rejected.Rejection.Witness}";
                messages.Add(new Message(file, at?.Line ?? 1, Math.Max(1, at?.Column ?? 1), "error", rejected.Code, text, rejected.Message));
            }
        }
    }

    // A capital for a word, not for what is code.
    private static string Sentence(string text) => text.TakeWhile(c => c != ' ').All(char.IsAsciiLetter) ? char.ToUpperInvariant(text[0]) + text[1..] : text;

    private static void Print(List<Message> messages, bool builds)
    {
        foreach (var message in messages)
        {
            if (builds) Console.Out.WriteLine($"{message.File}({message.Line},{message.Column}): {message.Kind} {message.Code}: {message.Text.ReplaceLineEndings(" ")}");
            else if (message.Detail.Length > 0) Console.Error.WriteLine(message.Detail);
            else Console.Error.WriteLine($"{Path.GetRelativePath(Environment.CurrentDirectory, message.File)}:{message.Line}:{message.Column}: {message.Kind}: {message.Text}");
        }
    }
}
