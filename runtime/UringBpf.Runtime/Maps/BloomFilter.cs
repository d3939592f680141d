using System.ComponentModel;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>What programs do with bloom filters (<c>kernel/bpf/bloom_filter.c</c>): add a value, ask whether it may be there. No lock.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class BloomFilterOps
{
    [StructLayout(LayoutKind.Sequential)]
    internal struct Filter
    {
        public ulong Seed, Multiplier;
        public uint Hashes;
        public uint BitMask;
    }

    internal const int BitsAt = 64;

    /// <summary>bpf_map_push_elem: adds a value; -EINVAL for flags other than BPF_ANY.</summary>
    public static ulong Push(ulong map, ulong value, ulong flags)
    {
        if (flags != 0) return Errno.Status(Errno.EINVAL);
        var header = (MapHeader*)map;
        var filter = (Filter*)header->Data;
        var words = (ulong*)(header->Data + BitsAt);
        var (bit, step) = Start(filter, (byte*)value, header->ValueSize);
        for (var i = filter->Hashes; i > 0; i--, bit += step)
        {
            var at = bit & filter->BitMask;
            var mask = 1UL << (int)(at & 63);
            if ((Volatile.Read(ref words[at >> 6]) & mask) == 0) Interlocked.Or(ref words[at >> 6], mask);
        }
        return 0;
    }

    /// <summary>bpf_map_peek_elem: 0 when the value may have been added, -ENOENT when it was not.</summary>
    public static ulong Peek(ulong map, ulong value)
    {
        var header = (MapHeader*)map;
        var filter = (Filter*)header->Data;
        var words = (ulong*)(header->Data + BitsAt);
        var (bit, step) = Start(filter, (byte*)value, header->ValueSize);
        for (var i = filter->Hashes; i > 0; i--, bit += step)
        {
            var at = bit & filter->BitMask;
            if ((Volatile.Read(ref words[at >> 6]) & (1UL << (int)(at & 63))) == 0) return Errno.Status(Errno.ENOENT);
        }
        return 0;
    }

    // Two hashes give all the others: the first bit and the distance between bits.
    private static (uint Bit, uint Step) Start(Filter* filter, byte* value, uint size)
    {
        var state = filter->Seed ^ size;
        for (; size >= 8; value += 8, size -= 8) state = HashMix.Fold(Unsafe.ReadUnaligned<ulong>(value) ^ state, filter->Multiplier);
        ulong last = 0;
        Unsafe.CopyBlockUnaligned(&last, value, size);
        state = HashMix.Fold(last ^ state, filter->Multiplier);
        return ((uint)state, (uint)(state >> 32) | 1);
    }
}

/// <summary>A bloom filter as the host sees it: may say yes wrongly, never no. Thread-safe.</summary>
public sealed unsafe class BloomFilterMap : BpfMap
{
    private const ulong DefaultHashes = 5;

    internal BloomFilterMap(MapSpec spec) : base(CheckFilter(spec), BloomFilterOps.BitsAt + Bits(spec) / 8)
    {
        *(BloomFilterOps.Filter*)Header->Data = new()
        {
            Seed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)),
            Multiplier = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1,
            Hashes = (uint)Hashes(spec),
            BitMask = (uint)(Bits(spec) - 1),
        };
    }

    /// <summary>Adds a value.</summary>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public void Add(ReadOnlySpan<byte> value)
    {
        CheckSize(value);
        fixed (byte* v = value)
        {
            var activity = Enter();
            BloomFilterOps.Push((ulong)Header, (ulong)v, 0);
            Leave(activity);
        }
    }

    /// <summary>False when the value was certainly never added.</summary>
    /// <exception cref="ArgumentException">The span has the wrong size.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public bool MayContain(ReadOnlySpan<byte> value)
    {
        CheckSize(value);
        fixed (byte* v = value)
        {
            var activity = Enter();
            var status = BloomFilterOps.Peek((ulong)Header, (ulong)v);
            Leave(activity);
            return status == 0;
        }
    }

    private void CheckSize(ReadOnlySpan<byte> value)
    {
        if (value.Length != Spec.ValueSize) throw new ArgumentException($"A value of '{Name}' is {Spec.ValueSize} bytes, not {value.Length}.", nameof(value));
    }

    private static ulong Hashes(MapSpec spec) => (spec.Extra & 15) == 0 ? DefaultHashes : spec.Extra & 15;

    // entries * hashes / ln 2 bits give the least false answers; 7/5 is close to 1 / ln 2.
    private static ulong Bits(MapSpec spec) => Math.Clamp(BitOperations.RoundUpToPowerOf2((ulong)spec.MaxEntries * Hashes(spec) * 7 / 5), 512, 1UL << 32);

    private static MapSpec CheckFilter(MapSpec spec)
    {
        Check(spec, 0, 0, 1, 1 << 20, MapFlags.None);
        return (spec.Extra & ~15UL) == 0 ? spec : throw Refused(spec, $"map_extra 0x{spec.Extra:x}: only its low 4 bits, the number of hash functions, mean something");
    }
}
