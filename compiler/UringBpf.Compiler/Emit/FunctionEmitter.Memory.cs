using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>64-bit immediates, loads and stores (RFC 9669 section 5), packet loads (section 5.5).</summary>
internal sealed partial class FunctionEmitter
{
    private void EmitMemory(OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.LoadImmediate64:
                EmitWideImmediate(row, instruction);
                break;
            case Operation.Load:
                if (TryLoadStackLocal(row, instruction)) return;
                LoadAddress(row, instruction, instruction.Source);
                _il.Emit(LoadOpcode(HostBits(row)));
                StoreLoaded(row.Bits, HostBits(row), instruction.Destination);
                break;
            case Operation.LoadSignExtend:
                if (TryLoadStackLocal(row, instruction)) return;
                LoadAddress(row, instruction, instruction.Source);
                _il.Emit(row.Bits switch { 8 => OpCodes.Ldind_I1, 16 => OpCodes.Ldind_I2, _ => OpCodes.Ldind_I4 });
                _il.Emit(OpCodes.Conv_I8);
                Store64(instruction.Destination);
                break;
            default:
                if (TryStoreStackLocal(row, instruction)) return;
                LoadAddress(row, instruction, instruction.Destination);
                LoadOperand(row, instruction, row.Bits == 64 ? 64 : 32);
                _il.Emit(StoreOpcode(row.Bits));
                break;
        }
    }

    private void EmitWideImmediate(OpcodeRow row, in Instruction instruction)
    {
        var next = _program.Instructions[_slot + 1];
        switch (row.Wide)
        {
            case WideKind.Number: LoadConstant(instruction.WideImmediate(next), 64); break;
            case WideKind.MapIndex: _target.LoadMap(instruction.Immediate); break;
            case WideKind.MapValueIndex: _target.LoadMapValue(instruction.Immediate, next.Immediate); break;
            case WideKind.Function: _target.LoadCallback(_program.Callee(_slot)); break;
            default:
                throw new BpfException("UB3001", $"{_program.Verified.Spec.Name}: a 64-bit immediate of kind {row.Wide} reached the compiler.", _slot);
        }
        Store64(instruction.Destination);
    }

    // Pushes register + displacement as a native int; a context field that the host lays out elsewhere moves there.
    private void LoadAddress(OpcodeRow row, in Instruction instruction, int register)
    {
        Load64(register);
        var displacement = instruction.Offset + _program.ContextShift(_slot);
        if (displacement != 0)
        {
            LoadConstant(displacement, 64);
            _il.Emit(OpCodes.Add);
        }
        _il.Emit(OpCodes.Conv_U);
    }

    private static OpCode LoadOpcode(int bits) => bits switch { 8 => OpCodes.Ldind_U1, 16 => OpCodes.Ldind_U2, 32 => OpCodes.Ldind_U4, _ => OpCodes.Ldind_I8 };

    private static OpCode StoreOpcode(int bits) => bits switch { 8 => OpCodes.Stind_I1, 16 => OpCodes.Stind_I2, 32 => OpCodes.Stind_I4, _ => OpCodes.Stind_I8 };

    private void StoreLoaded(int bits, int hostBits, int register)
    {
        if (bits == 64 || hostBits == 64) Store64(register);
        else Store32(register);
    }

    // 32-bit pointer fields of packet contexts are 64-bit pointers in the host's layout.
    private int HostBits(OpcodeRow row) => _program.IsTranslatedPointer(_slot) ? 64 : row.Bits;

    // A slot that lives in a local is kept as it would be in memory: truncated to its size.
    private bool TryLoadStackLocal(OpcodeRow row, in Instruction instruction)
    {
        if (StackLocal(row.AccessBytes, instruction.Source, instruction.Offset) is not { } local) return false;
        _il.Emit(OpCodes.Ldloc, local);
        if (row.Operation == Operation.LoadSignExtend)
        {
            if (row.Bits < 32) _il.Emit(row.Bits == 8 ? OpCodes.Conv_I1 : OpCodes.Conv_I2);
            _il.Emit(OpCodes.Conv_I8);
            Store64(instruction.Destination);
        }
        else
        {
            Store(instruction.Destination, row.Bits == 64 ? 64 : 32);
        }
        return true;
    }

    private bool TryStoreStackLocal(OpcodeRow row, in Instruction instruction)
    {
        if (StackLocal(row.AccessBytes, instruction.Destination, instruction.Offset) is not { } local) return false;
        LoadOperand(row, instruction, row.Bits == 64 ? 64 : 32);
        if (row.Bits < 32) _il.Emit(row.Bits == 8 ? OpCodes.Conv_U1 : OpCodes.Conv_U2);
        _il.Emit(OpCodes.Stloc, local);
        return true;
    }

    private LocalBuilder? StackLocal(int bytes, int register, int displacement)
    {
        var offset = _stackSlots.OffsetOf(_slot, register) + displacement;
        return _stackSlots.SizeAt(offset) == bytes ? StackLocalAt(offset, bytes) : null;
    }

    private LocalBuilder StackLocalAt(long offset, int bytes)
    {
        if (_stackLocals.TryGetValue((int)offset, out var local)) return local;
        local = _il.DeclareLocal(bytes == 8 ? typeof(ulong) : typeof(uint));
        if (_target.NamesLocals) _target.NameLocal(local, $"stack{offset}");
        _stackLocals.Add((int)offset, local);
        return local;
    }

    /// <summary>Loads the stack slots that live in locals here and hold something when a block is entered from another region.</summary>
    public void LoadStackAtStart(BasicBlock block)
    {
        if (_regionStack is null) return;
        foreach (var offset in _regionStack.Carried(block))
        {
            var bytes = _stackSlots.SizeAt(offset);
            LoadStackAddress(offset);
            _il.Emit(LoadOpcode(bytes * 8));
            _il.Emit(OpCodes.Stloc, StackLocalAt(offset, bytes));
        }
    }

    /// <summary>Stores those that were written here and are read from a block of another region on.</summary>
    public void StoreStackFor(BasicBlock block)
    {
        if (_regionStack is null) return;
        foreach (var offset in _regionStack.Carried(block))
        {
            if (!_regionStack.Written(offset)) continue;
            var bytes = _stackSlots.SizeAt(offset);
            LoadStackAddress(offset);
            _il.Emit(OpCodes.Ldloc, StackLocalAt(offset, bytes));
            _il.Emit(StoreOpcode(bytes * 8));
        }
    }

    private void LoadStackAddress(int offset)
    {
        _frame.LoadStackTop(this);
        LoadConstant(offset, 64);
        _il.Emit(OpCodes.Add);
        _il.Emit(OpCodes.Conv_U);
    }

    private void EmitPacketLoad(OpcodeRow row, in Instruction instruction)
    {
        _frame.LoadState(this);
        if (row.Operation == Operation.LoadPacketIndirect)
        {
            Load32(instruction.Source);
            LoadConstant(instruction.Immediate, 32);
            _il.Emit(OpCodes.Add);
        }
        else
        {
            LoadConstant(instruction.Immediate, 32);
        }
        LoadConstant(row.Bits / 8, 32);
        CallSupport(nameof(CompiledCode.LoadPacket));
        var value = _il.DeclareLocal(typeof(long));
        var inside = _il.DefineLabel();
        _il.Emit(OpCodes.Stloc, value);
        _il.Emit(OpCodes.Ldloc, value);
        LoadConstant(0, 64);
        _il.Emit(OpCodes.Bge, inside);
        EmitReturnZero();
        _il.MarkLabel(inside);
        _il.Emit(OpCodes.Ldloc, value);
        Store64(0);
    }
}
