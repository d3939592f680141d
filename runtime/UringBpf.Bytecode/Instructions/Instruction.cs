using System.Runtime.InteropServices;

namespace UringBpf.Bytecode;

/// <summary>
/// One 8-byte slot of BPF bytecode, as it lies in memory (RFC 9669 section 3). A 64-bit immediate load takes two
/// slots; the second has opcode 0 and carries the upper 32 bits in <see cref="Immediate"/>. Everywhere in this
/// library an instruction index is a slot index.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public readonly record struct Instruction
{
    /// <summary>Bytes in a slot.</summary>
    public const int Size = 8;

    // Declared in memory order: the layout is the wire format.
    private readonly byte _opcode;
    private readonly byte _registers;
    private readonly short _offset;
    private readonly int _immediate;

    /// <summary>Makes a slot from its fields.</summary>
    /// <param name="opcode">The opcode byte.</param>
    /// <param name="destination">Destination register number, 0..15 (valid programs use 0..10).</param>
    /// <param name="source">Source register number or pseudo selector, 0..15.</param>
    /// <param name="offset">The signed 16-bit offset.</param>
    /// <param name="immediate">The signed 32-bit immediate.</param>
    public Instruction(byte opcode, int destination = 0, int source = 0, short offset = 0, int immediate = 0)
    {
        _opcode = opcode;
        _registers = (byte)((destination & 0xF) | (source << 4));
        _offset = offset;
        _immediate = immediate;
    }

    /// <summary>The opcode byte.</summary>
    public byte Opcode => _opcode;

    /// <summary>Destination register, 0..15.</summary>
    public int Destination => _registers & 0xF;

    /// <summary>Source register, or the selector of a pseudo form (64-bit immediates, calls), 0..15.</summary>
    public int Source => _registers >> 4;

    /// <summary>Signed 16-bit offset: jump distance in slots, memory displacement, or a selector (signed division, movsx).</summary>
    public short Offset => _offset;

    /// <summary>Signed 32-bit immediate.</summary>
    public int Immediate => _immediate;

    /// <summary>True for the first slot of a 64-bit immediate load, which takes two slots.</summary>
    public bool IsWide => Opcode == 0x18;

    /// <summary>The same slot with another immediate.</summary>
    public Instruction WithImmediate(int immediate) => new(Opcode, Destination, Source, Offset, immediate);

    /// <summary>The same slot with another offset.</summary>
    public Instruction WithOffset(short offset) => new(Opcode, Destination, Source, offset, Immediate);

    /// <summary>The same slot with another source register or selector.</summary>
    public Instruction WithSource(int source) => new(Opcode, Destination, source, Offset, Immediate);

    /// <summary>The 64-bit value of a wide immediate: low half from this slot, high half from the next.</summary>
    public long WideImmediate(in Instruction next) => (uint)Immediate | ((long)next.Immediate << 32);
}
