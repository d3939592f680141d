using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

// The loop: one function, from its first instruction to its exit. Callees are runs of their own.
public sealed unsafe partial class CheckedInterpreter
{
    private ulong RunFunction(int slot, int depth, ulong* r, int initialised)
    {
        var instructions = _spec.Instructions;
        while (true)
        {
            if ((uint)slot >= (uint)_rows.Length || _rows[slot] is not { } row)
                throw Fault("UB4014", slot, 0, (uint)slot >= (uint)_rows.Length ? "execution left the program" : "no instruction: an undefined opcode, or the second half of a 64-bit immediate");
            if (--_left < 0) throw Fault("UB4011", slot, 0, $"the budget of {InstructionBudget} instructions is used up");
            if (!_spec.Poisoned.IsEmpty && _spec.Poisoned.TryGetValue(slot, out var poison)) throw Fault("UB4014", slot, 0, poison);
            var instruction = instructions[slot];
            Observer?.Invoke(slot, depth, new ReadOnlySpan<ulong>(r, 11), initialised);
            int dst = instruction.Destination, src = instruction.Source;
            if (dst > 10 || (src > 10 && (row.Uses & OperandFields.Source) != 0)) throw Fault("UB4014", slot, 0, "there are registers r0 to r10");
            if (ReadsSource(row)) Need(slot, initialised, src);
            if (ReadsDestination(row)) Need(slot, initialised, dst);

            if (row.IsArithmetic)
            {
                if (dst == 10) throw Fault("UB4014", slot, 0, "r10 is read-only");
                var operand = row.Source == OperandSource.Register ? r[src] : (ulong)(long)instruction.Immediate;
                r[dst] = Compute(row, r[dst], operand);
                initialised |= 1 << dst;
                slot++;
                continue;
            }
            switch (row.Operation)
            {
                case Operation.LoadImmediate64:
                    if (slot + 1 >= instructions.Length) throw Fault("UB4014", slot, 0, "a 64-bit immediate is cut off");
                    r[dst] = Wide(slot, row, instruction, instructions[slot + 1]);
                    initialised |= 1 << dst;
                    slot += 2;
                    continue;
                case Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire:
                    r[dst] = Load(slot, row, r[src] + (ulong)(long)instruction.Offset, r[10]);
                    initialised |= 1 << dst;
                    break;
                case Operation.Store or Operation.StoreRelease:
                    Store(slot, row, r[dst] + (ulong)(long)instruction.Offset, row.Source == OperandSource.Register ? r[src] : (ulong)(long)instruction.Immediate, r[10]);
                    break;
                case >= Operation.AtomicAdd and <= Operation.AtomicCompareExchange:
                    if (row.Operation == Operation.AtomicCompareExchange) Need(slot, initialised, 0);
                    Atomic(slot, row, r[dst] + (ulong)(long)instruction.Offset, r, src);
                    break;
                case Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect:
                    {
                        var offset = row.Operation == Operation.LoadPacketAbsolute ? instruction.Immediate : (int)((uint)r[src] + (uint)instruction.Immediate);
                        if (offset < 0 || (ulong)(uint)offset + (uint)(row.Bits / 8) > _state->PacketLength)
                        {
                            _returnsValue = true;
                            return 0;
                        }

                        r[0] = Packet(_state->Packet + offset, row.Bits);
                        initialised = (initialised & ~0b111110) | 1;
                        break;
                    }
                case Operation.Jump:
                    slot += 1 + (row.IsLongJump ? instruction.Immediate : instruction.Offset);
                    continue;
                case Operation.MayGoto:
                    if (_state->LoopRounds <= 0)
                    {
                        slot += 1 + instruction.Offset;
                        continue;
                    }
                    _state->LoopRounds--;
                    slot++;
                    continue;
                case >= Operation.JumpEqual and <= Operation.JumpSignedLessOrEqual:
                    slot += Holds(row, r[dst], row.Source == OperandSource.Register ? r[src] : (ulong)(long)instruction.Immediate) ? 1 + instruction.Offset : 1;
                    continue;
                case Operation.CallSubprogram:
                    r[0] = CallSubprogram(slot, slot + 1 + instruction.Immediate, depth + 1, r, initialised);
                    initialised = (initialised & ~0b111111) | (_returnsValue ? 1 : 0);
                    break;
                case Operation.CallHelper or Operation.CallKfunc or Operation.CallRegister:
                    if (Call(slot, row, instruction, r, initialised) is { } ended) return ended;
                    initialised = (initialised & ~0b111110) | 1;
                    break;
                case Operation.Exit:
                    // A function of the program may return nothing; who reads r0 then is at fault.
                    if (depth == 0) Need(slot, initialised, 0);
                    _returnsValue = (initialised & 1) != 0;
                    return r[0];
                default:
                    throw Fault("UB4014", slot, 0, $"no code for {row.Operation}");
            }
            slot++;
        }
    }

    // Its own method: what is on the host's stack for the callee goes when it returns.
    private ulong CallSubprogram(int slot, int start, int depth, ulong* r, int initialised)
    {
        if (depth >= Limits.Frames) throw Fault("UB4013", slot, 0, $"the call would be frame {depth + 1} of {Limits.Frames}");
        var callee = stackalloc ulong[11];
        for (var i = 1; i <= 5; i++) callee[i] = r[i];
        callee[10] = r[10] - Limits.StackBytesPerFrame;
        _memory.EnterFrame(callee[10]);
        return RunFunction(start, depth, callee, (initialised & 0b111110) | 1 << 10);
    }

    private static void Need(int slot, int initialised, int register)
    {
        if ((initialised >> register & 1) == 0) throw Fault("UB4012", slot, 0, $"r{register} is read, and has no value here");
    }

    private static bool ReadsSource(OpcodeRow row) => (row.Uses & OperandFields.Source) != 0;

    private static bool ReadsDestination(OpcodeRow row) =>
        (row.Uses & OperandFields.Destination) != 0
        && row.Operation is not (Operation.Move or Operation.MoveSignExtend or Operation.LoadImmediate64 or Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire);

    private static ulong Compute(OpcodeRow row, ulong a, ulong b)
    {
        if (row.Operation is Operation.ToLittleEndian or Operation.ToBigEndian or Operation.ByteSwap)
        {
            var swap = row.Operation != Operation.ToLittleEndian;
            return row.Bits switch
            {
                16 => swap ? BinaryPrimitives.ReverseEndianness((ushort)a) : (ushort)a,
                32 => swap ? BinaryPrimitives.ReverseEndianness((uint)a) : (uint)a,
                _ => swap ? BinaryPrimitives.ReverseEndianness(a) : a,
            };
        }
        if (row.Operation == Operation.MoveSignExtend)
        {
            var extended = (ulong)(row.Bits switch { 8 => (sbyte)b, 16 => (short)b, _ => (long)(int)b });
            return row.Width == 64 ? extended : (uint)extended;
        }
        if (row.Width == 64)
        {
            return row.Operation switch
            {
                Operation.Add => a + b,
                Operation.Subtract => a - b,
                Operation.Multiply => a * b,
                Operation.Divide => Arithmetic.Divide(a, b),
                Operation.SignedDivide => Arithmetic.SignedDivide(a, b),
                Operation.Or => a | b,
                Operation.And => a & b,
                Operation.ShiftLeft => a << (int)(b & 63),
                Operation.ShiftRight => a >> (int)(b & 63),
                Operation.Negate => 0 - a,
                Operation.Modulo => Arithmetic.Modulo(a, b),
                Operation.SignedModulo => Arithmetic.SignedModulo(a, b),
                Operation.Xor => a ^ b,
                Operation.Move => b,
                _ => (ulong)((long)a >> (int)(b & 63)),
            };
        }
        uint x = (uint)a, y = (uint)b;
        return row.Operation switch
        {
            Operation.Add => x + y,
            Operation.Subtract => x - y,
            Operation.Multiply => x * y,
            Operation.Divide => Arithmetic.Divide(x, y),
            Operation.SignedDivide => Arithmetic.SignedDivide(x, y),
            Operation.Or => x | y,
            Operation.And => x & y,
            Operation.ShiftLeft => x << (int)(y & 31),
            Operation.ShiftRight => x >> (int)(y & 31),
            Operation.Negate => 0 - x,
            Operation.Modulo => Arithmetic.Modulo(x, y),
            Operation.SignedModulo => Arithmetic.SignedModulo(x, y),
            Operation.Xor => x ^ y,
            Operation.Move => y,
            _ => (uint)((int)x >> (int)(y & 31)),
        };
    }

    private static bool Holds(OpcodeRow row, ulong a, ulong b)
    {
        if (row.Width == 32)
        {
            // Sign-extended, signed comparisons of the halves are those of the whole; zero-extended, the unsigned ones.
            var signed = row.Operation is Operation.JumpSignedGreater or Operation.JumpSignedGreaterOrEqual or Operation.JumpSignedLess or Operation.JumpSignedLessOrEqual;
            a = signed ? (ulong)(int)a : (uint)a;
            b = signed ? (ulong)(int)b : (uint)b;
        }
        return row.Operation switch
        {
            Operation.JumpEqual => a == b,
            Operation.JumpGreater => a > b,
            Operation.JumpGreaterOrEqual => a >= b,
            Operation.JumpSet => (a & b) != 0,
            Operation.JumpNotEqual => a != b,
            Operation.JumpSignedGreater => (long)a > (long)b,
            Operation.JumpSignedGreaterOrEqual => (long)a >= (long)b,
            Operation.JumpLess => a < b,
            Operation.JumpLessOrEqual => a <= b,
            Operation.JumpSignedLess => (long)a < (long)b,
            _ => (long)a <= (long)b,
        };
    }

    private ulong Wide(int slot, OpcodeRow row, in Instruction instruction, in Instruction next)
    {
        switch (row.Wide)
        {
            case WideKind.Number:
                return (ulong)instruction.WideImmediate(next);
            case WideKind.MapIndex or WideKind.MapValueIndex when (uint)instruction.Immediate < (uint)_spec.Maps.Length:
                var header = _maps[_spec.Maps[instruction.Immediate]].Header;
                return row.Wide == WideKind.MapIndex ? (ulong)header : (ulong)header->Data + (ulong)(long)next.Immediate;
            case WideKind.Function:
                for (var i = 0; i < _callbackCount; i++)
                {
                    if (_callbacks[i].Start == slot + 1 + instruction.Immediate) return (ulong)(_callbacks + i);
                }
                break;
        }
        throw Fault("UB4014", slot, 0, $"a 64-bit immediate of kind {row.Wide} names nothing here");
    }

    // Where an access really goes. Of a context struct only the fields may be touched, and where the host lays one out
    // elsewhere the program's offset becomes the host's; null when the address is not in the context.
    private ContextField? Field(int slot, ulong address, int bytes, bool writes)
    {
        var offset = address - (ulong)_state->Context;
        if (_layout.IsFlat || offset >= (ulong)_layout.Size) return null;
        if (_layout.Find((long)offset, bytes) is not { } field)
            throw Fault("UB4010", slot, address, $"{bytes} bytes at context +{offset}, which is in no field of {_layout.StructName}");
        if (writes && field.Access == FieldAccess.Read)
            throw Fault("UB4010", slot, address, $"writes to {field.Name} of the context, which is read-only");
        return field;
    }

    private ulong Load(int slot, OpcodeRow row, ulong address, ulong frame)
    {
        if (Field(slot, address, row.AccessBytes, writes: false) is { } field)
        {
            address += (ulong)(field.HostOffset - field.Offset);
            if (field.Kind is ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd) return *(ulong*)address;
        }
        else if (_memory.CheckRead(address, (ulong)row.AccessBytes, frame) is { } wrong)
        {
            throw Fault("UB4010", slot, address, wrong);
        }
        if (row.Operation == Operation.LoadSignExtend)
            return (ulong)(row.Bits switch { 8 => *(sbyte*)address, 16 => *(short*)address, _ => (long)*(int*)address });
        if (row.Operation == Operation.LoadAcquire)
            return row.Bits switch { 8 => Volatile.Read(ref *(byte*)address), 16 => Volatile.Read(ref *(ushort*)address), 32 => Volatile.Read(ref *(uint*)address), _ => Volatile.Read(ref *(ulong*)address) };
        return row.Bits switch { 8 => *(byte*)address, 16 => *(ushort*)address, 32 => *(uint*)address, _ => *(ulong*)address };
    }

    private void Store(int slot, OpcodeRow row, ulong address, ulong value, ulong frame)
    {
        if (Field(slot, address, row.AccessBytes, writes: true) is { } field) address += (ulong)(field.HostOffset - field.Offset);
        else if (_memory.CheckWrite(address, (ulong)row.AccessBytes, frame) is { } wrong) throw Fault("UB4010", slot, address, wrong);
        if (row.Operation == Operation.StoreRelease) Volatile.WriteBarrier();
        switch (row.Bits)
        {
            case 8: *(byte*)address = (byte)value; break;
            case 16: *(ushort*)address = (ushort)value; break;
            case 32: *(uint*)address = (uint)value; break;
            default: *(ulong*)address = value; break;
        }
        _memory.Written(address, (ulong)row.AccessBytes);
    }

    private void Atomic(int slot, OpcodeRow row, ulong address, ulong* r, int src)
    {
        var bytes = (ulong)row.AccessBytes;
        if (address % bytes != 0) throw Fault("UB4010", slot, address, $"an atomic operation on {bytes} bytes at an address that is no multiple of {bytes}");
        if ((_memory.CheckRead(address, bytes, r[10]) ?? _memory.CheckWrite(address, bytes, r[10])) is { } wrong) throw Fault("UB4010", slot, address, wrong);
        if (row.Bits == 64)
        {
            ref var target = ref *(ulong*)address;
            switch (row.Operation)
            {
                case Operation.AtomicAdd: Interlocked.Add(ref target, r[src]); break;
                case Operation.AtomicOr: Arithmetic.FetchOr(ref target, r[src]); break;
                case Operation.AtomicAnd: Arithmetic.FetchAnd(ref target, r[src]); break;
                case Operation.AtomicXor: Arithmetic.FetchXor(ref target, r[src]); break;
                case Operation.AtomicFetchAdd: r[src] = Arithmetic.FetchAdd(ref target, r[src]); break;
                case Operation.AtomicFetchOr: r[src] = Arithmetic.FetchOr(ref target, r[src]); break;
                case Operation.AtomicFetchAnd: r[src] = Arithmetic.FetchAnd(ref target, r[src]); break;
                case Operation.AtomicFetchXor: r[src] = Arithmetic.FetchXor(ref target, r[src]); break;
                case Operation.AtomicExchange: r[src] = Interlocked.Exchange(ref target, r[src]); break;
                default: r[0] = Interlocked.CompareExchange(ref target, r[src], r[0]); break;
            }
        }
        else
        {
            ref var target = ref *(uint*)address;
            var value = (uint)r[src];
            switch (row.Operation)
            {
                case Operation.AtomicAdd: Interlocked.Add(ref target, value); break;
                case Operation.AtomicOr: Arithmetic.FetchOr(ref target, value); break;
                case Operation.AtomicAnd: Arithmetic.FetchAnd(ref target, value); break;
                case Operation.AtomicXor: Arithmetic.FetchXor(ref target, value); break;
                case Operation.AtomicFetchAdd: r[src] = Arithmetic.FetchAdd(ref target, value); break;
                case Operation.AtomicFetchOr: r[src] = Arithmetic.FetchOr(ref target, value); break;
                case Operation.AtomicFetchAnd: r[src] = Arithmetic.FetchAnd(ref target, value); break;
                case Operation.AtomicFetchXor: r[src] = Arithmetic.FetchXor(ref target, value); break;
                case Operation.AtomicExchange: r[src] = Interlocked.Exchange(ref target, value); break;
                default: r[0] = Interlocked.CompareExchange(ref target, value, (uint)r[0]); break;
            }
        }
    }

    private static ulong Packet(byte* address, int bits) => bits switch
    {
        8 => *address,
        16 => (uint)(address[0] << 8 | address[1]),
        _ => BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(address)),
    };
}
