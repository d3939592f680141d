using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Arm = System.Runtime.Intrinsics.Arm;

namespace UringBpf.Runtime;

/// <summary>
/// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in iSCSI and ext4). The processor's instruction takes 8 bytes with
/// a latency of three cycles and a throughput of one, so long inputs go through three lanes at a time, whose results are
/// joined by shifting a CRC over the zeros of the lanes after it.
/// </summary>
internal static unsafe class Crc32C
{
    private const uint Polynomial = 0x82F63B78;
    // Bytes per lane of the long and the short round.
    private const int LongLane = 4096, ShortLane = 256;

    private static readonly uint[] s_bytes = BuildByteTable();
    private static readonly uint[][] s_longShift = BuildShift(LongLane), s_shortShift = BuildShift(ShortLane);

    /// <summary>The CRC of what <paramref name="crc"/> is the CRC of, followed by these bytes. Start with 0.</summary>
    public static uint Append(uint crc, byte* data, nuint length)
    {
        crc = ~crc;
        if (Sse42.X64.IsSupported || Arm.Crc32.Arm64.IsSupported)
        {
            for (; length >= 3 * LongLane; data += 3 * LongLane, length -= 3 * LongLane) crc = ThreeLanes(crc, data, LongLane, s_longShift);
            for (; length >= 3 * ShortLane; data += 3 * ShortLane, length -= 3 * ShortLane) crc = ThreeLanes(crc, data, ShortLane, s_shortShift);
            for (; length >= 8; data += 8, length -= 8) crc = Step(crc, Unsafe.ReadUnaligned<ulong>(data));
        }
        for (; length > 0; data++, length--) crc = s_bytes[(byte)(crc ^ *data)] ^ (crc >> 8);
        return ~crc;
    }

    /// <summary>The same, byte by byte: what the fast path is tested against.</summary>
    internal static uint AppendBytewise(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        foreach (var value in data) crc = s_bytes[(byte)(crc ^ value)] ^ (crc >> 8);
        return ~crc;
    }

    private static uint ThreeLanes(uint crc, byte* data, int lane, uint[][] shift)
    {
        ulong a = crc, b = 0, c = 0;
        var end = data + lane;
        for (; data < end; data += 8)
        {
            a = Step((uint)a, Unsafe.ReadUnaligned<ulong>(data));
            b = Step((uint)b, Unsafe.ReadUnaligned<ulong>(data + lane));
            c = Step((uint)c, Unsafe.ReadUnaligned<ulong>(data + 2 * lane));
        }
        return Shift(shift, Shift(shift, (uint)a) ^ (uint)b) ^ (uint)c;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Step(uint crc, ulong value) => Sse42.X64.IsSupported
        ? (uint)Sse42.X64.Crc32(crc, value)
        : Arm.Crc32.Arm64.ComputeCrc32C(crc, value);

    // The register after a lane of zero bytes: linear, so one table per byte of it.
    private static uint Shift(uint[][] tables, uint crc) =>
        tables[0][(byte)crc] ^ tables[1][(byte)(crc >> 8)] ^ tables[2][(byte)(crc >> 16)] ^ tables[3][crc >> 24];

    private static uint[] BuildByteTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ Polynomial : crc >> 1;
            table[i] = crc;
        }
        return table;
    }

    private static uint[][] BuildShift(int zeros)
    {
        // Where each single bit of the register goes; the rest follows by exclusive or.
        var bits = new uint[32];
        for (var bit = 0; bit < 32; bit++)
        {
            var crc = 1u << bit;
            for (var i = 0; i < zeros; i++) crc = s_bytes[(byte)crc] ^ (crc >> 8);
            bits[bit] = crc;
        }
        var tables = new uint[4][];
        for (var part = 0; part < 4; part++)
        {
            tables[part] = new uint[256];
            for (var value = 1; value < 256; value++)
            {
                for (var bit = 0; bit < 8; bit++)
                {
                    if ((value >> bit & 1) != 0) tables[part][value] ^= bits[8 * part + bit];
                }
            }
        }
        return tables;
    }
}
