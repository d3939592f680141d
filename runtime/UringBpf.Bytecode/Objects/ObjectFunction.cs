namespace UringBpf.Bytecode;

/// <summary>One function of an object before linking: a range of slots in a code section, and what must be patched in it.</summary>
internal sealed class ObjectFunction(ElfSymbol symbol, ElfSection section, int start, int length)
{
    public string Name => symbol.Name;
    public ElfSection Section => section;

    /// <summary>First slot in the section.</summary>
    public int Start => start;

    /// <summary>Slots.</summary>
    public int Length => length;

    /// <summary>True when other files can see it.</summary>
    public bool IsExported => symbol.IsExported;

    /// <summary>BTF id of its FUNC, or 0.</summary>
    public int TypeId { get; set; }

    /// <summary>True when its FUNC says global: it is verified by its signature alone.</summary>
    public bool IsGlobal { get; set; }

    /// <summary>Where a slot is, for messages.</summary>
    public string Describe(int slot) => $"function '{Name}', instruction {slot}";

    /// <summary>What linking patches.</summary>
    public List<Fixup> Fixups { get; } = [];

    /// <summary>Its source lines, in order of slot.</summary>
    public List<LineInfoRecord> Lines { get; } = [];
}

/// <summary>What a slot refers to, once relocations are resolved but before a program's layout is known.</summary>
/// <param name="Slot">The slot in its function.</param>
internal abstract record Fixup(int Slot)
{
    /// <summary>64-bit load of a map.</summary>
    public sealed record OfMap(int Slot, MapSpec Map) : Fixup(Slot);

    /// <summary>64-bit load of an address in global data.</summary>
    public sealed record OfMapValue(int Slot, MapSpec Map, int Offset) : Fixup(Slot);

    /// <summary>64-bit load of a subprogram's address.</summary>
    public sealed record OfFunction(int Slot, ObjectFunction Target) : Fixup(Slot);

    /// <summary>64-bit load of a number.</summary>
    public sealed record OfNumber(int Slot, long Value) : Fixup(Slot);

    /// <summary>Call of a subprogram.</summary>
    public sealed record OfCall(int Slot, ObjectFunction Target) : Fixup(Slot);

    /// <summary>Call of a kfunc.</summary>
    public sealed record OfKfunc(int Slot, FunctionPrototype Target) : Fixup(Slot);

    /// <summary>An instruction that could not be completed: it matters only if it can be reached.</summary>
    public sealed record OfPoison(int Slot, string Reason) : Fixup(Slot);
}
