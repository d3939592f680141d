using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>The kernel's io_uring, reached with raw system calls. Created, entered and torn down by one thread.</summary>
internal sealed unsafe class KernelBackend : RingBackend
{
    // Marks the completion of the read that waits for another thread's signal.
    private const ulong WakeTag = ulong.MaxValue;

    private static readonly SetupFlags[] s_preferred =
    [
        SetupFlags.SingleIssuer | SetupFlags.DeferTaskRun | SetupFlags.TaskRunFlag | SetupFlags.NoSqArray | SetupFlags.SubmitAll,
        SetupFlags.SingleIssuer | SetupFlags.DeferTaskRun | SetupFlags.TaskRunFlag | SetupFlags.SubmitAll,
        SetupFlags.CoopTaskRun | SetupFlags.SubmitAll,
        SetupFlags.SubmitAll,
        SetupFlags.None,
    ];

    private readonly int _fd;
    private readonly int _enterFd;
    private readonly uint _enterFlags;
    // Zero while nothing is mapped.
    private nint _ring;
    private nuint _ringBytes;
    private nuint _sqeBytes;
    private readonly Lock _wakeGate = new();
    private int _event = -1;
    // Where all rings put what they read from their event descriptors, and nobody looks: a kernel that is still letting go of a ring may write there.
    private static readonly ulong* s_eventValue = (ulong*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(sizeof(ulong));
    // Ends when the kernel has let go of the ring; or -1.
    private int _end = -1;
    private readonly bool[] _supported = new bool[256];
    private bool _wakeArmed;
    // 1 when the entries to be submitted have the read of the event descriptor among them.
    private uint _wakeArmedNow;
    private uint* _sqFlags;
    // The kernel says in its flags when it has put off work.
    private readonly bool _flagsWork;
    private int _turnsToAsk;
    private RingFeatures _features;
    private int _mapError;

    /// <summary>For tests: so many of the next mappings fail, as without address space.</summary>
    internal int MappingsToFail { get; set; }

    /// <param name="entries">Submission queue entries.</param>
    /// <param name="completionEntries">Completion queue entries.</param>
    /// <param name="without">Flags that are not asked for, as an older kernel would not know them.</param>
    public KernelBackend(uint entries, uint completionEntries, SetupFlags without = SetupFlags.None)
    {
        var parameters = default(IoUring.Params);
        var fd = -Errno.Inval;
        foreach (var flags in s_preferred)
        {
            if ((flags & without) != 0) continue;
            parameters = new IoUring.Params
            {
                Flags = (uint)(flags | SetupFlags.CqSize | SetupFlags.Clamp),
                CqEntries = completionEntries,
            };
            fd = IoUring.Setup(entries, &parameters);
            // An older kernel does not know a flag: go on with fewer. Any other failure is final.
            if (fd != -Errno.Inval) break;
        }
        if (fd < 0) throw Refused(fd);
        _fd = fd;
        const uint needed = IoUring.FeatureSingleMmap | IoUring.FeatureNoDrop | IoUring.FeatureSubmitStable;
        if ((parameters.Features & needed) != needed)
        {
            IoUring.Close(fd);
            throw new IoUringRefusedException("io_uring: this kernel is older than 5.5, which it takes at least (features SINGLE_MMAP, NODROP, SUBMIT_STABLE).");
        }

        if (!Map(parameters))
        {
            IoUring.Close(fd);
            throw new BpfException("UB4501", $"io_uring: the queues can't be mapped ({Errno.Name(_mapError)}); is RLIMIT_MEMLOCK or RLIMIT_AS too low?");
        }
        var flagsGot = (SetupFlags)parameters.Flags;
        _flagsWork = (flagsGot & SetupFlags.TaskRunFlag) != 0;

        Probe();
        (_enterFd, _enterFlags) = RegisterRing(parameters.Features);
        _event = IoUring.CreateEvent();
        if (_event < 0)
        {
            Dispose();
            throw new BpfException("UB4501", $"io_uring: no event descriptor ({Errno.Name(-_event)}); RLIMIT_NOFILE is used up.");
        }
        _features = new RingFeatures("kernel", flagsGot, _enterFlags != 0, SqEntries, CqEntries,
            [.. Enum.GetValues<IoUringOp>().Where(op => _supported[(int)op])]);
    }

    public override string Name => "kernel";

    public override RingFeatures Features => Volatile.Read(ref _features);

    public override bool Links => true;

    public override bool Supports(IoUringOp operation) => _supported[(int)operation];

    protected override int EnterCore(uint submit, uint wait) => EnterInPlace(submit, wait);

    /// <summary>As <see cref="RingBackend.Enter"/>, and part of the calling method, down to the system call: what .NET makes ready for a native call
    /// it then makes ready once for a loop, and not for each turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int EnterInPlace(uint wait)
    {
        Publish();
        return EnterInPlace(Unsubmitted, wait);
    }

    // What completes at once (a cached read, a NOP) is posted by submitting: asking for events besides costs a fifth of the
    // call. So while everything does, it is left out, unless there is work that the kernel has put off.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int EnterInPlace(uint submit, uint wait)
    {
        // GETEVENTS even without waiting: with DEFER_TASKRUN what completes later is only posted when asked for.
        var flags = IoUring.EnterGetEvents | _enterFlags;
        var minimum = wait;
        var before = CompletionTail;
        if (!MustAsk(submit))
        {
            flags = _enterFlags;
            minimum = 0;
        }
        var result = IoUring.Enter(_enterFd, submit, minimum, flags, null, 0);
        if (flags != _enterFlags || CompletionTail - before >= submit && CompletionTail - CompletionHead >= wait)
        {
            _wakeArmedNow = 0;
            return result;
        }
        return AskToo(result, submit, wait, before);
    }

    private bool MustAsk(uint submit)
    {
        var state = Volatile.Read(ref *_sqFlags);
        if ((state & IoUring.SqCqOverflow) != 0) Overflows++;
        // Nothing but the read that a wake-up ends is not meant to complete at once.
        if (submit <= _wakeArmedNow || !_flagsWork) return true;
        if (_turnsToAsk > 0)
        {
            _turnsToAsk--;
            return true;
        }
        return (state & (IoUring.SqTaskRun | IoUring.SqCqOverflow)) != 0;
    }

    // Not all has completed at once.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int AskToo(int result, uint submit, uint wait, uint before)
    {
        if (CompletionTail - before + _wakeArmedNow < submit) _turnsToAsk = 64;
        _wakeArmedNow = 0;
        if (result < 0 || CompletionTail - CompletionHead >= wait) return result;
        return IoUring.Enter(_enterFd, submit - (uint)result, wait, IoUring.EnterGetEvents | _enterFlags, null, 0) is var more and >= 0 ? result + more : result;
    }

    protected override int EnterForCore(uint submit, uint wait, TimeSpan timeout)
    {
        // Since Linux 5.11.
        var limit = new IoUring.Timespec { Seconds = timeout.Ticks / TimeSpan.TicksPerSecond, Nanoseconds = timeout.Ticks % TimeSpan.TicksPerSecond * 100 };
        var argument = new IoUring.GetEventsArgument { Timespec = (ulong)&limit };
        return IoUring.Enter(_enterFd, submit, wait, IoUring.EnterGetEvents | IoUring.EnterExtArg | _enterFlags, &argument, (nuint)sizeof(IoUring.GetEventsArgument));
    }

    protected override int ResizeCore(uint entries, uint completionEntries)
    {
        // Kernels that can have both flags. Linux 6.18 does not say where the index array of the new queue is: there must be none.
        const SetupFlags needed = SetupFlags.DeferTaskRun | SetupFlags.NoSqArray;
        if ((_features.Setup & needed) != needed) return -Errno.OpNotSupp;
        var parameters = Sizes(entries, completionEntries);
        var result = Resize(&parameters);
        // The sizes are right, so it is the registration that an older kernel does not know.
        if (result == -Errno.Inval) return -Errno.OpNotSupp;
        if (result < 0) return result;
        // What was in the old queues is in the new ones.
        var before = Sizes(SqEntries, CqEntries);
        Unmap();
        if (!Map(parameters))
        {
            result = -_mapError;
            if (Resize(&before) < 0 || !Map(before)) throw new BpfException("UB4505", $"the queues can't be mapped after resizing ({Errno.Name(-result)}): the ring can't go on.");
        }
        Volatile.Write(ref _features, _features with { QueueEntries = SqEntries, CompletionEntries = CqEntries });
        return result;
    }

    private static IoUring.Params Sizes(uint entries, uint completionEntries) =>
        new() { SqEntries = entries, CqEntries = completionEntries, Flags = (uint)(SetupFlags.CqSize | SetupFlags.Clamp) };

    private int Resize(IoUring.Params* parameters) => IoUring.Register(_fd, IoUring.RegisterResizeRings, parameters, 1);

    // Finds the queues that the kernel has made.
    private bool Map(in IoUring.Params parameters)
    {
        _ringBytes = Math.Max(parameters.Sq.Array + parameters.SqEntries * sizeof(uint), parameters.Cq.Cqes + parameters.CqEntries * (uint)sizeof(Cqe));
        _sqeBytes = parameters.SqEntries * (nuint)sizeof(Sqe);
        if (MappingsToFail > 0)
        {
            MappingsToFail--;
            _mapError = Errno.NoMem;
            return false;
        }
        var ring = IoUring.Map(_fd, _ringBytes, IoUring.OffsetSqRing);
        var sqes = ring < 0 ? ring : IoUring.Map(_fd, _sqeBytes, IoUring.OffsetSqes);
        if (sqes is < 0 and > -4096)
        {
            if (ring > 0) IoUring.Unmap(ring, _ringBytes);
            _mapError = -(int)sqes;
            return false;
        }
        _ring = ring;
        var memory = (byte*)ring;
        SqHead = (uint*)(memory + parameters.Sq.Head);
        SqTail = (uint*)(memory + parameters.Sq.Tail);
        SqEntries = parameters.SqEntries;
        Sqes = (Sqe*)sqes;
        CqHead = (uint*)(memory + parameters.Cq.Head);
        CqTail = (uint*)(memory + parameters.Cq.Tail);
        CqEntries = parameters.CqEntries;
        Cqes = (Cqe*)(memory + parameters.Cq.Cqes);
        _sqFlags = (uint*)(memory + parameters.Sq.Flags);
        if (((SetupFlags)parameters.Flags & SetupFlags.NoSqArray) == 0)
        {
            var array = (uint*)(memory + parameters.Sq.Array);
            for (uint i = 0; i < SqEntries; i++) array[i] = i;
        }
        return true;
    }

    private void Unmap()
    {
        if (_ring == 0) return;
        IoUring.Unmap((nint)Sqes, _sqeBytes);
        IoUring.Unmap(_ring, _ringBytes);
        _ring = 0;
    }

    public override void Wake()
    {
        // Another thread may tear the ring down meanwhile, and the number of the descriptor may then be another file's.
        lock (_wakeGate)
        {
            if (_event >= 0) IoUring.Signal(_event);
        }
    }

    public override void Absorb(in Cqe cqe) => _wakeArmed = false;

    /// <summary>Keeps a read of the event descriptor in flight. False when the queue is full.</summary>
    public override bool ArmWake()
    {
        if (_wakeArmed) return true;
        var sqe = NextSqe();
        if (sqe == null) return false;
        _wakeArmedNow = 1;
        *sqe = new Sqe { Opcode = IoUringOp.Read, Fd = _event, Address = (ulong)s_eventValue, Length = sizeof(ulong), UserData = WakeTag };
        return _wakeArmed = true;
    }

    public override int CreateFileTable(uint count)
    {
        var register = new IoUring.ResourceRegister { Count = count, Flags = IoUring.FilesSparse };
        return IoUring.Register(_fd, IoUring.RegisterFiles2, &register, (uint)sizeof(IoUring.ResourceRegister));
    }

    public override int SetFile(uint slot, int fd)
    {
        var update = new IoUring.FilesUpdate { Offset = slot, Fds = (ulong)&fd };
        var result = IoUring.Register(_fd, IoUring.RegisterFilesUpdate, &update, 1);
        return result < 0 ? result : 0;
    }

    public override int CancelFile(int fd, TimeSpan patience)
    {
        const uint all = 1, byFile = 2;
        var cancel = new IoUring.SyncCancel
        {
            Fd = fd,
            Flags = all | byFile,
            Timeout = new IoUring.Timespec { Seconds = patience.Ticks / TimeSpan.TicksPerSecond, Nanoseconds = patience.Ticks % TimeSpan.TicksPerSecond * 100 },
        };
        return IoUring.Register(_fd, IoUring.RegisterSyncCancel, &cancel, 1) is var result and < 0 ? result : 0;
    }

    public override int RegisterBufferRing(nint entries, uint count, ushort group, bool incremental)
    {
        const ushort fillPieceByPiece = 2;
        var register = new IoUring.BufferRingRegister { Address = (ulong)entries, Count = count, Group = group, Flags = incremental ? fillPieceByPiece : (ushort)0 };
        return IoUring.Register(_fd, IoUring.RegisterBufferRing, &register, 1);
    }

    public override void UnregisterBufferRing(ushort group)
    {
        var register = new IoUring.BufferRingRegister { Group = group };
        IoUring.Register(_fd, IoUring.UnregisterBufferRing, &register, 1);
    }

    public override int RegisterBuffers(IoVector* buffers, uint count)
    {
        var register = new IoUring.ResourceRegister { Count = count, Data = (ulong)buffers };
        return IoUring.Register(_fd, IoUring.RegisterBuffers2, &register, (uint)sizeof(IoUring.ResourceRegister));
    }

    public override void UnregisterBuffers() => IoUring.Register(_fd, IoUring.UnregisterBuffers, null, 0);

    public override void Dispose()
    {
        Unmap();
        // The thread's registration keeps the ring, and all that is in its file table, as the descriptor does.
        if (_enterFlags != 0)
        {
            var update = new IoUring.ResourceUpdate { Offset = (uint)_enterFd };
            IoUring.Register(_fd, IoUring.UnregisterRingFds, &update, 1);
        }
        IoUring.Close(_fd);
        lock (_wakeGate)
        {
            if (_event >= 0) IoUring.Close(_event);
            _event = -1;
        }
        if (_end >= 0) IoUring.Close(_end);
        _end = -1;
    }

    /// <summary>Makes it known when nothing is in flight on the ring any more, for <see cref="End"/>.</summary>
    /// <param name="slot">A slot of the file table that is used for nothing else.</param>
    /// <returns>0 or -errno.</returns>
    public int WatchEnd(uint slot)
    {
        // The writing end of a pipe that only the file table holds, which the kernel frees after the ring's last operation.
        const int closeOnExec = 0x80000;
        var ends = stackalloc int[2];
        var result = PosixCalls.Pipe(ends, closeOnExec);
        if (result < 0) return result;
        result = SetFile(slot, ends[1]);
        IoUring.Close(ends[1]);
        if (result < 0) IoUring.Close(ends[0]);
        else _end = ends[0];
        return result;
    }

    /// <summary>
    /// From another thread, when the ring's own has ended: no other may enter a ring of one issuer. Closes the ring, so that the kernel cancels what is in
    /// flight, and waits until it uses no memory of it any more.
    /// </summary>
    /// <returns>Completions that were in the queue. What operations brought whose completions were not there yet is lost.</returns>
    public List<Cqe> End()
    {
        var left = new List<Cqe>();
        for (; HasCompletion; CompletionHead++) left.Add(*Completion(CompletionHead));
        // The registration went with the thread; what is mapped would keep the ring.
        Unmap();
        IoUring.Close(_fd);
        var hungUp = new PollEntry { Fd = _end };
        while (PosixCalls.Poll(&hungUp, 1, null) <= 0)
        {
        }
        lock (_wakeGate)
        {
            if (_event >= 0) IoUring.Close(_event);
            _event = -1;
        }
        IoUring.Close(_end);
        _end = -1;
        return left;
    }

    private void Probe()
    {
        const int entries = 256, headerBytes = 16, entryBytes = 8;
        var probe = stackalloc byte[headerBytes + entries * entryBytes];
        new Span<byte>(probe, headerBytes + entries * entryBytes).Clear();
        if (IoUring.Register(_fd, IoUring.RegisterProbe, probe, entries) < 0) return;
        // struct io_uring_probe: last_op, ops_len, …, then { op, resv, flags, … } each; flag 1 is IO_URING_OP_SUPPORTED.
        for (var i = 0; i < probe[1]; i++)
        {
            var entry = probe + headerBytes + i * entryBytes;
            _supported[entry[0]] = (entry[2] & 1) != 0;
        }
    }

    // A registered ring saves the kernel a look-up of the descriptor at every enter. The index belongs to this thread.
    private (int Fd, uint Flags) RegisterRing(uint features)
    {
        if ((features & IoUring.FeatureRegisteredRing) == 0) return (_fd, 0);
        var update = new IoUring.ResourceUpdate { Offset = uint.MaxValue, Data = (ulong)_fd };
        var registered = IoUring.Register(_fd, IoUring.RegisterRingFds, &update, 1);
        return registered == 1 ? ((int)update.Offset, IoUring.EnterRegisteredRing) : (_fd, 0);
    }

    /// <summary>Says why io_uring_setup failed, and what can be done.</summary>
    internal static BpfException Refused(int result)
    {
        var errno = -result;
        var cause = errno switch
        {
            Errno.Perm or Errno.Access => File.Exists("/proc/sys/kernel/io_uring_disabled") && File.ReadAllText("/proc/sys/kernel/io_uring_disabled").Trim() is var value and not "0"
                ? $"sysctl kernel.io_uring_disabled is {value}; an administrator can set it to 0"
                : "a seccomp filter refuses io_uring_setup, as most container runtimes do by default; run with a profile that allows it",
            Errno.NoSys => "this kernel is built without io_uring, or a seccomp filter hides it",
            Errno.NoMem => "RLIMIT_MEMLOCK is too low for the queues; raise it with `ulimit -l` or ask for smaller queues",
            Errno.MFile => "the process has no descriptor left; raise RLIMIT_NOFILE with `ulimit -n`",
            _ => "the requested sizes or flags are not accepted",
        };
        var message = $"io_uring can't be used here: io_uring_setup failed with {Errno.Name(errno)}: {cause}.";
        // What the process can mend itself is its to mend; a refusal is what the portable back end is for.
        return errno is Errno.Perm or Errno.Access or Errno.NoSys ? new IoUringRefusedException(message) : new BpfException("UB4501", message);
    }
}
