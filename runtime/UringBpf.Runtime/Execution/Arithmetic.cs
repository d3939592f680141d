using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>The operations that the CLR does not give as BPF wants them (RFC 9669 sections 4.1 and 5.3).</summary>
internal static class Arithmetic
{
    public static ulong Divide(ulong dividend, ulong divisor) => divisor == 0 ? 0 : dividend / divisor;

    public static uint Divide(uint dividend, uint divisor) => divisor == 0 ? 0 : dividend / divisor;

    public static ulong Modulo(ulong dividend, ulong divisor) => divisor == 0 ? dividend : dividend % divisor;

    public static uint Modulo(uint dividend, uint divisor) => divisor == 0 ? dividend : dividend % divisor;

    // MIN / -1 would trap: it is MIN, and MIN % -1 is 0.

    public static ulong SignedDivide(ulong dividend, ulong divisor) =>
        divisor == 0 ? 0 : divisor == ulong.MaxValue ? 0 - dividend : (ulong)((long)dividend / (long)divisor);

    public static uint SignedDivide(uint dividend, uint divisor) =>
        divisor == 0 ? 0 : divisor == uint.MaxValue ? 0 - dividend : (uint)((int)dividend / (int)divisor);

    public static ulong SignedModulo(ulong dividend, ulong divisor) =>
        divisor == 0 ? dividend : divisor == ulong.MaxValue ? 0 : (ulong)((long)dividend % (long)divisor);

    public static uint SignedModulo(uint dividend, uint divisor) =>
        divisor == 0 ? dividend : divisor == uint.MaxValue ? 0 : (uint)((int)dividend % (int)divisor);

    // Not inlined: RyuJIT (.NET 10.0) folds the subtraction away and forgets that what is left writes memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong FetchAdd(ref ulong target, ulong value) => Interlocked.Add(ref target, value) - value;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FetchAdd(ref uint target, uint value) => Interlocked.Add(ref target, value) - value;

    public static ulong FetchOr(ref ulong target, ulong value) => Interlocked.Or(ref target, value);

    public static uint FetchOr(ref uint target, uint value) => Interlocked.Or(ref target, value);

    public static ulong FetchAnd(ref ulong target, ulong value) => Interlocked.And(ref target, value);

    public static uint FetchAnd(ref uint target, uint value) => Interlocked.And(ref target, value);

    public static ulong FetchXor(ref ulong target, ulong value)
    {
        for (var old = Volatile.Read(ref target); ;)
        {
            var seen = Interlocked.CompareExchange(ref target, old ^ value, old);
            if (seen == old) return old;
            old = seen;
        }
    }

    public static uint FetchXor(ref uint target, uint value)
    {
        for (var old = Volatile.Read(ref target); ;)
        {
            var seen = Interlocked.CompareExchange(ref target, old ^ value, old);
            if (seen == old) return old;
            old = seen;
        }
    }
}
