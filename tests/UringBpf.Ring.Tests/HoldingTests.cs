using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What operations in flight, and those that wait for their turn, work on stays theirs; what they take is seen by policies.</summary>
public abstract class HoldingTests(RingBackendKind backend) : OnConnections(backend)
{
    private const int EAgain = 11, EAccess = 13, EBusy = 16, ENoBufs = 105, ECanceled = 125;

    private static readonly ObjectSpec s_holding = Load("holding.bpf.o");

    [Fact]
    public async Task A_slot_that_an_operation_waits_to_work_on_is_not_handed_over()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing(new RingOptions { FileSlots = 4 });
        var (near, far) = await Pair(ring, folder);
        IoUringOp[] operations = [.. new Grants().Operations, IoUringOp.PollAdd];
        await using (var link = ring.Attach(Compile(s_holding, "give_awaited"), new Grants { Files = [near], Paths = [folder.File("data", [42])], Buffers = [16], Operations = [.. operations] }, new ChainLimits { OwnFiles = 1 }))
        {
            var chain = Start(link);
            // Else the host could close the slot, another chain could open a file into it, and that would be read.
            Assert.Equal((8UL, -EBusy), await Next(link));
            await Done(ring.SendAsync(far, new byte[1]), 1);
            Assert.Equal(Verdict.Pass, (await chain).Verdict);
            Assert.Equal((2UL, 42L), await Next(link));
            Assert.True(link.TryReadEmission(out var given));
            Assert.True(given.File >= 0);
            Assert.Equal((8UL, 0L), await Next(link));
            Assert.Equal(0, await ring.CloseDirectAsync(given.File).AsTask().WaitAsync(s_patience));
        }
        Assert.Equal((4, 0), (ring.FreeFileSlots, ring.HostFileSlots));
        await Close(ring, near, far);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_provided_buffer_stays_the_chain_s_while_an_operation_works_on_it(int pieces)
    {
        using var folder = new TemporaryFolder();
        using var second = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        var (other, trigger) = await Pair(ring, second);
        IoUringOp[] operations = [IoUringOp.Nop, IoUringOp.Recv, IoUringOp.Send, IoUringOp.SendMsg, IoUringOp.PollAdd];
        await using (var link = ring.Attach(Compile(s_holding, "lend"), new Grants { Files = [near, other], ProvidedBuffers = 1, ProvidedBufferBytes = 16, Operations = [.. operations] }))
        {
            var chain = Start(link, 0, (ulong)pieces);
            await Done(ring.SendAsync(far, new byte[] { 7 }), 1);
            Assert.Equal((1UL, 7L), await Next(link));
            // The only buffer is to be sent yet: what comes next finds none, and does not overwrite it.
            await Done(ring.SendAsync(far, new byte[] { 8 }), 1);
            Assert.Equal((1UL, -ENoBufs), await Next(link));
            await Done(ring.SendAsync(trigger, new byte[1]), 1);
            Assert.Equal((3UL, 1L), await Next(link));
            var sent = new byte[16];
            await Done(ring.ReceiveAsync(far, sent), 1);
            Assert.Equal(7, sent[0]);
            // Now it has gone back.
            Assert.Equal((1UL, 8L), await Next(link));
            Assert.Equal(Verdict.Pass, (await chain).Verdict);
            Assert.All(link.Grants.Holders, holder => Assert.Equal((0UL, 0, false), (holder.Chain, holder.Uses, holder.Parting)));

            // Detached while it waits, all goes back as well.
            chain = Start(link, 0, (ulong)pieces);
            await Done(ring.SendAsync(far, new byte[] { 9 }), 1);
            Assert.Equal((1UL, 9L), await Next(link));
            await link.DisposeAsync().AsTask().WaitAsync(s_patience);
            Assert.Equal(-ECanceled, (await chain).Verdict);
            Assert.All(link.Grants.Holders, holder => Assert.Equal((0UL, 0, false), (holder.Chain, holder.Uses, holder.Parting)));
        }
        await Close(ring, near, far, other, trigger);
    }

    [Fact]
    public async Task Policies_see_each_buffer_that_a_message_is_received_into()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        var (near, far) = await Pair(ring, folder);
        await using (var link = ring.Attach(Compile(s_holding, "hear_into"), new Grants { Files = [near], Buffers = [16, 16], Operations = [IoUringOp.Nop, IoUringOp.RecvMsg] }))
        {
            Assert.Equal(-EAgain, (await Start(link)).Result);
            Assert.Equal((0UL, 0L), Said(link)[0]);
            // The sender's address would be put there.
            using var policy = NotBuffer(1);
            await using var attached = link.AttachPolicy(policy);
            await Start(link);
            Assert.Equal((0UL, -EAccess), Said(link)[0]);
        }
        await Close(ring, near, far);
    }

    // A policy that refuses receiving messages into a buffer.
    private static BpfProgram NotBuffer(int buffer)
    {
        var spec = new ProgramSpec
        {
            Name = "not_buffer",
            Type = ProgramTypes.Submission,
            Instructions = [.. Assembler.Assemble($"""
                r2 = *(u32 *)(r1 + 0)
                r3 = *(u32 *)(r1 + 40)
                r0 = 0
                if r2 != {(int)IoUringOp.RecvMsg} goto +2
                if r3 != {buffer} goto +1
                r0 = -{EAccess}
                exit
                """)],
        };
        return ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), MapSet.Empty);
    }

    [Fact]
    public async Task A_failed_zero_copy_send_breaks_its_link()
    {
        const int internet = 2, stream = 1;
        await using var ring = CreateRing();
        // Not connected: the kernel says so first, and in its last completion only that the memory is free.
        var socket = new Microsoft.Win32.SafeHandles.SafeFileHandle(await Done(ring.SocketAsync(internet, stream)), ownsHandle: false);
        await using (var link = ring.Attach(Compile(s_holding, "linked_zero_copy"), new Grants { Files = [socket], Buffers = [16], Operations = [IoUringOp.Nop, IoUringOp.SendZc] }))
        {
            await Start(link);
            var said = Said(link);
            Assert.True(said[0].Item2 < 0, $"{said[0]}");
            Assert.Contains((2UL, (long)-ECanceled), said);
        }
        await Close(ring, socket);
    }

    [Fact]
    public async Task A_hook_s_files_have_permissions_and_no_more()
    {
        const uint writeOnlyCreate = 1 | 0x40, setBoth = 0xC00, owner = 0x1C0;
        // The simulated machine knows no permissions.
        if (Backend == RingBackendKind.Simulated || OperatingSystem.IsWindows()) return;
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "new");
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("stop"), new Grants { Paths = [path], AllowWrite = true }, new ChainLimits { OwnFiles = 1 });
        Assert.Equal(0, (await link.StartAsync(UringOp.OpenAt(UringOp.NoDirectory, 0, 0, writeOnlyCreate, setBoth | owner)).AsTask().WaitAsync(s_patience)).Result);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelHoldingTests() : HoldingTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableHoldingTests() : HoldingTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
public sealed class SimulatedHoldingTests() : HoldingTests(RingBackendKind.Simulated);
