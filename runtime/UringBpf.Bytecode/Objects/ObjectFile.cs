using System.Buffers.Binary;
using System.Text;

namespace UringBpf.Bytecode;

/// <summary>What every loading step reads: the ELF tables, the relocations, and the types.</summary>
internal sealed class ObjectFile
{
    private ObjectFile(ElfImage elf, Dictionary<int, ElfRelocation[]> relocations)
    {
        Elf = elf;
        Relocations = relocations;
    }

    public ElfImage Elf { get; }

    /// <summary>Relocations by the index of the section they patch.</summary>
    public Dictionary<int, ElfRelocation[]> Relocations { get; }

    /// <summary>The object's types; empty without -g.</summary>
    public BtfSpec Btf { get; private set; } = BtfSpec.Empty;

    public BtfExtension Extension { get; private set; } = BtfExtension.Empty;

    public string License { get; private set; } = "";
    public uint KernelVersion { get; private set; }

    /// <summary>Reads the file.</summary>
    public static ObjectFile Read(ReadOnlySpan<byte> bytes)
    {
        var elf = ElfImage.Read(bytes);
        var file = new ObjectFile(elf, elf.ReadRelocations(section => section.IsCode || IsMaps(section) || IsPatchedData(section)));
        foreach (var section in elf.Sections.Where(IsPatchedData)) file.RelocateData(section);
        if (elf.Find(".BTF") is { IsZeroFilled: false } types)
        {
            var btf = BtfReader.Read(elf.Contents(types));
            file.Btf = btf.Types;
            if (elf.Find(".BTF.ext") is { IsZeroFilled: false } extension)
                file.Extension = BtfExtensionReader.Read(elf.Contents(extension).Span, btf);
        }
        file.ReadLicense();
        return file;
    }

    /// <summary>True for the sections with BTF map definitions.</summary>
    public static bool IsMaps(ElfSection section) => section.Name == ".maps";

    /// <summary>True for the sections with maps in the old, five-field form.</summary>
    public static bool IsLegacyMaps(ElfSection section) => section.Name == "maps" || section.Name.StartsWith("maps/", StringComparison.Ordinal);

    /// <summary>True for global data: .rodata, .data, .bss and their suffixed forms.</summary>
    public static bool IsData(ElfSection section) => section.Type is ElfSectionType.ProgramBits or ElfSectionType.NoBits && section.Size > 0
        && (IsConstants(section) || section.IsOrStartsWith(".data") || section.IsOrStartsWith(".bss"));

    /// <summary>True for data that never changes.</summary>
    public static bool IsConstants(ElfSection section) => section.IsOrStartsWith(".rodata");

    private static bool IsPatchedData(ElfSection section) => section.Name is ".BTF" or ".BTF.ext" || IsData(section);

    // In data, a relocation adds the symbol's value to the word in place (Linux Documentation/bpf/llvm_reloc.rst).
    // Sections have no address, so a pointer in data becomes the offset in the section it points into: as with libbpf,
    // it can be loaded as a number, and the verifier refuses to use it as a pointer.
    private void RelocateData(ElfSection section)
    {
        if (!Relocations.TryGetValue(section.Index, out var relocations)) return;
        var data = Elf.Contents(section).Span;
        foreach (var relocation in relocations)
        {
            var width = relocation.Type switch
            {
                BpfRelocationType.None => 0,
                BpfRelocationType.Absolute64 => 8,
                BpfRelocationType.Absolute32 or BpfRelocationType.NoDynamicLoad32 => 4,
                _ => throw new BpfException("UB1032", $"section '{section.Name}' has a relocation of type {(uint)relocation.Type} at byte {relocation.Offset}; data takes R_BPF_64_ABS64, ABS32 or NODYLD32."),
            };
            if (relocation.Offset > (ulong)data.Length || (ulong)width > (ulong)data.Length - relocation.Offset)
                throw new BpfException("UB1031", $"section '{section.Name}' ({data.Length} bytes) has a relocation at byte {relocation.Offset}, past its end.");
            var word = data[(int)relocation.Offset..];
            if (width == 8) BinaryPrimitives.WriteUInt64LittleEndian(word, BinaryPrimitives.ReadUInt64LittleEndian(word) + relocation.Symbol.Value);
            if (width == 4) BinaryPrimitives.WriteUInt32LittleEndian(word, BinaryPrimitives.ReadUInt32LittleEndian(word) + (uint)relocation.Symbol.Value);
        }
    }

    private void ReadLicense()
    {
        if (Elf.Find("license") is { } license)
        {
            var bytes = Elf.Contents(license).Span;
            var end = bytes.IndexOf((byte)0);
            License = StringTable.Printable(Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]));
        }
        if (Elf.Find("version") is { } version)
        {
            var bytes = Elf.Contents(version).Span;
            if (bytes.Length != 4)
                throw new BpfException("UB1018", $"section 'version' has {bytes.Length} bytes; it holds one 32-bit kernel version.");
            KernelVersion = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        }
    }
}
