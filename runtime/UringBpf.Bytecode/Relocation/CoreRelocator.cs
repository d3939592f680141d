using System.Runtime.InteropServices;

namespace UringBpf.Bytecode;

/// <summary>
/// Applies CO-RE relocations ("compile once, run everywhere"): puts the target's offsets, sizes and numbers into
/// instructions that were compiled against other versions of its types. The algorithm is libbpf's. What can't be
/// resolved poisons its instruction, which matters only if it can be reached.
/// </summary>
internal sealed class CoreRelocator(ObjectFile file, CoreTarget target)
{
    // BPF instruction classes and size codes (RFC 9669 section 3.1 and 5.1).
    private const int ClassMask = 7, ClassLoadImmediate = 0, ClassLoad = 1, ClassStoreImmediate = 2, ClassStore = 3, ClassArithmetic = 4, ClassArithmetic64 = 7;
    private const int SizeMask = 0x18, RegisterSource = 0x08;

    // Made when there is something to resolve, as most objects have nothing.
    private Dictionary<(int TypeId, string Access, uint Kind), Resolution>? _resolved;
    private readonly CoreBudget _budget = new();

    /// <param name="Local">What the compiler saw, which is what the instruction holds now.</param>
    /// <param name="New">What the target says; null to poison.</param>
    /// <param name="Failure">Why it is null.</param>
    /// <param name="CanResize">The access may be made narrower or wider: both are pointers or unsigned numbers.</param>
    private readonly record struct Resolution(CoreValue Local, CoreValue? New, string Failure, bool CanResize);

    /// <summary>Patches every function.</summary>
    /// <exception cref="BpfException">UB1224 when a relocation is malformed, UB1225 when its instruction is not what it says, UB1226 when comparing types takes too long.</exception>
    public void Run(FunctionTable functions)
    {
        foreach (var group in functions.All.GroupBy(function => function.Section))
        {
            if (file.Extension.Relocations[group.Key.Name] is not { } records) continue;
            var code = MemoryMarshal.Cast<byte, Instruction>(file.Elf.Contents(group.Key).Span);
            ObjectFunction[] inOrder = [.. group];
            foreach (var record in records)
            {
                if (record.Offset % Instruction.Size != 0 || record.Offset >= group.Key.Size)
                    throw new BpfException("UB1224", $".BTF.ext: a CO-RE relocation is at byte {record.Offset} of section '{group.Key.Name}' ({group.Key.Size} bytes), which is no instruction.");
                var slot = (int)(record.Offset / Instruction.Size);
                // Code that no symbol covers was replaced by the linker.
                if (Containing(inOrder, slot) is not { } function) continue;
                Apply(function, code, slot, record);
            }
        }
    }

    private static ObjectFunction? Containing(ObjectFunction[] functions, int slot)
    {
        var (low, high) = (0, functions.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var function = functions[middle];
            if (slot < function.Start) high = middle - 1;
            else if (slot >= function.Start + function.Length) low = middle + 1;
            else return function;
        }
        return null;
    }

    private void Apply(ObjectFunction function, Span<Instruction> code, int slot, in CoreRelocationRecord record)
    {
        var resolution = Resolve(record);
        var failure = resolution.New is { } value
            ? Patch(function, code, slot, resolution, value)
            : resolution.Failure;
        if (failure is null) return;
        var type = file.Btf[record.TypeId];
        function.Fixups.Add(new Fixup.OfPoison(slot - function.Start,
            $"its CO-RE relocation ({(CoreRelocationKind)record.Kind} of '{StringTable.Shorten(type.Name)}', access {StringTable.Shorten(record.Access)}) failed: {failure}"));
    }

    private Resolution Resolve(in CoreRelocationRecord record)
    {
        var key = (record.TypeId, record.Access, record.Kind);
        _resolved ??= [];
        if (_resolved.TryGetValue(key, out var known)) return known;
        return _resolved[key] = ResolveNew(record);
    }

    private Resolution ResolveNew(in CoreRelocationRecord record)
    {
        var kind = (CoreRelocationKind)record.Kind;
        if (!Enum.IsDefined(kind))
            throw new BpfException("UB1224", $".BTF.ext: the CO-RE relocation at byte {record.Offset} has kind {record.Kind}, which is unknown.");
        var access = CoreAccess.Parse(file.Btf, record);
        if (CoreValue.Of(kind, access) is not { } local)
            throw new BpfException("UB1224", $".BTF.ext: the CO-RE relocation at byte {record.Offset} ({kind}) can't be applied to what it refers to.");
        if (kind == CoreRelocationKind.TypeIdLocal) return new Resolution(local, local, "", false);

        var type = file.Btf[record.TypeId];
        if (type.Name.Length == 0) return new Resolution(local, null, "types without a name can't be found in the target", false);
        Resolution? result = null;
        foreach (var (types, candidate) in target.Candidates(type))
        {
            _budget.Spend();
            if (access.FindIn(types, candidate.Id, kind, _budget) is not { } found) continue;
            var value = CoreValue.Of(kind, found);
            if (result is { } earlier && earlier.New?.Value != value?.Value)
                return new Resolution(local, null, "the target has several types of this name, and they differ", false);
            result ??= new Resolution(local, value, "the target's field can't be loaded as one number", value is { } now && CanResize(local, types, now));
        }
        return result ?? new Resolution(local, CoreValue.Of(kind, null), "the target has no such type, field or enumerator", false);
    }

    private bool CanResize(CoreValue local, BtfSpec targetTypes, CoreValue now) => (file.Btf[local.FieldTypeId], targetTypes[now.FieldTypeId]) switch
    {
        (BtfPointer, BtfPointer) => true,
        (BtfInteger a, BtfInteger b) => a.Encoding != BtfIntegerEncoding.Signed && b.Encoding != BtfIntegerEncoding.Signed,
        _ => false,
    };

    /// <summary>Writes the new value; the answer is why that failed, or null.</summary>
    private static string? Patch(ObjectFunction function, Span<Instruction> code, int slot, Resolution resolution, CoreValue value)
    {
        var instruction = code[slot];
        var local = resolution.Local;
        switch (instruction.Opcode & ClassMask)
        {
            case ClassArithmetic or ClassArithmetic64 when (instruction.Opcode & RegisterSource) == 0:
                Expect(function, slot, local, (ulong)instruction.Immediate == local.Value || (uint)instruction.Immediate == local.Value);
                if ((long)value.Value is < int.MinValue or > uint.MaxValue) return $"{value.Value} does not fit the instruction";
                code[slot] = instruction.WithImmediate((int)value.Value);
                return null;
            case ClassLoad or ClassStoreImmediate or ClassStore:
                Expect(function, slot, local, (ulong)instruction.Offset == local.Value);
                if (value.Value > (ulong)short.MaxValue) return $"the offset {value.Value} does not fit the instruction";
                if (value.FieldSize == local.FieldSize)
                {
                    code[slot] = instruction.WithOffset((short)value.Value);
                    return null;
                }
                if (!resolution.CanResize) return $"the field has {local.FieldSize} bytes here and {value.FieldSize} in the target, and is not an unsigned number";
                Expect(function, slot, local, SizeCode(local.FieldSize) == (instruction.Opcode & SizeMask));
                if (SizeCode(value.FieldSize) is not { } size) return $"no instruction accesses {value.FieldSize} bytes";
                code[slot] = new Instruction((byte)(instruction.Opcode & ~SizeMask | size), instruction.Destination, instruction.Source, (short)value.Value, instruction.Immediate);
                return null;
            case ClassLoadImmediate when instruction.IsWide && instruction.Source == 0 && slot + 1 < function.Start + function.Length && code[slot + 1].Opcode == 0:
                Expect(function, slot, local, (ulong)instruction.WideImmediate(code[slot + 1]) == local.Value);
                code[slot] = instruction.WithImmediate((int)value.Value);
                code[slot + 1] = code[slot + 1].WithImmediate((int)(value.Value >> 32));
                return null;
            default:
                throw new BpfException("UB1225", $"{function.Describe(slot - function.Start)}: opcode {instruction.Opcode:x2} can't carry a CO-RE relocation.", slot - function.Start);
        }
    }

    // An instruction that does not hold the compiler's own value is not the one the relocation was written for.
    private static void Expect(ObjectFunction function, int slot, CoreValue local, bool holds)
    {
        if (holds || !local.IsExact) return;
        throw new BpfException("UB1225", $"{function.Describe(slot - function.Start)}: it does not hold {local.Value}, which the local types give for its CO-RE relocation.", slot - function.Start);
    }

    private static int? SizeCode(int bytes) => bytes switch { 4 => 0x00, 2 => 0x08, 1 => 0x10, 8 => 0x18, _ => null };
}
