using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Ring;

// Sockets, pipes and splice. Each gives the result, or -errno. Sending never raises SIGPIPE: MSG_NOSIGNAL is added.
public sealed unsafe partial class Ring
{
    private const uint NoSignal = 0x4000;

    /// <summary>IORING_OP_SOCKET: a new descriptor, close-on-exec, that the caller owns. <see cref="RingSocket"/> wraps it.</summary>
    /// <param name="domain">AF_*: 1 Unix, 2 IPv4, 10 IPv6.</param>
    /// <param name="type">SOCK_*: 1 stream, 2 datagram.</param>
    /// <param name="protocol">0 for the usual one.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SocketAsync(int domain, int type, int protocol = 0, CancellationToken cancellationToken = default) =>
        Start(Prepare.Socket(domain, type | CloseOnExec, protocol), default, cancellationToken);

    /// <summary>As <see cref="SocketAsync"/>, into a slot of the ring's file table, which <see cref="CloseDirectAsync"/> gives back.</summary>
    public ValueTask<int> SocketDirectAsync(int domain, int type, int protocol = 0, CancellationToken cancellationToken = default) =>
        Start(Prepare.Socket(domain, type, protocol), new HostMemory { TakesSlot = true }, cancellationToken);

    /// <summary>IORING_OP_BIND (Linux 6.11).</summary>
    public ValueTask<int> BindAsync(SafeHandle socket, EndPoint address, CancellationToken cancellationToken = default)
    {
        var native = Address(address, out var length);
        return Start(Prepare.Bind(FileToCome, native, length), new HostMemory { File = socket, Native = native }, cancellationToken);
    }

    /// <summary>IORING_OP_LISTEN (Linux 6.11).</summary>
    public ValueTask<int> ListenAsync(SafeHandle socket, int backlog = 128, CancellationToken cancellationToken = default) =>
        Start(Prepare.Listen(FileToCome, backlog), new HostMemory { File = socket }, cancellationToken);

    /// <summary>IORING_OP_ACCEPT: the connection's descriptor, close-on-exec, that the caller owns.</summary>
    public ValueTask<int> AcceptAsync(SafeHandle socket, CancellationToken cancellationToken = default) =>
        Start(Prepare.Accept(FileToCome, null, null, CloseOnExec), new HostMemory { File = socket }, cancellationToken);

    /// <summary>IORING_OP_CONNECT.</summary>
    public ValueTask<int> ConnectAsync(SafeHandle socket, EndPoint address, CancellationToken cancellationToken = default)
    {
        var native = Address(address, out var length);
        return Start(Prepare.Connect(FileToCome, native, length), new HostMemory { File = socket, Native = native }, cancellationToken);
    }

    /// <summary>IORING_OP_SEND: bytes sent.</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SendAsync(SafeHandle socket, ReadOnlyMemory<byte> buffer, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(Prepare.Send(FileToCome, pin.Pointer, (uint)buffer.Length, flags | NoSignal), new HostMemory { File = socket, Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_SEND to an address.</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="address">Where to.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SendToAsync(SafeHandle socket, ReadOnlyMemory<byte> buffer, EndPoint address, uint flags = 0, CancellationToken cancellationToken = default)
    {
        // What may refuse its argument goes first: nothing is pinned then.
        var native = Address(address, out var length);
        var pin = buffer.Pin();
        return Start(Prepare.SendTo(FileToCome, pin.Pointer, (uint)buffer.Length, flags | NoSignal, native, (ushort)length), new HostMemory { File = socket, Pin = pin, Native = native }, cancellationToken);
    }

    /// <summary>IORING_OP_SEND_ZC (Linux 6.0): bytes sent, when the kernel has let go of the memory (its second completion).</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned, and not to be changed, until the operation completes.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SendZeroCopyAsync(SafeHandle socket, ReadOnlyMemory<byte> buffer, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(Prepare.SendZeroCopy(FileToCome, pin.Pointer, (uint)buffer.Length, flags | NoSignal), new HostMemory { File = socket, Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_RECV: bytes received, 0 when the peer has closed.</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> ReceiveAsync(SafeHandle socket, Memory<byte> buffer, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(Prepare.Receive(FileToCome, pin.Pointer, (uint)buffer.Length, flags), new HostMemory { File = socket, Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_SENDMSG of two buffers as one message: bytes sent.</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="first">Pinned until the operation completes.</param>
    /// <param name="second">As <paramref name="first"/>.</param>
    /// <param name="address">Where to, for a socket that is not connected; else null.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="zeroCopy">IORING_OP_SENDMSG_ZC: completes when the kernel has let go of the memory.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SendMessageAsync(SafeHandle socket, ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second, EndPoint? address = null, uint flags = 0, bool zeroCopy = false, CancellationToken cancellationToken = default)
    {
        var memory = Message(first, second, address);
        memory.File = socket;
        return Start(zeroCopy ? Prepare.SendMessageZeroCopy(FileToCome, memory.Native, flags | NoSignal) : Prepare.SendMessage(FileToCome, memory.Native, flags | NoSignal), memory, cancellationToken);
    }

    /// <summary>IORING_OP_RECVMSG into two buffers, one after the other: bytes received.</summary>
    /// <param name="socket">Kept open until the operation completes.</param>
    /// <param name="first">Pinned until the operation completes.</param>
    /// <param name="second">As <paramref name="first"/>.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> ReceiveMessageAsync(SafeHandle socket, Memory<byte> first, Memory<byte> second, uint flags = 0, CancellationToken cancellationToken = default)
    {
        var memory = Message(first, second, null);
        memory.File = socket;
        return Start(Prepare.ReceiveMessage(FileToCome, memory.Native, flags), memory, cancellationToken);
    }

    /// <summary>IORING_OP_SHUTDOWN.</summary>
    public ValueTask<int> ShutdownAsync(SafeHandle socket, SocketShutdown how, CancellationToken cancellationToken = default) =>
        Start(Prepare.Shutdown(FileToCome, (int)how), new HostMemory { File = socket }, cancellationToken);

    /// <summary>IORING_OP_PIPE (Linux 6.16) into two ints, read end first; the caller owns both. <see cref="RingPipe"/> wraps it.</summary>
    /// <param name="descriptors">Two ints; pinned until the operation completes.</param>
    /// <param name="flags">O_NONBLOCK, O_DIRECT …; close-on-exec is added.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> PipeAsync(Memory<int> descriptors, int flags = 0, CancellationToken cancellationToken = default)
    {
        if (descriptors.Length < 2) throw new ArgumentException("A pipe has two ends.", nameof(descriptors));
        var pin = descriptors.Pin();
        return Start(Prepare.Pipe((int*)pin.Pointer, (uint)(flags | CloseOnExec)), new HostMemory { Pin = pin }, cancellationToken);
    }

    /// <summary>IORING_OP_SPLICE: bytes moved between two files of which one is a pipe.</summary>
    /// <param name="input">Kept open until the operation completes.</param>
    /// <param name="inputOffset">Offset in bytes, -1 for a pipe or the current position.</param>
    /// <param name="output">Kept open until the operation completes.</param>
    /// <param name="outputOffset">As <paramref name="inputOffset"/>.</param>
    /// <param name="length">Bytes at most.</param>
    /// <param name="flags">SPLICE_F_*.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> SpliceAsync(SafeHandle input, long inputOffset, SafeHandle output, long outputOffset, uint length, uint flags = 0, CancellationToken cancellationToken = default) =>
        Start(Prepare.Splice(FileToCome, inputOffset, FileToCome, outputOffset, length, flags), new HostMemory { File = output, Input = input }, cancellationToken);

    /// <summary>IORING_OP_TEE: bytes copied from pipe to pipe; they stay in the first.</summary>
    public ValueTask<int> TeeAsync(SafeHandle input, SafeHandle output, uint length, uint flags = 0, CancellationToken cancellationToken = default) =>
        Start(Prepare.Tee(FileToCome, FileToCome, length, flags), new HostMemory { File = output, Input = input }, cancellationToken);

    // struct sockaddr: .NET lays socket addresses out as the system does.
    private static byte* Address(EndPoint address, out uint length)
    {
        if (address is IPEndPoint internet && OperatingSystem.IsLinux())
        {
            length = InternetAddressBytes(internet);
            var plain = (byte*)NativeMemory.AllocZeroed(length);
            WriteAddress(internet, plain, length);
            return plain;
        }
        var bytes = Serialized(address);
        length = (uint)bytes.Length;
        var native = (byte*)NativeMemory.Alloc(length);
        bytes.CopyTo(new Span<byte>(native, bytes.Length));
        return native;
    }

    // The bytes of paths, which .NET gives as a new object each time, by the object that never changes.
    private static readonly ConditionalWeakTable<UnixDomainSocketEndPoint, byte[]> s_paths = [];

    private static ReadOnlySpan<byte> Serialized(EndPoint address)
    {
        if (address is not UnixDomainSocketEndPoint path)
        {
            var serialized = address.Serialize();
            return serialized.Buffer.Span[..serialized.Size];
        }
        if (s_paths.TryGetValue(path, out var bytes)) return bytes;
        var first = path.Serialize();
        bytes = first.Buffer.Span[..first.Size].ToArray();
        s_paths.AddOrUpdate(path, bytes);
        return bytes;
    }

    // A struct msghdr with its vectors and address behind it.
    private static HostMemory Message(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second, EndPoint? address)
    {
        var internet = OperatingSystem.IsLinux() ? address as IPEndPoint : null;
        var serialized = internet == null && address != null ? Serialized(address) : [];
        var addressBytes = internet != null ? InternetAddressBytes(internet) : (uint)serialized.Length;
        var (pin, secondPin) = (first.Pin(), second.Pin());
        var native = (byte*)NativeMemory.AllocZeroed((nuint)(sizeof(MessageHeader) + 2 * sizeof(IoVector) + addressBytes));
        var header = (MessageHeader*)native;
        var vectors = (IoVector*)(header + 1);
        vectors[0] = new IoVector((nint)pin.Pointer, (nuint)first.Length);
        vectors[1] = new IoVector((nint)secondPin.Pointer, (nuint)second.Length);
        header->Vectors = vectors;
        header->VectorCount = 2;
        if (addressBytes > 0)
        {
            header->Name = (byte*)(vectors + 2);
            header->NameLength = addressBytes;
            if (internet != null) WriteAddress(internet, header->Name, addressBytes);
            else serialized.CopyTo(new Span<byte>(header->Name, serialized.Length));
        }
        return new HostMemory { Pin = pin, SecondPin = secondPin, Native = native };
    }

    // struct sockaddr_in and sockaddr_in6 of Linux, without the managed object that the general way goes by.
    private const uint InternetBytes = 16, Internet6Bytes = 28;

    private static uint InternetAddressBytes(IPEndPoint address) => address.AddressFamily == AddressFamily.InterNetworkV6 ? Internet6Bytes : InternetBytes;

    private static void WriteAddress(IPEndPoint address, byte* native, uint length)
    {
        const ushort internet = 2, internet6 = 10;
        var bytes = new Span<byte>(native, (int)length);
        var sixth = length == Internet6Bytes;
        MemoryMarshal.Write(bytes, sixth ? internet6 : internet);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)address.Port);
        address.Address.TryWriteBytes(sixth ? bytes[8..] : bytes[4..], out _);
        if (sixth) MemoryMarshal.Write(bytes[24..], (uint)address.Address.ScopeId);
    }
}
