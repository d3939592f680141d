namespace UringBpf.Ring;

// Opening and metadata. Paths are NUL-terminated UTF-8.
public static unsafe partial class Prepare
{
    /// <summary>IORING_OP_OPENAT.</summary>
    /// <param name="directory">Directory descriptor, or <see cref="CurrentDirectory"/>.</param>
    /// <param name="path">NUL-terminated.</param>
    /// <param name="flags">O_* of open(2).</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    public static Sqe OpenAt(int directory, byte* path, uint flags, uint mode) => Entry(IoUringOp.OpenAt, directory, path, mode, 0, flags);

    /// <summary>IORING_OP_OPENAT2 with a struct open_how.</summary>
    public static Sqe OpenAt2(int directory, byte* path, void* how, uint howBytes) => Entry(IoUringOp.OpenAt2, directory, path, howBytes, (ulong)how);

    /// <summary>The operation puts its new descriptor into this slot of the ring's file table, instead of the process's.</summary>
    public static Sqe IntoSlot(this Sqe entry, uint slot) => entry with { FileIndex = slot + 1 };

    /// <summary>The entry with these IOSQE_* flags set besides.</summary>
    public static Sqe With(this Sqe entry, SqeFlags flags) => entry with { Flags = entry.Flags | flags };

    /// <summary>IORING_OP_STATX into a 256-byte struct statx.</summary>
    /// <param name="directory">Directory descriptor.</param>
    /// <param name="path">NUL-terminated.</param>
    /// <param name="flags">AT_*.</param>
    /// <param name="mask">STATX_*.</param>
    /// <param name="result">256 bytes.</param>
    public static Sqe StatX(int directory, byte* path, uint flags, uint mask, void* result) => Entry(IoUringOp.StatX, directory, path, mask, (ulong)result, flags);

    /// <summary>IORING_OP_RENAMEAT; RENAME_* flags of renameat2(2).</summary>
    public static Sqe RenameAt(int oldDirectory, byte* oldPath, int newDirectory, byte* newPath, uint flags = 0) =>
        Entry(IoUringOp.RenameAt, oldDirectory, oldPath, (uint)newDirectory, (ulong)newPath, flags);

    /// <summary>IORING_OP_UNLINKAT; AT_REMOVEDIR = 0x200 for a directory.</summary>
    public static Sqe UnlinkAt(int directory, byte* path, uint flags = 0) => Entry(IoUringOp.UnlinkAt, directory, path, 0, 0, flags);

    /// <summary>IORING_OP_MKDIRAT.</summary>
    public static Sqe MkdirAt(int directory, byte* path, uint mode) => Entry(IoUringOp.MkdirAt, directory, path, mode, 0);

    /// <summary>IORING_OP_SYMLINKAT: <paramref name="linkPath"/> leads to <paramref name="target"/>.</summary>
    public static Sqe SymlinkAt(byte* target, int directory, byte* linkPath) => Entry(IoUringOp.SymlinkAt, directory, target, 0, (ulong)linkPath);

    /// <summary>IORING_OP_LINKAT; AT_SYMLINK_FOLLOW = 0x400.</summary>
    public static Sqe LinkAt(int oldDirectory, byte* oldPath, int newDirectory, byte* newPath, uint flags = 0) =>
        Entry(IoUringOp.LinkAt, oldDirectory, oldPath, (uint)newDirectory, (ulong)newPath, flags);

    /// <summary>IORING_OP_SETXATTR; XATTR_CREATE = 1, XATTR_REPLACE = 2.</summary>
    public static Sqe SetXAttr(byte* name, void* value, byte* path, uint length, uint flags = 0) =>
        Entry(IoUringOp.SetXAttr, -1, name, length, (ulong)value, flags) with { Address3 = (ulong)path };

    /// <summary>IORING_OP_FSETXATTR.</summary>
    public static Sqe FSetXAttr(int fd, byte* name, void* value, uint length, uint flags = 0) => Entry(IoUringOp.FSetXAttr, fd, name, length, (ulong)value, flags);

    /// <summary>IORING_OP_GETXATTR.</summary>
    public static Sqe GetXAttr(byte* name, void* value, byte* path, uint length) =>
        Entry(IoUringOp.GetXAttr, -1, name, length, (ulong)value) with { Address3 = (ulong)path };

    /// <summary>IORING_OP_FGETXATTR.</summary>
    public static Sqe FGetXAttr(int fd, byte* name, void* value, uint length) => Entry(IoUringOp.FGetXAttr, fd, name, length, (ulong)value);
}
