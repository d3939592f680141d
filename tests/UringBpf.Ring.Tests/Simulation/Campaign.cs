using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring.Tests;

/// <summary>
/// One case of the simulation campaign: a host and hooks that do anything at all on a simulated ring with faults, cancels,
/// attaching and detaching. All is decided by the seed. What must hold: every chain and every operation of the host ends,
/// and ends once; no limit is ever exceeded; nothing is left when the ring is gone.
/// </summary>
public sealed class Campaign
{
    /// <summary>Programs that the cases attach, by object.</summary>
    private static readonly (string Object, string[] Programs)[] s_programs =
    [
        ("chaos.bpf.o", ["chaos", "chaos", "chaos", "chaos", "chaos_policy"]),
        ("chains.bpf.o", ["rearm", "hang", "burst", "result", "stop", "cancel", "join", "buffers", "ten_reads", "read_again", "open_twice", "extent"]),
        ("order.bpf.o", ["links", "short_link", "drain", "cancel_held", "hold", "read_then_run", "run_named", "other", "sum"]),
    ];

    /// <summary>What hooks are granted besides what they have unless said otherwise.</summary>
    public static System.Collections.Immutable.ImmutableArray<IoUringOp> Operations { get; } =
    [
        IoUringOp.Send, IoUringOp.Recv, IoUringOp.Shutdown, IoUringOp.FTruncate, IoUringOp.Socket, IoUringOp.ReadV, IoUringOp.WriteV, IoUringOp.SendMsg,
        IoUringOp.RecvMsg, IoUringOp.LinkTimeout, IoUringOp.Accept, IoUringOp.Connect, IoUringOp.Bind, IoUringOp.Listen, IoUringOp.RenameAt, IoUringOp.LinkAt,
        IoUringOp.UnlinkAt, IoUringOp.MkdirAt, IoUringOp.PollAdd, IoUringOp.ReadMultishot, IoUringOp.SendZc, IoUringOp.Splice, IoUringOp.Tee,
    ];

    private static readonly System.Net.EndPoint[] s_addresses = [new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 1), new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 2)];

    // Far more turns than a case needs to come to its end.
    private const int MostTurns = 200_000;
    private const int LongestWrite = 256;

    private readonly IReadOnlyList<BpfProgram> _programs;
    private readonly BpfProgram _policy;
    private readonly Action<string>? _trace;
    private readonly Ring _ring;
    private readonly RingOptions _options;
    private readonly List<Attachment> _links = [];
    private readonly List<HookLink> _everAttached = [];
    private readonly List<PolicyLink> _policies = [];
    private readonly List<Running<ChainResult>> _chains = [];
    private readonly List<Running<int>> _operations = [];
    private readonly List<Task> _detaching = [];
    private readonly List<SafeFileHandle> _handles = [];
    private readonly List<CancellationTokenSource> _sources = [];
    private readonly byte[] _buffer = new byte[LongestWrite];
    private readonly bool _resizes;
    private ulong _random;
    private ulong _signature;
    private long _turns;
    private int _idle;
    private Task? _ending;

    private sealed record Attachment(HookLink Link, ChainLimits Limits, int Buffers);

    private sealed class Running<T>(ValueTask<T> task, ChainLimits? limits)
    {
        public ValueTask<T> Task { get; } = task;
        public ChainLimits? Limits { get; } = limits;
        public bool Ended { get; set; }
    }

    /// <summary>What a case did.</summary>
    /// <param name="Problem">null, or what does not hold.</param>
    /// <param name="Chains">Chains that were started, all of which ended.</param>
    /// <param name="Completions">Completions that the ring took.</param>
    /// <param name="Signature">Differs when anything that the host could see differs.</param>
    public readonly record struct Outcome(string? Problem, int Chains, long Completions, ulong Signature);

    private Campaign(ulong seed, IReadOnlyList<BpfProgram> programs, Action<string>? trace)
    {
        _programs = [.. programs.Where(program => program.Verified.Type == ProgramTypes.Completion)];
        _policy = programs.Single(program => program.Verified.Type == ProgramTypes.Submission);
        _trace = trace;
        _random = seed;
        _resizes = seed % 4 == 0;
        var files = new Dictionary<string, ReadOnlyMemory<byte>>();
        foreach (var name in (string[])["/data/a", "/data/b", "/data/deep/c"])
        {
            var content = new byte[Below(600)];
            for (var i = 0; i < content.Length; i++) content[i] = (byte)Below(256);
            files[name] = content;
        }
        _options = new RingOptions
        {
            QueueEntries = 1 << Below(6),
            CompletionEntries = 1 << Below(7),
            MaxOperations = 1 + Below(100),
            // Turns that end early put completions off.
            TurnLimit = Below(4) == 0 ? 1 + Below(8) : 1024,
            FileSlots = 1 + Below(40),
            Simulation = new SimulationOptions
            {
                Seed = Next(),
                Files = System.Collections.Immutable.ImmutableDictionary.CreateRange(files),
                MinDelay = TimeSpan.FromTicks(Below(100)),
                MaxDelay = TimeSpan.FromTicks(100 + Below(10_000)),
                SlowRate = Rate(),
                ShortRate = Rate(),
                InterruptRate = Rate(),
                AgainRate = Rate(),
                ErrorRate = Rate(),
                OverflowRate = Rate(),
                EnterFailureRate = Rate(),
                LateCancelRate = Rate(),
                BusyOnOverflow = seed % 8 == 3,
                Trace = trace,
            },
        };
        _ring = Ring.CreateSimulated(_options);
    }

    /// <summary>Compiles or interprets the programs: once for all cases.</summary>
    public static List<BpfProgram> Load(Func<string, ObjectSpec> load, Func<ProgramSpec, MapSet, BpfProgram> create)
    {
        var found = new List<BpfProgram>();
        foreach (var (name, programs) in s_programs)
        {
            var spec = load(name);
            found.AddRange(programs.Select(program => create(spec.Program(program), MapSet.Create(spec.Maps))));
        }
        return found;
    }

    /// <summary>Runs a case.</summary>
    /// <param name="seed">The case.</param>
    /// <param name="programs">From <see cref="Load"/>.</param>
    /// <param name="trace">Called with a line for all that happens; null for none.</param>
    public static Outcome Run(ulong seed, IReadOnlyList<BpfProgram> programs, Action<string>? trace = null)
    {
        var run = new Campaign(seed, programs, trace);
        try
        {
            var problem = run.Play();
            return new Outcome(problem, run._chains.Count, run._ring.Completions, run._signature);
        }
        finally
        {
            foreach (var source in run._sources) source.Dispose();
        }
    }

    private string? Play()
    {
        var (first, second) = _ring.CreateSimulatedPair();
        _handles.AddRange([first, second]);
        string[] paths = ["/data/a", "/data/b", "/data/deep/c", "/data/new"];
        if (OpenHandles(paths) is { } failed) return failed;
        for (var actions = 10 + Below(300); actions > 0; actions--)
        {
            var problem = Act(paths);
            if (problem != null) return problem;
        }
        return End();
    }

    // Files, a socket that listens, both ends of pipes: what faults have left of them.
    private string? OpenHandles(string[] paths)
    {
        const int readWrite = 2, internet = 2, stream = 1;
        for (var i = 0; i < 2; i++)
        {
            if (Wait(_ring.OpenAsync(paths[i], readWrite), out var file) is { } problem) return problem;
            if (file >= 0) _handles.Add(new SafeFileHandle(file, ownsHandle: false));
        }
        if (Wait(_ring.SocketAsync(internet, stream), out var fd) is { } notMade) return notMade;
        var listening = new SafeFileHandle(fd, ownsHandle: false);
        _handles.Insert(Below(_handles.Count + 1), listening);
        if (Wait(_ring.BindAsync(listening, s_addresses[0]), out _) is { } notBound) return notBound;
        if (Wait(_ring.ListenAsync(listening, 1 + Below(8)), out _) is { } notListening) return notListening;
        // One who waits to be accepted.
        if (Wait(_ring.SocketAsync(internet, stream), out fd) is { } notMadeEither) return notMadeEither;
        var connecting = new SafeFileHandle(fd, ownsHandle: false);
        _handles.Insert(Below(_handles.Count + 1), connecting);
        if (Wait(_ring.ConnectAsync(connecting, s_addresses[0]), out _) is { } notConnected) return notConnected;
        for (var pipes = Below(3); pipes > 0; pipes--)
        {
            var ends = new int[2];
            if (Wait(_ring.PipeAsync(ends), out var made) is { } noPipe) return noPipe;
            if (made == 0) _handles.InsertRange(Below(_handles.Count + 1), ends.Select(end => new SafeFileHandle(end, ownsHandle: false)));
        }
        return null;
    }

    private string? Wait(ValueTask<int> operation, out int result)
    {
        result = 0;
        while (!operation.IsCompleted) if (Turn() is { } problem) return problem;
        result = operation.Result;
        return null;
    }

    private string? Act(string[] paths)
    {
        switch (Below(22))
        {
            case 0 or 1 or 11 when _links.Count < 5: Attach(paths); break;
            case 2 or 3 or 4 when _links.Count > 0: Start(_links[Below(_links.Count)]); break;
            case 5 when _links.Count > 0: Detach(Below(_links.Count)); break;
            case 6 when _links.Count > 0: Update(_links[Below(_links.Count)]); break;
            case 7 when _sources.Count > 0: _sources[Below(_sources.Count)].Cancel(); break;
            case 8 or 9 or 10: Operate(); break;
            case 14: Batch(); break;
            case 15 when _resizes: Resize(); break;
            case 12 when _policies.Count < 3: AttachPolicy(); break;
            case 13 when _policies.Count > 0: ChangePolicy(Below(_policies.Count)); break;
            default:
                for (var turns = 1 + Below(12); turns > 0; turns--) if (Turn() is { } problem) return problem;
                break;
        }
        return null;
    }

    private void Attach(string[] paths)
    {
        var limits = new ChainLimits
        {
            MaxSteps = (uint)(1 + Below(400)),
            MaxInFlight = 1 + Below(12),
            MaxBytes = Below(3) == 0 ? (ulong)Below(2000) : ulong.MaxValue,
            OwnFiles = Below(5),
            OwnBuffers = Below(3),
            OwnBufferBytes = 64 + Below(300),
            MaxMessageChains = 1 + Below(4),
        };
        var buffers = Enumerable.Range(0, Below(3)).Select(_ => 64 + Below(300)).ToArray();
        var grants = new Grants
        {
            Files = [.. _handles.Take(Below(_handles.Count + 1))],
            Paths = [.. paths.Take(Below(paths.Length + 1))],
            Directories = Below(2) == 0 ? ["/data"] : [],
            Buffers = [.. buffers],
            AllowWrite = Below(2) == 0,
            Addresses = [.. s_addresses.Take(Below(3))],
            Targets = _links.Count > 0 ? [_links[Below(_links.Count)].Link] : [],
            Programs = [.. Enumerable.Range(0, Below(4)).Select(_ => _programs[Below(_programs.Count)])],
            ProvidedBuffers = Below(3) == 0 ? 1 << Below(3) : 0,
            ProvidedBufferBytes = 1 + Below(200),
            Operations = [.. new Grants().Operations, .. Operations],
        };
        try
        {
            var link = _ring.Attach(_programs[Below(_programs.Count)], grants, limits, emissionCapacity: 1 + Below(50));
            _links.Add(new Attachment(link, limits, buffers.Length));
            _everAttached.Add(link);
        }
        catch (BpfException full) when (full.Code == "UB4513")
        {
            // More files than slots: refused as a whole, and what is left is counted at the end.
            Say($"attach: {full.Code}");
        }
    }

    private void Start(Attachment on)
    {
        var first = Below(4) switch
        {
            0 => UringOp.Read(Below(3), (ushort)Below(3), (uint)Below(200), (ulong)Below(400), 3),
            1 => UringOp.OpenAt(UringOp.NoDirectory, (uint)Below(4), Below(6), 0, 0, 4),
            2 => UringOp.Timeout(TimeSpan.FromTicks(Below(100_000)), 5),
            _ => UringOp.Nop(6),
        };
        if (Below(6) == 0) first.Flags |= (UringOpFlags)(1 << Below(5));
        if (Below(6) == 0) first = UringOp.RunProgram((uint)Below(3), 7);
        var token = Token();
        _chains.Add(new Running<ChainResult>(on.Link.StartAsync(first, BitConverter.GetBytes((ulong)Below(40)), token), on.Limits));
    }

    private void Resize()
    {
        var entries = 1 << Below(6);
        _operations.Add(new Running<int>(_ring.ResizeAsync(entries, entries << Below(3)), null));
    }

    // Operations and chains of the host, linked and drained in any way.
    private void Batch()
    {
        var batch = _ring.Batch();
        var most = Math.Min(_ring.Capacity, (int)_ring.Features.QueueEntries);
        for (var left = 1 + Below(5); left > 0 && batch.Count < most; left--)
        {
            var flags = Below(2) == 0 ? SqeFlags.Link : Below(3) == 0 ? SqeFlags.HardLink : SqeFlags.None;
            if (Below(4) == 0) flags |= SqeFlags.Drain;
            if (Below(2) == 0 && _links.Count > 0)
            {
                var on = _links[Below(_links.Count)];
                _chains.Add(new Running<ChainResult>(batch.Add(on.Link, UringOp.RunProgram((uint)Below(2), 8), flags, BitConverter.GetBytes((ulong)Below(20)), Token()), on.Limits));
            }
            else
            {
                _operations.Add(new Running<int>(batch.Add(Prepare.Nop(Below(20) - 10).With(flags), cancellationToken: Token()), null));
            }
        }
        batch.Submit();
    }

    private void AttachPolicy()
    {
        IoUringOp[] some = [(IoUringOp)Below(63), IoUringOp.Nop, IoUringOp.Program];
        try
        {
            _policies.Add(Below(3) == 0 || _links.Count == 0
                ? _ring.AttachPolicy(_policy, [.. some.Take(Below(4))])
                : _links[Below(_links.Count)].Link.AttachPolicy(_policy, [.. some.Take(Below(4))]));
        }
        catch (BpfException gone) when (gone.Code == "UB4503")
        {
            // The hook is being detached.
            Say($"policy: {gone.Code}");
        }
    }

    private void ChangePolicy(int index)
    {
        var policy = _policies[index];
        if (Below(2) == 0)
        {
            _detaching.Add(policy.UpdateAsync(_policy).AsTask());
            return;
        }
        _detaching.Add(policy.DisposeAsync().AsTask());
        _policies.RemoveAt(index);
    }

    private void Detach(int index)
    {
        _detaching.Add(_links[index].Link.RequestDetach());
        _links.RemoveAt(index);
    }

    private void Update(Attachment on) => _detaching.Add(on.Link.UpdateAsync(_programs[Below(_programs.Count)]).AsTask());

    private void Operate()
    {
        var file = _handles[Below(_handles.Count)];
        var token = Token();
        _operations.Add(new Running<int>(Below(5) switch
        {
            0 => _ring.NopAsync(Below(1000) - 500, token),
            1 => _ring.ReadAsync(file, _buffer.AsMemory(0, Below(LongestWrite)), Below(500), token),
            2 => _ring.WriteAsync(file, _buffer.AsMemory(0, Below(LongestWrite)), Below(500), token),
            3 => _ring.FSyncAsync(file, token),
            _ => _ring.TimeoutAsync(TimeSpan.FromTicks(1L << Below(30)), token),
        }, null));
    }

    private CancellationToken Token()
    {
        if (Below(3) != 0) return default;
        var source = new CancellationTokenSource();
        _sources.Add(source);
        return source.Token;
    }

    private unsafe string Left()
    {
        var text = new StringBuilder();
        foreach (var index in _ring.Operations.Taken())
        {
            var operation = _ring.Operations[index];
            text.Append(CultureInfo.InvariantCulture, $"{(text.Length > 0 ? ", " : "")}{operation->Tag >> 32:x}.{(uint)operation->Tag:x} {operation->Opcode} {operation->Owner} {operation->Marks}");
        }
        return text.ToString();
    }

    private string? Turn()
    {
        _turns++;
        // Nothing will happen and yet the ring is asked to end: it waits for something that was lost.
        var idle = !_ring.Step();
        return idle && _ending is { IsCompleted: false } && _idle++ > 2
            ? $"the ring does not come to its end: {_ring.OperationsInFlight} operations in flight ({Left()}), {_ring.Links.Count} hooks attached"
            : CheckLimits();
    }

    private unsafe string? CheckLimits()
    {
        if (_ring.OperationsInFlight > _options.MaxOperations) return $"{_ring.OperationsInFlight} operations in flight, the limit is {_options.MaxOperations}";
        foreach (var link in _ring.Links)
        {
            var limits = link.Limits;
            for (var chain = link.FirstChain; chain != null; chain = chain->Next)
            {
                // A chain that ends closes its files, each with an operation of its own.
                var most = chain->Phase == ChainPhase.Closing ? limits.OwnFiles : limits.MaxInFlight;
                if (chain->InFlight > most) return $"chain {chain->Id} has {chain->InFlight} operations in flight, the limit is {most}";
                if (chain->Steps > limits.MaxSteps) return $"chain {chain->Id} has made {chain->Steps} steps, the limit is {limits.MaxSteps}";
                if (chain->Bytes > limits.MaxBytes || chain->Reserved > limits.MaxBytes - chain->Bytes)
                    return $"chain {chain->Id} has moved {chain->Bytes} bytes and asked for {chain->Reserved}, the limit is {limits.MaxBytes}";
                if (Waits(chain) is { } stuck) return $"chain {chain->Id}: {stuck}";
                if (chain->Phase == ChainPhase.Live && chain->InFlight == 0) return $"chain {chain->Id} is alive with nothing in flight";
                if (Reaches(link, chain) is { } reached) return $"chain {chain->Id}: {reached}";
            }
        }
        foreach (var entry in _ring.Simulation.InFlight)
        {
            var operation = _ring.Operations.Find(entry.UserData);
            if (operation == null || operation->Owner != OperationOwner.Chain) continue;
            if (Borrows(operation->Chain, entry) is { } borrowed) return $"chain {operation->Chain->Id}: {borrowed}";
        }
        return null;
    }

    // What waits for its turn names nothing that is not its chain's.
    private unsafe string? Reaches(HookLink link, Chain* chain)
    {
        for (var i = 0; i < chain->InFlight; i++)
        {
            var operation = _ring.Operations[chain->Operations[i]];
            if ((operation->Marks & OperationMarks.Held) == 0) continue;
            ref var entry = ref _ring.Operations.Extra(operation)->Overflow;
            if ((entry.Flags & SqeFlags.FixedFile) != 0 && !Owns(link, chain, entry.Fd)) return $"a {entry.Opcode} waits to work on slot {entry.Fd}, which is not the chain's";
            if (Borrows(chain, entry) is { } borrowed) return borrowed;
        }
        return null;
    }

    private static unsafe bool Owns(HookLink link, Chain* chain, int slot)
    {
        for (var i = 0; i < link.Grants.FileCount; i++) if (link.Grants.Files[i] == slot) return true;
        for (var i = 0; i < Chain.MaxOwnFiles; i++) if (chain->Files[i] == slot) return true;
        return false;
    }

    // A provided buffer that an operation works on is its chain's.
    private static unsafe string? Borrows(Chain* chain, in Sqe entry)
    {
        if ((entry.Flags & SqeFlags.BufferSelect) != 0) return null;
        switch (entry.Opcode)
        {
            case IoUringOp.Read or IoUringOp.Write or IoUringOp.Send or IoUringOp.SendZc or IoUringOp.Recv:
                return Borrows(chain, entry.Opcode, (byte*)entry.Address, entry.Length);
            case IoUringOp.StatX:
                return Borrows(chain, entry.Opcode, (byte*)entry.Offset, 1);
            case IoUringOp.ReadV or IoUringOp.WriteV:
                return Borrows(chain, entry.Opcode, (IoVector*)entry.Address, entry.Length);
            case IoUringOp.SendMsg or IoUringOp.RecvMsg:
                var header = (MessageHeader*)entry.Address;
                return Borrows(chain, entry.Opcode, header->Vectors, (uint)header->VectorCount) ?? Borrows(chain, entry.Opcode, header->Name, 1);
            default:
                return null;
        }
    }

    private static unsafe string? Borrows(Chain* chain, IoUringOp operation, IoVector* vectors, uint count)
    {
        for (uint i = 0; i < count; i++)
        {
            if (Borrows(chain, operation, (byte*)vectors[i].Address, (uint)vectors[i].Length) is { } borrowed) return borrowed;
        }
        return null;
    }

    private static unsafe string? Borrows(Chain* chain, IoUringOp operation, byte* address, uint length)
    {
        var grants = HookLink.Of(chain).Grants;
        var id = length == 0 ? -1 : grants.Provided?.IdAt(address) ?? -1;
        return id < 0 || grants.Holders[id].Chain == chain->Id ? null : $"a {operation} works on provided buffer {id}, which belongs to {grants.Holders[id].Chain}";
    }

    // What waits for others in a chain is counted, and never all there is.
    private unsafe string? Waits(Chain* chain)
    {
        var (held, waiting) = (0, 0);
        for (var i = 0; i < chain->InFlight; i++)
        {
            var marks = _ring.Operations[chain->Operations[i]]->Marks;
            if ((marks & (OperationMarks.Held | OperationMarks.Cancelling)) == OperationMarks.Held) held++;
            if ((marks & OperationMarks.Waiting) != 0) waiting++;
        }
        if (waiting != chain->Waiting) return $"{waiting} operations wait, {chain->Waiting} are counted";
        return held > 0 && held == chain->InFlight ? $"all {held} operations in flight wait for others" : null;
    }

    // Takes everything down, in either order, and looks at what is left.
    private string? End()
    {
        if (Below(2) == 0)
        {
            while (_links.Count > 0)
            {
                Detach(Below(_links.Count));
                for (var turns = Below(5); turns > 0; turns--) if (Turn() is { } problem) return problem;
            }
        }
        var gone = _ending = _ring.RequestStop();
        while (!gone.IsCompleted)
        {
            if (Turn() is { } problem) return problem;
            if (_turns > MostTurns) return "the ring does not come to its end, and is never idle";
        }
        if (gone.IsFaulted) return $"the ring failed: {gone.Exception!.InnerException}";
        foreach (var chain in _chains)
        {
            if (!chain.Task.IsCompleted) return "a chain never ended";
            var result = chain.Task.Result;
            chain.Ended = true;
            if (result.Steps > chain.Limits!.MaxSteps || result.Bytes > chain.Limits.MaxBytes) return $"chain {result.Chain} ended after {result.Steps} steps and {result.Bytes} bytes, past its limits";
            if (result.Verdict is < -4095 or > 0) return $"chain {result.Chain} ended with verdict {result.Verdict}";
            Mix((ulong)result.Result ^ (ulong)result.Steps << 32 ^ result.Bytes << 7 ^ result.Chain << 50);
        }
        foreach (var operation in _operations)
        {
            if (!operation.Task.IsCompleted) return "an operation of the host never ended";
            Mix((uint)operation.Task.Result);
        }
        foreach (var detached in _detaching)
        {
            if (!detached.IsCompleted) return "a detach or an update never ended";
            if (detached.IsFaulted && detached.Exception!.InnerException is not BpfException { Code: "UB4503" }) return $"a detach or an update failed: {detached.Exception.InnerException}";
        }
        if (_ring.OperationsInFlight != 0) return $"{_ring.OperationsInFlight} operation slots are left";
        if (_ring.Policies != 0) return $"{_ring.Policies} policies are left";
        // What hooks handed over is the host's, which closes none here.
        var handed = _ring.HostFileSlots;
        if (_ring.FreeFileSlots + handed != _options.FileSlots) return $"{_options.FileSlots - _ring.FreeFileSlots - handed} file slots are left";
        var (operations, completions, files) = _ring.Simulation.LeftBehind;
        if (operations != 0 || files != handed) return $"the machine has {operations} operations and {files} open file slots left";
        if (_ring.Simulation.LeakedDescriptors != 0) return $"{_ring.Simulation.LeakedDescriptors} descriptors are left";
        foreach (var link in _everAttached)
        {
            if (link.Grants.Holders.Any(holder => holder.Chain != 0 || holder.Uses != 0 || holder.Parting)) return "provided buffers are left with chains";
            if (link.MemoryBlocks != 0) return $"{link.MemoryBlocks} blocks of chain buffers are left";
            while (link.TryReadEmission(out var emission)) Mix((ulong)emission.File << 33 ^ emission.Value ^ emission.UserData << 40 ^ emission.Chain << 20 ^ emission.Step);
            Mix((ulong)link.EmissionsLost);
        }
        Mix((ulong)_ring.Completions);
        Mix((ulong)_ring.LateCompletions);
        return null;
    }

    private void Mix(ulong value) => _signature = (_signature ^ value) * 0x9e3779b97f4a7c15 + 1;

    private void Say(string line) => _trace?.Invoke(line);

    // SplitMix64.
    private ulong Next()
    {
        var z = _random += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }

    private int Below(int limit) => (int)(Next() % (uint)limit);

    // Half of the machines know no fault of a kind; the others up to 15 %.
    private double Rate() => Below(2) == 0 ? 0 : Below(1500) / 10_000.0;

    /// <summary>The last lines of a case's trace, for people.</summary>
    public static string Trace(ulong seed, IReadOnlyList<BpfProgram> programs, int lastLines)
    {
        var lines = new Queue<string>();
        string? end;
        try
        {
            end = Run(seed, programs, line =>
            {
                lines.Enqueue(line);
                if (lines.Count > lastLines) lines.Dequeue();
            }).Problem;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            end = error.ToString();
        }
        var text = new StringBuilder();
        foreach (var line in lines) text.AppendLine(line);
        return text.AppendLine(CultureInfo.InvariantCulture, $"seed {seed}: {end}").ToString();
    }
}
