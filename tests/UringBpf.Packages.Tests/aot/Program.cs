using UringBpf.Ring;

using var hook = Mine.Series.Load(new() { PathCount = (uint)args.Length, BlockBytes = 4096 });
await using var ring = Ring.Create();
await using var link = ring.Attach(hook.Programs.FileSeries, new Grants { Paths = [.. args] }, new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096 });
var result = await link.StartAsync(UringOp.Nop());
Console.WriteLine($"{hook.Programs.FileSeries.Engine}: {hook.Globals.PathCount} files, {result.Bytes} bytes, woke {ring.HostWakeUps}");
