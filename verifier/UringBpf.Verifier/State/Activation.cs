namespace UringBpf.Verifier;

/// <summary>
/// What stays the same for as long as a function runs. Immutable, and one object for all states in which it does.
/// </summary>
/// <param name="Function">Index of the function.</param>
/// <param name="CallSite">The slot of the call that made it, or -1.</param>
/// <param name="Chain">Number that stands for the whole chain of call sites.</param>
/// <param name="FramePointer">Its r10.</param>
/// <param name="Callback">When it runs as a callback: what called it; else null.</param>
internal sealed record Activation(int Function, int CallSite, int Chain, Value FramePointer, CallbackRun? Callback);
