using System.ComponentModel;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// The native face of a map: what a program's map pointer points to. Engines read the constant part to inline array
/// lookups; each map type keeps its own data behind <see cref="Data"/>. Nothing here changes after creation. Lives as long
/// as its <see cref="BpfMap"/> has references, and then until every run that was active has ended.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
[EditorBrowsable(EditorBrowsableState.Never)]
public unsafe struct MapHeader
{
    /// <summary>The type.</summary>
    public MapType Type;
    /// <summary>Key bytes.</summary>
    public uint KeySize;
    /// <summary>Value bytes as declared.</summary>
    public uint ValueSize;
    /// <summary>Capacity.</summary>
    public uint MaxEntries;
    /// <summary>Bytes from one array element to the next: the value size rounded up to 8.</summary>
    public uint Stride;
    /// <summary>Creation flags.</summary>
    public MapFlags Flags;
    /// <summary>Arrays: the first element. Other types: their own native data.</summary>
    public byte* Data;
    /// <summary>Weak GCHandle of the managed <see cref="BpfMap"/>, for slow paths.</summary>
    public nint Managed;
    /// <summary>Per-CPU arrays: bytes from one execution slot's elements to the next slot's; a multiple of 64.</summary>
    public ulong SlotStride;
    /// <summary>Byte offset of the <c>struct bpf_spin_lock</c> in a value, or -1.</summary>
    public int SpinLockOffset;
    /// <summary>Bytes of native memory the map holds, this header included.</summary>
    public ulong Bytes;
}
