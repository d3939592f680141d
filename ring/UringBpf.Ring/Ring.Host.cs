using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace UringBpf.Ring;

/// <summary>The host's own operations: each gives the result, or -errno.</summary>
public sealed unsafe partial class Ring
{
    private readonly ConcurrentBag<HostOperation> _hostPool = [];
    private readonly List<HostOperation?> _hostWaiting = [];
    private readonly Stack<int> _hostFree = new();

    /// <summary>IORING_OP_NOP.</summary>
    public ValueTask<int> NopAsync(CancellationToken cancellationToken = default) =>
        Start(new Sqe { Opcode = IoUringOp.Nop }, null, default, cancellationToken);

    /// <summary>
    /// A NOP that completes with any result (IORING_NOP_INJECT_RESULT, Linux 6.13): for tests of what follows a completion.
    /// -EINVAL on older kernels.
    /// </summary>
    public ValueTask<int> NopAsync(int injectedResult, CancellationToken cancellationToken = default) =>
        Start(new Sqe { Opcode = IoUringOp.Nop, OpFlags = 1, Length = (uint)injectedResult }, null, default, cancellationToken);

    /// <summary>IORING_OP_READ: bytes read, 0 at the end of the file.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">Asks the kernel to cancel: the result is then -ECANCELED, or the operation's own when that came first.</param>
    public ValueTask<int> ReadAsync(SafeFileHandle file, Memory<byte> buffer, long offset, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(new Sqe { Opcode = IoUringOp.Read, Address = (ulong)pin.Pointer, Length = (uint)buffer.Length, Offset = (ulong)offset }, file, pin, cancellationToken);
    }

    /// <summary>IORING_OP_WRITE: bytes written.</summary>
    /// <param name="file">Kept open until the operation completes.</param>
    /// <param name="buffer">Pinned until the operation completes.</param>
    /// <param name="offset">File offset in bytes, or -1 for the current position.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> WriteAsync(SafeFileHandle file, ReadOnlyMemory<byte> buffer, long offset, CancellationToken cancellationToken = default)
    {
        var pin = buffer.Pin();
        return Start(new Sqe { Opcode = IoUringOp.Write, Address = (ulong)pin.Pointer, Length = (uint)buffer.Length, Offset = (ulong)offset }, file, pin, cancellationToken);
    }

    /// <summary>IORING_OP_FSYNC.</summary>
    public ValueTask<int> FSyncAsync(SafeFileHandle file, CancellationToken cancellationToken = default) =>
        Start(new Sqe { Opcode = IoUringOp.FSync }, file, default, cancellationToken);

    /// <summary>IORING_OP_OPENAT: a new descriptor, close-on-exec, that the caller owns.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="openFlags">O_* of open(2).</param>
    /// <param name="mode">Permissions of a file that is created.</param>
    /// <param name="cancellationToken">As for reads.</param>
    public ValueTask<int> OpenAsync(string path, int openFlags = 0, int mode = 0, CancellationToken cancellationToken = default)
    {
        const int currentDirectory = -100, closeOnExec = 0x80000;
        var text = new byte[Encoding.UTF8.GetByteCount(path) + 1];
        Encoding.UTF8.GetBytes(path, text);
        var pin = text.AsMemory().Pin();
        return Start(new Sqe { Opcode = IoUringOp.OpenAt, Fd = currentDirectory, Address = (ulong)pin.Pointer, Length = (uint)mode, OpFlags = (uint)(openFlags | closeOnExec) }, null, pin, cancellationToken);
    }

    /// <summary>IORING_OP_CLOSE of a descriptor the caller owns.</summary>
    public ValueTask<int> CloseAsync(int fd, CancellationToken cancellationToken = default) =>
        Start(new Sqe { Opcode = IoUringOp.Close, Fd = fd }, null, default, cancellationToken);

    /// <summary>IORING_OP_STATX of a path into a 256-byte <c>struct statx</c>.</summary>
    /// <param name="path">Absolute, or relative to the working directory.</param>
    /// <param name="result">At least 256 bytes; pinned until the operation completes.</param>
    /// <param name="mask">STATX_* of statx(2); default the basic fields.</param>
    /// <param name="cancellationToken">As for reads.</param>
    /// <exception cref="ArgumentException"><paramref name="result"/> is too short.</exception>
    public ValueTask<int> StatXAsync(string path, Memory<byte> result, uint mask = 0x7FF, CancellationToken cancellationToken = default)
    {
        const int currentDirectory = -100, statxBytes = 256;
        if (result.Length < statxBytes) throw new ArgumentException($"struct statx takes {statxBytes} bytes.", nameof(result));
        // One pin holds both: the path goes behind the result in memory of its own.
        var length = Encoding.UTF8.GetByteCount(path);
        var memory = (byte*)NativeMemory.Alloc((nuint)length + 1);
        Encoding.UTF8.GetBytes(path, new Span<byte>(memory, length));
        memory[length] = 0;
        var pin = result.Pin();
        return Start(new Sqe { Opcode = IoUringOp.StatX, Fd = currentDirectory, Address = (ulong)memory, Length = mask, Offset = (ulong)pin.Pointer }, null, pin, cancellationToken, memory);
    }

    /// <summary>IORING_OP_TIMEOUT: -ETIME after the delay.</summary>
    public ValueTask<int> TimeoutAsync(TimeSpan delay, CancellationToken cancellationToken = default) =>
        Start(new Sqe { Opcode = IoUringOp.Timeout, Offset = 0, Length = 1, Address3 = (ulong)delay.Ticks }, null, default, cancellationToken);

    private ValueTask<int> Start(in Sqe entry, SafeFileHandle? file, MemoryHandle pin, CancellationToken cancellationToken, byte* native = null)
    {
        if (!_hostPool.TryTake(out var host)) host = new HostOperation(this) { Inline = DeliversInline };
        try
        {
            host.Begin(entry, file, pin, native, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            // The file is closed: nothing was started.
            pin.Dispose();
            NativeMemory.Free(native);
            Recycle(host);
            throw;
        }
        var task = new ValueTask<int>(host, host.Version);
        Post(host);
        return task;
    }

    internal void Recycle(HostOperation host) => _hostPool.Add(host);

    internal void Submit(HostOperation host)
    {
        // A ring that stops takes nothing new, or it might never come to an end.
        if (host.CancelRequested || _stopping)
        {
            _hostWakeUps++;
            host.Finish(-Errno.Canceled);
            return;
        }
        var operation = _operations.Take(OperationOwner.Host);
        if (operation == null)
        {
            _backlog.Enqueue(host);
            return;
        }
        var entry = Reserve(operation);
        *entry = host.Entry;
        entry->UserData = operation->Tag;
        operation->Opcode = host.Entry.Opcode;
        if (operation->Opcode == IoUringOp.Timeout)
        {
            var ticks = (long)entry->Address3;
            var time = &_operations.Extra(operation)->Time;
            *time = new IoUring.Timespec { Seconds = ticks / TimeSpan.TicksPerSecond, Nanoseconds = ticks % TimeSpan.TicksPerSecond * 100 };
            entry->Address3 = 0;
            entry->Address = (ulong)time;
        }
        operation->Host = Wait(host);
        host.Operation = OperationTable.IndexOf(operation);
        Send(operation, entry);
    }

    internal void Cancel(HostOperation host, short version)
    {
        if (host.Version != version) return;
        if (host.Operation >= 0) CancelOperation(_operations[host.Operation]);
        else host.CancelRequested = true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CompleteHost(Operation* operation, int result, CqeFlags flags)
    {
        // A multishot operation of the host has no waiter for the rest: only the last completion counts.
        if ((flags & CqeFlags.More) != 0) return;
        var host = _hostWaiting[operation->Host]!;
        _hostWaiting[operation->Host] = null;
        _hostFree.Push(operation->Host);
        _operations.Free(operation);
        _hostWakeUps++;
        host.Finish(result);
    }

    private int Wait(HostOperation host)
    {
        if (_hostFree.TryPop(out var index))
        {
            _hostWaiting[index] = host;
            return index;
        }
        _hostWaiting.Add(host);
        return _hostWaiting.Count - 1;
    }
}

/// <summary>A host's operation on its way: pooled, one result.</summary>
internal sealed unsafe class HostOperation(Ring ring) : Waiter<int>, IRingCommand
{
    private static readonly Action<object?, CancellationToken> s_cancel = static (state, _) => ((HostOperation)state!).RequestCancel();

    public Sqe Entry;
    /// <summary>Slot in flight, or -1.</summary>
    public int Operation = -1;
    /// <summary>Cancelled before it was submitted.</summary>
    public bool CancelRequested;
    private SafeFileHandle? _file;
    private MemoryHandle _pin;
    private byte* _native;
    private CancellationTokenRegistration _registration;

    public void Begin(in Sqe entry, SafeFileHandle? file, MemoryHandle pin, byte* native, CancellationToken cancellationToken)
    {
        Entry = entry;
        CancelRequested = false;
        if (file != null)
        {
            // First, as it is what can throw.
            var added = false;
            file.DangerousAddRef(ref added);
            Entry.Fd = (int)file.DangerousGetHandle();
        }
        _file = file;
        _pin = pin;
        _native = native;
        if (cancellationToken.CanBeCanceled) _registration = cancellationToken.UnsafeRegister(s_cancel, this);
    }

    public void Run(Ring owner) => owner.Submit(this);

    public void Refuse(Ring owner, int result) => Finish(result);

    /// <summary>Everything the kernel held is the caller's again; then the result.</summary>
    public void Finish(int result)
    {
        Operation = -1;
        _registration.Dispose();
        _registration = default;
        _pin.Dispose();
        _file?.DangerousRelease();
        NativeMemory.Free(_native);
        _native = null;
        Complete(result);
    }

    protected override void Recycle() => ring.Recycle(this);

    private void RequestCancel()
    {
        var version = Version;
        ring.Post(new DelegateCommand(owner => owner.Cancel(this, version), null));
    }
}
