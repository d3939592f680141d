using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Turns static methods into functions, and says why when they cannot be.</summary>
internal static unsafe class HostFunctions
{
    /// <summary>The lowest number of a host's function.</summary>
    public const int FirstId = 0x10000;

    private const DynamicallyAccessedMemberTypes AnyMethod = DynamicallyAccessedMemberTypes.PublicMethods | DynamicallyAccessedMemberTypes.NonPublicMethods;
    private const BindingFlags Everything = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>The functions a type declares by attributes.</summary>
    public static IEnumerable<FunctionImplementation> Declared([DynamicallyAccessedMembers(AnyMethod)] Type type)
    {
        var found = new List<FunctionImplementation>();
        foreach (var method in type.GetMethods(Everything))
        {
            if (method.GetCustomAttribute<BpfFunctionAttribute>() is { } attribute) found.Add(Bind(Prototype(method, attribute), method));
        }
        if (found.Count == 0)
            throw new BpfException("UB4201", $"{type} has no method with [BpfHelper] or [BpfKfunc].");
        return found;
    }

    /// <summary>Joins a host's prototype and method.</summary>
    public static FunctionImplementation Bind(FunctionPrototype prototype, MethodInfo method)
    {
        if (prototype.Id < FirstId)
            throw new BpfException("UB4202", $"{prototype.Name}: number {prototype.Id} belongs to the built-in functions; a host's start at 0x{FirstId:x}.");
        var implementation = Implement(prototype, method);
        CheckPrototype(prototype);
        return implementation;
    }

    /// <summary>Joins a prototype and a method after checking the method's shape.</summary>
    public static FunctionImplementation Implement(FunctionPrototype prototype, MethodInfo method)
    {
        var name = $"{prototype.Name} ({method.DeclaringType?.Name}.{method.Name})";
        if (!method.IsStatic || method.ContainsGenericParameters || method.DeclaringType is not { } type || type.ContainsGenericParameters)
            throw new BpfException("UB4201", $"{name}: a function is a static method, not generic.");
        var parameters = method.GetParameters();
        var takesState = parameters.Length > 0 && parameters[^1].ParameterType == typeof(ExecutionState*);
        var arity = parameters.Length - (takesState ? 1 : 0);
        for (var i = 0; i < arity; i++)
        {
            if (!IsRegister(parameters[i].ParameterType))
                throw new BpfException("UB4201", $"{name}: parameter '{parameters[i].Name}' is {parameters[i].ParameterType}; registers are ulong, long or pointers.");
        }
        if (!IsRegister(method.ReturnType))
            throw new BpfException("UB4201", $"{name}: it returns {method.ReturnType}; r0 is ulong, long or a pointer.");
        if (arity > 5 || arity != prototype.Arguments.Length)
            throw new BpfException("UB4201", $"{name}: it takes {arity} arguments, the prototype {prototype.Arguments.Length} (at most 5).");
        return new FunctionImplementation(prototype, method, arity, takesState);
    }

    private static bool IsRegister(Type type) => type == typeof(ulong) || type == typeof(long) || type == typeof(nint) || type == typeof(nuint) || type.IsPointer;

    // The prototype a method's attributes and parameter types say.
    private static FunctionPrototype Prototype(MethodInfo method, BpfFunctionAttribute attribute)
    {
        var arguments = new List<Argument>();
        foreach (var parameter in method.GetParameters())
        {
            if (parameter.ParameterType == typeof(ExecutionState*)) continue;
            var declared = parameter.GetCustomAttribute<BpfArgumentAttribute>();
            var type = parameter.ParameterType;
            // A pointer to T without an attribute is memory of one T that the function reads and writes.
            var kind = declared?.Kind ?? (type.IsPointer ? ArgumentKind.ReadWriteMemory : ArgumentKind.Scalar);
            var size = declared?.FixedSize ?? 0;
            if (declared == null && type.IsPointer && type.GetElementType() is { IsValueType: true } pointed)
                size = RuntimeHelpers.SizeOf(pointed.TypeHandle);
            arguments.Add(new Argument(parameter.Name ?? "", kind, size, declared?.Nullable ?? false));
        }
        var returns = method.ReturnParameter.GetCustomAttribute<BpfReturnsAttribute>();
        return new FunctionPrototype
        {
            Name = attribute.Name ?? method.Name,
            Id = attribute.Id,
            Kind = attribute.Kind,
            Arguments = [.. arguments],
            Returns = returns?.Kind ?? ReturnKind.Scalar,
            ReturnMin = returns?.Min ?? long.MinValue,
            ReturnMax = returns?.Max ?? long.MaxValue,
            MapTypes = [.. attribute.MapTypes],
            ContextStruct = attribute.ContextStruct,
            Summary = attribute.Summary,
        };
    }

    // What the verifier relies on: a prototype that breaks one of these rules would make it check nothing, or the wrong thing.
    private static void CheckPrototype(FunctionPrototype prototype)
    {
        void Fail(string reason) => throw new BpfException("UB4203", $"{prototype.Name}: {reason}.");

        if (prototype.Name.Length == 0) throw new BpfException("UB4203", "a function needs a name.");
        if ((prototype.Traits & ~(FunctionTraits.ReturnsReadOnly | FunctionTraits.NeedsRing)) != 0)
            Fail($"traits {prototype.Traits} are for built-in functions");
        var arguments = prototype.Arguments;
        var maps = 0;
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            var sized = i + 1 < arguments.Length && arguments[i + 1].Kind is ArgumentKind.Size or ArgumentKind.SizeOrZero;
            switch (argument.Kind)
            {
                case ArgumentKind.ReadMemory or ArgumentKind.WriteMemory or ArgumentKind.ReadWriteMemory:
                    if (sized == (argument.FixedSize > 0)) Fail($"'{argument.Name}' needs either a fixed size or a size argument after it");
                    break;
                case ArgumentKind.Size or ArgumentKind.SizeOrZero:
                    if (i == 0 || arguments[i - 1].Kind is not (ArgumentKind.ReadMemory or ArgumentKind.WriteMemory or ArgumentKind.ReadWriteMemory))
                        Fail($"'{argument.Name}' is the size of nothing: the argument before it is not memory");
                    break;
                case ArgumentKind.Map:
                    maps++;
                    break;
                case ArgumentKind.MapKey or ArgumentKind.MapValue or ArgumentKind.MapValueOut:
                    if (maps == 0) Fail($"'{argument.Name}' is of a map, but no map comes before it");
                    break;
                case ArgumentKind.Callback or ArgumentKind.CallbackContext or ArgumentKind.SpinLock or ArgumentKind.Record
                    or ArgumentKind.IteratorNew or ArgumentKind.Iterator or ArgumentKind.IteratorDestroy:
                    Fail($"'{argument.Name}': arguments of kind {argument.Kind} are for built-in functions");
                    break;
            }
            if (argument.Nullable && argument.Kind is not (ArgumentKind.ReadMemory or ArgumentKind.WriteMemory or ArgumentKind.ReadWriteMemory))
                Fail($"'{argument.Name}': only memory can be nullable");
        }
        if (maps > 1) Fail("it takes more than one map");
        if (prototype.Returns is ReturnKind.MapValueOrNull && maps == 0) Fail("it returns a map value, but takes no map");
        if (prototype.Returns is ReturnKind.MemoryOrNull && arguments.Count(a => a.Kind == ArgumentKind.AllocationSize) != 1)
            Fail("it returns memory, so exactly one argument must be its AllocationSize");
        if (prototype.Returns is ReturnKind.RecordOrNull or ReturnKind.IteratorValueOrNull) Fail($"results of kind {prototype.Returns} are for built-in functions");
        if (prototype.ReturnMin > prototype.ReturnMax) Fail($"its result range {prototype.ReturnMin}..{prototype.ReturnMax} is empty");
    }
}
