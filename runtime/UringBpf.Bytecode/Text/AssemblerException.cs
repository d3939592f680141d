using System.Collections.Immutable;
using System.Globalization;

namespace UringBpf.Bytecode;

/// <summary>One thing wrong with assembler text.</summary>
/// <param name="Code">The stable code, UB112x.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
/// <param name="Message">What is wrong and the likely cause.</param>
public sealed record AssemblerError(string Code, int Line, int Column, string Message)
{
    /// <summary><c>line:column: code: message</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Line}:{Column}: {Code}: {Message}");
}

/// <summary>Assembler text was refused. Its code is that of the first error; the message lists all of them.</summary>
public sealed class AssemblerException : BpfException
{
    internal AssemblerException(ImmutableArray<AssemblerError> errors)
        : base(errors[0].Code, string.Join('\n', errors.Select((error, index) => index == 0
            ? string.Create(CultureInfo.InvariantCulture, $"line {error.Line}, column {error.Column}: {error.Message}")
            : error.ToString()))) => Errors = errors;

    /// <summary>Every error found, in order; at most <see cref="Assembler.MaxErrors"/>.</summary>
    public ImmutableArray<AssemblerError> Errors { get; }
}
