using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace UringBpf.Runtime;

/// <summary>Helpers that work on bytes the verifier has checked: checksums, comparisons, packets. Arguments are register values.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class MemoryFunctions
{
    // Packet contexts start with the addresses of the packet's first byte and of its end.
    private const int DataOffset = 0, DataEndOffset = 8;
    private const ulong MaxPacketOffset = int.MaxValue;

    /// <summary>bpf_csum_diff: the Internet checksum of 'to' minus 'from' plus the seed, folded to 16 bits (not inverted) as
    /// since Linux 6.13; -EINVAL when a size is not a multiple of 4.</summary>
    public static ulong ChecksumDifference(ulong from, ulong fromSize, ulong to, ulong toSize, ulong seed)
    {
        if (((fromSize | toSize) & 3) != 0) return Errno.Status(Errno.EINVAL);
        // Terms below 2^32, fewer than 2^31 of them: no overflow.
        var sum = (ulong)(uint)seed;
        for (ulong i = 0; i < fromSize; i += 4) sum += ~Unsafe.ReadUnaligned<uint>((byte*)from + i);
        for (ulong i = 0; i < toSize; i += 4) sum += Unsafe.ReadUnaligned<uint>((byte*)to + i);
        // One's complement: carries go round.
        while (sum > ushort.MaxValue) sum = (ushort)sum + (sum >> 16);
        return sum;
    }

    /// <summary>bpf_strncmp(s1, size, s2): 0, or the difference of the first bytes that differ.</summary>
    public static ulong CompareStrings(ulong first, ulong size, ulong second)
    {
        byte* a = (byte*)first, b = (byte*)second;
        for (ulong i = 0; i < size; i++)
        {
            if (a[i] != b[i]) return (ulong)((long)a[i] - b[i]);
            if (a[i] == 0) break;
        }
        return 0;
    }

    /// <summary>bpf_skb_load_bytes: 0, or -EFAULT and zeroes.</summary>
    public static ulong LoadSkbBytes(ulong context, ulong offset, ulong to, ulong size) => Load(context, (uint)offset, to, (uint)size, Errno.EFAULT);

    /// <summary>bpf_xdp_load_bytes: 0, or -EINVAL and zeroes.</summary>
    public static ulong LoadXdpBytes(ulong context, ulong offset, ulong to, ulong size) => Load(context, (uint)offset, to, (uint)size, Errno.EINVAL);

    /// <summary>bpf_xdp_store_bytes: 0, or -EINVAL and nothing is written.</summary>
    public static ulong StoreXdpBytes(ulong context, ulong offset, ulong from, ulong size)
    {
        var packet = Packet(context, out var length);
        if ((ulong)(uint)offset + (uint)size > length) return Errno.Status(Errno.EINVAL);
        Buffer.MemoryCopy((byte*)from, packet + (uint)offset, (uint)size, (uint)size);
        return 0;
    }

    /// <summary>bpf_xdp_get_buff_len</summary>
    public static ulong PacketLength(ulong context)
    {
        Packet(context, out var length);
        return Math.Min(length, MaxPacketOffset);
    }

    private static ulong Load(ulong context, uint offset, ulong to, uint size, int error)
    {
        var packet = Packet(context, out var length);
        if ((ulong)offset + size > length)
        {
            Unsafe.InitBlockUnaligned((byte*)to, 0, size);
            return Errno.Status(error);
        }
        // The target may lie in the packet.
        Buffer.MemoryCopy(packet + offset, (byte*)to, size, size);
        return 0;
    }

    private static byte* Packet(ulong context, out ulong length)
    {
        var start = Unsafe.ReadUnaligned<nuint>((byte*)context + DataOffset);
        length = Unsafe.ReadUnaligned<nuint>((byte*)context + DataEndOffset) - start;
        return (byte*)start;
    }
}
