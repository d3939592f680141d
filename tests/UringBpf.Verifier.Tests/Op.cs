using UringBpf.Bytecode;

namespace UringBpf.Verifier.Tests;

/// <summary>Instructions by name, for tables of small programs.</summary>
internal static class Op
{
    private static readonly int[] s_sizes = [0, 0x10, 0x08, 0, 0x00, 0, 0, 0, 0x18];

    public static Instruction[] Mov(int dst, int value) => [new(0xb7, dst, 0, 0, value)];
    public static Instruction[] Mov32(int dst, int value) => [new(0xb4, dst, 0, 0, value)];
    public static Instruction[] MovReg(int dst, int src) => [new(0xbf, dst, src)];
    public static Instruction[] MovReg32(int dst, int src) => [new(0xbc, dst, src)];
    public static Instruction[] Add(int dst, int value) => [new(0x07, dst, 0, 0, value)];
    public static Instruction[] AddReg(int dst, int src) => [new(0x0f, dst, src)];
    public static Instruction[] SubReg(int dst, int src) => [new(0x1f, dst, src)];
    public static Instruction[] And(int dst, int value) => [new(0x57, dst, 0, 0, value)];
    public static Instruction[] MulReg(int dst, int src) => [new(0x2f, dst, src)];
    public static Instruction[] ShiftLeft(int dst, int value) => [new(0x67, dst, 0, 0, value)];
    public static Instruction[] ShiftRight(int dst, int value) => [new(0x77, dst, 0, 0, value)];
    public static Instruction[] DivReg(int dst, int src) => [new(0x3f, dst, src)];
    public static Instruction[] Load(int size, int dst, int src, int offset = 0) => [new((byte)(0x61 | s_sizes[size]), dst, src, (short)offset)];
    public static Instruction[] Store(int size, int dst, int offset, int value) => [new((byte)(0x62 | s_sizes[size]), dst, 0, (short)offset, value)];
    public static Instruction[] StoreReg(int size, int dst, int offset, int src) => [new((byte)(0x63 | s_sizes[size]), dst, src, (short)offset)];
    public static Instruction[] AtomicAdd(int size, int dst, int offset, int src) => [new((byte)(0xc3 | s_sizes[size]), dst, src, (short)offset)];
    public static Instruction[] Jump(int distance) => [new(0x05, 0, 0, (short)distance)];
    public static Instruction[] JumpEq(int dst, int value, int distance) => [new(0x15, dst, 0, (short)distance, value)];
    public static Instruction[] JumpNe(int dst, int value, int distance) => [new(0x55, dst, 0, (short)distance, value)];
    public static Instruction[] JumpGt(int dst, int value, int distance) => [new(0x25, dst, 0, (short)distance, value)];
    public static Instruction[] JumpLt(int dst, int value, int distance) => [new(0xa5, dst, 0, (short)distance, value)];
    public static Instruction[] JumpSgt(int dst, int value, int distance) => [new(0x65, dst, 0, (short)distance, value)];
    public static Instruction[] JumpGtReg(int dst, int src, int distance) => [new(0x2d, dst, src, (short)distance)];
    public static Instruction[] JumpLtReg(int dst, int src, int distance) => [new(0xad, dst, src, (short)distance)];
    public static Instruction[] JumpSgtReg(int dst, int src, int distance) => [new(0x6d, dst, src, (short)distance)];
    public static Instruction[] MayGoto(int distance) => [new(0xe5, 0, 0, (short)distance)];
    public static Instruction[] Call(int helper) => [new(0x85, 0, 0, 0, helper)];
    public static Instruction[] CallLocal(int distance) => [new(0x85, 0, 1, 0, distance)];
    public static Instruction[] Kfunc(int number) => [new(0x85, 0, 2, 0, number)];
    public static Instruction[] CallX(int register) => [new(0x8d, register)];
    public static Instruction[] PacketLoad(int size, int offset) => [new((byte)(0x20 | s_sizes[size]), 0, 0, 0, offset)];
    public static Instruction[] Map(int dst, int index) => [new(0x18, dst, 5, 0, index), new(0)];
    public static Instruction[] MapValue(int dst, int index, int offset) => [new(0x18, dst, 6, 0, index), new(0, 0, 0, 0, offset)];
    public static Instruction[] Function(int dst, int distance) => [new(0x18, dst, 4, 0, distance), new(0)];
    public static Instruction[] Wide(int dst, int kind) => [new(0x18, dst, kind, 0, 0), new(0)];
    public static Instruction[] Exit => [new(0x95)];
    public static Instruction[] Return(int value) => [.. Mov(0, value), .. Exit];

    /// <summary>r0 = bpf_map_lookup_elem(map, 4-byte key 1): 6 slots, uses fp-8.</summary>
    public static Instruction[] Lookup(int map) => [.. Store(4, 10, -8, 1), .. Map(1, map), .. MovReg(2, 10), .. Add(2, -8), .. Call(1)];
}
