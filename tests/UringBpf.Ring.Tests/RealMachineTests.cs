using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>
/// What the back ends that work on the real machine have in common: the host's own sockets, and no managed allocation.
/// (A simulation has no place for a real socket, and keeps its files in managed memory.)
/// </summary>
public abstract class RealMachineTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EInval = 22;

    [Fact]
    public async Task A_datagram_longer_than_the_buffer_never_shows_bytes_past_it()
    {
        using var receiver = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var file = new SafeFileHandle(receiver.Handle, ownsHandle: false);
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("extent"),
            new Grants { Files = [file], Buffers = [64], Operations = [IoUringOp.Nop, IoUringOp.Recv] });
        const uint truncate = 0x20, peek = 0x02;
        var receive = UringOp.Read(0, 0, 16, 0) with { Opcode = IoUringOp.Recv, OpFlags = truncate | peek };
        // MSG_TRUNC gives the datagram's length, not the buffer's: such flags are not a hook's to give.
        Assert.Equal(-EInval, (await link.StartAsync(receive).AsTask().WaitAsync(s_patience)).Verdict);
        sender.SendTo(new byte[100], receiver.LocalEndPoint!);
        await link.StartAsync(receive with { OpFlags = 0 }).AsTask().WaitAsync(s_patience);
        Assert.Equal(16UL, Assert.Single(Emissions(link)).Value);
    }

    [Fact]
    public async Task Completions_allocate_nothing_on_the_rings_thread()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[1 << 16]));
        await using var ring = CreateRing();
        await using var nops = ring.Attach(Compile("rearm"), new Grants());
        var series = Load("file_series.bpf.o").WithGlobal("path_count", 20u).WithGlobal("block_bytes", 4096u);
        await using var reads = ring.Attach(Compile(series, "file_series"),
            new Grants { Paths = [.. Enumerable.Repeat(Path.Combine(folder.Path, "data"), 20)] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096 });
        // What is linked, what is a program, what repeats, what is sent to others, each judged by a policy.
        await using var orders = ring.Attach(Compile(Load("order.bpf.o"), "links"), new Grants());
        await using var named = ring.Attach(Compile(Load("order.bpf.o"), "run_named"), new Grants { Programs = [Compile(Load("order.bpf.o"), "other")] }, emissionCapacity: 1);
        await using var timers = ring.Attach(Compile(Load("reach.bpf.o"), "repeat"), new Grants(), emissionCapacity: 1);
        await using var relays = ring.Attach(Compile(Load("reach.bpf.o"), "relay"), new Grants(), emissionCapacity: 1);
        var policies = Load("policies.bpf.o");
        await using var policy = ring.AttachPolicy(Compile(policies, "allow"));
        byte[] Scratch(params ulong[] values) => [.. values.SelectMany(BitConverter.GetBytes)];
        var (linked, program, repeated, relayed) = (Scratch(0, 0, 2), Scratch(1, 0), Scratch(5, 1_000_000, 100), Scratch(500));
        var scratch = BitConverter.GetBytes(20_000UL);
        var buffer = new byte[4096];
        var bytes = await SteadyState.BytesOnOwner(ring, async () =>
        {
            await nops.StartAsync(UringOp.Nop(), scratch);
            await reads.StartAsync(UringOp.Nop());
            for (var i = 0; i < 200; i++) await ring.ReadAsync(file, buffer, 0);
            for (var i = 0; i < 100; i++) await orders.StartAsync(UringOp.Nop(), linked);
            for (var i = 0; i < 100; i++) await named.StartAsync(UringOp.Nop(), program);
            await timers.StartAsync(UringOp.Nop(), repeated);
            await relays.StartAsync(UringOp.Nop(), relayed);
        });
        Assert.True(ring.Completions > 4 * 20_000);
        // The two closures that measured are commands of their own: what is left is nothing per completion.
        Assert.True(bytes < 1024, $"{bytes} bytes in each of four rounds of {ring.Completions / 4} completions");
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelRealMachineTests() : RealMachineTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableRealMachineTests() : RealMachineTests(RingBackendKind.Portable);
