using HookApp;
using UringBpf.Bytecode;
using UringBpf.Ring;

if (args.Length == 0)
{
    Console.Error.WriteLine("usage: HookApp FILE...");
    return 2;
}

const int blockBytes = 65536;
try
{
    using var hook = Hook.Load(new Hook.Settings { BlockBytes = blockBytes });
    var files = args.Select(path => File.OpenHandle(path)).ToArray();

    await using var ring = Ring.Create();
    // What the hook may touch: these files, and a buffer for each chain. Nothing else.
    await using var link = ring.Attach(hook.Programs.CountLines, new Grants { Files = [.. files] }, new ChainLimits { OwnBuffers = 1, OwnBufferBytes = blockBytes });

    for (var i = 0; i < files.Length; i++)
    {
        var result = await link.StartAsync(UringOp.Read(file: i, buffer: 0, blockBytes, offset: 0));
        Console.WriteLine(result.Verdict < 0
            ? $"{args[i]}: error {-result.Verdict}"
            : $"{args[i]}: {(hook.Maps.Lines.TryGetValue((uint)i, out var lines) ? lines : 0)} lines, {result.Bytes} bytes");
    }
    Console.WriteLine($"{hook.Globals.Blocks} blocks; the hook ran {ring.HookRuns} times, this program woke {ring.HostWakeUps} time(s)");
    foreach (var file in files) file.Dispose();
    return 0;
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
