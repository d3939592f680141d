using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Turns a failed check into a rejection with its source line.</summary>
internal sealed class Judge(ProgramSpec spec, VerifierOptions options)
{
    /// <summary>Rejects the program, unless a test has switched this check off.</summary>
    public void Reject(Rule rule, int instruction, string message, string why = "", string help = "")
    {
        if (options.DisabledCheck == rule) return;
        throw Fatal(rule, instruction, message, why, help);
    }

    /// <summary>A rejection after which the walk can't go on, whatever is switched off.</summary>
    public RejectedException Fatal(Rule rule, int instruction, string message, string why = "", string help = "") =>
        new(new Rejection
        {
            Code = $"UB{(int)rule}",
            Instruction = instruction,
            Message = message.TrimEnd('.'),
            Why = why,
            Help = help,
            Source = spec.LineOf(instruction),
            Function = spec.Subprograms.LastOrDefault(function => function.Start <= instruction)?.Name ?? spec.Name,
        });
}
