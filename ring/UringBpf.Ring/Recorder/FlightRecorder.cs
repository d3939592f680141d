using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// The events a ring last saw, in a circle of native memory. Owner thread only; writing an event is a few stores.
/// </summary>
internal sealed unsafe class FlightRecorder : IDisposable
{
    private readonly RecorderOptions _options;
    private readonly TraceEvent* _events;
    private readonly ulong _mask;
    private readonly List<ProgramSpec> _programs = [];
    private readonly Dictionary<ProgramSpec, ushort> _programIndex = new(ReferenceEqualityComparer.Instance);
    private ulong _next;
    private long _now;
    private int _failing;

    /// <summary>Makes an empty record.</summary>
    /// <exception cref="BpfException">UB4511 when <see cref="RecorderOptions.Events"/> is out of range.</exception>
    public FlightRecorder(RecorderOptions options)
    {
        if (options.Events is < 1024 or > 1 << 24) throw new BpfException("UB4511", $"a flight recorder of {options.Events} events: it has 1,024 to {1 << 24}.");
        _options = options;
        var count = System.Numerics.BitOperations.RoundUpToPowerOf2((uint)options.Events);
        _mask = count - 1;
        _events = (TraceEvent*)NativeMemory.AlignedAlloc(count * (nuint)sizeof(TraceEvent), 64);
        Stamp();
    }

    /// <summary>True when hooks are timed.</summary>
    public bool HookDurations => _options.HookDurations;

    /// <summary>Reads the clock: what is recorded from here on happened now.</summary>
    public void Stamp() => _now = VirtualClock.TryRead(out var simulated) ? (long)(simulated * (Stopwatch.Frequency / 1e9)) : Stopwatch.GetTimestamp();

    /// <summary>The number of a program in the record's events.</summary>
    public ushort IndexOf(ProgramSpec program)
    {
        if (_programIndex.TryGetValue(program, out var index)) return index;
        // So many programs are not told apart any more: 0 stands for the first, and the last index for all others.
        if (_programs.Count == ushort.MaxValue) return ushort.MaxValue - 1;
        index = (ushort)_programs.Count;
        _programs.Add(program);
        _programIndex.Add(program, index);
        return index;
    }

    /// <summary>The next event, to be filled in as a whole but for its time, chain and program.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TraceEvent* Next(TraceKind kind, Chain* chain)
    {
        var entry = _events + (_next++ & _mask);
        entry->Time = _now;
        entry->Kind = kind;
        entry->Duration = 0;
        if (chain != null)
        {
            entry->Chain = chain->Id;
            entry->Program = HookVersion.ProgramAt(chain->Hook, chain->Running)->TraceProgram;
        }
        else
        {
            entry->Chain = 0;
            entry->Program = 0;
        }
        return entry;
    }

    public void ChainStarted(Chain* chain)
    {
        var entry = Next(TraceKind.ChainStart, chain);
        entry->Tag = entry->A = entry->B = entry->C = 0;
        entry->Result = 0;
        entry->Site = -1;
        entry->Code = 0;
    }

    public void ChainEnding(Chain* chain)
    {
        var entry = Next(TraceKind.ChainEnding, chain);
        entry->Tag = entry->B = entry->C = 0;
        entry->A = (ulong)chain->Verdict;
        entry->Result = chain->Result;
        entry->Site = -1;
        entry->Code = 0;
    }

    public void ChainEnded(Chain* chain)
    {
        var entry = Next(TraceKind.ChainEnd, chain);
        entry->Tag = 0;
        entry->A = (ulong)chain->Verdict;
        entry->B = chain->Steps;
        entry->C = chain->Bytes;
        entry->Result = chain->Result;
        entry->Site = -1;
        entry->Code = 0;
        if (_options.ChainFailed != null && chain->Verdict is < 0 and not -Errno.Canceled) Fail(_options.ChainFailed);
    }

    public void Submitted(Operation* operation, Sqe* sqe, OperationExtra* extra, int site)
    {
        var chain = operation->Owner == OperationOwner.Host ? null : operation->Chain;
        var entry = Next(TraceKind.Submit, chain);
        entry->Tag = operation->Tag;
        if (operation->Opcode is IoUringOp.Timeout or IoUringOp.LinkTimeout)
        {
            entry->A = (ulong)extra->Time.Seconds * 1_000_000_000 + (ulong)extra->Time.Nanoseconds;
            entry->B = 0;
        }
        else
        {
            entry->A = chain != null ? operation->Offset : sqe->Offset;
            entry->B = (chain != null ? operation->Length : sqe->Length) | (ulong)operation->Buffer << 32;
        }
        entry->C = operation->UserData;
        entry->Result = chain == null ? sqe->Fd : operation->Target >= 0 ? operation->Target : operation->File;
        entry->Site = site;
        entry->Code = (byte)operation->Opcode;
        if ((s_named >> (int)operation->Opcode & 1) == 0) return;
        if (operation->Opcode != IoUringOp.SymlinkAt) Named(operation, chain, (byte*)sqe->Address);
        if (operation->Opcode is IoUringOp.RenameAt or IoUringOp.LinkAt or IoUringOp.SymlinkAt) Named(operation, chain, (byte*)sqe->Offset);
    }

    // Operations with a path.
    private static readonly ulong s_named = OperationSet.Bit(IoUringOp.OpenAt) | OperationSet.Bit(IoUringOp.OpenAt2) | OperationSet.Bit(IoUringOp.StatX)
        | OperationSet.Bit(IoUringOp.UnlinkAt) | OperationSet.Bit(IoUringOp.MkdirAt) | OperationSet.Bit(IoUringOp.RenameAt) | OperationSet.Bit(IoUringOp.LinkAt)
        | OperationSet.Bit(IoUringOp.SymlinkAt);

    // The end of it, which tells more than its beginning.
    private void Named(Operation* operation, Chain* chain, byte* path)
    {
        if (path == null) return;
        var text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(path);
        var cut = text.Length > TraceEvent.PathBytes;
        if (cut) text = text[^TraceEvent.PathBytes..];
        var entry = Next(TraceKind.Path, chain);
        entry->Tag = operation->Tag;
        entry->Code = (byte)(text.Length | (cut ? TraceEvent.PathIsCut : 0));
        text.CopyTo(new Span<byte>((byte*)entry + TraceEvent.PathOffset, TraceEvent.PathBytes));
    }

    public void Cancelled(Operation* operation)
    {
        var entry = Next(TraceKind.Cancel, operation->Owner == OperationOwner.Host ? null : operation->Chain);
        entry->Tag = operation->Tag;
        entry->A = entry->B = 0;
        entry->C = operation->UserData;
        entry->Result = 0;
        entry->Site = -1;
        entry->Code = (byte)operation->Opcode;
    }

    public void Completed(Operation* operation, int result, CqeFlags flags)
    {
        var entry = Next(TraceKind.Complete, operation->Owner == OperationOwner.Host ? null : operation->Chain);
        entry->Tag = operation->Tag;
        entry->A = (ulong)flags;
        entry->B = 0;
        entry->C = operation->UserData;
        entry->Result = result;
        entry->Site = -1;
        entry->Code = (byte)operation->Opcode;
    }

    public void HookRan(Chain* chain, int verdict, ExecutionState* state, long start)
    {
        var entry = Next(TraceKind.Hook, chain);
        entry->Tag = 0;
        entry->A = chain->Context.Step;
        entry->B = (ulong)start;
        entry->C = chain->Context.UserData;
        entry->Result = verdict;
        entry->Site = state->Site;
        // What is submitted outside of hooks has no place in one.
        state->Site = -1;
        if (start != 0) entry->Duration = (uint)Math.Min((ulong)Stopwatch.GetElapsedTime(start).TotalNanoseconds, uint.MaxValue);
        entry->Code = (byte)chain->Context.Opcode;
    }

    public void Called(ExecutionState* state, byte function, ulong a, ulong b, ulong c, int result)
    {
        var entry = Next(TraceKind.Call, (Chain*)state->Chain);
        entry->Tag = 0;
        entry->A = a;
        entry->B = b;
        entry->C = c;
        entry->Result = result;
        entry->Site = state->Site;
        entry->Code = function;
    }

    public void Judged(Chain* chain, ushort program, UringSubmission* submission, int verdict, int site)
    {
        var entry = Next(TraceKind.Policy, chain);
        entry->Tag = 0;
        entry->A = (uint)submission->File | (ulong)submission->Length << 32;
        entry->B = program;
        entry->C = submission->Offset;
        entry->Result = verdict;
        entry->Site = site;
        entry->Code = (byte)submission->Opcode;
    }

    /// <summary>Copies the record.</summary>
    public RingTrace Snapshot(RingFeatures features)
    {
        var kept = Math.Min(_next, _mask + 1);
        var events = new TraceEvent[kept];
        for (ulong i = 0; i < kept; i++) events[i] = _events[(_next - kept + i) & _mask];
        return new RingTrace(events, (long)_next, [.. _programs], features);
    }

    /// <summary>Hands the record to whoever wants it at the end.</summary>
    public void Exit(RingFeatures features) => _options.Exiting?.Invoke(Snapshot(features));

    public void Dispose() => NativeMemory.AlignedFree(_events);

    /// <summary>What <see cref="Snapshot"/> says about the ring.</summary>
    public required RingFeatures Features { private get; set; }

    private void Fail(Action<RingTrace> handle)
    {
        if (Interlocked.Exchange(ref _failing, 1) != 0) return;
        var trace = Snapshot(Features);
        ThreadPool.UnsafeQueueUserWorkItem(_ =>
        {
            try
            {
                handle(trace);
            }
            finally
            {
                Volatile.Write(ref _failing, 0);
            }
        }, null);
    }
}
