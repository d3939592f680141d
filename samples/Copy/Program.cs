// Copies a file or a whole tree: this program lists the directories and makes them, io_uring completion hooks copy the
// files, several blocks of each at once, several files at once. It wakes once for each chain.
using System.Diagnostics;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

const int blockBytes = 1 << 17, depth = 4;
const ulong failed = 1UL << 63;

var chains = 2;
string? trace = null;
var paths = new List<string>();
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--chains" when i + 1 < args.Length && int.TryParse(args[i + 1], out chains) && chains is > 0 and <= 64: i++; break;
        case "--trace" when i + 1 < args.Length: trace = args[++i]; break;
        case ['-', ..]: return Usage();
        default: paths.Add(args[i]); break;
    }
}
if (paths.Count != 2) return Usage();

try
{
    if (trace != null) RingTrace.CheckPath(trace);
    var files = List(paths[0], paths[1]);
    if (files.Count == 0)
    {
        Console.Error.WriteLine("0 files");
        return 0;
    }
    var spec = Hook.Load()
        .WithGlobal("file_count", (uint)files.Count)
        .WithGlobal("block_bytes", (uint)blockBytes)
        .WithGlobal("depth", (uint)depth);
    using var program = Hook.Compile(spec, traced: trace != null);

    chains = Math.Min(chains, files.Count);
    var copied = new ulong[files.Count];
    var clock = Stopwatch.StartNew();
    long wakeUps;
    var options = new RingOptions { Recorder = trace == null ? null : new RecorderOptions { HookDurations = true, Exiting = record => record.Save(trace) } };
    await using (var ring = Ring.Create(options))
    {
        await using var hook = ring.Attach(program,
            new Grants { Paths = [.. files.SelectMany(pair => new[] { pair.Source, pair.Target })], AllowWrite = true },
            new ChainLimits { OwnFiles = 2, OwnBuffers = depth, OwnBufferBytes = blockBytes, MaxSteps = uint.MaxValue },
            emissionCapacity: files.Count);

        // Chain k copies every chains-th file from file k on: its scratch says so.
        var running = Enumerable.Range(0, chains).Select(chain =>
            hook.StartAsync(UringOp.Nop(), [.. BitConverter.GetBytes(chain), .. BitConverter.GetBytes(chains)]).AsTask()).ToArray();
        var results = await Task.WhenAll(running);
        clock.Stop();
        wakeUps = ring.HostWakeUps;
        if (results.FirstOrDefault(result => result.Verdict < 0) is { Verdict: < 0 } broken) throw new IOException(Hook.Describe(-broken.Verdict));
        while (hook.TryReadEmission(out var emission)) copied[(int)emission.UserData] = emission.Value;
    }

    var errors = 0;
    for (var i = 0; i < files.Count; i++)
    {
        if (copied[i] < failed)
        {
            // The hook created it with default permissions.
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(files[i].Target, File.GetUnixFileMode(files[i].Source));
            Console.WriteLine($"{copied[i]} {files[i].Target}");
            continue;
        }
        errors++;
        Console.Error.WriteLine($"{files[i].Source}: {Hook.Describe((int)(uint)copied[i])}");
    }
    var bytes = copied.Where(value => value < failed).Aggregate(0UL, (sum, value) => sum + value);
    Console.Error.WriteLine($"{files.Count - errors} files, {bytes} bytes, {bytes / clock.Elapsed.TotalSeconds / (1 << 20):F0} MiB/s; the host woke {wakeUps} time(s)");
    return errors > 0 ? 1 : 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException or ArgumentException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

// io_uring has no getdents: the host lists, and makes the directories of the copy. Symbolic links are left out.
static List<(string Source, string Target)> List(string source, string target)
{
    if (File.Exists(source)) return [(source, Directory.Exists(target) ? Path.Combine(target, Path.GetFileName(source)) : target)];
    Directory.CreateDirectory(target);
    var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false };
    foreach (var directory in Directory.EnumerateDirectories(source, "*", all)) Directory.CreateDirectory(Path.Combine(target, Path.GetRelativePath(source, directory)));
    return [.. Directory.EnumerateFiles(source, "*", all).Order(StringComparer.Ordinal).Select(file => (file, Path.Combine(target, Path.GetRelativePath(source, file))))];
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Copies a file, or a directory with all that is in it, in io_uring completion hooks. Prints `<bytes> <target>` for
        each file. --trace writes what the ring did to a timeline (.html) or a Chrome trace (.json).

        usage: Copy [--chains N] [--trace FILE] SOURCE TARGET
        """);
    return 2;
}
