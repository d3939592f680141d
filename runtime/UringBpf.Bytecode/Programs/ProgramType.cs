using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// A program type is data: sections, context, return range, callable functions. The built-in ones are in
/// <see cref="ProgramTypes"/>; a host may define its own.
/// </summary>
public sealed record ProgramType
{
    /// <summary>The name used by the CLI and in messages, such as <c>completion</c>.</summary>
    public required string Name { get; init; }
    /// <summary>Section names: exact, or a prefix of <c>name/…</c>.</summary>
    public required ImmutableArray<string> Sections { get; init; }
    /// <summary>What r1 points to.</summary>
    public required ContextLayout Context { get; init; }
    /// <summary>Lowest return value allowed.</summary>
    public long ReturnMin { get; init; } = long.MinValue;
    /// <summary>Highest return value allowed.</summary>
    public long ReturnMax { get; init; } = long.MaxValue;
    /// <summary>True when the verdict is the low 32 bits of r0 read as signed: the range is checked on those and the upper half is ignored.</summary>
    public bool ReturnsInt32 { get; init; }
    /// <summary>True when LD_ABS/LD_IND are allowed: the context has a packet.</summary>
    public bool HasPacket { get; init; }
    /// <summary>True when r2 holds the context's length (flat contexts).</summary>
    public bool PassesLength { get; init; }
    /// <summary>Names of the kfuncs allowed.</summary>
    public ImmutableHashSet<string> Kfuncs { get; init; } = [];
    /// <summary>Names of helpers not allowed; every other helper in the table is.</summary>
    public ImmutableHashSet<string> ExcludedHelpers { get; init; } = [];

    /// <summary>True when a program of this type may call the function.</summary>
    public bool Allows(FunctionPrototype function)
    {
        if (function.ContextStruct.Length > 0 && function.ContextStruct != Context.StructName) return false;
        return function.Kind == FunctionKind.Kfunc
            ? Kfuncs.Contains(function.Name) || function.Id >= 0x10000 || (function.Traits & FunctionTraits.NeedsRing) == 0
            : !ExcludedHelpers.Contains(function.Name);
    }

    /// <inheritdoc />
    public override string ToString() => Name;
}
