using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Makes a static method callable by programs: register its class with <see cref="FunctionRegistry.With(Type)"/>. The
/// prototype comes from the parameters: a number is a scalar; <c>T*</c> is readable and writable memory of one <c>T</c>;
/// <see cref="BpfArgumentAttribute"/> says anything else; a last <see cref="ExecutionState"/> pointer is not an argument. The
/// method runs on the thread that runs the program, possibly many at once, must not throw, and must do no more to its
/// arguments than the prototype says: the verifier believes it.
/// </summary>
public abstract class BpfFunctionAttribute : Attribute
{
    private protected BpfFunctionAttribute(int id, FunctionKind kind)
    {
        Id = id;
        Kind = kind;
    }

    /// <summary>Its number, 0x10000 or above.</summary>
    public int Id { get; }
    /// <summary>Its C name; the method's name when not given.</summary>
    public string? Name { get; init; }
    /// <summary>The map types its map argument may have; empty for all.</summary>
    public MapType[] MapTypes { get; init; } = [];
    /// <summary>The context struct it works on; empty for any.</summary>
    public string ContextStruct { get; init; } = "";
    /// <summary>One line for reference pages.</summary>
    public string Summary { get; init; } = "";

    internal FunctionKind Kind { get; }
}

/// <summary>A helper: programs call it by number.</summary>
/// <param name="id">Its number, 0x10000 or above.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BpfHelperAttribute(int id) : BpfFunctionAttribute(id, FunctionKind.Helper);

/// <summary>A kfunc: programs call it by symbol name (<c>extern … __ksym</c>), headerless bytecode by number.</summary>
/// <param name="id">Its number, 0x10000 or above.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BpfKfuncAttribute(int id) : BpfFunctionAttribute(id, FunctionKind.Kfunc);

/// <summary>What a parameter must be.</summary>
/// <param name="kind">The kind, as in <see cref="FunctionPrototype"/>.</param>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class BpfArgumentAttribute(ArgumentKind kind) : Attribute
{
    /// <summary>The kind.</summary>
    public ArgumentKind Kind { get; } = kind;
    /// <summary>Bytes of the memory pointed to, when no size parameter follows.</summary>
    public int FixedSize { get; init; }
    /// <summary>True when a program may pass NULL.</summary>
    public bool Nullable { get; init; }
}

/// <summary>What a function returns, when it is not just any number.</summary>
/// <param name="kind">The kind.</param>
[AttributeUsage(AttributeTargets.ReturnValue)]
public sealed class BpfReturnsAttribute(ReturnKind kind = ReturnKind.Scalar) : Attribute
{
    /// <summary>The kind.</summary>
    public ReturnKind Kind { get; } = kind;
    /// <summary>Lowest number it returns.</summary>
    public long Min { get; init; } = long.MinValue;
    /// <summary>Highest number it returns.</summary>
    public long Max { get; init; } = long.MaxValue;
}
