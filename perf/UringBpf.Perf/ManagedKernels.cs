using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Perf;

/// <summary>
/// The kernels of perf/kernels written in C# by hand, as a C# programmer who cares for speed would write the same loops
/// (pointers, no bounds checks), and without rewriting them for vectors.
/// </summary>
internal sealed unsafe class ManagedKernels : IDisposable
{
    private static byte* s_input;
    private static ulong* s_output;
    private static uint* s_table;
    private static uint s_helperSlot;

    /// <summary>Sets the input all of them read.</summary>
    public ManagedKernels(byte[] input)
    {
        s_input = (byte*)NativeMemory.AlignedAlloc(4096, 64);
        s_output = (ulong*)NativeMemory.AlignedAlloc(4096, 64);
        s_table = (uint*)NativeMemory.AlignedAlloc(2048, 64);
        s_helperSlot = 0;
        input.CopyTo(new Span<byte>(s_input, 4096));
    }

    /// <summary>The one with a name.</summary>
    public static delegate*<ulong> Find(string name) => name switch
    {
        "empty" => &Empty,
        "xorshift" => &Xorshift,
        "fnv1a" => &Fnv1a,
        "bytesum" => &ByteSum,
        "search" => &Search,
        "sort" => &Sort,
        "parse" => &Parse,
        "muldiv" => &MulDiv,
        "copy" => &Copy,
        "stack" => &Stack,
        "helpers" => &Helpers,
        "calls" => &Calls,
        "filter" => &Filter,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such kernel"),
    };

    public void Dispose()
    {
        NativeMemory.AlignedFree(s_input);
        NativeMemory.AlignedFree(s_output);
        NativeMemory.AlignedFree(s_table);
    }

    private static ulong Empty() => 0;

    private static ulong Xorshift()
    {
        var x = *(ulong*)s_input | 1;
        for (var i = 0; i < 1000; i++)
        {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        return x;
    }

    private static ulong Fnv1a()
    {
        var input = s_input;
        var hash = 0xcbf29ce484222325UL;
        for (nuint i = 0; i < 1024; i++)
        {
            hash ^= input[i];
            hash *= 0x100000001b3UL;
        }
        return hash;
    }

    private static ulong ByteSum()
    {
        var input = s_input;
        ulong sum = 0;
        for (nuint i = 0; i < 4096; i++) sum += input[i];
        return sum;
    }

    private static ulong Search()
    {
        var table = s_table;
        var input = (uint*)s_input;
        for (nuint i = 0; i < 512; i++) table[i] = (uint)i * 7;
        ulong found = 0;
        for (nuint i = 0; i < 64; i++)
        {
            var want = input[i] & 4095;
            uint low = 0, high = 512;
            for (uint step = 0; step < 10 && low < high; step++)
            {
                var middle = (low + high) / 2;
                if (middle >= 512) break;
                if (table[middle] < want) low = middle + 1;
                else high = middle;
            }
            found = found * 31 + low;
        }
        return found;
    }

    private static ulong Sort()
    {
        var numbers = s_table;
        var input = (uint*)s_input;
        for (nuint i = 0; i < 64; i++) numbers[i] = input[i];
        for (nuint end = 63; end > 0; end--)
        {
            for (nuint i = 0; i < end; i++)
            {
                uint a = numbers[i], b = numbers[i + 1];
                if (a <= b) continue;
                numbers[i] = b;
                numbers[i + 1] = a;
            }
        }
        ulong hash = 0;
        for (nuint i = 0; i < 64; i++) hash = hash * 31 + numbers[i];
        return hash;
    }

    private static ulong Parse()
    {
        var input = s_input;
        uint words = 0, numbers = 0, lines = 0;
        bool inWord = false, inNumber = false;
        ulong sum = 0, value = 0;
        for (nuint i = 0; i < 1024; i++)
        {
            var c = (byte)(input[i] & 0x7f);
            if (c is >= (byte)'0' and <= (byte)'9' && !inWord)
            {
                if (!inNumber)
                {
                    inNumber = true;
                    numbers++;
                    value = 0;
                }
                value = value * 10 + (uint)(c - '0');
            }
            else if (c is (>= (byte)'a' and <= (byte)'z') or (>= (byte)'A' and <= (byte)'Z') or (byte)'_')
            {
                if (inNumber)
                {
                    inNumber = false;
                    sum += value;
                }
                if (!inWord)
                {
                    inWord = true;
                    words++;
                }
            }
            else
            {
                if (inNumber) sum += value;
                inNumber = false;
                inWord = false;
                if (c == '\n') lines++;
            }
        }
        return sum * 1000003 + words * 10007 + numbers * 101 + lines;
    }

    private static ulong MulDiv()
    {
        var a = *(ulong*)s_input | 1;
        var b = *(uint*)(s_input + 8) | 3;
        ulong sum = 0;
        for (uint i = 1; i <= 32; i++)
        {
            a = a * 6364136223846793005UL + 1442695040888963407UL;
            sum += a / (b + i);
            sum ^= a % (b | i);
            b = (uint)(a >> 33) / i + 3;
            sum += b % (i + 7);
        }
        return sum;
    }

    private static ulong Copy()
    {
        ulong* input = (ulong*)s_input, output = s_output;
        for (nuint i = 0; i < 512; i++) output[i] = input[i];
        return output[0] ^ output[255] ^ output[511];
    }

    [SkipLocalsInit]
    private static ulong Stack()
    {
        var input = s_input;
        var count = stackalloc ushort[128];
        new Span<ushort>(count, 128).Clear();
        for (nuint i = 0; i < 128; i++) count[input[i] & 127] += (ushort)(i + 1);
        ulong hash = 0;
        for (nuint i = 0; i < 128; i++) hash = hash * 33 + count[i];
        return hash;
    }

    private static ulong Helpers()
    {
        ulong sum = 0;
        for (uint i = 0; i < 100; i++) sum += HelperCall() != 0 ? i : 2 * i;
        return sum >> 63;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static uint HelperCall() => Volatile.Read(ref s_helperSlot);

    private static ulong Calls()
    {
        var x = *(ulong*)s_input;
        for (uint i = 0; i < 100; i++) x = Step(x, i);
        return x;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong Step(ulong x, ulong y) => (x ^ y) * 0x9e3779b97f4a7c15UL + (x >> 29);

    [StructLayout(LayoutKind.Sequential)]
    private struct Record
    {
        public ulong Id;
        public uint Kind, Flags;
        public ulong Offset;
        public uint Length, Checksum;
        public fixed byte Key[16];
    }

    private static ulong Filter()
    {
        var record = (Record*)s_input;
        if ((record->Flags & 0x80) != 0 && record->Kind > 1000) return 1;
        if (record->Length > 65536 || (record->Offset & 511) != 0) return 2;
        uint sum = 0;
        for (var i = 0; i < 16; i++) sum = sum * 31 + record->Key[i];
        if (sum == record->Checksum) return 3;
        return (record->Id ^ sum) & 0xff;
    }
}
