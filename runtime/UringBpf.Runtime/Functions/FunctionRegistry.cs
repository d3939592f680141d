using System.Collections.Immutable;
using System.Reflection;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A prototype with the static method that implements it. The method takes 0 to 5 <see cref="ulong"/> arguments (r1..r5;
/// pointers are their addresses), then optionally an <see cref="ExecutionState"/> pointer, and returns <see cref="ulong"/>.
/// </summary>
/// <param name="Prototype">What the verifier checks.</param>
/// <param name="Method">What engines call.</param>
/// <param name="Arity">Number of register arguments the method takes.</param>
/// <param name="TakesState">True when the last parameter is the execution state.</param>
public sealed record FunctionImplementation(FunctionPrototype Prototype, MethodInfo Method, int Arity, bool TakesState)
{
    /// <summary>The method's address: what interpreters call.</summary>
    public nint Pointer { get; } = Method.MethodHandle.GetFunctionPointer();
}

/// <summary>The functions programs can call, with their code. Immutable and thread-safe.</summary>
public sealed class FunctionRegistry
{
    private readonly Dictionary<FunctionPrototype, FunctionImplementation> _implementations;

    /// <summary>Makes a registry.</summary>
    public FunctionRegistry(IEnumerable<FunctionImplementation> functions)
    {
        _implementations = functions.ToDictionary(function => function.Prototype);
        Prototypes = new PrototypeTable(_implementations.Keys);
    }

    /// <summary>The prototypes: hand them to the loader.</summary>
    public PrototypeTable Prototypes { get; }

    /// <summary>The code of a function, or null.</summary>
    public FunctionImplementation? Find(FunctionPrototype prototype) => _implementations.GetValueOrDefault(prototype);
}
