using System.Diagnostics;

namespace UringBpf.Perf;

/// <summary>One thing to measure: runs itself so many times.</summary>
internal sealed record Candidate(string Name, Action<int> Run);

/// <summary>A candidate's time per run.</summary>
internal sealed record Timing(string Name, double MedianNs, double MinNs);

/// <summary>
/// Measures candidates in turn, round after round, so that a noisy machine disturbs all alike. Ratios of such medians are
/// what counts; minima show what the code can do.
/// </summary>
internal static class Interleaved
{
    private const double SampleMicroseconds = 200;

    public static IReadOnlyList<Timing> Measure(IReadOnlyList<Candidate> candidates, int rounds)
    {
        var runs = candidates.Select(Calibrate).ToArray();
        var samples = candidates.Select(_ => new double[rounds]).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < candidates.Count; i++)
            {
                var start = Stopwatch.GetTimestamp();
                candidates[i].Run(runs[i]);
                samples[i][round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / runs[i];
            }
        }
        return [.. candidates.Select((candidate, i) =>
        {
            Array.Sort(samples[i]);
            return new Timing(candidate.Name, samples[i][rounds / 2], samples[i][0]);
        })];
    }

    private static int Calibrate(Candidate candidate)
    {
        candidate.Run(1);
        for (var runs = 1; ; runs *= 2)
        {
            var start = Stopwatch.GetTimestamp();
            candidate.Run(runs);
            var elapsed = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            if (elapsed >= SampleMicroseconds / 2) return Math.Max(1, (int)(runs * SampleMicroseconds / elapsed));
        }
    }
}
