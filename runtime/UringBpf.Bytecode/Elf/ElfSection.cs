namespace UringBpf.Bytecode;

/// <summary>One section header (System V ABI, Elf64_Shdr).</summary>
internal sealed record ElfSection(int Index, string Name, ElfSectionType Type, ulong Flags, ulong Offset, ulong Size, uint Link, uint Info, ulong EntrySize)
{
    // By identity: an object has each section once, and to compare enums as records do takes code that is not there ahead of time.
    public bool Equals(ElfSection? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Index;

    private const ulong FlagExecutable = 4;

    /// <summary>True when it holds code: PROGBITS with SHF_EXECINSTR and at least one byte.</summary>
    public bool IsCode => Type == ElfSectionType.ProgramBits && (Flags & FlagExecutable) != 0 && Size > 0;

    /// <summary>True when it takes no room in the file: its bytes are zero.</summary>
    public bool IsZeroFilled => Type == ElfSectionType.NoBits;

    /// <summary>True for <paramref name="name"/> itself and for <c>name.suffix</c>.</summary>
    public bool IsOrStartsWith(string name) => Name == name || (Name.Length > name.Length && Name.StartsWith(name, StringComparison.Ordinal) && Name[name.Length] == '.');
}

/// <summary>sh_type.</summary>
internal enum ElfSectionType : uint
{
    Null = 0,
    ProgramBits = 1,
    SymbolTable = 2,
    StringTable = 3,
    RelocationsWithAddend = 4,
    NoBits = 8,
    Relocations = 9,
}

/// <summary>One symbol (System V ABI, Elf64_Sym).</summary>
/// <param name="Index">Its place in the table.</param>
/// <param name="Name">Its name; for section symbols the section's.</param>
/// <param name="Value">Byte offset in its section.</param>
/// <param name="Size">Bytes, 0 when unknown.</param>
/// <param name="Type">st_info's type.</param>
/// <param name="Binding">st_info's binding.</param>
/// <param name="Visibility">st_other's visibility.</param>
/// <param name="Section">st_shndx.</param>
internal sealed record ElfSymbol(int Index, string Name, ulong Value, ulong Size, ElfSymbolType Type, ElfBinding Binding, ElfVisibility Visibility, int Section)
{
    /// <summary>st_shndx of a symbol that this file does not define.</summary>
    public const int Undefined = 0;

    /// <summary>True for a name that this file uses but does not define.</summary>
    public bool IsExtern => Section == Undefined && Binding is ElfBinding.Global or ElfBinding.Weak && Index != 0;

    /// <summary>True when other files can see it.</summary>
    public bool IsExported => Binding != ElfBinding.Local && Visibility is ElfVisibility.Default or ElfVisibility.Protected;
}

/// <summary>STT_*.</summary>
internal enum ElfSymbolType : byte
{
    None = 0,
    Object = 1,
    Function = 2,
    Section = 3,
    File = 4,
}

/// <summary>STB_*.</summary>
internal enum ElfBinding : byte
{
    Local = 0,
    Global = 1,
    Weak = 2,
}

/// <summary>STV_*.</summary>
internal enum ElfVisibility : byte
{
    Default = 0,
    Internal = 1,
    Hidden = 2,
    Protected = 3,
}

/// <summary>One relocation (System V ABI, Elf64_Rel: BPF keeps the addend in place).</summary>
/// <param name="Offset">Byte offset in the section it patches.</param>
/// <param name="Type">What to patch, and how.</param>
/// <param name="Symbol">The symbol it refers to.</param>
internal sealed record ElfRelocation(ulong Offset, BpfRelocationType Type, ElfSymbol Symbol);

/// <summary>The relocation types of BPF (Linux Documentation/bpf/llvm_reloc.rst).</summary>
internal enum BpfRelocationType : uint
{
    None = 0,
    /// <summary>64-bit immediate load: S + A, A in the first slot's immediate.</summary>
    Load64 = 1,
    /// <summary>64-bit word of data: S + A.</summary>
    Absolute64 = 2,
    /// <summary>32-bit word of data: S + A.</summary>
    Absolute32 = 3,
    /// <summary>32-bit word of .BTF and .BTF.ext: S + A, left alone by dynamic loaders.</summary>
    NoDynamicLoad32 = 4,
    /// <summary>Call: (S + A) / 8 - 1, A = (imm + 1) * 8.</summary>
    Call32 = 10,
}
