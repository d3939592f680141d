namespace UringBpf.Runtime;

/// <summary>Why a checked run stopped.</summary>
/// <param name="Code">UB4010 memory, UB4011 instruction budget, UB4012 uninitialised register, UB4013 call or its arguments, UB4014 bad instruction or jump.</param>
/// <param name="Instruction">The slot.</param>
/// <param name="Address">The address it was about, or 0.</param>
/// <param name="Message">What was wrong, in one line.</param>
public sealed record CheckedFault(string Code, int Instruction, ulong Address, string Message);

/// <summary>What a checked run gave.</summary>
/// <param name="Result">r0; 0 when it faulted.</param>
/// <param name="Instructions">Instructions executed.</param>
/// <param name="Fault">Why it stopped, or null when the program ended by itself.</param>
public readonly record struct CheckedResult(ulong Result, long Instructions, CheckedFault? Fault);

/// <summary>Follows a checked run: called before each instruction.</summary>
/// <param name="slot">The instruction.</param>
/// <param name="depth">Frames above this one: 0 in the main program.</param>
/// <param name="registers">r0..r10.</param>
/// <param name="initialised">Bit i: ri has a value.</param>
public delegate void CheckedObserver(int slot, int depth, ReadOnlySpan<ulong> registers, int initialised);

/// <summary>Leaves the loop; never leaves the interpreter.</summary>
internal sealed class CheckedFaultException(CheckedFault fault) : Exception(fault.Message)
{
    public CheckedFault Fault { get; } = fault;
}
