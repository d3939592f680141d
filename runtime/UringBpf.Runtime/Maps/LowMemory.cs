using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>
/// Memory below 2 GiB for small maps: machine code names such an address in four bytes, inside the instruction that reads or
/// writes there, where any other address takes ten bytes of an instruction of its own. Linux on x86-64 only. That part of the address
/// space is small and other libraries may want some of it, so blocks, their sizes and their number are limited: what gets none here
/// lies elsewhere and works as well. Thread-safe.
/// </summary>
internal static unsafe partial class LowMemory
{
    /// <summary>Blocks of more bytes lie elsewhere.</summary>
    public const ulong MaxBlockBytes = 16 << 20;

    /// <summary>No more blocks than this at a time: each is a mapping of its own, of which a process has some 65,000.</summary>
    public const int MaxBlocks = 1_024;

    private const ulong Page = 4096, MaxBytes = 256 << 20;
    // PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT.
    private const int ReadWrite = 3, PrivateLow = 0x02 | 0x20 | 0x40;

    private static int s_blocks, s_next;
    private static ulong s_bytes;

    /// <summary>False leaves all maps where the allocator puts them: the switch "UringBpf.LowMaps" of the runtime's configuration.</summary>
    public static bool IsOn { get; set; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && !(AppContext.TryGetSwitch("UringBpf.LowMaps", out var on) && !on);

    /// <summary>Zeroed memory, aligned to 64 bytes; null where there is none.</summary>
    public static byte* TryAllocate(ulong bytes)
    {
        if (!IsOn || bytes > MaxBlockBytes) return null;
        // Not all at the same offset of their pages, where they would share a few sets of the processor's first cache.
        var offset = (ulong)(Interlocked.Increment(ref s_next) & 7) * 256;
        var length = Length(bytes, offset);
        if (Interlocked.Increment(ref s_blocks) <= MaxBlocks && Interlocked.Add(ref s_bytes, length) is var taken)
        {
            if (taken <= MaxBytes && MMap(0, (nuint)length, ReadWrite, PrivateLow, -1, 0) is > 0 and var start) return (byte*)start + offset;
            Interlocked.Add(ref s_bytes, unchecked(0 - length));
        }
        Interlocked.Decrement(ref s_blocks);
        return null;
    }

    /// <summary>Gives a block back.</summary>
    /// <param name="block">From <see cref="TryAllocate"/>.</param>
    /// <param name="bytes">What was asked for.</param>
    public static void Free(byte* block, ulong bytes)
    {
        var offset = (ulong)block % Page;
        var length = Length(bytes, offset);
        MUnmap((nint)(block - offset), (nuint)length);
        Interlocked.Add(ref s_bytes, unchecked(0 - length));
        Interlocked.Decrement(ref s_blocks);
    }

    private static ulong Length(ulong bytes, ulong offset) => (offset + bytes + Page - 1) & ~(Page - 1);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int MUnmap(nint address, nuint length);
}
