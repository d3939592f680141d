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
    private nint _pointer;

    /// <summary>What engines call. Can't be changed on its own: <see cref="Pointer"/> belongs to it.</summary>
    public MethodInfo Method { get; } = Method;

    /// <summary>The method's address: what interpreters call.</summary>
    // Asked for when it is needed: the addresses of all functions would take a host milliseconds to start.
    public nint Pointer => _pointer != 0 ? _pointer : _pointer = Method.MethodHandle.GetFunctionPointer();

    /// <summary>True for the same prototype and method.</summary>
    public bool Equals(FunctionImplementation? other) =>
        other is not null && Prototype == other.Prototype && Method == other.Method && Arity == other.Arity && TakesState == other.TakesState;

    /// <inheritdoc />
    public override int GetHashCode() => Method.GetHashCode();
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
        _implementations = [];
        foreach (var kind in (FunctionKind[])[FunctionKind.Helper, FunctionKind.Kfunc])
        {
            var (byNumber, byName) = (new Dictionary<int, FunctionImplementation>(), new Dictionary<string, FunctionImplementation>());
            foreach (var function in all)
            {
                var prototype = function.Prototype;
                if (prototype.Kind != kind) continue;
                if (!byNumber.TryAdd(prototype.Id, function))
                    throw new BpfException("UB4204", $"the {kind} number {prototype.Id} is used by {byNumber[prototype.Id].Prototype.Name} and {prototype.Name}.");
                if (!byName.TryAdd(prototype.Name, function))
                    throw new BpfException("UB4204", $"two functions of kind {kind} are named '{prototype.Name}'.");
            }
        }
        foreach (var function in all) _implementations.Add(function.Prototype, function);
        Prototypes = new PrototypeTable(_implementations.Keys);
    }

    /// <summary>The built-in helpers and kfuncs.</summary>
    public static FunctionRegistry BuiltIn { get; } = new(BuiltInFunctions.All());

    /// <summary>The prototypes: hand them to the loader.</summary>
    public PrototypeTable Prototypes { get; }

    /// <summary>The code of a function, or null.</summary>
    public FunctionImplementation? Find(FunctionPrototype prototype) => _implementations.GetValueOrDefault(prototype);

    /// <summary>The code of a map helper for one map: the method for exactly its type and key size, for engines that know the
    /// map when they compile. It takes the arguments the general one takes. The general code for other functions, and where the
    /// registry has code of the host's in place of the built-in; null as for <see cref="Find"/>.</summary>
    public FunctionImplementation? Specialize(FunctionPrototype prototype, MapSpec map) =>
        Find(prototype) is not { } general ? null
            : general == BuiltIn.Find(prototype) ? SpecializedFunctions.Find(prototype, map) ?? general
            : general;

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
