using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>A register of the BPF machine (RFC 9669 section 4.2).</summary>
public enum Register : byte
{
    /// <summary>Result of calls and of the program.</summary>
    R0,
    /// <summary>First argument; the context when the program starts.</summary>
    R1,
    /// <summary>Second argument.</summary>
    R2,
    /// <summary>Third argument.</summary>
    R3,
    /// <summary>Fourth argument.</summary>
    R4,
    /// <summary>Fifth argument.</summary>
    R5,
    /// <summary>Kept by calls.</summary>
    R6,
    /// <summary>Kept by calls.</summary>
    R7,
    /// <summary>Kept by calls.</summary>
    R8,
    /// <summary>Kept by calls.</summary>
    R9,
    /// <summary>Frame pointer, read only: the frame's 512 bytes lie below it.</summary>
    R10,
}

/// <summary>
/// Builds a program in C#, for tests and hosts that generate code. Every method but <see cref="Build"/> adds one thing and
/// returns the builder. Labels may be used before they are placed. Not thread-safe.
/// </summary>
/// <param name="type">The program's type; null for <see cref="ProgramTypes.Raw"/>.</param>
/// <param name="name">Its name.</param>
public sealed class ProgramBuilder(ProgramType? type = null, string name = "program")
{
    private readonly CodeBuffer _code = new();
    private readonly List<MapSpec> _maps = [];

    /// <summary>Adds a slot as it is.</summary>
    public ProgramBuilder Emit(Instruction instruction)
    {
        _code.Add(instruction);
        return this;
    }

    /// <summary>Places a label at the next instruction.</summary>
    /// <exception cref="BpfException">UB1123 when it is placed already.</exception>
    public ProgramBuilder Label(string label) =>
        _code.Define(label) ? this : throw new BpfException("UB1123", $"label '{label}' is placed twice.", _code.Count);

    /// <summary>dst = src, 64 bits.</summary>
    public ProgramBuilder Move(Register destination, Register source) => Alu(Operation.Move, destination, source);

    /// <summary>dst = immediate, sign-extended to 64 bits.</summary>
    public ProgramBuilder Move(Register destination, int immediate) => Alu(Operation.Move, destination, immediate);

    /// <summary>dst += src, 64 bits.</summary>
    public ProgramBuilder Add(Register destination, Register source) => Alu(Operation.Add, destination, source);

    /// <summary>dst += immediate, sign-extended to 64 bits.</summary>
    public ProgramBuilder Add(Register destination, int immediate) => Alu(Operation.Add, destination, immediate);

    /// <summary>Any two-operand arithmetic with a register.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="destination">The first operand and the result.</param>
    /// <param name="source">The second operand.</param>
    /// <param name="width">32 or 64.</param>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Alu(Operation operation, Register destination, Register source, int width = 64) =>
        Emit(Row(operation, width, 0, OperandSource.Register).Encode((int)destination, (int)source));

    /// <summary>Any two-operand arithmetic with an immediate.</summary>
    /// <inheritdoc cref="Alu(Operation, Register, Register, int)"/>
    /// <param name="operation">The operation.</param>
    /// <param name="destination">The first operand and the result.</param>
    /// <param name="immediate">The second operand.</param>
    /// <param name="width">32 or 64.</param>
    public ProgramBuilder Alu(Operation operation, Register destination, int immediate, int width = 64) =>
        Emit(Row(operation, width, 0, OperandSource.Immediate).Encode((int)destination, immediate: immediate));

    /// <summary>dst = -dst.</summary>
    public ProgramBuilder Negate(Register destination, int width = 64) => Emit(Row(Operation.Negate, width, 0, OperandSource.None).Encode((int)destination));

    /// <summary>dst = src, sign-extended from 8, 16 or 32 bits.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder MoveSignExtend(Register destination, Register source, int bits, int width = 64) =>
        Emit(Row(Operation.MoveSignExtend, width, bits, OperandSource.Register).Encode((int)destination, (int)source));

    /// <summary>dst = its low 16, 32 or 64 bits with their bytes swapped as the operation says.</summary>
    /// <param name="operation"><see cref="Operation.ToLittleEndian"/>, <see cref="Operation.ToBigEndian"/> or <see cref="Operation.ByteSwap"/>.</param>
    /// <param name="destination">The register.</param>
    /// <param name="bits">16, 32 or 64.</param>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Swap(Operation operation, Register destination, int bits) =>
        Emit(Row(operation, 64, bits, OperandSource.None).Encode((int)destination));

    /// <summary>dst = a 64-bit number.</summary>
    public ProgramBuilder LoadImmediate(Register destination, long value) => Wide(WideKind.Number, destination, (int)value, (int)(value >> 32));

    /// <summary>dst = a map, which becomes one of the program's.</summary>
    public ProgramBuilder LoadMap(Register destination, MapSpec map) => Wide(WideKind.MapIndex, destination, IndexOf(map), 0);

    /// <summary>dst = the address of a byte of a map's first value.</summary>
    public ProgramBuilder LoadMapValue(Register destination, MapSpec map, int offset = 0) => Wide(WideKind.MapValueIndex, destination, IndexOf(map), offset);

    /// <summary>dst = the address of the subprogram at a label, for a callback argument.</summary>
    public ProgramBuilder LoadFunction(Register destination, string label)
    {
        _code.Refer(label, inImmediate: true);
        return Wide(WideKind.Function, destination, 0, 0);
    }

    /// <summary>dst = *(src + offset), zero-extended.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Load(Register destination, Register address, short offset, int bits = 64) =>
        Emit(Row(Operation.Load, 64, bits, OperandSource.Register).Encode((int)destination, (int)address, offset));

    /// <summary>dst = *(src + offset), sign-extended from 8, 16 or 32 bits.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder LoadSigned(Register destination, Register address, short offset, int bits) =>
        Emit(Row(Operation.LoadSignExtend, 64, bits, OperandSource.Register).Encode((int)destination, (int)address, offset));

    /// <summary>*(dst + offset) = src.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Store(Register address, short offset, Register source, int bits = 64) =>
        Emit(Row(Operation.Store, 64, bits, OperandSource.Register).Encode((int)address, (int)source, offset));

    /// <summary>*(dst + offset) = immediate, sign-extended.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Store(Register address, short offset, int immediate, int bits = 64) =>
        Emit(Row(Operation.Store, 64, bits, OperandSource.Immediate).Encode((int)address, offset: offset, immediate: immediate));

    /// <summary>An atomic operation on *(dst + offset) with src, 32 or 64 bits wide.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder Atomic(Operation operation, Register address, short offset, Register source, int bits = 64) =>
        Emit(Row(operation, bits, bits, OperandSource.Register).Encode((int)address, (int)source, offset));

    /// <summary>Jumps; the label is at most 32,767 slots away.</summary>
    public ProgramBuilder Jump(string label) => JumpTo(label, Row(Operation.Jump, 64, 0, OperandSource.None).Encode());

    /// <summary>Jumps over any distance (gotol).</summary>
    public ProgramBuilder LongJump(string label)
    {
        _code.Refer(label, inImmediate: true);
        return Emit(Row(Operation.Jump, 32, 0, OperandSource.None).Encode());
    }

    /// <summary>Goes on while the run's loop budget lasts, else jumps.</summary>
    public ProgramBuilder MayGoto(string label) => JumpTo(label, Row(Operation.MayGoto, 64, 0, OperandSource.None).Encode());

    /// <summary>Jumps if the comparison holds.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder JumpIf(Operation comparison, Register left, Register right, string label, int width = 64) =>
        JumpTo(label, Row(comparison, width, 0, OperandSource.Register).Encode((int)left, (int)right));

    /// <summary>Jumps if the comparison with an immediate, sign-extended, holds.</summary>
    /// <exception cref="ArgumentException">There is no such instruction.</exception>
    public ProgramBuilder JumpIf(Operation comparison, Register left, int right, string label, int width = 64) =>
        JumpTo(label, Row(comparison, width, 0, OperandSource.Immediate).Encode((int)left, immediate: right));

    /// <summary>Calls a helper or kfunc.</summary>
    public ProgramBuilder Call(FunctionPrototype function) =>
        Emit(Row(function.Kind == FunctionKind.Helper ? Operation.CallHelper : Operation.CallKfunc, 64, 0, OperandSource.Immediate).Encode(immediate: function.Id));

    /// <summary>Calls the subprogram at a label.</summary>
    public ProgramBuilder Call(string label)
    {
        _code.Refer(label, inImmediate: true);
        return Emit(Row(Operation.CallSubprogram, 64, 0, OperandSource.Immediate).Encode());
    }

    /// <summary>Calls the helper whose number is in a register (callx).</summary>
    public ProgramBuilder Call(Register number) => Emit(Row(Operation.CallRegister, 64, 0, OperandSource.Register).Encode((int)number));

    /// <summary>Returns r0.</summary>
    public ProgramBuilder Exit() => Emit(Row(Operation.Exit, 64, 0, OperandSource.None).Encode());

    /// <summary>The program as it is now. It is not checked: <see cref="BytecodeChecker"/> and the verifier do that.</summary>
    /// <exception cref="BpfException">UB1122 when a label is used but not placed, UB1125 when one is too far for its jump.</exception>
    public ProgramSpec Build()
    {
        foreach (var (_, error) in _code.Resolve()) throw error;
        var instructions = _code.ToImmutable();
        return new ProgramSpec
        {
            Name = name,
            Type = type ?? ProgramTypes.Raw,
            Instructions = instructions,
            OwnInstructions = instructions.Length,
            Maps = [.. _maps],
        };
    }

    private static OpcodeRow Row(Operation operation, int width, int bits, OperandSource source) =>
        OpcodeTable.Find(operation, width, bits, source)
        ?? throw new ArgumentException($"the instruction set has no {operation} of {width} bits, size {bits}, with operand {source}.", nameof(operation));

    private ProgramBuilder JumpTo(string label, Instruction jump)
    {
        _code.Refer(label, inImmediate: false);
        return Emit(jump);
    }

    private ProgramBuilder Wide(WideKind kind, Register destination, int low, int high)
    {
        _code.AddWide(kind, (int)destination, low, high);
        return this;
    }

    private int IndexOf(MapSpec map)
    {
        var index = _maps.IndexOf(map);
        if (index >= 0) return index;
        _maps.Add(map);
        return _maps.Count - 1;
    }
}
