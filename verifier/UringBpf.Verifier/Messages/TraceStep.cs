namespace UringBpf.Verifier;

/// <summary>One step of a path that is being explained.</summary>
/// <param name="Slot">The instruction.</param>
/// <param name="Before">What was known before it.</param>
/// <param name="Previous">The step before, or null.</param>
internal sealed record TraceStep(int Slot, MachineState Before, TraceStep? Previous);
