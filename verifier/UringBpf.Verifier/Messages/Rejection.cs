using System.Collections.Immutable;
using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>One step of the path to a rejection: only those that matter to it.</summary>
/// <param name="Instruction">The slot.</param>
/// <param name="Line">Source line, or 0 when unknown.</param>
/// <param name="Text">What it established.</param>
public sealed record PathStep(int Instruction, int Line, string Text);

/// <summary>Why a program is not safe: one root error, where it is, and what to do about it. Immutable.</summary>
public sealed record Rejection
{
    /// <summary>The stable code, such as <c>UB2103</c>; docs/diagnostics.md has a section on each.</summary>
    public required string Code { get; init; }
    /// <summary>The slot of the offending instruction.</summary>
    public required int Instruction { get; init; }
    /// <summary>What is wrong, in one line, with numbers.</summary>
    public required string Message { get; init; }
    /// <summary>What the verifier knows there and why it does not suffice; empty when the message says it all.</summary>
    public string Why { get; init; } = "";
    /// <summary>What to change; empty when there is no general advice.</summary>
    public string Help { get; init; } = "";
    /// <summary>The steps that led to the error: only those that influenced it, in order.</summary>
    public ImmutableArray<PathStep> Path { get; init; } = [];
    /// <summary>Runs that are proposed to go wrong in this way; none of them has been tried.</summary>
    public ImmutableArray<Witness> Proposals { get; init; } = [];
    /// <summary>A run that went wrong on the checked interpreter, as text; empty until one was tried
    /// (<c>WitnessRunner</c> in UringBpf.Compiler).</summary>
    public string Witness { get; init; } = "";
    /// <summary>The source line, or null without debug information.</summary>
    public LineInfo? Source { get; init; }
    /// <summary>The function the instruction is in, or empty.</summary>
    public string Function { get; init; } = "";

    /// <summary>For tests: the place in the verifier's source that rejected.</summary>
    internal string Site { get; init; } = "";

    /// <summary>The explanation as text of several lines, without a trailing newline.</summary>
    public string Describe()
    {
        var text = new StringBuilder();
        text.Append(Message);
        if (Source is { } at)
        {
            text.Append("    ").Append(at.File).Append(':').Append(at.Line);
            if (at.Column > 0) text.Append(':').Append(at.Column);
            if (Function.Length > 0) text.Append(" in ").Append(Function).Append("()");
            if (at.Text.Length > 0)
            {
                var number = at.Line.ToString().PadLeft(4);
                text.Append('\n').Append(number).Append(" | ").Append(at.Text.TrimEnd());
                if (at.Column > 0 && at.Column <= at.Text.Length)
                    text.Append('\n').Append(' ', number.Length).Append(" | ").Append(' ', at.Column - 1).Append('^', WordLength(at.Text, at.Column - 1));
            }
        }
        else
        {
            text.Append("    instruction ").Append(Instruction);
            if (Function.Length > 0) text.Append(" in ").Append(Function).Append("()");
        }
        Section("why:     ", Why);
        if (Path.Length > 0) Section("path:    ", string.Join(" -> ", Path.Select((step, i) => $"{step.Text} ({(step.Line > 0 && (i == 0 || Path[i - 1].Line != step.Line) ? $"line {step.Line}, " : "")}insn {step.Instruction})")));
        Section("witness: ", Witness);
        Section("help:    ", Help);
        return text.ToString();

        void Section(string label, string content)
        {
            if (content.Length > 0) text.Append("\n ").Append(label).Append(content);
        }
    }

    // The name, with the brackets behind it, that starts there.
    private static int WordLength(string text, int start)
    {
        var end = start;
        while (end < text.Length && (char.IsLetterOrDigit(text[end]) || text[end] is '_' or '.' or '*' || text[end] == '-' && end + 1 < text.Length && text[end + 1] == '>' || text[end] == '>' && end > start && text[end - 1] == '-')) end++;
        if (end < text.Length && text[end] is '[' or '(' && end > start)
        {
            var depth = 0;
            do depth += text[end] is '[' or '(' ? 1 : text[end] is ']' or ')' ? -1 : 0;
            while (++end < text.Length && depth > 0);
        }
        return Math.Max(1, end - start);
    }

    /// <inheritdoc />
    public override string ToString() => $"error {Code}: {Describe()}";
}

/// <summary>Ends the walk; never leaves the verifier.</summary>
internal sealed class RejectedException(Rejection rejection) : Exception(rejection.Message)
{
    public Rejection Rejection { get; } = rejection;

    /// <summary>True when a global function was refused, whatever its callers do: they need not be walked in another way.</summary>
    public bool IsFinal { get; init; }
}
