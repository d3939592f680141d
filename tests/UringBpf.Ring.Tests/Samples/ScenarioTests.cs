using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>The samples' hooks side by side on one ring. The long form is the verb soak of tests/UringBpf.Fuzz.</summary>
public abstract class ScenarioTests(RingBackendKind backend) : OnBackend(backend)
{
    [Fact]
    public async Task Samples_hooks_run_side_by_side_and_some_are_cancelled()
    {
        using var folder = new TemporaryFolder();
        await using var ring = CreateRing();
        using var samples = new SampleScenarios(ring, folder.Path, Load);
        var scenarios = Backend == RingBackendKind.Simulated ? samples.OnFiles : [.. samples.OnFiles, .. samples.OnSockets];
        var random = new Random(1);
        var running = Enumerable.Range(0, 4).SelectMany(_ => scenarios).Select(async (scenario, i) =>
        {
            using var stop = new CancellationTokenSource();
            if (i % 3 == 2) stop.CancelAfter(TimeSpan.FromMilliseconds(random.Next(20)));
            return (scenario.Name, Problem: await scenario.Run(stop.Token));
        }).ToArray();
        foreach (var (name, problem) in await Task.WhenAll(running).WaitAsync(s_patience)) Assert.True(problem == null, $"{name}: {problem}");
        Assert.Equal(0, ring.OperationsInFlight);
    }
}

/// <summary>On the kernel's io_uring.</summary>
public sealed class KernelScenarioTests() : ScenarioTests(RingBackendKind.Kernel);

/// <summary>On the thread pool and ordinary system calls.</summary>
public sealed class PortableScenarioTests() : ScenarioTests(RingBackendKind.Portable);

/// <summary>On a machine in memory.</summary>
public sealed class SimulatedScenarioTests() : ScenarioTests(RingBackendKind.Simulated);
