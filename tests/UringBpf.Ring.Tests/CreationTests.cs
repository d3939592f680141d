using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>What a ring says when it can't be made, and what it is made of instead.</summary>
public sealed class CreationTests
{
    [Theory]
    [InlineData(1, "io_uring_disabled", "seccomp")]
    [InlineData(38, "without io_uring", "without io_uring")]
    [InlineData(12, "RLIMIT_MEMLOCK", "RLIMIT_MEMLOCK")]
    [InlineData(24, "RLIMIT_NOFILE", "RLIMIT_NOFILE")]
    public void A_refusal_names_its_cause(int errno, string cause, string otherCause)
    {
        var error = KernelBackend.Refused(-errno);
        Assert.Equal("UB4501", error.Code);
        Assert.True(error.Message.Contains(cause) || error.Message.Contains(otherCause), error.Message);
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { QueueEntries = 0 })).Code);
        Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(new RingOptions { MaxOperations = -1 })).Code);
        foreach (var options in (RingOptions[])[new() { HostReserve = -1 }, new() { MaxOperations = 8, HostReserve = 8 }, new() { TurnLimit = 0 }, new() { TurnLimit = 65537 }, new() { TurnBudget = 0 }])
            Assert.Equal("UB4511", Assert.Throws<BpfException>(() => Ring.Create(options)).Code);
    }

    [Fact]
    public async Task A_ring_that_can_t_be_made_leaves_no_descriptor_behind()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("counts descriptors in /proc.");
        // More than the rings of other tests, which come and go meanwhile.
        const int attempts = 150;
        var options = new RingOptions { QueueEntries = 4, CompletionEntries = 8, MaxOperations = 4, FileSlots = 4 };
        await Hooks.CreateRing(options).DisposeAsync();
        var before = Descriptors();
        for (var i = 0; i < attempts; i++)
        {
            var create = i % 2 == 0 ? (Func<RingOptions, Ring>)Ring.Create : Ring.CreateDriven;
            Assert.Equal("UB4511", Assert.Throws<BpfException>(() => create(options with { Recorder = new RecorderOptions { Events = 1 } })).Code);
            Assert.Throws<NotSupportedException>(() => create(options with { MeterFactory = new NoMeters() }));
        }
        Assert.True(Descriptors() < before + attempts, $"{before} before, {Descriptors()} after");

        static int Descriptors() => Directory.GetFiles("/proc/self/fd").Length;
    }

    private sealed class NoMeters : System.Diagnostics.Metrics.IMeterFactory
    {
        public System.Diagnostics.Metrics.Meter Create(System.Diagnostics.Metrics.MeterOptions options) => throw new NotSupportedException("for the test");

        public void Dispose()
        {
        }
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(38, true)]
    [InlineData(12, false)]
    [InlineData(24, false)]
    public void Only_a_refusal_of_io_uring_itself_leads_to_another_back_end(int errno, bool refused) =>
        Assert.Equal(refused, KernelBackend.Refused(-errno) is IoUringRefusedException);
}
