using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Bytecode;

/// <summary>
/// A BPF object as clang or <c>bpftool gen object</c> writes it, loaded: its programs, each linked with its subprograms,
/// and its maps. Pure data, immutable and thread-safe: nothing is created until the maps are. libbpf's conventions are
/// the specification.
/// </summary>
public sealed record ObjectSpec
{
    private ObjectSpec()
    {
    }

    /// <summary>The file name given to <c>Load</c>, for messages.</summary>
    public string FileName { get; private init; } = "";

    /// <summary>The programs in section order: exported functions of code sections other than <c>.text</c> and <c>.text.*</c>. One in a section
    /// that no program type claims has a null <see cref="ProgramSpec.Type"/>.</summary>
    public ImmutableArray<ProgramSpec> Programs { get; private init; } = [];

    /// <summary>The maps: those of <c>.maps</c> and <c>maps</c>, then one array per data section, named by section.</summary>
    public ImmutableArray<MapSpec> Maps { get; private init; } = [];

    /// <summary>The variables in the data sections.</summary>
    public ImmutableArray<GlobalVariable> Globals { get; private init; } = [];

    /// <summary>The object's types; empty when it was compiled without -g.</summary>
    public BtfSpec Types { get; private init; } = BtfSpec.Empty;

    /// <summary>The string in section <c>license</c>, or empty.</summary>
    public string License { get; private init; } = "";

    /// <summary>The number in section <c>version</c>, or 0.</summary>
    public uint KernelVersion { get; private init; }

    /// <summary>
    /// Loads an object. Reads nothing but its arguments. Time and memory are in proportion to the file and to the linked
    /// programs: it allocates at most 256 KiB, 64 bytes per byte of the file, and 128 bytes per slot that linking adds
    /// (every program has its own copy of its subprograms; <see cref="Limits.InstructionsPerObject"/> bounds them all).
    /// </summary>
    /// <param name="bytes">The whole file.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <param name="options">What it is loaded against; the built-in functions and types if null.</param>
    /// <exception cref="BpfException">UB10xx, UB12xx or UB13xx when the object can't be loaded. No other exception is thrown.</exception>
    public static ObjectSpec Load(ReadOnlySpan<byte> bytes, string fileName = "", LoadOptions? options = null)
    {
        try
        {
            return Assemble(ObjectFile.Read(bytes), fileName, options ?? LoadOptions.Default);
        }
        catch (BpfException exception) when (fileName.Length > 0)
        {
            throw new BpfException(exception.Code, $"{fileName}: {exception.Reason}", exception.Instruction, exception);
        }
    }

    private static ObjectSpec Assemble(ObjectFile file, string fileName, LoadOptions options)
    {
        var maps = ReadMaps(file);
        var externs = new Externs(options, KernelConfiguration.Read(file, options, maps), file.Btf);
        var functions = FunctionTable.Read(file);
        if (!file.Extension.Relocations.IsEmpty) new CoreRelocator(file, new CoreTarget(PublishedTypes.For(options.Types), options.TargetBtf)).Run(functions);
        new CodeRelocator(file, functions, maps, externs).Run();
        var linker = new Linker(file, options);
        return new ObjectSpec
        {
            FileName = fileName,
            Programs = [.. functions.Programs.Select(linker.Link)],
            Maps = [.. maps.All],
            Globals = GlobalData.FindVariables(file, maps),
            Types = file.Btf,
            License = file.License,
            KernelVersion = file.KernelVersion,
        };
    }

    private static MapTable ReadMaps(ObjectFile file)
    {
        var maps = new MapTable();
        foreach (var section in file.Elf.Sections.Where(section => section.Size > 0))
        {
            if (ObjectFile.IsMaps(section)) MapDefinitions.Read(file, section, maps);
            else if (ObjectFile.IsLegacyMaps(section)) LegacyMapDefinitions.Read(file, section, maps);
        }
        foreach (var section in file.Elf.Sections.Where(ObjectFile.IsData)) maps.AddData(section.Index, GlobalData.MakeMap(file, section));
        return maps;
    }

    /// <summary>The first program with this name.</summary>
    /// <exception cref="BpfException">UB1330 when there is none.</exception>
    public ProgramSpec Program(string name) => Programs.FirstOrDefault(program => program.Name == name)
        ?? throw new BpfException("UB1330", $"the object has no program named '{name}'; it has {string.Join(", ", Programs.Select(program => program.Name))}.");

    /// <summary>The map with this name.</summary>
    /// <exception cref="BpfException">UB1331 when there is none.</exception>
    public MapSpec Map(string name) => Maps.FirstOrDefault(map => map.Name == name)
        ?? throw new BpfException("UB1331", $"the object has no map named '{name}'; it has {string.Join(", ", Maps.Select(map => map.Name))}.");

    /// <summary>The variable with this name.</summary>
    /// <exception cref="BpfException">UB1332 when there is none, or more than one.</exception>
    public GlobalVariable Global(string name)
    {
        var found = Globals.Where(global => global.Name == name).ToArray();
        return found.Length switch
        {
            1 => found[0],
            0 => throw new BpfException("UB1332", $"the object has no global variable named '{name}'."),
            _ => throw new BpfException("UB1332", $"the object has {found.Length} static variables named '{name}'; which one is meant can't be said."),
        };
    }

    /// <summary>The value a variable starts with.</summary>
    /// <exception cref="BpfException">UB1332 when there is no such variable, UB1333 when <typeparamref name="T"/> has another size.</exception>
    public T GlobalValue<T>(string name) where T : unmanaged
    {
        var global = CheckSize(Global(name), Unsafe.SizeOf<T>());
        return global.Map.InitialValue.IsEmpty ? default : MemoryMarshal.Read<T>(global.Map.InitialValue.AsSpan()[global.Offset..]);
    }

    /// <summary>
    /// The same object with another starting value for a variable: how <c>const volatile</c> settings are configured before
    /// loading. Every program is linked to the new data; this object stays as it was.
    /// </summary>
    /// <exception cref="BpfException">UB1332 when there is no such variable, UB1333 when <typeparamref name="T"/> has another size.</exception>
    public ObjectSpec WithGlobal<T>(string name, T value) where T : unmanaged =>
        WithGlobal(name, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>As <see cref="WithGlobal{T}(string, T)"/>, for variables of any size.</summary>
    /// <exception cref="BpfException">UB1332 when there is no such variable, UB1333 when the sizes differ.</exception>
    public ObjectSpec WithGlobal(string name, ReadOnlySpan<byte> value)
    {
        var global = CheckSize(Global(name), value.Length);
        var old = global.Map;
        var bytes = old.InitialValue.IsEmpty ? new byte[old.ValueSize] : old.InitialValue.ToArray();
        value.CopyTo(bytes.AsSpan(global.Offset));
        var changed = old with { InitialValue = ImmutableCollectionsMarshal.AsImmutableArray(bytes) };
        // Maps are told apart by reference, so whatever names the old one must name the new one.
        return this with
        {
            Maps = Maps.Replace(old, changed),
            Globals = [.. Globals.Select(variable => variable.Map == old ? variable with { Map = changed } : variable)],
            Programs = [.. Programs.Select(program => program.Maps.Contains(old) ? program with { Maps = program.Maps.Replace(old, changed) } : program)],
        };
    }

    private static GlobalVariable CheckSize(GlobalVariable global, int size) => global.Size == size
        ? global
        : throw new BpfException("UB1333", $"the global variable '{global.Name}' has {global.Size} bytes, not {size}.");
}
