using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Turns a failed check into a rejection with its source line.</summary>
internal sealed class Judge(ProgramSpec spec, VerifierOptions options)
{
    /// <summary>Rejects the program, unless a test has switched this check off. The last two parameters are the check's place
    /// in the verifier's source, by which tests tell it from others of its rule.</summary>
    public void Reject(Rule rule, int instruction, string message, string why = "", string help = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        if (options.DisabledCheck == rule || options.DisabledSite is { } site && site == Site(file, line)) return;
        throw Fatal(rule, instruction, message, why, help, file, line);
    }

    /// <summary>A rejection after which the walk can't go on, whatever is switched off.</summary>
    public RejectedException Fatal(Rule rule, int instruction, string message, string why = "", string help = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        new(new Rejection
        {
            Code = $"UB{(int)rule}",
            Instruction = instruction,
            Message = message.TrimEnd('.'),
            Why = why,
            Help = help,
            Source = spec.LineOf(instruction),
            Function = spec.Subprograms.LastOrDefault(function => function.Start <= instruction)?.Name ?? spec.Name,
            Site = Site(file, line),
        });

    // The path may be one of another machine: its last part tells files of this project apart.
    private static string Site(string file, int line) => $"{file[(file.LastIndexOfAny(['/', '\\']) + 1)..]}:{line}";
}
