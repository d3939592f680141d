using System.Reflection;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>Names for the addresses that machine code of one program has in it.</summary>
internal sealed unsafe class SymbolTable
{
    private readonly Dictionary<ulong, string> _exact = [];
    private readonly List<(ulong Start, ulong End, string Name)> _ranges = [];

    public SymbolTable(VerifiedProgram program, MapSet maps, RecordedCode recorded, DynamicCode code)
    {
        foreach (var spec in program.Spec.Maps)
        {
            var header = maps[spec].Header;
            _exact[(ulong)header] = $"map {spec.Name}";
            if (header->Data == null || spec.Type is not (MapType.Array or MapType.PerCpuArray)) continue;
            _ranges.Add(((ulong)header->Data, (ulong)header->Data + (ulong)header->Stride * header->MaxEntries, spec.Name));
        }
        foreach (var (key, name, _, generator) in recorded.Methods)
        {
            _exact[(ulong)code.Address(key)] = name;
            foreach (var item in generator.Instructions)
            {
                if (item.Operand is MethodInfo method) AddMethod((byte*)method.MethodHandle.GetFunctionPointer(), Name(method));
            }
        }
    }

    /// <summary>What a method is called in dumps.</summary>
    public static string Name(MethodInfo method) => $"{method.DeclaringType?.Name}.{method.Name}";

    // A method that may still be compiled anew is called through the cell that its stub jumps through: jmp [rip+n], after
    // mov r10, [rip+n] in some.
    private void AddMethod(byte* stub, string name)
    {
        _exact[(ulong)stub] = name;
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return;
        var jump = stub[0] == 0x4c && stub[1] == 0x8b && stub[2] == 0x15 ? stub + 7 : stub;
        if (jump[0] == 0xff && jump[1] == 0x25) _exact[(ulong)(jump + 6 + *(int*)(jump + 2))] = name;
    }

    /// <summary>The name of an address, or null.</summary>
    public string? Find(ulong address)
    {
        if (_exact.TryGetValue(address, out var name)) return name;
        foreach (var (start, end, range) in _ranges)
        {
            if (address >= start && address < end) return address == start ? range : $"{range}+{address - start}";
        }
        return null;
    }
}
