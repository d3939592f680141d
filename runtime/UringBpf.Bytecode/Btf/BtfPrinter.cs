namespace UringBpf.Bytecode;

/// <summary>Spells types as C does.</summary>
internal sealed class BtfPrinter
{
    // Types are graphs: what is printed must not depend on how large they are.
    private const int MaxDepth = 6, MaxParameters = 8, MaxTypes = 64;

    private int _left = MaxTypes;

    private BtfPrinter()
    {
    }

    /// <summary>A declaration of <paramref name="name"/>, or the type alone if that is empty: <c>const char *names[3]</c>.</summary>
    public static string Declare(BtfSpec types, int id, string name) => new BtfPrinter().Declare(types, id, name, MaxDepth);

    // C declarators are written from the inside out: what has been said so far is the name of what is still to say.
    private string Declare(BtfSpec types, int id, string declarator, int depth)
    {
        if (depth == 0 || --_left < 0) return Join("…", declarator);
        return types[id] switch
        {
            BtfPointer pointer => Declare(types, pointer.TypeId, NeedsParentheses(types, pointer.TypeId) ? $"(*{declarator})" : "*" + declarator, depth - 1),
            BtfArray array => Declare(types, array.ElementTypeId, $"{declarator}[{array.Count}]", depth - 1),
            BtfPrototype prototype => Declare(types, prototype.ReturnTypeId, $"{declarator}({Parameters(types, prototype, depth - 1)})", depth - 1),
            BtfFunction function => Declare(types, function.TypeId, Name(function), depth - 1),
            BtfVariable variable => Declare(types, variable.TypeId, Name(variable), depth - 1),
            // A qualified pointer: `T *const p`. Of anything else the qualifier comes first.
            BtfModifier { Kind: BtfModifierKind.Const or BtfModifierKind.Volatile or BtfModifierKind.Restrict } modifier => types[modifier.TypeId] is BtfPointer
                ? Declare(types, modifier.TypeId, Join(Qualifier(modifier), declarator), depth - 1)
                : Join(Qualifier(modifier), Declare(types, modifier.TypeId, declarator, depth - 1)),
            BtfModifier { Kind: BtfModifierKind.TypeTag } tag => Declare(types, tag.TypeId, declarator, depth - 1),
            var type => Join(Keyword(type) + Name(type), declarator),
        };
    }

    private static bool NeedsParentheses(BtfSpec types, int id) => types[id] is BtfArray or BtfPrototype;

    private string Parameters(BtfSpec types, BtfPrototype prototype, int depth)
    {
        if (prototype.Parameters.Length == 0) return "void";
        var shown = prototype.Parameters.Take(MaxParameters)
            .Select(parameter => parameter is { TypeId: 0, Name: "" } ? "..." : Declare(types, parameter.TypeId, StringTable.Shorten(parameter.Name), depth));
        return string.Join(", ", shown) + (prototype.Parameters.Length > MaxParameters ? ", …" : "");
    }

    private static string Keyword(BtfType type) => type switch
    {
        BtfStruct { IsUnion: false } or BtfForward { IsUnion: false } => "struct ",
        BtfStruct or BtfForward => "union ",
        BtfEnum => "enum ",
        _ => "",
    };

    private static string Qualifier(BtfModifier modifier) => modifier.Kind switch
    {
        BtfModifierKind.Const => "const",
        BtfModifierKind.Volatile => "volatile",
        _ => "restrict",
    };

    private static string Name(BtfType type) => type.Name.Length > 0 ? StringTable.Shorten(type.Name) : "{…}";

    private static string Join(string type, string declarator) => declarator.Length == 0 ? type : type.EndsWith('*') ? type + declarator : $"{type} {declarator}";
}
