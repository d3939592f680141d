using System.Reflection;
using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>One recorded IL instruction, or a label when <see cref="Label"/> is not negative.</summary>
/// <param name="Slot">The BPF instruction it belongs to; -1 before the first.</param>
/// <param name="OpCode">The IL opcode.</param>
/// <param name="Operand">Its operand: number, local, label, method, field, or a <see cref="Symbol"/>.</param>
/// <param name="Label">The number of the label that is here, or -1.</param>
internal readonly record struct RecordedInstruction(int Slot, OpCode OpCode, object? Operand, int Label);

/// <summary>A constant that is an address when the code runs, by name.</summary>
internal sealed record Symbol(string Name)
{
    public override string ToString() => Name;
}

/// <summary>A generator that keeps what it is told instead of making code: the source of IL dumps and of the IL checker.</summary>
internal sealed class RecordingGenerator : ILGenerator
{
    private readonly List<RecordedInstruction> _instructions = [];
    private readonly List<RecordedLocal> _locals = [];
    private int _labels;

    public IReadOnlyList<RecordedInstruction> Instructions => _instructions;

    public IReadOnlyList<RecordedLocal> Locals => _locals;

    /// <summary>The BPF instruction that what follows belongs to.</summary>
    public int Slot { get; set; } = -1;

    public override int ILOffset => _instructions.Count;

    public void EmitSymbol(OpCode opcode, string name) => Add(opcode, new Symbol(name));

    public override LocalBuilder DeclareLocal(Type localType, bool pinned)
    {
        var local = new RecordedLocal(_locals.Count, localType, pinned);
        _locals.Add(local);
        return local;
    }

    public override Label DefineLabel() => CreateLabel(_labels++);

    public override void MarkLabel(Label loc) => _instructions.Add(new RecordedInstruction(Slot, OpCodes.Nop, null, loc.Id));

    public override void Emit(OpCode opcode) => Add(opcode, null);
    public override void Emit(OpCode opcode, byte arg) => Add(opcode, (int)arg);
    public override void Emit(OpCode opcode, double arg) => Add(opcode, arg);
    public override void Emit(OpCode opcode, short arg) => Add(opcode, (int)arg);
    public override void Emit(OpCode opcode, float arg) => Add(opcode, arg);
    public override void Emit(OpCode opcode, int arg) => Add(opcode, arg);
    public override void Emit(OpCode opcode, long arg) => Add(opcode, arg);
    public override void Emit(OpCode opcode, string str) => Add(opcode, str);
    public override void Emit(OpCode opcode, ConstructorInfo con) => Add(opcode, con);
    public override void Emit(OpCode opcode, Label label) => Add(opcode, label);
    public override void Emit(OpCode opcode, Label[] labels) => Add(opcode, labels);
    public override void Emit(OpCode opcode, LocalBuilder local) => Add(opcode, local);
    public override void Emit(OpCode opcode, SignatureHelper signature) => Add(opcode, signature);
    public override void Emit(OpCode opcode, FieldInfo field) => Add(opcode, field);
    public override void Emit(OpCode opcode, MethodInfo meth) => Add(opcode, meth);
    public override void Emit(OpCode opcode, Type cls) => Add(opcode, cls);
    public override void EmitCall(OpCode opcode, MethodInfo methodInfo, Type[]? optionalParameterTypes) => Add(opcode, methodInfo);

    public override void EmitCalli(OpCode opcode, CallingConventions callingConvention, Type? returnType, Type[]? parameterTypes, Type[]? optionalParameterTypes) =>
        Add(opcode, new IndirectCall(returnType, parameterTypes ?? []));

    public override void EmitCalli(OpCode opcode, System.Runtime.InteropServices.CallingConvention unmanagedCallConv, Type? returnType, Type[]? parameterTypes) =>
        Add(opcode, new IndirectCall(returnType, parameterTypes ?? []));

    // The emitter makes no exception blocks or scopes.
    public override void BeginCatchBlock(Type? exceptionType) => throw Unused();
    public override void BeginExceptFilterBlock() => throw Unused();
    public override Label BeginExceptionBlock() => throw Unused();
    public override void BeginFaultBlock() => throw Unused();
    public override void BeginFinallyBlock() => throw Unused();
    public override void EndExceptionBlock() => throw Unused();
    public override void BeginScope() => throw Unused();
    public override void EndScope() => throw Unused();
    public override void UsingNamespace(string usingNamespace) => throw Unused();

    private static NotSupportedException Unused() => new("Compiled BPF has no exception blocks and no scopes.");

    private void Add(OpCode opcode, object? operand) => _instructions.Add(new RecordedInstruction(Slot, opcode, operand, -1));
}

/// <summary>The signature of a recorded calli.</summary>
internal sealed record IndirectCall(Type? ReturnType, Type[] ParameterTypes)
{
    public override string ToString() => $"({string.Join(", ", ParameterTypes.Select(type => type.Name))}) -> {ReturnType?.Name ?? "Void"}";
}

/// <summary>A local of a recorded function.</summary>
internal sealed class RecordedLocal(int index, Type type, bool pinned) : LocalBuilder
{
    public override int LocalIndex => index;
    public override Type LocalType => type;
    public override bool IsPinned => pinned;

    /// <summary>What it holds, for dumps; empty for temporaries.</summary>
    public string Name { get; set; } = "";

    public override string ToString() => Name.Length > 0 ? Name : $"t{index}";
}
