using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace UringBpf.Ring;

/// <summary>An open file whose operations go through a ring. Owns its descriptor: disposing closes it, after operations in flight.</summary>
public sealed class RingFile : IDisposable
{
    private readonly Ring _ring;

    /// <summary>Takes over a handle.</summary>
    public RingFile(Ring ring, SafeFileHandle handle) => (_ring, Handle) = (ring, handle);

    /// <summary>The descriptor; closed when this is disposed.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Opens a file.</summary>
    /// <param name="ring">What its operations go through.</param>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="openFlags">O_* of open(2).</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    /// <exception cref="IOException">It can't be opened; the message names the errno.</exception>
    public static async ValueTask<RingFile> OpenAsync(Ring ring, string path, int openFlags = 0, int mode = 0)
    {
        var fd = await ring.OpenAsync(path, openFlags, mode).ConfigureAwait(false);
        if (fd < 0) throw new IOException($"{path}: {Errno.Name(-fd)}.", fd);
        return new RingFile(ring, new SafeFileHandle(fd, ownsHandle: true));
    }

    /// <inheritdoc cref="Ring.ReadAsync"/>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken = default) => _ring.ReadAsync(Handle, buffer, offset, cancellationToken);

    /// <inheritdoc cref="Ring.WriteAsync"/>
    public ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, long offset, CancellationToken cancellationToken = default) => _ring.WriteAsync(Handle, buffer, offset, cancellationToken);

    /// <summary>IORING_OP_FSYNC.</summary>
    public ValueTask<int> FSyncAsync(bool dataOnly = false) => _ring.FSyncAsync(Handle, dataOnly);

    /// <summary>IORING_OP_FTRUNCATE to a length in bytes.</summary>
    public ValueTask<int> TruncateAsync(long length) => _ring.FTruncateAsync(Handle, length);

    /// <summary>Closes it.</summary>
    public void Dispose() => Handle.Dispose();
}

/// <summary>A socket whose operations go through a ring. Owns its descriptor: disposing closes it, after operations in flight.</summary>
public sealed class RingSocket : IDisposable
{
    private readonly Ring _ring;

    /// <summary>Takes over a handle, such as a <see cref="SafeSocketHandle"/>'s descriptor or an accepted one.</summary>
    public RingSocket(Ring ring, SafeFileHandle handle) => (_ring, Handle) = (ring, handle);

    /// <summary>The descriptor; closed when this is disposed.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Makes a socket.</summary>
    /// <param name="ring">What its operations go through.</param>
    /// <param name="family">InterNetwork, InterNetworkV6 or Unix.</param>
    /// <param name="type">Stream or Dgram.</param>
    /// <exception cref="IOException">The kernel refuses; the message names the errno.</exception>
    public static async ValueTask<RingSocket> CreateAsync(Ring ring, AddressFamily family, SocketType type)
    {
        var domain = family switch
        {
            AddressFamily.Unix => 1,
            AddressFamily.InterNetwork => 2,
            AddressFamily.InterNetworkV6 => 10,
            _ => throw new ArgumentOutOfRangeException(nameof(family), family, "InterNetwork, InterNetworkV6 or Unix."),
        };
        return Own(ring, await ring.SocketAsync(domain, (int)type).ConfigureAwait(false), "socket");
    }

    /// <summary>IORING_OP_BIND.</summary>
    public ValueTask<int> BindAsync(EndPoint address) => _ring.BindAsync(Handle, address);

    /// <summary>IORING_OP_LISTEN.</summary>
    public ValueTask<int> ListenAsync(int backlog = 128) => _ring.ListenAsync(Handle, backlog);

    /// <summary>IORING_OP_CONNECT.</summary>
    public ValueTask<int> ConnectAsync(EndPoint address, CancellationToken cancellationToken = default) => _ring.ConnectAsync(Handle, address, cancellationToken);

    /// <summary>Waits for a connection.</summary>
    /// <exception cref="IOException">-ECANCELED and other errors; the message names the errno.</exception>
    public async ValueTask<RingSocket> AcceptAsync(CancellationToken cancellationToken = default) =>
        Own(_ring, await _ring.AcceptAsync(Handle, cancellationToken).ConfigureAwait(false), "accept");

    /// <inheritdoc cref="Ring.SendAsync"/>
    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer, uint flags = 0, CancellationToken cancellationToken = default) => _ring.SendAsync(Handle, buffer, flags, cancellationToken);

    /// <inheritdoc cref="Ring.ReceiveAsync"/>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, uint flags = 0, CancellationToken cancellationToken = default) => _ring.ReceiveAsync(Handle, buffer, flags, cancellationToken);

    /// <summary>IORING_OP_SHUTDOWN.</summary>
    public ValueTask<int> ShutdownAsync(SocketShutdown how) => _ring.ShutdownAsync(Handle, how);

    /// <summary>Closes it.</summary>
    public void Dispose() => Handle.Dispose();

    private static RingSocket Own(Ring ring, int fd, string what)
    {
        if (fd < 0) throw new IOException($"{what}: {Errno.Name(-fd)}.", fd);
        return new RingSocket(ring, new SafeFileHandle(fd, ownsHandle: true));
    }
}

/// <summary>Both ends of a pipe. Owns them.</summary>
public sealed class RingPipe : IDisposable
{
    private RingPipe(SafeFileHandle reader, SafeFileHandle writer) => (Reader, Writer) = (reader, writer);

    /// <summary>The end that bytes come out of.</summary>
    public SafeFileHandle Reader { get; }

    /// <summary>The end that bytes go into.</summary>
    public SafeFileHandle Writer { get; }

    /// <summary>Makes a pipe (IORING_OP_PIPE, Linux 6.16).</summary>
    /// <exception cref="IOException">The kernel refuses; the message names the errno.</exception>
    public static async ValueTask<RingPipe> CreateAsync(Ring ring)
    {
        var ends = new int[2];
        var result = await ring.PipeAsync(ends).ConfigureAwait(false);
        if (result < 0) throw new IOException($"pipe: {Errno.Name(-result)}.", result);
        return new RingPipe(new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    /// <summary>Closes both ends.</summary>
    public void Dispose()
    {
        Reader.Dispose();
        Writer.Dispose();
    }
}
