using System.Globalization;
using UringBpf.Runtime;

namespace UringBpf.Ring;

/// <summary>
/// Carries operations out on a machine in memory (<see cref="SimulatedMachine"/>), each at a time that the seed decides, some
/// with the faults that the options ask for. The clock stands still while the ring or a hook runs, and jumps to the next
/// event when there is nothing else to do.
/// </summary>
internal sealed unsafe class SimulatedBackend : EmulatedBackend
{
    // The machine has been up for this long when the ring is made: zero is a time that programs take for "never".
    private const long BootNanoseconds = 1_000_000_000;
    private const int SlowFactor = 100;

    private readonly SimulationOptions _options;
    private readonly SimulatedMachine _machine;
    private readonly OperationHeap _due = new();
    private readonly object _gate = new();
    private long _now = BootNanoseconds;
    private ulong _random;
    private ulong _order;
    private bool _woken;

    public SimulatedBackend(uint entries, uint completionEntries, SimulationOptions options)
        : base("simulated", entries, completionEntries, SimulatedMachine.Operations, null)
    {
        _options = options;
        _random = options.Seed;
        _machine = new SimulatedMachine(this, options);
    }

    /// <summary>Descriptors that were opened and are neither closed nor the process's to close.</summary>
    internal int LeakedDescriptors => _machine.OpenDescriptors - _machine.ProcessDescriptors;

    /// <summary>Time since the machine was made.</summary>
    internal TimeSpan Elapsed => TimeSpan.FromTicks((Volatile.Read(ref _now) - BootNanoseconds) / 100);

    /// <summary>The host is on this very thread: waiting for it would be for ever.</summary>
    internal bool NeverWaits { get; set; }

    /// <summary>True when an operation will complete without the host doing anything.</summary>
    internal bool HasEvents => _due.Count > 0 && _due.First.Due - _now <= LongestIdleNanoseconds;

    public override void EnterThread(ExecutionState* state)
    {
        // What a hook can ask for beside its ring: the time and random numbers.
        state->RandomState = Random() | 1;
        VirtualClock.Set(_now);
    }

    // Its clock is its own.
    protected override int EnterForCore(uint submit, uint wait, TimeSpan timeout) => EnterCore(submit, wait);

    public override void Wake()
    {
        lock (_gate)
        {
            _woken = true;
            Monitor.Pulse(_gate);
        }
    }

    public override int OpenDirectory(string path) => _machine.OpenDirectory(path);

    public override void CloseDirectory(int directory) => _machine.CloseDirectory(directory);

    public override void Dispose()
    {
        VirtualClock.Stop();
        base.Dispose();
    }

    internal void Closed(SimulatedDescriptor descriptor) => _machine.Closed(descriptor);

    /// <summary>An operation will be looked at after a while.</summary>
    internal void Schedule(SimulatedOperation operation)
    {
        var delay = Between(_options.MinDelay.Ticks * 100, _options.MaxDelay.Ticks * 100);
        if (Happens(_options.SlowRate)) delay *= SlowFactor;
        ScheduleAt(operation, _now + delay);
    }

    /// <summary>A number of bytes that a transfer of at most this many moves.</summary>
    internal int Shorten(int bytes) => bytes > 1 && Happens(_options.ShortRate) ? (int)Between(1, bytes - 1) : bytes;

    /// <summary>Both ends of a connection: descriptors of the process.</summary>
    internal (int First, int Second) CreateSocketPair() => _machine.CreateSocketPair();

    protected override int Adopt(int fd, out Descriptor? file) => _machine.Adopt(fd, out file);

    protected override EmulatedOperation NewOperation() => new SimulatedOperation();

    protected override void Start(EmulatedOperation operation)
    {
        var started = (SimulatedOperation)operation;
        if (started.Entry.Opcode == IoUringOp.Timeout)
        {
            StartTimer(started);
            return;
        }
        Schedule(started);
        Trace("start", started, null, null);
    }

    protected override void Continue(EmulatedOperation operation)
    {
        var continued = (SimulatedOperation)operation;
        continued.Progress = 0;
        Trace("again", continued, null, null);
        // A poll tells of what is new; others look whether there is more.
        if (continued.Entry.Opcode != IoUringOp.PollAdd) Schedule(continued);
        else SimulatedMachine.WaitForChange(continued);
    }

    /// <summary>As <see cref="EmulatedBackend.ShowBuffer"/>.</summary>
    internal bool Show(SimulatedOperation operation) => ShowBuffer(operation);

    protected override bool TryStop(EmulatedOperation operation)
    {
        var stopped = (SimulatedOperation)operation;
        if (stopped.WaitsFor != null)
        {
            stopped.StopWaiting();
        }
        else
        {
            // A timer can be stopped until it fires. Others are on their way, and may have gone too far.
            if (stopped.Entry.Opcode != IoUringOp.Timeout && (stopped.Lost || Happens(_options.LateCancelRate)))
            {
                stopped.Lost = true;
                Trace("late", stopped, -Errno.Already, null);
                return false;
            }
            _due.Remove(stopped);
        }
        Trace("cancel", stopped, -Errno.Canceled, null);
        return true;
    }

    protected override bool ForceOverflow() => Happens(_options.OverflowRate);

    protected override int BeforeEnter(uint submit)
    {
        if (_options.BusyOnOverflow && submit > 0)
        {
            FlushOverflow();
            if (HasOverflow)
            {
                Overflows++;
                return -Errno.Busy;
            }
        }
        if (!Happens(_options.EnterFailureRate)) return 0;
        return Between(0, 2) switch { 0 => -Errno.Intr, 1 => -Errno.Again, _ => -Errno.Busy };
    }

    protected override bool Progress(bool block)
    {
        if (!block)
        {
            // A call to the kernel takes a moment in which others come to an end.
            const long longestCallNanoseconds = 20_000;
            var until = _now + Between(0, longestCallNanoseconds);
            while (_due.Count > 0 && _due.First.Due <= until) RunFirst();
            SetTime(until);
            return true;
        }
        if (HasEvents)
        {
            RunFirst();
            return true;
        }
        // Nothing will happen until the host does something.
        if (NeverWaits) return false;
        lock (_gate)
        {
            while (!_woken) Monitor.Wait(_gate);
            _woken = false;
        }
        return false;
    }

    private void SetTime(long nanoseconds)
    {
        _now = nanoseconds;
        VirtualClock.Set(nanoseconds);
    }

    private long LongestIdleNanoseconds => _options.LongestIdle == TimeSpan.MaxValue ? long.MaxValue : _options.LongestIdle.Ticks * 100;

    private void RunFirst()
    {
        var operation = (SimulatedOperation)_due.First;
        _due.Remove(operation);
        SetTime(Math.Max(_now, operation.Due));
        var fault = Fault(operation.Entry.Opcode);
        var result = fault != 0 ? fault : _machine.Run(operation);
        if (result == SimulatedMachine.Later) return;
        if (operation.Entry.Opcode == IoUringOp.Timeout && Repeats(ref operation.Entry))
        {
            Trace("again", operation, result, null);
            PostMore(operation, result);
            ScheduleAt(operation, operation.DueAgain(_now));
            return;
        }
        Trace("done", operation, result, fault != 0 ? "injected" : null);
        Finish(operation, result);
    }

    // What the real ones can be interrupted in, or fail at, without having done anything.
    private int Fault(IoUringOp operation)
    {
        switch (operation)
        {
            case IoUringOp.Nop or IoUringOp.Timeout or IoUringOp.Close or IoUringOp.Socket or IoUringOp.Bind or IoUringOp.Listen or IoUringOp.Shutdown:
                return 0;
        }
        var roll = Unit();
        if ((roll -= _options.InterruptRate) < 0) return -Errno.Intr;
        if ((roll -= _options.AgainRate) < 0) return -Errno.Again;
        return roll - _options.ErrorRate < 0 ? -Errno.IO : 0;
    }

    private void StartTimer(SimulatedOperation operation)
    {
        if (RefuseTimer(operation.Entry) is var refused and not 0)
        {
            Finish(operation, refused);
            return;
        }
        ScheduleAt(operation, _now + operation.Period());
        Trace("start", operation, null, null);
    }

    private void ScheduleAt(SimulatedOperation operation, long due)
    {
        operation.Due = due;
        // Of two that are due at once either may be first.
        operation.Order = Random() << 32 | (uint)_order++;
        _due.Add(operation);
    }

    // SplitMix64: the same sequence in every version of .NET.
    private ulong Random()
    {
        var z = _random += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

    private double Unit() => (Random() >> 11) * (1.0 / (1UL << 53));

    private bool Happens(double rate) => rate > 0 && Unit() < rate;

    private long Between(long low, long high) => low + (long)(Random() % (ulong)(high - low + 1));

    private void Trace(string what, SimulatedOperation operation, int? result, string? note)
    {
        if (_options.Trace == null) return;
        ref var entry = ref operation.Entry;
        var file = (entry.Flags & SqeFlags.FixedFile) != 0 ? $" slot {entry.Fd}" : entry.FileIndex != 0 ? $" slot {entry.FileIndex - 1}" : "";
        var range = entry.Opcode is IoUringOp.Read or IoUringOp.Write ? $" {entry.Length} at {(long)entry.Offset}" : entry.Opcode is IoUringOp.Send or IoUringOp.Recv ? $" {entry.Length}" : "";
        var outcome = result == null ? "" : $" = {(result < 0 ? "-" + Errno.Name(-result.Value) : result.Value.ToString(CultureInfo.InvariantCulture))}";
        _options.Trace(string.Create(CultureInfo.InvariantCulture,
            $"{_now,12} {what,-6} {operation.Entry.UserData >> 32:x}.{(uint)operation.Entry.UserData:x} {entry.Opcode}{file}{range}{outcome}{(note == null ? "" : " (" + note + ")")}"));
    }
}

/// <summary>An operation of a simulation.</summary>
internal sealed class SimulatedOperation : EmulatedOperation
{
    /// <summary>What must change before it can go on, or null; and, where either of two will do, the other.</summary>
    public SimulatedNode? WaitsFor, OrFor;
    /// <summary>Bytes moved so far by one that goes on until it is complete; 1 for a connection that was asked for.</summary>
    public int Progress;

    public override void Begin(in Sqe entry)
    {
        base.Begin(entry);
        WaitsFor = OrFor = null;
        Progress = 0;
    }

    /// <summary>Waits until something about one of these changes.</summary>
    public void Wait(SimulatedNode node, SimulatedNode? other = null)
    {
        WaitsFor = node;
        OrFor = other;
        node.AddWaiter(this);
        other?.AddWaiter(this);
    }

    /// <summary>Waits no more.</summary>
    public void StopWaiting()
    {
        WaitsFor?.RemoveWaiter(this);
        OrFor?.RemoveWaiter(this);
        WaitsFor = OrFor = null;
    }
}
