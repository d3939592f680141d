// Follows a chain of 512-byte blocks through a file, as a look-up in a B-tree or LSM index would: each block names the
// next. The hook reads from block to block; this program wakes once for each look-up.
using System.Buffers.Binary;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

const int blockBytes = 512;

var hops = 6;
var lookups = 1;
string? path = null;
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--hops" when i + 1 < args.Length && int.TryParse(args[i + 1], out hops) && hops > 0: i++; break;
        case "--lookups" when i + 1 < args.Length && int.TryParse(args[i + 1], out lookups) && lookups > 0: i++; break;
        case "--file" when i + 1 < args.Length: path = args[++i]; break;
        default: return Usage();
    }
}

var temporary = path == null;
path ??= Path.GetTempFileName();
try
{
    if (temporary) WriteBlocks(path, count: 4096);
    using var program = Hook.Compile(Hook.Load());
    using var file = File.OpenHandle(path);
    var blocks = (ulong)(RandomAccess.GetLength(file) / blockBytes);
    if (blocks == 0)
    {
        Console.Error.WriteLine($"{path} holds no block of {blockBytes} bytes.");
        return 1;
    }

    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program, new Grants { Files = [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = blockBytes });

    var failures = 0;
    var scratch = new byte[16];
    for (var lookup = 0; lookup < lookups; lookup++)
    {
        var start = (ulong)lookup * 977 % blocks;
        BinaryPrimitives.WriteUInt64LittleEndian(scratch, (ulong)hops);
        var result = await hook.StartAsync(UringOp.Read(file: 0, buffer: 0, blockBytes, start * blockBytes), scratch);
        if (result.Verdict < 0 || !hook.TryReadEmission(out var found))
        {
            failures++;
            Console.Error.WriteLine($"look-up {lookup} from block {start}: errno {-result.Result} after {result.Steps} hops");
            continue;
        }
        Console.WriteLine($"{start} {result.Steps} {found.UserData} {found.Value}");
    }
    Console.Error.WriteLine($"{lookups} look-ups of up to {hops} hops; {ring.HookRuns} completions, the host woke {ring.HostWakeUps} times");
    return failures > 0 ? 1 : 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
finally
{
    if (temporary) File.Delete(path);
}

// Block i leads to a block far away, so that no read-ahead helps; its key is derived from its number.
static void WriteBlocks(string path, int count)
{
    var bytes = new byte[count * blockBytes];
    for (var i = 0; i < count; i++)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes), (ulong)((i * 1103515245L + 12345) % count));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * blockBytes + 8), (ulong)(i * 2654435761L % 1_000_003));
    }
    File.WriteAllBytes(path, bytes);
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Walks dependent blocks inside an io_uring completion hook. Prints `<first block> <hops> <last key> <sum of keys>`
        for each look-up. Without --file it makes a file of 4096 blocks: next block number, key, padding to 512 bytes.

        usage: BlockWalk [--hops N] [--lookups N] [--file PATH]
        """);
    return 2;
}
