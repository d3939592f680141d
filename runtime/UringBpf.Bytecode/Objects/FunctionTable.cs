using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>The functions of an object: the STT_FUNC symbols of its code sections, with their types and source lines.</summary>
internal sealed class FunctionTable
{
    // By section in the upper half and slot in the lower: .NET has no code made ahead for keys of two parts.
    private readonly Dictionary<long, ObjectFunction> _byStart = [];

    /// <summary>Every function, by section and by place in it.</summary>
    public ImmutableArray<ObjectFunction> All { get; private init; } = [];

    /// <summary>The programs: what can be attached, in section order.</summary>
    public ImmutableArray<ObjectFunction> Programs { get; private init; } = [];

    /// <summary>Finds the functions.</summary>
    /// <exception cref="BpfException">UB1020 to UB1024, UB1222, UB1223.</exception>
    public static FunctionTable Read(ObjectFile file)
    {
        var functions = new List<ObjectFunction>();
        foreach (var symbol in file.Elf.Symbols)
        {
            if (symbol.Type != ElfSymbolType.Function || symbol.Section >= file.Elf.Sections.Length) continue;
            var section = file.Elf.Sections[symbol.Section];
            if (section.IsCode) functions.Add(Function(symbol, section));
        }
        functions = [.. functions.OrderBy(function => function.Section.Index).ThenBy(function => function.Start)];

        var table = new FunctionTable { All = [.. functions], Programs = [.. FindPrograms(functions)] };
        ObjectFunction? previous = null;
        foreach (var function in functions)
        {
            if (previous is not null && previous.Section == function.Section && function.Start < previous.Start + previous.Length)
                throw new BpfException("UB1022", $"functions '{previous.Name}' and '{function.Name}' overlap in section '{function.Section.Name}'.");
            table._byStart.Add(Key(function.Section.Index, function.Start), function);
            previous = function;
        }
        foreach (var section in functions.GroupBy(function => function.Section)) AddDebugInformation(file, section.Key, [.. section]);
        return table;
    }

    /// <summary>The function that starts at a slot of a section, or null.</summary>
    public ObjectFunction? StartingAt(int section, int slot) => _byStart.TryGetValue(Key(section, slot), out var function) ? function : null;

    private static long Key(int section, int slot) => (long)section << 32 | (uint)slot;

    private static ObjectFunction Function(ElfSymbol symbol, ElfSection section)
    {
        string Where() => $"function '{symbol.Name}' ({symbol.Size} bytes at byte {symbol.Value} of section '{section.Name}')";
        if (symbol.Value % Instruction.Size != 0 || symbol.Size % Instruction.Size != 0 || section.Size % Instruction.Size != 0)
            throw new BpfException("UB1020", $"{Where()} is not made of whole {Instruction.Size}-byte instructions.");
        if (symbol.Value > section.Size || symbol.Size > section.Size - symbol.Value)
            throw new BpfException("UB1021", $"{Where()} reaches past the section's {section.Size} bytes.");
        if (symbol.Size == 0)
            throw new BpfException("UB1023", $"{Where()} is empty.");
        if (symbol.Size / Instruction.Size > Limits.InstructionsPerProgram)
            throw new BpfException("UB1024", $"{Where()} is larger than {Limits.InstructionsPerProgram} instructions.");
        return new ObjectFunction(symbol, section, (int)(symbol.Value / Instruction.Size), (int)(symbol.Size / Instruction.Size));
    }

    // As libbpf: exported functions outside .text are programs. What is in .text, or in .text.NAME as compilers put it that give
    // each function a section of its own (rustc, -ffunction-sections), are subprograms, unless it is the only function of the
    // object (an object without SEC).
    private static IEnumerable<ObjectFunction> FindPrograms(List<ObjectFunction> functions) =>
        functions.Count == 1 ? functions : functions.Where(function => function.IsExported && !function.Section.IsOrStartsWith(".text"));

    private static void AddDebugInformation(ObjectFile file, ElfSection section, ObjectFunction[] functions)
    {
        var lines = file.Extension.Lines[section.Name] ?? [];
        if (lines.Count > 0 && lines[^1].Offset >= section.Size)
            throw new BpfException("UB1222", $".BTF.ext: line_info at byte {lines[^1].Offset} is past the end of section '{section.Name}' ({section.Size} bytes).");
        var types = file.Extension.Functions[section.Name] ?? [];
        if (types.Count > 0 && types[^1].Offset >= section.Size)
            throw new BpfException("UB1223", $".BTF.ext: func_info at byte {types[^1].Offset} is past the end of section '{section.Name}' ({section.Size} bytes).");

        // All three are in order, so one pass over each is enough. Code that no symbol covers (a weak function that the
        // linker replaced) keeps its entries; nothing asks for them.
        var line = 0;
        var type = 0;
        foreach (var function in functions)
        {
            var start = (uint)function.Start * Instruction.Size;
            var end = start + (uint)function.Length * Instruction.Size;
            while (line < lines.Count && lines[line].Offset < start) line++;
            while (line < lines.Count && lines[line].Offset < end) function.Lines.Add(lines[line++]);
            while (type < types.Count && types[type].Offset < start) type++;
            if (type >= types.Count || types[type].Offset != start) continue;
            function.TypeId = types[type].TypeId;
            function.IsGlobal = function.IsExported && file.Btf[function.TypeId] is BtfFunction { Linkage: BtfLinkage.Global };
        }
    }
}
