// Measures open, read and close where they complete: the hook counts each latency in a per-CPU map, this program adds the
// CPUs up and draws the chart. No completion wakes it but the last of each chain.
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Samples;

const int buckets = 32, blockBytes = 4096;
string[] operations = ["open", "read", "close"];

var rounds = 1000;
var depth = 4;
string? path = null;
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--rounds" when i + 1 < args.Length && int.TryParse(args[i + 1], out rounds) && rounds > 0: i++; break;
        case "--depth" when i + 1 < args.Length && int.TryParse(args[i + 1], out depth) && depth is > 0 and <= 256: i++; break;
        case ['-', ..]: return Usage();
        default: path = args[i]; break;
    }
}
if (path == null) return Usage();

try
{
    var spec = Hook.Load()
        .WithGlobal("rounds", (uint)rounds)
        .WithGlobal("block_bytes", (uint)blockBytes)
        .WithGlobal("blocks", (ulong)Math.Max(1, new FileInfo(path).Length / blockBytes));
    using var program = Hook.Compile(spec);
    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program, new Grants { Paths = [path] },
        new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = blockBytes, MaxSteps = uint.MaxValue });
    var results = await Task.WhenAll(Enumerable.Range(0, depth).Select(_ => hook.StartAsync(UringOp.Nop()).AsTask()));
    if (results.FirstOrDefault(result => result.Verdict < 0) is { Verdict: < 0 } failed) throw new IOException($"{path}: {Hook.Describe(-failed.Verdict)}");

    var latencies = new BpfPerCpuMap<int, ulong>(program.Maps["latencies"]);
    for (var operation = 0; operation < operations.Length; operation++)
    {
        var counts = Enumerable.Range(operation * buckets, buckets).Select(key => Sum(latencies, key)).ToArray();
        Draw(operations[operation], counts);
    }
    Console.Error.WriteLine($"{depth} chains of {rounds} rounds; the host woke {ring.HostWakeUps} times");
    return 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static ulong Sum(BpfPerCpuMap<int, ulong> map, int key)
{
    var values = new ulong[ExecutionSlot.Count];
    if (!map.TryGetValues(key, values)) return 0;
    return values.Aggregate(0UL, (sum, value) => sum + value);
}

static void Draw(string operation, ulong[] counts)
{
    const int width = 50;
    var most = counts.Max();
    var total = counts.Aggregate(0UL, (sum, count) => sum + count);
    Console.WriteLine($"{operation}: {total} operations");
    if (most == 0) return;
    var first = Array.FindIndex(counts, count => count > 0);
    var last = Array.FindLastIndex(counts, count => count > 0);
    for (var bucket = first; bucket <= last; bucket++)
    {
        var bar = new string('█', (int)Math.Ceiling(counts[bucket] * (double)width / most));
        Console.WriteLine($"  {Time(1UL << bucket),6} – {Time(2UL << bucket),-6} {counts[bucket],8} {bar}");
    }
}

static string Time(ulong nanoseconds) => nanoseconds switch
{
    < 1_000 => $"{nanoseconds}ns",
    < 1_000_000 => $"{nanoseconds / 1000}µs",
    _ => $"{nanoseconds / 1_000_000}ms",
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        Opens, reads a random block of and closes a file, again and again, in io_uring completion hooks, and shows how long
        each operation takes.

        usage: Histogram [--rounds N] [--depth N] FILE
        """);
    return 2;
}
