using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Handles one record of a ring buffer; its bytes are gone when the handler returns.</summary>
public delegate void RecordHandler(ReadOnlySpan<byte> record);

/// <summary>
/// A ring buffer as the host sees it: records that programs submitted, in order of reservation. One consumer at a time.
/// Consuming never blocks a program: a full buffer makes its reservations fail.
/// </summary>
public sealed unsafe class RingBufferMap : BpfMap, IValueTaskSource<bool>
{
    private readonly RecordMemory _memory;
    private ManualResetValueTaskSourceCore<bool> _ready = new() { RunContinuationsAsynchronously = true };
    private int _consuming;
    private volatile bool _closed;

    internal RingBufferMap(MapSpec spec) : base(CheckBuffer(spec), RingBufferOps.Buffer.DataAt + 2UL * (ulong)spec.MaxEntries)
    {
        Ring->Mask = (ulong)spec.MaxEntries - 1;
        Ring->Map = Header;
        _memory = new RecordMemory(RingBufferOps.Data(Ring, 0), 2 * spec.MaxEntries);
    }

    private RingBufferOps.Buffer* Ring => (RingBufferOps.Buffer*)Header->Data;

    /// <summary>Bytes reserved or submitted and not yet consumed, record headers included.</summary>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public long Unconsumed
    {
        get
        {
            var activity = Enter();
            var bytes = (long)RingBufferOps.Query((ulong)Header, 0);
            Leave(activity);
            return bytes;
        }
    }

    /// <summary>
    /// Hands every record that is complete now to <paramref name="handler"/>, without copying, on the calling thread. A record
    /// whose handler throws counts as consumed.
    /// </summary>
    /// <returns>Records handled.</returns>
    /// <exception cref="BpfException">UB4107 when another consumer is active.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    public int Consume(RecordHandler handler)
    {
        StartConsuming();
        var count = 0;
        try
        {
            while (RingBufferOps.Peek(Ring, out var length) is var record && record != null)
            {
                try
                {
                    handler(new ReadOnlySpan<byte>(record, (int)length));
                }
                finally
                {
                    RingBufferOps.Release(Ring, length);
                }
                count++;
            }
        }
        finally
        {
            StopConsuming();
        }
        return count;
    }

    /// <summary>
    /// Records as they come, without copying: the memory of one is valid until the next is asked for. Ends when the map is
    /// disposed and everything submitted until then has been read.
    /// </summary>
    /// <exception cref="BpfException">UB4107 when another consumer is active.</exception>
    /// <exception cref="ObjectDisposedException">The host has disposed the map.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        StartConsuming();
        try
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                while (TryPeek(out var record))
                {
                    try
                    {
                        yield return record;
                    }
                    finally
                    {
                        Release(record.Length);
                    }
                    cancellationToken.ThrowIfCancellationRequested();
                }
                // Closed was set before the last look: nothing that was submitted by then is left.
                if (_closed && !HasRecord()) yield break;
                _ready.Reset();
                if (!Arm()) continue;
                await using (cancellationToken.UnsafeRegister(static map => ((RingBufferMap)map!).WakeConsumer(), this).ConfigureAwait(false))
                {
                    await new ValueTask<bool>(this, _ready.Version).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            StopConsuming();
        }
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _ready.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _ready.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _ready.OnCompleted(continuation, state, token, flags);

    /// <summary>Lets a waiting consumer go on, on the thread pool. The caller has just disarmed it.</summary>
    internal void Signal() => _ready.SetResult(true);

    private protected override void OnDispose()
    {
        _closed = true;
        WakeConsumer();
    }

    private void WakeConsumer()
    {
        if (Interlocked.Exchange(ref Ring->Armed, 0) != 0) Signal();
    }

    private void StartConsuming()
    {
        if (Interlocked.Exchange(ref _consuming, 1) != 0)
            throw new BpfException("UB4107", $"'{Name}' is being consumed already; a ring buffer has one consumer at a time.");
        try
        {
            Leave(Enter());
            Retain();
        }
        catch
        {
            Volatile.Write(ref _consuming, 0);
            throw;
        }
    }

    private void StopConsuming()
    {
        Volatile.Write(ref _consuming, 0);
        Release();
    }

    // Announces that the consumer waits; false when it need not.
    private bool Arm()
    {
        Interlocked.Exchange(ref Ring->Armed, 1);
        // Someone may have submitted, or closed, before the announcement. If they have disarmed already, their signal is on its way.
        return (!HasRecord() && !_closed) || Interlocked.Exchange(ref Ring->Armed, 0) == 0;
    }

    private bool HasRecord() => RingBufferOps.Peek(Ring, out _) != null;

    private bool TryPeek(out ReadOnlyMemory<byte> record)
    {
        var bytes = RingBufferOps.Peek(Ring, out var length);
        record = bytes == null ? default : _memory.Memory.Slice((int)(bytes - RingBufferOps.Data(Ring, 0)), (int)length);
        return bytes != null;
    }

    private void Release(int length) => RingBufferOps.Release(Ring, (uint)length);

    private static MapSpec CheckBuffer(MapSpec spec)
    {
        Check(spec, 0, 0, 0, 0, MapFlags.None, 1 << 29);
        return spec.MaxEntries >= 64 && (spec.MaxEntries & (spec.MaxEntries - 1)) == 0
            ? spec
            : throw Refused(spec, $"its size must be a power of two from 64 bytes on, not {spec.MaxEntries}");
    }

    // The data area as Memory. It is valid while the consumer holds its reference.
    private sealed class RecordMemory(byte* data, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan() => new(data, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(data + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
