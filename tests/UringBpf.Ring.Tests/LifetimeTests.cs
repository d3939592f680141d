using UringBpf.Bytecode;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Misuse, races at the end of things, and results that claim more than they moved.</summary>
public abstract class LifetimeTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EBadF = 9, EBusy = 16, EDQuot = 122, ECanceled = 125;

    [Fact]
    public async Task A_detached_hook_can_be_neither_updated_nor_started()
    {
        await using var ring = CreateRing();
        var link = ring.Attach(Compile("stop"), new Grants { Buffers = [64] });
        await link.DisposeAsync();
        var error = await Assert.ThrowsAsync<BpfException>(() => link.UpdateAsync(Compile("stop")).AsTask().WaitAsync(s_patience));
        Assert.Equal("UB4503", error.Code);
        Assert.Equal(-ECanceled, (await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience)).Verdict);
        // The ring outlives the misuse.
        Assert.Equal(7, await ring.NopAsync(7).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task Updating_to_a_program_that_was_disposed_is_refused_and_the_ring_goes_on()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("stop"), new Grants());
        var disposed = Compile("stop");
        disposed.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => link.UpdateAsync(disposed).AsTask().WaitAsync(s_patience));
        Assert.Throws<ObjectDisposedException>(() => ring.Attach(disposed, new Grants()));
        Assert.Equal(5, (await link.StartAsync(UringOp.Nop(5, 0)).AsTask().WaitAsync(s_patience)).Result);
    }

    [Fact]
    public async Task A_closed_file_is_refused_and_the_ring_goes_on()
    {
        using var folder = new TemporaryFolder();
        var open = File.OpenHandle(folder.File("open", [1]));
        var closed = File.OpenHandle(folder.File("closed", [1]));
        closed.Dispose();
        await using var ring = CreateRing(new RingOptions { FileSlots = 2 });
        Assert.Throws<ObjectDisposedException>(() => ring.Attach(Compile("stop"), new Grants { Files = [open, closed] }));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await ring.ReadAsync(closed, new byte[1], 0));
        // Nothing of the refused grant is left in the table of two slots.
        await using (ring.Attach(Compile("stop"), new Grants { Files = [open, open] })) { }
        Assert.Equal("UB4513", Assert.Throws<BpfException>(() => ring.Attach(Compile("stop"), new Grants { Files = [open, open, open] })).Code);
        await using (ring.Attach(Compile("stop"), new Grants { Files = [open, open] })) { }
        open.Dispose();
    }

    [Fact]
    public async Task Detaching_from_many_threads_completes_for_each()
    {
        await using var ring = CreateRing();
        for (var round = 0; round < 50; round++)
        {
            var link = ring.Attach(Compile("hang"), new Grants());
            var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(2UL)).AsTask();
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => link.DisposeAsync().AsTask()))).WaitAsync(s_patience);
            Assert.Equal(-ECanceled, (await chain.WaitAsync(s_patience)).Verdict);
        }
    }

    [Fact]
    public async Task Operations_posted_while_the_ring_goes_down_all_complete()
    {
        for (var round = 0; round < 30; round++)
        {
            var ring = CreateRing(new RingOptions { QueueEntries = 8, MaxOperations = 16 });
            var posting = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    var result = await ring.NopAsync(3);
                    if (result == -ECanceled) return;
                    Assert.Equal(3, result);
                }
            })).ToArray();
            await ring.DisposeAsync().AsTask().WaitAsync(s_patience);
            await Task.WhenAll(posting).WaitAsync(s_patience);
        }
    }

    [Fact]
    public async Task Any_number_of_rings_run_hooks_one_after_another_and_at_once()
    {
        var small = new RingOptions { QueueEntries = 4, CompletionEntries = 8, MaxOperations = 4, FileSlots = 4 };
        for (var round = 0; round < 200; round++)
        {
            await using var ring = CreateRing(small);
            await using var link = ring.Attach(Compile("ten_reads"), new Grants());
            await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
            Assert.Equal(1, ring.HookRuns);
        }

        // More at once than there are execution slots: a ring whose hook is not running lends its slot.
        var rings = new List<Ring>();
        try
        {
            while (rings.Count < 2 * UringBpf.Runtime.ExecutionSlot.Count) rings.Add(CreateRing(small));
            for (var round = 0; round < 2; round++)
            {
                foreach (var ring in rings)
                {
                    await using var link = ring.Attach(Compile("ten_reads"), new Grants());
                    await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
                    Assert.Equal(round + 1, ring.HookRuns);
                }
            }
        }
        finally
        {
            foreach (var ring in rings) await ring.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(640UL, 10)]
    [InlineData(639UL, 9)]
    public async Task Bytes_asked_for_count_while_they_are_in_flight(ulong limit, int accepted)
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[64]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("ten_reads"), new Grants { Files = [file], Buffers = [64] }, new ChainLimits { MaxBytes = limit });
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        var emission = Assert.Single(Emissions(link));
        Assert.Equal(((ulong)accepted, accepted == 10 ? 0 : -EDQuot), (emission.UserData, (int)emission.Value));
    }

    [Fact]
    public async Task Short_transfers_give_their_reservation_back()
    {
        using var folder = new TemporaryFolder();
        using var file = File.OpenHandle(folder.File("data", new byte[10]));
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("read_again"), new Grants { Files = [file], Buffers = [64] }, new ChainLimits { MaxBytes = 100 });
        // Reads of 64 that give 10: four leave 60 of the 100, a fifth asks for more than is left.
        var result = await link.StartAsync(UringOp.Read(0, 0, 64, 0)).AsTask().WaitAsync(s_patience);
        Assert.Equal((-EDQuot, 40UL, 4u), (result.Verdict, result.Bytes, result.Steps));
    }

    [Fact]
    public async Task A_file_slot_serves_one_open_or_close_at_a_time()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("open_twice"), new Grants { Paths = [folder.File("data", [1])] }, new ChainLimits { OwnFiles = 1 });
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal([-EBusy, -EBusy, -EBadF], Emissions(link).Select(emission => (int)emission.Value));
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelLifetimeTests() : LifetimeTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableLifetimeTests() : LifetimeTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedLifetimeTests() : LifetimeTests(RingBackendKind.Simulated);
