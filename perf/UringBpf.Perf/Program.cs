using UringBpf.Perf;

if (args is ["engines", ..])
{
    var rounds = args.Contains("--quick") ? 15 : 101;
    var only = args[1..].Where(argument => !argument.StartsWith("--", StringComparison.Ordinal)).ToArray();
    return EngineComparison.Run(Path.Combine("perf", "results"), rounds, only);
}
if (args is ["interpreters", ..]) return InterpreterComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 15 : 101);
if (args is ["compile", ..]) return CompileComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 31 : 101);
if (args is ["calls", ..]) return CallComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 15 : 101);
if (args is ["maps", ..]) return MapComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 15 : 101);
if (args is ["verifier", ..]) return VerifierComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 15 : 51);
if (args is ["ring", ..]) return RingComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 51 : 501);
if (args is ["recorder", ..]) return RecorderComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 51 : 201);
if (args is ["blockwalk", ..]) return await BlockWalkComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 3 : 15);
if (args is ["fileseries", ..]) return await FileSeriesComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 3 : 15);
if (args is ["echo", ..]) return EchoComparison.Run(Path.Combine("perf", "results"), args.Contains("--quick") ? 1 : 5, args.Contains("--quick") ? 1 : 2);
if (args is ["echo-server", var server, var kind]) return EchoServers.Run(server, framing: kind == "framing");
if (args is ["benchmarks", ..]) return EngineBenchmarks.Run(Path.Combine("perf", "results"), args.Contains("--quick"));
if (args is ["all", ..]) return Everything.Run(args.Contains("--quick"));
BenchmarkDotNet.Running.BenchmarkSwitcher.FromAssembly(typeof(Kernel).Assembly).Run(args);
return 0;
