namespace UringBpf.Bytecode;

/// <summary>
/// Every failure this library reports: bad objects (UB1xxx), rejected programs (UB2xxx), compiler bugs (UB3xxx), ring
/// and run-time trouble (UB4xxx). Each code has a section in docs/diagnostics.md. The message says what, where and the
/// likely cause.
/// </summary>
public class BpfException : Exception
{
    /// <summary>Makes an exception with a stable code.</summary>
    /// <param name="code">The code, such as <c>UB1001</c>.</param>
    /// <param name="message">What went wrong, where, and the likely cause.</param>
    /// <param name="instruction">The slot it happened at, or -1.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public BpfException(string code, string message, int instruction = -1, Exception? inner = null)
        : base($"{code}: {message}", inner)
    {
        Code = code;
        Reason = message;
        Instruction = instruction;
    }

    /// <summary>The stable code, such as <c>UB1001</c>.</summary>
    public string Code { get; }

    /// <summary>The message without the code.</summary>
    public string Reason { get; }

    /// <summary>The slot index the error is about, or -1.</summary>
    public int Instruction { get; }
}
