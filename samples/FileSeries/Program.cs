// Checksums a list of files inside an io_uring completion hook: the hook opens, reads, closes and goes on to the next
// file by itself; this program wakes once, when the series is done.
using System.Diagnostics;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

const int blockBytes = 1 << 17;
const ulong failed = 1UL << 32;

var skip = true;
var rust = false;
var paths = new List<string>();
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--on-error" when i + 1 < args.Length && args[i + 1] is "skip" or "abort":
            skip = args[++i] == "skip";
            break;
        case "--rust":
            rust = true;
            break;
        case "-h" or "--help" or "--on-error":
            return Usage();
        default:
            paths.Add(args[i]);
            break;
    }
}
if (paths.Count == 0) return Usage();

try
{
    var spec = Hook.Load(rust ? "hook.rs.bpf.o" : "hook.bpf.o")
        .WithGlobal("path_count", (uint)paths.Count)
        .WithGlobal("block_bytes", (uint)blockBytes)
        .WithGlobal("skip_errors", skip ? 1u : 0u);
    using var program = Hook.Compile(spec);

    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program,
        new Grants { Paths = [.. paths] },
        new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = blockBytes, MaxSteps = uint.MaxValue },
        emissionCapacity: Math.Max(4, 2 * paths.Count));

    var clock = Stopwatch.StartNew();
    var result = await hook.StartAsync(UringOp.Nop());
    clock.Stop();

    var (files, errors) = (0, 0);
    while (hook.TryReadEmission(out var checksum) && hook.TryReadEmission(out var bytes))
    {
        var path = paths[(int)checksum.UserData];
        if (checksum.Value < failed)
        {
            files++;
            Console.WriteLine($"{checksum.Value:x8} {path} {bytes.Value}");
        }
        else
        {
            errors++;
            Console.Error.WriteLine($"{path}: {Hook.Describe((int)(uint)checksum.Value)}");
        }
    }
    var rate = result.Bytes / clock.Elapsed.TotalSeconds / (1 << 20);
    Console.Error.WriteLine($"{files} files, {result.Bytes} bytes, {result.Steps} completions, {rate:F0} MiB/s; the host woke {ring.HostWakeUps} time(s)");
    if (result.Verdict < 0) Console.Error.WriteLine($"aborted: {Hook.Describe(-result.Verdict)}");
    return errors > 0 || result.Verdict < 0 ? 1 : 0;
}
catch (BpfException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Prints the CRC-32C of each file as `<checksum> <path> <bytes>`, computed in an io_uring completion hook.

        usage: FileSeries [--on-error skip|abort] [--rust] PATH...

        --rust  takes the hook written in Rust (hook.bpf.rs) in place of the one in C (hook.bpf.c)
        """);
    return 2;
}
