using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>Flags of a <see cref="UringOp"/>.</summary>
[Flags]
public enum UringOpFlags : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>URING_OP_PATH_IN_BUFFER: the path is a NUL-terminated string in the buffer at <see cref="UringOp.BufferOffset"/>, copied at submit.</summary>
    PathInBuffer = 1,
    /// <summary>URING_OP_LINK: the operation submitted next starts when this one has succeeded; else it and what is linked to it complete with
    /// -ECANCELED. A read or write that moves less than was asked for breaks a link, a timer that has run out does not.</summary>
    Link = 2,
    /// <summary>URING_OP_HARDLINK: as <see cref="Link"/>, but not broken by a failure.</summary>
    HardLink = 4,
    /// <summary>URING_OP_DRAIN: starts, with what is linked to it, when everything that the chain submitted before has completed; what the chain
    /// submits later waits until it has.</summary>
    Drain = 8,
    /// <summary>URING_OP_NAMES_PROGRAM: <see cref="UringOp.Program"/> says which program runs.</summary>
    NamesProgram = 16,
    /// <summary>URING_OP_MULTISHOT: completes again and again, with F_MORE, until it is cancelled or fails: timers (at least 1 ms apart; <see cref="UringOp.Length"/>
    /// of them, 0 without limit), polls, accepts (each into a free slot of the chain's own; the last when none is left), receives and reads into
    /// provided buffers.</summary>
    Multishot = 32,
    /// <summary>URING_OP_PROVIDED_BUFFER: a receive, or a read that goes on, takes one of <see cref="Grants.ProvidedBuffers"/> when data has arrived.</summary>
    ProvidedBuffer = 64,
}

/// <summary>
/// One operation as a hook asks for it: <c>struct uring_op</c> of uring_bpf.h, 64 bytes. Files, directories, paths and
/// buffers are named by slot. The same struct starts a chain from the host.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
public struct UringOp
{
    /// <summary>IORING_OP_*.</summary>
    public IoUringOp Opcode;
    /// <summary>Flags.</summary>
    public UringOpFlags Flags;
    /// <summary>Buffer index of the chain.</summary>
    public ushort Buffer;
    /// <summary>File slot of the chain, -1 for none.</summary>
    public int File;
    /// <summary>File offset in bytes (ulong.MaxValue: the current position); nanoseconds for a timeout.</summary>
    public ulong Offset;
    /// <summary>Bytes; file mode for open, mask for statx, how for shutdown.</summary>
    public uint Length;
    /// <summary>Offset in the buffer, in bytes.</summary>
    public uint BufferOffset;
    /// <summary>Flags of the operation: O_* for open, AT_* for statx, RWF_* for read and write, MSG_* for send and receive.</summary>
    public uint OpFlags;
    /// <summary>File slot that open and accept fill.</summary>
    public int Target;
    /// <summary>Granted directory, or <see cref="NoDirectory"/>.</summary>
    public uint Directory;
    /// <summary>Index in the path table.</summary>
    public uint Path;
    /// <summary>Comes back in the context of its completion.</summary>
    public ulong UserData;
    /// <summary>With <see cref="UringOpFlags.NamesProgram"/>: which program runs when the operation completes, or, for <see cref="IoUringOp.Program"/>,
    /// as the operation: 0 the attachment's own, n entry n - 1 of <see cref="Grants.Programs"/>. Else zero.</summary>
    public uint Program;
    private readonly uint _reserved0;
    private readonly ulong _reserved1;

    /// <summary>The path stands for itself: it was granted by the host as a whole (URING_NO_DIR).</summary>
    public const uint NoDirectory = uint.MaxValue;

    /// <summary>A message goes to whom its socket is connected (URING_NO_ADDRESS).</summary>
    public const uint NoAddress = uint.MaxValue;

    /// <summary>Bytes of the struct: its version.</summary>
    public const int Size = 64;

    /// <summary>False when a reserved field is not zero.</summary>
    public readonly bool ReservedIsZero => (_reserved0 | _reserved1 | ((Flags & UringOpFlags.NamesProgram) != 0 ? 0 : Program)) == 0;

    /// <summary>An operation that completes at once with 0.</summary>
    public static UringOp Nop(ulong userData = 0) => new() { Opcode = IoUringOp.Nop, File = -1, Directory = NoDirectory, UserData = userData };

    /// <summary>
    /// An operation that completes with any result (IORING_NOP_INJECT_RESULT, Linux 6.13; older kernels give -EINVAL): for
    /// tests of a hook against the real kernel.
    /// </summary>
    public static UringOp Nop(int injectedResult, ulong userData) => Nop(userData) with { OpFlags = 1, Length = (uint)injectedResult };

    /// <summary>Reads from a file into a buffer.</summary>
    public static UringOp Read(int file, ushort buffer, uint length, ulong offset, ulong userData = 0) =>
        new() { Opcode = IoUringOp.Read, File = file, Buffer = buffer, Length = length, Offset = offset, Directory = NoDirectory, UserData = userData };

    /// <summary>Writes from a buffer to a file.</summary>
    public static UringOp Write(int file, ushort buffer, uint length, ulong offset, ulong userData = 0) =>
        Read(file, buffer, length, offset, userData) with { Opcode = IoUringOp.Write };

    /// <summary>Opens a path of the path table into a file slot of the chain.</summary>
    /// <param name="directory">Granted directory, or <see cref="NoDirectory"/> for a path granted as a whole.</param>
    /// <param name="path">Index in the path table.</param>
    /// <param name="target">File slot.</param>
    /// <param name="openFlags">O_*.</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    /// <param name="userData">Comes back in the context.</param>
    public static UringOp OpenAt(uint directory, uint path, int target, uint openFlags = 0, uint mode = 0, ulong userData = 0) =>
        new() { Opcode = IoUringOp.OpenAt, File = -1, Directory = directory, Path = path, Target = target, OpFlags = openFlags, Length = mode, UserData = userData };

    /// <summary>
    /// Runs a program as an operation of its own, to be linked or drained: what IORING_OP_BPF is for. It sees the chain's scratch and,
    /// as its data, the part of a buffer that <see cref="Buffer"/>, <see cref="BufferOffset"/> and <see cref="Length"/> name; it may do what
    /// hooks may. What it returns is the operation's result, with which the hook runs that the operation was submitted by.
    /// </summary>
    /// <param name="program">0 the attachment's own, n entry n - 1 of <see cref="Grants.Programs"/>.</param>
    /// <param name="userData">Comes back in the context, of the program's run too.</param>
    public static UringOp RunProgram(uint program, ulong userData = 0) =>
        Nop(userData) with { Opcode = IoUringOp.Program, Flags = UringOpFlags.NamesProgram, Program = program };

    /// <summary>As the timer of the operation before it, which has <see cref="UringOpFlags.Link"/>: cancels that when it takes longer.</summary>
    public static UringOp LinkTimeout(TimeSpan delay, ulong userData = 0) => Timeout(delay, userData) with { Opcode = IoUringOp.LinkTimeout };

    /// <summary>Renames a path of the path table.</summary>
    /// <param name="directory">Granted directory, or <see cref="NoDirectory"/> for a path granted as a whole.</param>
    /// <param name="path">Index in the path table.</param>
    /// <param name="newDirectory">As <paramref name="directory"/>, for the new name.</param>
    /// <param name="newPath">Index in the path table.</param>
    /// <param name="flags">RENAME_NOREPLACE 1, RENAME_EXCHANGE 2.</param>
    /// <param name="userData">Comes back in the context.</param>
    public static UringOp RenameAt(uint directory, uint path, uint newDirectory, uint newPath, uint flags = 0, ulong userData = 0) =>
        Nop(userData) with { Opcode = IoUringOp.RenameAt, Directory = directory, Path = path, Target = (int)newDirectory, Length = newPath, OpFlags = flags };

    /// <summary>Makes a socket for a granted address, in a file slot of the chain.</summary>
    public static UringOp Socket(uint address, int target, ulong userData = 0) => Nop(userData) with { Opcode = IoUringOp.Socket, Path = address, Target = target };

    /// <summary>Connects a socket to a granted address.</summary>
    public static UringOp Connect(int file, uint address, ulong userData = 0) => Nop(userData) with { Opcode = IoUringOp.Connect, File = file, Path = address };

    /// <summary>Accepts a connection into a file slot of the chain.</summary>
    public static UringOp Accept(int file, int target, ulong userData = 0) => Nop(userData) with { Opcode = IoUringOp.Accept, File = file, Target = target };

    /// <summary>Receives into a buffer.</summary>
    public static UringOp Receive(int file, ushort buffer, uint length, ulong userData = 0) => Read(file, buffer, length, 0, userData) with { Opcode = IoUringOp.Recv };

    /// <summary>Sends from a buffer.</summary>
    public static UringOp Send(int file, ushort buffer, uint length, ulong userData = 0) => Read(file, buffer, length, 0, userData) with { Opcode = IoUringOp.Send };

    /// <summary>Waits for POLL* events of poll(2).</summary>
    public static UringOp Poll(int file, uint events, ulong userData = 0) => Nop(userData) with { Opcode = IoUringOp.PollAdd, File = file, OpFlags = events };

    /// <summary>Completes with -ETIME after a time.</summary>
    public static UringOp Timeout(TimeSpan delay, ulong userData = 0) =>
        new() { Opcode = IoUringOp.Timeout, File = -1, Offset = (ulong)(delay.Ticks * 100), Directory = NoDirectory, UserData = userData };
}

/// <summary>
/// What a completion hook's r1 points to: <c>struct uring_completion</c> of uring_bpf.h, 120 bytes.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
internal unsafe struct UringCompletion
{
    [FieldOffset(0)] public ulong UserData;
    [FieldOffset(8)] public int Result;
    [FieldOffset(12)] public uint CqeFlags;
    /// <summary>As <see cref="Cqe.Outcome"/>.</summary>
    [FieldOffset(8)] public ulong Outcome;
    [FieldOffset(16)] public uint Opcode;
    [FieldOffset(20)] public uint Step;
    [FieldOffset(24)] public int File;
    [FieldOffset(28)] public uint Buffer;
    [FieldOffset(32)] public ulong Offset;
    [FieldOffset(40)] public byte* Data;
    [FieldOffset(48)] public byte* DataEnd;
    [FieldOffset(56)] public fixed ulong Scratch[8];
}
