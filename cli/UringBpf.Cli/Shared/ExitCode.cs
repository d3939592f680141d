using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    public const int Fine = 0, Failed = 1, Usage = 2, BadInput = 3, Bug = 70;

    /// <summary>Objects and bytecode that can't be loaded are bad input, compiler failures our bugs; the rest is a failure of the run.</summary>
    public static int Of(BpfException error) =>
        error.Code.StartsWith("UB1", StringComparison.Ordinal) ? BadInput
        : error.Code.StartsWith("UB3", StringComparison.Ordinal) ? Bug
        : Failed;
}

/// <summary>A file that is missing or can't be read.</summary>
internal sealed class BadInputException(string message) : Exception(message);

/// <summary>Options that don't fit together or the object.</summary>
internal sealed class UsageException(string message) : Exception(message);
