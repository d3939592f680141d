using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>A call of a function that calls back: what each round gets, and what its end needs.</summary>
/// <param name="Call">The slot of the call.</param>
/// <param name="Function">What was called.</param>
/// <param name="Map">The map whose entries it visits, or null.</param>
/// <param name="Context">What it hands to the callback.</param>
/// <param name="Rounds">The most rounds it can make.</param>
/// <param name="References">References held when it was called.</param>
internal sealed record CallbackRun(int Call, FunctionPrototype Function, MapSpec? Map, Value? Context, long Rounds, int References);
