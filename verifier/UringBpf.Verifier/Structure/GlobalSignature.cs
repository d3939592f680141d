using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// What the BTF signature of a function with external linkage promises of its arguments, as the kernel reads it: numbers,
/// the context, memory of the size of what a pointer points to. Such a function is verified once, for all of that, and its
/// calls are checked against it.
/// </summary>
internal static class GlobalSignature
{
    private const string ContextTag = "arg:ctx", NonNullTag = "arg:nonnull";

    /// <summary>The signature as a prototype, or null when the function is static, has no BTF, or takes or returns what a
    /// signature can't express (pointers to void, structs by value): it is then walked at each call.</summary>
    public static FunctionPrototype? Of(ProgramSpec spec, ProgramType type, Subprogram function)
    {
        var types = spec.Types;
        if (!function.IsGlobal || function.TypeId <= 0 || function.TypeId >= types.Types.Length) return null;
        if (types[function.TypeId] is not BtfFunction { TypeId: var signature } || types[signature] is not BtfPrototype prototype) return null;
        var isVoid = prototype.ReturnTypeId == 0;
        if (!isVoid && !IsNumber(types, prototype.ReturnTypeId) || prototype.Parameters.Length > 5) return null;
        var arguments = ImmutableArray.CreateBuilder<Argument>(prototype.Parameters.Length);
        for (var index = 0; index < prototype.Parameters.Length; index++)
        {
            if (ArgumentOf(types, type, function.TypeId, prototype.Parameters[index], index) is not { } argument) return null;
            arguments.Add(argument);
        }
        return new FunctionPrototype
        {
            Name = function.Name,
            Id = -1,
            Kind = FunctionKind.Kfunc,
            Arguments = arguments.MoveToImmutable(),
            Returns = isVoid ? ReturnKind.Void : ReturnKind.Scalar,
        };
    }

    private static Argument? ArgumentOf(BtfSpec types, ProgramType type, int function, BtfParameter parameter, int index)
    {
        var name = parameter.Name.Length > 0 ? parameter.Name : $"argument {index + 1}";
        if (IsNumber(types, parameter.TypeId)) return new(name, ArgumentKind.Scalar);
        if (types.Resolve(parameter.TypeId) is not BtfPointer pointer) return null;
        if (IsTagged(types, function, index, ContextTag)
            || type.Context.StructName.Length > 0 && types.Resolve(pointer.TypeId) is BtfStruct { IsUnion: false, Name: var tag } && tag == type.Context.StructName)
        {
            return new(name, ArgumentKind.Context);
        }
        var size = types.SizeOf(pointer.TypeId);
        if (size is <= 0 or > int.MaxValue) return null;
        return new(name, IsConstant(types, pointer.TypeId) ? ArgumentKind.ReadMemory : ArgumentKind.ReadWriteMemory, (int)size, !IsTagged(types, function, index, NonNullTag));
    }

    private static bool IsNumber(BtfSpec types, int id) => types.Resolve(id) is BtfInteger { Size: <= 8 } or BtfEnum;

    private static bool IsConstant(BtfSpec types, int id)
    {
        for (var type = types[id]; ; type = types[((BtfModifier)type).TypeId])
        {
            if (type is not BtfModifier modifier) return false;
            if (modifier.Kind == BtfModifierKind.Const) return true;
        }
    }

    private static bool IsTagged(BtfSpec types, int function, int index, string tag)
    {
        foreach (var type in types.Types)
        {
            if (type is BtfDeclarationTag found && found.TypeId == function && found.Component == index && found.Name == tag) return true;
        }
        return false;
    }
}
