using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>A global function that was verified by its signature: all that its callers need to know.</summary>
/// <param name="Prototype">The signature.</param>
/// <param name="Result">The numbers it can return; null when it returns none.</param>
/// <param name="Cost">The most instructions a call takes, or <see cref="TerminationProof.Unbounded"/>.</param>
/// <param name="Depth">The most frames that it and what it calls take.</param>
/// <param name="StackBytes">Deepest stack of these frames, in bytes.</param>
/// <param name="IsMetered">True when it is not proved to end.</param>
/// <param name="WritesBuffers">True when it may write to data.</param>
/// <param name="Facts">What holds at its instructions, and at those of the static functions that it calls.</param>
internal sealed record FunctionSummary(FunctionPrototype Prototype, Scalar? Result, long Cost, int Depth, int StackBytes, bool IsMetered, bool WritesBuffers, FactRecorder Facts);
