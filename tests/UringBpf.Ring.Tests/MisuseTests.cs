using System.IO.Pipes;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>What a host does wrong is its to hear of, and harms nothing else; a ring that fails answers all who wait, and frees nothing under what is in flight.</summary>
public abstract class MisuseTests(RingBackendKind backend) : OnBackend(backend)
{
    private const int EBadF = 9, ECanceled = 125;

    private sealed class Mishap : Exception;

    // What a test's functions below do; so the classes run one after the other.
    private static Func<long>? s_called;

    /// <summary>What programs of these tests call.</summary>
    public static class Calls
    {
        /// <summary>Whatever the test asks for.</summary>
        [BpfHelper(0x10000)]
        public static long anything() => s_called!();
    }

    // A program that calls it and returns the constant.
    private static BpfProgram Calling(ProgramType type, int result = 0)
    {
        var registry = FunctionRegistry.BuiltIn.With(typeof(Calls));
        var spec = new ProgramSpec { Name = "calls", Type = type, Instructions = [.. Assembler.Assemble($"call 0x10000\nr0 = {result}\nexit")], Functions = registry.Prototypes };
        return ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec), MapSet.Empty, CompilerOptions.Default with { Functions = registry });
    }

    private static async Task<T> Fails<T>(Func<Task> code) where T : Exception => await Assert.ThrowsAsync<T>(() => code().WaitAsync(s_patience));

    [Fact]
    public async Task Closing_what_is_no_slot_closes_nothing()
    {
        await using var ring = CreateRing();
        // An errno in place of a slot. In an entry, -1 is no slot but the descriptor 0.
        foreach (var slot in (int[])[-1, -23, int.MinValue, 5, int.MaxValue]) Assert.Equal(-EBadF, await ring.CloseDirectAsync(slot).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_missing_handle_is_no_descriptor()
    {
        await using var ring = CreateRing();
        SafeFileHandle missing = null!;
        await Fails<ArgumentNullException>(async () => await ring.ReadAsync(missing, new byte[1], 0));
        await Fails<ArgumentNullException>(async () => await ring.WriteAsync(missing, new byte[1], 0));
        await Fails<ArgumentNullException>(async () => await ring.ReadVAsync(missing, new byte[1], new byte[1], 0));
        await Fails<ArgumentNullException>(async () => await ring.FSyncAsync(missing));
        await Fails<ArgumentNullException>(async () => await ring.PollAsync(missing, 1));
        await Fails<ArgumentNullException>(async () => await ring.CancelFileAsync(missing));
        await Fails<ArgumentNullException>(async () => await ring.SendMessageAsync(missing, new byte[1], new byte[1]));
        await Fails<ArgumentNullException>(async () => await ring.SpliceAsync(missing, -1, missing, -1, 1));
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        await Fails<ArgumentNullException>(async () => await ring.SpliceAsync(missing, -1, pipe.SafePipeHandle, -1, 1));
        await Fails<ArgumentNullException>(async () => await ring.TeeAsync(missing, pipe.SafePipeHandle, 1));
        Assert.Throws<ArgumentNullException>(() => ring.AcceptMultishot(missing));
        Assert.Equal(3, await ring.NopAsync(3).AsTask().WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_result_that_is_asked_for_too_early_or_twice_leaves_others_alone()
    {
        await using var ring = CreateRing();
        await using var link = ring.Attach(Compile("hang"), new Grants());
        using var stop = new CancellationTokenSource();
        // Too early.
        var timer = ring.TimeoutAsync(TimeSpan.FromHours(1), stop.Token);
        var chain = link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL), stop.Token);
        Assert.Throws<InvalidOperationException>(() => { timer.GetAwaiter().GetResult(); });
        Assert.Throws<InvalidOperationException>(() => { chain.GetAwaiter().GetResult(); });
        // Those are still theirs: what is started now is another's.
        var (nop, other) = (ring.NopAsync(5).AsTask(), link.StartAsync(UringOp.Nop(), BitConverter.GetBytes(1UL), stop.Token).AsTask());
        Assert.Equal(5, await nop.WaitAsync(s_patience));
        stop.Cancel();
        Assert.Equal(-ECanceled, await timer.AsTask().WaitAsync(s_patience));
        Assert.Equal(-ECanceled, (await chain.AsTask().WaitAsync(s_patience)).Verdict);
        Assert.Equal(-ECanceled, (await other.WaitAsync(s_patience)).Verdict);
        // Twice: by then it is another's.
        var again = ring.NopAsync(7);
        Assert.Equal(7, await again);
        using var end = new CancellationTokenSource();
        var waits = ring.TimeoutAsync(TimeSpan.FromHours(1), end.Token).AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await again);
        Assert.Equal(8, await ring.NopAsync(8).AsTask().WaitAsync(s_patience));
        end.Cancel();
        Assert.Equal(-ECanceled, await waits.WaitAsync(s_patience));
    }

    [Fact]
    public async Task Who_waits_for_an_operation_whose_policy_failed_hears_of_it()
    {
        foreach (var batched in (int[])[0, 1, 2])
        {
            var ring = CreateRing();
            using var program = Calling(ProgramTypes.Submission);
            s_called = () => 0;
            ring.AttachPolicy(program, [IoUringOp.Nop]);
            Assert.Equal(0, await ring.NopAsync().AsTask().WaitAsync(s_patience));
            s_called = () => throw new Mishap();
            var waiting = new List<Task>();
            Task? refused = null;
            if (batched > 0)
            {
                var batch = ring.Batch();
                for (var i = 0; i < 3; i++) waiting.Add(batch.Add(Prepare.Nop()).AsTask());
                waiting.Add(batch.Add(Prepare.FSync(-1)).AsTask());
                // What would start later is as if it had not been asked for.
                if (batched == 2) refused = batch.Add(Prepare.Nop().With(SqeFlags.Drain)).AsTask();
                batch.Submit();
            }
            else
            {
                waiting.Add(ring.NopAsync().AsTask());
            }
            foreach (var one in waiting) await Fails<Mishap>(() => one);
            if (refused != null) await refused.WaitAsync(s_patience);
            await Fails<Mishap>(() => ring.DisposeAsync().AsTask());
        }
    }

    [Fact]
    public async Task Who_waits_for_a_chain_whose_policy_or_hook_failed_hears_of_it()
    {
        foreach (var policy in (bool[])[false, true])
        {
            var ring = CreateRing();
            using var program = Calling(policy ? ProgramTypes.Submission : ProgramTypes.Completion);
            s_called = () => throw new Mishap();
            var link = ring.Attach(policy ? Compile("stop") : program, new Grants());
            if (policy) link.AttachPolicy(program);
            await Fails<Mishap>(() => link.StartAsync(UringOp.Nop()).AsTask());
            await Fails<Mishap>(() => ring.DisposeAsync().AsTask());
            await link.DisposeAsync().AsTask().WaitAsync(s_patience);
        }
    }

    [Fact]
    public async Task What_a_program_calls_does_not_wait_for_its_own_ring()
    {
        await using var ring = CreateRing();
        using var program = Calling(ProgramTypes.Completion);
        using var policy = Calling(ProgramTypes.Submission);
        await using var link = ring.Attach(program, new Grants());
        var codes = new List<string>();
        s_called = () =>
        {
            codes.Add(Assert.Throws<BpfException>(() => ring.Attach(program, new Grants())).Code);
            codes.Add(Assert.Throws<BpfException>(() => ring.AttachPolicy(policy)).Code);
            codes.Add(Assert.Throws<BpfException>(() => ring.CreatePolicy(policy)).Code);
            return 0;
        };
        await link.StartAsync(UringOp.Nop()).AsTask().WaitAsync(s_patience);
        Assert.Equal(["UB4007", "UB4007", "UB4007"], codes);
    }

    [Fact]
    public async Task Arguments_that_are_refused_leave_nothing_pinned()
    {
        await using var ring = CreateRing();
        var memory = new CountingMemory();
        using var handle = new SafeFileHandle(0, ownsHandle: false);
        await Assert.ThrowsAnyAsync<Exception>(async () => await ring.SendToAsync(handle, memory.Memory, new System.Net.DnsEndPoint("example.org", 1)));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.StatXAsync(null!, memory.Memory));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.GetXAttrAsync(null!, "user.a", memory.Memory));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.SetXAttrAsync("/", null!, memory.Memory));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.FGetXAttrAsync(handle, null!, memory.Memory));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.FSetXAttrAsync(handle, null!, memory.Memory));
        Assert.Equal(0, memory.Pins);
        // A second name that is missing is no name of whatever lies behind the first.
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await ring.RenameAsync("/nowhere", null!));
    }

    private sealed class CountingMemory : System.Buffers.MemoryManager<byte>
    {
        private readonly byte[] _bytes = GC.AllocateArray<byte>(256, pinned: true);

        public int Pins { get; private set; }

        public override Span<byte> GetSpan() => _bytes;

        public override unsafe System.Buffers.MemoryHandle Pin(int elementIndex = 0)
        {
            Pins++;
            return new System.Buffers.MemoryHandle(System.Runtime.CompilerServices.Unsafe.AsPointer(ref _bytes[elementIndex]), default, this);
        }

        public override void Unpin() => Pins--;

        protected override void Dispose(bool disposing)
        {
        }
    }

    [Fact]
    public async Task A_logger_that_throws_does_not_hide_why_the_ring_failed()
    {
        var ring = CreateRing(new RingOptions { Logger = new ThrowingLogger() });
        ring.Post(new DelegateCommand(_ => throw new InvalidOperationException("for the test"), null));
        Assert.Equal("for the test", (await Assert.ThrowsAsync<InvalidOperationException>(() => ring.DisposeAsync().AsTask().WaitAsync(s_patience))).Message);
    }

    private sealed class ThrowingLogger : Microsoft.Extensions.Logging.ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(Microsoft.Extensions.Logging.LogLevel logLevel) => true;

        public void Log<TState>(Microsoft.Extensions.Logging.LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new NotSupportedException("a logger that throws");
    }
}

/// <summary>On the kernel's io_uring.</summary>
[Collection("misuse")]
public sealed class KernelMisuseTests() : MisuseTests(RingBackendKind.Kernel)
{
    [Fact]
    public async Task Buffers_stay_while_an_operation_of_the_host_uses_them()
    {
        await using var ring = CreateRing();
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var reader = pipe.ClientSafePipeHandle;
        var provided = await ring.CreateBufferRingAsync(4, 16);
        var reading = ring.ReadMultishot(reader, provided);
        Assert.Equal("UB4515", (await Assert.ThrowsAsync<BpfException>(async () => await provided.DisposeAsync())).Code);
        pipe.Write([7]);
        var shot = (await reading.NextAsync().AsTask().WaitAsync(s_patience))!.Value;
        Assert.Equal([7], provided.Take(shot).ToArray());
        provided.Return(shot.BufferId);
        await reading.DisposeAsync().AsTask().WaitAsync(s_patience);
        await provided.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => provided.Take(shot).Length);

        var registered = await ring.RegisterBuffersAsync(1, 64);
        var read = registered.ReadAsync(reader, 0, 0, 1, -1).AsTask();
        Assert.Equal("UB4515", (await Assert.ThrowsAsync<BpfException>(async () => await registered.DisposeAsync())).Code);
        pipe.Write([8]);
        Assert.Equal(1, await read.WaitAsync(s_patience));
        Assert.Equal(8, registered[0][0]);
        await registered.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => registered[0].Length);
    }

    [Fact]
    public async Task What_is_shown_of_a_buffer_ends_with_it()
    {
        await using var ring = CreateRing();
        BufferRing? buffers = null;
        try
        {
            buffers = await ring.CreateBufferRingAsync(2, 16, incremental: true);
        }
        catch (BpfException old) when (old.Code == "UB4515")
        {
            Assert.Skip(old.Reason);
        }
        // The same completion again and again, or one that there never was: the last buffer's memory has an end.
        var shot = new Shot(10, CqeFlags.Buffer | CqeFlags.BufferMore | (CqeFlags)(1 << 16));
        Assert.Equal([10, 6, 0, 0], Enumerable.Range(0, 4).Select(_ => buffers!.Take(shot).Length));
        await buffers!.DisposeAsync();
    }

    [Fact]
    public async Task A_ring_that_failed_frees_no_buffers_under_what_it_left_behind()
    {
        var ring = CreateRing();
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var provided = await ring.CreateBufferRingAsync(4, 16);
        var registered = await ring.RegisterBuffersAsync(1, 64);
        var reads = ring.ReadMultishot(pipe.ClientSafePipeHandle, provided);
        var next = reads.NextAsync().AsTask();
        ring.Post(new DelegateCommand(_ => throw new InvalidOperationException("for the test"), null));
        await Assert.ThrowsAsync<InvalidOperationException>(() => ring.DisposeAsync().AsTask().WaitAsync(s_patience));
        // Who waits for a completion hears of it.
        await Assert.ThrowsAsync<InvalidOperationException>(() => next.WaitAsync(s_patience));
        await Assert.ThrowsAsync<InvalidOperationException>(() => reads.NextAsync().AsTask().WaitAsync(s_patience));
        await provided.DisposeAsync();
        await registered.DisposeAsync();
        // Both are still the process's: the kernel may be about to write there.
        Assert.Equal((false, false), (provided.Freed, registered.Freed));
    }

    [Fact]
    public void A_driven_ring_that_is_gone_keeps_no_file_open_though_its_thread_goes_on()
    {
        var ring = CreateRing(null, Ring.CreateDriven);
        using var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        // Its file table has the other end of the pipe: an open that nobody closes.
        var slot = -1;
        async ValueTask Open() => slot = await ring.OpenDirectAsync($"/proc/self/fd/{pipe.ClientSafePipeHandle.DangerousGetHandle()}", 1);
        var opening = Open();
        while (!opening.IsCompleted) ring.RunOnce(TimeSpan.FromSeconds(1));
        Assert.True(slot >= 0, $"{slot}");
        pipe.DisposeLocalCopyOfClientHandle();
        Assert.True(ring.DisposeAsync().IsCompletedSuccessfully);
        // The end of the pipe, once the kernel has taken the ring down.
        var end = 0;
        var reading = new Thread(() => end = pipe.ReadByte()) { IsBackground = true };
        reading.Start();
        Assert.True(reading.Join(s_patience), "the pipe is still open");
        Assert.Equal(-1, end);
    }
}

/// <summary>On the thread pool and ordinary system calls.</summary>
[Collection("misuse")]
public sealed class PortableMisuseTests() : MisuseTests(RingBackendKind.Portable);

/// <summary>On the simulated machine.</summary>
[Collection("misuse")]
public sealed class SimulatedMisuseTests() : MisuseTests(RingBackendKind.Simulated)
{
    [Fact]
    public void What_is_called_at_the_very_end_may_throw_and_nothing_is_freed_twice()
    {
        var ring = CreateRing(null, Ring.CreateDriven);
        var gone = ring.RequestStop();
        // Refused, as the ring stops: told when the ring is down.
        ring.NopAsync().GetAwaiter().UnsafeOnCompleted(() => throw new NotSupportedException());
        Assert.Throws<NotSupportedException>(() => ring.RunOnce(TimeSpan.Zero));
        Assert.True(gone.IsCompletedSuccessfully);
        Assert.False(ring.RunOnce(TimeSpan.Zero));
    }
}
