using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.InteropServices;
using Iced.Intel;
using UringBpf.Runtime;
using Instruction = Iced.Intel.Instruction;
using Register = Iced.Intel.Register;

namespace UringBpf.Compiler;

/// <summary>What a register is known to hold: a constant, a pointer to a struct of the runtime's, or a function of one.</summary>
internal readonly record struct KnownValue(ulong Constant, Type? Struct, string? Function);

/// <summary>
/// Follows constants, and the pointer to the run's state, through the registers of one method: calls through a register
/// get the name of what they call, and loads that of the field. Only for reading: nothing depends on it.
/// </summary>
internal sealed class RegisterValues
{
    // The calling convention of everything but Windows: the first six arguments, and what calls leave as it was.
    private static readonly Register[] s_arguments = [Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9];
    private static readonly Register[] s_kept = [Register.RBX, Register.RBP, Register.RSP, Register.R12, Register.R13, Register.R14, Register.R15];
    private static readonly Dictionary<Type, Dictionary<int, FieldInfo>> s_fields = new() { [typeof(ExecutionState)] = Fields<ExecutionState>(), [typeof(HookHost)] = Fields<HookHost>() };

    private readonly IReadOnlyList<Instruction> _code;
    private readonly nint _place;
    private readonly SymbolTable _symbols;
    private readonly InstructionInfoFactory _information = new();
    private readonly Dictionary<ulong, int> _index = [];
    private readonly Dictionary<Register, KnownValue>?[] _before;

    /// <summary>Follows the registers of a method.</summary>
    /// <param name="code">Its machine code, addresses counted from 0.</param>
    /// <param name="place">Where that lies.</param>
    /// <param name="parameters">The types of its arguments.</param>
    /// <param name="symbols">Names of addresses.</param>
    public RegisterValues(IReadOnlyList<Instruction> code, nint place, Type[] parameters, SymbolTable symbols)
    {
        (_code, _place, _symbols) = (code, place, symbols);
        _before = new Dictionary<Register, KnownValue>?[code.Count];
        for (var i = 0; i < code.Count; i++) _index[code[i].IP] = i;
        var entry = new Dictionary<Register, KnownValue>();
        for (var i = 0; i < Math.Min(parameters.Length, s_arguments.Length) && !OperatingSystem.IsWindows(); i++)
        {
            if (parameters[i].GetElementType() is { } type && s_fields.ContainsKey(type)) entry[s_arguments[i]] = new KnownValue(0, type, null);
        }
        Follow(entry);
    }

    /// <summary>The name of what a call calls, or null.</summary>
    public string? Callee(int index)
    {
        var call = _code[index];
        if (call.FlowControl is not (FlowControl.Call or FlowControl.IndirectCall)) return null;
        if (call.Op0Kind == OpKind.NearBranch64) return _symbols.Find(call.NearBranchTarget + (ulong)_place);
        if (call.IsIPRelativeMemoryOperand) return _symbols.Find(call.IPRelativeMemoryAddress + (ulong)_place);
        var value = call.Op0Kind == OpKind.Register ? Of(index, call.Op0Register) : call.Op0Kind == OpKind.Memory ? Load(call, _before[index]) : null;
        return value is not { } known ? null : known.Function ?? (known.Struct == null ? _symbols.Find(known.Constant) : null);
    }

    /// <summary>The field of the runtime's that an instruction reads or writes, or null.</summary>
    public string? Field(int index) =>
        _code[index] is var instruction && instruction.MemoryBase != Register.None && Of(index, instruction.MemoryBase)?.Struct is { } type &&
        instruction.MemoryIndex == Register.None && s_fields[type].TryGetValue((int)instruction.MemoryDisplacement64, out var field) ? $"{type.Name}.{field.Name}" : null;

    private KnownValue? Of(int index, Register register) => _before[index] is { } values && values.TryGetValue(register, out var value) ? value : null;

    private void Follow(Dictionary<Register, KnownValue> entry)
    {
        var open = new Stack<int>();
        Reach(0, entry, open);
        while (open.TryPop(out var index))
        {
            var instruction = _code[index];
            var after = After(instruction, _before[index]!);
            if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch && instruction.Op0Kind == OpKind.NearBranch64 && _index.TryGetValue(instruction.NearBranchTarget, out var target))
                Reach(target, after, open);
            if (MachineCode.FallsThrough(instruction) && index + 1 < _code.Count) Reach(index + 1, after, open);
        }
    }

    // What several ways agree on holds; it can only become less, so this ends.
    private void Reach(int index, Dictionary<Register, KnownValue> values, Stack<int> open)
    {
        if (_before[index] is not { } known)
        {
            _before[index] = new(values);
            open.Push(index);
            return;
        }
        var gone = known.Where(pair => !values.TryGetValue(pair.Key, out var value) || value != pair.Value).Select(pair => pair.Key).ToArray();
        foreach (var register in gone) known.Remove(register);
        if (gone.Length > 0) open.Push(index);
    }

    private Dictionary<Register, KnownValue> After(in Instruction instruction, Dictionary<Register, KnownValue> before)
    {
        var after = new Dictionary<Register, KnownValue>(before);
        if (instruction.FlowControl is FlowControl.Call or FlowControl.IndirectCall)
        {
            foreach (var register in before.Keys.Where(register => !s_kept.Contains(register))) after.Remove(register);
            return after;
        }
        foreach (var used in _information.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is not (OpAccess.Read or OpAccess.CondRead or OpAccess.None)) after.Remove(used.Register.GetFullRegister());
        }
        if (instruction.Mnemonic != Mnemonic.Mov || instruction.Op0Kind != OpKind.Register || !instruction.Op0Register.IsGPR64()) return after;
        var value = instruction.Op1Kind switch
        {
            OpKind.Register => before.TryGetValue(instruction.Op1Register, out var known) ? known : (KnownValue?)null,
            OpKind.Immediate64 => new KnownValue(instruction.Immediate64, null, null),
            OpKind.Memory => Load(instruction, before),
            _ => null,
        };
        if (value is { } moved) after[instruction.Op0Register] = moved;
        return after;
    }

    private KnownValue? Load(in Instruction instruction, Dictionary<Register, KnownValue>? before)
    {
        // A cell that holds where a method is.
        if (instruction.IsIPRelativeMemoryOperand) return _symbols.Find(instruction.IPRelativeMemoryAddress + (ulong)_place) is { } name ? new KnownValue(0, null, name) : null;
        if (before == null || instruction.MemoryIndex != Register.None || !before.TryGetValue(instruction.MemoryBase, out var pointer) || pointer.Struct == null) return null;
        if (!s_fields[pointer.Struct].TryGetValue((int)instruction.MemoryDisplacement64, out var field)) return null;
        if (field.FieldType.IsFunctionPointer) return new KnownValue(0, null, $"{pointer.Struct.Name}.{field.Name}");
        return field.FieldType.GetElementType() is { } type && s_fields.ContainsKey(type) ? new KnownValue(0, type, null) : null;
    }

    private static Dictionary<int, FieldInfo> Fields<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields | DynamicallyAccessedMemberTypes.NonPublicFields)] T>() where T : unmanaged =>
        typeof(T).GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance)
            .Where(field => !field.FieldType.IsGenericType).ToDictionary(field => (int)Marshal.OffsetOf<T>(field.Name));
}
