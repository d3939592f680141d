// A log with group commit: many writers append records and wait until theirs is on disk. The records that have gathered
// are written together by one chain, with one fdatasync; each writer gets a completion of its own.
using System.Diagnostics;
using System.Text;
using System.Threading.Channels;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Samples;

const int recordBytes = 256, maxGroup = 64;

var count = 1000;
string? path = null;
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--records" when i + 1 < args.Length && int.TryParse(args[i + 1], out count) && count > 0: i++; break;
        case ['-', ..]: return Usage();
        default: path = args[i]; break;
    }
}
if (path == null) return Usage();

try
{
    using var program = Hook.Compile(Hook.Load());
    var records = new BpfArrayMap<Record>(program.Maps["records"]);
    using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program, new Grants { Files = [file], Buffers = [maxGroup * recordBytes], AllowWrite = true },
        new ChainLimits { MaxInFlight = maxGroup });

    // The writers: each appends a record and is told when it is safe.
    var log = Channel.CreateUnbounded<Append>();
    var appended = Enumerable.Range(0, count).Select(number =>
    {
        var append = new Append(Text($"record {number}"), new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously));
        log.Writer.TryWrite(append);
        return append.Done.Task;
    }).ToArray();
    log.Writer.Complete();

    // The committer: takes what has gathered, up to a group.
    var clock = Stopwatch.StartNew();
    var group = new List<Append>();
    long written = 0, groups = 0;
    while (await log.Reader.WaitToReadAsync())
    {
        group.Clear();
        while (group.Count < maxGroup && log.Reader.TryRead(out var append))
        {
            records[group.Count] = append.Record;
            group.Add(append);
        }
        var result = await hook.StartAsync(UringOp.Nop(), [.. BitConverter.GetBytes(written * recordBytes), .. BitConverter.GetBytes(group.Count)]);
        while (hook.TryReadEmission(out var emission)) group[(int)emission.UserData].Done.SetResult((int)emission.Value);
        // A chain that broke off has not answered all.
        foreach (var append in group) append.Done.TrySetResult(result.Verdict);
        written += group.Count;
        groups++;
    }
    var errors = (await Task.WhenAll(appended)).Count(error => error < 0);
    Console.WriteLine($"{count} records in {groups} groups: {groups} syncs, {count - errors} completions, {errors} errors; the host woke {ring.HostWakeUps} times");
    Console.Error.WriteLine($"{clock.Elapsed.TotalMicroseconds / count:F1} µs a record");
    return errors > 0 ? 1 : 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static Record Text(string text)
{
    var record = default(Record);
    Span<byte> bytes = record;
    bytes.Fill((byte)' ');
    Encoding.ASCII.GetBytes(text, bytes);
    bytes[^1] = (byte)'\n';
    return record;
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Appends records of 256 bytes to a file, up to 64 with one fdatasync, in an io_uring completion hook.

        usage: GroupCommit [--records N] FILE
        """);
    return 2;
}

/// <summary>A record as the hook's map holds it.</summary>
[System.Runtime.CompilerServices.InlineArray(256)]
internal struct Record
{
    private byte _first;
}

/// <summary>A record on its way, and who waits for it.</summary>
internal sealed record Append(Record Record, TaskCompletionSource<int> Done);
