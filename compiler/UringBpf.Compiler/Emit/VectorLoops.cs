using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace UringBpf.Compiler;

/// <summary>
/// What emitted code calls in place of all rounds but the last of a loop (see <see cref="CompilerOptions.VectorizeLoops"/>).
/// Each touches exactly the bytes that the rounds would. Public because persisted assemblies refer to it.
/// </summary>
/// <remarks>AggressiveOptimization: emitted code is optimised from its first run, and so must be what it calls.</remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class VectorLoops
{
    /// <summary>The sum of <paramref name="count"/> bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ulong Sum8(byte* address, ulong count)
    {
        ulong sum = 0, i = 0;
        if (Avx2.IsSupported)
        {
            // Absolute differences from zero, added up in groups of eight: the fastest way to add bytes.
            var first = Vector256<ulong>.Zero;
            var second = Vector256<ulong>.Zero;
            for (; i + 64 <= count; i += 64)
            {
                first += Avx2.SumAbsoluteDifferences(Vector256.Load(address + i), Vector256<byte>.Zero).AsUInt64();
                second += Avx2.SumAbsoluteDifferences(Vector256.Load(address + i + 32), Vector256<byte>.Zero).AsUInt64();
            }
            sum = Vector256.Sum(first + second);
        }
        for (; i < count; i++) sum += address[i];
        return sum;
    }

    /// <summary>The sum of <paramref name="count"/> 16-bit numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ulong Sum16(byte* address, ulong count)
    {
        var total = Vector256<ulong>.Zero;
        ulong i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var (low, high) = Vector256.Widen(Vector256.Load((ushort*)address + i));
            // Two 16-bit numbers fit in 32 bits.
            var (a, b) = Vector256.Widen(low + high);
            total += a + b;
        }
        var sum = Vector256.Sum(total);
        for (; i < count; i++) sum += Unsafe.ReadUnaligned<ushort>(address + i * 2);
        return sum;
    }

    /// <summary>The sum of <paramref name="count"/> 32-bit numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ulong Sum32(byte* address, ulong count)
    {
        var first = Vector256<ulong>.Zero;
        var second = Vector256<ulong>.Zero;
        ulong i = 0;
        for (; i + 8 <= count; i += 8)
        {
            var (low, high) = Vector256.Widen(Vector256.Load((uint*)address + i));
            first += low;
            second += high;
        }
        var sum = Vector256.Sum(first + second);
        for (; i < count; i++) sum += Unsafe.ReadUnaligned<uint>(address + i * 4);
        return sum;
    }

    /// <summary>The sum of <paramref name="count"/> 64-bit numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ulong Sum64(byte* address, ulong count)
    {
        var first = Vector256<ulong>.Zero;
        var second = Vector256<ulong>.Zero;
        ulong i = 0;
        for (; i + 8 <= count; i += 8)
        {
            first += Vector256.Load((ulong*)address + i);
            second += Vector256.Load((ulong*)address + i + 4);
        }
        var sum = Vector256.Sum(first + second);
        for (; i < count; i++) sum += Unsafe.ReadUnaligned<ulong>(address + i * 8);
        return sum;
    }

    /// <summary>True when copying <paramref name="bytes"/> upwards, one after the other, gives what a block move gives: the
    /// target does not start inside the source.</summary>
    public static bool MayCopy(ulong target, ulong source, ulong bytes) => target - source >= bytes;

    /// <summary>Copies bytes upwards; <see cref="MayCopy"/> holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy(byte* target, byte* source, ulong bytes)
    {
        ulong i = 0;
        // Each part is read before it is written, and what is written lies below what is read later.
        for (; i + 128 <= bytes; i += 128)
        {
            var a = Vector256.Load(source + i);
            var b = Vector256.Load(source + i + 32);
            var c = Vector256.Load(source + i + 64);
            var d = Vector256.Load(source + i + 96);
            a.Store(target + i);
            b.Store(target + i + 32);
            c.Store(target + i + 64);
            d.Store(target + i + 96);
        }
        for (; i + 8 <= bytes; i += 8) Unsafe.WriteUnaligned(target + i, Unsafe.ReadUnaligned<ulong>(source + i));
        for (; i < bytes; i++) target[i] = source[i];
    }

    /// <summary>Stores a byte <paramref name="count"/> times.</summary>
    public static void Fill8(byte* address, ulong count, ulong value) => Fill(address, count, (byte)value);

    /// <summary>Stores a 16-bit number <paramref name="count"/> times.</summary>
    public static void Fill16(byte* address, ulong count, ulong value) => Fill((ushort*)address, count, (ushort)value);

    /// <summary>Stores a 32-bit number <paramref name="count"/> times.</summary>
    public static void Fill32(byte* address, ulong count, ulong value) => Fill((uint*)address, count, (uint)value);

    /// <summary>Stores a 64-bit number <paramref name="count"/> times.</summary>
    public static void Fill64(byte* address, ulong count, ulong value) => Fill((ulong*)address, count, value);

    private static void Fill<T>(T* address, ulong count, T value)
        where T : unmanaged
    {
        // A span is at most 2^31 elements.
        while (count > 0)
        {
            var part = (int)Math.Min(count, 1 << 30);
            new Span<T>(address, part).Fill(value);
            address += part;
            count -= (ulong)part;
        }
    }
}
