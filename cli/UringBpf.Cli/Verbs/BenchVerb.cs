using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>uringbpf bench: every engine on the same program and context, in turn, so that a noisy machine disturbs all alike.</summary>
internal static class BenchVerb
{
    private const int Rounds = 31, Compilations = 15;
    private const double SampleMicroseconds = 500;

    public static Command Create()
    {
        var file = ProgramInput.File();
        var input = new ProgramInput();
        var json = new Option<bool>("--json") { Description = "Print one JSON object for each engine." };
        var command = new Verb("bench", "Times a program on every engine, side by side.", "bench prog.bpf.o --ctx input.bin", "bench hook.bpf.o --program on_read --data block.bin --json")
        { file, json };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var bytes = input.ReadContext(parsed);
            var (programs, mapSpecs) = input.Load(parsed, path);
            var spec = input.Pick(parsed, programs, path);
            var verified = ProgramInput.Verify(spec, bytes.Length);
            using var maps = MapSet.Create(mapSpecs);
            using var progress = Progress.Show($"timing {spec.Name} on {Engines.All.Length} engines");
            var verify = MedianMicroseconds(() => ProgramInput.Verify(spec, bytes.Length));
            var subjects = Engines.All.Select(engine => new Subject(engine, verified, maps, bytes)).ToArray();
            try
            {
                for (var round = 0; round < Rounds; round++)
                {
                    foreach (var subject in subjects) subject.Sample();
                }
                progress?.Dispose();
                if (parsed.GetValue(json)) PrintJson(spec.Name, subjects, verify);
                else PrintTable(spec.Name, subjects, verify);
            }
            finally
            {
                foreach (var subject in subjects) subject.Dispose();
            }
            return ExitCode.Fine;
        });
        return command;
    }

    private static void PrintJson(string program, Subject[] subjects, double verify)
    {
        foreach (var subject in subjects)
        {
            JsonLine.Write(("program", program), ("engine", subject.Engine), ("ns_median", subject.Median), ("ns_min", subject.Minimum),
                ("verify_us", verify), ("compile_us", subject.CompileMicroseconds), ("bytes_per_run", subject.BytesPerRun));
        }
    }

    private static void PrintTable(string program, Subject[] subjects, double verify)
    {
        Console.Out.WriteLine($"{program}: verified in {Text(verify)} µs");
        Tables.Print(["engine", "ns median", "ns min", "compile µs", "bytes per run"],
            subjects.Select(subject => new[] { subject.Engine, Text(subject.Median), Text(subject.Minimum), Text(subject.CompileMicroseconds), Text(subject.BytesPerRun) }),
            right: [1, 2, 3, 4]);
    }

    private static string Text(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);

    // Warm: the first call, which also compiles the compiler, does not count.
    private static double MedianMicroseconds(Action action)
    {
        action();
        var times = new double[Compilations];
        for (var i = 0; i < times.Length; i++)
        {
            var start = Stopwatch.GetTimestamp();
            action();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
        Array.Sort(times);
        return times[times.Length / 2];
    }

    // One engine's program and its samples.
    private sealed class Subject : IDisposable
    {
        private readonly Runner _program;
        private readonly ContextMemory _context;
        private readonly long _runs;
        private readonly List<double> _samples = [];
        // The least of all samples: what else happens on the thread now and then is not the program's.
        private long _allocated = long.MaxValue;

        public Subject(string engine, VerifiedProgram verified, MapSet maps, byte[] bytes)
        {
            Engine = engine;
            CompileMicroseconds = MedianMicroseconds(() => Runner.Create(engine, verified, maps).Dispose());
            _program = Runner.Create(engine, verified, maps);
            _context = new ContextMemory(verified.Type, bytes);
            _runs = Calibrate();
        }

        public string Engine { get; }
        public double CompileMicroseconds { get; }
        public double Median => _samples.Order().ElementAt(_samples.Count / 2);
        public double Minimum => _samples.Min();
        public double BytesPerRun => (double)_allocated / _runs;

        public void Sample()
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var nanoseconds = Time(_runs);
            _allocated = Math.Min(_allocated, GC.GetAllocatedBytesForCurrentThread() - allocated);
            _samples.Add(nanoseconds / _runs);
        }

        public void Dispose()
        {
            _context.Dispose();
            _program.Dispose();
        }

        private long Calibrate()
        {
            _program.Run(_context, 1);
            for (var runs = 1L; ; runs *= 2)
            {
                var microseconds = Time(runs) / 1000;
                if (microseconds >= SampleMicroseconds / 2) return Math.Max(1, (long)(runs * SampleMicroseconds / microseconds));
            }
        }

        private double Time(long runs)
        {
            var start = Stopwatch.GetTimestamp();
            _program.Run(_context, runs);
            return Stopwatch.GetElapsedTime(start).TotalNanoseconds;
        }
    }
}
