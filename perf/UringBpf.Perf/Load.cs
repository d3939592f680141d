using System.Diagnostics;

namespace UringBpf.Perf;

/// <summary>What some work took, for each item of it: time, and processor time of all threads of the process.</summary>
internal readonly record struct Load(double WallMicroseconds, double CpuMicroseconds)
{
    /// <summary>Runs the work and divides by its items.</summary>
    public static async Task<Load> Measure(int items, Func<Task> work)
    {
        var (cpu, clock) = (Environment.CpuUsage.TotalTime, Stopwatch.GetTimestamp());
        await work();
        var wall = Stopwatch.GetElapsedTime(clock);
        return new Load(wall.TotalMicroseconds / items, (Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / items);
    }

    /// <summary>The medians of time and of processor time.</summary>
    public static Load Median(IReadOnlyCollection<Load> loads) =>
        new(loads.Select(load => load.WallMicroseconds).Order().ElementAt(loads.Count / 2), loads.Select(load => load.CpuMicroseconds).Order().ElementAt(loads.Count / 2));
}
