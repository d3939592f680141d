using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// A prototype with the static method that implements it. The method takes 0 to 5 64-bit arguments (r1..r5: <see cref="ulong"/>,
/// <see cref="long"/> or pointers), then optionally an <see cref="ExecutionState"/> pointer, and returns a 64-bit value.
/// </summary>
/// <param name="Prototype">What the verifier checks.</param>
/// <param name="Method">What engines call.</param>
/// <param name="Arity">Number of register arguments the method takes.</param>
/// <param name="TakesState">True when the last parameter is the execution state.</param>
public sealed record FunctionImplementation(FunctionPrototype Prototype, MethodInfo Method, int Arity, bool TakesState)
{
    /// <summary>What engines call. Can't be changed on its own: <see cref="Pointer"/> belongs to it.</summary>
    public MethodInfo Method { get; } = Method;

    /// <summary>The method's address: what interpreters call.</summary>
    public nint Pointer { get; } = Method.MethodHandle.GetFunctionPointer();
}

/// <summary>
/// The functions programs can call, with their code. Immutable and thread-safe. A host adds its own with
/// <see cref="With(Type)"/>; give <see cref="Prototypes"/> to the loader and the registry to the engine.
/// </summary>
public sealed class FunctionRegistry
{
    private readonly Dictionary<FunctionPrototype, FunctionImplementation> _implementations;

    /// <summary>Makes a registry.</summary>
    /// <exception cref="BpfException">UB4204 when two functions share a number or a name.</exception>
    public FunctionRegistry(IEnumerable<FunctionImplementation> functions)
    {
        var all = functions.ToList();
        foreach (var same in all.GroupBy(f => (f.Prototype.Kind, f.Prototype.Id)).Where(g => g.Count() > 1))
            throw new BpfException("UB4204", $"the {same.Key.Kind} number {same.Key.Id} is used by {string.Join(" and ", same.Select(f => f.Prototype.Name))}.");
        foreach (var same in all.GroupBy(f => (f.Prototype.Kind, f.Prototype.Name)).Where(g => g.Count() > 1))
            throw new BpfException("UB4204", $"two functions of kind {same.Key.Kind} are named '{same.Key.Name}'.");
        _implementations = all.ToDictionary(function => function.Prototype);
        Prototypes = new PrototypeTable(_implementations.Keys);
    }

    /// <summary>The built-in helpers and kfuncs.</summary>
    public static FunctionRegistry BuiltIn { get; } = new(BuiltInFunctions.All());

    /// <summary>The prototypes: hand them to the loader.</summary>
    public PrototypeTable Prototypes { get; }

    /// <summary>The code of a function, or null.</summary>
    public FunctionImplementation? Find(FunctionPrototype prototype) => _implementations.GetValueOrDefault(prototype);

    /// <summary>The code of a map helper for one map: the method for exactly its type and key size, for engines that know the
    /// map when they compile. It takes the arguments the general one takes. The general code for other functions; null as
    /// for <see cref="Find"/>.</summary>
    public FunctionImplementation? Specialize(FunctionPrototype prototype, MapSpec map) =>
        Find(prototype) is { } general ? SpecializedFunctions.Find(prototype, map) ?? general : null;

    /// <summary>This registry and every method of a type that carries <see cref="BpfHelperAttribute"/> or
    /// <see cref="BpfKfuncAttribute"/>.</summary>
    /// <exception cref="BpfException">UB4201, UB4202 or UB4203 when a method or its prototype is not valid, UB4204 when a
    /// number or name is taken.</exception>
    public FunctionRegistry With(
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicMethods | DynamicallyAccessedMemberTypes.NonPublicMethods)] Type type) =>
        new([.. _implementations.Values, .. HostFunctions.Declared(type)]);

    /// <summary>This registry and one more function.</summary>
    /// <param name="prototype">Its prototype, with a number of 0x10000 or above.</param>
    /// <param name="method">A static method: see <see cref="FunctionImplementation"/>.</param>
    /// <exception cref="BpfException">As for <see cref="With(Type)"/>.</exception>
    public FunctionRegistry With(FunctionPrototype prototype, MethodInfo method) =>
        new([.. _implementations.Values, HostFunctions.Bind(prototype, method)]);
}
