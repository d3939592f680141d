using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>A call of a function that calls back: what happens when the callback returns.</summary>
/// <param name="Call">The slot of the call.</param>
/// <param name="Function">What was called.</param>
/// <param name="Arguments">The callback's r1..r5, as each round gets them.</param>
/// <param name="Result">What the call leaves in r0.</param>
/// <param name="Rounds">The most rounds it can make.</param>
internal sealed record CallbackRun(int Call, FunctionPrototype Function, Value?[] Arguments, Value Result, long Rounds);
