using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace UringBpf.Bytecode;

/// <summary>
/// Works out what each instruction refers to: relocations, and calls within a section, which have none
/// (Linux Documentation/bpf/llvm_reloc.rst). BPF keeps addends in the instruction: a load's is its immediate, a call's is
/// (immediate + 1) × 8.
/// </summary>
internal sealed class CodeRelocator(ObjectFile file, FunctionTable functions, MapTable maps, Externs externs)
{
    private const byte LoadImmediate64 = 0x18, Call = 0x85;
    private const int PseudoCall = 1;

    /// <summary>Fills in <see cref="ObjectFunction.Fixups"/> of every function.</summary>
    /// <exception cref="BpfException">UB1031 to UB1037, UB132x.</exception>
    public void Run()
    {
        foreach (var group in functions.All.GroupBy(function => function.Section))
        {
            var relocations = Index(group.Key);
            foreach (var function in group) Scan(function, relocations);
        }
    }

    private Dictionary<int, ElfRelocation> Index(ElfSection section)
    {
        var bySlot = new Dictionary<int, ElfRelocation>();
        if (!file.Relocations.TryGetValue(section.Index, out var relocations)) return bySlot;
        foreach (var relocation in relocations)
        {
            if (relocation.Type == BpfRelocationType.None) continue;
            if (relocation.Offset >= section.Size || relocation.Offset % Instruction.Size != 0)
                throw new BpfException("UB1031", $"section '{section.Name}' ({section.Size} bytes) has a relocation at byte {relocation.Offset}, which is past its end or not an instruction.");
            if (!bySlot.TryAdd((int)(relocation.Offset / Instruction.Size), relocation))
                throw new BpfException("UB1031", $"section '{section.Name}' has two relocations at byte {relocation.Offset}.");
        }
        return bySlot;
    }

    private void Scan(ObjectFunction function, Dictionary<int, ElfRelocation> relocations)
    {
        var code = MemoryMarshal.Cast<byte, Instruction>(file.Elf.Contents(function.Section).Span).Slice(function.Start, function.Length);
        for (var slot = 0; slot < code.Length; slot++)
        {
            var instruction = code[slot];
            if (instruction.IsWide && slot + 1 == code.Length)
                throw new BpfException("UB1035", $"function '{function.Name}' ends inside a 16-byte load.", slot);
            var fixup = relocations.TryGetValue(function.Start + slot, out var relocation)
                ? Resolve(function, slot, instruction, relocation)
                : ResolveUnrelocated(function, slot, instruction);
            if (fixup is not null) function.Fixups.Add(fixup);
            if (!instruction.IsWide) continue;
            slot++;
            if (relocations.ContainsKey(function.Start + slot))
                throw new BpfException("UB1033", $"{function.Describe(slot)}: a relocation points into the middle of a 16-byte load.", slot);
        }
    }

    private Fixup? ResolveUnrelocated(ObjectFunction function, int slot, Instruction instruction)
    {
        if (instruction.Opcode == Call && instruction.Source == PseudoCall)
            return new Fixup.OfCall(slot, Callee(function, slot, function.Section.Index, function.Start + slot + 1L + instruction.Immediate));
        // Pseudo forms name what only a loader can know, so without a relocation they name nothing.
        if ((instruction.IsWide || instruction.Opcode == Call) && instruction.Source != 0)
            throw new BpfException("UB1033", $"{function.Describe(slot)}: a pseudo form (source {instruction.Source}) has no relocation.", slot);
        return null;
    }

    private Fixup Resolve(ObjectFunction function, int slot, Instruction instruction, ElfRelocation relocation)
    {
        switch (relocation.Type)
        {
            case BpfRelocationType.Load64 when instruction.IsWide:
                return relocation.Symbol.IsExtern
                    ? externs.Load(function, slot, relocation.Symbol)
                    : ResolveLoad(function, slot, instruction, relocation.Symbol);
            case BpfRelocationType.Call32 when instruction.Opcode == Call:
                if (relocation.Symbol.IsExtern) return externs.Call(function, slot, relocation.Symbol);
                if (instruction.Source != PseudoCall) break;
                return ResolveCall(function, slot, instruction, relocation.Symbol);
            case BpfRelocationType.Load64 or BpfRelocationType.Call32:
                break;
            default:
                throw new BpfException("UB1032", $"{function.Describe(slot)}: relocation of type {(uint)relocation.Type} to '{relocation.Symbol.Name}'; instructions take R_BPF_64_64 and R_BPF_64_32.", slot);
        }
        throw new BpfException("UB1033", $"{function.Describe(slot)}: opcode {instruction.Opcode:x2} can't carry a relocation of type {(uint)relocation.Type} (to '{relocation.Symbol.Name}').", slot);
    }

    private Fixup.OfCall ResolveCall(ObjectFunction function, int slot, Instruction instruction, ElfSymbol symbol)
    {
        var target = Add(symbol, ((long)instruction.Immediate + 1) * Instruction.Size);
        if (target % Instruction.Size != 0 || target < 0 || target > int.MaxValue)
            throw new BpfException("UB1034", $"{function.Describe(slot)}: it calls byte {target} of '{symbol.Name}', which is no instruction.", slot);
        return new Fixup.OfCall(slot, Callee(function, slot, symbol.Section, target / Instruction.Size));
    }

    // A symbol's value and an addend; -1 when that is no place that anything could be at.
    private static long Add(ElfSymbol symbol, long addend) => symbol.Value <= int.MaxValue ? (long)symbol.Value + addend : -1;

    private ObjectFunction Callee(ObjectFunction function, int slot, int section, long target) =>
        (target is >= 0 and <= int.MaxValue ? functions.StartingAt(section, (int)target) : null)
        ?? throw new BpfException("UB1034", $"{function.Describe(slot)}: it calls slot {target} of section {section}, where no function starts.", slot);

    private Fixup ResolveLoad(ObjectFunction function, int slot, Instruction instruction, ElfSymbol symbol)
    {
        var target = Add(symbol, instruction.Immediate);
        if (maps.OfData(symbol.Section) is { } data)
        {
            return target >= 0 && target < data.ValueSize
                ? new Fixup.OfMapValue(slot, data, (int)target)
                : throw new BpfException("UB1037", $"{function.Describe(slot)}: it loads the address of byte {target} of section '{data.Name}', which has {data.ValueSize} bytes.", slot);
        }
        if (symbol.Section < file.Elf.Sections.Length)
        {
            var section = file.Elf.Sections[symbol.Section];
            if (ObjectFile.IsMaps(section) || ObjectFile.IsLegacyMaps(section))
            {
                return target >= 0 && maps.DefinedAt(symbol.Section, (ulong)target) is { } map
                    ? new Fixup.OfMap(slot, map)
                    : throw new BpfException("UB1036", $"{function.Describe(slot)}: it refers to '{symbol.Name}' + {instruction.Immediate}, where no map is defined.", slot);
            }
            if (section.IsCode)
            {
                return target % Instruction.Size == 0 && target >= 0 && target <= int.MaxValue
                    && functions.StartingAt(symbol.Section, (int)(target / Instruction.Size)) is { } callback
                    ? new Fixup.OfFunction(slot, callback)
                    : throw new BpfException("UB1034", $"{function.Describe(slot)}: it takes the address of byte {target} of section '{section.Name}', where no function starts.", slot);
            }
        }
        throw new BpfException("UB1036", $"{function.Describe(slot)}: it refers to '{symbol.Name}', which is neither a map, nor global data (.rodata, .data, .bss), nor a function.", slot);
    }
}
