using UringBpf.Perf;

if (args is ["echo-server", var server, var kind]) return EchoServers.Run(server, framing: kind == "framing");
if (args is ["all", ..]) return Everything.Run(args.Contains("--quick"));
if (args is [var verb, ..] && Everything.Verbs.FirstOrDefault(known => known.Name == verb) is { Measure: { } measure }) return await measure(args[1..], args.Contains("--quick"));
BenchmarkDotNet.Running.BenchmarkSwitcher.FromAssembly(typeof(Kernel).Assembly).Run(args);
return 0;
