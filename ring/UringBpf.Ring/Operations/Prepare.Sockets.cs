namespace UringBpf.Ring;

// Sockets, pipes and splice.
public static unsafe partial class Prepare
{
    /// <summary>ioprio flags of send and receive: poll first (1), multishot (2), registered buffer (4), report use (8), bundle (16).</summary>
    public const ushort PollFirst = 1, Multishot = 2, FixedBuffer = 4, ReportUse = 8, Bundle = 16;

    /// <summary>IORING_OP_SOCKET: AF_*, SOCK_*, protocol of socket(2).</summary>
    public static Sqe Socket(int domain, int type, int protocol) => Entry(IoUringOp.Socket, domain, null, (uint)protocol, (ulong)type);

    /// <summary>IORING_OP_BIND (Linux 6.11).</summary>
    public static Sqe Bind(int fd, void* address, uint length) => Entry(IoUringOp.Bind, fd, address, 0, length);

    /// <summary>IORING_OP_LISTEN (Linux 6.11).</summary>
    public static Sqe Listen(int fd, int backlog) => Entry(IoUringOp.Listen, fd, null, (uint)backlog, 0);

    /// <summary>IORING_OP_ACCEPT; SOCK_* flags of accept4(2).</summary>
    public static Sqe Accept(int fd, void* address, uint* length, uint flags) => Entry(IoUringOp.Accept, fd, address, 0, (ulong)length, flags);

    /// <summary>IORING_OP_ACCEPT, multishot: one completion for each connection.</summary>
    public static Sqe AcceptMultishot(int fd, uint flags) => Accept(fd, null, null, flags) with { IoPriority = 1 };

    /// <summary>IORING_OP_CONNECT.</summary>
    public static Sqe Connect(int fd, void* address, uint length) => Entry(IoUringOp.Connect, fd, address, 0, length);

    /// <summary>IORING_OP_SEND; MSG_* flags.</summary>
    public static Sqe Send(int fd, void* buffer, uint length, uint flags) => Entry(IoUringOp.Send, fd, buffer, length, 0, flags);

    /// <summary>IORING_OP_SEND to an address, of an unconnected socket.</summary>
    public static Sqe SendTo(int fd, void* buffer, uint length, uint flags, void* address, ushort addressLength) =>
        Entry(IoUringOp.Send, fd, buffer, length, (ulong)address, flags) with { FileIndex = addressLength };

    /// <summary>IORING_OP_SEND_ZC (Linux 6.0): two completions, the second (CqeFlags.Notification) when the memory is free again.</summary>
    public static Sqe SendZeroCopy(int fd, void* buffer, uint length, uint flags, ushort zeroCopyFlags = 0) =>
        Entry(IoUringOp.SendZc, fd, buffer, length, 0, flags) with { IoPriority = zeroCopyFlags };

    /// <summary>IORING_OP_RECV; MSG_* flags.</summary>
    public static Sqe Receive(int fd, void* buffer, uint length, uint flags) => Entry(IoUringOp.Recv, fd, buffer, length, 0, flags);

    /// <summary>IORING_OP_RECV, multishot, into buffers of a group.</summary>
    /// <param name="fd">Socket.</param>
    /// <param name="bufferGroup">Group of a <see cref="BufferRing"/>.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="bundle">True to receive into several buffers at once (Linux 6.10).</param>
    public static Sqe ReceiveMultishot(int fd, ushort bufferGroup, uint flags = 0, bool bundle = false) =>
        Entry(IoUringOp.Recv, fd, null, 0, 0, flags) with
        { Flags = SqeFlags.BufferSelect, BufferIndex = bufferGroup, IoPriority = (ushort)(Multishot | (bundle ? Bundle : 0)) };

    /// <summary>IORING_OP_SENDMSG with a struct msghdr.</summary>
    public static Sqe SendMessage(int fd, void* message, uint flags) => Entry(IoUringOp.SendMsg, fd, message, 1, 0, flags);

    /// <summary>IORING_OP_SENDMSG_ZC: two completions, as <see cref="SendZeroCopy"/>.</summary>
    public static Sqe SendMessageZeroCopy(int fd, void* message, uint flags) => Entry(IoUringOp.SendMsgZc, fd, message, 1, 0, flags);

    /// <summary>IORING_OP_RECVMSG with a struct msghdr.</summary>
    public static Sqe ReceiveMessage(int fd, void* message, uint flags) => Entry(IoUringOp.RecvMsg, fd, message, 1, 0, flags);

    /// <summary>IORING_OP_SHUTDOWN; SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2.</summary>
    public static Sqe Shutdown(int fd, int how) => Entry(IoUringOp.Shutdown, fd, null, (uint)how, 0);

    /// <summary>IORING_OP_PIPE (Linux 6.16): two descriptors, read end first.</summary>
    public static Sqe Pipe(int* descriptors, uint flags) => Entry(IoUringOp.Pipe, 0, descriptors, 0, 0, flags);

    /// <summary>IORING_OP_SPLICE between two descriptors of which one is a pipe.</summary>
    /// <param name="input">Descriptor to take from.</param>
    /// <param name="inputOffset">Offset in bytes, -1 for a pipe or the current position.</param>
    /// <param name="output">Descriptor to give to.</param>
    /// <param name="outputOffset">As <paramref name="inputOffset"/>.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="flags">SPLICE_F_*.</param>
    public static Sqe Splice(int input, long inputOffset, int output, long outputOffset, uint length, uint flags = 0) =>
        Entry(IoUringOp.Splice, output, (void*)inputOffset, length, (ulong)outputOffset, flags) with { FileIndex = (uint)input };

    /// <summary>IORING_OP_TEE from pipe to pipe, without taking the bytes out.</summary>
    public static Sqe Tee(int input, int output, uint length, uint flags = 0) =>
        Entry(IoUringOp.Tee, output, null, length, 0, flags) with { FileIndex = (uint)input };
}
