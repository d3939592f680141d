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
        var file = ProgramInput.File();
        var input = new ProgramInput();
        var engine = Engines.Option();
        var repeat = new Option<int>("--repeat") { Description = "Runs; each goes on with the context the one before left.", HelpName = "N", DefaultValueFactory = _ => 1 };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Verb("run", "Verifies a program and runs it.", "run prog.bpf.o --ctx input.bin", "run --raw code.bin --ctx input.bin --repeat 1000 --json")
        { file, engine, repeat, json };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var runs = parsed.GetValue(repeat);
            if (runs < 1) throw new UsageException($"--repeat {runs}: at least 1.");
            var bytes = input.ReadContext(parsed);
            var (programs, mapSpecs) = input.Load(parsed, path);
            var verified = ProgramInput.Verify(input.Pick(parsed, programs, path), bytes.Length);
            using var maps = MapSet.Create(mapSpecs);
            using var program = Engines.Create(parsed.GetValue(engine)!, verified, maps);
            using var context = new ContextMemory(verified.Type, bytes);
            var result = context.Run(program, runs);
            var hash = Convert.ToHexStringLower(SHA256.HashData(context.Bytes));
            if (parsed.GetValue(json)) JsonLine.Write(("program", program.Name), ("engine", program.Engine), ("r0", $"0x{result:x}"), ("context_sha256", hash));
            else Console.Out.WriteLine($"{program.Name}: r0 = 0x{result:x} ({Signed(verified.Type, result)}), context {context.Bytes.Length} bytes, sha256 {hash[..16]}… [{program.Engine}]");
            return ExitCode.Fine;
        });
        return command;
    }

    private static long Signed(ProgramType type, ulong result) => type.ReturnsInt32 ? (int)result : (long)result;
}
