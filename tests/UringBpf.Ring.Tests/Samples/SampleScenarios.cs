using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Ring.Tests;

/// <summary>
/// What the samples' hooks do, each as one task that attaches, runs chains, checks what came of them and detaches: for any
/// back end, and for many at once. A scenario gives null, or what is wrong; a cancelled one may end early in any way but that.
/// </summary>
public sealed class SampleScenarios : IDisposable
{
    private const int ECanceled = 125, BlockBytes = 512, Blocks = 64, GroupRecords = 8, RecordBytes = 256;
    private const ulong Failed = 1UL << 63;

    private readonly Ring _ring;
    private readonly string _folder;
    private readonly Func<string, ObjectSpec> _load;
    private readonly string[] _paths;
    private readonly byte[][] _contents;
    private readonly string _blocks;
    private readonly List<BpfProgram> _programs = [];
    private readonly BpfProgram _series, _walk, _copy, _framing, _commit, _hedge, _retry;
    private int _number;

    /// <param name="ring">Where they run.</param>
    /// <param name="folder">An empty folder for their files.</param>
    /// <param name="load">The samples' objects: file_series.bpf.o, block_walk.bpf.o, ….</param>
    public SampleScenarios(Ring ring, string folder, Func<string, ObjectSpec> load)
    {
        _ring = ring;
        _folder = folder;
        _load = load;
        var random = new Random(1);
        int[] sizes = [0, 1, 4095, 4096, 70_000, 200_001];
        _contents = [.. sizes.Select(size => { var bytes = new byte[size]; random.NextBytes(bytes); return bytes; })];
        _paths = [.. _contents.Select((content, i) => Write($"file{i}", content))];
        var blocks = new byte[Blocks * BlockBytes];
        for (var i = 0; i < Blocks; i++)
        {
            BitConverter.TryWriteBytes(blocks.AsSpan(i * BlockBytes), (ulong)((i * 7 + 3) % Blocks));
            BitConverter.TryWriteBytes(blocks.AsSpan(i * BlockBytes + 8), (ulong)i);
        }
        _blocks = Write("blocks", blocks);
        _series = Compile("file_series.bpf.o", spec => spec.WithGlobal("path_count", (uint)_paths.Length).WithGlobal("block_bytes", 4096u));
        _walk = Compile("block_walk.bpf.o");
        _copy = Compile("copy.bpf.o", spec => spec.WithGlobal("file_count", (uint)_paths.Length).WithGlobal("block_bytes", 16384u).WithGlobal("depth", 3u));
        _framing = Compile("framing.bpf.o");
        _commit = Compile("group_commit.bpf.o");
        _hedge = Compile("hedge.bpf.o");
        _retry = Compile("retry.bpf.o", spec => spec.WithGlobal("total_bytes", 70_000u).WithGlobal("injected_count", 0u).WithGlobal("first_pause_ns", 1000UL));
    }

    /// <summary>Those that need the host's files alone, and so run on a simulated machine too.</summary>
    public IReadOnlyList<(string Name, Func<CancellationToken, Task<string?>> Run)> OnFiles =>
        [("FileSeries", FileSeries), ("BlockWalk", BlockWalk), ("Copy", Copy), ("GroupCommit", GroupCommit), ("Retry", Retry), ("Recompiled", Recompiled), ("Detached", Detached)];

    /// <summary>Those that need sockets too.</summary>
    public IReadOnlyList<(string Name, Func<CancellationToken, Task<string?>> Run)> OnSockets => [("Framing", Framing), ("Hedge", Hedge)];

    public void Dispose()
    {
        foreach (var program in _programs) program.Dispose();
    }

    private async Task<string?> FileSeries(CancellationToken cancel)
    {
        await using var link = _ring.Attach(_series, new Grants { Paths = [.. _paths] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096 });
        var result = await link.StartAsync(UringOp.Nop(), cancel);
        if (result.Verdict < 0) return Broken(result, cancel);
        var emitted = Emissions(link);
        for (var i = 0; i < _paths.Length; i++)
        {
            if (emitted[2 * i].Value != Crc32C(_contents[i]) || emitted[2 * i + 1].Value != (ulong)_contents[i].Length) return $"file {i} has another checksum or length";
        }
        return null;
    }

    private async Task<string?> BlockWalk(CancellationToken cancel)
    {
        using var file = File.OpenHandle(_blocks);
        await using var link = _ring.Attach(_walk, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = BlockBytes });
        const int hops = 20;
        var chains = Enumerable.Range(0, 8).Select(start => link.StartAsync(UringOp.Read(0, 0, BlockBytes, (ulong)(start * BlockBytes)), BitConverter.GetBytes((ulong)hops), cancel).AsTask()).ToArray();
        foreach (var result in await Task.WhenAll(chains))
        {
            if (result.Verdict < 0) return Broken(result, cancel);
            if (result.Steps != hops) return $"a walk of {hops} hops took {result.Steps} steps";
        }
        return Emissions(link).Count == 8 ? null : "not every walk said what it found";
    }

    private async Task<string?> Copy(CancellationToken cancel)
    {
        var target = Directory.CreateDirectory(Path.Combine(_folder, $"copy{Interlocked.Increment(ref _number)}")).FullName;
        try
        {
            var pairs = _paths.SelectMany(path => new[] { path, Path.Combine(target, Path.GetFileName(path)) });
            await using var link = _ring.Attach(_copy, new Grants { Paths = [.. pairs], AllowWrite = true },
                new ChainLimits { OwnFiles = 2, OwnBuffers = 3, OwnBufferBytes = 16384, MaxSteps = uint.MaxValue });
            var chains = Enumerable.Range(0, 2).Select(chain => link.StartAsync(UringOp.Nop(), [.. BitConverter.GetBytes(chain), .. BitConverter.GetBytes(2)], cancel).AsTask()).ToArray();
            foreach (var result in await Task.WhenAll(chains))
            {
                if (result.Verdict < 0) return Broken(result, cancel);
            }
            foreach (var copied in Emissions(link))
            {
                if (copied.Value >= Failed || copied.Value != (ulong)_contents[copied.UserData].Length) return $"file {copied.UserData}: {copied.Value:x} bytes copied";
                // A simulated machine writes to its own disk.
                if (_ring.Features.Backend != "simulated" && !File.ReadAllBytes(Path.Combine(target, $"file{copied.UserData}")).AsSpan().SequenceEqual(_contents[copied.UserData])) return $"file {copied.UserData} differs";
            }
            return null;
        }
        finally
        {
            Directory.Delete(target, recursive: true);
        }
    }

    private async Task<string?> GroupCommit(CancellationToken cancel)
    {
        using var file = File.OpenHandle(Path.Combine(_folder, $"log{Interlocked.Increment(ref _number)}"), FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.DeleteOnClose);
        await using var link = _ring.Attach(_commit, new Grants { Files = [file], Buffers = [64 * RecordBytes], AllowWrite = true }, new ChainLimits { MaxInFlight = 64 });
        var result = await link.StartAsync(UringOp.Nop(), [.. BitConverter.GetBytes(0L), .. BitConverter.GetBytes(GroupRecords)], cancel);
        if (result.Verdict < 0) return Broken(result, cancel);
        var emitted = Emissions(link);
        return emitted.Count == GroupRecords && emitted.All(emission => emission.Value == 0) ? null : $"{emitted.Count} of {GroupRecords} records are safe";
    }

    private async Task<string?> Retry(CancellationToken cancel)
    {
        using var file = File.OpenHandle(_paths[4]);
        await using var link = _ring.Attach(_retry, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = 70_000 });
        var result = await link.StartAsync(UringOp.Nop(), cancel);
        if (result.Verdict < 0) return Broken(result, cancel);
        return Emissions(link)[0].Value == 70_000 ? null : "a part of the range is missing";
    }

    // A program of its own, gone afterwards: what is compiled is freed. Half of it in place of another, while chains run.
    private async Task<string?> Recompiled(CancellationToken cancel)
    {
        var spec = _load("block_walk.bpf.o");
        using var maps = MapSet.Create(spec.Maps);
        using var file = File.OpenHandle(_blocks);
        using var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), maps);
        await using var link = _ring.Attach(_walk, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = BlockBytes });
        var before = link.StartAsync(UringOp.Read(0, 0, BlockBytes, 0), BitConverter.GetBytes(30UL), cancel).AsTask();
        await link.UpdateAsync(program);
        var after = link.StartAsync(UringOp.Read(0, 0, BlockBytes, 0), BitConverter.GetBytes(5UL), cancel).AsTask();
        foreach (var result in await Task.WhenAll(before, after))
        {
            if (result.Verdict < 0) return Broken(result, cancel);
        }
        return null;
    }

    // Taken away under its chains: each ends, one way or the other.
    private async Task<string?> Detached(CancellationToken cancel)
    {
        using var file = File.OpenHandle(_blocks);
        var link = _ring.Attach(_walk, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = BlockBytes });
        var chains = Enumerable.Range(0, 8).Select(_ => link.StartAsync(UringOp.Read(0, 0, BlockBytes, 0), BitConverter.GetBytes(500UL), cancel).AsTask()).ToArray();
        await link.DisposeAsync();
        foreach (var result in await Task.WhenAll(chains))
        {
            if (result.Verdict is not Verdict.Pass and not -ECanceled) return $"a chain that was detached ended with errno {-result.Verdict}";
        }
        return null;
    }

    private async Task<string?> Framing(CancellationToken cancel)
    {
        var (near, far) = Pair();
        using (near)
        using (far)
        {
            await using var link = _ring.Attach(_framing,
                new Grants { Files = [new SafeFileHandle(near.Handle, ownsHandle: false)], Operations = [IoUringOp.Nop, IoUringOp.Recv] },
                new ChainLimits { OwnBuffers = 1, OwnBufferBytes = 4096, MaxSteps = uint.MaxValue });
            var chain = link.StartAsync(UringOp.Nop(), cancel).AsTask();
            for (var message = 0; message < 10; message++)
            {
                var bytes = new byte[4 + 300];
                BitConverter.TryWriteBytes(bytes, 300);
                // In two pieces, as a network would cut it.
                far.Send(bytes.AsSpan(0, 2));
                far.Send(bytes.AsSpan(2));
            }
            far.Shutdown(SocketShutdown.Send);
            var result = await chain;
            // A ring buffer has one consumer at a time.
            lock (_framing) ((RingBufferMap)_framing.Maps["messages"]).Consume(_ => { });
            return result.Verdict < 0 ? Broken(result, cancel) : null;
        }
    }

    private async Task<string?> Hedge(CancellationToken cancel)
    {
        var (first, firstReplica) = Pair();
        var (second, secondReplica) = Pair();
        using (first)
        using (second)
        using (firstReplica)
        using (secondReplica)
        {
            await using var link = _ring.Attach(_hedge,
                new Grants
                {
                    Files = [new SafeFileHandle(first.Handle, ownsHandle: false), new SafeFileHandle(second.Handle, ownsHandle: false)],
                    Operations = [IoUringOp.Nop, IoUringOp.Send, IoUringOp.Recv],
                },
                new ChainLimits { OwnBuffers = 2, OwnBufferBytes = 8 });
            var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(21UL), cancel).AsTask();
            // The second never answers.
            var question = new byte[8];
            var asked = firstReplica.ReceiveAsync(question);
            // A chain that is cancelled early asks nobody.
            await Task.WhenAny(asked, chain);
            if (asked.IsCompletedSuccessfully && asked.Result == question.Length) await firstReplica.SendAsync(BitConverter.GetBytes(BitConverter.ToUInt64(question) * 2));
            var result = await chain;
            if (result.Verdict < 0) return Broken(result, cancel);
            var answer = Emissions(link)[0];
            return (answer.UserData, answer.Value) == (0, 42) ? null : $"replica {answer.UserData} answered {answer.Value}";
        }
    }

    private static string? Broken(in ChainResult result, CancellationToken cancel) =>
        cancel.IsCancellationRequested && result.Verdict == -ECanceled ? null : $"the chain ended with errno {-result.Verdict} after {result.Steps} steps";

    private static List<Emission> Emissions(HookLink link)
    {
        var found = new List<Emission>();
        while (link.TryReadEmission(out var emission)) found.Add(emission);
        return found;
    }

    private static (Socket, Socket) Pair()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        near.Connect(listener.LocalEndPoint!);
        return (near, listener.Accept());
    }

    private BpfProgram Compile(string name, Func<ObjectSpec, ObjectSpec>? settings = null)
    {
        var spec = _load(name);
        if (settings != null) spec = settings(spec);
        var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Programs[0]), MapSet.Create(spec.Maps));
        _programs.Add(program);
        return program;
    }

    private string Write(string name, byte[] content)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    // Bit by bit: independent of the one the hooks call.
    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var octet in bytes)
        {
            crc ^= octet;
            for (var bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78 & (0 - (crc & 1)));
        }
        return ~crc;
    }
}
