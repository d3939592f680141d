return await UringBpf.Cli.CommandLine.RunAsync(args);
