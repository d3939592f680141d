using System.Buffers.Binary;

namespace UringBpf.Fuzz;

/// <summary>
/// Lies in fields of a good object, knowing what each means: numbers at the edges of what is there (sections, symbols, types, ends of
/// tables), sums that wrap, what another field of the same meaning holds, two sections in one place, records that exchange places.
/// </summary>
public sealed class FieldMutator(byte[] original)
{
    private readonly FieldMap _map = new(original);

    /// <summary>The object's types, or null.</summary>
    public byte[]? Btf => _map.Contents(".BTF");

    /// <summary>A copy with one to six lies.</summary>
    public byte[] Mutate(FuzzRandom random)
    {
        var bytes = (byte[])original.Clone();
        var lies = 1 + random.Below(random.OneIn(3) ? 6 : 2);
        while (lies > 0)
        {
            // By table first, so that the few section headers are told lies as often as the many instructions.
            var table = random.Pick(_map.Tables);
            var record = random.Pick(table);
            switch (random.Below(12))
            {
                case 0:
                    Exchange(bytes, record, random.Pick(table));
                    break;
                case 1:
                    Overlay(bytes, random);
                    break;
                case 2:
                    // Several fields of one record, which may be wrong together only.
                    foreach (var field in record) Put(bytes, field, Value(bytes, field, random));
                    break;
                default:
                    var one = random.Pick(record);
                    Put(bytes, one, Value(bytes, one, random));
                    break;
            }
            lies--;
        }
        return bytes;
    }

    private static void Exchange(byte[] bytes, Field[] a, Field[] b)
    {
        for (var i = 0; i < a.Length; i++)
        {
            var value = Get(bytes, a[i]);
            Put(bytes, a[i], Get(bytes, b[i]));
            Put(bytes, b[i], value);
        }
    }

    // One section where another is, or within it, or one byte into it.
    private void Overlay(byte[] bytes, FuzzRandom random)
    {
        var headers = bytes.AsSpan(_map.SectionTable, _map.SectionCount * 64);
        var from = headers.Slice(random.Below(_map.SectionCount) * 64, 64);
        var to = headers.Slice(random.Below(_map.SectionCount) * 64, 64);
        var (start, size) = (BinaryPrimitives.ReadUInt64LittleEndian(from[24..]), BinaryPrimitives.ReadUInt64LittleEndian(from[32..]));
        var skip = random.Below(3) switch { 0 => 0UL, 1 => size, _ => (ulong)random.Below(64) };
        BinaryPrimitives.WriteUInt64LittleEndian(to[24..], start + skip);
        if (random.OneIn(2)) BinaryPrimitives.WriteUInt64LittleEndian(to[32..], size - Math.Min(size, skip));
    }

    private ulong Value(byte[] bytes, Field field, FuzzRandom random)
    {
        var old = Get(bytes, field);
        if (random.OneIn(3)) return Get(bytes, random.Pick(_map.ByKind[field.Kind]));
        if (random.OneIn(3)) return Special(bytes, field, old, random);
        var bits = field.Bytes * 8;
        var most = ulong.MaxValue >> (64 - bits);
        return random.Below(16) switch
        {
            0 => 0,
            1 => 1,
            2 => most,
            3 => most - (ulong)random.Below(16),
            4 => most >> 1,
            5 => (most >> 1) + 1,
            6 => (most >> 1) - 3,
            7 => old + 1,
            8 => old - 1,
            9 => old + 8,
            10 => old - 8,
            11 => 0 - old,
            12 => uint.MaxValue - (ulong)random.Below(8),
            13 => old * 2,
            14 => 1UL << random.Below(bits),
            _ => old ^ 1UL << random.Below(bits),
        };
    }

    private ulong Special(byte[] bytes, Field field, ulong old, FuzzRandom random) => field.Kind switch
    {
        // What is added to the length of the file wraps.
        FieldKind.FileOffset => random.Below(4) switch
        {
            0 => (ulong)bytes.Length - (ulong)random.Below(3),
            1 => 0 - (ulong)random.Below(bytes.Length),
            2 => (ulong)random.Below(bytes.Length),
            _ => (ulong)int.MaxValue + (ulong)random.Below(bytes.Length),
        },
        FieldKind.Size => random.Below(5) switch
        {
            0 => (ulong)bytes.Length + (ulong)random.Below(2),
            1 => 0 - (ulong)random.Below(bytes.Length),
            2 => (ulong)random.Below(300),
            3 => 1UL << (24 + random.Below(12)),
            _ => old + (ulong)random.Below(16) - 8,
        },
        FieldKind.Offset => random.Below(5) switch
        {
            0 => (ulong)random.Below(64) * 8,
            1 => (ulong)random.Below(512),
            2 => 0x7ffffffc,
            3 => 0 - (ulong)random.Below(64) * 8,
            _ => old + 4,
        },
        FieldKind.Section => random.Below(4) switch { 0 => (ulong)_map.SectionCount, 1 => 0xfff1, 2 => 0xff00, _ => (ulong)random.Below(_map.SectionCount) },
        FieldKind.SectionType => (ulong)random.Below(12),
        FieldKind.Symbol or FieldKind.Type => (ulong)random.Below(_map.ByKind[field.Kind].Length + 8),
        FieldKind.SymbolInfo => (ulong)(random.Below(4) << 4 | random.Below(5)),
        FieldKind.RelocationType => (ulong)random.Below(12),
        FieldKind.BtfKind => (ulong)(random.Below(21) | (random.OneIn(4) ? 0x80 : 0)),
        FieldKind.BtfCount => random.OneIn(2) ? (ulong)random.Below(8) : 0xffff,
        FieldKind.CoreKind => (ulong)random.Below(15),
        FieldKind.Opcode => random.Pick<byte>([0x18, 0x85, 0x95, 0x05, 0x06, 0x61, 0x79, 0x7b, 0xdb, 0xb7, 0x00, 0xe5]),
        FieldKind.Registers => (ulong)(random.Below(12) | random.Below(12) << 4),
        FieldKind.Character => random.Pick<byte>([0, (byte)':', (byte)'0', (byte)'9', (byte)'.', (byte)'_', 0x80, 0xff, 0x0a]),
        _ => (ulong)random.Below(256),
    };

    private static ulong Get(byte[] bytes, Field field)
    {
        ulong value = 0;
        for (var i = field.Bytes - 1; i >= 0; i--) value = value << 8 | bytes[field.At + i];
        return value;
    }

    private static void Put(byte[] bytes, Field field, ulong value)
    {
        for (var i = 0; i < field.Bytes; i++) bytes[field.At + i] = (byte)(value >> (i * 8));
    }
}
