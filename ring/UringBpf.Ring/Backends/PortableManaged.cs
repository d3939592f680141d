using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace UringBpf.Ring;

/// <summary>
/// The portable back end where system calls are not Linux's: reads, writes and syncs of files that the host opened, by
/// <see cref="RandomAccess"/>; timers. A hook opens nothing here, as nothing keeps a path beneath its directory.
/// </summary>
internal sealed unsafe class ManagedSystem : PortableSystem
{
    private readonly object _gate = new();
    private bool _woken;

    public override ImmutableArray<IoUringOp> Operations { get; } =
    [
        IoUringOp.Nop, IoUringOp.FSync, IoUringOp.Timeout, IoUringOp.TimeoutRemove, IoUringOp.AsyncCancel, IoUringOp.Close, IoUringOp.Read, IoUringOp.Write,
    ];

    public override int Attempt(PortableOperation operation) => operation.Entry.Opcode switch
    {
        // Numbers of descriptors mean nothing to the system here.
        IoUringOp.Close => -Errno.OpNotSupp,
        // The current position is the system's, and RandomAccess has none.
        IoUringOp.Read or IoUringOp.Write when operation.Entry.Offset > long.MaxValue || operation.Entry.OpFlags != 0 => -Errno.OpNotSupp,
        IoUringOp.Read or IoUringOp.Write when operation.Entry.Length > int.MaxValue => -Errno.Inval,
        _ => MayBlock,
    };

    public override int Run(PortableOperation operation)
    {
        try
        {
            // The host's handle stays the host's: this one is a name for it, and closes nothing.
            return operation.File is ManagedFile file ? Run(operation.Entry, file.Handle) : RunOnHandle(operation.Entry);
        }
        catch (Exception error) when (ToErrno(error) is var errno and not 0)
        {
            return -errno;
        }
    }

    // There is no way to make another of it.
    public override bool CopiesDescriptors => false;

    public override int Adopt(int fd, out Descriptor? file)
    {
        file = Own(fd);
        return 0;
    }

    public override Descriptor Own(int fd) => new ManagedFile(new SafeFileHandle(fd, ownsHandle: false));

    public override int OpenDirectory(string path) => -Errno.OpNotSupp;

    public override void CloseDirectory(int directory)
    {
    }

    public override bool Wait(List<PortableOperation> operations, long nanoseconds)
    {
        lock (_gate)
        {
            // Rounded up: a timer never fires early.
            var milliseconds = nanoseconds < 0 ? Timeout.Infinite : (int)Math.Min((nanoseconds + 999_999) / 1_000_000, int.MaxValue);
            if (!_woken && milliseconds != 0) Monitor.Wait(_gate, milliseconds);
            _woken = false;
        }
        return false;
    }

    public override void Wake()
    {
        lock (_gate)
        {
            _woken = true;
            Monitor.Pulse(_gate);
        }
    }

    public override void Dispose()
    {
    }

    private static int RunOnHandle(in Sqe entry)
    {
        using var handle = new SafeFileHandle(entry.Fd, ownsHandle: false);
        return Run(entry, handle);
    }

    private static int Run(in Sqe entry, SafeFileHandle handle)
    {
        switch (entry.Opcode)
        {
            case IoUringOp.Read:
                return RandomAccess.Read(handle, new Span<byte>((void*)entry.Address, (int)entry.Length), (long)entry.Offset);
            case IoUringOp.Write:
                RandomAccess.Write(handle, new ReadOnlySpan<byte>((void*)entry.Address, (int)entry.Length), (long)entry.Offset);
                return (int)entry.Length;
            default:
                RandomAccess.FlushToDisk(handle);
                return 0;
        }
    }

    // The numbers are Linux's, whatever the system's own are.
    private static int ToErrno(Exception error) => error switch
    {
        UnauthorizedAccessException => Errno.Access,
        ObjectDisposedException => Errno.BadF,
        ArgumentException or NotSupportedException => Errno.Inval,
        IOException => Errno.IO,
        _ => 0,
    };

    private sealed class ManagedFile(SafeFileHandle handle) : Descriptor
    {
        public SafeFileHandle Handle { get; } = handle;

        protected override void Close() => Handle.Dispose();
    }
}
