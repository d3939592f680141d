using System.CommandLine;
using System.Security.Cryptography;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>uringbpf run: runs a program on a context.</summary>
internal static class RunVerb
{
    // EOPNOTSUPP.
    private const long NotSupported = 95;

    public static Command Create()
    {
        var file = ProgramInput.File();
        var input = new ProgramInput();
        var engine = Engines.Option(Engines.All);
        var repeat = new Option<int>("--repeat") { Description = "Runs; each goes on with the context the one before left.", HelpName = "N", DefaultValueFactory = _ => 1 };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Verb("run", "Verifies a program and runs it; on the checked engine any bytecode, verified or not.", "run prog.bpf.o --ctx input.bin", "run --raw code.bin --ctx input.bin --engine checked --repeat 1000 --json")
        { file, engine, repeat, json };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var runs = parsed.GetValue(repeat);
            if (runs < 1) throw new UsageException($"--repeat {runs}: at least 1.");
            var bytes = input.ReadContext(parsed);
            var (programs, mapSpecs) = input.Load(parsed, path);
            var spec = input.Pick(parsed, programs, path);
            ProgramInput.RequireType(spec);
            var type = spec.Type!;
            using var maps = MapSet.Create(mapSpecs);
            using var program = Prepare(parsed.GetValue(engine)!, spec, bytes.Length, maps);
            using var context = new ContextMemory(type, bytes);
            var result = program.Run(context, runs);
            var hash = Convert.ToHexStringLower(SHA256.HashData(context.Bytes));
            if (parsed.GetValue(json)) JsonLine.Write(("program", spec.Name), ("engine", program.Engine), ("r0", $"0x{result:x}"), ("context_sha256", hash));
            else Console.Out.WriteLine($"{spec.Name}: r0 = 0x{result:x} ({Signed(type, result)}), context {context.Bytes.Length} bytes, sha256 {hash[..16]}… [{program.Engine}]");
            if (!parsed.GetValue(json) && Signed(type, result) == -NotSupported && spec.Instructions.Any(instruction => OpcodeTable.Find(instruction)?.Operation == Operation.CallKfunc))
                Console.Error.WriteLine("no ring here: kfuncs such as uring_submit answer -EOPNOTSUPP (-95); 'uringbpf ring' does what they ask for");
            return ExitCode.Fine;
        });
        return command;
    }

    // Only the checked interpreter may be given what the verifier has not accepted.
    private static Runner Prepare(string engine, ProgramSpec program, int contextBytes, MapSet maps)
    {
        if (engine == Engines.Checked) return Runner.Checked(program, maps);
        try
        {
            return Runner.Create(engine, ProgramInput.Verify(program, contextBytes), maps);
        }
        catch (BpfException error) when (error.Code.StartsWith("UB2", StringComparison.Ordinal))
        {
            throw new BpfException(error.Code, $"{error.Reason}\n note:    the {engine} runs verified programs only; '--engine checked' runs any, safely", error.Instruction, error);
        }
    }

    private static long Signed(ProgramType type, ulong result) => type.ReturnsInt32 ? (int)result : (long)result;
}
