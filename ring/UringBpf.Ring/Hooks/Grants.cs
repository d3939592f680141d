using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// What a hook may touch: it names files, directories, paths and buffers by their index here, and can form no address or
/// descriptor of its own. Immutable; the host keeps ownership of handles, the ring holds references of its own while
/// attached.
/// </summary>
public sealed record Grants
{
    /// <summary>Open files: file slots 0, 1, …. A chain's own slots (<see cref="ChainLimits.OwnFiles"/>) follow.</summary>
    public ImmutableArray<SafeFileHandle> Files { get; init; } = [];

    /// <summary>Directories by path: a hook opens beneath one (openat2, RESOLVE_BENEATH), never outside.</summary>
    public ImmutableArray<string> Directories { get; init; } = [];

    /// <summary>The path table: names that a hook opens as a whole (URING_NO_DIR) or beneath a directory.</summary>
    public ImmutableArray<string> Paths { get; init; } = [];

    /// <summary>Buffers of the attachment: sizes in bytes. The ring allocates them, zeroed and page-aligned; all chains share them.</summary>
    public ImmutableArray<int> Buffers { get; init; } = [];

    /// <summary>True when the hook may open files for writing and write to granted and own files. Default false.</summary>
    public bool AllowWrite { get; init; }

    /// <summary>True when buffers may only be read by the hook's own code; programs that write to them are refused at attach.</summary>
    public bool ReadOnlyBuffers { get; init; }

    /// <summary>Addresses: what a hook makes sockets for, binds and connects them to, and sends messages to, by index.</summary>
    public ImmutableArray<System.Net.EndPoint> Addresses { get; init; } = [];

    /// <summary>Hooks that this one may send messages to (uring_message), on this ring or others.</summary>
    public ImmutableArray<HookLink> Targets { get; init; } = [];

    /// <summary>Buffers that receives pick from when data has arrived (<see cref="BufferRing"/>), numbered after the chain's own: a power of two,
    /// at most 32,768. Default 0: none.</summary>
    public int ProvidedBuffers { get; init; }

    /// <summary>Bytes of each provided buffer. Default 4096.</summary>
    public int ProvidedBufferBytes { get; init; } = 4096;

    /// <summary>Programs besides the attachment's own that a submission may name: to run when it completes, or as an operation. Of type
    /// completion; the attachment keeps them alive.</summary>
    public ImmutableArray<Runtime.BpfProgram> Programs { get; init; } = [];

    /// <summary>Operations the hook may submit. Default: nop, read, write, fsync, open, close, statx, timeout.</summary>
    public ImmutableArray<IoUringOp> Operations { get; init; } =
        [IoUringOp.Nop, IoUringOp.Read, IoUringOp.Write, IoUringOp.FSync, IoUringOp.OpenAt, IoUringOp.Close, IoUringOp.StatX, IoUringOp.Timeout];
}

/// <summary>The grants of one attachment in native memory. Owned by its <see cref="HookLink"/>.</summary>
internal sealed unsafe class GrantTable : IDisposable
{
    private readonly List<nint> _memory = [];
    private readonly List<int> _descriptors = [];
    private readonly RingBackend _backend;

    public GrantTable(Grants grants, RingBackend backend)
    {
        _backend = backend;
        const int pageBytes = 4096;
        try
        {
            BufferCount = grants.Buffers.Length;
            Buffers = (GrantedBuffer*)Allocate((nuint)(BufferCount * sizeof(GrantedBuffer)), 8);
            for (var i = 0; i < BufferCount; i++)
            {
                var bytes = grants.Buffers[i];
                if (bytes <= 0) throw new BpfException("UB4511", $"buffer {i} has {bytes} bytes: a granted buffer has at least one.");
                Buffers[i] = new GrantedBuffer { Address = (byte*)Allocate((nuint)bytes, pageBytes), Length = (ulong)bytes, Writable = !grants.ReadOnlyBuffers };
            }

            AddressCount = grants.Addresses.Length;
            Addresses = (GrantedAddress*)Allocate((nuint)(AddressCount * sizeof(GrantedAddress)), 8);
            for (var i = 0; i < AddressCount; i++)
            {
                // .NET lays socket addresses out as the system does; the family comes first.
                var address = grants.Addresses[i].Serialize();
                var copy = (byte*)Allocate((nuint)address.Size, 8);
                address.Buffer.Span[..address.Size].CopyTo(new Span<byte>(copy, address.Size));
                Addresses[i] = new GrantedAddress { Bytes = copy, Length = (uint)address.Size, Family = *(ushort*)copy };
            }

            PathCount = grants.Paths.Length;
            Paths = (GrantedPath*)Allocate((nuint)(PathCount * sizeof(GrantedPath)), 8);
            for (var i = 0; i < PathCount; i++)
            {
                var text = Encoding.UTF8.GetBytes(grants.Paths[i]);
                if (text.Length == 0 || text.AsSpan().Contains((byte)0)) throw new BpfException("UB4511", $"path {i} is empty or has a NUL in it.");
                var copy = (byte*)Allocate((nuint)text.Length + 1, 1);
                text.CopyTo(new Span<byte>(copy, text.Length));
                Paths[i] = new GrantedPath { Text = copy, Writable = grants.AllowWrite };
            }

            DirectoryCount = grants.Directories.Length;
            Directories = (GrantedPath*)Allocate((nuint)(DirectoryCount * sizeof(GrantedPath)), 8);
            for (var i = 0; i < DirectoryCount; i++)
            {
                var fd = backend.OpenDirectory(grants.Directories[i]);
                if (fd < 0) throw new BpfException("UB4512", $"directory {i}, '{grants.Directories[i]}', can't be opened: {Errno.Name(-fd)}.");
                _descriptors.Add(fd);
                Directories[i] = new GrantedPath { Fd = fd, Writable = grants.AllowWrite };
            }

            // Running a granted program needs no more than the grant.
            AllowedOperations = OperationSet.Bit(IoUringOp.Program);
            foreach (var operation in grants.Operations)
            {
                if (!OperationSet.Has(operation)) throw new BpfException("UB4511", $"operation {operation} can't be granted to hooks.");
                AllowedOperations |= OperationSet.Bit(operation);
            }
            AllowWrite = grants.AllowWrite;
            Programs = grants.Programs.IsDefault ? [] : grants.Programs;
            Targets = grants.Targets.IsDefault ? [] : [.. grants.Targets];
            FileCount = grants.Files.Length;
            Files = (int*)Allocate((nuint)(FileCount * sizeof(int)), 4);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public GrantedBuffer* Buffers { get; }
    public int BufferCount { get; }
    public GrantedPath* Paths { get; }
    public int PathCount { get; }
    public GrantedPath* Directories { get; }
    public int DirectoryCount { get; }
    /// <summary>Ring file slot of each granted file; the ring fills it in.</summary>
    public int* Files { get; }
    public int FileCount { get; }
    public ulong AllowedOperations { get; }
    public bool AllowWrite { get; }
    public ImmutableArray<Runtime.BpfProgram> Programs { get; }
    public GrantedAddress* Addresses { get; }
    public int AddressCount { get; }
    public HookLink[] Targets { get; }
    /// <summary>The attachment's provided buffers, or null; the ring's thread registers and frees them.</summary>
    public BufferRing? Provided { get; set; }
    /// <summary>To whom each provided buffer belongs.</summary>
    public ProvidedHolder[] Holders { get; set; } = [];
    /// <summary>Buffers that the hook that runs has released; they go back when it has returned.</summary>
    public int[] Released { get; set; } = [];
    public int ReleasedCount { get; set; }

    public void Dispose()
    {
        foreach (var fd in _descriptors) _backend.CloseDirectory(fd);
        foreach (var memory in _memory) NativeMemory.AlignedFree((void*)memory);
        _descriptors.Clear();
        _memory.Clear();
    }

    private void* Allocate(nuint bytes, nuint alignment)
    {
        var memory = NativeMemory.AlignedAlloc(Math.Max(bytes, 1), Math.Max(alignment, (nuint)sizeof(nint)));
        NativeMemory.Clear(memory, Math.Max(bytes, 1));
        _memory.Add((nint)memory);
        return memory;
    }
}

/// <summary>Sets of operations in 64 bits: the kernel's 63, and the program as an operation.</summary>
internal static class OperationSet
{
    private const int KernelOperations = 63;

    /// <summary>True for an operation there is.</summary>
    public static bool Has(IoUringOp operation) => (int)operation < KernelOperations || operation == IoUringOp.Program;

    /// <summary>The bit of an operation there is.</summary>
    public static ulong Bit(IoUringOp operation) => 1UL << Math.Min((int)operation, KernelOperations);
}
