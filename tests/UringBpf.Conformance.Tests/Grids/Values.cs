namespace UringBpf.Conformance.Tests;

/// <summary>The operands of the grids: where carries, signs, widths and shift counts change.</summary>
internal static class Values
{
    public static readonly ulong[] Registers =
    [
        0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
        0x7fffffff, 0x80000000, 0x80000001, 0xfffffff9, 0xffffffff, 0x100000000, 0x180000000,
        0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001, 0xffffffff00000000, 0xffffffff80000000,
        0xfffffffffffffff9, 0xffffffffffffffff, 0x123456789abcdef0, 0xfedcba9876543210,
    ];

    public static readonly int[] Immediates =
        [0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xffff, int.MaxValue, int.MinValue, -1, -2, -7, -32, -64, 0x12345678, -0x12345678];
}
