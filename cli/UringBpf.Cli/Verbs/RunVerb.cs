using System.CommandLine;
using System.Security.Cryptography;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>uringbpf run: runs a program on a context.</summary>
internal static class RunVerb
{
    public static Command Create()
    {
        var file = new Argument<string>("OBJ") { Description = "An object, or bytecode with --raw." };
        var input = new ProgramInput();
        var engine = Engines.Option();
        var context = new Option<string?>("--ctx") { Description = "The context: the memory of a raw program, the packet of a packet program.", HelpName = "FILE" };
        var repeat = new Option<int>("--repeat") { Description = "Runs; each goes on with the context the one before left.", HelpName = "N", DefaultValueFactory = _ => 1 };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("run", Usage.WithExamples("Verifies a program and runs it.", "run prog.bpf.o --ctx input.bin", "run --raw code.bin --ctx input.bin --repeat 1000 --json"))
        { file, engine, context, repeat, json };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var runs = parsed.GetValue(repeat);
            if (runs < 1) throw new UsageException($"--repeat {runs}: at least 1.");
            var (programs, mapSpecs) = input.Load(parsed, path);
            var spec = input.Pick(parsed, programs, path);
            ProgramInput.RequireType(spec);
            var bytes = parsed.GetValue(context) is { } contextFile ? ProgramInput.Read(contextFile) : [];
            if (!spec.Type!.Context.IsFlat) throw new UsageException($"'{spec.Name}' is of type {spec.Type.Name}: only raw programs can be run on plain bytes.");
            var verified = ProgramInput.Verify(spec, bytes.Length);
            using var maps = MapSet.Create(mapSpecs);
            using var program = Engines.Create(parsed.GetValue(engine)!, verified, maps);
            ulong result = 0;
            for (var run = 0; run < runs; run++) result = program.Run(bytes);
            var hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (parsed.GetValue(json)) JsonLine.Write(("program", spec.Name), ("engine", program.Engine), ("r0", $"0x{result:x}"), ("context_sha256", hash));
            else Console.Out.WriteLine($"{spec.Name}: r0 = 0x{result:x} ({(long)result}), context {bytes.Length} bytes, sha256 {hash[..16]}… [{program.Engine}]");
            return ExitCode.Fine;
        });
        return command;
    }
}
