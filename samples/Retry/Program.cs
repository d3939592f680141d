// Reads a range of a file in an io_uring completion hook that knows what to do about short reads, EINTR and EAGAIN. With
// --inject the reads' results are made up, to prove it: the kernel returns them through nops.
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

var total = 4096;
int[]? injected = null;
string? path = null;
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--bytes" when i + 1 < args.Length && int.TryParse(args[i + 1], out total) && total is > 0 and <= 1 << 20: i++; break;
        case "--inject" when i + 1 < args.Length && TryParse(args[i + 1], out injected): i++; break;
        case ['-', ..]: return Usage();
        default: path = args[i]; break;
    }
}
if ((path == null) == (injected == null)) return Usage();

try
{
    var results = new int[32];
    injected?.CopyTo(results, 0);
    var spec = Hook.Load()
        .WithGlobal("total_bytes", (uint)total)
        .WithGlobal("injected_count", (uint)(injected?.Length ?? 0))
        .WithGlobal("injected", MemoryMarshal.AsBytes<int>(results));
    using var program = Hook.Compile(spec);
    using var file = path == null ? null : File.OpenHandle(path);

    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program, new Grants { Files = file == null ? [] : [file] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = total });
    var result = await hook.StartAsync(UringOp.Nop());

    var counts = new ulong[4];
    while (hook.TryReadEmission(out var emission)) counts[emission.UserData] = emission.Value;
    Console.WriteLine($"{counts[0]} of {total} bytes: {counts[1]} short reads, {counts[2]} interrupted, {counts[3]} pauses; the host woke {ring.HostWakeUps} time(s)");
    if (result.Verdict < 0) Console.WriteLine($"gave up: {Hook.Describe(-result.Verdict)}");
    return result.Verdict < 0 ? 1 : 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static bool TryParse(string text, out int[]? results)
{
    var parts = text.Split(',');
    var numbers = new int[parts.Length];
    results = numbers;
    return parts.Length <= 32 && parts.Select((part, i) => int.TryParse(part, out numbers[i])).All(parsed => parsed);
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Reads the first bytes of a file, all of them, with a hook that retries. Or pretends to: --inject takes the results
        of up to 32 reads, such as 100,-4,-11,-11,3996 (-4 is EINTR, -11 EAGAIN).

        usage: Retry [--bytes N] FILE
               Retry [--bytes N] --inject RESULT,RESULT...
        """);
    return 2;
}
