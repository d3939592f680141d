using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

// The loop: one function, from its first instruction to its exit. Callees are runs of their own.
public sealed unsafe partial class CheckedInterpreter
{
    // Whether someone follows the run: asked once, so that nobody's absence costs nothing at each instruction.
    private interface IFollowed
    {
        static abstract bool Yes { get; }
    }

    private struct Followed : IFollowed
    {
        public static bool Yes => true;
    }

    private struct Alone : IFollowed
    {
        public static bool Yes => false;
    }

    private ulong RunFunction(int slot, ulong* r, int initialised) => Observer == null ? RunFunction<Alone>(slot, r, initialised) : RunFunction<Followed>(slot, r, initialised);

    // Frames of the run above this one's.
    private int Depth(ulong* r) => (int)(((ulong)_state->StackTop - r[10]) / Limits.StackBytesPerFrame);

    private ulong RunFunction<TFollowed>(int slot, ulong* r, int initialised) where TFollowed : IFollowed
    {
        if ((uint)slot >= (uint)_rows.Length) throw Stop(slot, _left);
        // What each instruction needs is these, the registers and what is initialised: as much as the machine's registers hold.
        var step = _code + slot;
        var stack = _memory.View(r[10]);
        // Kept here while no call and no fault needs it.
        var left = _left;
        while (true)
        {
            if (left <= 0) throw Stop(SlotOf(step), left);
            left--;
            if (TFollowed.Yes && step->Code != Code.Invalid) Observer!(SlotOf(step), Depth(r), new ReadOnlySpan<ulong>(r, 11), initialised);
            if ((step->Reads & ~initialised) != 0) throw Unread(SlotOf(step), left, initialised);
            ulong a = r[step->Dst], b = step->Operand(r), address;
            switch (step->Code)
            {
                case Code.Add64 or Code.Add64Imm: a += b; break;
                case Code.Add32 or Code.Add32Imm: a = (uint)((uint)a + (uint)b); break;
                case Code.Subtract64 or Code.Subtract64Imm: a -= b; break;
                case Code.Subtract32 or Code.Subtract32Imm: a = (uint)((uint)a - (uint)b); break;
                case Code.Multiply64 or Code.Multiply64Imm: a *= b; break;
                case Code.Multiply32 or Code.Multiply32Imm: a = (uint)((uint)a * (uint)b); break;
                case Code.Or64 or Code.Or64Imm: a |= b; break;
                case Code.Or32 or Code.Or32Imm: a = (uint)a | (uint)b; break;
                case Code.And64 or Code.And64Imm: a &= b; break;
                case Code.And32 or Code.And32Imm: a = (uint)a & (uint)b; break;
                case Code.Xor64 or Code.Xor64Imm: a ^= b; break;
                case Code.Xor32 or Code.Xor32Imm: a = (uint)a ^ (uint)b; break;
                case Code.Move64 or Code.Move64Imm: a = b; break;
                case Code.Move32 or Code.Move32Imm: a = (uint)b; break;
                case Code.Divide64 or Code.Divide64Imm: a = Arithmetic.Divide(a, b); break;
                case Code.Divide32 or Code.Divide32Imm: a = Arithmetic.Divide((uint)a, (uint)b); break;
                case Code.Modulo64 or Code.Modulo64Imm: a = Arithmetic.Modulo(a, b); break;
                case Code.Modulo32 or Code.Modulo32Imm: a = Arithmetic.Modulo((uint)a, (uint)b); break;
                case Code.SignedDivide64 or Code.SignedDivide64Imm: a = Arithmetic.SignedDivide(a, b); break;
                case Code.SignedDivide32 or Code.SignedDivide32Imm: a = Arithmetic.SignedDivide((uint)a, (uint)b); break;
                case Code.SignedModulo64 or Code.SignedModulo64Imm: a = Arithmetic.SignedModulo(a, b); break;
                case Code.SignedModulo32 or Code.SignedModulo32Imm: a = Arithmetic.SignedModulo((uint)a, (uint)b); break;
                case Code.ShiftLeft64 or Code.ShiftLeft64Imm: a <<= (int)(b & 63); break;
                case Code.ShiftLeft32 or Code.ShiftLeft32Imm: a = (uint)a << (int)(b & 31); break;
                case Code.ShiftRight64 or Code.ShiftRight64Imm: a >>= (int)(b & 63); break;
                case Code.ShiftRight32 or Code.ShiftRight32Imm: a = (uint)a >> (int)(b & 31); break;
                case Code.ShiftRightArithmetic64 or Code.ShiftRightArithmetic64Imm: a = (ulong)((long)a >> (int)(b & 63)); break;
                case Code.ShiftRightArithmetic32 or Code.ShiftRightArithmetic32Imm: a = (uint)((int)a >> (int)(b & 31)); break;
                case Code.Negate64: a = 0 - a; break;
                case Code.Negate32: a = (uint)(0 - a); break;
                case Code.SignExtend8To64: a = (ulong)(sbyte)b; break;
                case Code.SignExtend8To32: a = (uint)(sbyte)b; break;
                case Code.SignExtend16To64: a = (ulong)(short)b; break;
                case Code.SignExtend16To32: a = (uint)(short)b; break;
                case Code.SignExtend32To64: a = (ulong)(int)b; break;
                case Code.Truncate16: a = (ushort)a; break;
                case Code.Truncate32: a = (uint)a; break;
                case Code.Swap16: a = BinaryPrimitives.ReverseEndianness((ushort)a); break;
                case Code.Swap32: a = BinaryPrimitives.ReverseEndianness((uint)a); break;
                case Code.Swap64: a = BinaryPrimitives.ReverseEndianness(a); break;
                case Code.Load8: address = b + (ulong)step->Offset; if (!_memory.MayRead<byte>(address, stack)) goto Load; a = *(byte*)address; break;
                case Code.Load16: address = b + (ulong)step->Offset; if (!_memory.MayRead<ushort>(address, stack)) goto Load; a = *(ushort*)address; break;
                case Code.Load32: address = b + (ulong)step->Offset; if (!_memory.MayRead<uint>(address, stack)) goto Load; a = *(uint*)address; break;
                case Code.Load64: address = b + (ulong)step->Offset; if (!_memory.MayRead<ulong>(address, stack)) goto Load; a = *(ulong*)address; break;
                case Code.LoadSigned8: address = b + (ulong)step->Offset; if (!_memory.MayRead<byte>(address, stack)) goto Load; a = (ulong)*(sbyte*)address; break;
                case Code.LoadSigned16: address = b + (ulong)step->Offset; if (!_memory.MayRead<ushort>(address, stack)) goto Load; a = (ulong)*(short*)address; break;
                case Code.LoadSigned32: address = b + (ulong)step->Offset; if (!_memory.MayRead<uint>(address, stack)) goto Load; a = (ulong)*(int*)address; break;
                case Code.LoadAcquire8: address = b + (ulong)step->Offset; if (!_memory.MayRead<byte>(address, stack)) goto Load; a = Volatile.Read(ref *(byte*)address); break;
                case Code.LoadAcquire16: address = b + (ulong)step->Offset; if (!_memory.MayRead<ushort>(address, stack)) goto Load; a = Volatile.Read(ref *(ushort*)address); break;
                case Code.LoadAcquire32: address = b + (ulong)step->Offset; if (!_memory.MayRead<uint>(address, stack)) goto Load; a = Volatile.Read(ref *(uint*)address); break;
                case Code.LoadAcquire64: address = b + (ulong)step->Offset; if (!_memory.MayRead<ulong>(address, stack)) goto Load; a = Volatile.Read(ref *(ulong*)address); break;
                case Code.Store8 or Code.Store8Imm: address = a + (ulong)step->Offset; if (!_memory.MayWrite<byte>(address, stack)) goto Store; *(byte*)address = (byte)b; break;
                case Code.Store16 or Code.Store16Imm: address = a + (ulong)step->Offset; if (!_memory.MayWrite<ushort>(address, stack)) goto Store; *(ushort*)address = (ushort)b; break;
                case Code.Store32 or Code.Store32Imm: address = a + (ulong)step->Offset; if (!_memory.MayWrite<uint>(address, stack)) goto Store; *(uint*)address = (uint)b; break;
                case Code.Store64 or Code.Store64Imm: address = a + (ulong)step->Offset; if (!_memory.MayWrite<ulong>(address, stack)) goto Store; *(ulong*)address = b; break;
                case Code.StoreRelease8: address = a + (ulong)step->Offset; if (!_memory.MayWrite<byte>(address, stack)) goto Store; Volatile.Write(ref *(byte*)address, (byte)b); break;
                case Code.StoreRelease16: address = a + (ulong)step->Offset; if (!_memory.MayWrite<ushort>(address, stack)) goto Store; Volatile.Write(ref *(ushort*)address, (ushort)b); break;
                case Code.StoreRelease32: address = a + (ulong)step->Offset; if (!_memory.MayWrite<uint>(address, stack)) goto Store; Volatile.Write(ref *(uint*)address, (uint)b); break;
                case Code.StoreRelease64: address = a + (ulong)step->Offset; if (!_memory.MayWrite<ulong>(address, stack)) goto Store; Volatile.Write(ref *(ulong*)address, b); break;
                case Code.JumpEqual64 or Code.JumpEqual64Imm: if (a == b) goto Jump; goto Next;
                case Code.JumpNotEqual64 or Code.JumpNotEqual64Imm: if (a != b) goto Jump; goto Next;
                case Code.JumpGreater64 or Code.JumpGreater64Imm: if (a > b) goto Jump; goto Next;
                case Code.JumpSignedGreater64 or Code.JumpSignedGreater64Imm: if ((long)a > (long)b) goto Jump; goto Next;
                case Code.JumpGreaterOrEqual64 or Code.JumpGreaterOrEqual64Imm: if (a >= b) goto Jump; goto Next;
                case Code.JumpSignedGreaterOrEqual64 or Code.JumpSignedGreaterOrEqual64Imm: if ((long)a >= (long)b) goto Jump; goto Next;
                case Code.JumpLess64 or Code.JumpLess64Imm: if (a < b) goto Jump; goto Next;
                case Code.JumpSignedLess64 or Code.JumpSignedLess64Imm: if ((long)a < (long)b) goto Jump; goto Next;
                case Code.JumpLessOrEqual64 or Code.JumpLessOrEqual64Imm: if (a <= b) goto Jump; goto Next;
                case Code.JumpSignedLessOrEqual64 or Code.JumpSignedLessOrEqual64Imm: if ((long)a <= (long)b) goto Jump; goto Next;
                case Code.JumpSet64 or Code.JumpSet64Imm: if ((a & b) != 0) goto Jump; goto Next;
                case Code.JumpEqual32 or Code.JumpEqual32Imm: if ((uint)a == (uint)b) goto Jump; goto Next;
                case Code.JumpNotEqual32 or Code.JumpNotEqual32Imm: if ((uint)a != (uint)b) goto Jump; goto Next;
                case Code.JumpGreater32 or Code.JumpGreater32Imm: if ((uint)a > (uint)b) goto Jump; goto Next;
                case Code.JumpSignedGreater32 or Code.JumpSignedGreater32Imm: if ((int)a > (int)b) goto Jump; goto Next;
                case Code.JumpGreaterOrEqual32 or Code.JumpGreaterOrEqual32Imm: if ((uint)a >= (uint)b) goto Jump; goto Next;
                case Code.JumpSignedGreaterOrEqual32 or Code.JumpSignedGreaterOrEqual32Imm: if ((int)a >= (int)b) goto Jump; goto Next;
                case Code.JumpLess32 or Code.JumpLess32Imm: if ((uint)a < (uint)b) goto Jump; goto Next;
                case Code.JumpSignedLess32 or Code.JumpSignedLess32Imm: if ((int)a < (int)b) goto Jump; goto Next;
                case Code.JumpLessOrEqual32 or Code.JumpLessOrEqual32Imm: if ((uint)a <= (uint)b) goto Jump; goto Next;
                case Code.JumpSignedLessOrEqual32 or Code.JumpSignedLessOrEqual32Imm: if ((int)a <= (int)b) goto Jump; goto Next;
                case Code.JumpSet32 or Code.JumpSet32Imm: if (((uint)(a & b)) != 0) goto Jump; goto Next;
                case Code.Jump: goto Jump;
                case Code.Invalid: throw Stop(SlotOf(step), left + 1);
                // One by one: a range would make two tables of the switch.
                case Code.AtomicAdd32 or Code.AtomicFetchAdd32 or Code.AtomicOr32 or Code.AtomicFetchOr32 or Code.AtomicAnd32
                    or Code.AtomicFetchAnd32 or Code.AtomicXor32 or Code.AtomicFetchXor32 or Code.AtomicExchange32 or Code.AtomicCompareExchange32
                    or Code.AtomicAdd64 or Code.AtomicFetchAdd64 or Code.AtomicOr64 or Code.AtomicFetchOr64 or Code.AtomicAnd64
                    or Code.AtomicFetchAnd64 or Code.AtomicXor64 or Code.AtomicFetchXor64 or Code.AtomicExchange64 or Code.AtomicCompareExchange64:
                    _left = left;
                    slot = SlotOf(step);
                    Atomic(slot, _rows[slot]!, a + (ulong)step->Offset, r, step->Src);
                    initialised |= step->Writes;
                    goto Next;
                case Code.LoadWide:
                    _left = left;
                    r[step->Dst] = step->FromRegister == 0 ? (ulong)step->Immediate : Wide(SlotOf(step));
                    initialised |= step->Writes;
                    step += 2;
                    continue;
                case Code.LoadPacketAbsolute or Code.LoadPacketIndirect:
                    if (LoadPacket(SlotOf(step), r) is { } packet)
                    {
                        r[0] = packet;
                        initialised = (initialised & ~0b111110) | 1;
                        goto Next;
                    }
                    _left = left;
                    _returnsValue = true;
                    return 0;
                case Code.MayGoto:
                    if (_state->LoopRounds <= 0) goto Jump;
                    _state->LoopRounds--;
                    goto Next;
                case Code.CallSubprogram:
                    _left = left;
                    slot = SlotOf(step);
                    r[0] = CallSubprogram(slot, slot + 1 + step->Offset, r, initialised);
                    left = _left;
                    initialised = (initialised & ~0b111111) | (_returnsValue ? 1 : 0);
                    goto Next;
                case Code.CallRegister:
                    _left = left;
                    slot = SlotOf(step);
                    if (Call(slot, _rows[slot]!, _spec.Instructions[slot], r, initialised) is { } ended) return ended;
                    left = _left;
                    initialised = (initialised & ~0b111110) | 1;
                    goto Next;
                case Code.Exit:
                    _left = left;
                    // A function of the program may return nothing; who reads r0 then is at fault.
                    if (Depth(r) == 0) Need(SlotOf(step), initialised, 0);
                    _returnsValue = (initialised & 1) != 0;
                    return r[0];
                default:
                    _left = left;
                    throw Fault("UB4014", SlotOf(step), 0, $"no code for {step->Code}");
            }
        Write:
            r[step->Dst] = a;
            initialised |= step->Writes;
        Next:
            step++;
            continue;
        Jump:
            step += 1 + (long)step->Offset;
            if ((ulong)((byte*)step - (byte*)_code) >= _codeBytes) throw Stop(SlotOf(step), left);
            continue;
            // A quick look did not allow the access.
        Load:
            _left = left;
            slot = SlotOf(step);
            a = Load(slot, _rows[slot]!, address, r[10]);
            goto Write;
        Store:
            _left = left;
            slot = SlotOf(step);
            Store(slot, _rows[slot]!, address, b, r[10]);
            goto Next;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int SlotOf(CheckedInstruction* step) => (int)(step - _code);

    // Why the run can't go on at a slot, whatever the registers hold.
    private CheckedFaultException Stop(int slot, long left)
    {
        _left = left;
        if ((uint)slot >= (uint)_rows.Length) return Fault("UB4014", slot, 0, "execution left the program");
        if (_rows[slot] is not { } row) return Fault("UB4014", slot, 0, "no instruction: an undefined opcode, or the second half of a 64-bit immediate");
        if (left <= 0) return Fault("UB4011", slot, 0, $"the budget of {InstructionBudget} instructions is used up");
        _left--;
        if (_spec.Poisoned.TryGetValue(slot, out var poison)) return Fault("UB4014", slot, 0, poison);
        var instruction = _spec.Instructions[slot];
        var writesFramePointer = instruction is { Destination: <= 10 } && ((row.Uses & OperandFields.Source) == 0 || instruction.Source <= 10);
        return Fault("UB4014", slot, 0, writesFramePointer ? "r10 is read-only" : "there are registers r0 to r10");
    }

    private CheckedFaultException Unread(int slot, long left, int initialised)
    {
        _left = left;
        return Unread(slot, BitOperations.TrailingZeroCount(_code[slot].Reads & ~initialised));
    }

    // Its own method: what is on the host's stack for the callee goes when it returns.
    private ulong CallSubprogram(int slot, int start, ulong* r, int initialised)
    {
        var depth = Depth(r) + 1;
        if (depth >= Limits.Frames) throw Fault("UB4013", slot, 0, $"the call would be frame {depth + 1} of {Limits.Frames}");
        var callee = stackalloc ulong[11];
        for (var i = 1; i <= 5; i++) callee[i] = r[i];
        callee[10] = r[10] - Limits.StackBytesPerFrame;
        _memory.EnterFrame(callee[10]);
        return RunFunction(start, callee, (initialised & 0b111110) | 1 << 10);
    }

    private static void Need(int slot, int initialised, int register)
    {
        if ((initialised >> register & 1) == 0) throw Unread(slot, register);
    }

    private static CheckedFaultException Unread(int slot, int register) => Fault("UB4012", slot, 0, $"r{register} is read, and has no value here");

    // What a wide immediate names beside numbers stays where it is, so the next run finds a number.
    private ulong Wide(int slot)
    {
        if (slot + 1 >= _rows.Length) throw Fault("UB4014", slot, 0, "a 64-bit immediate is cut off");
        var named = Named(slot, _rows[slot]!.Wide, _spec.Instructions[slot].Immediate, _spec.Instructions[slot + 1].Immediate);
        _code[slot].Immediate = (long)named;
        _code[slot].FromRegister = 0;
        return named;
    }

    private ulong Named(int slot, WideKind kind, int immediate, int next)
    {
        switch (kind)
        {
            case WideKind.MapIndex or WideKind.MapValueIndex when (uint)immediate < (uint)_spec.Maps.Length:
                var header = _maps[_spec.Maps[immediate]].Header;
                return kind == WideKind.MapIndex ? (ulong)header : (ulong)header->Data + (ulong)(long)next;
            case WideKind.Function:
                for (var i = 0; i < _callbackCount; i++)
                {
                    if (_callbacks[i].Start == slot + 1 + immediate) return (ulong)(_callbacks + i);
                }
                break;
        }
        throw Fault("UB4014", slot, 0, $"a 64-bit immediate of kind {kind} names nothing here");
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

    // Null when it reads past the packet's end, which ends the program.
    private ulong? LoadPacket(int slot, ulong* r)
    {
        var row = _rows[slot]!;
        var instruction = _spec.Instructions[slot];
        var offset = row.Operation == Operation.LoadPacketAbsolute ? instruction.Immediate : (int)((uint)r[instruction.Source] + (uint)instruction.Immediate);
        if (offset < 0 || (ulong)(uint)offset + (uint)(row.Bits / 8) > _state->PacketLength) return null;
        var address = _state->Packet + offset;
        return row.Bits switch
        {
            8 => *address,
            16 => (uint)(address[0] << 8 | address[1]),
            _ => BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(address)),
        };
    }
}
