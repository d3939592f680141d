using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Arithmetic, moves and byte swaps (RFC 9669 section 4.1 and 4.2).</summary>
internal sealed partial class FunctionEmitter
{
    private void EmitArithmetic(OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.Add: EmitBinary(row, instruction, OpCodes.Add); break;
            case Operation.Subtract: EmitBinary(row, instruction, OpCodes.Sub); break;
            case Operation.Multiply: EmitBinary(row, instruction, OpCodes.Mul); break;
            case Operation.Or: EmitBinary(row, instruction, OpCodes.Or); break;
            case Operation.And: EmitBinary(row, instruction, OpCodes.And); break;
            case Operation.Xor: EmitBinary(row, instruction, OpCodes.Xor); break;
            case Operation.ShiftLeft: EmitShift(row, instruction, OpCodes.Shl); break;
            case Operation.ShiftRight: EmitShift(row, instruction, OpCodes.Shr_Un); break;
            case Operation.ShiftRightArithmetic: EmitShift(row, instruction, OpCodes.Shr); break;
            case Operation.Divide: EmitDivision(row, instruction, OpCodes.Div_Un, "Divide"); break;
            case Operation.Modulo: EmitDivision(row, instruction, OpCodes.Rem_Un, "Modulo"); break;
            case Operation.SignedDivide: EmitDivision(row, instruction, OpCodes.Div, "SignedDivide"); break;
            case Operation.SignedModulo: EmitDivision(row, instruction, OpCodes.Rem, "SignedModulo"); break;
            case Operation.Negate:
                Load(instruction.Destination, row.Width);
                _il.Emit(OpCodes.Neg);
                Store(instruction.Destination, row.Width);
                break;
            case Operation.Move:
                LoadOperand(row, instruction, row.Width);
                Store(instruction.Destination, row.Width);
                break;
            case Operation.MoveSignExtend: EmitMoveSignExtend(row, instruction); break;
            default: EmitByteSwap(row, instruction); break;
        }
    }

    private void Load(int register, int width)
    {
        if (width == 64) Load64(register);
        else Load32(register);
    }

    private void Store(int register, int width)
    {
        if (width == 64) Store64(register);
        else Store32(register);
    }

    private void EmitBinary(OpcodeRow row, in Instruction instruction, OpCode operation)
    {
        // A mask without upper half leaves none: at 32 bits its code is shorter.
        var masks = row.Operation == Operation.And && row.Source == OperandSource.Immediate && instruction.Immediate >= 0 && _options.NarrowRegisters;
        var width = masks ? 32 : row.Width;
        Load(instruction.Destination, width);
        LoadOperand(row, instruction, width);
        _il.Emit(operation);
        Store(instruction.Destination, width);
    }

    // IL leaves counts outside the width undefined, BPF masks them.
    private void EmitShift(OpcodeRow row, in Instruction instruction, OpCode operation)
    {
        Load(instruction.Destination, row.Width);
        if (row.Source == OperandSource.Immediate)
        {
            LoadConstant(instruction.Immediate & (row.Width - 1), 32);
        }
        else
        {
            Load32(instruction.Source);
            LoadConstant(row.Width - 1, 32);
            _il.Emit(OpCodes.And);
        }
        _il.Emit(operation);
        Store(instruction.Destination, row.Width);
    }

    // The plain IL division where it can't trap, else the helper that has BPF's answers for 0 and MIN / -1.
    private void EmitDivision(OpcodeRow row, in Instruction instruction, OpCode plain, string checkedName)
    {
        Load(instruction.Destination, row.Width);
        LoadOperand(row, instruction, row.Width);
        if (IsPlainDivision(row, instruction)) _il.Emit(plain);
        else CallSupport(row.Width == 64 ? checkedName + "64" : checkedName + "32");
        Store(instruction.Destination, row.Width);
    }

    private bool IsPlainDivision(OpcodeRow row, in Instruction instruction)
    {
        var signed = row.Operation is Operation.SignedDivide or Operation.SignedModulo;
        if (row.Source == OperandSource.Immediate) return instruction.Immediate != 0 && !(signed && instruction.Immediate == -1);
        if (!_options.UseDivisorFacts) return false;
        ref readonly var facts = ref _program.Facts(_slot);
        return facts.DivisorNonZero && (!signed || facts.NoDivideOverflow);
    }

    private void EmitMoveSignExtend(OpcodeRow row, in Instruction instruction)
    {
        if (row.Bits == 32)
        {
            Load32(instruction.Source);
            _il.Emit(OpCodes.Conv_I8);
            Store64(instruction.Destination);
            return;
        }
        Load32(instruction.Source);
        _il.Emit(row.Bits == 8 ? OpCodes.Conv_I1 : OpCodes.Conv_I2);
        if (row.Width == 64) _il.Emit(OpCodes.Conv_I8);
        Store(instruction.Destination, row.Width);
    }

    private void EmitByteSwap(OpcodeRow row, in Instruction instruction)
    {
        var swaps = row.Operation switch
        {
            Operation.ToLittleEndian => !BitConverter.IsLittleEndian,
            Operation.ToBigEndian => BitConverter.IsLittleEndian,
            _ => true,
        };
        Load(instruction.Destination, row.Bits == 64 ? 64 : 32);
        if (row.Bits == 16) _il.Emit(OpCodes.Conv_U2);
        if (swaps) _il.EmitCall(OpCodes.Call, s_reverse[row.Bits], null);
        Store(instruction.Destination, row.Bits == 64 ? 64 : 32);
    }

    private static readonly Dictionary<int, MethodInfo> s_reverse = new()
    {
        [16] = Reverse(typeof(ushort)),
        [32] = Reverse(typeof(uint)),
        [64] = Reverse(typeof(ulong)),
    };

    private static MethodInfo Reverse(Type type) =>
        typeof(BinaryPrimitives).GetMethod(nameof(BinaryPrimitives.ReverseEndianness), [type])!;
}
