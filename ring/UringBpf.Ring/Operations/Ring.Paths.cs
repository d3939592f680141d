using System.Runtime.InteropServices;
using System.Text;

namespace UringBpf.Ring;

// Opening and metadata, by path: absolute, or relative to the working directory. Each gives the result, or -errno.
public sealed unsafe partial class Ring
{
    private const int CloseOnExec = 0x80000;

    /// <summary>IORING_OP_OPENAT: a new descriptor, close-on-exec, that the caller owns. <see cref="RingFile.OpenAsync"/> wraps it.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="openFlags">O_* of open(2).</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    /// <param name="cancellationToken">As for reads. One that comes too late leaves the caller a descriptor to close.</param>
    public ValueTask<int> OpenAsync(string path, int openFlags = 0, int mode = 0, CancellationToken cancellationToken = default)
    {
        var text = Text(path);
        return Start(Prepare.OpenAt(Prepare.CurrentDirectory, text, (uint)(openFlags | CloseOnExec), (uint)mode), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_OPENAT2 beneath a directory: RESOLVE_* flags say how (8 RESOLVE_BENEATH, 2 no magic links, 4 no symlinks).</summary>
    /// <param name="directory">Kept open until the operation completes.</param>
    /// <param name="path">Relative to it.</param>
    /// <param name="openFlags">O_* of open(2); close-on-exec is added.</param>
    /// <param name="mode">Permissions of a file that is created, else 0.</param>
    /// <param name="resolve">RESOLVE_* of openat2(2).</param>
    /// <param name="cancellationToken">As for <see cref="OpenAsync"/>.</param>
    public ValueTask<int> OpenAt2Async(SafeHandle directory, string path, int openFlags = 0, int mode = 0, ulong resolve = 8, CancellationToken cancellationToken = default)
    {
        var length = Encoding.UTF8.GetByteCount(path);
        var memory = (byte*)NativeMemory.Alloc((nuint)(sizeof(IoUring.OpenHow) + length + 1));
        *(IoUring.OpenHow*)memory = new IoUring.OpenHow { Flags = (ulong)(openFlags | CloseOnExec), Mode = (ulong)mode, Resolve = resolve };
        var text = memory + sizeof(IoUring.OpenHow);
        Encoding.UTF8.GetBytes(path, new Span<byte>(text, length));
        text[length] = 0;
        return Start(Prepare.OpenAt2(FileToCome, text, memory, (uint)sizeof(IoUring.OpenHow)), new HostMemory { File = directory, Native = memory }, cancellationToken);
    }

    /// <summary>IORING_OP_OPENAT into a slot of the ring's file table: the slot, which <see cref="CloseDirectAsync"/> gives back.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="openFlags">O_* of open(2).</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    /// <param name="cancellationToken">As for <see cref="OpenAsync"/>.</param>
    /// <returns>The slot; -ENFILE when the table is full.</returns>
    public ValueTask<int> OpenDirectAsync(string path, int openFlags = 0, int mode = 0, CancellationToken cancellationToken = default)
    {
        var text = Text(path);
        return Start(Prepare.OpenAt(Prepare.CurrentDirectory, text, (uint)openFlags, (uint)mode), new HostMemory { Native = text, TakesSlot = true }, cancellationToken);
    }

    /// <summary>IORING_OP_CLOSE of a slot that <see cref="OpenDirectAsync"/> or <see cref="SocketDirectAsync"/> gave, or a hook handed over.</summary>
    /// <returns>0, or -errno; -EBADF for what is no slot of the host's, such as the errno of an open that failed.</returns>
    // In an entry, slot -1 would mean no slot, but the descriptor 0.
    public ValueTask<int> CloseDirectAsync(int slot) =>
        slot < 0 ? new ValueTask<int>(-Errno.BadF) : Start(Prepare.CloseDirect((uint)slot), new HostMemory { ClosesSlot = slot + 1 }, default);

    /// <summary>IORING_OP_FIXED_FD_INSTALL (Linux 6.8): an ordinary descriptor, close-on-exec, of a slot's file.</summary>
    public ValueTask<int> InstallAsync(int slot, CancellationToken cancellationToken = default) => Start(Prepare.FixedFdInstall(slot), default, cancellationToken);

    /// <summary>IORING_OP_STATX of a path into a 256-byte <c>struct statx</c>.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="result">At least 256 bytes; pinned until the operation completes.</param>
    /// <param name="mask">STATX_* of statx(2); default the basic fields.</param>
    /// <param name="cancellationToken">As for reads.</param>
    /// <exception cref="ArgumentException"><paramref name="result"/> is too short.</exception>
    public ValueTask<int> StatXAsync(string path, Memory<byte> result, uint mask = 0x7FF, CancellationToken cancellationToken = default)
    {
        const int statxBytes = 256;
        if (result.Length < statxBytes) throw new ArgumentException($"struct statx takes {statxBytes} bytes.", nameof(result));
        var text = Text(path);
        var pin = result.Pin();
        return Start(Prepare.StatX(Prepare.CurrentDirectory, text, 0, mask, pin.Pointer), new HostMemory { Pin = pin, Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_RENAMEAT; RENAME_NOREPLACE 1, RENAME_EXCHANGE 2.</summary>
    public ValueTask<int> RenameAsync(string from, string to, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var text = Text(from, to, out var second);
        return Start(Prepare.RenameAt(Prepare.CurrentDirectory, text, Prepare.CurrentDirectory, second, flags), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_UNLINKAT of a file, or of an empty directory.</summary>
    public ValueTask<int> UnlinkAsync(string path, bool directory = false, CancellationToken cancellationToken = default)
    {
        const uint removeDirectory = 0x200;
        var text = Text(path);
        return Start(Prepare.UnlinkAt(Prepare.CurrentDirectory, text, directory ? removeDirectory : 0), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_MKDIRAT; mode 0777 by default, less the process's umask.</summary>
    public ValueTask<int> MkdirAsync(string path, int mode = 0x1FF, CancellationToken cancellationToken = default)
    {
        var text = Text(path);
        return Start(Prepare.MkdirAt(Prepare.CurrentDirectory, text, (uint)mode), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_SYMLINKAT: <paramref name="linkPath"/> leads to <paramref name="target"/>.</summary>
    public ValueTask<int> SymlinkAsync(string target, string linkPath, CancellationToken cancellationToken = default)
    {
        var text = Text(target, linkPath, out var second);
        return Start(Prepare.SymlinkAt(text, Prepare.CurrentDirectory, second), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_LINKAT: another name of a file.</summary>
    public ValueTask<int> LinkAsync(string path, string newPath, CancellationToken cancellationToken = default)
    {
        var text = Text(path, newPath, out var second);
        return Start(Prepare.LinkAt(Prepare.CurrentDirectory, text, Prepare.CurrentDirectory, second), new HostMemory { Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_GETXATTR: bytes of the value.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="name">Such as <c>user.comment</c>.</param>
    /// <param name="value">Pinned until the operation completes; empty to ask for the length.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> GetXAttrAsync(string path, string name, Memory<byte> value, CancellationToken cancellationToken = default)
    {
        var text = Text(name, path, out var second);
        var pin = value.Pin();
        return Start(Prepare.GetXAttr(text, pin.Pointer, second, (uint)value.Length), new HostMemory { Pin = pin, Native = text }, cancellationToken);
    }

    /// <summary>IORING_OP_SETXATTR.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="name">Such as <c>user.comment</c>.</param>
    /// <param name="value">Pinned until the operation completes.</param>
    /// <param name="flags">XATTR_CREATE 1, XATTR_REPLACE 2.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SetXAttrAsync(string path, string name, ReadOnlyMemory<byte> value, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var text = Text(name, path, out var second);
        var pin = value.Pin();
        return Start(Prepare.SetXAttr(text, pin.Pointer, second, (uint)value.Length, flags), new HostMemory { Pin = pin, Native = text }, cancellationToken);
    }
}
