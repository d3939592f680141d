using UringBpf.Runtime;

namespace UringBpf.Ring;

// Operations on names: a path that was granted as a whole, or one beneath a granted directory, from the path table or a buffer.
internal static unsafe partial class HookCalls
{
    private const int LongestPath = 4096;
    // What a hook makes runs as nobody else: set-user-ID, set-group-ID and sticky are not its to give.
    private const uint Permissions = 0x1FF;

    private static int PrepareOpen(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint accessMode = 3, create = 0x40, truncate = 0x200, append = 0x400, nonBlock = 0x800, noControllingTerminal = 0x100,
            directory = 0x10000, noFollow = 0x20000, direct = 0x4000, synchronous = 0x101000, noAccessTime = 0x40000, exclusive = 0x80;
        const uint known = accessMode | create | truncate | append | nonBlock | noControllingTerminal | directory | noFollow | direct | synchronous | noAccessTime | exclusive;
        const ulong resolveBeneath = 0x08, resolveNoMagicLinks = 0x02;

        var checkedTarget = CheckTarget(chain, link, op.Target);
        if (checkedTarget < 0) return checkedTarget;
        if ((op.OpFlags & ~known) != 0) return -Errno.Inval;
        var writes = (op.OpFlags & accessMode) != 0 || (op.OpFlags & (create | truncate | append)) != 0;
        if (writes && !link.Grants.AllowWrite) return -Errno.Access;
        var result = ResolvePath(chain, link, operation, op, out var path, out var directoryFd, out var beneath);
        if (result < 0) return result;
        result = TakeTarget(chain, link, operation, entry, op.Target);
        if (result < 0) return result;
        // O_NONBLOCK: opening a FIFO must not park a worker thread; regular files do not know it. No close-on-exec: a
        // direct descriptor is no entry of the process's table.
        var how = &link.Ring.Operations.Extra(operation)->How;
        *how = new IoUring.OpenHow
        {
            Flags = op.OpFlags | nonBlock | noControllingTerminal,
            Mode = (op.OpFlags & create) != 0 ? op.Length & Permissions : 0,
            Resolve = beneath ? resolveBeneath | resolveNoMagicLinks : 0,
        };
        entry->Opcode = IoUringOp.OpenAt2;
        entry->Fd = directoryFd;
        entry->Address = (ulong)path;
        entry->Length = (uint)sizeof(IoUring.OpenHow);
        entry->Offset = (ulong)how;
        return 0;
    }

    private static int PrepareStat(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint statxBytes = 256, symlinkNoFollow = 0x100;
        var result = ResolvePath(chain, link, operation, op, out var path, out var directoryFd, out var beneath);
        if (result < 0) return result;
        // statx knows no RESOLVE_BENEATH: only a bare name in the granted directory is safe.
        if (beneath && !IsBareName(path)) return -Errno.Access;
        var address = ResolveBuffer(chain, link, op.Buffer, op.BufferOffset, statxBytes, out var writable);
        if (address == null) return -Errno.Fault;
        if (!writable) return -Errno.Access;
        operation->Buffer = op.Buffer;
        entry->Fd = directoryFd;
        entry->Address = (ulong)path;
        entry->Length = op.Length;
        entry->Offset = (ulong)address;
        entry->OpFlags = beneath ? symlinkNoFollow : op.OpFlags & symlinkNoFollow;
        return 0;
    }

    // unlinkat and mkdirat know no RESOLVE_BENEATH: a bare name in a granted directory, or a path granted as a whole.
    private static int PrepareName(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint removesDirectory = 0x200;
        if (!link.Grants.AllowWrite) return -Errno.Access;
        if ((op.OpFlags & ~(op.Opcode == IoUringOp.UnlinkAt ? removesDirectory : 0)) != 0) return -Errno.Inval;
        var result = ResolvePath(chain, link, operation, op, out var path, out var directoryFd, out var beneath);
        if (result < 0) return result;
        if (beneath && !IsBareName(path)) return -Errno.Access;
        entry->Fd = directoryFd;
        entry->Address = (ulong)path;
        if (op.Opcode == IoUringOp.UnlinkAt) entry->OpFlags = op.OpFlags;
        else entry->Length = op.Length & Permissions;
        return 0;
    }

    // From one name to another; the second directory is in Target, the second path, or its length in the buffer, in Length.
    private static int PrepareTwoNames(Chain* chain, HookLink link, Operation* operation, Sqe* entry, in UringOp op)
    {
        const uint noReplace = 1, exchange = 2;
        if (!link.Grants.AllowWrite) return -Errno.Access;
        if ((op.OpFlags & ~(op.Opcode == IoUringOp.RenameAt ? noReplace | exchange : 0)) != 0) return -Errno.Inval;
        if (!ResolveDirectory(link, op.Directory, out var directoryFd, out var beneath) || !ResolveDirectory(link, (uint)op.Target, out var newDirectoryFd, out var newBeneath))
            return -Errno.BadF;
        byte* path, newPath;
        if ((op.Flags & UringOpFlags.PathInBuffer) == 0)
        {
            if (op.Path >= (uint)link.Grants.PathCount || op.Length >= (uint)link.Grants.PathCount) return -Errno.BadF;
            path = link.Grants.Paths[op.Path].Text;
            newPath = link.Grants.Paths[op.Length].Text;
        }
        else
        {
            if (!beneath || !newBeneath) return -Errno.Access;
            if (op.Path is 0 or > LongestPath || op.Length is 0 or > LongestPath) return -Errno.Inval;
            path = CopyText(chain, link, operation, op, op.Path + op.Length);
            if (path == null) return -Errno.Fault;
            newPath = path + op.Path;
            if (newPath[-1] != 0 || newPath[op.Length - 1] != 0) return -Errno.Inval;
        }
        if (beneath && !IsBareName(path) || newBeneath && !IsBareName(newPath)) return -Errno.Access;
        entry->Fd = directoryFd;
        entry->Address = (ulong)path;
        entry->Length = (uint)newDirectoryFd;
        entry->Offset = (ulong)newPath;
        entry->OpFlags = op.OpFlags;
        return 0;
    }

    private static bool ResolveDirectory(HookLink link, uint directory, out int fd, out bool beneath)
    {
        const int currentDirectory = -100;
        beneath = directory != UringOp.NoDirectory;
        fd = beneath && directory < (uint)link.Grants.DirectoryCount ? link.Grants.Directories[directory].Fd : currentDirectory;
        return !beneath || directory < (uint)link.Grants.DirectoryCount;
    }

    private static int ResolvePath(Chain* chain, HookLink link, Operation* operation, in UringOp op, out byte* path, out int directoryFd, out bool beneath)
    {
        path = null;
        if (!ResolveDirectory(link, op.Directory, out directoryFd, out beneath)) return -Errno.BadF;
        if ((op.Flags & UringOpFlags.PathInBuffer) == 0)
        {
            if (op.Path >= (uint)link.Grants.PathCount) return -Errno.BadF;
            path = link.Grants.Paths[op.Path].Text;
            return 0;
        }
        // A name that the hook made up may only lead beneath a granted directory. For open its length is in Path, as
        // Length is the mode; it includes the NUL.
        if (!beneath) return -Errno.Access;
        if (op.Path is 0 or > LongestPath) return -Errno.Inval;
        path = CopyText(chain, link, operation, op, op.Path);
        if (path == null) return -Errno.Fault;
        return path[op.Path - 1] == 0 ? 0 : -Errno.Inval;
    }

    // Copied, as other operations may write to the buffer; freed with the operation. Null when it is not inside.
    private static byte* CopyText(Chain* chain, HookLink link, Operation* operation, in UringOp op, uint bytes)
    {
        var text = ResolveBuffer(chain, link, op.Buffer, op.BufferOffset, bytes, out _);
        if (text == null) return null;
        var copy = link.Ring.Operations.Allocate(operation, bytes);
        operation->Marks = OperationMarks.Settles;
        System.Buffer.MemoryCopy(text, copy, bytes, bytes);
        return copy;
    }

    private static bool IsBareName(byte* path)
    {
        if (path[0] == (byte)'.' && (path[1] == 0 || (path[1] == (byte)'.' && path[2] == 0))) return false;
        for (; *path != 0; path++)
        {
            if (*path == (byte)'/') return false;
        }
        return true;
    }
}
