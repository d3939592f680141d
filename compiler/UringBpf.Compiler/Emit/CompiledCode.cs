using System.ComponentModel;
using System.Runtime.CompilerServices;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// What emitted code calls: the parts of BPF's semantics that take more than an IL instruction or two. RyuJIT inlines
/// them. Public because persisted assemblies refer to them; not for use by hand.
/// </summary>
/// <remarks>Division: RFC 9669 section 4.1. Atomics: section 5.3.</remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class CompiledCode
{
    /// <summary>Unsigned division; by zero gives 0.</summary>
    public static ulong Divide64(ulong dividend, ulong divisor) => divisor == 0 ? 0 : dividend / divisor;

    /// <summary>Unsigned 32-bit division; by zero gives 0.</summary>
    public static uint Divide32(uint dividend, uint divisor) => divisor == 0 ? 0 : dividend / divisor;

    /// <summary>Unsigned remainder; by zero gives the dividend.</summary>
    public static ulong Modulo64(ulong dividend, ulong divisor) => divisor == 0 ? dividend : dividend % divisor;

    /// <summary>Unsigned 32-bit remainder; by zero gives the dividend.</summary>
    public static uint Modulo32(uint dividend, uint divisor) => divisor == 0 ? dividend : dividend % divisor;

    /// <summary>Signed division; by zero gives 0, MIN / -1 gives MIN.</summary>
    public static long SignedDivide64(long dividend, long divisor) =>
        divisor == 0 ? 0 : divisor == -1 ? unchecked(-dividend) : dividend / divisor;

    /// <summary>Signed 32-bit division; by zero gives 0, MIN / -1 gives MIN.</summary>
    public static int SignedDivide32(int dividend, int divisor) =>
        divisor == 0 ? 0 : divisor == -1 ? unchecked(-dividend) : dividend / divisor;

    /// <summary>Signed remainder; by zero gives the dividend, MIN % -1 gives 0.</summary>
    public static long SignedModulo64(long dividend, long divisor) =>
        divisor == 0 ? dividend : divisor == -1 ? 0 : dividend % divisor;

    /// <summary>Signed 32-bit remainder; by zero gives the dividend, MIN % -1 gives 0.</summary>
    public static int SignedModulo32(int dividend, int divisor) =>
        divisor == 0 ? dividend : divisor == -1 ? 0 : dividend % divisor;

    /// <summary>Takes from a metered run's budget; true when that ends the run. What holds something goes on.</summary>
    public static bool HasExpired(ExecutionState* state, int instructions)
    {
        state->Budget -= instructions;
        if (state->Budget >= 0 || state->Held != 0) return false;
        state->Fault = RunFault.BudgetExhausted;
        return true;
    }

    // Atomics are not inlined: RyuJIT (.NET 10.0) loses that they write memory, so that a load after them may move before them.
    // In additions it folds the subtraction away with the write; others it moves with the use of their result.

    /// <summary>Atomic 64-bit addition; gives the new value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Add64(byte* address, ulong value) => Interlocked.Add(ref *(ulong*)address, value);

    /// <summary>Atomic 32-bit addition; gives the new value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Add32(byte* address, uint value) => Interlocked.Add(ref *(uint*)address, value);

    /// <summary>Atomic 64-bit addition; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong FetchAdd64(byte* address, ulong value) => Interlocked.Add(ref *(ulong*)address, value) - value;

    /// <summary>Atomic 32-bit addition; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FetchAdd32(byte* address, uint value) => Interlocked.Add(ref *(uint*)address, value) - value;

    /// <summary>Atomic 64-bit or; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong FetchOr64(byte* address, ulong value) => Interlocked.Or(ref *(ulong*)address, value);

    /// <summary>Atomic 32-bit or; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FetchOr32(byte* address, uint value) => Interlocked.Or(ref *(uint*)address, value);

    /// <summary>Atomic 64-bit and; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong FetchAnd64(byte* address, ulong value) => Interlocked.And(ref *(ulong*)address, value);

    /// <summary>Atomic 32-bit and; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FetchAnd32(byte* address, uint value) => Interlocked.And(ref *(uint*)address, value);

    /// <summary>Atomic 64-bit exclusive or; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong FetchXor64(byte* address, ulong value)
    {
        ref var target = ref *(ulong*)address;
        var old = Volatile.Read(ref target);
        while (true)
        {
            var seen = Interlocked.CompareExchange(ref target, old ^ value, old);
            if (seen == old) return old;
            old = seen;
        }
    }

    /// <summary>Atomic 32-bit exclusive or; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FetchXor32(byte* address, uint value)
    {
        ref var target = ref *(uint*)address;
        var old = Volatile.Read(ref target);
        while (true)
        {
            var seen = Interlocked.CompareExchange(ref target, old ^ value, old);
            if (seen == old) return old;
            old = seen;
        }
    }

    /// <summary>Atomic 64-bit exchange; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Exchange64(byte* address, ulong value) => Interlocked.Exchange(ref *(ulong*)address, value);

    /// <summary>Atomic 32-bit exchange; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Exchange32(byte* address, uint value) => Interlocked.Exchange(ref *(uint*)address, value);

    /// <summary>Atomic 64-bit compare and exchange; gives the old value.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong CompareExchange64(byte* address, ulong expected, ulong value) => Interlocked.CompareExchange(ref *(ulong*)address, value, expected);

    /// <summary>Atomic 32-bit compare and exchange; gives the old value.</summary>
    // Another reason here: cmpxchg leaves eax alone when it succeeds, and RyuJIT takes the upper half of rax for cleared whatever
    // the expected value was cut from. As an argument it is moved into eax, which clears it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint CompareExchange32(byte* address, uint expected, uint value) => Interlocked.CompareExchange(ref *(uint*)address, value, expected);

    /// <summary>The big-endian number of 1, 2 or 4 bytes at an offset of the packet (RFC 9669 section 5.5), or -1 when it is not inside.</summary>
    public static long LoadPacket(ExecutionState* state, int offset, int size)
    {
        if (offset < 0 || (ulong)(uint)offset + (uint)size > state->PacketLength) return -1;
        var address = state->Packet + offset;
        return size switch
        {
            1 => *address,
            2 => (uint)(address[0] << 8 | address[1]),
            _ => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(address)),
        };
    }
}
