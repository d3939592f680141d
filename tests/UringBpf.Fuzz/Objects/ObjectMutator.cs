using System.Buffers.Binary;

namespace UringBpf.Fuzz;

/// <summary>
/// Damages a good object. Blind damage (flipped bytes, cut ends, copied pieces) mostly dies in the first checks, so most
/// cases edit a field of a table: of the ELF header, sections, symbols, relocations, BTF, .BTF.ext, or an instruction.
/// </summary>
public sealed class ObjectMutator
{
    private readonly byte[] _original;
    private readonly List<Region> _regions = [];

    /// <param name="Start">Its first byte.</param>
    /// <param name="Length">Bytes.</param>
    /// <param name="Unit">Bytes of the fields that are edited.</param>
    private readonly record struct Region(int Start, int Length, int Unit);

    /// <summary>Takes an object that loads.</summary>
    public ObjectMutator(byte[] original)
    {
        _original = original;
        FindRegions();
    }

    /// <summary>A damaged copy.</summary>
    public byte[] Mutate(FuzzRandom random)
    {
        var bytes = (byte[])_original.Clone();
        for (var edits = 1 + random.Below(random.OneIn(4) ? 8 : 2); edits > 0; edits--)
        {
            switch (random.Below(10))
            {
                case 0: bytes[random.Below(bytes.Length)] ^= (byte)(1 << random.Below(8)); break;
                case 1: bytes[random.Below(bytes.Length)] = (byte)random.Next(); break;
                case 2: CopyPiece(bytes, random); break;
                default: EditField(bytes, random); break;
            }
        }
        return random.OneIn(16) ? bytes[..random.Below(bytes.Length + 1)] : bytes;
    }

    private static void CopyPiece(byte[] bytes, FuzzRandom random)
    {
        var length = 1 + random.Below(Math.Min(64, bytes.Length));
        Array.Copy(bytes, random.Below(bytes.Length - length + 1), bytes, random.Below(bytes.Length - length + 1), length);
    }

    private void EditField(byte[] bytes, FuzzRandom random)
    {
        var region = random.Pick(_regions);
        var unit = random.OneIn(4) ? 1 << random.Below(4) : region.Unit;
        if (region.Length < unit) return;
        var field = bytes.AsSpan(region.Start + random.Below(region.Length / unit) * unit, unit);
        var old = Read(field);
        var value = random.Below(8) switch
        {
            0 => 0UL,
            1 => ulong.MaxValue,
            2 => old + 1,
            3 => old - 1,
            4 => 1UL << random.Below(unit * 8),
            5 => (ulong)random.Below(64),
            6 => (ulong)random.Below(bytes.Length + 2),
            _ => old ^ 1UL << random.Below(unit * 8),
        };
        for (var i = 0; i < unit; i++) field[i] = (byte)(value >> (i * 8));
    }

    private static ulong Read(ReadOnlySpan<byte> field)
    {
        ulong value = 0;
        for (var i = field.Length - 1; i >= 0; i--) value = value << 8 | field[i];
        return value;
    }

    private void FindRegions()
    {
        const int header = 64, sectionHeader = 64;
        var table = (int)BinaryPrimitives.ReadUInt64LittleEndian(_original.AsSpan(40));
        var count = BinaryPrimitives.ReadUInt16LittleEndian(_original.AsSpan(60));
        _regions.Add(new Region(0, header, 2));
        _regions.Add(new Region(table, count * sectionHeader, 8));
        for (var i = 0; i < count; i++)
        {
            var section = _original.AsSpan(table + i * sectionHeader, sectionHeader);
            var type = BinaryPrimitives.ReadUInt32LittleEndian(section[4..]);
            var start = (int)BinaryPrimitives.ReadUInt64LittleEndian(section[24..]);
            var size = (int)BinaryPrimitives.ReadUInt64LittleEndian(section[32..]);
            // Debug information other than BTF is not read: damage there says nothing.
            var isDebug = SectionName(table, section).StartsWith(".debug", StringComparison.Ordinal) || SectionName(table, section).StartsWith(".rel.debug", StringComparison.Ordinal);
            if (type is 0 or 8 || size == 0 || isDebug) continue;
            _regions.Add(new Region(start, size, type switch { 2 => 4, 9 => 8, _ => 4 }));
        }
    }

    private string SectionName(int table, ReadOnlySpan<byte> section)
    {
        var names = _original.AsSpan(table + BinaryPrimitives.ReadUInt16LittleEndian(_original.AsSpan(62)) * 64);
        var name = _original.AsSpan((int)BinaryPrimitives.ReadUInt64LittleEndian(names[24..]) + (int)BinaryPrimitives.ReadUInt32LittleEndian(section));
        return System.Text.Encoding.UTF8.GetString(name[..name.IndexOf((byte)0)]);
    }
}
