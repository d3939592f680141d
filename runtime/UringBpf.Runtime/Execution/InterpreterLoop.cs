using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Says whether a program is metered, as a type: the loop is compiled once for each, and the proved one pays nothing.</summary>
internal interface IMetering
{
    static abstract bool Metered { get; }
}

internal readonly struct Proved : IMetering
{
    public static bool Metered => false;
}

internal readonly struct Metered : IMetering
{
    static bool IMetering.Metered => true;
}

/// <summary>The fast interpreter's loop. It checks nothing: only verified programs come here.</summary>
internal static unsafe class InterpreterLoop<TMetering> where TMetering : struct, IMetering
{
    // Registers of one frame; r0..r10, padded so that frames are two cache lines apart.
    private const int FrameRegisters = 16;

    /// <summary>Runs from an instruction to the exit of its function.</summary>
    /// <param name="start">The function's first instruction.</param>
    /// <param name="r1">First argument.</param>
    /// <param name="r2">Second.</param>
    /// <param name="r3">Third.</param>
    /// <param name="r4">Fourth.</param>
    /// <param name="frame">r10.</param>
    /// <param name="state">The run's state.</param>
    [SkipLocalsInit]
    public static ulong Run(DecodedInstruction* start, ulong r1, ulong r2, ulong r3, ulong r4, byte* frame, ExecutionState* state)
    {
        var registers = stackalloc ulong[FrameRegisters * Limits.Frames];
        var returns = stackalloc DecodedInstruction*[Limits.Frames];
        var depth = 0;
        var r = registers;
        r[1] = r1;
        r[2] = r2;
        r[3] = r3;
        r[4] = r4;
        r[10] = (ulong)frame;
        var i = start;
        while (true)
        {
            switch (i->Code)
            {
                case Code.Add64: r[i->Dst] += r[i->Src]; i++; continue;
                case Code.Add64Imm: r[i->Dst] += (ulong)i->Immediate; i++; continue;
                case Code.Add32: r[i->Dst] = (uint)((uint)r[i->Dst] + (uint)r[i->Src]); i++; continue;
                case Code.Add32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] + (uint)i->Immediate); i++; continue;
                case Code.Subtract64: r[i->Dst] -= r[i->Src]; i++; continue;
                case Code.Subtract64Imm: r[i->Dst] -= (ulong)i->Immediate; i++; continue;
                case Code.Subtract32: r[i->Dst] = (uint)((uint)r[i->Dst] - (uint)r[i->Src]); i++; continue;
                case Code.Subtract32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] - (uint)i->Immediate); i++; continue;
                case Code.Multiply64: r[i->Dst] *= r[i->Src]; i++; continue;
                case Code.Multiply64Imm: r[i->Dst] *= (ulong)i->Immediate; i++; continue;
                case Code.Multiply32: r[i->Dst] = (uint)((uint)r[i->Dst] * (uint)r[i->Src]); i++; continue;
                case Code.Multiply32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] * (uint)i->Immediate); i++; continue;
                case Code.Or64: r[i->Dst] |= r[i->Src]; i++; continue;
                case Code.Or64Imm: r[i->Dst] |= (ulong)i->Immediate; i++; continue;
                case Code.Or32: r[i->Dst] = (uint)r[i->Dst] | (uint)r[i->Src]; i++; continue;
                case Code.Or32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] | (uint)i->Immediate); i++; continue;
                case Code.And64: r[i->Dst] &= r[i->Src]; i++; continue;
                case Code.And64Imm: r[i->Dst] &= (ulong)i->Immediate; i++; continue;
                case Code.And32: r[i->Dst] = (uint)r[i->Dst] & (uint)r[i->Src]; i++; continue;
                case Code.And32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] & (uint)i->Immediate); i++; continue;
                case Code.Xor64: r[i->Dst] ^= r[i->Src]; i++; continue;
                case Code.Xor64Imm: r[i->Dst] ^= (ulong)i->Immediate; i++; continue;
                case Code.Xor32: r[i->Dst] = (uint)r[i->Dst] ^ (uint)r[i->Src]; i++; continue;
                case Code.Xor32Imm: r[i->Dst] = (uint)((uint)r[i->Dst] ^ (uint)i->Immediate); i++; continue;
                case Code.Move64: r[i->Dst] = r[i->Src]; i++; continue;
                case Code.Move64Imm: r[i->Dst] = (ulong)i->Immediate; i++; continue;
                case Code.Move32: r[i->Dst] = (uint)r[i->Src]; i++; continue;
                case Code.Move32Imm: r[i->Dst] = (uint)i->Immediate; i++; continue;
                case Code.Divide64: r[i->Dst] = Arithmetic.Divide(r[i->Dst], r[i->Src]); i++; continue;
                case Code.Divide64Imm: r[i->Dst] = Arithmetic.Divide(r[i->Dst], (ulong)i->Immediate); i++; continue;
                case Code.Divide32: r[i->Dst] = Arithmetic.Divide((uint)r[i->Dst], (uint)r[i->Src]); i++; continue;
                case Code.Divide32Imm: r[i->Dst] = Arithmetic.Divide((uint)r[i->Dst], (uint)i->Immediate); i++; continue;
                case Code.Modulo64: r[i->Dst] = Arithmetic.Modulo(r[i->Dst], r[i->Src]); i++; continue;
                case Code.Modulo64Imm: r[i->Dst] = Arithmetic.Modulo(r[i->Dst], (ulong)i->Immediate); i++; continue;
                case Code.Modulo32: r[i->Dst] = Arithmetic.Modulo((uint)r[i->Dst], (uint)r[i->Src]); i++; continue;
                case Code.Modulo32Imm: r[i->Dst] = Arithmetic.Modulo((uint)r[i->Dst], (uint)i->Immediate); i++; continue;
                case Code.SignedDivide64: r[i->Dst] = Arithmetic.SignedDivide(r[i->Dst], r[i->Src]); i++; continue;
                case Code.SignedDivide64Imm: r[i->Dst] = Arithmetic.SignedDivide(r[i->Dst], (ulong)i->Immediate); i++; continue;
                case Code.SignedDivide32: r[i->Dst] = Arithmetic.SignedDivide((uint)r[i->Dst], (uint)r[i->Src]); i++; continue;
                case Code.SignedDivide32Imm: r[i->Dst] = Arithmetic.SignedDivide((uint)r[i->Dst], (uint)i->Immediate); i++; continue;
                case Code.SignedModulo64: r[i->Dst] = Arithmetic.SignedModulo(r[i->Dst], r[i->Src]); i++; continue;
                case Code.SignedModulo64Imm: r[i->Dst] = Arithmetic.SignedModulo(r[i->Dst], (ulong)i->Immediate); i++; continue;
                case Code.SignedModulo32: r[i->Dst] = Arithmetic.SignedModulo((uint)r[i->Dst], (uint)r[i->Src]); i++; continue;
                case Code.SignedModulo32Imm: r[i->Dst] = Arithmetic.SignedModulo((uint)r[i->Dst], (uint)i->Immediate); i++; continue;
                case Code.ShiftLeft64: r[i->Dst] <<= (int)r[i->Src]; i++; continue;
                case Code.ShiftLeft64Imm: r[i->Dst] <<= (int)i->Immediate; i++; continue;
                case Code.ShiftLeft32: r[i->Dst] = (uint)r[i->Dst] << (int)r[i->Src]; i++; continue;
                case Code.ShiftLeft32Imm: r[i->Dst] = (uint)r[i->Dst] << (int)i->Immediate; i++; continue;
                case Code.ShiftRight64: r[i->Dst] >>= (int)r[i->Src]; i++; continue;
                case Code.ShiftRight64Imm: r[i->Dst] >>= (int)i->Immediate; i++; continue;
                case Code.ShiftRight32: r[i->Dst] = (uint)r[i->Dst] >> (int)r[i->Src]; i++; continue;
                case Code.ShiftRight32Imm: r[i->Dst] = (uint)r[i->Dst] >> (int)i->Immediate; i++; continue;
                case Code.ShiftRightArithmetic64: r[i->Dst] = (ulong)((long)r[i->Dst] >> (int)r[i->Src]); i++; continue;
                case Code.ShiftRightArithmetic64Imm: r[i->Dst] = (ulong)((long)r[i->Dst] >> (int)i->Immediate); i++; continue;
                case Code.ShiftRightArithmetic32: r[i->Dst] = (uint)((int)r[i->Dst] >> (int)r[i->Src]); i++; continue;
                case Code.ShiftRightArithmetic32Imm: r[i->Dst] = (uint)((int)r[i->Dst] >> (int)i->Immediate); i++; continue;
                case Code.Negate64: r[i->Dst] = 0 - r[i->Dst]; i++; continue;
                case Code.Negate32: r[i->Dst] = 0 - (uint)r[i->Dst]; i++; continue;
                case Code.SignExtend8To64: r[i->Dst] = (ulong)(sbyte)r[i->Src]; i++; continue;
                case Code.SignExtend8To32: r[i->Dst] = (uint)(sbyte)r[i->Src]; i++; continue;
                case Code.SignExtend16To64: r[i->Dst] = (ulong)(short)r[i->Src]; i++; continue;
                case Code.SignExtend16To32: r[i->Dst] = (uint)(short)r[i->Src]; i++; continue;
                case Code.SignExtend32To64: r[i->Dst] = (ulong)(int)r[i->Src]; i++; continue;
                case Code.Truncate16: r[i->Dst] = (ushort)r[i->Dst]; i++; continue;
                case Code.Truncate32: r[i->Dst] = (uint)r[i->Dst]; i++; continue;
                case Code.Swap16: r[i->Dst] = BinaryPrimitives.ReverseEndianness((ushort)r[i->Dst]); i++; continue;
                case Code.Swap32: r[i->Dst] = BinaryPrimitives.ReverseEndianness((uint)r[i->Dst]); i++; continue;
                case Code.Swap64: r[i->Dst] = BinaryPrimitives.ReverseEndianness((ulong)r[i->Dst]); i++; continue;
                case Code.LoadWide: r[i->Dst] = (ulong)i->Immediate; i += 2; continue;
                case Code.Load8: r[i->Dst] = *(byte*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.Store8: *(byte*)(r[i->Dst] + (ulong)i->Offset) = (byte)r[i->Src]; i++; continue;
                case Code.Store8Imm: *(byte*)(r[i->Dst] + (ulong)i->Offset) = (byte)i->Immediate; i++; continue;
                case Code.LoadAcquire8: r[i->Dst] = Volatile.Read(ref *(byte*)(r[i->Src] + (ulong)i->Offset)); i++; continue;
                case Code.StoreRelease8: Volatile.Write(ref *(byte*)(r[i->Dst] + (ulong)i->Offset), (byte)r[i->Src]); i++; continue;
                case Code.Load16: r[i->Dst] = *(ushort*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.Store16: *(ushort*)(r[i->Dst] + (ulong)i->Offset) = (ushort)r[i->Src]; i++; continue;
                case Code.Store16Imm: *(ushort*)(r[i->Dst] + (ulong)i->Offset) = (ushort)i->Immediate; i++; continue;
                case Code.LoadAcquire16: r[i->Dst] = Volatile.Read(ref *(ushort*)(r[i->Src] + (ulong)i->Offset)); i++; continue;
                case Code.StoreRelease16: Volatile.Write(ref *(ushort*)(r[i->Dst] + (ulong)i->Offset), (ushort)r[i->Src]); i++; continue;
                case Code.Load32: r[i->Dst] = *(uint*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.Store32: *(uint*)(r[i->Dst] + (ulong)i->Offset) = (uint)r[i->Src]; i++; continue;
                case Code.Store32Imm: *(uint*)(r[i->Dst] + (ulong)i->Offset) = (uint)i->Immediate; i++; continue;
                case Code.LoadAcquire32: r[i->Dst] = Volatile.Read(ref *(uint*)(r[i->Src] + (ulong)i->Offset)); i++; continue;
                case Code.StoreRelease32: Volatile.Write(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.Load64: r[i->Dst] = *(ulong*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.Store64: *(ulong*)(r[i->Dst] + (ulong)i->Offset) = r[i->Src]; i++; continue;
                case Code.Store64Imm: *(ulong*)(r[i->Dst] + (ulong)i->Offset) = (ulong)i->Immediate; i++; continue;
                case Code.LoadAcquire64: r[i->Dst] = Volatile.Read(ref *(ulong*)(r[i->Src] + (ulong)i->Offset)); i++; continue;
                case Code.StoreRelease64: Volatile.Write(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.LoadSigned8: r[i->Dst] = (ulong)*(sbyte*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.LoadSigned16: r[i->Dst] = (ulong)*(short*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.LoadSigned32: r[i->Dst] = (ulong)*(int*)(r[i->Src] + (ulong)i->Offset); i++; continue;
                case Code.AtomicAdd32: Interlocked.Add(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicFetchAdd32: r[i->Src] = Arithmetic.FetchAdd(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicOr32: Arithmetic.FetchOr(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicFetchOr32: r[i->Src] = Arithmetic.FetchOr(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicAnd32: Arithmetic.FetchAnd(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicFetchAnd32: r[i->Src] = Arithmetic.FetchAnd(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicXor32: Arithmetic.FetchXor(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicFetchXor32: r[i->Src] = Arithmetic.FetchXor(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicExchange32: r[i->Src] = Interlocked.Exchange(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src]); i++; continue;
                case Code.AtomicCompareExchange32: r[0] = Interlocked.CompareExchange(ref *(uint*)(r[i->Dst] + (ulong)i->Offset), (uint)r[i->Src], (uint)r[0]); i++; continue;
                case Code.AtomicAdd64: Interlocked.Add(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicFetchAdd64: r[i->Src] = Arithmetic.FetchAdd(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicOr64: Arithmetic.FetchOr(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicFetchOr64: r[i->Src] = Arithmetic.FetchOr(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicAnd64: Arithmetic.FetchAnd(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicFetchAnd64: r[i->Src] = Arithmetic.FetchAnd(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicXor64: Arithmetic.FetchXor(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicFetchXor64: r[i->Src] = Arithmetic.FetchXor(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicExchange64: r[i->Src] = Interlocked.Exchange(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src]); i++; continue;
                case Code.AtomicCompareExchange64: r[0] = Interlocked.CompareExchange(ref *(ulong*)(r[i->Dst] + (ulong)i->Offset), r[i->Src], (ulong)r[0]); i++; continue;
                case Code.JumpEqual64: if (r[i->Dst] == r[i->Src]) goto Jump; i++; continue;
                case Code.JumpEqual64Imm: if (r[i->Dst] == (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpNotEqual64: if (r[i->Dst] != r[i->Src]) goto Jump; i++; continue;
                case Code.JumpNotEqual64Imm: if (r[i->Dst] != (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpGreater64: if (r[i->Dst] > r[i->Src]) goto Jump; i++; continue;
                case Code.JumpGreater64Imm: if (r[i->Dst] > (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedGreater64: if ((long)r[i->Dst] > (long)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedGreater64Imm: if ((long)r[i->Dst] > (long)i->Immediate) goto Jump; i++; continue;
                case Code.JumpGreaterOrEqual64: if (r[i->Dst] >= r[i->Src]) goto Jump; i++; continue;
                case Code.JumpGreaterOrEqual64Imm: if (r[i->Dst] >= (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedGreaterOrEqual64: if ((long)r[i->Dst] >= (long)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedGreaterOrEqual64Imm: if ((long)r[i->Dst] >= (long)i->Immediate) goto Jump; i++; continue;
                case Code.JumpLess64: if (r[i->Dst] < r[i->Src]) goto Jump; i++; continue;
                case Code.JumpLess64Imm: if (r[i->Dst] < (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedLess64: if ((long)r[i->Dst] < (long)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedLess64Imm: if ((long)r[i->Dst] < (long)i->Immediate) goto Jump; i++; continue;
                case Code.JumpLessOrEqual64: if (r[i->Dst] <= r[i->Src]) goto Jump; i++; continue;
                case Code.JumpLessOrEqual64Imm: if (r[i->Dst] <= (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedLessOrEqual64: if ((long)r[i->Dst] <= (long)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedLessOrEqual64Imm: if ((long)r[i->Dst] <= (long)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSet64: if ((r[i->Dst] & r[i->Src]) != 0) goto Jump; i++; continue;
                case Code.JumpSet64Imm: if ((r[i->Dst] & (ulong)i->Immediate) != 0) goto Jump; i++; continue;
                case Code.JumpEqual32: if ((uint)r[i->Dst] == (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpEqual32Imm: if ((uint)r[i->Dst] == (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpNotEqual32: if ((uint)r[i->Dst] != (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpNotEqual32Imm: if ((uint)r[i->Dst] != (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpGreater32: if ((uint)r[i->Dst] > (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpGreater32Imm: if ((uint)r[i->Dst] > (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedGreater32: if ((int)r[i->Dst] > (int)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedGreater32Imm: if ((int)r[i->Dst] > (int)i->Immediate) goto Jump; i++; continue;
                case Code.JumpGreaterOrEqual32: if ((uint)r[i->Dst] >= (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpGreaterOrEqual32Imm: if ((uint)r[i->Dst] >= (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedGreaterOrEqual32: if ((int)r[i->Dst] >= (int)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedGreaterOrEqual32Imm: if ((int)r[i->Dst] >= (int)i->Immediate) goto Jump; i++; continue;
                case Code.JumpLess32: if ((uint)r[i->Dst] < (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpLess32Imm: if ((uint)r[i->Dst] < (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedLess32: if ((int)r[i->Dst] < (int)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedLess32Imm: if ((int)r[i->Dst] < (int)i->Immediate) goto Jump; i++; continue;
                case Code.JumpLessOrEqual32: if ((uint)r[i->Dst] <= (uint)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpLessOrEqual32Imm: if ((uint)r[i->Dst] <= (uint)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSignedLessOrEqual32: if ((int)r[i->Dst] <= (int)r[i->Src]) goto Jump; i++; continue;
                case Code.JumpSignedLessOrEqual32Imm: if ((int)r[i->Dst] <= (int)i->Immediate) goto Jump; i++; continue;
                case Code.JumpSet32: if (((uint)r[i->Dst] & (uint)r[i->Src]) != 0) goto Jump; i++; continue;
                case Code.JumpSet32Imm: if (((uint)r[i->Dst] & (uint)i->Immediate) != 0) goto Jump; i++; continue;
                case Code.Jump: goto Jump;
                // Pairs: see Decoder.Fuse.
                case Code.MoveAdd64Imm: r[i->Dst] = r[i->Src] + (ulong)i[1].Immediate; i += 2; continue;
                case Code.MoveAnd64Imm: r[i->Dst] = r[i->Src] & (ulong)i[1].Immediate; i += 2; continue;
                case Code.MoveOr64Imm: r[i->Dst] = r[i->Src] | (ulong)i[1].Immediate; i += 2; continue;
                case Code.MoveXor64Imm: r[i->Dst] = r[i->Src] ^ (ulong)i[1].Immediate; i += 2; continue;
                case Code.MoveMultiply64Imm: r[i->Dst] = r[i->Src] * (ulong)i[1].Immediate; i += 2; continue;
                case Code.MoveShiftLeft64Imm: r[i->Dst] = r[i->Src] << (int)i[1].Immediate; i += 2; continue;
                case Code.MoveShiftRight64Imm: r[i->Dst] = r[i->Src] >> (int)i[1].Immediate; i += 2; continue;
                case Code.MoveShiftRightArithmetic64Imm: r[i->Dst] = (ulong)((long)r[i->Src] >> (int)i[1].Immediate); i += 2; continue;
                case Code.MoveAdd64: r[i->Dst] = r[i->Src] + r[i[1].Src]; i += 2; continue;
                case Code.MoveSubtract64: r[i->Dst] = r[i->Src] - r[i[1].Src]; i += 2; continue;
                case Code.MoveXor64: r[i->Dst] = r[i->Src] ^ r[i[1].Src]; i += 2; continue;
                case Code.MoveAdd32Imm: r[i->Dst] = (uint)((uint)r[i->Src] + (uint)i[1].Immediate); i += 2; continue;
                case Code.MoveAnd32Imm: r[i->Dst] = (uint)((uint)r[i->Src] & (uint)i[1].Immediate); i += 2; continue;
                case Code.MoveShiftLeft32Imm: r[i->Dst] = (uint)r[i->Src] << (int)i[1].Immediate; i += 2; continue;
                case Code.MoveShiftRight32Imm: r[i->Dst] = (uint)r[i->Src] >> (int)i[1].Immediate; i += 2; continue;
                case Code.LoadWideAdd64: r[i->Dst] = (ulong)i->Immediate + r[i[2].Src]; i += 3; continue;
                case Code.Add64Load8: r[i->Dst] += r[i->Src]; r[i[1].Dst] = *(byte*)(r[i[1].Src] + (ulong)i[1].Offset); i += 2; continue;
                case Code.Add64Load16: r[i->Dst] += r[i->Src]; r[i[1].Dst] = *(ushort*)(r[i[1].Src] + (ulong)i[1].Offset); i += 2; continue;
                case Code.Add64Load32: r[i->Dst] += r[i->Src]; r[i[1].Dst] = *(uint*)(r[i[1].Src] + (ulong)i[1].Offset); i += 2; continue;
                case Code.Add64Load64: r[i->Dst] += r[i->Src]; r[i[1].Dst] = *(ulong*)(r[i[1].Src] + (ulong)i[1].Offset); i += 2; continue;
                case Code.Load8Store8: r[i->Dst] = *(byte*)(r[i->Src] + (ulong)i->Offset); i++; *(byte*)(r[i->Dst] + (ulong)i->Offset) = (byte)r[i->Src]; i++; continue;
                case Code.Load16Store16: r[i->Dst] = *(ushort*)(r[i->Src] + (ulong)i->Offset); i++; *(ushort*)(r[i->Dst] + (ulong)i->Offset) = (ushort)r[i->Src]; i++; continue;
                case Code.Load32Store32: r[i->Dst] = *(uint*)(r[i->Src] + (ulong)i->Offset); i++; *(uint*)(r[i->Dst] + (ulong)i->Offset) = (uint)r[i->Src]; i++; continue;
                case Code.Load64Store64: r[i->Dst] = *(ulong*)(r[i->Src] + (ulong)i->Offset); i++; *(ulong*)(r[i->Dst] + (ulong)i->Offset) = r[i->Src]; i++; continue;
                case Code.ShiftLeftShiftRight64Imm: r[i->Dst] = r[i->Dst] << (int)i->Immediate >> (int)i[1].Immediate; i += 2; continue;
                case Code.Add64ImmJumpNotEqual64Imm: r[i->Dst] += (ulong)i->Immediate; i++; if (r[i->Dst] != (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.Add64ImmJumpEqual64Imm: r[i->Dst] += (ulong)i->Immediate; i++; if (r[i->Dst] == (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.Add64ImmJumpLess64Imm: r[i->Dst] += (ulong)i->Immediate; i++; if (r[i->Dst] < (ulong)i->Immediate) goto Jump; i++; continue;
                case Code.Add64ImmJumpNotEqual64: r[i->Dst] += (ulong)i->Immediate; i++; if (r[i->Dst] != r[i->Src]) goto Jump; i++; continue;
                case Code.JumpEqual64ImmElseJump: if (r[i->Dst] == (ulong)i->Immediate) goto Jump; i++; goto Jump;
                case Code.JumpNotEqual64ImmElseJump: if (r[i->Dst] != (ulong)i->Immediate) goto Jump; i++; goto Jump;
                case Code.MayGoto:
                    if (state->LoopRounds <= 0) goto Jump;
                    state->LoopRounds--;
                    i++;
                    continue;
                case Code.Call0: r[0] = ((delegate*<ulong>)i->Immediate)(); i++; continue;
                case Code.Call1: r[0] = ((delegate*<ulong, ulong>)i->Immediate)(r[1]); i++; continue;
                case Code.Call2: r[0] = ((delegate*<ulong, ulong, ulong>)i->Immediate)(r[1], r[2]); i++; continue;
                case Code.Call3: r[0] = ((delegate*<ulong, ulong, ulong, ulong>)i->Immediate)(r[1], r[2], r[3]); i++; continue;
                case Code.Call4: r[0] = ((delegate*<ulong, ulong, ulong, ulong, ulong>)i->Immediate)(r[1], r[2], r[3], r[4]); i++; continue;
                case Code.Call5: r[0] = ((delegate*<ulong, ulong, ulong, ulong, ulong, ulong>)i->Immediate)(r[1], r[2], r[3], r[4], r[5]); i++; continue;
                case Code.CallState0: r[0] = ((delegate*<ExecutionState*, ulong>)i->Immediate)(state); i++; continue;
                case Code.CallState1: r[0] = ((delegate*<ulong, ExecutionState*, ulong>)i->Immediate)(r[1], state); i++; continue;
                case Code.CallState2: r[0] = ((delegate*<ulong, ulong, ExecutionState*, ulong>)i->Immediate)(r[1], r[2], state); i++; continue;
                case Code.CallState3: r[0] = ((delegate*<ulong, ulong, ulong, ExecutionState*, ulong>)i->Immediate)(r[1], r[2], r[3], state); i++; continue;
                case Code.CallState4: r[0] = ((delegate*<ulong, ulong, ulong, ulong, ExecutionState*, ulong>)i->Immediate)(r[1], r[2], r[3], r[4], state); i++; continue;
                case Code.CallState5: r[0] = ((delegate*<ulong, ulong, ulong, ulong, ulong, ExecutionState*, ulong>)i->Immediate)(r[1], r[2], r[3], r[4], r[5], state); i++; continue;
                case Code.CallBack:
                    // Rare, so one shape for all: the function takes what it takes and ignores the rest.
                    state->CallerFrame = (byte*)r[10];
                    r[0] = ((delegate*<ulong, ulong, ulong, ulong, ExecutionState*, ulong>)i->Immediate)(r[1], r[2], r[3], r[4], state);
                    if (TMetering.Metered && state->Fault != RunFault.None) return 0;
                    i++;
                    continue;
                case Code.CallHolding:
                    r[0] = InterpretedProgram.CallHolding(i, r, state);
                    i++;
                    continue;
                case Code.CallSubprogram:
                    if (TMetering.Metered && Expired(state, i->Charge)) return 0;
                    returns[depth++] = i + 1;
                    var callee = r + FrameRegisters;
                    callee[1] = r[1];
                    callee[2] = r[2];
                    callee[3] = r[3];
                    callee[4] = r[4];
                    callee[5] = r[5];
                    callee[10] = r[10] - Limits.StackBytesPerFrame;
                    r = callee;
                    i += i->Target + 1;
                    continue;
                case Code.Exit:
                Exit:
                    if (depth == 0) return r[0];
                    i = returns[--depth];
                    (r - FrameRegisters)[0] = r[0];
                    r -= FrameRegisters;
                    continue;
                case Code.TailCall:
                    if (TMetering.Metered && Expired(state, 1)) return 0;
                    var entry = ProgramArrayMap.TailCallTarget(r[2], r[3], state);
                    if (entry == null)
                    {
                        r[0] = unchecked((ulong)-Errno.EINVAL);
                        i++;
                        continue;
                    }
                    r[0] = entry->EntryPoint(entry->Self, state->Context, state->ContextLength, state);
                    if (state->Fault != RunFault.None) return 0;
                    goto Exit;
                case Code.CallRegister:
                    r[0] = InterpretedProgram.CallByNumber(i, r, state);
                    i++;
                    continue;
                case Code.LoadPacketAbsolute:
                    if (!LoadPacket(state, (int)i->Immediate, i->Offset, r))
                    {
                        r[0] = 0;
                        goto Exit;
                    }
                    i++;
                    continue;
                case Code.LoadPacketIndirect:
                    if (!LoadPacket(state, (int)((uint)r[i->Src] + (uint)i->Immediate), i->Offset, r))
                    {
                        r[0] = 0;
                        goto Exit;
                    }
                    i++;
                    continue;
                default:
                    throw new BpfException("UB4005", $"the interpreter has no code {i->Code}.");
                Jump:
                    if (TMetering.Metered && i->Target < 0 && Expired(state, i->Charge)) return 0;
                    i += i->Target + 1;
                    continue;
            }
        }
    }

    /// <summary>Takes from the budget; true when that ends the run.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Expired(ExecutionState* state, int instructions)
    {
        state->Budget -= instructions;
        // What holds something goes on: the verifier proved that it soon holds nothing.
        if (state->Budget >= 0 || state->Held != 0) return false;
        state->Fault = RunFault.BudgetExhausted;
        return true;
    }

    // RFC 9669 section 5.5: big-endian, and outside of the packet the program ends with 0.
    private static bool LoadPacket(ExecutionState* state, int offset, int size, ulong* r)
    {
        if (offset < 0 || (ulong)(uint)offset + (uint)size > state->PacketLength) return false;
        var address = state->Packet + offset;
        r[0] = size switch
        {
            1 => *address,
            2 => (uint)(address[0] << 8 | address[1]),
            _ => BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(address)),
        };
        return true;
    }
}
