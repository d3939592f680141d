using System.Buffers.Binary;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>What one run of a program starts from: everything it can read.</summary>
/// <param name="Context">The flat context, the scratch memory of a completion; empty for others.</param>
/// <param name="Packet">The packet or buffer; empty where there is none.</param>
/// <param name="Cells">The array's values.</param>
/// <param name="Globals">The one value of the other array.</param>
/// <param name="Table">The hash table's values, of the keys 0, 1, ….</param>
public sealed record ProgramInput(byte[] Context, byte[] Packet, byte[] Cells, byte[] Globals, byte[] Table)
{
    /// <summary>Numbers at the edges of ranges, or near what the program compares with.</summary>
    /// <param name="program">The program.</param>
    /// <param name="random">Where the numbers come from.</param>
    /// <param name="uniform">True for one number everywhere, so that it passes several checks at once, and is at the edge in each.</param>
    public static ProgramInput Make(GeneratedProgram program, FuzzRandom random, bool uniform = false)
    {
        var immediates = program.Spec.Instructions.Where(instruction => !instruction.IsWide && (instruction.Opcode & 7) is not 5 || instruction.Offset != 0)
            .Select(instruction => instruction.Immediate).Distinct().ToArray();
        var everywhere = uniform ? Everywhere() : 0;
        var packet = program.Spec.Type!.Context.Fields.Any(field => field.Kind == ContextFieldKind.BufferStart) || program.Spec.Type.HasPacket
            ? program.ForKernel ? Scenery.PacketMin + random.Below(Scenery.PacketMax - Scenery.PacketMin + 1) : random.Below(Scenery.PacketMax + 1)
            : 0;
        var context = program.Spec.Type.Context.IsFlat ? program.ContextSize : program.Spec.Type.Context.StructName.StartsWith("uring_", StringComparison.Ordinal) ? program.Spec.Type.Context.HostSize : 0;
        var bytes = Fill(packet);
        // The kernel's test run refuses frames of these types that are too short for an IP header.
        if (program.ForKernel && packet > 13 && bytes.AsSpan(12, 2) is [0x08, 0x00] or [0x86, 0xdd]) bytes[13] ^= 0x40;
        return new(Fill(context), bytes, Fill(Scenery.CellBytes * Scenery.CellCount), Fill(Scenery.GlobalBytes),
            Fill(Scenery.TableBytes * random.Below(Scenery.TableCount)));

        byte[] Fill(int bytes)
        {
            var filled = new byte[bytes];
            for (var at = 0; at + 8 <= bytes; at += 8) BinaryPrimitives.WriteUInt64LittleEndian(filled.AsSpan(at), Word());
            for (var at = bytes / 8 * 8; at < bytes; at++) filled[at] = (byte)Word();
            return filled;
        }

        // At each width it may be read with.
        ulong Everywhere()
        {
            if (random.OneIn(3)) return random.OneIn(3) ? 1UL << 63 : ulong.MaxValue;
            var number = immediates.Length == 0 ? 0 : (ulong)(random.Pick(immediates) + (long)random.Below(3) - 1);
            return random.Below(4) switch { 0 => (byte)number * 0x0101010101010101UL, 1 => (ushort)number * 0x0001000100010001UL, 2 => (uint)number * 0x0000000100000001UL, _ => number };
        }

        ulong Word() => uniform && !random.OneIn(16) ? everywhere : random.Below(6) switch
        {
            0 => (ulong)random.Below(80),
            1 => random.Next(),
            2 => immediates.Length == 0 ? 0 : (ulong)(random.Pick(immediates) + (long)random.Below(3) - 1),
            3 => (1UL << random.Below(64)) - (ulong)random.Below(3),
            4 => (ulong)(uint)random.Below(80) << 32 | (uint)random.Below(80),
            _ => random.Next() & random.Next() & random.Next(),
        };
    }
}
