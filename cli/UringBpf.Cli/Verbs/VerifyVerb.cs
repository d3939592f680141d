using System.CommandLine;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Verifier;

namespace UringBpf.Cli;

/// <summary>uringbpf verify: a verdict for each program.</summary>
internal static class VerifyVerb
{
    public static Command Create()
    {
        var files = new Argument<string[]>("OBJ") { Description = "Objects, or bytecode with --raw.", Arity = ArgumentArity.OneOrMore };
        files.Validators.Add(Usage.RefuseOptions);
        var input = new ProgramInput();
        var proof = new Option<bool>("--require-proof") { Description = "Reject programs whose termination is not proved, instead of metering them." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object for each program." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Print every step of the walk to standard error." };
        var command = new Verb("verify", "Proves programs safe, or says why not.", "verify hook.bpf.o", "verify *.bpf.o --json") { files, proof, json, verbose };
        input.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var options = VerifierOptions.Default with
            {
                ContextSize = input.ReadContext(parsed).Length,
                RequireTerminationProof = parsed.GetValue(proof),
                Log = parsed.GetValue(verbose) ? Console.Error : null,
                CancellationToken = cancellation,
            };
            var exit = ExitCode.Fine;
            foreach (var file in parsed.GetRequiredValue(files)) exit = Math.Max(exit, VerifyFile(parsed, input, file, options, parsed.GetValue(json)));
            return Task.FromResult(exit);
        });
        return command;
    }

    private static int VerifyFile(ParseResult parsed, ProgramInput input, string file, VerifierOptions options, bool json)
    {
        IReadOnlyList<ProgramSpec> programs;
        try
        {
            programs = input.Filter(parsed, input.Load(parsed, file).Programs, file);
        }
        catch (Exception error) when (error is BpfException or BadInputException)
        {
            var code = (error as BpfException)?.Code;
            var message = (error as BpfException)?.Reason ?? error.Message;
            if (json) JsonLine.Write(("file", file), ("verdict", "error"), ("code", code), ("message", message));
            // Loaders name the file themselves.
            else Console.Error.WriteLine(code == null ? $"{file}: {message}" : message.StartsWith($"{file}: ", StringComparison.Ordinal) ? $"{file}: {code}{message[file.Length..]}" : $"{file}: {code}: {message}");
            return ExitCode.BadInput;
        }
        var exit = ExitCode.Fine;
        var done = 0;
        foreach (var program in programs)
        {
            VerificationResult? result;
            using (Progress.Show($"verifying {program.Name} ({++done} of {programs.Count})"))
                result = program.Type == null ? null : ProgramVerifier.Verify(program, options);
            if (result?.Rejection is { } rejection) result = result with { Rejection = WitnessRunner.Confirm(program, rejection, options.ContextSize) };
            if (result is not { Accepted: true }) exit = ExitCode.Failed;
            if (json) PrintJson(file, program, result);
            else PrintText(file, program, result);
        }
        return exit;
    }

    private static void PrintJson(string file, ProgramSpec program, VerificationResult? result)
    {
        var rejection = result?.Rejection;
        (string, object?)[] members =
        [
            ("file", file),
            ("program", program.Name),
            ("section", program.Section.Length > 0 ? program.Section : null),
            ("type", program.Type?.Name ?? "unknown"),
            ("verdict", result == null ? "unsupported" : result.Accepted ? "accept" : "reject"),
            ("termination", result?.Termination is { } termination ? (termination == Termination.Proved ? "proved" : "metered") : null),
            ("code", rejection?.Code),
            ("instruction", rejection is { Instruction: >= 0 } ? rejection.Instruction : null),
            ("line", rejection is { Instruction: >= 0 } ? program.LineOf(rejection.Instruction)?.Line : null),
            ("message", result == null ? $"section '{program.Section}' stands for no program type" : rejection?.Message),
            ("instructions", program.Instructions.Length),
            ("processed", result?.Processed),
            ("microseconds", result == null ? null : (long)result.Microseconds),
        ];
        // What explains a rejection comes after what every line has.
        if (rejection != null)
        {
            members =
            [
                .. members,
                ("why", rejection.Why.Length > 0 ? rejection.Why : null),
                ("path", rejection.Path.Select(step => (object?)new (string, object?)[] { ("instruction", step.Instruction), ("line", step.Line > 0 ? step.Line : null), ("text", step.Text) })),
                ("witness", rejection.Witness.Length > 0 ? rejection.Witness : null),
                ("help", rejection.Help.Length > 0 ? rejection.Help : null),
            ];
        }
        JsonLine.Write(members);
    }

    private static void PrintText(string file, ProgramSpec program, VerificationResult? result)
    {
        if (result == null)
        {
            Console.Out.WriteLine($"{file}: {program.Name}: unsupported: section '{program.Section}' stands for no program type; --type says which it is");
        }
        else if (result.Program is { } verified)
        {
            var end = verified.Termination == Termination.Proved
                ? $"ends after at most {verified.WorstCaseInstructions} instructions"
                : "metered: its end is not proved";
            Console.Out.WriteLine($"{file}: {program.Name}: accept ({program.Type!.Name}, {program.Instructions.Length} instructions, {end}; {result.Processed} steps in {result.Microseconds / 1000:F1} ms)");
        }
        else
        {
            Console.Out.WriteLine($"{file}: {program.Name}: reject");
            Console.Out.WriteLine(result.Rejection);
        }
    }
}
