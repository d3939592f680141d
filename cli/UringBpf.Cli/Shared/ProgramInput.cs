using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Cli;

/// <summary>The options that say which program is meant; the same for every verb that verifies or runs one.</summary>
internal sealed class ProgramInput
{
    public Option<string?> Program { get; } = new("--program", "-p") { Description = "The program's name; not needed where the object has one.", HelpName = "NAME" };
    public Option<bool> Raw { get; } = new("--raw") { Description = "The file is headerless bytecode, not an ELF object." };
    public Option<string?> Type { get; } = new("--type", "-t")
    {
        Description = $"Treat the program as this type, whatever its section says: {string.Join(", ", ProgramTypes.All.Select(type => type.Name))}.",
        HelpName = "TYPE",
    };
    public Option<string?> Context { get; } = new("--ctx", "--data")
    {
        Description = "The context: the memory of a raw program, the packet of a packet program, the data a completion has moved.",
        HelpName = "FILE",
    };
    public Option<int?> ContextSize { get; } = new("--ctx-size")
    {
        Description = "Bytes of context, filled up with zeroes. Default: the length of --ctx, else 0.",
        HelpName = "N",
    };

    /// <summary>The object file, or the bytecode.</summary>
    public static Argument<string> File(bool orRaw = true)
    {
        var file = new Argument<string>("OBJ") { Description = "An object compiled by clang -target bpf" + (orRaw ? ", or bytecode with --raw." : ".") };
        file.Validators.Add(Usage.RefuseOptions);
        return file;
    }

    public void AddTo(Command command, bool withContext = true)
    {
        Program.CompletionSources.Add(ProgramNames);
        Type.CompletionSources.Add(ProgramTypes.All.Select(type => type.Name).ToArray());
        command.Options.Add(Program);
        command.Options.Add(Raw);
        command.Options.Add(Type);
        if (!withContext) return;
        command.Options.Add(Context);
        command.Options.Add(ContextSize);
    }

    /// <summary>The bytes of the context that was given.</summary>
    /// <exception cref="BadInputException">The file can't be read.</exception>
    /// <exception cref="UsageException">The size is out of range.</exception>
    public byte[] ReadContext(ParseResult parsed)
    {
        const int largest = 1 << 30;
        var bytes = parsed.GetValue(Context) is { } file ? Read(file) : [];
        if (parsed.GetValue(ContextSize) is not { } size) return bytes;
        if (size < bytes.Length || size > largest) throw new UsageException($"--ctx-size {size}: between the length of --ctx ({bytes.Length}) and {largest}.");
        Array.Resize(ref bytes, size);
        return bytes;
    }

    /// <summary>An object; who names a source instead is told what makes one of it.</summary>
    /// <exception cref="BpfException">It can't be loaded.</exception>
    public static ObjectSpec LoadObject(byte[] bytes, string file)
    {
        try
        {
            return ObjectSpec.Load(bytes, file);
        }
        catch (BpfException error) when (error.Code == "UB1001" && file.EndsWith(".c", StringComparison.Ordinal))
        {
            throw new BpfException(error.Code, $"{file}: this is a source, not an object. 'uringbpf build {file}' compiles it.", inner: error);
        }
        catch (BpfException error) when (error.Code == "UB1001" && RustSource.Is(file))
        {
            throw new BpfException(error.Code, $"{file}: this is a source, not an object: {RustSource.Help(file)}", inner: error);
        }
    }

    /// <summary>Reads a file; raw bytecode becomes an object with one program, named after the file.</summary>
    /// <exception cref="BadInputException">It can't be read.</exception>
    /// <exception cref="BpfException">It can't be loaded.</exception>
    public (IReadOnlyList<ProgramSpec> Programs, IReadOnlyList<MapSpec> Maps) Load(ParseResult parsed, string file)
    {
        var bytes = Read(file);
        if (!parsed.GetValue(Raw))
        {
            ObjectSpec spec;
            try
            {
                spec = LoadObject(bytes, file);
            }
            // Text, a shared library, …: only what `asm` could have written is taken for bytecode.
            catch (BpfException error) when (error.Code == "UB1001" && bytes.Length > 0 && bytes.Length % Instruction.Size == 0 && OpcodeTable.Find(MemoryMarshal.Read<Instruction>(bytes)) != null)
            {
                throw new BpfException(error.Code, $"{error.Reason} If it is headerless bytecode, add --raw.", inner: error);
            }
            return (Retype(parsed, spec.Programs), spec.Maps);
        }
        return (Retype(parsed, [ProgramSpec.FromBytes(Path.GetFileNameWithoutExtension(file), bytes)]), []);
    }

    /// <summary>The one program that is meant.</summary>
    /// <exception cref="UsageException">There is none, or more than one.</exception>
    public ProgramSpec Pick(ParseResult parsed, IReadOnlyList<ProgramSpec> programs, string file)
    {
        var picked = Filter(parsed, programs, file);
        return picked.Count == 1
            ? picked[0]
            : throw new UsageException($"{file} has {picked.Count} programs; name one with --program: {string.Join(", ", picked.Select(program => program.Name))}.");
    }

    /// <summary>The named program, or all.</summary>
    /// <exception cref="UsageException">There is none with that name.</exception>
    public IReadOnlyList<ProgramSpec> Filter(ParseResult parsed, IReadOnlyList<ProgramSpec> programs, string file)
    {
        if (parsed.GetValue(Program) is not { } name) return programs;
        var named = programs.Where(program => program.Name == name).ToArray();
        if (named.Length > 0) return named;
        var near = Usage.Nearest(name, programs.Select(program => program.Name));
        throw new UsageException($"{file} has no program named '{name}'{(near == null ? "." : $"; did you mean '{near}'?")} It has: {string.Join(", ", programs.Select(program => program.Name))}.");
    }

    /// <summary>The program, proved.</summary>
    /// <exception cref="BpfException">UB2xxx: rejected, with the whole explanation.</exception>
    /// <exception cref="UsageException">Its section stands for no program type.</exception>
    public static VerifiedProgram Verify(ProgramSpec program, int contextSize)
    {
        RequireType(program);
        return ProgramVerifier.VerifyOrThrow(program, VerifierOptions.Default with { ContextSize = contextSize });
    }

    /// <exception cref="BpfException">UB4004: the section stands for no program type.</exception>
    public static void RequireType(ProgramSpec program)
    {
        if (program.Type == null)
            throw new BpfException("UB4004", $"program '{program.Name}' is in section '{program.Section}', which stands for no program type; say which with --type.");
    }

    public static byte[] Read(string file)
    {
        try
        {
            return System.IO.File.ReadAllBytes(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException(Directory.Exists(file) ? $"{file} is a directory." : error.Message);
        }
    }

    // For completion: the programs of the objects named so far. What can't be read has none.
    private static IEnumerable<CompletionItem> ProgramNames(CompletionContext context)
    {
        foreach (var file in context.ParseResult.Tokens.Select(token => token.Value).Where(System.IO.File.Exists))
        {
            ObjectSpec spec;
            try
            {
                spec = ObjectSpec.Load(Read(file), file);
            }
            catch (Exception error) when (error is BpfException or BadInputException)
            {
                continue;
            }
            foreach (var program in spec.Programs) yield return new CompletionItem(program.Name);
        }
    }

    private IReadOnlyList<ProgramSpec> Retype(ParseResult parsed, IReadOnlyList<ProgramSpec> programs)
    {
        if (parsed.GetValue(Type) is not { } name) return programs;
        var type = ProgramTypes.Find(name);
        if (type == null)
        {
            var near = Usage.Nearest(name, ProgramTypes.All.Select(known => known.Name));
            throw new UsageException($"there is no program type '{name}'{(near == null ? "." : $"; did you mean '{near}'?")} Types: {string.Join(", ", ProgramTypes.All.Select(known => known.Name))}.");
        }
        return [.. programs.Select(program => program with { Type = type })];
    }
}
